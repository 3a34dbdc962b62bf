//! Rules, and their tests, from the objectives that families declare.
//!
//! The alerts are those of Google's SRE workbook, chapter 5: the error budget is spent too fast over a long window, and still is
//! over a short one. Three pairs of windows tell an outage from a leak. None of them fires on a few events: see [`FEWEST_FAILED`].

mod cases;

pub use cases::tests;

use std::fmt::Write;

use obs_core::Unit;

use crate::{Catalog, Family, Label};

/// So many events have to have failed within the long window: with little traffic one failure is a large share, and no outage.
pub const FEWEST_FAILED: u32 = 10;

/// Leaves out what runs on the clock of a replay.
const LIVE_ONLY: &str = r#"mode!="backtest""#;

/// How often the rules are evaluated, in seconds; what is recorded is added up over windows by it.
const INTERVAL: u32 = 30;

/// A pair of windows, and how many times faster than allowed the budget may be spent.
struct Burn {
    name: &'static str,
    long: &'static str,
    short: &'static str,
    /// Of a budget of 30 days: 2 % in an hour, 5 % in six, 10 % in three days.
    times: f64,
    severity: &'static str,
    pending: &'static str,
}

const BURNS: [Burn; 3] = [
    Burn {
        name: "Fast",
        long: "1h",
        short: "5m",
        times: 14.4,
        severity: "critical",
        pending: "2m",
    },
    Burn {
        name: "Slow",
        long: "6h",
        short: "30m",
        times: 6.0,
        severity: "critical",
        pending: "15m",
    },
    Burn {
        name: "Steady",
        long: "3d",
        short: "6h",
        times: 1.0,
        severity: "warning",
        pending: "1h",
    },
];

/// The windows over which what failed is recorded, with their seconds.
const WINDOWS: [(&str, u32); 5] = [
    ("5m", 300),
    ("30m", 1_800),
    ("1h", 3_600),
    ("6h", 21_600),
    ("3d", 259_200),
];

/// How rules are written.
#[derive(Clone, Debug)]
pub struct Style {
    /// Matchers that every selector gets, such as `job="desk"`; may be empty.
    pub matchers: String,
    /// The labels that tell services apart, which every rule keeps.
    pub by: Vec<String>,
    /// What stands in front of an alert's name in lower case for the address of its runbook; empty for none.
    pub runbooks: String,
    /// The labels that each alert gets, as YAML in braces would have them, such as `team: desk`; may be empty.
    pub labels: String,
    /// Whether families that come near their budgets of series get alerts too.
    pub budgets: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            matchers: String::new(),
            by: ["service", "environment", "mode"]
                .map(str::to_owned)
                .to_vec(),
            runbooks: String::new(),
            labels: String::new(),
            budgets: true,
        }
    }
}

/// A family with its objective.
struct Kept<'a> {
    family: &'a Family,
    objective: &'a crate::catalog::Objective,
    style: &'a Style,
}

/// The families that have an objective.
fn kept<'a>(catalog: &'a Catalog, style: &'a Style) -> impl Iterator<Item = Kept<'a>> {
    catalog.families.iter().filter_map(move |family| {
        Some(Kept {
            family,
            objective: family.objective.as_ref()?,
            style,
        })
    })
}

/// The rules that follow from the declarations of a catalogue: alerts on each objective, and on budgets of series.
#[must_use]
pub fn rules(catalog: &Catalog, style: &Style, by: &str) -> String {
    let mut text = format!("# Written by `{by}` from the declarations.\ngroups:\n");
    for kept in kept(catalog, style) {
        kept.rules(&mut text);
    }
    if style.budgets {
        text.push_str(&budgets(catalog, style));
    }
    if text.ends_with("groups:\n") {
        text = text.replace("groups:\n", "groups: []\n");
    }
    text
}

