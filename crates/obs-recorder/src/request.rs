//! What a request for metrics says in its headers, for a server of any kind: for whom it is, which format and names it takes, and whether it
//! may be packed.
//!
//! Headers are given by the texts of their values, of which there may be several.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::{Format, Names, PROTOBUF_MEDIA_TYPE};

/// The text that a client is answered with.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct WantedText {
    /// Which of the formats.
    pub format: Format,
    /// What names are called in it.
    pub names: Names,
    /// Whether the client has said what names may be like, and is to be answered in that respect.
    says_names: bool,
    /// Whether the classic text has the version whose names may be in quotes.
    is_version_1: bool,
    weight: f32,
}

impl WantedText {
    /// `OpenMetrics` for clients that name it in `Accept` and do not prefer the plain text, which is what all others get. `utf8_names` says
    /// whether there are names that have to be escaped for clients that do not take them as they are; without, what a series is called is the
    /// same for every client.
    #[must_use]
    pub fn of<'a>(accept: impl IntoIterator<Item = &'a str>, utf8_names: bool) -> Self {
        let ranges = accepted(accept).filter_map(|(media_type, parameters)| {
            let format = match media_type.as_str() {
                "application/openmetrics-text" if is_version_1(parameters) => Format::OpenMetrics,
                "text/plain" => Format::Classic,
                _ => return None,
            };
            Some(Self::range(format, parameters, utf8_names))
        });
        // Of some with the same weight, `OpenMetrics`, and else the first.
        let better = |best: Self, next: Self| {
            let is_open = |wanted: &Self| wanted.format == Format::OpenMetrics;
            let by_weight = next.weight.total_cmp(&best.weight);
            let preferred = by_weight.then(is_open(&next).cmp(&is_open(&best)));
            if preferred.is_gt() { next } else { best }
        };
        let accepted = ranges.filter(|range| range.weight > 0.0);
        let plain = || Self::range(Format::Classic, "", utf8_names);
        accepted.reduce(better).unwrap_or_else(plain)
    }

    /// What one range of `Accept` asks for.
    fn range(format: Format, parameters: &str, utf8_names: bool) -> Self {
        let said = parameter(parameters, "escaping");
        let version = parameter(parameters, "version").map(|version| version.trim_matches('"'));
        let is_version_1 = version == Some("1.0.0");
        // Before version 1.0.0 the classic text has no names in quotes.
        let has_quotes = format == Format::OpenMetrics || is_version_1;
        let names = said.and_then(Names::of_word).unwrap_or_default();
        let names = match names {
            Names::Utf8 if !has_quotes => Names::Underscores,
            _ if !utf8_names => Names::Underscores,
            names => names,
        };
        Self {
            format,
            names,
            says_names: said.is_some(),
            is_version_1,
            weight: weight(parameters),
        }
    }

    /// The media type of the answer, in the format that it is in.
    #[must_use]
    pub fn media_type(self, format: Format) -> Cow<'static, str> {
        let plain = if format == Format::Classic && self.format == format && self.is_version_1 {
            "text/plain; version=1.0.0; charset=utf-8"
        } else {
            format.media_type()
        };
        if self.says_names {
            Cow::Owned(format!("{plain}; escaping={}", self.names.as_str()))
        } else {
            Cow::Borrowed(plain)
        }
    }
}

/// A scrape in protobuf, as a client asks for it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct WantedMessages {
    /// What names are called in it.
    pub names: Names,
    says_names: bool,
}

impl WantedMessages {
    /// Prometheus' messages, where `Accept` prefers them to every text format or takes both with the same weight. `utf8_names` as in
    /// [`WantedText::of`].
    #[must_use]
    pub fn of<'a>(accept: impl IntoIterator<Item = &'a str>, utf8_names: bool) -> Option<Self> {
        let (mut best, mut text) = (None, 0.0_f32);
        for (media_type, parameters) in accepted(accept) {
            let is = |name, wanted| parameter(parameters, name) == Some(wanted);
            let weight = weight(parameters);
            match media_type.as_str() {
                "application/vnd.google.protobuf"
                    if is("proto", "io.prometheus.client.MetricFamily")
                        && is("encoding", "delimited")
                        && best.is_none_or(|(before, _)| weight > before) =>
                {
                    best = Some((weight, parameter(parameters, "escaping")));
                }
                "application/openmetrics-text" | "text/plain" => text = text.max(weight),
                _ => {}
            }
        }
        let (_, said) = best.filter(|(weight, _)| *weight > 0.0 && *weight >= text)?;
        let names = said.and_then(Names::of_word).filter(|_| utf8_names);
        Some(Self {
            names: names.unwrap_or_default(),
            says_names: said.is_some(),
        })
    }

    /// The media type of the answer.
    #[must_use]
    pub fn media_type(self) -> Cow<'static, str> {
        if self.says_names {
            Cow::Owned(format!(
                "{PROTOBUF_MEDIA_TYPE}; escaping={}",
                self.names.as_str()
            ))
        } else {
            Cow::Borrowed(PROTOBUF_MEDIA_TYPE)
        }
    }
}

