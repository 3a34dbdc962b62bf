//! The labels of series. Their names, which most series of a family have in common, are kept once; a series keeps its values.
//!
//! A key in canonical form has its names checked and its labels sorted. Where a family has met the names before, in the order in
//! which a key has them, neither is done again.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use metrics::{Key, Label};

use crate::key::{is_plain_label, push_escaped, push_name};

/// The names of a series' labels, and what follows from them alone.
#[derive(Debug)]
pub(crate) struct LabelNames {
    /// Those of a key's own labels, in the order in which it has them.
    given: Box<[Box<str>]>,
    /// What there is in the text, in its order.
    parts: Box<[Part]>,
    /// Whether the global labels stand in the text, because one of the key's own overrules one of them.
    is_whole: bool,
}

/// A label in a text.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    /// What stands in front of its value: a comma unless it is the first, its name and `="`.
    front: Box<str>,
    /// How many bytes such fronts have up to this one, with it.
    fronts: usize,
    value: Source,
}

/// Where the value of a label comes from.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// The key's label at this place.
    Key(usize),
    /// A global label.
    Global(Box<str>),
}

/// The values of a series' labels in the order of its text, each escaped and with the quote that ends it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values<'a> {
    pub(crate) text: &'a str,
    /// Whether anything in it is escaped. If not, what compares equal to it has nothing to escape either.
    pub(crate) is_escaped: bool,
}

/// Those of a new series.
#[derive(Debug)]
pub(crate) struct NewValues {
    pub(crate) text: Box<str>,
    pub(crate) is_escaped: bool,
}

impl NewValues {
    pub(crate) fn get(&self) -> Values<'_> {
        Values {
            text: &self.text,
            is_escaped: self.is_escaped,
        }
    }
}

impl LabelNames {
    /// Those of a canonical key. Its own labels stand in front of global ones of the same name.
    pub(crate) fn of(key: &Key, globals: &BTreeMap<String, String>) -> Self {
        let own = key.labels().as_slice();
        let is_own = |key: &str| own.iter().any(|label| label.key() == key);
        let is_whole = globals.keys().any(|key| is_own(key));
        let own = own.iter().enumerate();
        let mut all: Vec<_> = own
            .map(|(at, label)| (label.key(), Source::Key(at)))
            .collect();
        if is_whole {
            let others = globals.iter().filter(|(key, _)| !is_own(key));
            all.extend(
                others.map(|(key, value)| (key.as_str(), Source::Global(value.as_str().into()))),
            );
        }
        all.sort_unstable_by_key(|(name, _)| *name);
        let mut fronts = 0;
        let part = |(number, (name, value))| {
            let mut front = String::from(if number == 0 { "" } else { "," });
            push_name(&mut front, name, is_plain_label(name));
            front.push_str("=\"");
            fronts += front.len();
            Part {
                front: front.into(),
                fronts,
                value,
            }
        };
        Self {
            parts: all.into_iter().enumerate().map(part).collect(),
            given: key.labels().map(|label| label.key().into()).collect(),
            is_whole,
        }
    }

    /// Whether a key has these names in this order, and a value for each: then it is in canonical form but for its name.
    pub(crate) fn are_of(&self, key: &Key) -> bool {
        let labels = key.labels().as_slice();
        let given = self.given.iter().map(|name| &**name);
        let is_it =
            |(label, given): (&Label, &str)| label.key() == given && !label.value().is_empty();
        labels.len() == self.given.len() && labels.iter().zip(given).all(is_it)
    }

