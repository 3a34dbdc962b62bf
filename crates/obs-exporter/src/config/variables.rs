//! The variables of the environment, and what each of them takes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use obs_core::MAX_VALUE_BYTES;

use super::{Config, Mode, RecorderKind, Temporality};
use crate::Secret;
use crate::access::{BASIC, BASIC_ACCEPTS, BEARER, BEARER_ACCEPTS, PUSH_BASIC};

/// The names of the variables, for a message.
pub(crate) fn variables() -> String {
    let names: Vec<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
    names.join(", ")
}

/// Lists variables that begin as ours and are others'.
pub(super) const IGNORE: &str = "OBS_IGNORE";

/// A variable of the environment.
pub(super) struct Variable {
    pub(super) name: &'static str,
    /// What it takes, for a message.
    pub(super) accepts: &'static str,
    /// Sets the value; `None` when the text is not acceptable.
    pub(super) set: fn(&mut Config, &str) -> Option<()>,
}

pub(super) const LABELS: &str = "labels between commas, such as desk=ny,team=rates, each of 1 to 256 bytes and once, whose key is a \
    name that does not begin with a digit or `__` and which is not service, environment, mode, le or quantile";
pub(super) const TEXT: &str = "1 to 256 bytes of UTF-8 text";
const SLOTS: &str = "a number of threads from 0 to 1024";
pub(super) const TIME: &str = "a number of seconds from 0.001 to 86400, such as 60";
pub(super) const TIME_RANGE: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_hours(24);
pub(super) const FAMILIES: RangeInclusive<usize> = 0..=100_000;
pub(super) const FAMILIES_TEXT: &str = "a number of families from 0 to 100000";
pub(super) const MAX_SCRAPES: RangeInclusive<usize> = 1..=1000;
pub(super) const MAX_SCRAPES_TEXT: &str = "a number of scrapes from 1 to 1000";
pub(super) const MAX_CONNECTIONS: RangeInclusive<usize> = 1..=10_000;
pub(super) const MAX_CONNECTIONS_TEXT: &str = "a number of connections from 1 to 10000";
pub(crate) const OTLP_URLS: &str = "the URL of a receiver of OTLP over HTTP, without a user, such as http://127.0.0.1:4318 or \
    http://127.0.0.1:9090/api/v1/otlp/v1/metrics";
pub(crate) const OTLP_HEADERS: &str = "headers between commas, such as Authorization=Bearer%20secret,X-Scope-OrgID=desk, of up to 4096 \
    bytes, and only where the variable with `_FILE` is unset";
const SECRET_FILE: &str =
    "the path of a file, and only where the variable without `_FILE` is unset";
const PEM_FILE: &str = "the path of a PEM file";

