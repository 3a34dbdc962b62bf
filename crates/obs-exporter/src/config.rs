//! The settings, and how they are read from the environment.

pub(crate) mod features;
mod links;
mod variables;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use obs_core::UNDECLARED_FAMILIES;

pub(crate) use self::variables::variables;
use self::variables::{
    FAMILIES, FAMILIES_TEXT, IGNORE, LABELS, MAX_CONNECTIONS, MAX_CONNECTIONS_TEXT, MAX_SCRAPES,
    MAX_SCRAPES_TEXT, TEXT, TIME, TIME_RANGE, VARIABLES, ignored, is_label_key, is_label_value,
    nearest,
};
#[cfg(any(feature = "push", feature = "otlp"))]
pub(crate) use self::variables::{OTLP_HEADERS, OTLP_URLS};
use crate::{ExporterError, Secret};

/// The settings of an exporter.
///
/// | variable | setting | default |
/// |---|---|---|
/// | `OBS_LISTEN` | [`listen`](Self::listen) | `127.0.0.1:9464` |
/// | `OBS_SERVICE` | [`service`](Self::service) | the package's name |
/// | `OBS_ENVIRONMENT` | [`environment`](Self::environment) | no label |
/// | `OBS_MODE` | [`mode`](Self::mode) | no label |
/// | `OBS_LABELS` | [`labels`](Self::labels) | none |
/// | `OBS_HOSTS` | [`hosts`](Self::hosts) | none |
/// | `OBS_QUANTILE_WINDOW_SECONDS` | [`quantile_window`](Self::quantile_window) | 60 |
/// | `OBS_UPKEEP_INTERVAL_SECONDS` | [`upkeep_interval`](Self::upkeep_interval) | 1 |
/// | `OBS_IDLE_TIMEOUT_SECONDS` | [`idle_timeout`](Self::idle_timeout) | series stay |
/// | `OBS_RECORDER` | [`recorder`](Self::recorder) | `obs` |
/// | `OBS_RECORDER_SLOTS` | [`recorder_slots`](Self::recorder_slots) | twice the number of cores, 8 to 64 |
/// | `OBS_UNDECLARED_FAMILIES` | [`undeclared_families`](Self::undeclared_families) | 1000 |
/// | `OBS_CREATED` | [`created`](Self::created) | `off` |
/// | `OBS_UTF8_NAMES` | [`utf8_names`](Self::utf8_names) | `off` |
/// | `OBS_NATIVE_HISTOGRAMS` | [`native_histograms`](Self::native_histograms) | `off` |
/// | `OBS_RESERVE_NATIVE_CELLS` | [`reserve_native_cells`](Self::reserve_native_cells) | `off` |
/// | `OBS_DIRECT_HANDLES` | none: [`obs_core::install`] reads it | `on` |
/// | `OBS_MEMORY` | [`memory`](Self::memory) | no file |
/// | `OBS_GIT_COMMIT` | [`git_commit`](Self::git_commit) | what the program was built with |
/// | `OBS_BEARER_TOKEN`, `OBS_BEARER_TOKEN_FILE` | [`bearer_token`](Self::bearer_token) | nobody is asked |
/// | `OBS_BASIC_AUTH`, `OBS_BASIC_AUTH_FILE` | [`basic_auth`](Self::basic_auth) | nobody is asked |
/// | `OBS_ALLOW_FROM` | [`allow_from`](Self::allow_from) | from anywhere |
/// | `OBS_ALLOW_PUBLIC` | [`allow_public`](Self::allow_public) | `false` |
/// | `OBS_TLS_CERT`, `OBS_TLS_KEY` | [`tls_cert`](Self::tls_cert), [`tls_key`](Self::tls_key) | no TLS |
/// | `OBS_TLS_CLIENT_CA` | [`tls_client_ca`](Self::tls_client_ca) | clients need no certificate |
/// | `OBS_UNIX_SOCKET` | [`unix_socket`](Self::unix_socket) | none |
/// | `OBS_PUSH_URL` | [`push_url`](Self::push_url) | nothing is pushed |
/// | `OBS_PUSH_INTERVAL_SECONDS` | [`push_interval`](Self::push_interval) | 15 |
/// | `OBS_PUSH_INSTANCE` | [`push_instance`](Self::push_instance) | no such label |
/// | `OBS_PUSH_BASIC_AUTH`, `OBS_PUSH_BASIC_AUTH_FILE` | [`push_basic_auth`](Self::push_basic_auth) | none is sent |
/// | `OBS_OTLP_URL` | [`otlp_url`](Self::otlp_url) | nothing is pushed |
/// | `OBS_OTLP_INTERVAL_SECONDS` | [`otlp_interval`](Self::otlp_interval) | 15 |
/// | `OBS_OTLP_TEMPORALITY` | [`otlp_temporality`](Self::otlp_temporality) | `cumulative` |
/// | `OBS_OTLP_INSTANCE` | [`otlp_instance`](Self::otlp_instance) | host and port |
/// | `OBS_OTLP_HEADERS`, `OBS_OTLP_HEADERS_FILE` | [`otlp_headers`](Self::otlp_headers) | none is sent |
/// | `OBS_OTLP_CA` | [`otlp_ca`](Self::otlp_ca) | the system's authorities |
/// | `OBS_MAX_SCRAPES` | [`max_scrapes`](Self::max_scrapes) | 8 |
/// | `OBS_MAX_CONNECTIONS` | [`max_connections`](Self::max_connections) | 64 |
/// | `OBS_PAGE` | [`page`](Self::page) | `on` |
/// | `OBS_HISTORY` | [`history`](Self::history) | `on` |
/// | `OBS_IGNORE` | names between commas of variables that another program reads | none |
///
/// Some need a [feature](crate#features): `OBS_RECORDER=stock` needs `stock`, `OBS_TLS_…` `tls`, `OBS_PUSH_…` `push`, `OBS_OTLP_…` `otlp`, and `OBS_PAGE=on` and
/// `OBS_HISTORY=on` `page`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch by itself, and is read from a variable of its own"
)]
pub struct Config {
    /// The address [`serve`](crate::Exporter::serve) listens on. Port 0 takes any free port.
    pub listen: SocketAddr,
    /// The `service` label of every series; the name of the package by default.
    pub service: Option<String>,
    /// The `environment` label of every series, such as `production`.
    pub environment: Option<String>,
    /// The `mode` label of every series.
    pub mode: Option<Mode>,
    /// Further labels of every series, such as `desk` and `team`. As a variable they stand between commas, `desk=ny,team=rates`; a
    /// backslash in a value makes the character after it count as itself, so `\\,` is a comma and `\\\\` a backslash.
    ///
    /// A key is a name of a label that has no other meaning: not `service`, `environment` and `mode`, not `le` and `quantile`, and none
    /// that begins with `__`. One that a family of the catalogue has is refused when the exporter is built.
    pub labels: BTreeMap<String, String>,
    /// The names under which the server is asked, such as `desk.example.net`. An IP address, `localhost`, and a name without a dot are
    /// answered in any case; any other name is answered 421, because a web page can make the name of its own server lead here
    /// (DNS rebinding).
    pub hosts: Vec<String>,
    /// How far back the quantiles of summaries look.
    pub quantile_window: Duration,
    /// How often windows are moved on and idle series let go. The stock recorder takes recorded samples in: until then, or a
    /// scrape, each takes 8 to 16 bytes of its memory.
    pub upkeep_interval: Duration,
    /// How long a series is shown after something was last recorded to it, where its family does not say; for good unless set.
    /// See [`idle`](obs_recorder::Builder::idle) for what stays in any case. The stock recorder has none: what it lets go of
    /// does not come back to a handle that is kept.
    pub idle_timeout: Option<Duration>,
    /// Which recorder is behind the facade.
    pub recorder: RecorderKind,
    /// How many threads record to cells of their own; see [`slots`](obs_recorder::Builder::slots). The stock recorder has
    /// none.
    pub recorder_slots: Option<usize>,
    /// How many families there may be that no catalogue knows: those of other people's code, which may make names of metrics at
    /// run time. Counts under further names are added up in `other_total`, and the rest of these is not kept; see
    /// [`undeclared_families`](obs_recorder::Builder::undeclared_families).
    pub undeclared_families: usize,
    /// Whether `OpenMetrics` tells when each counter, histogram and summary began, in a `…_created` line. Only a Prometheus with
    /// `--enable-feature=created-timestamp-zero-ingestion` reads them as start timestamps; any other stores them as series. The
    /// stock recorder has none.
    pub created: bool,
    /// Whether names of other people's metrics and labels keep characters that Prometheus reads from 3.0 on only, for those who ask for
    /// them; see [names of any characters](crate#names-of-any-characters). The stock recorder has none.
    pub utf8_names: bool,
    /// Whether histograms have [native buckets](obs_recorder::Builder::native_histograms) beside the declared ones, for scrapers
    /// that ask for protobuf, as Prometheus does if it is [configured to](crate#native-histograms). All others are shown the
    /// declared buckets. Not with the stock recorder.
    pub native_histograms: bool,
    /// Whether native buckets have [the cells of the declared range](obs_recorder::Builder::reserve_native_cells) from the start, so that
    /// recording there takes no lock and no memory. It changes nothing without [`native_histograms`](Self::native_histograms).
    pub reserve_native_cells: bool,
    /// A file on tmpfs, such as `/dev/shm/desk.obs`, in which everything that is recorded is kept, so that another process can read it while
    /// this one hangs or is dead; see [`obs_recorder::Builder::memory`] for what is not in it. `{pid}` in it is the number of the process, for
    /// several of one service, as in `/dev/shm/desk@{pid}.obs`. The exporter is not built while another process records to the file. Where it has no memory left, everything goes on without, and `obs_memory_mapped` is 0. The stock recorder has none.
    pub memory: Option<PathBuf>,
    /// The commit that `app_info` shows when the program was built without knowing it.
    pub git_commit: Option<String>,
    /// The token that `Authorization: Bearer …` has to bring: 1 to 4096 visible ASCII characters. Where
    /// [`basic_auth`](Self::basic_auth) is set too, either will do.
    pub bearer_token: Option<Secret>,
    /// `user:password`, as `Authorization: Basic …` has to bring it: 3 to 4096 bytes, neither half empty.
    pub basic_auth: Option<Secret>,
    /// The networks from which metrics may be read; from anywhere when empty. It is held against the address that the
    /// connection comes from, never against a header.
    pub allow_from: Vec<IpNet>,
    /// Lets [`serve`](crate::Exporter::serve) listen where other machines reach it although nobody is asked who they are.
    pub allow_public: bool,
    /// The server's chain of certificates, in PEM. Needs [`tls_key`](Self::tls_key), and the feature `tls`.
    pub tls_cert: Option<PathBuf>,
    /// The private key of the first certificate, in PEM.
    pub tls_key: Option<PathBuf>,
    /// The certificates, in PEM, one of which has to have signed the client's. A client without one does not get as far as
    /// asking, not even for `/healthz`.
    pub tls_client_ca: Option<PathBuf>,
    /// A path where [`serve`](crate::Exporter::serve) listens on a Unix socket too, without TLS. Who may connect is up to the
    /// rights of the file; credentials are asked for as elsewhere, and an address counts as `127.0.0.1`. A socket that a killed
    /// process has left there is replaced.
    pub unix_socket: Option<PathBuf>,
    /// The URL of a Pushgateway, `http://host[:port][/prefix]`, to which [`serve`](crate::Exporter::serve) pushes besides: at
    /// once, every [`push_interval`](Self::push_interval), and when it is shut down. The job is the service.
    pub push_url: Option<String>,
    /// How long after a push the next one is made.
    pub push_interval: Duration,
    /// The label `instance` of what is pushed. Processes of one service that push to one gateway each need their own, or they
    /// overwrite each other.
    pub push_instance: Option<String>,
    /// `user:password` for the Pushgateway.
    pub push_basic_auth: Option<Secret>,
    /// The URL of a receiver of OTLP over HTTP, `http://host[:port][/path]` or with `https`, to which
    /// [`serve`](crate::Exporter::serve) pushes besides: at once, every [`otlp_interval`](Self::otlp_interval), and when it is shut
    /// down. Without a path it is `/v1/metrics`, where a Collector takes metrics. `https` needs the feature `tls`, and the recorder
    /// of this workspace. See [OTLP](crate#otlp).
    pub otlp_url: Option<String>,
    /// How long after an interval was collected the next one is.
    pub otlp_interval: Duration,
    /// Whether counters and histograms show all since they began, or what was added since they were last sent.
    pub otlp_temporality: Temporality,
    /// The attribute `service.instance.id`, by which processes of one service are told apart: the name of the host and the port that
    /// is served at, unless it is set.
    pub otlp_instance: Option<String>,
    /// Headers of every request, `name=value` between commas, each value percent-encoded where it has to be: credentials, and what
    /// names a tenant.
    pub otlp_headers: Option<Secret>,
    /// The certificates, in PEM, one of which has to have signed the receiver's; the authorities that the system trusts, unless it
    /// is set.
    pub otlp_ca: Option<PathBuf>,
    /// How many scrapes are rendered, waited for or sent at once. One more is answered 503, to be tried again in a second.
    pub max_scrapes: usize,
    /// How many connections the server keeps. One more takes the place of that which has been silent longest, of those
    /// first that never asked for anything.
    pub max_connections: usize,
    /// Whether [`serve`](crate::Exporter::serve) shows the live page at `/`, and serves `/live` and `/catalog.json`, which it
    /// reads. Without it, and without the feature `page`, there are links at `/`.
    pub page: bool,
    /// Whether the process remembers what declared figures showed in the last day, for a page that is opened late, and browsers keep the
    /// samples of a page that is loaded anew. It takes less than a megabyte. The stock recorder remembers nothing.
    pub history: bool,
}

