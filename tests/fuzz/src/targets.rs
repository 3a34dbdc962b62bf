//! The promises, each as a function of any bytes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::ffi::OsStringExt;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::tz::TimeZone;
use metrics::Recorder;
use obs_core::{OTHER, OTHER_TOTAL};
use obs_exporter::{Config, Exporter, Secret, Server};
use obs_recorder::{Engine, Format};
use obs_tests::{PythonFamily, PythonParser, PythonSample};
use obs_trading::{
    Basis, Calendar, Conventions, Ledger, LedgerState, Period, PeriodsPerYear, SavedCashAccount,
    SavedDayTrades, SavedLimits, StateFile, Valuation,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;

use crate::exposition::exposition;
use crate::memory::memory;

/// A promise about any bytes; it panics where it is broken.
pub(crate) type Target = fn(&[u8]);

/// The targets by the names of their corpora.
pub const TARGETS: [(&str, Target); 8] = [
    ("exposition", exposition),
    ("memory", memory),
    ("render", render),
    ("openmetrics", openmetrics),
    ("configuration", configuration),
    ("csv", csv),
    ("state", state),
    ("http", http),
];

/// Whatever was recorded under whatever names comes out valid, and whole.
pub fn render(data: &[u8]) {
    let (engine, counted) = recorded(data);
    let text = engine.render(Format::Classic);
    let read = obs_exposition::parse(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"));
    let samples = read.families.iter().flat_map(|family| &family.samples);
    // What a name that is too long was counted under is added up in one.
    let counts =
        samples.filter(|sample| sample.name.starts_with('c') || sample.name == OTHER_TOTAL);
    let total: f64 = counts.fold(0.0, |total, sample| total + sample.value);
    assert_eq!(total.to_bits(), counted.to_bits(), "{text}");
}

/// The same in `OpenMetrics`, read by Python's `prometheus_client`.
pub fn openmetrics(data: &[u8]) {
    thread_local!(static PYTHON: RefCell<PythonParser> = RefCell::new(PythonParser::start().unwrap()));
    let (engine, counted) = recorded(data);
    let text = engine.render(Format::OpenMetrics);
    let read = PYTHON.with_borrow_mut(|python| python.parse(&text).unwrap());
    let families = read.unwrap_or_else(|reason| panic!("{reason} in\n{text}"));
    // Beside a counter stands the time at which it began.
    let is_time = |family: &PythonFamily, sample: &PythonSample| {
        family.kind == "counter" && sample.name.ends_with("_created")
    };
    let counts = families
        .iter()
        .filter(|family| family.name.starts_with('c') || family.name == OTHER);
    let counts = counts.flat_map(|family| {
        family
            .samples
            .iter()
            .filter(move |sample| !is_time(family, sample))
    });
    let total: f64 = counts.fold(0.0, |total, sample| total + sample.value);
    assert_eq!(total.to_bits(), counted.to_bits(), "{text}");
}

/// Records what the bytes say, and adds up what was counted: of names that are the same once they are escaped, only the first counts.
///
/// Records lie between `0xFF`, and the name, key, value and number of each between `0xFE`, bytes that no text has. The first byte of
/// a record says the kind. Names of one kind begin alike, so that no two kinds fight over a name.
fn recorded(data: &[u8]) -> (Engine, f64) {
    let engine = Engine::builder().build().unwrap();
    let mut counted = 0.0;
    let mut spellings: HashMap<String, String> = HashMap::new();
    for record in data.split(|byte| *byte == 0xFF) {
        let Some((kind, record)) = record.split_first() else {
            continue;
        };
        let fields = record.split(|byte| *byte == 0xFE);
        let fields: Vec<_> = fields.map(String::from_utf8_lossy).collect();
        let field = |index: usize| fields.get(index).map_or("", AsRef::as_ref);
        let name = |kind| format!("{kind}_{}", field(0));
        let labels = [(field(1).to_owned(), field(2).to_owned())];
        let number: f64 = field(3).parse().unwrap_or(1.0);
        metrics::with_local_recorder(&engine, || match kind % 3 {
            0 => {
                let count: u32 = field(3).parse().unwrap_or(1);
                let name = name("c");
                let first = spellings
                    .entry(escaped(&name))
                    .or_insert_with(|| name.clone());
                if *first == name {
                    counted += f64::from(count);
                }
                metrics::counter!(name, &labels).increment(count.into());
            }
            1 => metrics::gauge!(name("g"), &labels).set(number),
            _ => metrics::histogram!(name("h"), &labels).record(number),
        });
    }
    (engine, counted)
}

/// As a scraper reads a name that may be any text.
fn escaped(name: &str) -> String {
    let is_known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let one = |c| if is_known(c) { c } else { '_' };
    name.chars().map(one).collect()
}

/// Variables between NULs, as in `/proc/<pid>/environ`: taken, or refused by an error that names the variable; and nothing shows a
/// credential.
pub fn configuration(data: &[u8]) {
    const MARK: &str = "hushhush";
    let mut variables = Vec::new();
    for entry in data.split(|byte| *byte == 0) {
        let mut halves = entry.splitn(2, |byte| *byte == b'=');
        let name = halves.next().unwrap_or_default();
        let mut value = halves.next().unwrap_or_default().to_vec();
        if contains(entry, MARK.as_bytes()) {
            continue;
        }
        if is_secret(name) {
            value.extend_from_slice(MARK.as_bytes());
        }
        variables.push((OsString::from_vec(name.to_vec()), OsString::from_vec(value)));
    }
    match Config::from_vars(variables.clone()) {
        Ok(config) => assert!(!format!("{config:?}").contains(MARK), "{config:?}"),
        Err(error) => {
            let (said, shown) = (error.to_string(), format!("{error:?}"));
            assert!(
                !said.contains(MARK) && !shown.contains(MARK),
                "{said} {shown}"
            );
            let names = variables.iter().map(|(name, _)| name.to_string_lossy());
            assert!(
                names
                    .into_iter()
                    .any(|name| name.starts_with("OBS_") && said.contains(&*name)),
                "{said}"
            );
        }
    }
}

/// What holds a credential, also by a name that was misspelt.
fn is_secret(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name);
    let begins = ["OBS_BEARER_TOK", "OBS_BASIC_AU", "OBS_PUSH_BASIC_AU"];
    begins.iter().any(|begin| name.starts_with(begin)) && !name.ends_with("_FILE")
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// Bars are read whole and in order, or the file is refused.
pub fn csv(data: &[u8]) {
    let Ok(all) = trading_desk::bars::parse(data, "any.csv") else {
        return;
    };
    for series in all {
        assert!(series.bars.is_sorted_by(|a, b| a.date < b.date));
        for bar in series.bars {
            assert!(
                0.0 < bar.low && bar.low <= bar.open.min(bar.close),
                "{bar:?}"
            );
            assert!(
                bar.open.max(bar.close) <= bar.high && bar.high.is_finite(),
                "{bar:?}"
            );
            assert!(bar.volume >= 0.0 && bar.volume.is_finite(), "{bar:?}");
        }
    }
}

/// A state file is read or refused, and what is read comes back the same from what it is saved to.
pub fn state(data: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let file = StateFile::<LedgerState>::new(folder.path().join("ledger.state"), "ledger", 1);
    std::fs::write(file.path(), data).unwrap();
    if let Ok(Some(ledger)) = file.load() {
        file.save(&ledger).unwrap();
        assert_eq!(file.load().unwrap().as_ref(), Some(&ledger));
    }
    // No change of a seed gets past the checksum. What is behind it has to hold by itself.
    let body = data
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(data, |end| &data[end + 1..]);
    comes_back::<SavedCashAccount>(body);
    comes_back::<SavedDayTrades>(body);
    comes_back::<SavedLimits>(body);
    if let Some(state) = comes_back::<LedgerState>(body) {
        restored(&state);
    }
}

fn comes_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    json: &[u8],
) -> Option<T> {
    let read: T = serde_json::from_slice(json).ok()?;
    let written = serde_json::to_string(&read).unwrap();
    let again: T = serde_json::from_str(&written).unwrap();
    assert_eq!(again, read);
    Some(read)
}

/// A ledger that was restored can be asked anything.
fn restored(state: &LedgerState) {
    let conventions = Conventions::new(
        Basis::PeriodReturns,
        Valuation::Marks,
        PeriodsPerYear::EVERY_DAY,
        Calendar::every_day(TimeZone::UTC),
    )
    .unwrap();
    let Ok(ledger) = Ledger::restore(conventions.clone(), state.clone()) else {
        return;
    };
    let saved = ledger.save();
    // What the first edition remembered is turned into what is remembered now.
    if serde_json::to_value(state).unwrap().get("recent").is_none() {
        assert_eq!(saved, *state);
    }
    let again = Ledger::restore(conventions, saved.clone()).unwrap();
    assert_eq!(again.save(), saved);
    for period in [Period::Day, Period::Week, Period::Month, Period::Total] {
        let _ = (
            ledger.trades(period),
            ledger.realized_pnl(period),
            ledger.equity_change(period),
        );
    }
    let _ = (
        ledger.win_ratio(),
        ledger.profit_factor(),
        ledger.sharpe_ratio(),
        ledger.sortino_ratio(),
    );
    let _ = (
        ledger.drawdown_ratio(),
        ledger.drawdown_age_seconds(),
        ledger.longest_recovery_seconds(),
    );
}

const TOKEN: &str = "correct-horse-battery";
/// A metric that nobody sees without the token.
const PROFIT: &str = "desk_profit_usd";

/// Whatever comes on a connection, it is answered in HTTP or closed, shows nothing to a client without the token, and the next client is served.
pub fn http(data: &[u8]) {
    static SITE: OnceLock<Site> = OnceLock::new();
    let site = SITE.get_or_init(Site::start);
    let answer = site.say(data);
    if !answer.is_empty() {
        assert!(answer.starts_with(b"HTTP/1."), "{}", answer.escape_ascii());
    }
    if contains(&answer, PROFIT.as_bytes()) {
        assert!(
            contains(data, TOKEN.as_bytes()),
            "{}",
            answer.escape_ascii()
        );
    }
    let asked = format!(
        "GET /metrics HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    );
    let answer = site.ask(&asked);
    assert!(
        answer.starts_with(b"HTTP/1.1 200 OK\r\n"),
        "{}",
        answer.escape_ascii()
    );
    assert!(
        contains(&answer, PROFIT.as_bytes()),
        "{}",
        answer.escape_ascii()
    );
}

/// A server on a free port, with a metric to keep from others.
struct Site {
    address: SocketAddr,
    _server: Server,
    _runtime: Runtime,
}

impl Site {
    fn start() -> Self {
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            bearer_token: Some(Secret::new(TOKEN)),
            ..Config::default()
        };
        let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
        let (recorder, exporter) = builder.build().unwrap();
        record_profit(&recorder);
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(exporter.serve()).unwrap();
        Self {
            address: server.local_addr(),
            _server: server,
            _runtime: runtime,
        }
    }

    /// All that comes back until the server closes the connection, which it has to do when it knows that no more is asked.
    fn say(&self, data: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let mut answer = Vec::new();
        // The server may have heard enough before the end.
        let _ = stream.write_all(data);
        // What is asked on half a connection is not always answered, so that an answer is given a moment to come first.
        let _ = read_for(&mut stream, Duration::from_millis(5), &mut answer);
        let _ = stream.shutdown(Shutdown::Write);
        let closed = read_for(&mut stream, Duration::from_mins(1), &mut answer);
        if let Err(error) = closed {
            assert_eq!(
                error.kind(),
                ErrorKind::ConnectionReset,
                "not closed: {error}"
            );
        }
        answer
    }

    /// What a client is answered that keeps to the rules.
    fn ask(&self, request: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        read_for(&mut stream, Duration::from_mins(1), &mut answer).unwrap();
        answer
    }
}

/// Reads to the end, or until nothing has come for this long.
fn read_for(stream: &mut TcpStream, longest: Duration, to: &mut Vec<u8>) -> io::Result<usize> {
    stream.set_read_timeout(Some(longest))?;
    stream.read_to_end(to)
}

fn record_profit(recorder: &impl Recorder) {
    metrics::with_local_recorder(recorder, || metrics::gauge!(PROFIT).set(7.0));
}