/// The media types of the `Accept` header in lower case, in which RFC 9110 takes any, each with its parameters.
fn accepted<'a>(
    accept: impl IntoIterator<Item = &'a str>,
) -> impl Iterator<Item = (String, &'a str)> {
    let ranges = accept.into_iter().flat_map(|value| value.split(','));
    ranges.map(|range| {
        let (media_type, parameters) = range.split_once(';').unwrap_or((range, ""));
        (media_type.trim().to_ascii_lowercase(), parameters)
    })
}

/// Whether the version that is asked for is the one that is written; who names none takes any.
fn is_version_1(parameters: &str) -> bool {
    parameter(parameters, "version").is_none_or(|version| version.trim_matches('"') == "1.0.0")
}

/// Whether a client takes gzip by `Accept-Encoding`: named, or by `*`, and not with a weight of 0.
///
/// ```
/// use obs_recorder::request::accepts_gzip;
///
/// assert!(accepts_gzip(["br, gzip;q=0.5"]));
/// assert!(!accepts_gzip(["br, *;q=0"]));
/// ```
pub fn accepts_gzip<'a>(accept_encoding: impl IntoIterator<Item = &'a str>) -> bool {
    let mut any = false;
    let values = accept_encoding.into_iter();
    for coding in values.flat_map(|value| value.split(',')) {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let name = name.trim();
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            return is_wanted(parameters);
        }
        if name == "*" {
            any = is_wanted(parameters);
        }
    }
    any
}

/// Whether a request is meant for a server by its `Host`: one without, or with an address, with `localhost` or any other name that has no dot, or with
/// one of these names, whatever the port.
///
/// A web page can make the name of its own server lead to any address, and then read what is answered (DNS rebinding). An address as such, and
/// a name that no public one can be, are safe, and so is a request of HTTP/1.0, which names no host and which no browser sends. What is not meant for
/// it, a server answers with the status 421.
///
/// ```
/// use obs_recorder::request::is_for;
///
/// let names = ["desk-1.internal".to_owned()];
/// assert!(is_for("desk-1.internal:9464", &names) && is_for("[::1]:9464", &names));
/// assert!(!is_for("evil.example:9464", &names));
/// ```
#[must_use]
pub fn is_for(host: &str, names: &[String]) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (name, port) = match (bracketed, host.rsplit_once(':')) {
        (Some((address, rest)), _) => (address, rest.strip_prefix(':').unwrap_or(rest)),
        (None, Some(parts)) => parts,
        (None, None) => (host, ""),
    };
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    if !name.bytes().all(is_of_name) || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_it = |ours: &String| ours.eq_ignore_ascii_case(name);
    name.parse::<IpAddr>().is_ok() || !name.contains(['.', ':']) || names.iter().any(is_it)
}

/// Whether the weight is above 0.
fn is_wanted(parameters: &str) -> bool {
    weight(parameters) > 0.0
}

/// The weight: 1 where none is given, 0 where it is no number.
fn weight(parameters: &str) -> f32 {
    let weight = parameter(parameters, "q");
    weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0))
}

