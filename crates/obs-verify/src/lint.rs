//! A linter of alerts: what fires when it should not, or stays silent when it should not.
//!
//! [`queried::check`] says whether a query can be answered at all. This says whether an alert over it does
//! what its author has in mind. Each rule has a word, so that what a team lives with for now can be listed, and the list can only
//! become shorter: see [`apart_from`].

use std::collections::BTreeMap;
use std::fmt;

use obs_core::{Kind, Unit};
use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{AggregateExpr, BinaryExpr, Call, Expr, VectorSelector, token};

use crate::exposition::Scraped;
use crate::promql::{Quantity, Series, Shape, Vocabulary, Yield, parse, yields};
use crate::queries::{Alert, Query, Role};
use crate::{Catalog, Family, Fault, Finding, queried};

mod routing;

pub use routing::{is_configuration, of_alertmanager};

/// The values of the label `severity` that wake somebody up.
const PAGES: [&str; 4] = ["critical", "page", "pager", "emergency"];

/// Functions over time whose value depends on how much of their window there is.
const OVER_TIME: [&str; 7] = [
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "quantile_over_time",
    "stddev_over_time",
    "stdvar_over_time",
];

/// What may be wrong with an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Lint {
    /// The mean or the sum of ratios, which weighs what is rare like what is frequent.
    RatioAggregated,
    /// A function over a window that need not be full yet.
    WindowNotFull,
    /// A ratio of events without a floor of how many there must be.
    RatioWithoutFloor,
    /// An aggregation that loses where a page comes from.
    ScopeLost,
    /// `up` of every job there is.
    UpWithoutJob,
    /// Routing or inhibition that mixes environments.
    EnvironmentsMixed,
    /// A threshold on a gauge that may be undefined.
    Undefined,
    /// The increase of a counter whose series begin above 0.
    BornAboveZero,
    /// A page for what a backtest does.
    PagesForBacktest,
    /// A sum that is empty when one of its sides is.
    SumOfAbsent,
}

impl Lint {
    /// Every rule.
    pub const ALL: [Self; 10] = [
        Self::RatioAggregated,
        Self::WindowNotFull,
        Self::RatioWithoutFloor,
        Self::ScopeLost,
        Self::UpWithoutJob,
        Self::EnvironmentsMixed,
        Self::Undefined,
        Self::BornAboveZero,
        Self::PagesForBacktest,
        Self::SumOfAbsent,
    ];

    /// Its word, as lists of known findings have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::RatioAggregated => "ratio-aggregated",
            Self::WindowNotFull => "window-not-full",
            Self::RatioWithoutFloor => "ratio-without-floor",
            Self::ScopeLost => "scope-lost",
            Self::UpWithoutJob => "up-without-job",
            Self::EnvironmentsMixed => "environments-mixed",
            Self::Undefined => "undefined",
            Self::BornAboveZero => "born-above-zero",
            Self::PagesForBacktest => "pages-for-backtest",
            Self::SumOfAbsent => "sum-of-absent",
        }
    }

    /// What to do about it.
    const fn repair(self) -> &'static str {
        match self {
            Self::RatioAggregated => {
                "divide the sums of what the ratio is made of, or take the worst by `min` or `max`"
            }
            Self::WindowNotFull => {
                "give the alert a `for`, or ask for enough samples: `and count_over_time(…) > n`"
            }
            Self::RatioWithoutFloor => {
                "ask for some events too: `and sum(increase(…[1h])) > 20`, for one failure in one request is 100 %"
            }
            Self::ScopeLost => {
                "keep them in the `by` clause, or aggregate `without` what is not needed"
            }
            Self::UpWithoutJob => "name the job: `up{job=\"…\"}`",
            Self::EnvironmentsMixed => "add `environment` to the list",
            Self::Undefined => {
                "say what an undefined value means: a rule on `x != x`, which only NaN is, beside this one"
            }
            Self::BornAboveZero => {
                "count what is new too: `increase(x[w]) > 0 or (x unless x offset w) > 0`"
            }
            Self::PagesForBacktest => "leave backtests out: `mode!=\"backtest\"`",
            Self::SumOfAbsent => {
                "give each side a value where it has none: `(sum(a) or vector(0)) + (sum(b) or vector(0))`"
            }
        }
    }
}