pub(super) static VARIABLES: [Variable; 46] = [
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
        name: "OBS_LABELS",
        accepts: LABELS,
        set: |config, text| labels(text).map(|labels| config.labels = labels),
    },
    Variable {
        name: "OBS_HOSTS",
        accepts: "names of hosts between commas and without ports, such as desk.example.net",
        set: |config, text| hosts(text).map(|hosts| config.hosts = hosts),
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
        name: "OBS_IDLE_TIMEOUT_SECONDS",
        accepts: TIME,
        set: |config, text| seconds(text).map(|time| config.idle_timeout = Some(time)),
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
        name: "OBS_UNDECLARED_FAMILIES",
        accepts: FAMILIES_TEXT,
        set: |config, text| number(text, &FAMILIES).map(|most| config.undeclared_families = most),
    },
    Variable {
        name: "OBS_CREATED",
        accepts: "`on` or `off`",
        set: |config, text| switch(text).map(|created| config.created = created),
    },
    Variable {
        name: "OBS_UTF8_NAMES",
        accepts: "`on` or `off`",
        set: |config, text| switch(text).map(|utf8| config.utf8_names = utf8),
    },
    Variable {
        name: "OBS_NATIVE_HISTOGRAMS",
        accepts: "`on` or `off`",
        set: |config, text| {
            // As it was said before.
            let said = switch(text).or_else(|| text.parse().ok());
            said.map(|native| config.native_histograms = native)
        },
    },
    Variable {
        name: "OBS_RESERVE_NATIVE_CELLS",
        accepts: "`on` or `off`",
        set: |config, text| switch(text).map(|reserve| config.reserve_native_cells = reserve),
    },
    Variable {
        name: "OBS_DIRECT_HANDLES",
        accepts: "`on` or `off`",
        // `obs_core::install` looks for itself, whichever recorder it installs.
        set: |_, text| switch(text).map(drop),
    },
    Variable {
        name: "OBS_MEMORY",
        accepts: "the path of a file on tmpfs, such as /dev/shm/desk.obs, or /dev/shm/desk@{pid}.obs for several processes",
        set: |config, text| path(text).map(|path| config.memory = Some(path)),
    },
    Variable {
        name: "OBS_GIT_COMMIT",
        accepts: TEXT,
        set: |config, text| label_value(text).map(|text| config.git_commit = Some(text)),
    },
    Variable {
        name: "OBS_BEARER_TOKEN",
        accepts: BEARER_ACCEPTS,
        set: |config, text| {
            let secret = BEARER.is_acceptable(text).then(|| Secret::new(text))?;
            set_once(&mut config.bearer_token, secret)
        },
    },
    Variable {
        name: "OBS_BEARER_TOKEN_FILE",
        accepts: SECRET_FILE,
        set: |config, text| set_once(&mut config.bearer_token, Secret::file(path(text)?)),
    },
    Variable {
        name: "OBS_BASIC_AUTH",
        accepts: BASIC_ACCEPTS,
        set: |config, text| {
            let secret = BASIC.is_acceptable(text).then(|| Secret::new(text))?;
            set_once(&mut config.basic_auth, secret)
        },
    },
    Variable {
        name: "OBS_BASIC_AUTH_FILE",
        accepts: SECRET_FILE,
        set: |config, text| set_once(&mut config.basic_auth, Secret::file(path(text)?)),
    },
    Variable {
        name: "OBS_ALLOW_FROM",
        accepts: "networks or addresses between commas, such as 10.0.0.0/8, ::1",
        set: |config, text| networks(text).map(|networks| config.allow_from = networks),
    },
    Variable {
        name: "OBS_ALLOW_PUBLIC",
        accepts: "`true` or `false`",
        set: |config, text| text.parse().map(|allow| config.allow_public = allow).ok(),
    },
    Variable {
        name: "OBS_TLS_CERT",
        accepts: PEM_FILE,
        set: |config, text| path(text).map(|path| config.tls_cert = Some(path)),
    },
    Variable {
        name: "OBS_TLS_KEY",
        accepts: PEM_FILE,
        set: |config, text| path(text).map(|path| config.tls_key = Some(path)),
    },
    Variable {
        name: "OBS_TLS_CLIENT_CA",
        accepts: PEM_FILE,
        set: |config, text| path(text).map(|path| config.tls_client_ca = Some(path)),
    },
    Variable {
        name: "OBS_UNIX_SOCKET",
        accepts: "the path of a socket that is to be made",
        set: |config, text| path(text).map(|path| config.unix_socket = Some(path)),
    },
    Variable {
        name: "OBS_PUSH_URL",
        accepts: "the URL of a Pushgateway without a user, such as http://127.0.0.1:9091",
        set: |config, text| {
            let is_url = text.starts_with("http://") && !text.contains('@');
            is_url.then(|| config.push_url = Some(text.to_owned()))
        },
    },
    Variable {
        name: "OBS_PUSH_INTERVAL_SECONDS",
        accepts: TIME,
        set: |config, text| seconds(text).map(|time| config.push_interval = time),
    },
    Variable {
        name: "OBS_PUSH_INSTANCE",
        accepts: TEXT,
        set: |config, text| label_value(text).map(|text| config.push_instance = Some(text)),
    },
    Variable {
        name: "OBS_PUSH_BASIC_AUTH",
        accepts: BASIC_ACCEPTS,
        set: |config, text| {
            let secret = PUSH_BASIC.is_acceptable(text).then(|| Secret::new(text))?;
            set_once(&mut config.push_basic_auth, secret)
        },
    },
    Variable {
        name: "OBS_PUSH_BASIC_AUTH_FILE",
        accepts: SECRET_FILE,
        set: |config, text| set_once(&mut config.push_basic_auth, Secret::file(path(text)?)),
    },
    Variable {
        name: "OBS_OTLP_URL",
        accepts: OTLP_URLS,
        set: |config, text| {
            let is_http = text.starts_with("http://") || text.starts_with("https://");
            (is_http && !text.contains('@')).then(|| config.otlp_url = Some(text.to_owned()))
        },
    },
    Variable {
        name: "OBS_OTLP_INTERVAL_SECONDS",
        accepts: TIME,
        set: |config, text| seconds(text).map(|time| config.otlp_interval = time),
    },
    Variable {
        name: "OBS_OTLP_TEMPORALITY",
        accepts: "`cumulative` or `delta`",
        set: |config, text| temporality(text).map(|kind| config.otlp_temporality = kind),
    },
    Variable {
        name: "OBS_OTLP_INSTANCE",
        accepts: TEXT,
        set: |config, text| label_value(text).map(|text| config.otlp_instance = Some(text)),
    },
    Variable {
        name: "OBS_OTLP_HEADERS",
        accepts: OTLP_HEADERS,
        set: |config, text| {
            let secret = text.contains('=').then(|| Secret::new(text))?;
            set_once(&mut config.otlp_headers, secret)
        },
    },
    Variable {
        name: "OBS_OTLP_HEADERS_FILE",
        accepts: SECRET_FILE,
        set: |config, text| set_once(&mut config.otlp_headers, Secret::file(path(text)?)),
    },
    Variable {
        name: "OBS_OTLP_CA",
        accepts: PEM_FILE,
        set: |config, text| path(text).map(|path| config.otlp_ca = Some(path)),
    },
    Variable {
        name: "OBS_MAX_SCRAPES",
        accepts: MAX_SCRAPES_TEXT,
        set: |config, text| number(text, &MAX_SCRAPES).map(|most| config.max_scrapes = most),
    },
    Variable {
        name: "OBS_MAX_CONNECTIONS",
        accepts: MAX_CONNECTIONS_TEXT,
        set: |config, text| {
            number(text, &MAX_CONNECTIONS).map(|most| config.max_connections = most)
        },
    },
    Variable {
        name: "OBS_PAGE",
        accepts: "`on` or `off`",
        set: |config, text| switch(text).map(|page| config.page = page),
    },
    Variable {
        name: "OBS_HISTORY",
        accepts: "`on` or `off`",
        set: |config, text| switch(text).map(|history| config.history = history),
    },
    Variable {
        name: IGNORE,
        accepts: "names between commas of variables that another program reads, such as OBS_ROOM, OBS_SCENE",
        // It is read before all others, and no setting.
        set: |_, text| ignored(text).map(|_| ()),
    },
];

