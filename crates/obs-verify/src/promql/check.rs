//! The walk through an expression.

use std::collections::BTreeSet;

use obs_core::Unit;
use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{AggregateExpr, Call, Expr, LabelModifier, VectorSelector, token};

use super::vocabulary::{GLOBAL_LABELS, MODES};
use super::{Problem, Quantity, Series, Shape, Vocabulary, Yield, nearest, parse};

/// What a query yields, and all that is wrong with it. Where something is wrong, what follows from it is not looked at.
#[must_use]
pub fn check(query: &str, vocabulary: &Vocabulary) -> (Option<Yield>, Vec<Problem>) {
    let mut checker = Checker {
        query,
        vocabulary,
        problems: Vec::new(),
    };
    let expr = match parse(query) {
        Ok(expr) => expr,
        Err(error) => {
            checker.tell(
                "",
                format!("is no PromQL: {error}"),
                "write it as Prometheus reads it",
            );
            return (None, checker.problems);
        }
    };
    let mut yields = checker.expr(&expr);
    if let Some(Yield::Vector(series)) = &yields
        && checker.counts_up(series, "").is_none()
    {
        yields = None;
    }
    if checker.problems.is_empty() {
        (yields, Vec::new())
    } else {
        (None, checker.problems)
    }
}

/// What a part of a query yields, as far as it can be said; what is wrong with it is reported elsewhere.
pub(crate) fn yields(expr: &Expr, query: &str, vocabulary: &Vocabulary) -> Option<Yield> {
    let mut checker = Checker {
        query,
        vocabulary,
        problems: Vec::new(),
    };
    checker.expr(expr)
}