fn parameter<'a>(parameters: &'a str, wanted: &str) -> Option<&'a str> {
    let mut parameters = parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='));
    let found = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
    found.map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let cases: [(&[&str], bool); 14] = [
            (&[], false),
            (&[""], false),
            (&["gzip"], true),
            (&["GZIP"], true),
            (&["x-gzip"], true),
            (&["deflate, gzip;q=0.5"], true),
            (&["deflate", "gzip"], true),
            (&["gzip;q=0"], false),
            (&["gzip; q=0.000"], false),
            (&["gzip;q=0, *"], false),
            (&["*"], true),
            (&["*;q=0"], false),
            (&["gzip;q=nonsense"], false),
            (&["br, identity"], false),
        ];
        for (values, expected) in cases {
            assert_eq!(accepts_gzip(values.iter().copied()), expected, "{values:?}");
        }
    }

    #[test]
    fn protobuf_is_sent_where_no_text_has_a_higher_weight() {
        let messages = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        for (rest, expected) in [
            ("", true),
            (
                ",application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                true,
            ),
            (";q=0.6, text/plain;q=0.6", true),
            (";q=0.5, text/plain;q=0.6", false),
            (";q=0", false),
        ] {
            let value = format!("{messages}{rest}");
            let wanted = WantedMessages::of([&*value], false);
            assert_eq!(wanted.is_some(), expected, "{value}");
        }
        for other in ["*/*", "text/plain", "application/vnd.google.protobuf"] {
            assert_eq!(WantedMessages::of([other], false), None, "{other}");
        }
    }

    #[test]
    fn names_in_protobuf_are_called_as_the_client_reads_them() {
        for (escaping, utf8_names, names) in [
            ("", true, Names::Underscores),
            (";escaping=allow-utf-8", true, Names::Utf8),
            (";escaping=allow-utf-8", false, Names::Underscores),
            (";escaping=values", true, Names::Values),
            (";escaping=none", true, Names::Underscores),
        ] {
            let value = format!(
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited{escaping};q=0.6,\
                 text/plain;version=0.0.4;q=0.2"
            );
            let wanted = WantedMessages::of([&*value], utf8_names).unwrap();
            assert_eq!(wanted.names, names, "{value}");
            let said = format!("{PROTOBUF_MEDIA_TYPE}; escaping={}", names.as_str());
            let media_type = wanted.media_type();
            if escaping.is_empty() {
                assert_eq!(media_type, PROTOBUF_MEDIA_TYPE);
            } else {
                assert_eq!(media_type, said);
            }
        }
    }

    #[test]
    fn open_metrics_is_sent_to_those_who_like_it_no_less() {
        // What Prometheus 2 and 3 send, of which the latter asks for protobuf first.
        let prometheus_2 = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.1";
        let cases = [
            ("", false),
            ("*/*", false),
            ("text/plain", false),
            ("text/html, application/xhtml+xml, */*;q=0.8", false),
            ("application/openmetrics-text", true),
            ("application/openmetrics-text; version=1.0.0", true),
            ("application/openmetrics-text; version=2.0.0", false),
            ("application/openmetrics-text; version=0.0.1", false),
            ("application/openmetrics-text;q=0", false),
            ("application/openmetrics-text;q=0.3, text/plain", false),
            ("text/plain;q=0.5, application/openmetrics-text;q=0.5", true),
            (prometheus_2, true),
            (prometheus_3, true),
        ];
        for (value, is_open) in cases {
            let found = WantedText::of([value], false).format == Format::OpenMetrics;
            assert_eq!(found, is_open, "{value:?}");
        }
        assert_eq!(WantedText::of([], false).format, Format::Classic);
    }

    /// What Prometheus 3.16 sends as it is installed.
    const PROMETHEUS_3_16: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
        application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
        text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

    fn answered(accept: &str, utf8_names: bool) -> (String, Names) {
        let wanted = WantedText::of([accept], utf8_names);
        (wanted.media_type(wanted.format).into_owned(), wanted.names)
    }

    #[test]
    fn names_are_called_as_the_client_reads_them_and_that_is_said() {
        let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        let plain = "text/plain; version=0.0.4; charset=utf-8";
        let plain_1 = "text/plain; version=1.0.0; charset=utf-8";
        for (accept, media_type, names) in [
            (PROMETHEUS_3_16, open, Some(Names::Utf8)),
            (
                "application/openmetrics-text;version=1.0.0;escaping=dots",
                open,
                Some(Names::Dots),
            ),
            (
                "application/openmetrics-text;escaping=values",
                open,
                Some(Names::Values),
            ),
            (
                "application/openmetrics-text;escaping=underscores",
                open,
                Some(Names::Underscores),
            ),
            ("application/openmetrics-text; version=1.0.0", open, None),
            (
                "text/plain;version=1.0.0;escaping=allow-utf-8",
                plain_1,
                Some(Names::Utf8),
            ),
            ("text/plain;version=1.0.0", plain_1, None),
            // A version that has no quotes.
            (
                "text/plain;version=0.0.4;escaping=allow-utf-8",
                plain,
                Some(Names::Underscores),
            ),
            ("text/plain;escaping=values", plain, Some(Names::Values)),
            // A word that nobody knows.
            (
                "application/openmetrics-text;escaping=none",
                open,
                Some(Names::Underscores),
            ),
            ("*/*", plain, None),
        ] {
            let with = |names: Option<Names>| match names {
                Some(names) => format!("{media_type}; escaping={}", names.as_str()),
                None => media_type.to_owned(),
            };
            let expected = (with(names), names.unwrap_or_default());
            assert_eq!(answered(accept, true), expected, "{accept}");
            // Where all names are plain they are the same for everybody, and that is said too.
            let plain_names = names.map(|_| Names::Underscores);
            let expected = (with(plain_names), Names::Underscores);
            assert_eq!(answered(accept, false), expected, "{accept}");
        }
    }

    #[test]
    fn the_stock_recorder_says_which_text_it_has() {
        let media_type = WantedText::of([PROMETHEUS_3_16], false).media_type(Format::Classic);
        assert_eq!(
            media_type,
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
        );
    }

    #[test]
    fn a_server_is_asked_by_addresses_and_by_names_that_lead_nowhere_else() {
        let names = ["desk-1.internal".to_owned()];
        for (host, is_answered) in [
            ("", true),
            ("127.0.0.1:9466", true),
            ("10.0.0.7", true),
            ("[::1]:9466", true),
            ("[::1]", true),
            ("LocalHost:9466", true),
            ("desk:9466", true),
            ("localhost.", true),
            ("desk-1.internal:9466", true),
            ("DESK-1.internal.:9466", true),
            ("desk-2.internal", false),
            ("evil.example:9466", false),
            ("127.0.0.1.evil.example", false),
            ("desk@evil.example", false),
            ("evil.example:9466@127.0.0.1", false),
            ("a b", false),
            ("localhost:port", false),
            ("[evil.example]", false),
        ] {
            assert_eq!(is_for(host, &names), is_answered, "{host}");
        }
    }
}