/// The names of other programs' variables; none where one of them is ours, or begins unlike ours.
pub(super) fn ignored(text: &str) -> Option<Vec<&str>> {
    let is_ours = |name: &str| VARIABLES.iter().any(|variable| variable.name == name);
    let other = |name: &str| name.starts_with("OBS_") && !is_ours(name);
    let names = text.split(',').map(str::trim);
    names.map(|name| other(name).then_some(name)).collect()
}

pub(super) fn is_label_value(text: &str) -> bool {
    (1..=MAX_VALUE_BYTES).contains(&text.len())
}

/// Whether a label of this key may stand on every series beside those that do.
pub(super) fn is_label_key(key: &str) -> bool {
    let is_name = key
        .bytes()
        .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    let is_taken = ["service", "environment", "mode", "le", "quantile"].contains(&key);
    let begins_right = !key.starts_with("__") && !key.starts_with(|c: char| c.is_ascii_digit());
    !key.is_empty() && key.len() <= MAX_VALUE_BYTES && is_name && begins_right && !is_taken
}

/// Labels between commas, each once.
fn labels(text: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    loop {
        let (key, behind) = rest.split_once('=')?;
        let (value, behind) = unescaped(behind)?;
        let key = key.trim();
        if !is_label_key(key) || !is_label_value(&value) {
            return None;
        }
        if labels.insert(key.to_owned(), value).is_some() {
            return None;
        }
        match behind {
            Some(behind) => rest = behind,
            None => return Some(labels),
        }
    }
}

/// The text up to a comma that no backslash stands before, and what follows the comma.
fn unescaped(text: &str) -> Option<(String, Option<&str>)> {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => value.push(chars.next()?),
            ',' => return Some((value, Some(chars.as_str()))),
            c => value.push(c),
        }
    }
    Some((value, None))
}

/// Names of hosts between commas.
fn hosts(text: &str) -> Option<Vec<String>> {
    let host = |text: &str| {
        let text = text.trim();
        let is_part = |byte: u8| byte == b'-' || byte == b'.' || byte.is_ascii_alphanumeric();
        (!text.is_empty() && text.bytes().all(is_part)).then(|| text.to_owned())
    };
    text.split(',').map(host).collect()
}

fn label_value(text: &str) -> Option<String> {
    is_label_value(text).then(|| text.to_owned())
}

fn mode(text: &str) -> Option<Mode> {
    [Mode::Backtest, Mode::Paper, Mode::Live]
        .into_iter()
        .find(|mode| mode.as_str() == text)
}

fn temporality(text: &str) -> Option<Temporality> {
    [Temporality::Cumulative, Temporality::Delta]
        .into_iter()
        .find(|kind| kind.as_str() == text)
}

fn recorder(text: &str) -> Option<RecorderKind> {
    [RecorderKind::Obs, RecorderKind::Stock]
        .into_iter()
        .find(|kind| kind.as_str() == text)
}

fn switch(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

fn slots(text: &str) -> Option<usize> {
    number(text, &(0..=1024))
}

fn number(text: &str, range: &RangeInclusive<usize>) -> Option<usize> {
    text.parse().ok().filter(|number| range.contains(number))
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| text.into())
}

/// A credential given both ways may be two credentials; which of them counts is not ours to guess.
fn set_once(to: &mut Option<Secret>, secret: Secret) -> Option<()> {
    to.is_none().then(|| *to = Some(secret))
}

/// Networks, or single addresses, between commas.
fn networks(text: &str) -> Option<Vec<IpNet>> {
    let one = |text: &str| {
        let text = text.trim();
        let address = |_| text.parse::<IpAddr>().map(IpNet::from);
        text.parse::<IpNet>().or_else(address).ok()
    };
    text.split(',').map(one).collect()
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| TIME_RANGE.contains(time))
}

/// The variable that was probably meant; none when every name is far off.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let distance = |known: &Variable| strsim::damerau_levenshtein(name, known.name);
    let nearest = VARIABLES.iter().min_by_key(|known| distance(known))?;
    (distance(nearest) <= nearest.name.len() / 3).then_some(nearest.name)
}
