//! Which settings need a feature of this crate.

use std::ffi::OsStr;

use super::{Config, RecorderKind};
use crate::ExporterError;

/// Refuses a variable that asks for what was not compiled in.
pub(super) fn check(
    setting: &'static str,
    value: &OsStr,
    is_compiled_in: impl Fn(&str) -> bool,
) -> Result<(), ExporterError> {
    let declines = match setting {
        "OBS_PAGE" | "OBS_HISTORY" => value == "off",
        "OBS_RECORDER" => value == "obs",
        _ => false,
    };
    match needed_by(setting) {
        Some(feature) if !declines && !is_compiled_in(feature) => Err(missing(setting, feature)),
        _ => Ok(()),
    }
}

/// Refuses settings made in code that ask for what was not compiled in. The page is shown where it can be.
pub(super) fn check_all(config: &Config) -> Result<(), ExporterError> {
    let settings = [
        ("OBS_RECORDER", config.recorder == RecorderKind::Stock),
        ("OBS_TLS_CERT", config.tls_cert.is_some()),
        ("OBS_TLS_KEY", config.tls_key.is_some()),
        ("OBS_TLS_CLIENT_CA", config.tls_client_ca.is_some()),
        ("OBS_PUSH_URL", config.push_url.is_some()),
        ("OBS_PUSH_INSTANCE", config.push_instance.is_some()),
        ("OBS_PUSH_BASIC_AUTH", config.push_basic_auth.is_some()),
        ("OBS_OTLP_URL", config.otlp_url.is_some()),
        ("OBS_OTLP_INSTANCE", config.otlp_instance.is_some()),
        ("OBS_OTLP_HEADERS", config.otlp_headers.is_some()),
        ("OBS_OTLP_CA", config.otlp_ca.is_some()),
        ("OBS_MEMORY", config.memory.is_some()),
    ];
    for (setting, _) in settings.into_iter().filter(|(_, is_set)| *is_set) {
        check(setting, OsStr::new(""), is_compiled_in)?;
    }
    Ok(())
}

pub(crate) fn missing(setting: &'static str, feature: &'static str) -> ExporterError {
    ExporterError::FeatureMissing { setting, feature }
}

fn needed_by(setting: &str) -> Option<&'static str> {
    match setting {
        "OBS_PAGE" | "OBS_HISTORY" => Some("page"),
        "OBS_RECORDER" => Some("stock"),
        "OBS_MEMORY" => Some("memory"),
        _ if setting.starts_with("OBS_TLS_") => Some("tls"),
        _ if setting.starts_with("OBS_PUSH_") => Some("push"),
        _ if setting.starts_with("OBS_OTLP_") => Some("otlp"),
        _ => None,
    }
}

pub(super) fn is_compiled_in(feature: &str) -> bool {
    const COMPILED_IN: &[&str] = &[
        #[cfg(feature = "page")]
        "page",
        #[cfg(feature = "stock")]
        "stock",
        #[cfg(feature = "tls")]
        "tls",
        #[cfg(feature = "push")]
        "push",
        #[cfg(feature = "otlp")]
        "otlp",
        #[cfg(feature = "memory")]
        "memory",
    ];
    COMPILED_IN.contains(&feature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::variables::VARIABLES;

    #[test]
    fn a_variable_of_a_feature_that_is_off_names_it() {
        for (setting, value, feature) in [
            ("OBS_PAGE", "on", "page"),
            ("OBS_HISTORY", "on", "page"),
            ("OBS_RECORDER", "stock", "stock"),
            ("OBS_TLS_CERT", "/tls/cert.pem", "tls"),
            ("OBS_TLS_KEY", "/tls/key.pem", "tls"),
            ("OBS_TLS_CLIENT_CA", "/tls/ca.pem", "tls"),
            ("OBS_PUSH_URL", "http://gateway:9091", "push"),
            ("OBS_PUSH_INTERVAL_SECONDS", "5", "push"),
            ("OBS_PUSH_INSTANCE", "desk-1", "push"),
            ("OBS_PUSH_BASIC_AUTH", "desk:hush", "push"),
            ("OBS_PUSH_BASIC_AUTH_FILE", "/run/push", "push"),
            ("OBS_OTLP_URL", "http://collector:4318", "otlp"),
            ("OBS_OTLP_INTERVAL_SECONDS", "5", "otlp"),
            ("OBS_OTLP_TEMPORALITY", "delta", "otlp"),
            ("OBS_OTLP_INSTANCE", "desk-1", "otlp"),
            ("OBS_OTLP_HEADERS", "X-Scope-OrgID=desk", "otlp"),
            ("OBS_OTLP_HEADERS_FILE", "/run/otlp", "otlp"),
            ("OBS_OTLP_CA", "/tls/ca.pem", "otlp"),
            ("OBS_MEMORY", "/dev/shm/desk.obs", "memory"),
        ] {
            let error = check(setting, OsStr::new(value), |_| false).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "{setting} needs the feature `{feature}`; enable it where the program declares obs-exporter"
                )
            );
            let all_but_it = |other: &str| other != feature;
            assert!(check(setting, OsStr::new(value), all_but_it).is_err());
            assert!(check(setting, OsStr::new(value), |it| it == feature).is_ok());
        }
    }

    #[test]
    fn nothing_else_needs_a_feature() {
        let check = |setting, value| check(setting, OsStr::new(value), |_| false);
        for (setting, value) in [
            ("OBS_PAGE", "off"),
            ("OBS_HISTORY", "off"),
            ("OBS_RECORDER", "obs"),
            ("OBS_NATIVE_HISTOGRAMS", "on"),
        ] {
            assert!(check(setting, value).is_ok(), "{setting}={value}");
        }
        let names = VARIABLES.iter().map(|variable| variable.name);
        let needing: Vec<&str> = names.filter(|name| check(name, "").is_err()).collect();
        assert_eq!(needing.len(), 19, "{needing:?}");
    }
}
