//! The replay: fetches the bars from the provider and drives the desk through them, day by day. When a new week begins it
//! has the sentiment providers asked, and the client look at the desk.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Date, ISOWeekDate};
use obs_core::{CountError, ErrorMetrics};
use obs_exporter::Heartbeat;
use tokio::time::sleep;

use crate::bars::Bar;
use crate::client::DeskClient;
use crate::error::Error;
use crate::market_data::BarStream;
use crate::metrics;
use crate::progress::Progress;
use crate::service::Service;
use crate::symbol::Symbol;

/// How long it may go without a beat before it counts as hung. A day takes milliseconds; a call of the client that waits for longer than
/// this is a hang, too, since nothing is traded meanwhile.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// How long it waits at most before it beats again.
const WAIT: Duration = Duration::from_secs(1);

/// A replay of all symbols, in the order of their bars' dates.
#[derive(Debug)]
pub struct Replay {
    streams: Vec<BarStream>,
    service: Arc<Service>,
    client: DeskClient,
    /// How long a day takes at least.
    pace: Duration,
    heartbeat: Arc<Heartbeat>,
    errors: Arc<ErrorMetrics>,
}

impl Replay {
    /// Replays `streams` into `service`, while `client` uses its API.
    #[must_use]
    pub fn new(
        streams: Vec<BarStream>,
        service: Arc<Service>,
        client: DeskClient,
        pace: Duration,
    ) -> Self {
        Self {
            streams,
            service,
            client,
            pace,
            heartbeat: Arc::new(Heartbeat::unwatched()),
            errors: metrics::errors("replay", ["client"]),
        }
    }

    /// Beats with every day, so that somebody outside of the process sees it hang. It is left armed: what ends the replay disarms it.
    #[must_use]
    pub fn watched(mut self, heartbeat: Arc<Heartbeat>) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// Replays to the last bar. Nothing in it depends on the clock: the same bars give the same orders,
    /// trades and requests.
    pub async fn run(&mut self, progress: &mut Progress) -> Result<(), Error> {
        let mut last = None;
        self.heartbeat.beat();
        while let Some(date) = self.next_date().await? {
            self.heartbeat.beat();
            let bars = self.bars_of(date);
            self.service.trade_day(date, &bars).await?;
            if last.is_some_and(|last| week(last) != week(date)) {
                self.service.ask_sentiment(date).await;
                self.client.visit().await.count_error(&self.errors)?;
            }
            last = Some(date);
            progress.day(date, bars.len());
            self.wait().await;
        }
        Ok(())
    }

    /// Waits for the next day, and beats meanwhile.
    async fn wait(&self) {
        let mut left = self.pace;
        while !left.is_zero() {
            let next = left.min(WAIT);
            sleep(next).await;
            self.heartbeat.beat();
            left -= next;
        }
    }

    /// The client, to see what it was answered.
    #[must_use]
    pub fn client(&self) -> &DeskClient {
        &self.client
    }

    /// The earliest day that any symbol still has a bar of.
    async fn next_date(&mut self) -> Result<Option<Date>, Error> {
        let mut earliest = None;
        for stream in &mut self.streams {
            let date = stream.peek().await?;
            earliest = match (earliest, date) {
                (Some(a), Some(b)) => Some(Date::min(a, b)),
                (a, b) => a.or(b),
            };
        }
        Ok(earliest)
    }

    /// The bars of one day, of the symbols that have one.
    fn bars_of(&mut self, date: Date) -> Vec<(Symbol, Bar)> {
        let bar = |stream: &mut BarStream| Some((stream.symbol().clone(), stream.take(date)?));
        self.streams.iter_mut().filter_map(bar).collect()
    }
}

fn week(date: Date) -> (i16, i8) {
    let date: ISOWeekDate = date.iso_week_date();
    (date.year(), date.week())
}
