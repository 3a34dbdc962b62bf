//! The changes of a week, posted in order to an Alertmanager whose waits are divided.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::civil::{Time, time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use obs_calendar::Calendar;
use obs_tests::{Notification, Process, Receiver, scrape, tools};
use obs_verify::alerts::{Settings, closed, routing};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Delivered;
use crate::script::Week;
use crate::timeline::{Episode, Labels};

/// What the waits are divided by: the pager's minute is half a second.
const TIME_SCALE: u32 = 120;

/// How long a message may take that has to come: more than any divided wait, on a machine that is busy.
pub(crate) const DELIVERY: Duration = Duration::from_mins(1);

/// An Alertmanager with our routing, and its receivers.
pub(crate) struct Alertmanager {
    _process: Process,
    receiver: Receiver,
    url: String,
    folder: TempDir,
    configuration: String,
    /// How many times it was waited for the receivers.
    marks: u32,
}

impl Alertmanager {
    pub(crate) fn start(settings: &Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let receiver = Receiver::listen("127.0.0.1:0").unwrap();
        let text = routing::configuration(settings, TIME_SCALE, "a test")
            .replace("receiver:9095", &receiver.address().to_string());
        // The intervals are made around now instead.
        let (configuration, _) = text.split_once("\ntime_intervals:\n").unwrap();
        let address = {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap()
        };
        let file = folder.path().join("alertmanager.yml");
        fs::write(&file, with_market(configuration, false)).unwrap();
        let process = Process::start(Command::new(tools::alertmanager().unwrap()).args([
            format!("--config.file={}", file.display()),
            format!("--storage.path={}", folder.path().join("data").display()),
            format!("--web.listen-address={address}"),
            "--cluster.listen-address=".to_owned(),
            "--log.level=error".to_owned(),
        ]))
        .unwrap();
        let alertmanager = Self {
            _process: process,
            receiver,
            url: format!("http://{address}"),
            configuration: configuration.to_owned(),
            marks: 0,
            folder,
        };
        let end = Instant::now() + DELIVERY;
        while scrape(&format!("{}/-/ready", alertmanager.url)).is_err() {
            assert!(Instant::now() < end, "Alertmanager does not start");
            // There is no event to wait for in another program.
            std::thread::sleep(Duration::from_millis(50));
        }
        alertmanager
    }

    /// Posts what begins and ends to fire, in the order of the week; what was delivered of it, with the time of the week.
    pub(crate) fn replay(&mut self, week: Week, fired: &[Episode]) -> Vec<Delivered> {
        let calendar = Calendar::nyse();
        // Five minutes before its open a market counts as open.
        let is_open = |at: Timestamp| {
            calendar.is_open(at) || calendar.is_open(at + SignedDuration::from_mins(5))
        };
        let mut delivered = Vec::new();
        let mut was_open = None;
        for (_, at) in week.steps() {
            if was_open != Some(is_open(at)) {
                was_open = Some(is_open(at));
                self.market(is_open(at));
                self.settle(fired, at, &["/pager", "/tickets"], &mut delivered);
            }
            let begun = fired.iter().filter(|episode| episode.from == at);
            let ended = fired.iter().filter(|episode| episode.until == Some(at));
            let changes: Vec<_> = begun
                .map(|it| (it, true))
                .chain(ended.map(|it| (it, false)))
                .collect();
            if changes.is_empty() {
                continue;
            }
            let mut receivers = vec!["/pager", "/tickets"];
            for (episode, fires) in changes {
                self.post(&episode.labels, fires);
                // Its wait is long.
                if episode
                    .labels
                    .get("mode")
                    .is_some_and(|mode| mode == "backtest")
                {
                    receivers.push("/chat");
                }
            }
            self.settle(fired, at, &receivers, &mut delivered);
        }
        delivered
    }

