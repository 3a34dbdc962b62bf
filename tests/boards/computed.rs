//! What a query yields of samples that are known: the part of `PromQL` that dashboards ask for, computed from the language's own
//! description, so that a panel's figures can be compared with direct scrapes.
//!
//! A query with anything else is not computed: subqueries, `group_left`, `label_replace`, offsets.

use std::collections::BTreeMap;

use obs_tests::tools::Generation;
use promql_parser::label::Matchers;
use promql_parser::parser::token::{
    T_ADD, T_AVG, T_BOTTOMK, T_COUNT, T_DIV, T_GTR, T_LOR, T_LSS, T_MAX, T_MIN, T_MUL, T_SUB,
    T_SUM, T_TOPK, TokenId,
};
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, MatrixSelector, VectorMatchCardinality,
    VectorSelector,
};

use super::Rows;

/// How far back the last sample of a series may be, in seconds.
const LOOKBACK: f64 = 300.0;
const NAME: &str = "__name__";

type Labels = BTreeMap<String, String>;
/// Times in seconds, and values.
type Samples = Vec<(f64, f64)>;

/// All samples there are, by name and labels, in the order of time.
#[derive(Default)]
pub(crate) struct Store {
    /// By how much of itself a rank is moved before a quantile is read at it. Where a rank is that of a whole bucket, the last digits
    /// of sums decide which of two buckets it lies in, and whatever is between them may come out.
    pub(crate) nudge: f64,
    series: BTreeMap<String, BTreeMap<Labels, Samples>>,
}

/// What an expression comes to.
enum Answer {
    Number(f64),
    Vector(Rows),
}

impl Answer {
    fn vector(self) -> Option<Rows> {
        match self {
            Self::Vector(rows) => Some(rows),
            Self::Number(_) => None,
        }
    }
}

impl Store {
    pub(crate) fn add(&mut self, name: &str, labels: Labels, time: f64, value: f64) {
        let of_name = self.series.entry(name.to_owned()).or_default();
        of_name.entry(labels).or_default().push((time, value));
    }

    /// What an expression yields at a time, or nothing where it has what is not computed here.
    pub(crate) fn yields(&self, expr: &Expr, time: f64) -> Option<Rows> {
        match self.answer(expr, time)? {
            Answer::Vector(rows) => Some(rows),
            Answer::Number(number) => Some(Rows::from([(Labels::new(), number)])),
        }
    }