/// Promises as rules.
impl Kept<'_> {
    fn name(&self) -> &str {
        &self.family.name
    }

    /// `desk_fill_seconds` as `DeskFillSeconds`.
    fn title(&self) -> String {
        let name = self.name().trim_end_matches("_total");
        let capital = |word: &str| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| {
                first.to_uppercase().collect::<String>() + letters.as_str()
            })
        };
        name.split('_').map(capital).collect()
    }

    /// The share that may fail.
    fn budget(&self) -> f64 {
        // A tenth of a percent is no power of two: what is left of 100 is rounded to what was written.
        ((100.0 - self.objective.percent) * 1e9).round() / 1e11
    }

    /// How many times faster than allowed a pair of windows lets the budget be spent. A promise of 80 % is never broken 14.4 times
    /// too fast, since no more than everything can fail: there it is halfway to that.
    fn times(&self, burn: &Burn) -> f64 {
        let most = f64::midpoint(1.0, 1.0 / self.budget());
        burn.times.min((most * 10.0).floor() / 10.0)
    }

    /// Whether what is recorded still says the mode. If so, backtests are recorded too, for the dashboards, and no alert asks for them.
    fn tells_modes(&self) -> bool {
        self.style.by.iter().any(|label| label == "mode")
    }

    fn selector(&self, suffix: &str, matcher: &str) -> String {
        let modes = if self.tells_modes() { "" } else { LIVE_ONLY };
        let matchers: Vec<_> = [self.style.matchers.as_str(), matcher, modes]
            .into_iter()
            .filter(|matcher| !matcher.is_empty())
            .collect();
        format!("{}{suffix}{{{}}}", self.name(), matchers.join(", "))
    }

    fn by(&self) -> String {
        self.style.by.join(", ")
    }

    /// Events a second over a window: all of them.
    fn all(&self, window: &str) -> String {
        let by = self.by();
        let selector = match self.objective.under {
            Some(_) => self.selector("_count", ""),
            None => self.selector("", ""),
        };
        format!("sum by ({by}) (rate({selector}[{window}]))")
    }

    /// The same: those that failed. They are there as long as any events are.
    fn failed(&self, window: &str) -> String {
        let by = self.by();
        if let Some(bound) = self.objective.under {
            let good = self.selector("_bucket", &format!("le=\"{bound}\""));
            return format!(
                "{} - sum by ({by}) (rate({good}[{window}]))",
                self.all(window)
            );
        }
        let label = self.objective.label.as_deref().unwrap_or_default();
        let bad = self.selector(
            "",
            &format!("{label}!~\"{}\"", self.objective.good.join("|")),
        );
        format!(
            "(sum by ({by}) (rate({bad}[{window}])) or 0 * {})",
            self.all(window)
        )
    }

    fn record(&self, what: &str, window: &str) -> String {
        format!("objective:{}:{what}{window}", self.name())
    }

    fn rules(&self, text: &mut String) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  - name: objective-{}\n    interval: {INTERVAL}s\n    rules:",
            self.name()
        );
        let mut record = |name: &str, expr: &str| {
            let _ = writeln!(
                text,
                "      - record: {name}\n        expr: >-\n          {expr}"
            );
        };
        match &self.objective.during {
            None => {
                for (window, _) in WINDOWS {
                    record(&self.record("all_rate", window), &self.all(window));
                    record(&self.record("failed_rate", window), &self.failed(window));
                }
            }
            Some(switch) => {
                let by = self.by();
                let open = format!("and on ({by}) (max by ({by}) ({switch}) == 1)");
                // What happens while the switch is off is not recorded, and so not in any window.
                record(
                    &self.record("all_rate", "5m"),
                    &format!("{} {open}", self.all("5m")),
                );
                record(
                    &self.record("failed_rate", "5m"),
                    &format!("({}) {open}", self.failed("5m")),
                );
                for (window, seconds) in &WINDOWS[1..] {
                    for what in ["all_rate", "failed_rate"] {
                        let base = self.record(what, "5m");
                        let expr =
                            format!("sum_over_time({base}[{window}]) * {INTERVAL} / {seconds}");
                        record(&self.record(what, window), &expr);
                    }
                }
            }
        }
        for (window, _) in WINDOWS {
            let expr = format!(
                "{} / {}",
                self.record("failed_rate", window),
                self.record("all_rate", window)
            );
            record(&self.record("failed_ratio", window), &expr);
        }
        self.alerts(text);
        self.budget_left(text);
    }

    fn alerts(&self, text: &mut String) {
        let budget = self.budget();
        for burn in &BURNS {
            let seconds = WINDOWS
                .iter()
                .find(|(window, _)| *window == burn.long)
                .map_or(0, |(_, s)| *s);
            let name = format!("{}Burn{}", self.title(), burn.name);
            let times = self.times(burn);
            let threshold = format!("{times} * {budget}");
            let modes = if self.tells_modes() {
                format!("{{{LIVE_ONLY}}}")
            } else {
                String::new()
            };
            let _ = write!(
                text,
                "      - alert: {name}\n        expr: >-\n          {}{modes} > {threshold}\n          and {} > {threshold}\n          and {} * {seconds} >= {FEWEST_FAILED}\n        for: {}\n        labels: {{ severity: {}, objective: {}{} }}\n",
                self.record("failed_ratio", burn.long),
                self.record("failed_ratio", burn.short),
                self.record("failed_rate", burn.long),
                burn.pending,
                burn.severity,
                self.name(),
                if self.style.labels.is_empty() {
                    String::new()
                } else {
                    format!(", {}", self.style.labels)
                },
            );
            let _ = write!(
                text,
                "        annotations:\n          summary: \"{{{{ $labels.service }}}} spends the error budget of {} {}\"\n          description: \"{}: {{{{ $value | humanizePercentage }}}} failed within {}.\"\n",
                self.name(),
                pace(times),
                self.promise(),
                burn.long,
            );
            if !self.style.runbooks.is_empty() {
                let _ = writeln!(
                    text,
                    "          runbook_url: {}{}",
                    self.style.runbooks,
                    name.to_lowercase()
                );
            }
        }
    }

    /// What is left of the budget, over the days of the objective.
    fn budget_left(&self, text: &mut String) {
        let (days, budget) = (self.objective.days, self.budget());
        let name = self.name();
        let [failed, all] = ["failed_rate", "all_rate"].map(|what| self.record(what, "5m"));
        let _ = write!(
            text,
            "  - name: objective-{name}-budget\n    interval: 5m\n    rules:\n      - record: objective:{name}:budget_left_ratio\n        expr: >-\n          1 - sum_over_time({failed}[{days}d]) / sum_over_time({all}[{days}d]) / {budget}\n"
        );
    }

    /// The objective as people read it.
    fn promise(&self) -> String {
        let crate::catalog::Objective {
            percent,
            under,
            days,
            ..
        } = self.objective;
        match under {
            Some(bound) if self.family.unit == Some(Unit::Seconds) => {
                format!("{percent} % under {bound} s over {days} days")
            }
            Some(bound) => format!("{percent} % under {bound} over {days} days"),
            None => format!("{percent} % good over {days} days"),
        }
    }
}