    /// Waits until these receivers have what they get so far: an alert is posted for each, and what comes before it is kept.
    fn settle(
        &mut self,
        fired: &[Episode],
        at: Timestamp,
        receivers: &[&str],
        delivered: &mut Vec<Delivered>,
    ) {
        let mut awaited: BTreeSet<&str> = receivers.iter().copied().collect();
        self.marks += 1;
        let mark = self.marks.to_string();
        for (receiver, severity, mode) in [
            ("/pager", "critical", "live"),
            ("/tickets", "warning", "live"),
            ("/chat", "warning", "backtest"),
        ] {
            if !awaited.contains(receiver) {
                continue;
            }
            let labels = [
                ("alertname", "Mark"),
                ("severity", severity),
                ("mode", mode),
                ("service", "mark"),
                ("environment", &mark),
            ];
            self.post(
                &labels.map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
                true,
            );
        }
        let end = Instant::now() + DELIVERY;
        while !awaited.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            let message = self.receiver.next(left).expect("a receiver gets nothing");
            if message.label("service") == "mark" {
                if message.label("environment") == mark {
                    awaited.remove(message.path.as_str());
                }
                continue;
            }
            for first in begun(&message, fired, at) {
                // A message has all of its group, and is repeated.
                let is_known = |known: &Delivered| {
                    known.firing.labels == first.firing.labels
                        && known.firing.from == first.firing.from
                        && known.receiver == first.receiver
                };
                if !delivered.iter().any(is_known) {
                    delivered.push(first);
                }
            }
        }
    }

    /// The alerts that another one keeps quiet.
    pub(crate) fn inhibited(&self) -> BTreeSet<Labels> {
        let url = format!("{}/api/v2/alerts?active=false&silenced=false", self.url);
        let mut answer = ureq::get(&url).call().unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let alerts: Vec<Value> = serde_json::from_str(&text).unwrap();
        let labels = alerts.iter().map(|alert| &alert["labels"]);
        labels
            .map(|labels| serde_json::from_value(labels.clone()).unwrap())
            .collect()
    }

    pub(crate) fn post(&self, labels: &Labels, fires: bool) {
        let now = Timestamp::now();
        let end = if fires { now + 1.hour() } else { now };
        let alerts =
            json!([{ "labels": labels, "startsAt": now.to_string(), "endsAt": end.to_string() }]);
        self.send("/api/v2/alerts", &alerts);
    }

    fn send(&self, path: &str, body: &Value) {
        ureq::post(&format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .send(body.to_string())
            .unwrap();
    }

    /// Has the market open or close.
    fn market(&self, is_open: bool) {
        let file = self.folder.path().join("alertmanager.yml");
        fs::write(file, with_market(&self.configuration, is_open)).unwrap();
        self.send("/-/reload", &Value::Null);
    }
}

/// A configuration in which the market is open or closed now.
fn with_market(configuration: &str, is_open: bool) -> String {
    let now = TimeZone::UTC.to_datetime(Timestamp::now());
    let hour = now.hour();
    let at = |hour: i8| -> Time { time(hour.rem_euclid(24), 0, 0, 0) };
    let days = Calendar::closed("days", TimeZone::UTC);
    let all = [jiff::civil::Weekday::Saturday, jiff::civil::Weekday::Sunday];
    let week = Calendar::WEEKDAYS.into_iter().chain(all);
    // Open for three hours around now, or three others.
    let (from, to) = if is_open {
        (hour - 1, hour + 2)
    } else {
        (hour + 6, hour + 9)
    };
    let calendar = days.with_hours(week, at(from), at(to));
    let today = now.date();
    let interval = closed::interval_of_days("nyse_closed", &calendar, today, today).unwrap();
    format!("{configuration}\ntime_intervals:\n{interval}")
}

/// The alerts that a message is the first to deliver: those that fire in it, as the script has them.
fn begun(message: &Notification, fired: &[Episode], at: Timestamp) -> Vec<Delivered> {
    let alerts = message.body["alerts"].as_array().unwrap();
    let firing = alerts.iter().filter(|alert| alert["status"] == "firing");
    firing
        .map(|alert| {
            let labels: Labels = serde_json::from_value(alert["labels"].clone()).unwrap();
            let is_it = |episode: &&Episode| episode.labels == labels && episode.from <= at;
            let episode = fired.iter().rev().find(is_it).expect("it was posted");
            Delivered {
                firing: episode.clone(),
                receiver: message.path.clone(),
                at,
            }
        })
        .collect()
}