    fn answer(&self, expr: &Expr, time: f64) -> Option<Answer> {
        match expr {
            Expr::Paren(inner) => self.answer(&inner.expr, time),
            Expr::NumberLiteral(number) => Some(Answer::Number(number.val)),
            Expr::VectorSelector(selector) => self.latest(selector, time).map(Answer::Vector),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, time).map(Answer::Vector),
            Expr::Binary(binary) => self.binary(binary, time),
            Expr::Call(call) => self.call(call, time),
            _ => None,
        }
    }

    /// The series that a selector takes.
    fn selected(&self, selector: &VectorSelector) -> Option<Vec<(&Labels, &Samples)>> {
        if selector.offset.is_some() || selector.at.is_some() {
            return None;
        }
        let name = selector.name.as_ref()?;
        let taken = self.series.get(name).into_iter().flatten();
        Some(
            taken
                .filter(|(labels, _)| matches(&selector.matchers, labels))
                .collect(),
        )
    }

    fn latest(&self, selector: &VectorSelector, time: f64) -> Option<Rows> {
        let last = |samples: &Samples| {
            let past = samples.iter().rev().find(|(at, _)| *at <= time);
            past.filter(|(at, _)| time - at < LOOKBACK)
                .map(|(_, value)| *value)
        };
        let series = self.selected(selector)?.into_iter();
        Some(
            series
                .filter_map(|(labels, samples)| Some((labels.clone(), last(samples)?)))
                .collect(),
        )
    }

    fn increases(&self, matrix: &MatrixSelector, time: f64) -> Option<Rows> {
        let range = matrix.range.as_secs_f64();
        let of_one = |(labels, samples): (&Labels, &Samples)| {
            let within: Vec<_> = samples
                .iter()
                .copied()
                .filter(|(at, _)| time - range < *at && *at <= time)
                .collect();
            Some((labels.clone(), increase(&within, time - range, time)?))
        };
        Some(
            self.selected(&matrix.vs)?
                .into_iter()
                .filter_map(of_one)
                .collect(),
        )
    }

    fn call(&self, call: &Call, time: f64) -> Option<Answer> {
        let argument = |i: usize| call.args.args.get(i).map(AsRef::as_ref);
        let mapped = |of: &dyn Fn(f64) -> f64| {
            let rows = self.answer(argument(0)?, time)?.vector()?;
            Some(Answer::Vector(
                rows.into_iter()
                    .map(|(labels, value)| (labels, of(value)))
                    .collect(),
            ))
        };
        match (call.func.name, argument(0)) {
            ("time", _) => Some(Answer::Number(time)),
            ("abs", _) => mapped(&f64::abs),
            (name @ ("clamp_min" | "clamp_max"), _) => {
                let Answer::Number(bound) = self.answer(argument(1)?, time)? else {
                    return None;
                };
                mapped(&|value| match name {
                    _ if value.is_nan() => value,
                    "clamp_min" => value.max(bound),
                    _ => value.min(bound),
                })
            }
            ("vector", Some(number)) => match self.answer(number, time)? {
                Answer::Number(number) => {
                    Some(Answer::Vector(Rows::from([(Labels::new(), number)])))
                }
                Answer::Vector(_) => None,
            },
            ("increase", Some(Expr::MatrixSelector(matrix))) => {
                self.increases(matrix, time).map(Answer::Vector)
            }
            ("rate", Some(Expr::MatrixSelector(matrix))) => {
                let rows = self.increases(matrix, time)?.into_iter();
                let a_second =
                    rows.map(|(labels, value)| (labels, value / matrix.range.as_secs_f64()));
                Some(Answer::Vector(a_second.collect()))
            }
            ("histogram_quantile", Some(Expr::NumberLiteral(level))) => {
                let buckets = self.answer(argument(1)?, time)?.vector()?;
                Some(Answer::Vector(quantiles(
                    level.val * (1.0 + self.nudge),
                    buckets,
                )))
            }
            _ => None,
        }
    }

    fn aggregate(&self, aggregate: &AggregateExpr, time: f64) -> Option<Rows> {
        let rows = self.answer(&aggregate.expr, time)?.vector()?;
        let mut groups: BTreeMap<Labels, Vec<(Labels, f64)>> = BTreeMap::new();
        for (labels, value) in rows {
            let kept = kept(aggregate.modifier.as_ref(), &labels, false);
            groups.entry(kept).or_default().push((labels, value));
        }
        let op = aggregate.op.id();
        if [T_TOPK, T_BOTTOMK].contains(&op) {
            let Expr::NumberLiteral(count) = aggregate.param.as_deref()? else {
                return None;
            };
            let most = |mut group: Vec<(Labels, f64)>| {
                // What is no number comes last.
                let sign = if op == T_TOPK { -1.0 } else { 1.0 };
                let key = |value: f64| {
                    if value.is_nan() {
                        f64::INFINITY
                    } else {
                        sign * value
                    }
                };
                group.sort_by(|(_, a), (_, b)| key(*a).total_cmp(&key(*b)));
                let numbered = (0_u32..).zip(group);
                let first = numbered.take_while(|(i, _)| f64::from(*i) < count.val);
                first.map(|(_, row)| row).collect::<Vec<_>>()
            };
            return Some(groups.into_values().flat_map(most).collect());
        }
        let folded = |group: Vec<(Labels, f64)>| {
            let values = group.iter().map(|(_, value)| *value);
            let count = length(&group);
            Some(match op {
                T_SUM => values.sum(),
                T_AVG => values.sum::<f64>() / count,
                T_COUNT => count,
                T_MAX => values.fold(f64::NAN, f64::max),
                T_MIN => values.fold(f64::NAN, f64::min),
                _ => return None,
            })
        };
        groups
            .into_iter()
            .map(|(labels, group)| Some((labels, folded(group)?)))
            .collect()
    }

    fn binary(&self, binary: &BinaryExpr, time: f64) -> Option<Answer> {
        let modifier = binary.modifier.as_ref();
        let op = binary.op.id();
        let is_plain = modifier.is_none_or(|modifier| {
            let is_one_to_one = matches!(
                modifier.card,
                VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany
            );
            is_one_to_one && !modifier.return_bool
        });
        if !is_plain || !is_computed(op) {
            return None;
        }
        let matching = modifier.and_then(|modifier| modifier.matching.as_ref());
        let signature = |labels: &Labels| kept(matching, labels, true);
        let left = self.answer(&binary.lhs, time)?;
        let right = self.answer(&binary.rhs, time)?;
        let rows: Rows = match (left, right) {
            (Answer::Number(left), Answer::Number(right)) => {
                return operated(op, left, right).map(Answer::Number);
            }
            (Answer::Vector(rows), Answer::Number(right)) => {
                let each = rows.into_iter();
                each.filter_map(|(labels, left)| Some((labels, operated(op, left, right)?)))
                    .collect()
            }
            // A comparison would keep the value of the series.
            (Answer::Number(_), Answer::Vector(_)) if [T_GTR, T_LSS].contains(&op) => return None,
            (Answer::Number(left), Answer::Vector(rows)) => {
                let each = rows.into_iter();
                each.filter_map(|(labels, right)| Some((labels, operated(op, left, right)?)))
                    .collect()
            }
            (Answer::Vector(left), Answer::Vector(right)) if op == T_LOR => {
                let there: Vec<_> = left.keys().map(signature).collect();
                let is_new = |labels: &Labels| !there.contains(&signature(labels));
                let more = right.into_iter().filter(|(labels, _)| is_new(labels));
                left.into_iter().chain(more).collect()
            }
            (Answer::Vector(left), Answer::Vector(right)) => {
                let each = right.iter();
                let right: Rows = each
                    .map(|(labels, value)| (signature(labels), *value))
                    .collect();
                let pairs = left.into_iter().filter_map(|(labels, left)| {
                    let signature = signature(&labels);
                    let right = *right.get(&signature)?;
                    Some((signature, operated(op, left, right)?))
                });
                pairs.collect()
            }
        };
        Some(Answer::Vector(rows))
    }
}

