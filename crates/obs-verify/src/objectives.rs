//! Rules, and their tests, from the objectives that families declare and those that an installation states.
//!
//! The alerts are those of Google's SRE workbook, chapter 5: the error budget is spent too fast over a long window, and still is
//! over a short one. Three pairs of windows tell an outage from a leak. None of them fires on a few events: see [`FEWEST_FAILED`].

mod burn;
mod cases;
mod selector;
mod stated;

pub use burn::{Window, Windows};
pub use cases::tests;
pub use stated::Stated;
pub(crate) use stated::check;

use std::fmt::Write;

use obs_core::Unit;

use burn::{Burn, SHORTEST, recorded};
use selector::{Failing, Selector};

use crate::{Catalog, Error, Family, Label};

/// So many events have to have failed within the long window: with little traffic one failure is a large share, and no outage.
pub const FEWEST_FAILED: u32 = 10;

/// Leaves out what runs on the clock of a replay.
const LIVE_ONLY: &str = r#"mode!="backtest""#;

/// How often the rules are evaluated, in seconds; what is recorded is added up over windows by it.
const INTERVAL: u64 = 30;

/// From this window on, in seconds, what is recorded is many samples and changes slowly: it is evaluated every two minutes.
const SLOW: u64 = 86_400;

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

/// An objective with all that its rules need, whether a declaration or the settings state it.
struct Promise<'a> {
    /// What alerts and recorded series are named after.
    name: String,
    /// All events; those of a histogram without its suffix.
    all: Selector,
    failing: Failing,
    percent: f64,
    days: u32,
    during: Option<String>,
    burns: Vec<Burn>,
    fewest_failed: u32,
    /// The family that counts all events.
    family: Option<&'a Family>,
    /// The family that counts those that failed, or were good.
    counted: Option<&'a Family>,
    style: &'a Style,
}

/// Every objective: of the declarations, and of the settings.
fn promises<'a>(
    catalog: &'a Catalog,
    stated: &[Stated],
    style: &'a Style,
) -> Result<Vec<Promise<'a>>, Error> {
    let mut promises = Vec::new();
    for family in &catalog.families {
        if let Some(objective) = &family.objective {
            promises.push(Promise::declared(family, objective, style)?);
        }
    }
    for objective in stated {
        promises.push(Promise::stated(catalog, objective, style)?);
    }
    Ok(promises)
}

/// The rules that follow from the declarations of a catalogue, alerts on each objective and on budgets of series, and from the objectives
/// that an installation states besides. It fails on a stated objective whose families the catalogue does not have.
pub fn rules(
    catalog: &Catalog,
    stated: &[Stated],
    style: &Style,
    by: &str,
) -> Result<String, Error> {
    let mut text =
        format!("# Written by `{by}` from the declarations and the settings.\ngroups:\n");
    for promise in promises(catalog, stated, style)? {
        promise.rules(&mut text);
    }
    if style.budgets {
        text.push_str(&budgets(catalog, style));
    }
    if text.ends_with("groups:\n") {
        text = text.replace("groups:\n", "groups: []\n");
    }
    Ok(text)
}

impl<'a> Promise<'a> {
    fn declared(
        family: &'a Family,
        objective: &crate::Objective,
        style: &'a Style,
    ) -> Result<Self, Error> {
        let wrong = |reason| Error::Objective {
            name: family.name.clone(),
            reason,
        };
        let of_family = |matchers: &str| Selector::read(matchers, &family.name).map_err(wrong);
        let label = objective.label.as_deref().unwrap_or_default();
        let failing = match objective.under {
            Some(bound) => Failing::Beyond(bound),
            None => Failing::Bad(of_family(&format!(
                "{label}!~\"{}\"",
                objective.good.join("|")
            ))?),
        };
        Ok(Self {
            name: family.name.clone(),
            all: of_family("")?,
            failing,
            percent: objective.percent,
            days: objective.days,
            during: objective.during.clone(),
            burns: Windows::default().burns().map_err(wrong)?,
            fewest_failed: FEWEST_FAILED,
            family: Some(family),
            counted: Some(family),
            style,
        })
    }

