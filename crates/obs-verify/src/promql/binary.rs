//! Two sides and what stands between them.

use std::collections::BTreeSet;

use promql_parser::parser::{
    BinModifier, BinaryExpr, Expr, LabelModifier, VectorMatchCardinality, token,
};

use super::check::Checker;
use super::{Quantity, Series, Shape, Yield};
use crate::lint::{selector, walk};

impl Checker<'_> {
    pub(super) fn binary(&mut self, binary: &BinaryExpr) -> Option<Yield> {
        // The native buckets of a histogram are its series of its own name, and declared are the others.
        if is_native_or_classic(binary) {
            return self.expr(&binary.rhs);
        }
        // Both sides are looked at even if one is wrong.
        let (left, right) = (self.expr(&binary.lhs), self.expr(&binary.rhs));
        let op = binary.op;
        match (left?, right?) {
            (Yield::Scalar(left), Yield::Scalar(right)) => {
                self.quantity(binary, left, right).map(Yield::Scalar)
            }
            (Yield::Vector(mut left), Yield::Scalar(right)) => {
                self.counts_up(&left, "")?;
                left.quantity = self.quantity(binary, left.quantity, right)?;
                Some(Yield::Vector(left))
            }
            (Yield::Scalar(left), Yield::Vector(mut right)) => {
                self.counts_up(&right, "")?;
                let quantity = self.quantity(binary, left, right.quantity)?;
                // A comparison returns the series and not the number.
                right.quantity = if op.is_comparison_operator() {
                    right.quantity
                } else {
                    quantity
                };
                Some(Yield::Vector(right))
            }
            (Yield::Vector(left), Yield::Vector(right)) => {
                self.vectors(binary, left, right).map(Yield::Vector)
            }
            _ => {
                self.tell(
                    &op.to_string(),
                    format!("`{op}` between text or ranges"),
                    "compute with series and numbers",
                );
                None
            }
        }
    }

    fn vectors(&mut self, binary: &BinaryExpr, mut left: Series, right: Series) -> Option<Series> {
        let modifier = binary.modifier.as_ref();
        self.matching(modifier, &left, &right)?;
        if binary.op.is_set_operator() {
            if binary.op.id() == token::T_LOR {
                left.labels.extend(right.labels);
            }
            // What a series has counted since it came is an increase.
            if left.shape == Shape::Counter && leaves_new_series(binary) {
                left.shape = Shape::Gauge;
            }
            return Some(left);
        }
        self.counts_up(&left, "")?;
        self.counts_up(&right, "")?;
        let quantity = self.quantity(binary, left.quantity, right.quantity)?;
        let labels = match modifier.map(|modifier| &modifier.card) {
            Some(VectorMatchCardinality::ManyToOne(more)) => with(&left.labels, &more.labels),
            Some(VectorMatchCardinality::OneToMany(more)) => with(&right.labels, &more.labels),
            _ => match modifier.and_then(|modifier| modifier.matching.as_ref()) {
                Some(LabelModifier::Include(on)) => on.labels.iter().cloned().collect(),
                Some(LabelModifier::Exclude(ignored)) => {
                    let ignored: BTreeSet<_> = ignored.labels.iter().cloned().collect();
                    left.labels.difference(&ignored).cloned().collect()
                }
                None => left.labels.clone(),
            },
        };
        Some(Series {
            labels,
            shape: Shape::Gauge,
            quantity,
            family: None,
        })
    }

    /// Whether the two sides can meet: by labels that both have.
    fn matching(
        &mut self,
        modifier: Option<&BinModifier>,
        left: &Series,
        right: &Series,
    ) -> Option<()> {
        let mut meets = true;
        match modifier.and_then(|modifier| modifier.matching.as_ref()) {
            Some(LabelModifier::Include(on)) => {
                for key in &on.labels {
                    meets &= self.label(key, &left.labels, "the left side");
                    meets &= self.label(key, &right.labels, "the right side");
                }
            }
            Some(LabelModifier::Exclude(ignored)) => {
                let both = with(&left.labels, right.labels.iter());
                for key in &ignored.labels {
                    meets &= self.label(
                        key,
                        &both,
                        "neither side, so there is nothing to ignore: each",
                    );
                }
                let ignored: BTreeSet<_> = ignored.labels.iter().cloned().collect();
                meets &= self.same_labels(&(&left.labels - &ignored), &(&right.labels - &ignored));
            }
            None => meets &= self.same_labels(&left.labels, &right.labels),
        }
        match modifier.map(|modifier| &modifier.card) {
            Some(VectorMatchCardinality::ManyToOne(more)) => {
                for key in &more.labels {
                    meets &= self.label(key, &right.labels, "the right side");
                }
            }
            Some(VectorMatchCardinality::OneToMany(more)) => {
                for key in &more.labels {
                    meets &= self.label(key, &left.labels, "the left side");
                }
            }
            _ => {}
        }
        meets.then_some(())
    }

    fn same_labels(&mut self, left: &BTreeSet<String>, right: &BTreeSet<String>) -> bool {
        let one_sided: Vec<_> = left.symmetric_difference(right).cloned().collect();
        if one_sided.is_empty() {
            return true;
        }
        let what = format!(
            "matches two sides of which only one has {}",
            one_sided.join(", ")
        );
        self.tell(
            &one_sided[0],
            what,
            "aggregate both sides by the same labels, or match `on` those they share",
        );
        false
    }

    fn quantity(
        &mut self,
        binary: &BinaryExpr,
        left: Quantity,
        right: Quantity,
    ) -> Option<Quantity> {
        let op = binary.op;
        let compares = op.is_comparison_operator();
        if (compares || [token::T_ADD, token::T_SUB].contains(&op.id())) && !left.goes_with(right) {
            let what = format!("`{op}` between {} and {}", left.name(), right.name());
            self.tell(
                &op.to_string(),
                what,
                "convert one side, or ask for what is measured alike",
            );
            return None;
        }
        Some(match op.id() {
            _ if compares => {
                if binary
                    .modifier
                    .as_ref()
                    .is_some_and(|modifier| modifier.return_bool)
                {
                    Quantity::Of(obs_core::Unit::Switch)
                } else {
                    left
                }
            }
            token::T_ADD => left.plus(right),
            token::T_SUB => left.minus(right),
            token::T_DIV => left.over(right),
            token::T_MUL => left.times(right),
            _ => Quantity::Unknown,
        })
    }
}

