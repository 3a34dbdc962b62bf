//! The settings, and how they are read from the environment.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use obs_core::MAX_VALUE_BYTES;

use crate::ExporterError;

/// The settings of an exporter.
///
/// | variable | setting | default |
/// |---|---|---|
/// | `OBS_LISTEN` | [`listen`](Self::listen) | `127.0.0.1:9464` |
/// | `OBS_SERVICE` | [`service`](Self::service) | the package's name |
/// | `OBS_ENVIRONMENT` | [`environment`](Self::environment) | no label |
/// | `OBS_MODE` | [`mode`](Self::mode) | no label |
/// | `OBS_QUANTILE_WINDOW_SECONDS` | [`quantile_window`](Self::quantile_window) | 60 |
/// | `OBS_UPKEEP_INTERVAL_SECONDS` | [`upkeep_interval`](Self::upkeep_interval) | 1 |
/// | `OBS_RECORDER` | [`recorder`](Self::recorder) | `obs` |
/// | `OBS_RECORDER_SLOTS` | [`recorder_slots`](Self::recorder_slots) | twice the number of cores, 8 to 64 |
/// | `OBS_GIT_COMMIT` | [`git_commit`](Self::git_commit) | what the program was built with |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The address [`serve`](crate::Exporter::serve) listens on. Port 0 takes any free port.
    pub listen: SocketAddr,
    /// The `service` label of every series; the name of the package unless told.
    pub service: Option<String>,
    /// The `environment` label of every series, such as `production`.
    pub environment: Option<String>,
    /// The `mode` label of every series.
    pub mode: Option<Mode>,
    /// How far back the quantiles of summaries look.
    pub quantile_window: Duration,
    /// How often windows are moved on and idle series let go. The stock recorder takes recorded samples in: until then, or a
    /// scrape, each takes 8 to 16 bytes of its memory.
    pub upkeep_interval: Duration,
    /// Which recorder is behind the facade.
    pub recorder: RecorderKind,
    /// How many threads record to cells of their own; see [`slots`](obs_recorder::Builder::slots). The stock recorder has
    /// none.
    pub recorder_slots: Option<usize>,
    /// The commit that `app_info` shows when the program was built without knowing it.
    pub git_commit: Option<String>,
}

/// Which recorder keeps what comes through the facade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecorderKind {
    /// The one of this workspace, [`obs_recorder`].
    #[default]
    Obs,
    /// The one of `metrics-exporter-prometheus`: slower, and with the classic text format only. What it can besides, such as
    /// a push gateway, needs a program that installs it itself.
    Stock,
}

impl RecorderKind {
    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Obs => "obs",
            Self::Stock => "stock",
        }
    }
}

/// What the program trades with: the `mode` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Past prices.
    Backtest,
    /// Present prices and imaginary money.
    Paper,
    /// Present prices and real money.
    Live,
}

impl Mode {
    /// The value of the label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backtest => "backtest",
            Self::Paper => "paper",
            Self::Live => "live",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)),
            service: None,
            environment: None,
            mode: None,
            quantile_window: Duration::from_mins(1),
            upkeep_interval: Duration::from_secs(1),
            recorder: RecorderKind::default(),
            recorder_slots: None,
            git_commit: None,
        }
    }
}

impl Config {
    /// Reads the settings from the process' environment; see [`from_vars`](Self::from_vars).
    pub fn from_env() -> Result<Self, ExporterError> {
        Self::from_vars(std::env::vars_os())
    }

