//! Trades and money of the day, the week and the month under way.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::period::Period;
use super::sum::Sum;

/// The periods that begin and end; the total never does.
const ROLLING: [Period; 3] = [Period::Day, Period::Week, Period::Month];

/// The day, the week and the month under way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Periods([UnderWay; 3]);

/// What happened in a period so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct UnderWay {
    /// The period's first day; nothing before the first event.
    start: Option<Date>,
    trades: u64,
    realized: Sum,
    /// Equity when it began, and what was transferred since.
    opening: f64,
}

impl Periods {
    pub(crate) fn new(starting_equity: f64) -> Self {
        Self([UnderWay::begin(None, starting_equity); 3])
    }

    /// Moves on to a day: the periods it does not lie in are over.
    pub(crate) fn advance(&mut self, day: Date, equity: f64) {
        for (period, under_way) in ROLLING.into_iter().zip(&mut self.0) {
            let start = period.start(day);
            if under_way.start < Some(start) {
                *under_way = UnderWay::begin(Some(start), equity);
            }
        }
    }

    /// A trade counts in the periods under way that its day lies in, and not in those that are over.
    pub(crate) fn trade(&mut self, day: Date, pnl: f64) {
        // Most trades are of the day under way, which lies in the week and the month under way.
        let is_today = self.0[0].start == Some(day);
        for (period, under_way) in ROLLING.into_iter().zip(&mut self.0) {
            if is_today || under_way.start == Some(period.start(day)) {
                under_way.trades += 1;
                under_way.realized.add(pnl);
            }
        }
    }

    pub(crate) fn transfer(&mut self, amount: f64) {
        for under_way in &mut self.0 {
            under_way.opening += amount;
        }
    }

    pub(crate) fn trades(&self, period: Period) -> Option<u64> {
        self.of(period).map(|under_way| under_way.trades)
    }

    pub(crate) fn realized(&self, period: Period) -> Option<f64> {
        self.of(period).map(|under_way| under_way.realized.value())
    }

    pub(crate) fn opening(&self, period: Period) -> Option<f64> {
        self.of(period).map(|under_way| under_way.opening)
    }

    /// Nothing for the total.
    fn of(&self, period: Period) -> Option<&UnderWay> {
        ROLLING
            .iter()
            .position(|rolling| *rolling == period)
            .map(|place| &self.0[place])
    }
}

impl UnderWay {
    fn begin(start: Option<Date>, opening: f64) -> Self {
        Self {
            start,
            trades: 0,
            realized: Sum::default(),
            opening,
        }
    }
}
