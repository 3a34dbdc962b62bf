//! Closed labels come from text and go through serde as what they are exported as.

use std::collections::BTreeMap;

use obs_core::{Closed, ParseLabelError};

obs_core::label! {
    /// How an order may be executed.
    pub enum OrderType as "order_type" {
        Market = "market",
        StopLimit = "stop_limit",
        TrailingStop = "trailing_stop",
    }
}

fn refused(text: &str) -> ParseLabelError {
    text.parse::<OrderType>().unwrap_err()
}

#[test]
fn every_value_is_read_back_from_its_text_and_from_json() {
    for value in OrderType::ALL {
        assert_eq!(value.to_string().parse(), Ok(*value));
        let json = serde_json::to_string(value).unwrap();
        assert_eq!(json, format!("\"{value}\""));
        assert_eq!(serde_json::from_str::<OrderType>(&json).unwrap(), *value);
    }
}

#[test]
fn a_refusal_names_the_label_the_text_and_its_values() {
    let error = refused("iceberg");
    assert_eq!((error.label(), error.given()), ("order_type", "iceberg"));
    assert_eq!(error.values(), ["market", "stop_limit", "trailing_stop"]);
    assert_eq!(
        error.to_string(),
        "\"iceberg\" is no value of `order_type`: use one of `market`, `stop_limit`, `trailing_stop`"
    );
}

#[test]
fn the_nearest_value_is_suggested_where_one_is_near() {
    for (text, nearest) in [
        ("Market", Some("market")),
        ("STOP-LIMIT", Some("stop_limit")),
        ("trailing", None),
        ("stop limit", Some("stop_limit")),
        ("", None),
        ("iceberg", None),
    ] {
        assert_eq!(refused(text).nearest(), nearest, "{text}");
    }
    let error = refused("makret").to_string();
    assert!(error.ends_with("; did you mean `market`?"), "{error}");
}

#[test]
fn text_is_escaped_in_the_message_and_of_any_length() {
    let error = refused("\u{1b}[31mmarket\n").to_string();
    assert!(
        error.starts_with(r#""\u{1b}[31mmarket\n" is no value"#),
        "{error}"
    );
    assert_eq!(refused(&"m".repeat(1_000_000)).nearest(), None);
}

#[test]
fn json_of_another_text_or_type_is_refused() {
    let error = serde_json::from_str::<OrderType>("\"makret\"")
        .unwrap_err()
        .to_string();
    assert!(error.contains("did you mean `market`?"), "{error}");
    let error = serde_json::from_str::<OrderType>("1")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("expected a value of `order_type`"),
        "{error}"
    );
}

#[test]
fn a_label_is_a_key_of_a_json_object() {
    let counts = BTreeMap::from([(OrderType::Market, 3)]);
    let json = serde_json::to_string(&counts).unwrap();
    assert_eq!(json, r#"{"market":3}"#);
    assert_eq!(
        serde_json::from_str::<BTreeMap<_, _>>(&json).unwrap(),
        counts
    );
}