/// The word.
impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One finding of the linter.
#[derive(Clone, Debug)]
pub struct Linted {
    /// The rule that was broken.
    pub lint: Lint,
    /// By what: the name of an alert, a recorded series, or a part of the routing.
    pub name: String,
    /// The same for a report.
    pub finding: Finding,
}

impl Linted {
    pub(crate) fn new(lint: Lint, name: &str, (file, at): (&str, Option<u32>), what: &str) -> Self {
        let finding = Finding::new(Fault::Alert, format!("{what} ({lint})"), lint.repair());
        Self {
            lint,
            name: name.to_owned(),
            finding: finding.at(file, at),
        }
    }

    /// As a list of known findings has it.
    fn key(&self) -> String {
        format!("{} {}", self.name, self.lint)
    }
}

/// Everything the linter says of the rules among these queries.
///
/// `scraped` is what the service exports now, if that is known: it shows which gauges are undefined, and which labels targets
/// have. Without it every label there could be is taken to be there.
#[must_use]
pub fn check(catalog: &Catalog, queries: &[Query], scraped: Option<&Scraped>) -> Vec<Linted> {
    let linter = Linter::new(catalog, queries, scraped);
    queries
        .iter()
        .flat_map(|query| linter.query(query))
        .collect()
}

/// The findings without those that are known, and an error for each that is known and no longer there.
///
/// `known` has a line for each finding: what has it, and the word of the rule, as in `TargetDown up-without-job`. `list` is what
/// the list is called.
#[must_use]
pub fn apart_from(known: &[&str], list: &str, linted: Vec<Linted>) -> Vec<Finding> {
    let found: Vec<String> = linted.iter().map(Linted::key).collect();
    let is_known = |key: &String| known.contains(&key.as_str());
    let gone = known
        .iter()
        .filter(|known| !found.iter().any(|key| key == *known));
    let gone = gone.map(|known| {
        let problem = format!("`{known}` is listed as known, and no longer found");
        Finding::new(Fault::Alert, problem, "take it off the list").at(list, None)
    });
    let gone: Vec<_> = gone.collect();
    let new = linted
        .into_iter()
        .zip(&found)
        .filter(|(_, key)| !is_known(key));
    new.map(|(linted, _)| linted.finding).chain(gone).collect()
}

struct Linter<'a> {
    vocabulary: Vocabulary,
    /// What rules record, by name.
    recorded: BTreeMap<&'a str, Expr>,
    /// Selectors that some alert tests for being undefined, without their matchers.
    tested: Vec<String>,
    /// Families that are undefined now.
    undefined: Vec<String>,
    has_mode: bool,
    has_environment: bool,
}

