//! Settings nobody thought of: taken, or refused by an error that names the variable; and nothing shows a credential.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use obs_exporter::{Config, Exporter, ExporterError};
use proptest::prelude::*;
use proptest::sample::select;

/// In every credential that is generated, and in nothing else.
const MARK: &str = "hUsH";

proptest! {
    #[test]
    fn a_value_is_taken_or_the_error_names_its_variable(
        name in name(),
        value in value(),
    ) {
        let value = value.into_iter().filter(|byte| *byte != 0).collect();
        match Config::from_vars([(name, OsString::from_vec(value))]) {
            Ok(_) => {}
            Err(error) => prop_assert!(error.to_string().contains(name), "{error}"),
        }
    }

    #[test]
    fn an_unknown_variable_is_told_by_name(name in "OBS_[A-Z_]{0,30}", value in "\\PC*") {
        match Config::from_vars([(name.as_str(), value.as_str())]) {
            Err(ExporterError::UnknownVariable { name: told, .. }) => prop_assert_eq!(told, name),
            // By chance it is a known one.
            _ => prop_assert!(names().contains(&name)),
        }
    }

    #[test]
    fn nothing_shows_a_credential(
        credential in "[!-~ \\PC]{0,20}",
        at in any::<prop::sample::Index>(),
        variable in select(&["OBS_BEARER_TOKEN", "OBS_BASIC_AUTH", "OBS_PUSH_BASIC_AUTH", "OBS_BEARER_TOKN", "OBS_BASICAUTH"][..]),
        other in (name(), "[!-~]{0,20}"),
    ) {
        let mut credential: Vec<char> = credential.chars().collect();
        let at = at.index(credential.len() + 1);
        credential.splice(at..at, MARK.chars());
        let credential = String::from_iter(credential);
        let (name, value) = other;
        prop_assume!(!value.contains(MARK));

        let shown = match Config::from_vars([(variable, credential), (name, value)]) {
            Ok(config) => format!("{config:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!shown.contains(MARK), "{shown}");
    }

    #[test]
    fn nothing_shows_the_credentials_of_a_url(
        scheme in select(&["http://", "https://", "", "HTTP://", "http:/"][..]),
        rest in "[!-~]{0,30}",
    ) {
        let url = format!("{scheme}user:{MARK}@{rest}");
        let shown = match Config::from_vars([("OBS_PUSH_URL", url)]) {
            Ok(config) => format!("{config:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!shown.contains(MARK), "{shown}");
    }

    #[test]
    fn what_is_not_ours_is_left_alone(name in "[A-Z_]{0,20}", value in any::<String>()) {
        prop_assume!(!name.starts_with("OBS_"));
        prop_assert_eq!(Config::from_vars([(name, value)]).unwrap(), Config::default());
    }
}

/// A program whose `main` returns an error prints `Error: ` and its `Debug`.
#[tokio::test]
async fn an_error_of_main_is_its_sentence() {
    let error = Config::from_vars([("OBS_MODE", "papre")]).unwrap_err();
    assert_eq!(
        format!("{error:?}"),
        "OBS_MODE is `papre`; it takes `backtest`, `paper` or `live`"
    );

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = Config {
        listen: taken.local_addr().unwrap(),
        ..Config::default()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    let (_recorder, exporter) = builder.build().unwrap();
    let error = exporter.serve().await.unwrap_err();
    let shown = format!("{error:?}");
    assert!(
        shown.starts_with(&format!("{error}\n  caused by: Address already in use")),
        "{shown}"
    );
}

/// The names of all variables, from the message that lists them.
fn names() -> Vec<String> {
    let error = Config::from_vars([("OBS_", "")]).unwrap_err().to_string();
    let (_, known) = error.rsplit_once("known are ").unwrap();
    known.split(", ").map(str::to_owned).collect()
}

fn name() -> impl Strategy<Value = &'static str> {
    let names: Vec<&'static str> = names().into_iter().map(|name| &*name.leak()).collect();
    select(names)
}

/// Any bytes, and what comes near to what some variable takes.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let near = "-?[0-9]{0,25}(\\.[0-9]{1,3})?(e[0-9]{1,4})?|[0-9.:/\\[\\],]{0,40}|true|paper|obs|NaN|inf|[a-z]+:[a-z]*";
    prop_oneof![
        any::<Vec<u8>>(),
        near.prop_map(String::into_bytes),
        any::<String>().prop_map(String::into_bytes),
        "[a-z]{0,5000}".prop_map(String::into_bytes),
    ]
}
