//! What names are called for those who do not read them as they are.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::key::{is_plain_label, is_plain_name, labels_of, metric_name, push_label};

/// How a scrape writes names that have other characters than letters, digits, `_` and `:`.
///
/// Only an engine that [keeps such names](crate::Builder::utf8_names) has any. The words are those of `escaping` in the `Accept` of
/// Prometheus; the schemes are its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Names {
    /// Each such character as `_`: `http.requests` is `http_requests`. What Prometheus 2 and most others read.
    #[default]
    Underscores,
    /// A dot as `_dot_`, any other such character as `__`, and `_` as `__`, in every name.
    Dots,
    /// Each such character as its number in Unicode, behind `U__`: `U__http_2e_requests`.
    Values,
    /// As they are, in quotes: `{"http.requests"}`. What Prometheus 3 asks for.
    Utf8,
}

impl Names {
    const ALL: [Self; 4] = [Self::Underscores, Self::Dots, Self::Values, Self::Utf8];

    /// The word for it in `Accept` and `Content-Type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
            Self::Utf8 => "allow-utf-8",
        }
    }

    /// The scheme of a word; none where the word means none.
    ///
    /// ```
    /// use obs_recorder::Names;
    ///
    /// assert_eq!(Names::of_word("allow-utf-8"), Some(Names::Utf8));
    /// assert_eq!(Names::of_word("backslashes"), None);
    /// ```
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|names| names.as_str() == word)
    }

    /// What a metric is called.
    ///
    /// ```
    /// use obs_recorder::Names;
    ///
    /// let called = [Names::Underscores, Names::Dots, Names::Values, Names::Utf8].map(|names| names.metric("http.in_flight"));
    /// assert_eq!(called, ["http_in_flight", "http_dot_in__flight", "U__http_2e_in__flight", "http.in_flight"]);
    /// assert_eq!(Names::Values.metric("in_flight"), "in_flight");
    /// ```
    #[must_use]
    pub fn metric(self, name: &str) -> Cow<'_, str> {
        match self {
            Self::Underscores => metric_name(name),
            Self::Utf8 => Cow::Borrowed(name),
            _ => self.escaped(name, is_plain_name, |c| c == ':'),
        }
    }

    /// What a label is called.
    fn label(self, key: &str) -> Cow<'_, str> {
        match self {
            Self::Underscores if !is_plain_label(key) => {
                let plain = |(at, c): (usize, char)| if is_plain(at, c) { c } else { '_' };
                Cow::Owned(key.chars().enumerate().map(plain).collect())
            }
            Self::Underscores | Self::Utf8 => Cow::Borrowed(key),
            _ => self.escaped(key, is_plain_label, |_| false),
        }
    }

    /// By one of the two schemes that can be undone.
    fn escaped(
        self,
        name: &str,
        is_whole: impl Fn(&str) -> bool,
        more: impl Fn(char) -> bool,
    ) -> Cow<'_, str> {
        let dots = self == Self::Dots;
        if is_whole(name) && (!dots || !name.contains('_')) {
            return Cow::Borrowed(name);
        }
        let mut escaped = String::from(if dots { "" } else { "U__" });
        for (at, c) in name.chars().enumerate() {
            match c {
                '_' => escaped.push_str("__"),
                c if is_plain(at, c) || more(c) => escaped.push(c),
                '.' if dots => escaped.push_str("_dot_"),
                _ if dots => escaped.push_str("__"),
                c => {
                    let _ = write!(escaped, "_{:x}_", u32::from(c));
                }
            }
        }
        Cow::Owned(escaped)
    }

    /// The text of labels as it is to be written. Of two keys that become one, the first counts.
    pub(crate) fn labels(self, text: &str) -> Cow<'_, str> {
        if self == Self::Utf8 {
            return Cow::Borrowed(text);
        }
        // A quote that nothing stands before but a comma begins a name: those within values are escaped.
        let is_plain = !text.starts_with('"') && !text.contains(",\"");
        if is_plain && (self != Self::Dots || !text.contains('_')) {
            return Cow::Borrowed(text);
        }
        let mut written: Vec<String> = Vec::new();
        let mut escaped = String::with_capacity(text.len());
        for (key, value) in labels_of(text) {
            let key = self.label(&key).into_owned();
            if !written.contains(&key) {
                push_label(&mut escaped, &key, &value);
                written.push(key);
            }
        }
        Cow::Owned(escaped)
    }
}

/// Whether a character may be at this place of any name.
fn is_plain(at: usize, c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `prometheus/common` has them.
    #[test]
    fn names_are_escaped_as_prometheus_does() {
        for (name, underscores, dots, values) in [
            ("plain", "plain", "plain", "plain"),
            ("a:b_c", "a:b_c", "a:b__c", "a:b_c"),
            ("a.b", "a_b", "a_dot_b", "U__a_2e_b"),
            ("a.b_c", "a_b_c", "a_dot_b__c", "U__a_2e_b__c"),
            ("a b", "a_b", "a__b", "U__a_20_b"),
            ("9a", "_a", "__a", "U___39_a"),
            ("é😱", "__", "____", "U___e9__1f631_"),
        ] {
            let called = [Names::Underscores, Names::Dots, Names::Values].map(|n| n.metric(name));
            assert_eq!(called, [underscores, dots, values], "{name}");
        }
        assert_eq!(Names::Values.label("a:b"), "U__a_3a_b");
    }

    #[test]
    fn labels_are_written_anew_where_they_have_to_be() {
        let text = r#""a.b"="x,\"y\"",a_b="z",c="1""#;
        for (names, expected) in [
            (Names::Utf8, text),
            (Names::Underscores, r#"a_b="x,\"y\"",c="1""#),
            (Names::Dots, r#"a_dot_b="x,\"y\"",a__b="z",c="1""#),
            (Names::Values, r#"U__a_2e_b="x,\"y\"",a_b="z",c="1""#),
        ] {
            assert_eq!(names.labels(text), expected, "{names:?}");
        }
        let plain = r#"a_b="x,\"y\"""#;
        assert!(matches!(Names::Underscores.labels(plain), Cow::Borrowed(_)));
        assert_eq!(Names::Dots.labels(plain), r#"a__b="x,\"y\"""#);
    }
}