impl<'a> Linter<'a> {
    fn new(catalog: &'a Catalog, queries: &'a [Query], scraped: Option<&Scraped>) -> Self {
        let parse = |query: &'a Query| match &query.role {
            Role::Record(name) => Some((name.as_str(), parse(&query.text).ok()?)),
            _ => None,
        };
        let has = |label: &str| {
            scraped.is_none_or(|scraped| {
                let mut samples = scraped.exposition.families.iter().flat_map(|f| &f.samples);
                samples.any(|sample| sample.label(label).is_some())
            })
        };
        let undefined = scraped.into_iter().flat_map(|s| &s.exposition.families);
        let undefined = undefined.filter(|f| f.samples.iter().any(|s| s.value.is_nan()));
        Self {
            vocabulary: queried::vocabulary(catalog, queries),
            recorded: queries.iter().filter_map(parse).collect(),
            tested: queries.iter().flat_map(tested).collect(),
            undefined: undefined.map(|family| family.name.clone()).collect(),
            has_mode: has("mode"),
            has_environment: has("environment"),
        }
    }

    fn query(&self, query: &Query) -> Vec<Linted> {
        let Ok(expr) = parse(&query.text) else {
            return Vec::new();
        };
        let mut lints: Vec<(Lint, String)> = Vec::new();
        let name = match &query.role {
            Role::Alert(alert) => {
                self.alert(alert, &expr, &mut lints);
                &alert.name
            }
            Role::Record(name) => {
                self.parts(&expr, &mut lints);
                name
            }
            Role::Panel(_) | Role::Example | Role::Other => return Vec::new(),
        };
        let mut linted = Vec::new();
        lints.dedup();
        for (lint, what) in lints {
            let what = format!("{}: {what}", query.place);
            let one = Linted::new(lint, name, (&query.file, query.line), &what);
            // One word for each rule: the first place is enough to find the others.
            if !linted.iter().any(|known: &Linted| known.lint == lint) {
                linted.push(one);
            }
        }
        linted
    }

    fn alert(&self, alert: &Alert, expr: &Expr, lints: &mut Vec<(Lint, String)>) {
        self.parts(expr, lints);
        self.thresholds(expr, lints);
        if !alert.is_pending_first {
            windows(expr, lints);
        }
        let has_floor = conjuncts(expr).iter().any(|part| self.is_floor(part));
        if !has_floor && let Some(what) = conjuncts(expr).iter().find_map(|part| self.ratio(part)) {
            lints.push((
                Lint::RatioWithoutFloor,
                format!("{what} is a ratio of events, of which one may be all there is"),
            ));
        }
        let severity = alert.labels.get("severity").map(String::as_str);
        if severity.is_some_and(|severity| PAGES.contains(&severity)) {
            self.page(expr, lints);
        }
    }

    /// What holds for alerts and for what they build on.
    fn parts(&self, expr: &Expr, lints: &mut Vec<(Lint, String)>) {
        walk(expr, &mut |part| match part {
            Expr::Aggregate(aggregate) => lints.extend(self.aggregated_ratio(aggregate)),
            Expr::Binary(binary) => lints.extend(self.sum_of_absent(binary)),
            part => lints.extend(selector(part).and_then(up_without_job)),
        });
    }

    /// What holds for comparisons with a number.
    fn thresholds(&self, expr: &Expr, lints: &mut Vec<(Lint, String)>) {
        walk(expr, &mut |part| {
            let Expr::Binary(binary) = part else {
                return;
            };
            if binary.op.is_comparison_operator() {
                lints.extend(self.undefined(binary));
                lints.extend(self.born_above_zero(binary));
            }
        });
        if has_unless_or_or(expr) {
            lints.retain(|(lint, _)| *lint != Lint::BornAboveZero);
        }
    }

    fn aggregated_ratio(&self, aggregate: &AggregateExpr) -> Option<(Lint, String)> {
        let word = match aggregate.op.id() {
            token::T_AVG => "mean",
            token::T_SUM => "sum",
            _ => return None,
        };
        let series = self.series(&aggregate.expr)?;
        // A rate of seconds is a share of the same clock, and adds up. So do buckets, which count observations of a ratio.
        let is_ratio = series.quantity == Quantity::Of(Unit::Ratio) && !series.shape.is_buckets();
        is_ratio.then(|| {
            let of = named(&aggregate.expr);
            (
                Lint::RatioAggregated,
                format!("takes the {word} of the ratio `{of}`"),
            )
        })
    }

    fn sum_of_absent(&self, binary: &BinaryExpr) -> Option<(Lint, String)> {
        if binary.op.id() != token::T_ADD {
            return None;
        }
        let [left, right] = [&binary.lhs, &binary.rhs].map(|side| unwrapped(side));
        let may_be_absent = |side: &Expr| {
            matches!(
                side,
                Expr::Aggregate(_) | Expr::Call(_) | Expr::VectorSelector(_)
            )
        };
        if !may_be_absent(left) || !may_be_absent(right) {
            return None;
        }
        let (a, b) = (named(left), named(right));
        let sides = (self.series(left)?.family, self.series(right)?.family);
        let together = match sides {
            (Some(one), Some(other)) => exist_together(&one, &other),
            _ => a == b,
        };
        (!together).then(|| {
            (
                Lint::SumOfAbsent,
                format!("adds `{a}` and `{b}`, which is nothing where one of them has no series"),
            )
        })
    }

    fn undefined(&self, binary: &BinaryExpr) -> Option<(Lint, String)> {
        let (side, _) = threshold(binary)?;
        let Expr::VectorSelector(selector) = unwrapped(side) else {
            return None;
        };
        let family = self.family(side)?;
        let is_tested = self.tested.contains(&family.name);
        if family.kind != Kind::Gauge || is_tested || !self.may_be_undefined(&family) {
            return None;
        }
        let name = selector.name.clone().unwrap_or_default();
        Some((
            Lint::Undefined,
            format!(
                "compares `{name}`, which may be undefined; NaN is neither above nor below anything"
            ),
        ))
    }

    /// A gauge that computes something has no value before there is enough to compute from.
    fn may_be_undefined(&self, family: &Family) -> bool {
        let says_so = ["NaN", "ndefined", "nknown"];
        self.undefined.contains(&family.name)
            || says_so.iter().any(|word| family.text().contains(word))
            || matches!(family.unit, Some(Unit::Ratio | Unit::Number))
    }

    fn born_above_zero(&self, binary: &BinaryExpr) -> Option<(Lint, String)> {
        let (side, number) = threshold(binary)?;
        if let Expr::Binary(inner) = unwrapped(side)
            && inner.op.id() == token::T_DIV
        {
            return None;
        }
        // Beyond one event the first one that is missed does not decide.
        let is_any = match binary.op.id() {
            token::T_GTR => number < 1.0,
            token::T_GTE => number <= 1.0,
            token::T_NEQ => number == 0.0,
            _ => false,
        };
        let mut found = None;
        walk(side, &mut |part| {
            if let Expr::Call(call) = part
                && ["increase", "rate", "irate"].contains(&call.func.name)
                && let Some(family) = call.args.args.first().and_then(|range| self.family(range))
                && family.labels.iter().any(crate::Label::is_open)
            {
                found = Some((call.func.name, family.name.clone()));
            }
        });
        let (function, name) = found.filter(|_| is_any)?;
        Some((
            Lint::BornAboveZero,
            format!(
                "takes the `{function}` of `{name}`, whose series begin with their first event: that one is never an increase"
            ),
        ))
    }

    /// A ratio of counts on one side of a comparison, as it is called in the query.
    fn ratio(&self, expr: &Expr) -> Option<String> {
        let Expr::Binary(binary) = unwrapped(expr) else {
            return None;
        };
        if !binary.op.is_comparison_operator() {
            return None;
        }
        let (side, _) = threshold(binary)?;
        self.is_ratio_of_events(side)
            .then(|| format!("`{}`", named(side)))
    }

    fn is_ratio_of_events(&self, expr: &Expr) -> bool {
        match unwrapped(expr) {
            Expr::Binary(binary) if binary.op.id() == token::T_DIV => {
                self.is_of_events(&binary.lhs) && self.is_of_events(&binary.rhs)
                    || self.is_ratio_of_events(&binary.lhs)
            }
            Expr::Binary(binary) if [token::T_SUB, token::T_MUL].contains(&binary.op.id()) => {
                self.is_ratio_of_events(&binary.lhs) || self.is_ratio_of_events(&binary.rhs)
            }
            Expr::Aggregate(aggregate) => self.is_ratio_of_events(&aggregate.expr),
            Expr::VectorSelector(selector) => selector
                .name
                .as_deref()
                .and_then(|name| self.recorded.get(name))
                .is_some_and(|recorded| self.is_ratio_of_events(recorded)),
            _ => false,
        }
    }

    /// Whether an expression counts things that happen, one by one.
    fn is_of_events(&self, expr: &Expr) -> bool {
        let mut counts = false;
        walk(expr, &mut |part| {
            if let Expr::Call(Call { func, args }) = part
                && ["rate", "increase"].contains(&func.name)
                && let Some(series) = args.args.first().and_then(|range| self.series(range))
            {
                let is_count = series.quantity == Quantity::Of(Unit::Count);
                counts |= is_count && series.shape == Shape::Counter;
            }
        });
        counts
    }

    /// Whether a part of a conjunction asks for a number of events.
    fn is_floor(&self, expr: &Expr) -> bool {
        let Expr::Binary(binary) = unwrapped(expr) else {
            return false;
        };
        let is_above = [token::T_GTR, token::T_GTE].contains(&binary.op.id());
        let Some((side, number)) = threshold(binary) else {
            return false;
        };
        is_above && number > 0.0 && self.counts_events(side)
    }

    fn counts_events(&self, expr: &Expr) -> bool {
        match unwrapped(expr) {
            Expr::VectorSelector(selector) => selector
                .name
                .as_deref()
                .and_then(|name| self.recorded.get(name))
                .is_some_and(|recorded| self.counts_events(recorded)),
            // Not a quotient of counts.
            Expr::Binary(binary) if binary.op.id() == token::T_DIV => false,
            other => self.is_of_events(other),
        }
    }

    fn page(&self, expr: &Expr, lints: &mut Vec<(Lint, String)>) {
        if let Some(series) = self.series(expr) {
            let wanted = [
                ("environment", self.has_environment),
                ("mode", self.has_mode && !is_about_targets(expr)),
                ("instance", picks_one(expr) && !series.labels.is_empty()),
            ];
            let lost: Vec<_> = wanted
                .into_iter()
                .filter(|(label, there)| *there && !series.labels.contains(*label))
                .map(|(label, _)| label)
                .collect();
            if !lost.is_empty() {
                lints.push((
                    Lint::ScopeLost,
                    format!(
                        "pages without saying the {} it is about",
                        lost.join(" and the ")
                    ),
                ));
            }
        }
        if self.has_mode && !is_about_targets(expr) && !self.leaves_backtests_out(expr) {
            lints.push((
                Lint::PagesForBacktest,
                "pages for `mode=\"backtest\"` too".to_owned(),
            ));
        }
    }

    /// Whether some selector leaves backtests out, also behind what rules record.
    fn leaves_backtests_out(&self, expr: &Expr) -> bool {
        let mut leaves = false;
        walk(expr, &mut |part| {
            let Some(selector) = selector(part) else {
                return;
            };
            let excludes =
                |matcher: &Matcher| matcher.name == "mode" && !matcher.is_match("backtest");
            leaves |= selector.matchers.matchers.iter().any(excludes);
            let recorded = selector
                .name
                .as_deref()
                .and_then(|name| self.recorded.get(name));
            leaves |= recorded.is_some_and(|recorded| self.leaves_backtests_out(recorded));
        });
        leaves
    }

    fn series(&self, expr: &Expr) -> Option<Series> {
        match yields(expr, "", &self.vocabulary)? {
            Yield::Vector(series) | Yield::Range(series) => Some(series),
            _ => None,
        }
    }

    fn family(&self, expr: &Expr) -> Option<std::sync::Arc<Family>> {
        self.series(expr)?.family
    }
}

