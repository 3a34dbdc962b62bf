//! What Alertmanager does with the alerts: who gets which, in one message with what, and what is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::closed::interval;
use super::{Desk, SCOPE, Settings, calendar};

/// How long Alertmanager waits, by receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// From the first alert of a group to its message.
    pub group: Duration,
    /// Between two messages of a group that changes.
    pub interval: Duration,
    /// Until the message of a group that does not change is sent again.
    pub repeat: Duration,
}

const fn waits(group: u64, interval: u64, repeat: u64) -> Waits {
    Waits {
        group: Duration::from_secs(group),
        interval: Duration::from_secs(interval),
        repeat: Duration::from_secs(repeat),
    }
}

/// Critical alerts of desks that trade: at once.
pub const PAGER: Waits = waits(0, 60, 3_600);
/// Warnings, and all alerts of paper desks.
pub const TICKETS: Waits = waits(10, 300, 12 * 3_600);
/// Alerts of backtests.
pub const CHAT: Waits = waits(60, 900, 24 * 3_600);
/// The alert that fires always.
pub const WATCHDOG: Waits = waits(0, 60, 120);

/// Where alerts go: for each receiver its integrations, as Alertmanager's documentation has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Receivers {
    /// Who gets up at night.
    pub pager: BTreeMap<String, Value>,
    /// What is looked at today.
    pub tickets: BTreeMap<String, Value>,
    /// Where backtests are discussed.
    pub chat: BTreeMap<String, Value>,
    /// A service outside of the installation that raises the alarm when the watchdog stops.
    pub watchdog: BTreeMap<String, Value>,
}

impl Default for Receivers {
    fn default() -> Self {
        let webhook = |name: &str, resolved: bool| {
            let url = format!("http://receiver:9095/{name}");
            let webhook = serde_json::json!([{ "url": url, "send_resolved": resolved }]);
            BTreeMap::from([("webhook_configs".to_owned(), webhook)])
        };
        Self {
            pager: webhook("pager", true),
            tickets: webhook("tickets", true),
            chat: webhook("chat", false),
            watchdog: webhook("watchdog", false),
        }
    }
}

/// An alert that explains others, which are left out while it fires.
struct Inhibition {
    why: &'static str,
    source: &'static str,
    target: &'static str,
    /// Labels that have to be the same, besides those of the scope.
    equal: &'static [&'static str],
}

const INHIBITIONS: [Inhibition; 11] = [
    Inhibition {
        why: "A process that is down, or comes and goes, explains everything else about it.",
        source: r#"alertname="DeskCrashLooping""#,
        target: r#"alertname!="DeskCrashLooping", instance!="""#,
        equal: &["instance"],
    },
    Inhibition {
        why: "",
        source: r#"alertname="DeskDown""#,
        target: r#"alertname!~"DeskDown|DeskCrashLooping", instance!="""#,
        equal: &["instance"],
    },
    Inhibition {
        why: "An agent sees the same death at an address of its own. A hang is never left out: it says more than that no scrape is answered.",
        source: r#"alertname=~"DeskDown|DeskCrashLooping""#,
        target: r#"alertname="ProcessDead""#,
        equal: &[],
    },
    Inhibition {
        why: "A desk that is no target at all cannot report before the open either.",
        source: r#"alertname="TargetAbsent""#,
        target: r#"alertname="DeskMissingAtOpen""#,
        equal: &["instance"],
    },
    Inhibition {
        why: "The worse of two alerts on one thing is enough.",
        source: r#"alertname=~".+BurnFast", objective!="""#,
        target: r#"alertname=~".+Burn(Slow|Steady)""#,
        equal: &["objective"],
    },
    Inhibition {
        why: "",
        source: r#"alertname=~".+BurnSlow", objective!="""#,
        target: r#"alertname=~".+BurnSteady""#,
        equal: &["objective"],
    },
    Inhibition {
        why: "",
        source: r#"alertname="DailyLossNearLimit""#,
        target: r#"alertname="RiskLimitNear""#,
        equal: &["instance", "account", "limit"],
    },
    Inhibition {
        why: "",
        source: r#"alertname="DiskAlmostFull""#,
        target: r#"alertname="DiskFillingUp""#,
        equal: &["instance", "mountpoint"],
    },
    Inhibition {
        why: "",
        source: r#"alertname="DatabasePoolExhausted""#,
        target: r#"alertname="DatabasePoolNearExhaustion""#,
        equal: &["pool"],
    },
    Inhibition {
        why: "",
        source: r#"alertname=~"ProviderDown|ProviderFlapping""#,
        target: r#"alertname=~"ProviderErrorsHigh|ProviderSlow|ProviderDataStale|SentimentProviderMissing""#,
        equal: &["provider"],
    },
    Inhibition {
        why: "",
        source: r#"alertname="FeedDown""#,
        target: r#"alertname=~"FeedStalling|FeedLagHigh|FeedSubscriptionMissing""#,
        equal: &["provider", "feed"],
    },
];

/// A configuration of Alertmanager.
///
/// Its waits are divided by `time_scale`: 1 for what is deployed, more for a test that cannot wait for minutes.
#[must_use]
pub fn configuration(settings: &Settings, time_scale: u32, by: &str) -> String {
    let scale = Scale {
        settings,
        time_scale: time_scale.max(1),
    };
    let mut text = format!("# Written by `{by}`.\n{HEAD}");
    scale.routes(&mut text);
    scale.receivers(&mut text);
    scale.inhibitions(&mut text);
    scale.closed(&mut text);
    text
}

