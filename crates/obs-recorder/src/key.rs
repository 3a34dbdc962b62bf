//! Keys in the one form in which they are exported, and their text.
//!
//! A facade's key may hold anything: characters that no name may have, labels in any order, one label twice, labels that
//! mean something to the format. In canonical form it is valid and sorted, and two keys that mean one series are equal.

use std::borrow::Cow;
use std::collections::BTreeMap;

use metrics::{Key, Label};
use obs_core::MAX_VALUE_BYTES;

/// A key in the one form in which it is exported: a valid name, labels with valid names sorted by these, no empty values, nothing
/// twice. Two keys that mean one series are equal in it.
///
/// ```
/// use metrics::{Key, Label};
///
/// let key = Key::from_parts("queue.depth", vec![Label::new("shard", "2"), Label::new("a-b", "x"), Label::new("none", "")]);
/// let expected = Key::from_parts("queue_depth", vec![Label::new("a_b", "x"), Label::new("shard", "2")]);
/// assert_eq!(*obs_recorder::canonical(&key), expected);
/// ```
#[must_use]
pub fn canonical(key: &Key) -> Cow<'_, Key> {
    in_one_form(key, is_sorted)
}

/// The same but for the order of labels, in which most keys can be left as they are: their text has them sorted, and a key's hash has them
/// in any order.
pub(crate) fn canonical_in_any_order(key: &Key) -> Cow<'_, Key> {
    in_one_form(key, is_distinct)
}

fn in_one_form(key: &Key, is_in_order: impl Fn(&[Label]) -> bool) -> Cow<'_, Key> {
    let name = metric_name(key.name());
    let labels = key.labels().as_slice();
    let in_form = labels.iter().all(is_in_form) && is_in_order(labels);
    if in_form && *name == *key.name() {
        return Cow::Borrowed(key);
    }
    // Of one label twice, the latter counts.
    let labels: BTreeMap<_, _> = labels.iter().filter_map(label).collect();
    let labels: Vec<_> = labels
        .into_iter()
        .map(|(key, value)| Label::new(key.into_owned(), value.to_owned()))
        .collect();
    Cow::Owned(Key::from_parts(name.into_owned(), labels))
}

fn is_sorted(labels: &[Label]) -> bool {
    labels.is_sorted_by(|a, b| a.key() < b.key())
}

/// Whether no two labels have one name. Of many that are not sorted, nobody looks.
fn is_distinct(labels: &[Label]) -> bool {
    const FEW: usize = 8;
    let is_new = |(at, label): (usize, &Label)| {
        let mut before = labels[..at].iter();
        before.all(|other| other.key() != label.key())
    };
    is_sorted(labels) || (labels.len() <= FEW && labels.iter().enumerate().all(is_new))
}

/// The name under which a metric is exported: with `_` for each character that no name may have.
///
/// `_total` is `__total`: what parsers call a counter is the name without that ending, which must not be empty.
#[must_use]
pub fn metric_name(name: &str) -> Cow<'_, str> {
    match valid_name(name, |c| c == b':') {
        name if name == "_total" => Cow::Borrowed("__total"),
        name => name,
    }
}

/// The same as [`canonical_in_any_order`] where names may have any characters: only what is empty or means something else is replaced. Of two
/// labels that are one where names are escaped, the latter counts, as there.
pub(crate) fn canonical_utf8(key: &Key) -> Cow<'_, Key> {
    let is_kept = |label: &Label| {
        !label.value().is_empty() && is_plain_label(label.key()) && !is_reserved(label.key())
    };
    let labels = key.labels().as_slice();
    let in_form = labels.iter().all(is_kept) && is_distinct(labels);
    let name = utf8_name(key.name());
    if in_form && *name == *key.name() {
        return Cow::Borrowed(key);
    }
    let kept = labels.iter().filter_map(|kept| {
        let (escaped, value) = label(kept)?;
        let is_renamed = kept.key().is_empty() || is_reserved(kept.key());
        let own = if is_renamed {
            escaped.clone()
        } else {
            Cow::Borrowed(kept.key())
        };
        Some((escaped, (own, value)))
    });
    let kept: BTreeMap<_, _> = kept.collect();
    let kept: BTreeMap<_, _> = kept.into_values().collect();
    let labels: Vec<_> = kept
        .into_iter()
        .map(|(key, value)| Label::new(key.into_owned(), value.to_owned()))
        .collect();
    Cow::Owned(Key::from_parts(name.into_owned(), labels))
}

