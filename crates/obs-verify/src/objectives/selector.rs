//! Which events an objective is about, and which of them failed.

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::Expr;
use regex_syntax::hir::{Class, ClassUnicodeRange, Hir, HirKind};

/// Series of one family, by matchers.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    pub(super) family: String,
    /// As they are written, without braces.
    pub(super) matchers: String,
}

/// Which events failed.
#[derive(Clone, Debug)]
pub(super) enum Failing {
    /// Observations beyond a bound.
    Beyond(f64),
    /// These.
    Bad(Selector),
    /// All but these.
    AllBut(Selector),
}

impl Failing {
    pub(super) fn is_bound(&self) -> bool {
        matches!(self, Self::Beyond(_))
    }

    pub(super) fn selector(&self) -> Option<&Selector> {
        match self {
            Self::Beyond(_) => None,
            Self::Bad(selector) | Self::AllBut(selector) => Some(selector),
        }
    }
}

impl Selector {
    /// Reads `family{matchers}`, or matchers alone of a family that is known. Says what is wrong with it, if anything.
    pub(super) fn read(text: &str, family: &str) -> Result<Self, String> {
        let (family, matchers) = match text.split_once('{') {
            Some((family, rest)) => (
                family.trim(),
                rest.trim_end().strip_suffix('}').unwrap_or(rest),
            ),
            None => (family, text),
        };
        let selector = Self {
            family: family.to_owned(),
            matchers: matchers.trim().trim_end_matches(',').to_owned(),
        };
        selector.parsed().map_err(|reason| {
            format!("has `{text}`: {reason}; write matchers such as `status_code=~\"5..\"`")
        })?;
        Ok(selector)
    }

    /// The same with more matchers.
    pub(super) fn with(&self, more: &str) -> Self {
        let all = [self.matchers.as_str(), more]
            .into_iter()
            .filter(|matchers| !matchers.is_empty());
        Self {
            family: self.family.clone(),
            matchers: all.collect::<Vec<_>>().join(", "),
        }
    }

    /// As a query has it, with a suffix to the family's name.
    pub(super) fn shown(&self, suffix: &str) -> String {
        let Self { family, matchers } = self;
        if matchers.is_empty() {
            format!("{family}{suffix}")
        } else {
            format!("{family}{suffix}{{{matchers}}}")
        }
    }

    /// Its matchers, one by one.
    pub(super) fn parsed(&self) -> Result<Vec<Matcher>, String> {
        match crate::promql::parse(&self.shown(""))? {
            Expr::VectorSelector(selector) if selector.name.is_some() => {
                Ok(selector.matchers.matchers)
            }
            _ => Err("this is no selector".to_owned()),
        }
    }
}

/// A value that a matcher accepts, or one that it does not: one of those there are, or one made for it.
pub(super) fn example(matcher: &Matcher, known: &[String], is_accepted: bool) -> Option<String> {
    let made = match &matcher.op {
        MatchOp::Equal | MatchOp::NotEqual => Some(matcher.value.clone()),
        MatchOp::Re(_) | MatchOp::NotRe(_) => {
            let parsed = regex_syntax::parse(&matcher.value).ok();
            parsed.map(|pattern| shortest(&pattern))
        }
    };
    // Any other word, and no such label at all, which is the empty value.
    let others = ["a", "b", ""].map(str::to_owned);
    let candidates = known.iter().cloned().chain(made).chain(others);
    candidates
        .into_iter()
        .find(|value| matcher.is_match(value) == is_accepted)
}

/// A short text that a pattern matches.
fn shortest(pattern: &Hir) -> String {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => String::new(),
        HirKind::Literal(literal) => String::from_utf8_lossy(&literal.0).into_owned(),
        HirKind::Class(class) => one_of(class).to_string(),
        HirKind::Repetition(repetition) => {
            let times = usize::try_from(repetition.min).unwrap_or_default();
            shortest(&repetition.sub).repeat(times)
        }
        HirKind::Capture(capture) => shortest(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(shortest).collect(),
        HirKind::Alternation(choices) => choices.first().map(shortest).unwrap_or_default(),
    }
}

/// A letter of a class: a digit or a small letter where it has one.
fn one_of(class: &Class) -> char {
    let has = |letter: char| match class {
        Class::Unicode(class) => class
            .iter()
            .any(|range| range.start() <= letter && letter <= range.end()),
        Class::Bytes(class) => class
            .iter()
            .any(|range| range.start() <= letter as u8 && letter as u8 <= range.end()),
    };
    let first = || match class {
        Class::Unicode(class) => class.iter().next().map(ClassUnicodeRange::start),
        Class::Bytes(class) => class.iter().next().map(|range| char::from(range.start())),
    };
    ('0'..='9')
        .chain('a'..='z')
        .find(|letter| has(*letter))
        .or_else(first)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_read_with_and_without_its_family() {
        let bad = Selector::read("status_code=~\"5..\"", "http_requests_total").unwrap();
        assert_eq!(bad.shown(""), "http_requests_total{status_code=~\"5..\"}");
        let other = Selector::read(
            "http_errors_total{error_type=\"timeout\",}",
            "http_requests_total",
        )
        .unwrap();
        assert_eq!(
            other.with("a=\"b\"").shown("_x"),
            "http_errors_total_x{error_type=\"timeout\", a=\"b\"}"
        );
        assert_eq!(
            Selector::read("a_total{}", "").unwrap().shown(""),
            "a_total"
        );
        for wrong in ["status_code=5", "status_code=~\"(\"", "status_code"] {
            let said = Selector::read(wrong, "http_requests_total").unwrap_err();
            assert!(said.contains(wrong), "{said}");
        }
    }

    #[test]
    fn an_example_is_accepted_or_not() {
        let known = ["ok", "error"].map(str::to_owned);
        for (matcher, accepted, refused) in [
            ("a=~\"5..\"", "500", "ok"),
            ("a=~\"[45]..|x+\"", "400", "ok"),
            ("a!~\"ok|cancelled\"", "error", "ok"),
            ("a!=\"ok\"", "error", "ok"),
            ("a=\"z\"", "z", "ok"),
        ] {
            let matcher = &Selector::read(matcher, "x").unwrap().parsed().unwrap()[0];
            assert_eq!(
                example(matcher, &known, true).as_deref(),
                Some(accepted),
                "{matcher:?}"
            );
            assert_eq!(
                example(matcher, &known, false).as_deref(),
                Some(refused),
                "{matcher:?}"
            );
        }
        let nothing = &Selector::read("a=~\".*\"", "x").unwrap().parsed().unwrap()[0];
        assert_eq!(example(nothing, &known, false), None);
    }
}
