//! Keys as they are exported, and label values that survive the recorder's escaping.
//!
//! The recorder behind these writes down what it is given: labels in whatever order they came, names that collide once
//! their odd characters are replaced, and escapes that lose a backslash in front of another one or of a quote. One such
//! key is enough to make a scrape invalid, so keys are put in order here, before they are registered.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit,
};
use obs_core::{Admission, Budgeted, Family, Kind, resolving};
use obs_recorder::{BUCKETS_BY_SUFFIX, Engine, canonical, metric_name};

/// A recorder that has keys in the one form, so that what is behind it sees equal keys for one series. Of two names that are the same
/// in that form, it takes the first.
#[derive(Debug)]
pub(super) struct Canonical<R> {
    pub(super) inner: Budgeted<R>,
    pub(super) admission: Arc<Admission>,
}

impl<R: Recorder> Canonical<R> {
    /// The handle of a key, or `lost` where its name is another's once both are escaped.
    fn registered<H>(&self, key: &Key, register: impl FnOnce(&Key) -> H, lost: H) -> H {
        let own = canonical(key);
        let is_known = self.admission.kind(own.name()).is_some();
        if is_known && self.is_respelled(own.name(), key.name()) {
            return lost;
        }
        let handle = register(&own);
        // A name that was refused is not remembered: there may be any number of these.
        let is_granted = !is_known && self.admission.kind(own.name()).is_some();
        if is_granted && self.is_respelled(own.name(), key.name()) {
            return lost;
        }
        handle
    }

    /// What is declared comes before other spellings of its name, also where nothing is recorded yet.
    fn declared(&self, name: &KeyName) {
        let escaped = metric_name(name.as_str());
        if resolving().is_some() && self.admission.family(&escaped).is_some() {
            self.admission.is_respelled(&escaped, name.as_str(), true);
        }
    }

    fn is_respelled(&self, name: &str, spelling: &str) -> bool {
        let is_respelled = self.admission.is_respelled(name, spelling, true);
        if is_respelled {
            self.inner.count_name_conflict(name);
        }
        is_respelled
    }
}

impl<R: Recorder> Recorder for Canonical<R> {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.inner.describe_counter(key_name(&name), unit, help);
        self.declared(&name);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.inner.describe_gauge(key_name(&name), unit, help);
        self.declared(&name);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.inner.describe_histogram(key_name(&name), unit, help);
        self.declared(&name);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        let register = |key: &Key| self.inner.register_counter(key, metadata);
        self.registered(key, register, Counter::noop())
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        let register = |key: &Key| self.inner.register_gauge(key, metadata);
        self.registered(key, register, Gauge::noop())
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let register = |key: &Key| self.inner.register_histogram(key, metadata);
        self.registered(key, register, Histogram::noop())
    }
}

fn key_name(name: &KeyName) -> KeyName {
    KeyName::from(metric_name(name.as_str()).into_owned())
}

/// A recorder in front of the exporting one that hands it values and help texts [encoded](encode). What the exporting one cannot
/// keep it hands to the engine.
#[derive(Debug)]
pub(super) struct Encoded<R> {
    pub(super) inner: R,
    pub(super) engine: Engine,
    pub(super) admission: Arc<Admission>,
    /// The histograms whose buckets the exporting recorder was given by name.
    pub(super) bounded: HashSet<String>,
}

impl<R> Encoded<R> {
    /// Whether the engine keeps a family of samples: it is declared as a summary or nothing says what its buckets are, or it is a
    /// histogram of which the exporting recorder knows nothing.
    fn is_kept_apart(&self, name: &str) -> bool {
        let tells = |(suffix, _): &(&str, _)| name.ends_with(suffix);
        let is_bounded = self.bounded.contains(name);
        match self.admission.family(name).map(Family::kind) {
            Some(Kind::Histogram) => !is_bounded,
            Some(_) => true,
            None => !is_bounded && !BUCKETS_BY_SUFFIX.iter().any(tells),
        }
    }
}

impl<R: Recorder> Recorder for Encoded<R> {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.inner.describe_counter(name, unit, encoded(&help));
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.inner.describe_gauge(name, unit, encoded(&help));
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        if self.is_kept_apart(name.as_str()) {
            self.engine.describe_histogram(name, unit, help);
        } else {
            self.inner.describe_histogram(name, unit, encoded(&help));
        }
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.inner.register_counter(&encoded_key(key), metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.inner.register_gauge(&encoded_key(key), metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        if self.is_kept_apart(key.name()) {
            self.engine.register_histogram(key, metadata)
        } else {
            self.inner.register_histogram(&encoded_key(key), metadata)
        }
    }
}

fn encoded(help: &SharedString) -> SharedString {
    SharedString::from_owned(encode(help).into_owned())
}

/// The key with its values encoded, and in order: a label that was folded may have another name than before.
fn encoded_key(key: &Key) -> Cow<'_, Key> {
    let key = canonical(key);
    if key
        .labels()
        .all(|label| matches!(encode(label.value()), Cow::Borrowed(_)))
    {
        return key;
    }
    let encoded =
        |label: &Label| Label::new(label.key().to_owned(), encode(label.value()).into_owned());
    let labels: Vec<_> = key.labels().map(encoded).collect();
    Cow::Owned(Key::from_parts(key.name().to_owned(), labels))
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