pub(super) struct Checker<'a> {
    query: &'a str,
    vocabulary: &'a Vocabulary,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    /// Notes a problem with a word of the query; it stands where the word does first.
    pub(super) fn tell(&mut self, word: &str, what: impl Into<String>, repair: impl Into<String>) {
        let at = place_of(word, self.query);
        let before = &self.query[..at];
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .map_or(0, |line| line.chars().count())
            + 1;
        let problem = Problem {
            line,
            column,
            what: what.into(),
            repair: repair.into(),
        };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub(super) fn expr(&mut self, expr: &Expr) -> Option<Yield> {
        match expr {
            Expr::NumberLiteral(_) => Some(Yield::Scalar(Quantity::Unknown)),
            Expr::StringLiteral(_) => Some(Yield::Text),
            Expr::Paren(paren) => self.expr(&paren.expr),
            Expr::Unary(unary) => self.expr(&unary.expr),
            Expr::VectorSelector(selector) => self.selector(selector).map(Yield::Vector),
            Expr::MatrixSelector(matrix) => self.selector(&matrix.vs).map(Yield::Range),
            Expr::Subquery(subquery) => self.vector(&subquery.expr).map(Yield::Range),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate).map(Yield::Vector),
            Expr::Call(call) => self.call(call),
            Expr::Binary(binary) => self.binary(binary),
            Expr::Extension(_) => None,
        }
    }

    /// The series of an expression that has to yield them.
    pub(super) fn vector(&mut self, expr: &Expr) -> Option<Series> {
        match self.expr(expr)? {
            Yield::Vector(series) | Yield::Range(series) => Some(series),
            Yield::Scalar(quantity) => Some(Series {
                labels: BTreeSet::new(),
                shape: Shape::Gauge,
                quantity,
                family: None,
            }),
            Yield::Text => None,
        }
    }

    fn selector(&mut self, selector: &VectorSelector) -> Option<Series> {
        let Some(name) = selector.name.as_deref() else {
            self.tell("{", "names no metric", "name the metric before the braces");
            return None;
        };
        let Some(series) = self.vocabulary.series(name) else {
            self.unknown(name);
            return None;
        };
        let mut series = series.clone();
        for matcher in &selector.matchers.matchers {
            self.matcher(matcher, name, &series);
            if matcher.name == "le" && finds_one_bucket(matcher, &series) {
                // One bucket alone counts as any counter does.
                series.shape = Shape::Counter;
                series.quantity = Quantity::Of(Unit::Count);
            }
        }
        Some(series)
    }

    fn unknown(&mut self, name: &str) {
        if let Some(family) = self.vocabulary.family(name) {
            let kind = family.kind.as_str();
            let what = format!("`{name}` is a {kind} and has no series of that name");
            self.tell(
                name,
                what,
                format!("use {name}_bucket, {name}_sum or {name}_count"),
            );
            return;
        }
        let repair = nearest(name, self.vocabulary.names()).map_or_else(
            || "declare it, or record it by a rule".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        self.tell(
            name,
            format!("`{name}` is neither declared nor recorded"),
            repair,
        );
    }

    /// A label that has to be among those of the series.
    pub(super) fn label(&mut self, key: &str, labels: &BTreeSet<String>, of: &str) -> bool {
        let is_known = labels.contains(key);
        if !is_known {
            let repair = nearest(key, labels.iter().map(String::as_str)).map_or_else(
                || {
                    format!(
                        "use one of {}",
                        labels.iter().cloned().collect::<Vec<_>>().join(", ")
                    )
                },
                |near| format!("did you mean `{near}`?"),
            );
            self.tell(key, format!("{of} has no label `{key}`"), repair);
        }
        is_known
    }

    fn matcher(&mut self, matcher: &Matcher, name: &str, series: &Series) {
        if !self.label(&matcher.name, &series.labels, &format!("`{name}`")) {
            return;
        }
        let Some(allowed) = allowed_values(&matcher.name, series) else {
            return;
        };
        let is_allowed =
            |value: &str| value.is_empty() || allowed.iter().any(|allowed| allowed == value);
        let wrong = match &matcher.op {
            MatchOp::Equal | MatchOp::NotEqual => {
                (!is_allowed(&matcher.value)).then_some(matcher.value.as_str())
            }
            // Alternatives of plain words are looked at one by one; of another expression, whether it matches anything.
            MatchOp::Re(regex) | MatchOp::NotRe(regex) => {
                if matcher
                    .value
                    .chars()
                    .all(|c| c.is_alphanumeric() || "|_".contains(c))
                {
                    matcher.value.split('|').find(|value| !is_allowed(value))
                } else {
                    let matches_some = allowed.iter().any(|value| regex.is_match(value));
                    (!matches_some).then_some(matcher.value.as_str())
                }
            }
        };
        if let Some(wrong) = wrong {
            let repair = nearest(wrong, allowed.iter().map(String::as_str)).map_or_else(
                || format!("use one of {}", allowed.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            self.tell(
                wrong,
                format!(
                    "the label `{}` of `{name}` is never {wrong:?}",
                    matcher.name
                ),
                repair,
            );
        }
    }

    /// Refuses series that still count up, where what they amount to is asked for.
    pub(super) fn counts_up(&mut self, series: &Series, word: &str) -> Option<()> {
        let name = series.name("it");
        let word = if word.is_empty() { name } else { word };
        match series.shape {
            Shape::Gauge | Shape::BucketRates => Some(()),
            Shape::Counter | Shape::Buckets => {
                let what = format!(
                    "`{name}` is used as it stands, and says only what happened since the process started"
                );
                self.tell(word, what, "take its `rate` or `increase`");
                None
            }
            Shape::SignedSum => {
                self.tell(
                    word,
                    format!("the sum of `{name}` is used as it stands"),
                    "take its `delta`",
                );
                None
            }
        }
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr) -> Option<Series> {
        if let Some(param) = &aggregate.param {
            self.expr(param);
        }
        let mut series = self.vector(&aggregate.expr)?;
        let op = aggregate.op.id();
        let only_counts = [token::T_COUNT, token::T_GROUP].contains(&op);
        let keeps_labels = [
            token::T_TOPK,
            token::T_BOTTOMK,
            token::T_LIMITK,
            token::T_LIMIT_RATIO,
        ]
        .contains(&op);
        if !only_counts {
            self.counts_up(&series, "")?;
        }
        let labels = match &aggregate.modifier {
            None => BTreeSet::new(),
            Some(modifier) => {
                let mut known = true;
                for key in &modifier.labels().labels {
                    known &= self.label(key, &series.labels, "what is aggregated");
                }
                if !known {
                    return None;
                }
                let named: BTreeSet<String> = modifier.labels().labels.iter().cloned().collect();
                match modifier {
                    LabelModifier::Include(_) => named,
                    LabelModifier::Exclude(_) => {
                        series.labels.difference(&named).cloned().collect()
                    }
                }
            }
        };
        if series.shape.is_buckets() && !labels.contains("le") && !only_counts && !keeps_labels {
            let word = series.name("le");
            self.tell(
                word,
                "adds up buckets, each of which already holds those below it",
                "keep `le` in the `by` clause",
            );
            return None;
        }
        if only_counts {
            series.quantity = Quantity::Of(Unit::Count);
            series.shape = Shape::Gauge;
        }
        // How many of the switches are on is a share of them.
        if op == token::T_AVG && series.quantity == Quantity::Of(Unit::Switch) {
            series.quantity = Quantity::Of(Unit::Ratio);
        }
        if !keeps_labels {
            series.labels = labels;
        }
        Some(series)
    }

    fn call(&mut self, call: &Call) -> Option<Yield> {
        let name = call.func.name;
        let arguments = &call.args.args;
        if name == "time" {
            return Some(Yield::Scalar(Quantity::Of(Unit::Timestamp)));
        }
        if name == "histogram_quantile" {
            return self
                .histogram_quantile(arguments.last()?)
                .map(Yield::Vector);
        }
        // The series of a function are in its first argument, or the last where a number comes first.
        let subject = if name == "quantile_over_time" {
            arguments.last()
        } else {
            arguments.first()
        };
        let Some(subject) = subject else {
            return Some(Yield::Scalar(Quantity::Unknown));
        };
        let yields = self.expr(subject)?;
        let mut series = match yields {
            Yield::Vector(series) | Yield::Range(series) => series,
            Yield::Scalar(quantity) if name == "vector" => {
                return Some(Yield::Vector(Series {
                    labels: BTreeSet::new(),
                    shape: Shape::Gauge,
                    quantity,
                    family: None,
                }));
            }
            other => return Some(other),
        };
        match name {
            "rate" | "irate" | "increase" => self.rate(name, &mut series)?,
            "delta"
            | "idelta"
            | "deriv"
            | "predict_linear"
            | "holt_winters"
            | "double_exponential_smoothing" => self.level(name, &mut series)?,
            "changes" | "resets" | "count_over_time" => set(&mut series, Quantity::Of(Unit::Count)),
            "absent" | "absent_over_time" => {
                series.labels = equal_labels(subject);
                set(&mut series, Quantity::Of(Unit::Switch));
            }
            "present_over_time" => set(&mut series, Quantity::Of(Unit::Switch)),
            "timestamp" => set(&mut series, Quantity::Of(Unit::Timestamp)),
            "label_replace" | "label_join" => {
                if let Some(Expr::StringLiteral(destination)) = arguments.get(1).map(AsRef::as_ref)
                {
                    series.labels.insert(destination.val.clone());
                }
            }
            "scalar" => {
                self.counts_up(&series, "")?;
                return Some(Yield::Scalar(series.quantity));
            }
            // Rounding, limits, order, and averages over time: of the same things, which must not be counters.
            _ => self.counts_up(&series, "")?,
        }
        Some(Yield::Vector(series))
    }

    fn rate(&mut self, function: &str, series: &mut Series) -> Option<()> {
        let name = series.name("what is recorded").to_owned();
        match series.shape {
            Shape::Counter => series.shape = Shape::Gauge,
            Shape::Buckets => series.shape = Shape::BucketRates,
            Shape::SignedSum => {
                let what = format!(
                    "`{function}` of the sum of `{name}`, which falls with every observation below 0"
                );
                self.tell(
                    function,
                    what,
                    "take the median by `histogram_quantile`, or `delta` of the sum",
                );
                return None;
            }
            Shape::Gauge | Shape::BucketRates => {
                self.tell(
                    function,
                    format!("`{function}` of `{name}`, which is no counter"),
                    "take `delta` or `deriv` of a gauge",
                );
                return None;
            }
        }
        if let (true, Quantity::Of(unit)) = (
            function != "increase" && !series.shape.is_buckets(),
            series.quantity,
        ) {
            series.quantity = Quantity::PerSecond(unit);
        }
        Some(())
    }

    fn level(&mut self, function: &str, series: &mut Series) -> Option<()> {
        match series.shape {
            Shape::Gauge | Shape::SignedSum => series.shape = Shape::Gauge,
            _ => {
                let name = series.name("it");
                let what = format!(
                    "`{function}` of `{name}`, which is a counter and falls when the process restarts"
                );
                self.tell(function, what, "take its `rate` or `increase`");
                return None;
            }
        }
        if let (true, Quantity::Of(unit)) = (function == "deriv", series.quantity) {
            series.quantity = Quantity::PerSecond(unit);
        }
        Some(())
    }

    fn histogram_quantile(&mut self, buckets: &Expr) -> Option<Series> {
        let mut series = self.vector(buckets)?;
        if series.shape != Shape::BucketRates {
            let repair = "take it over the `rate` of a histogram's `_bucket` series";
            self.tell(
                "histogram_quantile",
                "`histogram_quantile` of what are no buckets",
                repair,
            );
            return None;
        }
        series.labels.remove("le");
        series.shape = Shape::Gauge;
        Some(series)
    }
}

/// Another quantity, and no longer a counter.
fn set(series: &mut Series, quantity: Quantity) {
    series.quantity = quantity;
    series.shape = Shape::Gauge;
}

/// The labels that `absent` takes from the matchers of its argument.
fn equal_labels(expr: &Expr) -> BTreeSet<String> {
    let selector = match expr {
        Expr::VectorSelector(selector) => selector,
        Expr::MatrixSelector(matrix) => &matrix.vs,
        _ => return BTreeSet::new(),
    };
    let equal = |matcher: &&Matcher| matches!(matcher.op, MatchOp::Equal);
    selector
        .matchers
        .matchers
        .iter()
        .filter(equal)
        .map(|matcher| matcher.name.clone())
        .collect()
}

/// The values a label can have, where that is known.
fn allowed_values(key: &str, series: &Series) -> Option<Vec<String>> {
    if key == "mode" {
        return Some(MODES.map(str::to_owned).to_vec());
    }
    if GLOBAL_LABELS.contains(&key) {
        return None;
    }
    let family = series.family.as_ref()?;
    let texts = |numbers: &[f64]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>();
    match key {
        "le" => {
            let mut bounds = texts(&family.buckets);
            bounds.push("+Inf".to_owned());
            Some(bounds)
        }
        "quantile" => Some(texts(&family.quantiles)),
        _ => family.label(key)?.values.clone(),
    }
}

/// Where a word stands in a query, whole; the start where it does not.
fn place_of(word: &str, query: &str) -> usize {
    let is_part = |c: char| c.is_alphanumeric() || "_:".contains(c);
    query
        .match_indices(word)
        .find(|(at, _)| {
            let before = query[..*at].chars().next_back();
            let after = query[at + word.len()..].chars().next();
            !word.is_empty() && !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
        .or_else(|| query.match_indices(word).next())
        .map_or(0, |(at, _)| at)
}

/// Whether a matcher of `le` finds one bucket. A whole number is matched in two forms: `1`, and `1.0` as Prometheus 3 stores it.
fn finds_one_bucket(matcher: &Matcher, series: &Series) -> bool {
    if matches!(matcher.op, MatchOp::Equal) {
        return true;
    }
    let bounds = series.family.iter().flat_map(|family| &family.buckets);
    let is_found = |bound: &&f64| {
        matcher.is_match(&format!("{bound}")) || matcher.is_match(&format!("{bound:?}"))
    };
    // The bucket of everything is no bound, and is in each histogram.
    matches!(matcher.op, MatchOp::Re(_))
        && !matcher.is_match("+Inf")
        && bounds.filter(is_found).count() == 1
}