/// The name under which a metric is kept where names may have any characters.
pub(crate) fn utf8_name(name: &str) -> Cow<'_, str> {
    if name.is_empty() || name == "_total" {
        metric_name(name)
    } else {
        Cow::Borrowed(name)
    }
}

/// Whether a name of a metric may stand without quotes.
pub(crate) fn is_plain_name(name: &str) -> bool {
    matches!(valid_name(name, |c| c == b':'), Cow::Borrowed(same) if same.len() == name.len())
}

/// Whether a name of a label may.
pub(crate) fn is_plain_label(key: &str) -> bool {
    matches!(valid_name(key, |_| false), Cow::Borrowed(same) if same.len() == key.len())
}

/// Appends a name, in quotes where it needs them.
pub(crate) fn push_name(text: &mut String, name: &str, is_plain: bool) {
    if is_plain {
        text.push_str(name);
    } else {
        text.push('"');
        push_escaped(text, name, true);
        text.push('"');
    }
}

/// Whether a name of a metric or of a label is longer than any value of a label may be.
pub(crate) fn is_too_long(name: &str) -> bool {
    name.len() > MAX_VALUE_BYTES
}

/// The label as it is exported; none when its value is empty, which means the same to Prometheus.
fn label(label: &Label) -> Option<(Cow<'_, str>, &str)> {
    let key = valid_name(label.key(), |_| false);
    let key = match key {
        // As Prometheus itself does where a target's label stands in the way of one of its own.
        reserved if is_reserved(&reserved) => Cow::Owned(format!("exported_{reserved}")),
        key => key,
    };
    (!label.value().is_empty()).then_some((key, label.value()))
}

fn is_in_form(label: &Label) -> bool {
    let key = valid_name(label.key(), |_| false);
    !label.value().is_empty() && *key == *label.key() && !is_reserved(&key)
}

/// Whether the key can stand on every series as it is.
pub(crate) fn is_label(key: &str) -> bool {
    !is_too_long(key) && *valid_name(key, |_| false) == *key && !is_reserved(key)
}

/// Whether the format or Prometheus gives the label a meaning of its own.
fn is_reserved(key: &str) -> bool {
    matches!(key, "le" | "quantile") || key.starts_with("__")
}

/// The name with `_` for each character that may not stand there; `_` for no name at all.
fn valid_name(name: &str, more: impl Fn(u8) -> bool) -> Cow<'_, str> {
    let is_valid = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric() || more(byte);
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let begins_well = !name.as_bytes().first().is_some_and(is_digit);
    if name.is_empty() {
        Cow::Borrowed("_")
    } else if begins_well && name.bytes().all(is_valid) {
        Cow::Borrowed(name)
    } else {
        let replaced = |(at, c): (usize, char)| {
            let stays = u8::try_from(c).is_ok_and(&is_valid) && (at > 0 || begins_well);
            if stays { c } else { '_' }
        };
        Cow::Owned(name.chars().enumerate().map(replaced).collect())
    }
}

/// Appends a label, after a comma where it is not the first.
pub(crate) fn push_label(text: &mut String, key: &str, value: &str) {
    if !text.is_empty() {
        text.push(',');
    }
    push_name(text, key, is_plain_label(key));
    text.push_str("=\"");
    push_escaped(text, value, true);
    text.push('"');
}

/// Appends a text with its backslashes, line feeds and, if asked, quotes escaped.
pub(crate) fn push_escaped(text: &mut String, value: &str, quotes: bool) {
    let is_escaped = |byte: u8| needs_escape(byte) && (quotes || byte != b'"');
    let mut rest = value;
    while let Some(at) = rest.bytes().position(is_escaped) {
        let (before, escaped) = rest.split_at(at);
        // What is escaped has one byte.
        let (escaped, after) = escaped.split_at(1);
        text.push_str(before);
        text.push('\\');
        text.push_str(if escaped == "\n" { "n" } else { escaped });
        rest = after;
    }
    text.push_str(rest);
}

/// The labels of a text that [`push_label`] made.
pub(crate) fn labels_of(text: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (key, behind) = match rest.strip_prefix('"') {
            Some(quoted) => unescaped(quoted),
            None => rest
                .split_once('=')
                .map_or((String::new(), ""), |(key, _)| {
                    (key.to_owned(), &rest[key.len()..])
                }),
        };
        let (value, behind) = unescaped(behind.strip_prefix("=\"").unwrap_or_default());
        labels.push((key, value));
        rest = behind.strip_prefix(',').unwrap_or(behind);
    }
    labels
}