/// Which recorder keeps what comes through the facade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecorderKind {
    /// The one of this workspace, [`obs_recorder`].
    #[default]
    Obs,
    /// The one of `metrics-exporter-prometheus`: slower, and without `OpenMetrics`, protobuf and what those show. A Unix socket and
    /// a Pushgateway can be had with either.
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

/// Whether a counter or histogram that is pushed over OTLP shows all since it began, or what was added since it was last sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Temporality {
    /// All of it since it began, as a scrape shows it. Prometheus and `VictoriaMetrics` take this.
    #[default]
    Cumulative,
    /// What was added since it was last sent. What a receiver refuses for good is lost.
    Delta,
}

impl Temporality {
    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cumulative => "cumulative",
            Self::Delta => "delta",
        }
    }
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
            labels: BTreeMap::new(),
            hosts: Vec::new(),
            quantile_window: Duration::from_mins(1),
            upkeep_interval: Duration::from_secs(1),
            idle_timeout: None,
            recorder: RecorderKind::default(),
            recorder_slots: None,
            undeclared_families: UNDECLARED_FAMILIES,
            created: false,
            utf8_names: false,
            native_histograms: false,
            reserve_native_cells: false,
            memory: None,
            git_commit: None,
            bearer_token: None,
            basic_auth: None,
            allow_from: Vec::new(),
            allow_public: false,
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            unix_socket: None,
            push_url: None,
            push_interval: Duration::from_secs(15),
            push_instance: None,
            push_basic_auth: None,
            otlp_url: None,
            otlp_interval: Duration::from_secs(15),
            otlp_temporality: Temporality::default(),
            otlp_instance: None,
            otlp_headers: None,
            otlp_ca: None,
            max_scrapes: 8,
            max_connections: 64,
            page: true,
            history: true,
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
    /// Every variable whose name starts with `OBS_` must be one of the table above and hold what it takes, so that a typo
    /// does not silently leave a default in force. An empty value is an error too: leave the variable unset. A variable of a
    /// feature that is off is an error that names the feature.
    ///
    /// Two kinds of other variables are left alone: those that Kubernetes and Docker set for a service called `obs-…`, such as
    /// `OBS_GRAFANA_SERVICE_HOST` or `OBS_GRAFANA_PORT_3000_TCP`, and those that `OBS_IGNORE` lists.
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
        let ours = |(name, value): (K, V)| {
            let name = name.into().to_string_lossy().into_owned();
            name.starts_with("OBS_").then(|| (name, value.into()))
        };
        let vars: Vec<(String, OsString)> = vars.into_iter().filter_map(ours).collect();
        let mut ignore = Vec::new();
        for (_, value) in vars.iter().filter(|(name, _)| name == IGNORE) {
            // A list that is refused is refused below.
            ignore.extend(value.to_str().and_then(ignored).unwrap_or_default());
        }
        let mut config = Self::default();
        for (name, value) in &vars {
            if !ignore.contains(&name.as_str()) && !links::is_service_link(name, value) {
                config.set(name, value)?;
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
            ("Config::quantile_window", Some(self.quantile_window)),
            ("Config::upkeep_interval", Some(self.upkeep_interval)),
            ("Config::idle_timeout", self.idle_timeout),
            ("Config::push_interval", Some(self.push_interval)),
        ] {
            if let Some(value) = value
                && !TIME_RANGE.contains(&value)
            {
                return refuse(setting, format!("{value:?}"), TIME);
            }
        }
        for (setting, value) in [
            ("Config::service", &self.service),
            ("Config::environment", &self.environment),
            ("Config::git_commit", &self.git_commit),
            ("Config::push_instance", &self.push_instance),
            ("Config::otlp_instance", &self.otlp_instance),
        ] {
            if let Some(value) = value
                && !is_label_value(value)
            {
                return refuse(setting, value.clone(), TEXT);
            }
        }
        for (key, value) in &self.labels {
            if !is_label_key(key) || !is_label_value(value) {
                return refuse("Config::labels", format!("{key}={value}"), LABELS);
            }
        }
        features::check_all(self)?;
        for (setting, value, range, accepts) in [
            (
                "Config::undeclared_families",
                self.undeclared_families,
                FAMILIES,
                FAMILIES_TEXT,
            ),
            (
                "Config::max_scrapes",
                self.max_scrapes,
                MAX_SCRAPES,
                MAX_SCRAPES_TEXT,
            ),
            (
                "Config::max_connections",
                self.max_connections,
                MAX_CONNECTIONS,
                MAX_CONNECTIONS_TEXT,
            ),
        ] {
            if !range.contains(&value) {
                return refuse(setting, value.to_string(), accepts);
            }
        }
        Ok(())
    }

    /// Whether a client has to show who it is.
    pub(crate) fn authenticates(&self) -> bool {
        self.bearer_token.is_some() || self.basic_auth.is_some() || self.tls_client_ca.is_some()
    }

    fn set(&mut self, name: &str, value: &OsStr) -> Result<(), ExporterError> {
        let Some(variable) = VARIABLES.iter().find(|variable| variable.name == name) else {
            return Err(ExporterError::UnknownVariable {
                name: name.to_owned(),
                nearest: nearest(name),
            });
        };
        let taken = value.to_str().and_then(|text| (variable.set)(self, text));
        taken.ok_or_else(|| match variable.name {
            // A URL that is refused may be refused for the password in it.
            "OBS_BEARER_TOKEN"
            | "OBS_BASIC_AUTH"
            | "OBS_PUSH_BASIC_AUTH"
            | "OBS_PUSH_URL"
            | "OBS_OTLP_URL"
            | "OBS_OTLP_HEADERS" => ExporterError::Secret {
                origin: variable.name.to_owned(),
                accepts: variable.accepts,
            },
            setting => ExporterError::InvalidSetting {
                setting,
                value: value.to_string_lossy().into_owned(),
                accepts: variable.accepts,
            },
        })?;
        features::check(variable.name, value, features::is_compiled_in)
    }
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
            ("OBS_LABELS", r"desk=ny, team=rates\,fx"),
            ("OBS_HOSTS", "desk.example.net, metrics.example.net"),
            ("OBS_QUANTILE_WINDOW_SECONDS", "300"),
            ("OBS_UPKEEP_INTERVAL_SECONDS", "0.25"),
            ("OBS_IDLE_TIMEOUT_SECONDS", "3600"),
            ("OBS_RECORDER", "stock"),
            ("OBS_RECORDER_SLOTS", "4"),
            ("OBS_UNDECLARED_FAMILIES", "50"),
            ("OBS_CREATED", "on"),
            ("OBS_UTF8_NAMES", "on"),
            ("OBS_NATIVE_HISTOGRAMS", "on"),
            ("OBS_RESERVE_NATIVE_CELLS", "on"),
            ("OBS_DIRECT_HANDLES", "off"),
            ("OBS_MEMORY", "/dev/shm/desk.obs"),
            ("OBS_GIT_COMMIT", "0123abc"),
            ("OBS_BEARER_TOKEN", "correct-horse"),
            ("OBS_BASIC_AUTH_FILE", "/run/secrets/basic"),
            ("OBS_ALLOW_FROM", "10.0.0.0/8, ::1,192.0.2.7"),
            ("OBS_ALLOW_PUBLIC", "true"),
            ("OBS_TLS_CERT", "/tls/cert.pem"),
            ("OBS_TLS_KEY", "/tls/key.pem"),
            ("OBS_TLS_CLIENT_CA", "/tls/ca.pem"),
            ("OBS_UNIX_SOCKET", "/run/desk.sock"),
            ("OBS_PUSH_URL", "http://gateway:9091/push"),
            ("OBS_PUSH_INTERVAL_SECONDS", "5"),
            ("OBS_PUSH_INSTANCE", "desk-1"),
            ("OBS_PUSH_BASIC_AUTH", "desk:p:ss"),
            ("OBS_OTLP_URL", "https://collector:4318"),
            ("OBS_OTLP_INTERVAL_SECONDS", "10"),
            ("OBS_OTLP_TEMPORALITY", "delta"),
            ("OBS_OTLP_INSTANCE", "desk-1"),
            ("OBS_OTLP_HEADERS", "Authorization=Bearer%20hush"),
            ("OBS_OTLP_CA", "/tls/ca.pem"),
            ("OBS_MAX_SCRAPES", "2"),
            ("OBS_MAX_CONNECTIONS", "20"),
            ("OBS_PAGE", "off"),
            ("OBS_HISTORY", "off"),
            ("OBS_IGNORE", "OBS_ROOM, OBS_SCENE"),
            ("OBS_SCENE", "not ours"),
            ("HOME", "/root"),
            ("OBSERVER", "not ours"),
        ]);
        let expected = Config {
            listen: "[::1]:9000".parse().unwrap(),
            service: Some("desk".into()),
            environment: Some("production".into()),
            mode: Some(Mode::Live),
            labels: [("desk", "ny"), ("team", "rates,fx")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            hosts: vec!["desk.example.net".into(), "metrics.example.net".into()],
            quantile_window: Duration::from_mins(5),
            upkeep_interval: Duration::from_millis(250),
            idle_timeout: Some(Duration::from_hours(1)),
            recorder: RecorderKind::Stock,
            recorder_slots: Some(4),
            undeclared_families: 50,
            created: true,
            utf8_names: true,
            native_histograms: true,
            reserve_native_cells: true,
            memory: Some("/dev/shm/desk.obs".into()),
            git_commit: Some("0123abc".into()),
            bearer_token: Some(Secret::new("correct-horse")),
            basic_auth: Some(Secret::file("/run/secrets/basic")),
            allow_from: vec![
                "10.0.0.0/8".parse().unwrap(),
                "::1/128".parse().unwrap(),
                "192.0.2.7/32".parse().unwrap(),
            ],
            allow_public: true,
            tls_cert: Some("/tls/cert.pem".into()),
            tls_key: Some("/tls/key.pem".into()),
            tls_client_ca: Some("/tls/ca.pem".into()),
            unix_socket: Some("/run/desk.sock".into()),
            push_url: Some("http://gateway:9091/push".into()),
            push_interval: Duration::from_secs(5),
            push_instance: Some("desk-1".into()),
            push_basic_auth: Some(Secret::new("desk:p:ss")),
            otlp_url: Some("https://collector:4318".into()),
            otlp_interval: Duration::from_secs(10),
            otlp_temporality: Temporality::Delta,
            otlp_instance: Some("desk-1".into()),
            otlp_headers: Some(Secret::new("Authorization=Bearer%20hush")),
            otlp_ca: Some("/tls/ca.pem".into()),
            max_scrapes: 2,
            max_connections: 20,
            page: false,
            history: false,
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
                "OBS_LABELS",
                "desk",
                "OBS_LABELS is `desk`; it takes labels",
            ),
            ("OBS_LABELS", "desk=", "OBS_LABELS is `desk=`; it takes"),
            ("OBS_LABELS", "a=1,a=2", "is `a=1,a=2`; it takes labels"),
            ("OBS_LABELS", "service=x", "and which is not service,"),
            ("OBS_LABELS", "le=1", "is `le=1`; it takes labels"),
            ("OBS_LABELS", "__name__=x", "is `__name__=x`; it takes"),
            ("OBS_LABELS", "bad name=x", "is `bad name=x`; it takes"),
            ("OBS_LABELS", r"desk=a\", "it takes labels"),
            ("OBS_CREATED", "yes", "it takes `on` or `off`"),
            ("OBS_HOSTS", "a:80", "OBS_HOSTS is `a:80`; it takes names"),
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
                "OBS_UNDECLARED_FAMILIES",
                "all",
                "is `all`; it takes a number of families from 0 to 100000",
            ),
            (
                "OBS_LISTENS",
                "a",
                "unknown variable OBS_LISTENS; did you mean OBS_LISTEN? if another program reads it, list it in OBS_IGNORE; known are \
                OBS_LISTEN, OBS_SERVICE",
            ),
            ("OBS_ENVIROMENT", "a", "did you mean OBS_ENVIRONMENT?"),
            (
                "OBS_",
                "a",
                "unknown variable OBS_; if another program reads it, list it in OBS_IGNORE; known are",
            ),
            (
                "OBS_SOMETHING_ELSE",
                "a",
                "unknown variable OBS_SOMETHING_ELSE; if another program reads it",
            ),
            (
                "OBS_ALLOW_FROM",
                "10.0.0.0/33",
                "OBS_ALLOW_FROM is `10.0.0.0/33`; it takes networks or addresses",
            ),
            ("OBS_ALLOW_FROM", "10.0.0.1,", "is `10.0.0.1,`; it takes"),
            ("OBS_ALLOW_PUBLIC", "yes", "is `yes`; it takes `true` or"),
            ("OBS_TLS_CERT", "", "it takes the path of a PEM file"),
            ("OBS_UNIX_SOCKET", "", "it takes the path of a socket"),
            ("OBS_MEMORY", "", "it takes the path of a file on tmpfs"),
            ("OBS_PUSH_URL", "gateway:9091", "it takes the URL of a"),
            ("OBS_OTLP_TEMPORALITY", "both", "it takes `cumulative` or"),
            ("OBS_OTLP_URL", "collector:4318", "it takes the URL of a"),
            ("OBS_MAX_SCRAPES", "0", "scrapes from 1 to 1000"),
            ("OBS_MAX_CONNECTIONS", "10001", "from 1 to 10000"),
        ];
        for (name, value, expected) in cases {
            let error = Config::from_vars([(name, value)]).unwrap_err().to_string();
            assert!(error.contains(expected), "{name}={value}: {error}");
        }
    }

    #[test]
    fn an_error_does_not_show_a_credential() {
        let cases: [(&[(&str, &str)], &str); 9] = [
            (
                &[("OBS_OTLP_URL", "http://desk:hush@collector:4318")],
                "it takes the URL of a receiver of OTLP over HTTP, without a user",
            ),
            (
                &[("OBS_OTLP_HEADERS", "hush")],
                "OBS_OTLP_HEADERS is empty or not acceptable; it takes headers",
            ),
            (
                &[("OBS_PUSH_BASIC_AUTH", "hush")],
                "OBS_PUSH_BASIC_AUTH is empty or not acceptable; it takes `user:password`",
            ),
            (
                &[("OBS_BEARER_TOKEN", "")],
                "OBS_BEARER_TOKEN is empty or not acceptable",
            ),
            (
                &[("OBS_BEARER_TOKEN", "hush hush")],
                "it takes 1 to 4096 visible ASCII",
            ),
            (
                &[("OBS_BASIC_AUTH", "hush")],
                "it takes `user:password`, of 3 to 4096 bytes",
            ),
            (&[("OBS_BASIC_AUTH", "hush:")], "neither half empty"),
            (
                &[("OBS_BEARER_TOKN", "hush")],
                "did you mean OBS_BEARER_TOKEN?",
            ),
            (
                &[
                    ("OBS_BEARER_TOKEN_FILE", "/token"),
                    ("OBS_BEARER_TOKEN", "hush"),
                ],
                "and only where the variable with `_FILE` is unset",
            ),
        ];
        for (vars, expected) in cases {
            let error = Config::from_vars(vars.iter().copied()).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
        }
    }

    #[test]
    fn others_variables_are_left_alone() {
        let config = Config::from_vars([
            ("OBS_MODE", "paper"),
            ("OBS_ROOM", "hall"),
            ("OBS_GRAFANA_SERVICE_HOST", "10.96.0.12"),
            ("OBS_GRAFANA_PORT_3000_TCP", "tcp://10.96.0.12:3000"),
            ("OBS_IGNORE", "OBS_SCENE,OBS_ROOM"),
        ]);
        assert_eq!(config.unwrap().mode, Some(Mode::Paper));

        for (name, value, expected) in [
            ("OBS_ROOMS", "hall", "unknown variable OBS_ROOMS"),
            ("OBS_PORT", "9464", "unknown variable OBS_PORT"),
            (
                "OBS_LISTEN_PORT",
                "9464",
                "unknown variable OBS_LISTEN_PORT",
            ),
        ] {
            let vars = [("OBS_IGNORE", "OBS_ROOM"), (name, value)];
            let error = Config::from_vars(vars).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        for ignore in ["", "ROOM", "OBS_A,,OBS_B", "OBS_MODE"] {
            let error = Config::from_vars([("OBS_IGNORE", ignore)]).unwrap_err();
            let expected = format!("OBS_IGNORE is `{ignore}`; it takes names between commas");
            assert!(error.to_string().starts_with(&expected), "{error}");
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
                idle_timeout: Some(Duration::ZERO),
                ..Config::default()
            },
            Config {
                service: Some(String::new()),
                ..Config::default()
            },
            Config {
                max_scrapes: 0,
                ..Config::default()
            },
            Config {
                max_connections: 0,
                ..Config::default()
            },
        ];
        for (config, setting) in wrong.iter().zip([
            "quantile_window",
            "upkeep_interval",
            "idle_timeout",
            "service",
            "max_scrapes",
            "max_connections",
        ]) {
            let error = config.check().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("Config::{setting} is `")),
                "{error}"
            );
        }
    }
}