/// Whether one has series whenever the other has: a family itself, and those of one struct whose series are all there as soon as
/// it is built.
fn exist_together(one: &Family, other: &Family) -> bool {
    let is_known = |family: &Family| {
        let scope = family.scope.unwrap_or_default();
        !family.labels.iter().skip(scope).any(crate::Label::is_open)
    };
    let is_one_struct = one.declared_at.is_some() && one.declared_at == other.declared_at;
    one.name == other.name || is_one_struct && is_known(one) && is_known(other)
}

fn windows(expr: &Expr, lints: &mut Vec<(Lint, String)>) {
    let mut counts_samples = false;
    let mut found = None;
    walk(expr, &mut |part| {
        if let Expr::Call(call) = part {
            counts_samples |= call.func.name == "count_over_time";
            if OVER_TIME.contains(&call.func.name) {
                found.get_or_insert((call.func.name, named(part)));
            }
        }
    });
    if let Some((function, name)) = found.filter(|_| !counts_samples) {
        lints.push((
            Lint::WindowNotFull,
            format!(
                "takes `{function}` of `{name}` and fires at once, also when the window holds a single sample"
            ),
        ));
    }
}

fn up_without_job(selector: &VectorSelector) -> Option<(Lint, String)> {
    let names_job = |matcher: &Matcher| {
        matcher.name == "job" && !matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotRe(_))
    };
    let is_up = selector.name.as_deref() == Some("up");
    let is_named = selector.matchers.matchers.iter().any(names_job);
    (is_up && !is_named).then(|| {
        (
            Lint::UpWithoutJob,
            "asks for `up` of every target that this Prometheus has".to_owned(),
        )
    })
}