    /// Reads the settings from variables and their values.
    ///
    /// Every variable whose name starts with `OBS_` must be one of the table above and hold what it takes, so that a slip
    /// of the pen does not silently leave a default in force. An empty value is an error too: leave the variable unset.
    ///
    /// ```
    /// use obs_exporter::{Config, Mode};
    ///
    /// let config = Config::from_vars([("OBS_MODE", "paper"), ("PATH", "/bin")])?;
    /// assert_eq!(config.mode, Some(Mode::Paper));
    ///
    /// let error = Config::from_vars([("OBS_MODE", "papre")]).unwrap_err();
    /// assert_eq!(error.to_string(), "OBS_MODE is `papre`; it takes `backtest`, `paper` or `live`");
    /// # Ok::<(), obs_exporter::ExporterError>(())
    /// ```
    pub fn from_vars<K, V>(vars: impl IntoIterator<Item = (K, V)>) -> Result<Self, ExporterError>
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let mut config = Self::default();
        for (name, value) in vars {
            let (name, value) = (name.into(), value.into());
            let name = name.to_string_lossy();
            if name.starts_with("OBS_") {
                config.set(&name, &value)?;
            }
        }
        Ok(config)
    }

    /// Refuses settings that were made in code and that no variable could hold.
    pub(crate) fn check(&self) -> Result<(), ExporterError> {
        let refuse = |setting, value: String, accepts| {
            Err(ExporterError::InvalidSetting {
                setting,
                value,
                accepts,
            })
        };
        for (setting, value) in [
            ("Config::quantile_window", self.quantile_window),
            ("Config::upkeep_interval", self.upkeep_interval),
        ] {
            if !TIME_RANGE.contains(&value) {
                return refuse(setting, format!("{value:?}"), TIME);
            }
        }
        for (setting, value) in [
            ("Config::service", &self.service),
            ("Config::environment", &self.environment),
            ("Config::git_commit", &self.git_commit),
        ] {
            if let Some(value) = value
                && !is_label_value(value)
            {
                return refuse(setting, value.clone(), TEXT);
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &OsStr) -> Result<(), ExporterError> {
        let Some(variable) = VARIABLES.iter().find(|variable| variable.name == name) else {
            return Err(ExporterError::UnknownVariable {
                name: name.to_owned(),
                value: value.to_string_lossy().into_owned(),
                nearest: nearest(name),
            });
        };
        let taken = value.to_str().and_then(|text| (variable.set)(self, text));
        taken.ok_or_else(|| ExporterError::InvalidSetting {
            setting: variable.name,
            value: value.to_string_lossy().into_owned(),
            accepts: variable.accepts,
        })
    }
}

/// The names of the variables, for a message.
pub(crate) fn variables() -> String {
    VARIABLES.map(|variable| variable.name).join(", ")
}

/// A variable of the environment.
struct Variable {
    name: &'static str,
    accepts: &'static str,
    /// Sets the value; `None` when the text is not acceptable.
    set: fn(&mut Config, &str) -> Option<()>,
}

const TEXT: &str = "1 to 256 bytes of UTF-8 text";
const SLOTS: &str = "a number of threads from 0 to 1024";
const TIME: &str = "a number of seconds from 0.001 to 86400, such as 60";
const TIME_RANGE: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_hours(24);

const VARIABLES: [Variable; 9] = [
    Variable {
        name: "OBS_LISTEN",
        accepts: "an IP address and a port, such as 127.0.0.1:9464, [::1]:9464 or 0.0.0.0:9464",
        set: |config, text| text.parse().map(|address| config.listen = address).ok(),
    },
    Variable {
        name: "OBS_SERVICE",
        accepts: TEXT,
        set: |config, text| label_value(text).map(|text| config.service = Some(text)),
    },
    Variable {
        name: "OBS_ENVIRONMENT",
        accepts: TEXT,
        set: |config, text| label_value(text).map(|text| config.environment = Some(text)),
    },
    Variable {
        name: "OBS_MODE",
        accepts: "`backtest`, `paper` or `live`",
        set: |config, text| mode(text).map(|mode| config.mode = Some(mode)),
    },
    Variable {
        name: "OBS_QUANTILE_WINDOW_SECONDS",
        accepts: TIME,
        set: |config, text| seconds(text).map(|time| config.quantile_window = time),
    },
    Variable {
        name: "OBS_UPKEEP_INTERVAL_SECONDS",
        accepts: TIME,
        set: |config, text| seconds(text).map(|time| config.upkeep_interval = time),
    },
    Variable {
        name: "OBS_RECORDER",
        accepts: "`obs` or `stock`",
        set: |config, text| recorder(text).map(|kind| config.recorder = kind),
    },
    Variable {
        name: "OBS_RECORDER_SLOTS",
        accepts: SLOTS,
        set: |config, text| slots(text).map(|slots| config.recorder_slots = Some(slots)),
    },
    Variable {
        name: "OBS_GIT_COMMIT",
        accepts: TEXT,
        set: |config, text| label_value(text).map(|text| config.git_commit = Some(text)),
    },
];

fn is_label_value(text: &str) -> bool {
    (1..=MAX_VALUE_BYTES).contains(&text.len())
}

fn label_value(text: &str) -> Option<String> {
    is_label_value(text).then(|| text.to_owned())
}

fn mode(text: &str) -> Option<Mode> {
    [Mode::Backtest, Mode::Paper, Mode::Live]
        .into_iter()
        .find(|mode| mode.as_str() == text)
}

fn recorder(text: &str) -> Option<RecorderKind> {
    [RecorderKind::Obs, RecorderKind::Stock]
        .into_iter()
        .find(|kind| kind.as_str() == text)
}

fn slots(text: &str) -> Option<usize> {
    text.parse().ok().filter(|slots| *slots <= 1024)
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| TIME_RANGE.contains(time))
}

