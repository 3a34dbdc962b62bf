//! Which format a scraper asks for.

/// Prometheus' messages in protobuf.
const MESSAGES: &str = "application/vnd.google.protobuf";

/// Whether Prometheus' messages are preferred to every text format, or accepted with the same weight. Takes the `Accept` header of a
/// request, as RFC 9110 has it.
pub(super) fn prefers_protobuf(accept: &str) -> bool {
    let (mut messages, mut text) = (0.0_f32, 0.0_f32);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        let parameter = |wanted: &str| {
            let found = parameters
                .iter()
                .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.trim())
        };
        // 1 where none is given, 0 where it is no number.
        let weight = parameter("q").map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        match media_type.as_str() {
            MESSAGES
                if parameter("proto") == Some("io.prometheus.client.MetricFamily")
                    && parameter("encoding") == Some("delimited") =>
            {
                messages = messages.max(weight);
            }
            "text/plain" | "application/openmetrics-text" => text = text.max(weight),
            _ => {}
        }
    }
    messages > 0.0 && messages >= text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protobuf_is_sent_where_no_text_has_a_higher_weight() {
        const DELIMITED: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        for (rest, expected) in [
            ("", true),
            (";q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", true),
            (";q=0.6, text/plain; q=0.6", true),
            (";q=0.5,text/plain;q=0.6", false),
            (";q=0.5,application/openmetrics-text;version=1.0.0", false),
            (";q=0", false),
            (";q=much", false),
        ] {
            let accept = format!("{DELIMITED}{rest}");
            assert_eq!(prefers_protobuf(&accept), expected, "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "application/vnd.google.protobuf",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
        ] {
            assert!(!prefers_protobuf(accept), "{accept}");
        }
    }
}
