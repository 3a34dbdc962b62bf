//! Keys as they are exported, and label values that survive the recorder's escaping.
//!
//! The recorder behind this one writes down what it is given: labels in whatever order they came, names that collide once
//! their odd characters are replaced, and escapes that lose a backslash in front of another one or of a quote. One such
//! key is enough to make a scrape invalid, so keys are put in order here, before they are registered.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit,
};
use metrics_exporter_prometheus::formatting::{sanitize_label_key, sanitize_metric_name};

use super::native::Natives;
use super::summary::Summaries;

/// A recorder in front of the exporting one that registers keys in one form: valid names, labels sorted by key, values
/// [encoded](encode). It keeps summaries apart from what the exporting one keeps.
#[derive(Debug)]
pub(super) struct Canonical<R> {
    pub(super) inner: R,
    pub(super) summaries: Arc<Summaries>,
    pub(super) natives: Option<Arc<Natives>>,
}

impl<R: Recorder> Recorder for Canonical<R> {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.inner
            .describe_counter(key_name(&name), unit, encode(&help).into_owned().into());
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.inner
            .describe_gauge(key_name(&name), unit, encode(&help).into_owned().into());
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        let (name, help) = (key_name(&name), encode(&help).into_owned());
        if self.summaries.takes(name.as_str()) {
            self.summaries.describe(name.as_str(), help);
        } else {
            self.inner.describe_histogram(name, unit, help.into());
        }
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.inner.register_counter(&canonical(key), metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.inner.register_gauge(&canonical(key), metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let key = canonical(key);
        if self.summaries.takes(key.name()) {
            self.summaries.register(&key)
        } else {
            let classic = self.inner.register_histogram(&key, metadata);
            match &self.natives {
                Some(natives) => natives.beside(&key, classic),
                None => classic,
            }
        }
    }
}

/// The key in the one form.
fn canonical(key: &Key) -> Cow<'_, Key> {
    let name = metric_name(key.name());
    let labels: Vec<_> = key.labels().collect();
    let in_form = labels.is_sorted_by(|a, b| a.key() < b.key())
        && labels.iter().all(|label| is_in_form(label));
    if in_form && name == key.name() {
        return Cow::Borrowed(key);
    }
    // Of two labels that have become one, the latter counts.
    let labels: BTreeMap<_, _> = labels.into_iter().filter_map(label).collect();
    let labels: Vec<_> = labels
        .into_iter()
        .map(|(key, value)| Label::new(key, value))
        .collect();
    Cow::Owned(Key::from_parts(name.into_owned(), labels))
}

fn key_name(name: &KeyName) -> KeyName {
    KeyName::from(metric_name(name.as_str()).into_owned())
}

fn metric_name(name: &str) -> Cow<'_, str> {
    if name.is_empty() {
        Cow::Borrowed("_")
    } else if is_plain(name) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(sanitize_metric_name(name))
    }
}

/// Stands in front of a letter for a character that the recorder would escape.
const ESCAPE: char = '\u{1}';

/// The characters that are encoded, and their letters.
const ENCODED: [(char, char); 4] = [('\\', 'b'), ('"', 'q'), ('\n', 'n'), (ESCAPE, 'e')];

/// Text without any character that the recorder escapes; [`decode`] turns it into the exposition's escapes.
pub(super) fn encode(text: &str) -> Cow<'_, str> {
    let letter = |c: char| {
        ENCODED
            .iter()
            .find(|(plain, _)| *plain == c)
            .map(|(_, letter)| *letter)
    };
    if !text.contains(|c| letter(c).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match letter(c) {
            Some(letter) => encoded.extend([ESCAPE, letter]),
            None => encoded.push(c),
        }
    }
    Cow::Owned(encoded)
}

/// Appends encoded text as the exposition writes it. A help text leaves its quotes alone, a label value escapes them.
pub(super) fn decode(text: &str, quote: &str, to: &mut String) {
    let mut parts = text.split(ESCAPE);
    to.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let mut rest = part.chars();
        match rest.next() {
            Some('b') => to.push_str("\\\\"),
            Some('q') => to.push_str(quote),
            Some('n') => to.push_str("\\n"),
            _ => to.push(ESCAPE),
        }
        to.push_str(rest.as_str());
    }
}

/// Whether a label may be registered as it is.
fn is_in_form(label: &Label) -> bool {
    is_plain(label.key())
        && !label.key().contains(':')
        && !is_reserved(label.key())
        && !label.value().is_empty()
        && !label
            .value()
            .contains(|c| ENCODED.iter().any(|(plain, _)| *plain == c))
}

/// The label as it is exported; none when its value is empty, which means the same to Prometheus.
fn label(label: &Label) -> Option<(String, String)> {
    if label.value().is_empty() {
        return None;
    }
    let key = sanitize_label_key(label.key());
    let key = match key.as_str() {
        "" => "_".to_owned(),
        // As Prometheus itself does where a target's label stands in the way of one of its own.
        reserved if is_reserved(reserved) => format!("exported_{reserved}"),
        _ => key,
    };
    Some((key, encode(label.value()).into_owned()))
}

/// Whether the format or Prometheus gives the label a meaning of its own.
fn is_reserved(key: &str) -> bool {
    matches!(key, "le" | "quantile") || key.starts_with("__")
}

/// Whether every character may stand in a metric's name.
fn is_plain(name: &str) -> bool {
    let valid = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b':');
    name.bytes().all(valid)
        && name
            .bytes()
            .next()
            .is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_text_comes_back_escaped_once() {
        let cases = [
            ("plain é 日", "plain é 日"),
            (r"\", r"\\"),
            (r"\\", r"\\\\"),
            (r#"\""#, r#"\\\""#),
            ("\\n", r"\\n"),
            ("\\\n", "\\\\\\n"),
            ("a\"b\nc", "a\\\"b\\nc"),
            ("\u{1}b\u{1}", "\u{1}b\u{1}"),
            ("", ""),
        ];
        for (text, escaped) in cases {
            let mut decoded = String::new();
            decode(&encode(text), "\\\"", &mut decoded);
            assert_eq!(decoded, escaped, "{text:?}");
        }
    }
}