/// The variable that was probably meant; none when every name is far off.
fn nearest(name: &str) -> Option<&'static str> {
    let distance = |known: &Variable| strsim::damerau_levenshtein(name, known.name);
    let nearest = VARIABLES.iter().min_by_key(|known| distance(known))?;
    (distance(nearest) <= nearest.name.len() / 3).then_some(nearest.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_sets_its_setting() {
        let config = Config::from_vars([
            ("OBS_LISTEN", "[::1]:9000"),
            ("OBS_SERVICE", "desk"),
            ("OBS_ENVIRONMENT", "production"),
            ("OBS_MODE", "live"),
            ("OBS_QUANTILE_WINDOW_SECONDS", "300"),
            ("OBS_UPKEEP_INTERVAL_SECONDS", "0.25"),
            ("OBS_RECORDER", "stock"),
            ("OBS_RECORDER_SLOTS", "4"),
            ("OBS_GIT_COMMIT", "0123abc"),
            ("HOME", "/root"),
            ("OBSERVER", "not ours"),
        ]);
        let expected = Config {
            listen: "[::1]:9000".parse().unwrap(),
            service: Some("desk".into()),
            environment: Some("production".into()),
            mode: Some(Mode::Live),
            quantile_window: Duration::from_mins(5),
            upkeep_interval: Duration::from_millis(250),
            recorder: RecorderKind::Stock,
            recorder_slots: Some(4),
            git_commit: Some("0123abc".into()),
        };
        assert_eq!(config.unwrap(), expected);
        assert_eq!(Config::from_vars([("", ""); 0]).unwrap(), Config::default());
    }

    #[test]
    fn a_wrong_variable_is_an_error_that_names_it_and_what_it_takes() {
        let long = "x".repeat(257);
        let cases = [
            (
                "OBS_LISTEN",
                "localhost:9464",
                "OBS_LISTEN is `localhost:9464`; it takes an IP address and a port",
            ),
            ("OBS_LISTEN", "9464", "OBS_LISTEN is `9464`; it takes an IP"),
            ("OBS_LISTEN", "127.0.0.1:99999", "such as 127.0.0.1:9464"),
            ("OBS_LISTEN", "", "OBS_LISTEN is ``; it takes"),
            (
                "OBS_MODE",
                "Live",
                "OBS_MODE is `Live`; it takes `backtest`, `paper` or `live`",
            ),
            (
                "OBS_SERVICE",
                "",
                "OBS_SERVICE is ``; it takes 1 to 256 bytes of UTF-8 text",
            ),
            ("OBS_ENVIRONMENT", &long, "xx`; it takes 1 to 256 bytes"),
            (
                "OBS_QUANTILE_WINDOW_SECONDS",
                "60s",
                "is `60s`; it takes a number of seconds",
            ),
            (
                "OBS_QUANTILE_WINDOW_SECONDS",
                "0",
                "is `0`; it takes a number of seconds",
            ),
            ("OBS_QUANTILE_WINDOW_SECONDS", "-1", "is `-1`; it takes"),
            ("OBS_UPKEEP_INTERVAL_SECONDS", "NaN", "is `NaN`; it takes"),
            ("OBS_UPKEEP_INTERVAL_SECONDS", "inf", "is `inf`; it takes"),
            (
                "OBS_RECORDER",
                "prometheus",
                "OBS_RECORDER is `prometheus`; it takes `obs` or `stock`",
            ),
            (
                "OBS_RECORDER_SLOTS",
                "1025",
                "is `1025`; it takes a number of threads from 0 to 1024",
            ),
            (
                "OBS_LISTENS",
                "a",
                "unknown variable OBS_LISTENS, set to `a`; did you mean OBS_LISTEN? known are OBS_LISTEN, OBS_SERVICE",
            ),
            ("OBS_ENVIROMENT", "a", "did you mean OBS_ENVIRONMENT?"),
            ("OBS_", "a", "unknown variable OBS_, set to `a`; known are"),
            (
                "OBS_SOMETHING_ELSE",
                "a",
                "set to `a`; known are OBS_LISTEN",
            ),
        ];
        for (name, value, expected) in cases {
            let error = Config::from_vars([(name, value)]).unwrap_err().to_string();
            assert!(error.contains(expected), "{name}={value}: {error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_text_is_an_error() {
        use std::os::unix::ffi::OsStringExt;
        let value = OsString::from_vec(vec![b'a', 0xff]);
        let error = Config::from_vars([("OBS_SERVICE", value)]).unwrap_err();
        assert!(
            error.to_string().starts_with("OBS_SERVICE is `a"),
            "{error}"
        );
    }

    #[test]
    fn settings_made_in_code_are_checked_too() {
        assert!(Config::default().check().is_ok());
        let wrong = [
            Config {
                quantile_window: Duration::ZERO,
                ..Config::default()
            },
            Config {
                upkeep_interval: Duration::MAX,
                ..Config::default()
            },
            Config {
                service: Some(String::new()),
                ..Config::default()
            },
        ];
        for (config, setting) in wrong
            .iter()
            .zip(["quantile_window", "upkeep_interval", "service"])
        {
            let error = config.check().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("Config::{setting} is `")),
                "{error}"
            );
        }
    }
}