    /// Whether global labels stand in the text.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The values of a key that [has these names](Self::are_of).
    pub(crate) fn values<'a>(&'a self, key: &'a Key) -> NewValues {
        let labels = key.labels().as_slice();
        let value = |part: &'a Part| match &part.value {
            Source::Key(at) => labels.get(*at).map_or("", Label::value),
            Source::Global(value) => value,
        };
        // As long as it mostly is, so that it need not be copied.
        let length = self.parts.iter().map(|part| value(part).len() + 1).sum();
        let mut text = String::with_capacity(length);
        for part in &self.parts {
            push_escaped(&mut text, value(part), true);
            text.push('"');
        }
        NewValues {
            is_escaped: text.len() != length,
            text: text.into_boxed_str(),
        }
    }

    /// Whether these are values of a key that is canonical but for the order of its labels. `false` says nothing: the key may be
    /// of the series nevertheless.
    #[inline]
    pub(crate) fn is_of(&self, values: Values<'_>, key: &Key) -> bool {
        let labels = key.labels().as_slice();
        if labels.len() != self.given.len() || self.is_whole {
            return false;
        }
        let mut rest = values.text.as_bytes();
        for part in &self.parts {
            let Source::Key(at) = part.value else {
                return false;
            };
            // Labels mostly come in the order in which they came first, and otherwise there are few to try.
            let is_it = |label: &&Label| *label.key() == *self.given[at];
            let in_order = labels.get(at).filter(is_it);
            let label = in_order.or_else(|| labels.iter().find(is_it));
            let Some(after) = label.and_then(|label| values.after(rest, label.value())) else {
                return false;
            };
            rest = after;
        }
        rest.is_empty()
    }

    /// Appends the text of labels with these values: `side="buy",venue="alpaca"`.
    pub(crate) fn push(&self, values: Values<'_>, text: &mut String) {
        push_parts(&self.parts, values, values.text, text);
    }

    /// Appends what the text of these labels has beyond that of others, and returns with how many bytes both begin.
    pub(crate) fn push_beyond(
        (names, values): (&Self, Values<'_>),
        (others, before): (&Self, Values<'_>),
        text: &mut String,
    ) -> usize {
        let same = shared(before.text, values.text);
        let is_plain = std::ptr::eq(names, others) && !(values.is_escaped || before.is_escaped);
        // Each of these values ends in a quote.
        let ended = memchr::memchr_iter(b'"', &values.text.as_bytes()[..same]).count();
        if is_plain && let Some([part, more @ ..]) = names.parts.get(ended..) {
            let rest = &values.text[same..];
            let (value, behind) = rest.split_at(values.end_of_first(rest));
            text.push_str(value);
            push_parts(more, values, behind, text);
            return part.fronts + same;
        }
        let (before, labels) = (others.text(before), names.text(values));
        let same = shared(&before, &labels);
        text.push_str(&labels[same..]);
        same
    }

    /// The text of labels with these values.
    pub(crate) fn text(&self, values: Values<'_>) -> String {
        let mut text = String::new();
        self.push(values, &mut text);
        text
    }

    /// Compares the texts of two series' labels.
    pub(crate) fn compare(
        (names, values): (&Self, Values<'_>),
        other: (&Self, Values<'_>),
    ) -> Ordering {
        // Where values are the same so far, so is what follows them up to the next: the texts differ where the values do.
        if std::ptr::eq(names, other.0) || names.are_named_as(other.0) {
            return values.text.cmp(other.1.text);
        }
        names.text(values).cmp(&other.0.text(other.1))
    }

    /// Whether texts of these and of those have the same names.
    fn are_named_as(&self, other: &Self) -> bool {
        let mut both = self.parts.iter().zip(&other.parts);
        self.parts.len() == other.parts.len() && both.all(|(a, b)| a.front == b.front)
    }
}

/// Appends some of the last labels, whose values these are.
fn push_parts(parts: &[Part], values: Values<'_>, mut rest: &str, text: &mut String) {
    for part in parts {
        let (value, after) = rest.split_at(values.end_of_first(rest));
        text.push_str(&part.front);
        text.push_str(value);
        rest = after;
    }
}

/// How many bytes two texts begin with alike, up to the end of a character.
fn shared(a: &str, b: &str) -> usize {
    b.floor_char_boundary(alike(a.as_bytes(), b.as_bytes()))
}

/// How many bytes two texts begin with alike, found by eight at once.
fn alike(a: &[u8], b: &[u8]) -> usize {
    let (eights_of_a, _) = a.as_chunks();
    let (eights_of_b, _) = b.as_chunks();
    let mut at = 0;
    for (a, b) in eights_of_a.iter().zip(eights_of_b) {
        let differ = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differ != 0 {
            return at + differ.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = a[at..].iter().zip(&b[at..]);
    at + rest.take_while(|(a, b)| a == b).count()
}

impl Values<'_> {
    /// Behind which byte the first of some of them ends.
    #[inline]
    fn end_of_first(self, values: &str) -> usize {
        let bytes = values.as_bytes();
        let mut from = 0;
        loop {
            let Some(quote) = memchr::memchr(b'"', &bytes[from..]) else {
                return bytes.len();
            };
            let end = from + quote;
            let backslashes = || bytes[..end].iter().rev().take_while(|byte| **byte == b'\\');
            if !self.is_escaped || backslashes().count().is_multiple_of(2) {
                return end + 1;
            }
            from = end + 1;
        }
    }

    /// What follows a value, if it stands in front.
    #[inline]
    fn after<'a>(self, rest: &'a [u8], value: &str) -> Option<&'a [u8]> {
        let rest = if self.is_escaped {
            after_escaped(rest, value)?
        } else {
            // A value with a quote in it may reach beyond the end of this label, and then there are too few labels for the text.
            rest.strip_prefix(value.as_bytes())?
        };
        rest.strip_prefix(b"\"")
    }
}

fn after_escaped<'a>(text: &'a [u8], value: &str) -> Option<&'a [u8]> {
    value.bytes().try_fold(text, |rest, byte| match byte {
        b'\n' => rest.strip_prefix(b"\\n"),
        b'\\' | b'"' => rest.strip_prefix(b"\\")?.strip_prefix(&[byte]),
        byte => rest.strip_prefix(&[byte]),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::{canonical_in_any_order, canonical_utf8, labels_of};

    fn key(name: &'static str, labels: &[(&'static str, &'static str)]) -> Key {
        Key::from_parts(name, labels.iter().map(Label::from).collect::<Vec<_>>())
    }

    /// The labels of a canonical key.
    fn labels(key: &Key, globals: &BTreeMap<String, String>) -> (LabelNames, NewValues) {
        let names = LabelNames::of(key, globals);
        let values = names.values(key);
        (names, values)
    }

    fn plain(key: &Key) -> (LabelNames, NewValues) {
        labels(&canonical_in_any_order(key), &BTreeMap::new())
    }

    #[test]
    fn labels_are_sorted_by_their_names() {
        let (names, values) = plain(&key("x", &[("z", "1"), ("b", "2"), ("a", "3")]));
        assert_eq!(names.text(values.get()), r#"a="3",b="2",z="1""#);
        let (names, values) = plain(&key("x", &[]));
        assert_eq!(names.text(values.get()), "");
    }

    #[test]
    fn a_series_is_told_from_others_that_look_alike() {
        let series = key("x", &[("a", "1"), ("b", "2\\n\"3\"\n")]);
        let (names, values) = plain(&series);
        assert_eq!(names.text(values.get()), r#"a="1",b="2\\n\"3\"\n""#);
        let is_of = |key: &Key| names.is_of(values.get(), key);
        assert!(is_of(&series));
        assert!(is_of(&key("x", &[("b", "2\\n\"3\"\n"), ("a", "1")])));
        for other in [
            key("x", &[("a", "1")]),
            key("x", &[("a", "1"), ("b", "2")]),
            key("x", &[("a", "1"), ("b", r#"2\\n\"3\"\n"#)]),
            key("x", &[("a", "1"), ("a", "1")]),
            key("x", &[("a", "1\",b=\"2")]),
            key("x", &[("a=\"1\",b", "2\\n\"3\"\n")]),
            key("x", &[("a=\"1\",b", "2\\n\"3\"\n"), ("c", "")]),
            key("x", &[("a", "1\"2\\n\"3\"\n"), ("b", "")]),
        ] {
            assert!(!is_of(&other), "{other}");
        }
        let (names, values) = plain(&key("x", &[("a", "\n")]));
        assert!(!names.is_of(values.get(), &key("x", &[("a", "\\n")])));
        let (names, values) = plain(&key("x", &[("a", "1"), ("b", "2")]));
        assert!(!names.is_of(values.get(), &key("x", &[("a", "1\"2"), ("b", "")])));
    }

    #[test]
    fn own_labels_stand_in_front_of_global_ones() {
        let globals = BTreeMap::from([
            ("env".to_owned(), "test".to_owned()),
            ("service".to_owned(), "de\"sk".to_owned()),
        ]);
        let (names, values) = labels(&key("x", &[("a", "1")]), &globals);
        assert_eq!(
            (&*names.text(values.get()), names.is_whole()),
            ("a=\"1\"", false)
        );
        let (names, values) = labels(&key("x", &[("env", "mine")]), &globals);
        let text = r#"env="mine",service="de\"sk""#;
        assert_eq!((&*names.text(values.get()), names.is_whole()), (text, true));
    }

    #[test]
    fn what_texts_share_ends_with_a_character() {
        for (a, b, bytes) in [
            ("", "a", 0),
            ("a=\"1\"", "a=\"12\"", 4),
            ("same", "same", 4),
            ("longer", "long", 4),
            ("ä", "ö", 0),
            ("xä", "xö", 1),
            ("twelve bytes", "twelve byte!", 11),
            ("sixteen bytes is", "sixteen bytes is", 16),
            ("sixteen bytes is", "sixteen bytes as", 14),
            ("sixteen bytes is and more", "sixteen bytes is", 16),
        ] {
            assert_eq!(shared(a, b), bytes, "{a} {b}");
        }
        let long = "x".repeat(70_000);
        assert_eq!(shared(&long, &long), 70_000);
    }

    proptest! {
        /// Whatever values are, the text has them, texts are in the order in which they are compared, and each series is found by its own
        /// key and by no other's.
        #[test]
        fn any_values_are_kept_compared_and_found(
            some in proptest::collection::vec("[ab!\"\\\\\n,=é]{1,4}", 4),
            other_names in any::<bool>(),
        ) {
            let key = |first: &str, a: &String, b: &String| {
                Key::from_parts("x", vec![Label::new(first.to_owned(), a.clone()), Label::new("b.c", b.clone())])
            };
            let one = key("z", &some[0], &some[1]);
            let other = key(if other_names { "a" } else { "z" }, &some[2], &some[3]);
            let of = |key: &Key| labels(&canonical_utf8(key), &BTreeMap::new());
            let (a, b) = (of(&one), of(&other));
            let (text_a, text_b) = (a.0.text(a.1.get()), b.0.text(b.1.get()));
            let pairs = [("b.c".to_owned(), some[1].clone()), ("z".to_owned(), some[0].clone())];
            prop_assert_eq!(labels_of(&text_a), pairs);
            let compared = LabelNames::compare((&a.0, a.1.get()), (&b.0, b.1.get()));
            prop_assert_eq!(compared, text_a.cmp(&text_b));
            let mut begun = text_b.clone();
            let mut beyond = String::new();
            let (this, other_text) = ((&a.0, a.1.get()), (&b.0, b.1.get()));
            begun.truncate(LabelNames::push_beyond(this, other_text, &mut beyond));
            prop_assert_eq!(begun + &beyond, text_a.clone());
            let again = canonical_utf8(&one);
            let next = a.0.values(&again);
            let same = LabelNames::push_beyond((&a.0, next.get()), this, &mut String::new());
            prop_assert_eq!(same, text_a.len());
            let third = key("z", &some[0], &some[3]);
            let third = canonical_utf8(&third);
            let values = a.0.values(&third);
            let mut beyond = String::new();
            let same = LabelNames::push_beyond((&a.0, values.get()), this, &mut beyond);
            prop_assert_eq!(format!("{}{beyond}", &text_a[..same]), a.0.text(values.get()));
            prop_assert!(a.0.is_of(a.1.get(), &one) && a.0.are_of(&canonical_utf8(&one)));
            prop_assert_eq!(a.0.is_of(a.1.get(), &other), text_a == text_b);
            prop_assert_eq!(a.0.are_of(&canonical_utf8(&other)), !other_names);
        }
    }
}