fn with<'a>(
    labels: &'a BTreeSet<String>,
    more: impl IntoIterator<Item = &'a String>,
) -> BTreeSet<String> {
    labels.iter().chain(more).cloned().collect()
}

/// Whether it is `x unless x offset …`: the series that were not there a while ago.
fn leaves_new_series(binary: &BinaryExpr) -> bool {
    let (Expr::VectorSelector(now), Expr::VectorSelector(before)) = (&*binary.lhs, &*binary.rhs)
    else {
        return false;
    };
    binary.op.id() == token::T_LUNLESS && now.name == before.name && before.offset.is_some()
}

/// Whether it is `sum(increase(x{…}[…])) or on () sum by (le) (increase(x_bucket{…}[…]))`: what spreads over native buckets where the
/// server has them, and over those of the declaration elsewhere. Both sides ask for the same.
fn is_native_or_classic(binary: &BinaryExpr) -> bool {
    let matching = binary
        .modifier
        .as_ref()
        .and_then(|modifier| modifier.matching.as_ref());
    let on_nothing = matches!(matching, Some(LabelModifier::Include(on)) if on.labels.is_empty());
    let Expr::Aggregate(native) = &*binary.lhs else {
        return false;
    };
    let (Some(own), Some(classic)) = (asked(&native.expr), asked(&binary.rhs)) else {
        return false;
    };
    binary.op.id() == token::T_LOR
        && on_nothing
        && native.op.id() == token::T_SUM
        && native.modifier.is_none()
        && matches!(&*native.expr, Expr::Call(call) if ["increase", "rate"].contains(&call.func.name))
        && classic.0 == format!("{}_bucket", own.0)
        && classic.1 == own.1
}

/// The one series that an expression asks for, with its matchers; none if there are several.
fn asked(expr: &Expr) -> Option<(String, String)> {
    let mut all = Vec::new();
    walk(expr, &mut |part| {
        if let Some(selector) = selector(part) {
            let name = selector.name.clone().unwrap_or_default();
            all.push((name, selector.matchers.to_string()));
        }
    });
    all.dedup();
    (all.len() == 1).then(|| all.remove(0))
}

#[cfg(test)]
mod tests {
    use super::super::{Vocabulary, Yield, check};
    use crate::Catalog;

    #[test]
    fn native_buckets_stand_before_the_declared_ones_of_the_same_histogram() {
        let vocabulary = Vocabulary::new(&Catalog::from(&obs_core::catalogue()));
        let asked = |native: &str, on: &str, classic: &str| {
            let query = format!(
                "sum(increase({native}[5m])) or {on} sum by (le) (increase({classic}[5m]))"
            );
            check(&query, &vocabulary)
        };
        let all = "function_duration_seconds";
        let some = "function_duration_seconds{function=\"a\"}";
        let buckets = "function_duration_seconds_bucket";
        let (yields, problems) = asked(all, "on ()", buckets);
        assert!(problems.is_empty(), "{problems:?}");
        assert!(matches!(yields, Some(Yield::Vector(series)) if series.labels.contains("le")));
        for (native, on, classic) in [
            // Of another choice, matched otherwise, and of no other histogram's buckets.
            (some, "on ()", buckets),
            (all, "", buckets),
            (all, "on (le)", buckets),
            (all, "on ()", "function_duration_seconds_count"),
            ("function_duration_second", "on ()", buckets),
        ] {
            let (_, problems) = asked(native, on, classic);
            assert!(!problems.is_empty(), "{native} {on} {classic}");
        }
        // By itself it is as wrong as ever: without native histograms it is no series.
        assert!(!check(&format!("rate({all}[5m])"), &vocabulary).1.is_empty());
    }
}
