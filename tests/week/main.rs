//! A week of ten desks in three environments: what fires when, who gets it, and after how long.
//!
//! The rules go through the series of a script in promtool. Each change of what fires is posted in order to an Alertmanager whose
//! waits are divided. The time to a page is that of the rules, plus the waits as deployed.
//!
//! A run goes from Friday to Monday, over the change of the clocks. `WEEK=whole` goes through a week of five sessions, and
//! `WEEK_SEED` moves the faults by some minutes.

mod delivery;
mod script;
mod timeline;

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use obs_verify::Catalog;
use obs_verify::alerts::{self, Settings, routing};
use tempfile::TempDir;

use delivery::{Alertmanager, DELIVERY};
use script::{DESKS, Fault, Incident, STEP, Week};
use timeline::{Episode, Labels, episodes};

/// Whether the whole week is gone through.
fn is_whole() -> bool {
    std::env::var("WEEK").is_ok_and(|week| week == "whole")
}

fn utc(at: DateTime) -> Timestamp {
    TimeZone::UTC.to_timestamp(at).unwrap()
}

fn week() -> Week {
    let (start, end) = if is_whole() {
        (
            date(2026, 3, 5).at(0, 0, 0, 0),
            date(2026, 3, 12).at(0, 0, 0, 0),
        )
    } else {
        (
            date(2026, 3, 6).at(18, 0, 0, 0),
            date(2026, 3, 9).at(17, 30, 0, 0),
        )
    };
    Week {
        start: utc(start),
        end: utc(end),
    }
}

/// The faults of a bad week: New York's market is open from 14:30 to 21:00 UTC on Friday, and from 13:30 on Monday.
fn incidents() -> Vec<Incident> {
    let seed = std::env::var("WEEK_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(seed);
    let friday = |hour, minute| utc(date(2026, 3, 6).at(hour, minute, 0, 0));
    let monday = |hour, minute| utc(date(2026, 3, 9).at(hour, minute, 0, 0));
    let open = monday(13, 30);
    let mut incident = |desk, fault, from: Timestamp, minutes, alert, receiver, within| {
        let late = STEP * random.i32(0..4);
        Incident {
            desk,
            fault,
            from: from + late,
            until: from + late + SignedDuration::from_mins(minutes),
            alert,
            receiver,
            within,
        }
    };
    let mut all = vec![
        incident(
            "live-1",
            Fault::Killed,
            friday(18, 40),
            20,
            "DeskDown",
            "/pager",
            4,
        ),
        incident(
            "live-3",
            Fault::Rejections,
            friday(19, 30),
            24,
            "OrderRejectionSpike",
            "/pager",
            15,
        ),
        incident(
            "test-1",
            Fault::Panic,
            friday(20, 0),
            60,
            "BacktestFailing",
            "/chat",
            4,
        ),
        incident(
            "live-3",
            Fault::Hung,
            monday(13, 50),
            16,
            "DeskDown",
            "/pager",
            4,
        ),
        incident(
            "paper-1",
            Fault::Killed,
            monday(14, 0),
            20,
            "DeskDown",
            "/tickets",
            4,
        ),
        incident(
            "live-1",
            Fault::DeadFeed,
            monday(14, 20),
            16,
            "FeedDown",
            "/pager",
            4,
        ),
        incident(
            "live-4",
            Fault::Silent,
            monday(14, 42),
            90,
            "StrategySilent",
            "/pager",
            75,
        ),
        incident(
            "live-2",
            Fault::CrashLoop,
            monday(15, 10),
            30,
            "DeskCrashLooping",
            "/pager",
            16,
        ),
    ];
    all.push(not_started(friday(21, 30), open));
    all
}

/// A desk that was stopped with its target after the close; what pages for it waits until five minutes before the open.
fn not_started(stopped: Timestamp, open: Timestamp) -> Incident {
    Incident {
        desk: "live-2",
        fault: Fault::NotStarted,
        from: stopped,
        until: open + SignedDuration::from_mins(14),
        alert: "TargetAbsent",
        receiver: "/pager",
        within: (open - stopped).as_mins() - 4,
    }
}

/// Every desk that trades is listed, with the calendar of its market.
fn settings() -> Settings {
    let mut settings = Settings::default();
    for desk in DESKS.iter().filter(|desk| desk.mode != "backtest") {
        settings.desks.push(alerts::Desk {
            service: "desk".to_owned(),
            environment: desk.environment.to_owned(),
            mode: desk.mode.to_owned(),
            instance: Some(desk.instance.to_owned()),
            calendar: (desk.mode == "live").then(|| "nyse".to_owned()),
        });
    }
    settings
}

/// The rules, in a folder of their own.
fn rules(settings: &Settings) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules");
    fs::create_dir(&rules).unwrap();
    for (name, text) in alerts::rules(settings, None::<&Catalog>, "a test").unwrap() {
        fs::write(rules.join(name), text).unwrap();
    }
    folder
}

#[test]
fn nothing_fires_in_a_quiet_week() {
    let folder = rules(&settings());
    let week = week();
    let fired = episodes(folder.path(), "quiet", week, &week.series(&[]));
    assert!(fired.is_empty(), "{fired:#?}");
}