/// Whether an operation is computed here.
fn is_computed(op: TokenId) -> bool {
    [T_ADD, T_SUB, T_MUL, T_DIV, T_GTR, T_LSS, T_LOR].contains(&op)
}

/// The value of an operation; none where a comparison leaves it out.
fn operated(op: TokenId, left: f64, right: f64) -> Option<f64> {
    match op {
        T_ADD => Some(left + right),
        T_SUB => Some(left - right),
        T_MUL => Some(left * right),
        T_GTR => (left > right).then_some(left),
        T_LSS => (left < right).then_some(left),
        _ => Some(left / right),
    }
}

fn matches(matchers: &Matchers, labels: &Labels) -> bool {
    let value = |name: &str| labels.get(name).map_or("", String::as_str);
    let mut all = matchers
        .matchers
        .iter()
        .filter(|matcher| matcher.name != NAME);
    all.all(|matcher| matcher.is_match(value(&matcher.name)))
}

/// The labels by which series are grouped, or matched where all count unless others are named.
fn kept(modifier: Option<&LabelModifier>, labels: &Labels, all_by_default: bool) -> Labels {
    let is_kept = |key: &String| match modifier {
        Some(LabelModifier::Include(named)) => named.labels.contains(key),
        Some(LabelModifier::Exclude(named)) => !named.labels.contains(key),
        None => all_by_default,
    };
    labels
        .iter()
        .filter(|(key, _)| is_kept(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// How much a counter rose between two times, as Prometheus extrapolates it from samples in between; nothing of fewer than two.
fn increase(samples: &[(f64, f64)], start: f64, end: f64) -> Option<f64> {
    let [(first_at, first), .., (last_at, last)] = samples else {
        return None;
    };
    let resets = samples
        .windows(2)
        .filter(|pair| pair[1].1 < pair[0].1)
        .map(|pair| pair[0].1);
    let rose = last - first + resets.sum::<f64>();
    let covered = last_at - first_at;
    let mean = covered / (length(samples) - 1.0);
    let (mut before, mut after) = (first_at - start, end - last_at);
    let to_zero = if rose > 0.0 && *first >= 0.0 {
        covered * first / rose
    } else {
        f64::INFINITY
    };
    // Older servers look first whether the counter would have been below zero, and then whether a sample is missing.
    let is_late = |gap: f64| gap >= mean * 1.1;
    match Generation::chosen() {
        Generation::Debian => {
            before = before.min(to_zero);
            before = if is_late(before) { mean / 2.0 } else { before };
        }
        Generation::Current => {
            before = if is_late(before) { mean / 2.0 } else { before };
            before = before.min(to_zero);
        }
    }
    after = if is_late(after) { mean / 2.0 } else { after };
    Some(rose * (covered + before + after) / covered)
}

fn length<T>(all: &[T]) -> f64 {
    u32::try_from(all.len()).map_or(f64::NAN, f64::from)
}

/// The quantile of each histogram, by linear interpolation within the bucket in which it lies.
fn quantiles(level: f64, buckets: Rows) -> Rows {
    let mut histograms: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for (mut labels, count) in buckets {
        let bound = labels
            .remove("le")
            .and_then(|bound| bound.replace("+Inf", "inf").parse().ok());
        if let Some(bound) = bound {
            histograms.entry(labels).or_default().push((bound, count));
        }
    }
    histograms
        .into_iter()
        .map(|(labels, buckets)| (labels, quantile(level, buckets)))
        .collect()
}

fn quantile(level: f64, mut buckets: Vec<(f64, f64)>) -> f64 {
    buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let (Some((highest, total)), true) = (buckets.last().copied(), buckets.len() > 1) else {
        return f64::NAN;
    };
    if !highest.is_infinite() || total == 0.0 || total.is_nan() {
        return f64::NAN;
    }
    let rank = level * total;
    let last = buckets.len() - 1;
    let at = buckets[..last]
        .iter()
        .position(|(_, count)| *count >= rank)
        .unwrap_or(last);
    let (bound, count) = buckets[at];
    if at == last {
        return buckets[last - 1].0;
    }
    if at == 0 && bound <= 0.0 {
        return bound;
    }
    let (below, less) = if at == 0 { (0.0, 0.0) } else { buckets[at - 1] };
    below + (bound - below) * (rank - less) / (count - less)
}