/// The families that an alert holds against themselves: only NaN differs from itself.
fn tested(query: &Query) -> Vec<String> {
    let mut names = Vec::new();
    let Ok(expr) = parse(&query.text) else {
        return names;
    };
    walk(&expr, &mut |part| {
        if let Expr::Binary(binary) = part
            && binary.op.id() == token::T_NEQ
            && binary.lhs.to_string() == binary.rhs.to_string()
        {
            names.push(named(&binary.lhs));
        }
    });
    names
}

/// The side of a comparison that is compared with a number, and the number.
fn threshold(binary: &BinaryExpr) -> Option<(&Expr, f64)> {
    if !binary.op.is_comparison_operator() {
        return None;
    }
    match (number(&binary.lhs), number(&binary.rhs)) {
        (None, Some(number)) => Some((&binary.lhs, number)),
        (Some(number), None) => Some((&binary.rhs, number)),
        _ => None,
    }
}

/// The value of an expression of numbers alone.
fn number(expr: &Expr) -> Option<f64> {
    match unwrapped(expr) {
        Expr::NumberLiteral(literal) => Some(literal.val),
        Expr::Unary(unary) => number(&unary.expr).map(|number| -number),
        Expr::Binary(binary) => {
            let (left, right) = (number(&binary.lhs)?, number(&binary.rhs)?);
            match binary.op.id() {
                token::T_ADD => Some(left + right),
                token::T_SUB => Some(left - right),
                token::T_MUL => Some(left * right),
                token::T_DIV => Some(left / right),
                _ => None,
            }
        }
        _ => None,
    }
}