#[test]
fn each_fault_of_a_bad_week_is_delivered_once_in_time_to_the_right_receiver() {
    let settings = settings();
    let folder = rules(&settings);
    let (week, incidents) = (week(), incidents());
    let fired = episodes(folder.path(), "bad", week, &week.series(&incidents));

    let mut alertmanager = Alertmanager::start(&settings);
    let delivered = alertmanager.replay(week, &fired);
    for incident in &incidents {
        let Incident {
            desk,
            alert,
            receiver,
            from,
            within,
            ..
        } = incident;
        let of_this: Vec<_> = delivered
            .iter()
            .filter(|message| {
                message.firing.is(alert, desk) && message.at >= *from && message.at < incident.until
            })
            .collect();
        let [message] = of_this[..] else {
            panic!(
                "{alert} of {desk} was delivered {} times: {of_this:#?}\n{fired:#?}",
                of_this.len()
            );
        };
        assert_eq!(message.receiver, *receiver, "{incident:?}");
        // From the fault to the evaluation that delivers it, and what Alertmanager waits as deployed.
        let wait = wait_of(receiver);
        let taken =
            message.at.duration_since(*from).as_secs() + i64::try_from(wait.as_secs()).unwrap();
        eprintln!(
            "{alert} of {desk}: {receiver} after {} min {} s",
            taken / 60,
            taken % 60
        );
        assert!(
            taken <= within * 60 + i64::try_from(wait.as_secs()).unwrap(),
            "{incident:?} took {taken} s"
        );
        // It is over when the fault is, or the window of its rule later.
        let end = message.firing.until.unwrap_or(week.end);
        assert!(
            end >= incident.until - SignedDuration::from_mins(70),
            "{incident:?} ends at {end}"
        );
    }
    let is_of = |message: &Delivered, incident: &Incident| {
        message.firing.is(incident.alert, incident.desk)
            && message.at >= incident.from
            && message.at < incident.until
    };
    let of_none: Vec<_> = delivered
        .iter()
        .filter(|message| !incidents.iter().any(|incident| is_of(message, incident)))
        .collect();
    assert!(
        of_none.is_empty(),
        "nothing went wrong, and yet: {of_none:#?}"
    );
}

fn wait_of(receiver: &str) -> Duration {
    match receiver {
        "/pager" => routing::PAGER.group,
        "/tickets" => routing::TICKETS.group,
        _ => routing::CHAT.group,
    }
}

/// A message of Alertmanager.
#[derive(Clone, Debug)]
pub(crate) struct Delivered {
    pub(crate) firing: Episode,
    pub(crate) receiver: String,
    /// The time of the week at which it was sent.
    pub(crate) at: Timestamp,
}

/// The worst of the alerts on one budget is enough, and says nothing about another environment's or another objective's.
#[test]
fn the_worst_burn_of_a_budget_keeps_the_others_quiet() {
    let alertmanager = Alertmanager::start(&settings());
    let alert = |name: &str, environment: &str, objective: &str| -> Labels {
        [
            ("alertname", name),
            ("service", "desk"),
            ("environment", environment),
            ("mode", "live"),
            ("severity", "warning"),
            ("objective", objective),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    };
    let quiet = [
        alert("ApiErrorBudgetBurnSlow", "production", "api_error_budget"),
        alert("ApiErrorBudgetBurnSteady", "production", "api_error_budget"),
        alert("QuotesBurnSlow", "production", "quotes"),
    ];
    let others = [
        alert("ApiErrorBudgetBurnSlow", "staging", "api_error_budget"),
        alert("QuotesBurnSlow", "production", "fills"),
        alert("ApiErrorBudgetBurnFast", "production", "api_error_budget"),
        alert("QuotesBurnFast", "production", "quotes"),
    ];
    for labels in others.iter().chain(&quiet) {
        alertmanager.post(labels, true);
    }
    are_quiet(&alertmanager, quiet);
}

/// Waits until these alerts, and no others, are left out.
fn are_quiet<const N: usize>(alertmanager: &Alertmanager, quiet: [Labels; N]) {
    let quiet = BTreeSet::from(quiet);
    let end = Instant::now() + DELIVERY;
    while alertmanager.inhibited() != quiet {
        assert!(Instant::now() < end, "{:?}", alertmanager.inhibited());
        // There is no event to wait for in another program.
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A desk that is scraped and that an agent watches has two addresses. Its death is one page, of the desk; its hang is a page of its own,
/// whatever else is said of the desk; and nothing is left out of another service.
#[test]
fn a_death_that_an_agent_sees_too_is_one_page_and_a_hang_is_never_left_out() {
    let alertmanager = Alertmanager::start(&settings());
    let alert = |name: &str, service: &str, instance: &str, process: &str| -> Labels {
        let labels = [
            ("alertname", name),
            ("service", service),
            ("environment", "production"),
            ("mode", "live"),
            ("severity", "critical"),
            ("instance", instance),
            ("process", process),
        ];
        let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
        labels.map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    };
    let quiet = [
        alert("ProcessDead", "desk", "host-1:9466", "desk"),
        alert("ProcessDead", "router", "host-2:9466", "router"),
    ];
    let others = [
        alert("DeskDown", "desk", "desk-1:9464", ""),
        alert("ProcessHung", "desk", "host-1:9466", "desk"),
        alert("DeskCrashLooping", "router", "router-1:9464", ""),
        // It opens no socket, so that nothing else tells of it.
        alert("ProcessDead", "worker", "host-1:9466", "worker"),
    ];
    for labels in quiet.iter().chain(&others) {
        alertmanager.post(labels, true);
    }
    are_quiet(&alertmanager, quiet);
}