/// How fast a budget is spent, in words.
fn pace(times: f64) -> String {
    if times > 1.0 {
        format!("{times} times as fast as it may")
    } else {
        "faster than it may".to_owned()
    }
}

/// Alerts on families that come near their budgets, where the service counts its series.
fn budgets(catalog: &Catalog, style: &Style) -> String {
    let mut text = String::new();
    if catalog.family("obs_series").is_none() {
        return text;
    }
    let bounded = catalog.families.iter().filter(|family| {
        let open = family.labels.iter().any(Label::is_open);
        open && !family.name.starts_with("obs_") && family.budget.is_some()
    });
    let by = style.by.join(", ");
    let more = if style.matchers.is_empty() {
        String::new()
    } else {
        format!(", {}", style.matchers)
    };
    for family in bounded {
        if text.is_empty() {
            text.push_str("  - name: series-budgets\n    rules:\n");
        }
        let budget = family.budget.unwrap_or_default();
        let _ = write!(
            text,
            "      - alert: SeriesBudgetNear\n        expr: max by ({by}, metric) (obs_series{{metric=\"{0}\"{more}}}) > 0.9 * {budget}\n        for: 10m\n        labels: {{ severity: warning }}\n        annotations:\n          summary: \"{0} has {{{{ $value }}}} series of at most {budget}; new label values will fold into `other`\"\n",
            family.name,
        );
    }
    text
}