pub(crate) fn unwrapped(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(paren) => unwrapped(&paren.expr),
        other => other,
    }
}

/// What has to hold together.
fn conjuncts(expr: &Expr) -> Vec<&Expr> {
    match unwrapped(expr) {
        Expr::Binary(binary) if binary.op.id() == token::T_LAND => {
            let mut parts = conjuncts(&binary.lhs);
            parts.extend(conjuncts(&binary.rhs));
            parts
        }
        Expr::Binary(binary) if binary.op.id() == token::T_LUNLESS => conjuncts(&binary.lhs),
        other => vec![other],
    }
}

fn has_unless_or_or(expr: &Expr) -> bool {
    let mut has = false;
    walk(expr, &mut |part| {
        if let Expr::Binary(binary) = part {
            has |= [token::T_LOR, token::T_LUNLESS].contains(&binary.op.id());
        }
    });
    has
}

/// Whether it is about targets, or about the programs that watch them, which know nothing of modes.
fn is_about_targets(expr: &Expr) -> bool {
    let mut names = Vec::new();
    walk(expr, &mut |part| {
        names.extend(selector(part).and_then(|selector| selector.name.clone()));
    });
    let of_watchers = ["scrape_", "prometheus_", "alertmanager_"];
    names.iter().all(|name| {
        ["up", "ALERTS"].contains(&name.as_str())
            || of_watchers.iter().any(|prefix| name.starts_with(prefix))
    })
}

/// Whether it takes the value of one of several processes, which is then the one to look at.
fn picks_one(expr: &Expr) -> bool {
    let mut picks = false;
    walk(expr, &mut |part| {
        if let Expr::Aggregate(aggregate) = part {
            let is_pick = [token::T_MIN, token::T_MAX].contains(&aggregate.op.id());
            picks |= is_pick && matches!(unwrapped(&aggregate.expr), Expr::VectorSelector(_));
        }
    });
    picks
}

/// The first series that an expression names.
fn named(expr: &Expr) -> String {
    let mut name = None;
    walk(expr, &mut |part| {
        if let (None, Some(selector)) = (&name, selector(part)) {
            name.clone_from(&selector.name);
        }
    });
    name.unwrap_or_default()
}

/// The selector that a part of an expression is, of the present or of a range.
pub(crate) fn selector(expr: &Expr) -> Option<&VectorSelector> {
    match expr {
        Expr::VectorSelector(selector) => Some(selector),
        Expr::MatrixSelector(matrix) => Some(&matrix.vs),
        _ => None,
    }
}

/// Goes through an expression and everything in it.
pub(crate) fn walk<'e>(expr: &'e Expr, visit: &mut dyn FnMut(&'e Expr)) {
    visit(expr);
    match expr {
        Expr::Paren(paren) => walk(&paren.expr, visit),
        Expr::Unary(unary) => walk(&unary.expr, visit),
        Expr::Subquery(subquery) => walk(&subquery.expr, visit),
        Expr::Aggregate(aggregate) => {
            if let Some(param) = &aggregate.param {
                walk(param, visit);
            }
            walk(&aggregate.expr, visit);
        }
        Expr::Call(call) => call
            .args
            .args
            .iter()
            .for_each(|argument| walk(argument, visit)),
        Expr::Binary(binary) => {
            walk(&binary.lhs, visit);
            walk(&binary.rhs, visit);
        }
        _ => {}
    }
}