const HEAD: &str = "#
# Who gets which alert, and which alerts are left out because another explains them.
#
# `receiver:9095` is the container of ../docker-compose.yml that prints what arrives: it pages nobody. Receivers of your own go into
# the settings. A secret goes into a file that `url_file` or `credentials_file` names.
#
# Messages and inhibitions keep service, environment and mode apart: an outage in staging neither hides nor joins one in
# production.
";

/// Writes with waits that are divided.
struct Scale<'a> {
    settings: &'a Settings,
    time_scale: u32,
}

impl Scale<'_> {
    /// The labels that keep installations and environments apart.
    fn scope(&self) -> String {
        let mut labels = self.settings.external_labels.clone();
        labels.push(SCOPE.to_owned());
        labels.join(", ")
    }

    fn waits(&self, waits: Waits, indented: usize) -> String {
        let divided = |whole: Duration| readable(whole / self.time_scale);
        format!(
            "{0:indented$}group_wait: {1}\n{0:indented$}group_interval: {2}\n{0:indented$}repeat_interval: {3}\n",
            "",
            divided(waits.group),
            divided(waits.interval),
            divided(waits.repeat),
        )
    }

    fn routes(&self, text: &mut String) {
        let scope = self.scope();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "route:\n  receiver: tickets\n  # One message for an alert of one service, however many strategies, venues or pools it is about.\n  group_by: [alertname, {scope}]\n{}  routes:\n",
            self.waits(TICKETS, 2)
        );
        let _ = write!(
            text,
            "    # Fires always. Its receiver, outside of this installation, raises the alarm when it stops coming.\n    - matchers: [alertname=\"Watchdog\"]\n      receiver: watchdog\n{}",
            self.waits(WATCHDOG, 6)
        );
        let _ = write!(
            text,
            "    # A backtest risks nothing, and is over in the morning: a word in the chat.\n    - matchers: [mode=\"backtest\"]\n      receiver: chat\n      group_by: [{scope}]\n{}",
            self.waits(CHAT, 6)
        );
        text.push_str("    # Paper risks no money: today, not now.\n    - matchers: [mode=\"paper\"]\n      receiver: tickets\n");
        self.waiting(text);
        let _ = write!(
            text,
            "    # Somebody has to look now. Each process holds positions of its own, and is an incident of its own, also of those\n    # that one agent watches: a pager that has one open already does not mention what joins it.\n    - matchers: [severity=\"critical\"]\n{}",
            self.page()
        );
    }

    /// What a route to the pager has besides its matchers.
    fn page(&self) -> String {
        format!(
            "      receiver: pager\n      group_by: [alertname, {}, instance, process]\n{}",
            self.scope(),
            self.waits(PAGER, 6)
        )
    }

    /// Routes of what need not wake anybody while the market is closed.
    fn waiting(&self, text: &mut String) {
        let alerts = self.settings.session_only.join("|");
        let live = |desk: &&Desk| desk.mode == "live" && !alerts.is_empty();
        for desk in self.settings.desks.iter().filter(live) {
            let Some(interval) = closed_name(desk) else {
                continue;
            };
            let matchers = desk
                .labels()
                .fold(String::new(), |mut all, (label, value)| {
                    let _ = write!(all, ", {label}=\"{value}\"");
                    all
                });
            let _ = write!(
                text,
                "    # Nothing can be traded while the market is closed: these wait until five minutes before the open.\n    - matchers: [severity=\"critical\", alertname=~\"{alerts}\"{matchers}]\n      mute_time_intervals: [{interval}]\n{}",
                self.page()
            );
        }
    }

    fn receivers(&self, text: &mut String) {
        let Receivers {
            pager,
            tickets,
            chat,
            watchdog,
        } = &self.settings.receivers;
        text.push_str("\nreceivers:\n");
        for (name, integrations) in [
            ("pager", pager),
            ("tickets", tickets),
            ("chat", chat),
            ("watchdog", watchdog),
        ] {
            let _ = writeln!(text, "  - name: {name}");
            for (integration, configurations) in integrations {
                // JSON is YAML.
                let _ = writeln!(text, "    {integration}: {configurations}");
            }
        }
    }

    fn inhibitions(&self, text: &mut String) {
        text.push_str("\ninhibit_rules:\n");
        for Inhibition {
            why,
            source,
            target,
            equal,
        } in &INHIBITIONS
        {
            if !why.is_empty() {
                let _ = writeln!(text, "  # {why}");
            }
            let _ = writeln!(
                text,
                "  - source_matchers: [{source}]\n    target_matchers: [{target}]\n    equal: [{}]",
                [&[self.scope().as_str()], *equal].concat().join(", ")
            );
        }
    }

    fn closed(&self, text: &mut String) {
        let names: BTreeSet<_> = self
            .settings
            .desks
            .iter()
            .filter_map(|desk| desk.calendar.as_deref())
            .collect();
        let mut intervals = names
            .into_iter()
            .filter_map(|name| interval(&format!("{name}_closed"), &calendar(name)?));
        if let Some(first) = intervals.next() {
            let _ = write!(text, "\ntime_intervals:\n{first}");
            text.extend(intervals);
        }
    }
}

/// A duration in the largest unit that it is a whole number of.
fn readable(duration: Duration) -> String {
    let millis = duration.as_millis();
    let unit = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
    ]
    .into_iter()
    .find(|(_, unit)| millis > 0 && millis.is_multiple_of(*unit));
    match unit {
        Some((name, unit)) => format!("{}{name}", millis / unit),
        // Alertmanager takes no fraction of a millisecond.
        None if duration.is_zero() => "0s".to_owned(),
        None => format!("{}ms", millis.max(1)),
    }
}

/// The name of the time interval in which a desk's market is closed.
fn closed_name(desk: &Desk) -> Option<String> {
    Some(format!("{}_closed", desk.calendar.as_deref()?))
}