    fn stated(catalog: &'a Catalog, stated: &Stated, style: &'a Style) -> Result<Self, Error> {
        stated.held_to(catalog)?;
        let failing = stated.failing()?;
        let family = |name: &str| catalog.family(name).map(|family| &**family);
        let counted = failing.selector().and_then(|it| family(&it.family));
        Ok(Self {
            name: stated.name.clone(),
            all: stated.all()?,
            failing,
            percent: stated.percent,
            days: stated.days,
            during: stated.during.clone(),
            burns: stated.burns()?,
            fewest_failed: stated.fewest_failed,
            family: family(&stated.family),
            counted,
            style,
        })
    }
}

/// Promises as rules.
impl Promise<'_> {
    /// `desk_fill_seconds` as `DeskFillSeconds`.
    fn title(&self) -> String {
        let name = self.name.trim_end_matches("_total");
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
        ((100.0 - self.percent) * 1e9).round() / 1e11
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

    fn by(&self) -> String {
        self.style.by.join(", ")
    }

    /// Events a second over a window, of these series.
    fn rate(&self, selector: &Selector, suffix: &str, window: &str) -> String {
        let modes = if self.tells_modes() { "" } else { LIVE_ONLY };
        let selector = selector.with(&self.style.matchers).with(modes);
        format!(
            "sum by ({}) (rate({}[{window}]))",
            self.by(),
            selector.shown(suffix)
        )
    }

    /// Events a second over a window: all of them.
    fn all(&self, window: &str) -> String {
        let suffix = if self.failing.is_bound() {
            "_count"
        } else {
            ""
        };
        self.rate(&self.all, suffix, window)
    }

    /// The same: those that failed. They are there as long as any events are.
    fn failed(&self, window: &str) -> String {
        let all = self.all(window);
        match &self.failing {
            Failing::Beyond(bound) => {
                let good = self.all.with(&bucket(*bound));
                format!("{all} - {}", self.rate(&good, "_bucket", window))
            }
            Failing::Bad(bad) => format!(
                "({} or 0 * {all})",
                self.rate(&self.of_all(bad), "", window)
            ),
            Failing::AllBut(good) => format!(
                "{all} - ({} or 0 * {all})",
                self.rate(&self.of_all(good), "", window)
            ),
        }
    }

    /// Of the family that counts all events, only those that the objective is about.
    fn of_all(&self, selector: &Selector) -> Selector {
        if selector.family == self.all.family {
            selector.with(&self.all.matchers)
        } else {
            selector.clone()
        }
    }

    fn record(&self, what: &str, window: &str) -> String {
        format!("objective:{}:{what}{window}", self.name)
    }

    fn rules(&self, text: &mut String) {
        let (slow, quick): (Vec<_>, Vec<_>) = recorded(&self.burns)
            .into_iter()
            .partition(|(_, seconds)| *seconds >= SLOW);
        self.group(text, "", INTERVAL, &quick);
        self.alerts(text);
        if !slow.is_empty() {
            self.group(text, "-days", 120, &slow);
        }
        self.budget_left(text);
    }

    /// A group with what is recorded over some windows.
    fn group(&self, text: &mut String, suffix: &str, interval: u64, windows: &[(&str, u64)]) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  - name: objective-{}{suffix}\n    interval: {interval}s\n    rules:",
            self.name
        );
        let mut record = |what: &str, window: &str, expr: &str| {
            let name = self.record(what, window);
            let _ = writeln!(
                text,
                "      - record: {name}\n        expr: >-\n          {expr}"
            );
        };
        for (window, seconds) in windows {
            record(
                "all_rate",
                window,
                &self.recorded("all_rate", window, *seconds),
            );
            record(
                "failed_rate",
                window,
                &self.recorded("failed_rate", window, *seconds),
            );
            let [failed, all] = ["failed_rate", "all_rate"].map(|what| self.record(what, window));
            record("failed_ratio", window, &format!("{failed} / {all}"));
        }
    }

    /// What is recorded over a window. What happens while the switch is off is not recorded over the shortest, from which all others are
    /// added up then.
    fn recorded(&self, what: &str, window: &str, seconds: u64) -> String {
        let rate = if what == "all_rate" {
            self.all(window)
        } else {
            self.failed(window)
        };
        let Some(switch) = &self.during else {
            return rate;
        };
        if window == SHORTEST {
            let by = self.by();
            return format!("({rate}) and on ({by}) (max by ({by}) ({switch}) == 1)");
        }
        let base = self.record(what, SHORTEST);
        format!("sum_over_time({base}[{window}]) * {INTERVAL} / {seconds}")
    }

    fn alerts(&self, text: &mut String) {
        for burn in &self.burns {
            self.alert(text, burn);
        }
    }

    fn alert(&self, text: &mut String, burn: &Burn) {
        let name = self.alert_name(burn);
        let times = self.times(burn);
        let threshold = format!("{times} * {}", self.budget());
        let modes = if self.tells_modes() {
            format!("{{{LIVE_ONLY}}}")
        } else {
            String::new()
        };
        let labels = if self.style.labels.is_empty() {
            String::new()
        } else {
            format!(", {}", self.style.labels)
        };
        let _ = write!(
            text,
            "      - alert: {name}\n        expr: >-\n          {}{modes} > {threshold}\n          and {} > {threshold}\n          and {} * {} >= {}\n        for: {}\n        labels: {{ severity: {}, objective: {}{labels} }}\n",
            self.record("failed_ratio", &burn.long),
            self.record("failed_ratio", &burn.short),
            self.record("failed_rate", &burn.long),
            burn.long_seconds(),
            self.fewest_failed,
            burn.pending,
            burn.severity,
            self.name,
        );
        let _ = write!(
            text,
            "        annotations:\n          summary: \"{{{{ $labels.service }}}} spends the error budget of {} {}\"\n          description: \"{}: {{{{ $value | humanizePercentage }}}} failed within {}.\"\n",
            self.name,
            pace(times),
            self.words(),
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

    fn alert_name(&self, burn: &Burn) -> String {
        format!("{}Burn{}", self.title(), burn.name)
    }

    /// What is left of the budget, over the days of the objective.
    fn budget_left(&self, text: &mut String) {
        let (days, budget) = (self.days, self.budget());
        let name = &self.name;
        let [failed, all] = ["failed_rate", "all_rate"].map(|what| self.record(what, SHORTEST));
        let _ = write!(
            text,
            "  - name: objective-{name}-budget\n    interval: 5m\n    rules:\n      - record: objective:{name}:budget_left_ratio\n        expr: >-\n          1 - sum_over_time({failed}[{days}d]) / sum_over_time({all}[{days}d]) / {budget}\n"
        );
    }

    /// The objective as people read it.
    fn words(&self) -> String {
        let Self { percent, days, .. } = self;
        let unit = self.family.and_then(|family| family.unit);
        match self.failing {
            Failing::Beyond(bound) if unit == Some(Unit::Seconds) => {
                format!("{percent} % under {bound} s over {days} days")
            }
            Failing::Beyond(bound) => format!("{percent} % under {bound} over {days} days"),
            _ => format!("{percent} % good over {days} days"),
        }
    }
}

/// The matcher of a bucket. A whole number is `1` in the text format and `1.0` in `OpenMetrics`, and Prometheus 3 stores the latter.
fn bucket(bound: f64) -> String {
    if bound.fract() == 0.0 {
        format!("le=~\"{bound}([.]0)?\"")
    } else {
        format!("le=\"{bound}\"")
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