/// The text up to a quote that nothing escapes, as it was before it was escaped, and what follows the quote.
fn unescaped(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('n') => value.push('\n'),
                escaped => value.extend(escaped),
            },
            c => value.push(c),
        }
    }
    (value, chars.as_str())
}

fn needs_escape(byte: u8) -> bool {
    matches!(byte, b'\\' | b'"' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::LabelNames;

    fn key(name: &'static str, labels: &[(&'static str, &'static str)]) -> Key {
        Key::from_parts(name, labels.iter().map(Label::from).collect::<Vec<_>>())
    }

    /// The text of a canonical key's labels.
    fn text(key: &Key) -> String {
        let names = LabelNames::of(key, &BTreeMap::new());
        names.text(names.values(key).get())
    }

    #[test]
    fn keys_of_one_series_have_one_form() {
        let expected = key("a_b", &[("x_y", "1"), ("z", "2")]);
        for same in [
            key("a_b", &[("z", "2"), ("x_y", "1")]),
            key("a.b", &[("x.y", "1"), ("z", "2"), ("empty", "")]),
            key("a-b", &[("z", "0"), ("z", "2"), ("x y", "1")]),
        ] {
            let found = canonical(&same);
            assert_eq!(
                (&*found, found.get_hash()),
                (&expected, expected.get_hash())
            );
        }
        let odd = key(
            "9é",
            &[("le", "1"), ("__name__", "2"), ("9", "3"), ("", "4")],
        );
        let expected = key(
            "__",
            &[("_", "4"), ("exported___name__", "2"), ("exported_le", "1")],
        );
        assert_eq!(
            *canonical(&odd),
            expected,
            "of two that become one, the latter"
        );
    }

    #[test]
    fn the_order_of_labels_is_left_alone_but_for_one_that_is_there_twice() {
        let pairs = [("z", "1"), ("b", "2"), ("a", "3")];
        let shuffled = key("x", &pairs);
        let (kept, utf8) = (canonical_in_any_order(&shuffled), canonical_utf8(&shuffled));
        assert!(matches!(
            (&kept, utf8),
            (Cow::Borrowed(_), Cow::Borrowed(_))
        ));
        assert_eq!(kept.get_hash(), canonical(&shuffled).get_hash());

        let twice = key("x", &[("z", "1"), ("a", "2"), ("z", "3")]);
        let once = key("x", &[("a", "2"), ("z", "3")]);
        assert_eq!(*canonical_in_any_order(&twice), once);
        assert_eq!(*canonical_utf8(&twice), once);

        // More than are compared with one another.
        let names = ["j", "i", "h", "g", "f", "e", "d", "c", "b"];
        let many = key("x", &names.map(|name| (name, "1")));
        assert_eq!(canonical_in_any_order(&many), canonical(&many));
    }

    #[test]
    fn names_of_any_characters_are_kept_where_they_may_be() {
        let pairs = [
            ("z", "1"),
            ("a.b", "2"),
            ("le", "3"),
            ("", "4"),
            ("none", ""),
        ];
        let kept = [("_", "4"), ("a.b", "2"), ("exported_le", "3"), ("z", "1")];
        assert_eq!(*canonical_utf8(&key("é 9", &pairs)), key("é 9", &kept));
        // Two that would be one where they are escaped are one.
        let two = key("x", &[("a_b", "1"), ("a.b", "2")]);
        assert_eq!(*canonical_utf8(&two), key("x", &[("a.b", "2")]));
        for name in ["", "_total"] {
            assert_eq!(canonical_utf8(&key(name, &[])), canonical(&key(name, &[])));
        }
    }

    #[test]
    fn labels_are_read_back_from_their_text() {
        let pairs = [("a", "1"), ("b", "2\\n\"3\"\n,c=\"4\""), ("d", "é")];
        let read = labels_of(&text(&key("x", &pairs)));
        assert_eq!(read, pairs.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(labels_of(""), []);
        let pairs = [("a.\"b\"\n", "1"), ("c", "2"), ("é=\"", "3")];
        let read = labels_of(&text(&canonical_utf8(&key("x", &pairs))));
        assert_eq!(read, pairs.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
}
