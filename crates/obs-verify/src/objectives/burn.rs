//! Pairs of windows, and how fast a budget may be spent over them.

use promql_parser::util::parse_duration;
use serde::Deserialize;

/// The window over which everything is recorded.
pub(super) const SHORTEST: &str = "5m";

/// A pair of windows, and how many times faster than allowed the budget may be spent.
#[derive(Clone, Debug)]
pub(super) struct Burn {
    pub(super) name: &'static str,
    pub(super) long: String,
    pub(super) short: String,
    pub(super) times: f64,
    pub(super) severity: String,
    pub(super) pending: String,
}

/// What differs from the usual windows of an objective. A pair that is not mentioned is as usual.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Windows {
    /// An hour and five minutes, 14.4 times too fast: 2 % of a budget of 30 days. Critical, after two minutes.
    pub fast: Window,
    /// Six hours and thirty minutes, 6 times too fast: 5 % of it. Critical, after a quarter of an hour.
    pub slow: Window,
    /// Three days and six hours, faster than it may: 10 % of it. A warning, after an hour.
    pub steady: Window,
}

/// What differs from a usual pair of windows.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Window {
    /// The window in which the budget was spent, such as `1h`.
    pub long: Option<String>,
    /// The window in which it still is.
    pub short: Option<String>,
    /// How many times faster than allowed.
    pub times: Option<f64>,
    /// `critical` or `warning`.
    pub severity: Option<String>,
    /// How long both have to hold.
    #[serde(rename = "for")]
    pub pending: Option<String>,
}

impl Windows {
    /// The three pairs, from the fastest.
    pub(super) fn burns(&self) -> Result<Vec<Burn>, String> {
        [
            ("Fast", &self.fast, ["1h", "5m", "2m"], 14.4, "critical"),
            ("Slow", &self.slow, ["6h", "30m", "15m"], 6.0, "critical"),
            ("Steady", &self.steady, ["3d", "6h", "1h"], 1.0, "warning"),
        ]
        .into_iter()
        .map(|(name, window, [long, short, pending], times, severity)| {
            let or = |given: &Option<String>, usual: &str| {
                given.clone().unwrap_or_else(|| usual.to_owned())
            };
            let burn = Burn {
                name,
                long: or(&window.long, long),
                short: or(&window.short, short),
                times: window.times.unwrap_or(times),
                severity: or(&window.severity, severity),
                pending: or(&window.pending, pending),
            };
            burn.check().map(|()| burn)
        })
        .collect()
    }
}

impl Burn {
    fn check(&self) -> Result<(), String> {
        let [long, short, _] = [
            seconds(&self.long)?,
            seconds(&self.short)?,
            seconds(&self.pending)?,
        ];
        if short >= long {
            return Err(format!(
                "has a short window of {} beside a long one of {}; make it shorter",
                self.short, self.long
            ));
        }
        // Nothing shorter is recorded, or seen by a scrape every quarter of a minute.
        if short < 300 {
            return Err(format!(
                "has a window of {}; take five minutes at least",
                self.short
            ));
        }
        if self.times.is_nan() || self.times <= 0.0 {
            return Err(format!(
                "allows its budget to be spent {} times as fast; give a number above 0",
                self.times
            ));
        }
        if !["critical", "warning"].contains(&self.severity.as_str()) {
            return Err(format!(
                "has the severity `{}`; it is `critical` or `warning`",
                self.severity
            ));
        }
        Ok(())
    }

    pub(super) fn long_seconds(&self) -> u64 {
        // Checked when it was read.
        seconds(&self.long).unwrap_or_default()
    }

    pub(super) fn pending_seconds(&self) -> u64 {
        seconds(&self.pending).unwrap_or_default()
    }
}

/// The windows over which what failed is recorded, from the shortest, with their seconds.
pub(super) fn recorded(burns: &[Burn]) -> Vec<(&str, u64)> {
    let all = burns
        .iter()
        .flat_map(|burn| [burn.short.as_str(), burn.long.as_str()]);
    let mut windows: Vec<_> = all
        .chain(Some(SHORTEST))
        .filter_map(|text| Some((text, seconds(text).ok()?)))
        .collect();
    windows.sort_by_key(|(_, seconds)| *seconds);
    windows.dedup();
    windows
}

/// The seconds of a duration as Prometheus writes it.
fn seconds(text: &str) -> Result<u64, String> {
    let duration = parse_duration(text).map_err(|reason| {
        format!("has the duration `{text}`: {reason}; write `5m`, `6h` or `3d`")
    })?;
    Ok(duration.as_secs())
}
