//! Pushing over OTLP, HTTP with protobuf and gzip.
//!
//! One task collects an interval after another and keeps what waits, another sends it. What a receiver does not take at once waits,
//! up to a number of bytes; then nothing is collected until there is room, and the next interval is the longer. So memory is
//! bounded, and no count is lost while the process lives.

mod encoder;
mod message;

use std::collections::VecDeque;
use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Method, Request, StatusCode};
use obs_core::Severity;
use obs_recorder::FamilySnapshot;
use percent_encoding::percent_decode_str;
use prost::Message;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use self::encoder::Encoder;
use self::message::{KeyValue, Response};
use crate::post::{self, Answer, Body, Failure, Pauses, Target};
use crate::tls::TlsClient;
use crate::{PushError, Schedule};

/// A receiver of OTLP, and how it is pushed to.
///
/// ```
/// use obs_push::{Otlp, OtlpOptions};
///
/// let options = OtlpOptions::to("http://127.0.0.1:4318");
/// assert_eq!(Otlp::new(options)?.url(), "http://127.0.0.1:4318");
/// assert!(Otlp::new(OtlpOptions::to("collector:4318")).is_err());
/// # Ok::<(), obs_push::PushError>(())
/// ```
pub struct Otlp {
    url: String,
    target: Target,
    tls: Option<TlsClient>,
    headers: HeaderMap,
    interval: Duration,
    temporality: Temporality,
    program: Program,
}

/// Where OTLP is pushed to, and how.
#[derive(Clone)]
#[non_exhaustive]
pub struct OtlpOptions {
    /// The URL of the receiver: `http://host[:port][/path]`, or `https`. Without a path it is `/v1/metrics`. It has no user.
    pub url: String,
    /// Headers of every request between commas, percent-encoded as `OTEL_EXPORTER_OTLP_HEADERS` has them. Nothing shows them.
    pub headers: Option<String>,
    /// The authorities that may have signed the certificate of a receiver with `https`, in PEM; those of the system unless given.
    pub authorities: Option<PathBuf>,
    /// How long after an interval was collected the next one is.
    pub interval: Duration,
    /// What counters and histograms show.
    pub temporality: Temporality,
    /// What is sending.
    pub program: Program,
}

/// The program that sends, for the receiver's eyes: the scope of the metrics, and the `User-Agent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
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

/// What is pushed, and what hears of pushes that fail.
pub trait Source: Send + Sync {
    /// Passes everything that is recorded to `encode` where that may take its time, such as in `tokio::task::spawn_blocking`. None where
    /// there is nothing to be had, as when the runtime shuts down: then the interval is left out, and the next one is the longer.
    fn read<T: Send + 'static>(
        &self,
        encode: impl FnOnce(&[FamilySnapshot]) -> T + Send + 'static,
    ) -> impl Future<Output = Option<T>> + Send;

    /// Hears that something was not taken.
    fn failed(&self, report: &Report<'_>);

    /// Where it begins, which [`Otlp::run`] asks once. Unless overridden nothing was sent before.
    fn begins(&self) -> Begin {
        Begin::Anew
    }

    /// Keeps how far it is, for a process that goes on where this one ended; see [`Begin::Resumed`]. It is waited for, before what was collected
    /// is sent and after each request that was taken or refused for good.
    fn keep(&self, progress: Progress) -> impl Future<Output = ()> + Send {
        drop(progress);
        std::future::ready(())
    }
}

/// Where pushing begins. It matters to differences alone: what is cumulative has the start of each series.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Begin {
    /// Nothing was sent before: all that is shown is part of the first interval.
    #[default]
    Anew,
    /// What the first interval shows was counted by others before, and may have been sent by them: it is part of no interval.
    Unknown,
    /// Another process has sent this, and its last [`Progress`] is known.
    Resumed {
        /// What the families showed when they were collected last. Series with another start than they have here begin anew.
        families: Vec<FamilySnapshot>,
        /// When that was, in nanoseconds since 1970: [`Progress::collected`].
        collected: u64,
        /// What was waiting, in order: [`Progress::waiting`]. It is sent first, as it was.
        waiting: Vec<Bytes>,
    },
}

/// How far pushing is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// When everything was collected, in nanoseconds since 1970, where that is what is new: what [`Source::read`] passed last is sent, or waits.
    pub collected: Option<u64>,
    /// The requests that were collected and not yet taken or refused, compressed, in order; some 16 MiB at most.
    pub waiting: Vec<Bytes>,
}

/// What was not taken.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Report<'a> {
    /// The URL of the receiver.
    pub url: &'a str,
    /// What became of it.
    pub fate: Fate,
    /// Why: what the receiver, or the system, said.
    pub problem: &'a str,
    /// What to do about it; empty where that is in the receiver's words.
    pub repair: &'a str,
}

/// What becomes of something that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is sent again.
    Waits {
        /// Whether it was not taken before, either: once is enough to tell of each outage.
        again: bool,
    },
    /// It is lost: the receiver refuses it, or a part of it.
    Refused,
    /// It is lost: the process ends.
    Ended,
}

impl Report<'_> {
    /// A warning as long as nothing is lost.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self.fate {
            Fate::Waits { .. } => Severity::Warning,
            Fate::Refused | Fate::Ended => Severity::Error,
        }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.fate {
            Fate::Waits { again: false } => "OTLP's receiver takes nothing; what is recorded waits",
            Fate::Waits { again: true } => "OTLP's receiver still takes nothing",
            Fate::Refused => "OTLP's receiver refuses what was recorded",
            Fate::Ended => "the process ends before OTLP's receiver has taken everything",
        })
    }
}

impl OtlpOptions {
    /// To this URL every 15 seconds, cumulatively, without headers.
    #[must_use]
    pub fn to(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: None,
            authorities: None,
            interval: Duration::from_secs(15),
            temporality: Temporality::default(),
            program: Program {
                name: env!("CARGO_PKG_NAME"),
                version: env!("CARGO_PKG_VERSION"),
            },
        }
    }
}

impl fmt::Debug for OtlpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL that is refused may have a password in it.
        f.debug_struct("OtlpOptions")
            .field("authorities", &self.authorities)
            .field("interval", &self.interval)
            .field("temporality", &self.temporality)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Otlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Otlp")
            .field("url", &self.url)
            .field("interval", &self.interval)
            .field("temporality", &self.temporality)
            .finish_non_exhaustive()
    }
}

/// The most that waits for a receiver, compressed: some hours of a large desk.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// Where OTLP takes metrics, below the URL of a receiver that has no path.
const PATH: &str = "/v1/metrics";

impl Otlp {
    /// How long the last of it may take, once `stopped` says that it is the last.
    pub const GRACE: Duration = Duration::from_secs(10);

    /// Holds what is configured to what can be sent to. Certificates are read.
    ///
    /// # Errors
    ///
    /// When the URL or a header cannot be used, when there are no authorities for `https`, and where `https` is not compiled in.
    pub fn new(options: OtlpOptions) -> Result<Self, PushError> {
        // It may be refused for the password in it.
        let target = target(&options.url).ok_or(PushError::Url)?;
        let tls = target
            .is_https
            .then(|| TlsClient::new(options.authorities.as_deref()))
            .transpose()?;
        let headers = match options.headers.as_deref() {
            Some(text) => headers(text).ok_or(PushError::Headers)?,
            None => HeaderMap::new(),
        };
        Ok(Self {
            url: options.url,
            tls,
            headers: all_headers(headers, options.program),
            target,
            interval: options.interval,
            temporality: options.temporality,
            program: options.program,
        })
    }

    /// The URL, as it was given.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Pushes at once, after every interval, and when `stopped` has no sender any more; then it waits for the last of it to be taken,
    /// but no longer than [`GRACE`](Self::GRACE). `resource` are attributes of all that is sent, such as `service.name`.
    ///
    /// What is not taken at once is sent again after a pause, and up to 16 MiB wait for that; beyond them nothing is collected.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime with its timer and its network.
    pub async fn run(
        self,
        resource: &[(&str, &str)],
        source: impl Source,
        stopped: watch::Receiver<()>,
    ) {
        let waiting = Waiting::default();
        let mut encoder = Encoder::new(
            resource
                .iter()
                .map(|(key, value)| KeyValue::new(*key, *value))
                .collect(),
            self.temporality,
            self.program,
        );
        waiting.add(encoder.begin(source.begins()));
        let encoder = Arc::new(Mutex::new(encoder));
        let mut schedule = Schedule::new(self.interval, stopped);
        let collecting = async {
            while schedule.next().await {
                if waiting.has_room()
                    && let Some((time, requests)) = collect(&source, &encoder).await
                {
                    waiting.keep(&source, time, requests).await;
                }
            }
            waiting.close();
        };
        let mut sending = pin!(self.send(&source, &waiting));
        tokio::select! {
            () = &mut sending => {}
            () = collecting => {
                if timeout(Self::GRACE, &mut sending).await.is_err() {
                    self.report(&source, Fate::Ended, "it took too long", "");
                }
            }
        }
    }

    /// Sends what waits, one request after another, until there is nothing left and nothing to come.
    async fn send(&self, source: &impl Source, waiting: &Waiting) {
        while let Some(request) = waiting.first().await {
            self.deliver(source, &request).await;
            waiting.sent(source).await;
        }
    }

    /// Sends a request until it is taken or refused for good.
    async fn deliver(&self, source: &impl Source, request: &Bytes) {
        let mut pauses = Pauses::default();
        let mut again = false;
        loop {
            let failure = match self.attempt(request.clone()).await {
                Ok(Some(problem)) => return self.report(source, Fate::Refused, &problem, ""),
                Ok(None) => return,
                Err(failure) => failure,
            };
            let Failure {
                problem, repair, ..
            } = &failure;
            if !failure.passes {
                return self.report(source, Fate::Refused, problem, repair);
            }
            self.report(source, Fate::Waits { again }, problem, repair);
            again = true;
            sleep(pauses.after(&failure)).await;
        }
    }

    fn report(&self, source: &impl Source, fate: Fate, problem: &str, repair: &str) {
        source.failed(&Report {
            url: &self.url,
            fate,
            problem,
            repair,
        });
    }

    /// Sends a request once. Says what the receiver did not take of it.
    async fn attempt(&self, request: Bytes) -> Result<Option<String>, Failure> {
        let mut sent = Request::new(Body::from(request));
        *sent.method_mut() = Method::POST;
        *sent.uri_mut() = self.target.path.parse().unwrap_or_default();
        *sent.headers_mut() = self.headers.clone();
        let answer = post::exchange(&self.target.authority, self.tls.as_ref(), sent).await?;
        if answer.status.is_success() {
            return Ok(left_out(&answer));
        }
        // The protocol names these, and no other may be tried again.
        let passes = matches!(
            answer.status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        Err(answer.refusal(passes))
    }
}

/// A URL in its parts; none where it cannot be used.
fn target(url: &str) -> Option<Target> {
    let target = Target::parse(url).ok()?;
    let has_user = target.authority.as_str().contains('@');
    let path = match target.path.as_str() {
        "" | "/" => PATH.to_owned(),
        path => path.to_owned(),
    };
    (!has_user).then_some(Target { path, ..target })
}

/// Whether these are headers between commas, as [`OtlpOptions::headers`] takes them.
#[must_use]
pub fn are_headers(text: &str) -> bool {
    headers(text).is_some()
}

/// Headers between commas, percent-encoded as `OTEL_EXPORTER_OTLP_HEADERS` has them; none where one of them is none.
fn headers(text: &str) -> Option<HeaderMap> {
    let one = |text: &str| {
        let (name, value) = text.split_once('=')?;
        let name = HeaderName::try_from(name.trim()).ok()?;
        let value: Vec<u8> = percent_decode_str(value.trim()).collect();
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    };
    text.split(',').map(one).collect()
}

/// The host and port by which a program that listens here is known, for `service.instance.id`: the instance that a scrape of it would
/// have. The address, where the host has no name.
#[must_use]
pub fn instance(address: SocketAddr) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.or_else(|| std::env::var("HOSTNAME").ok());
    let host = host.map(|host| host.trim().to_owned());
    match host.filter(|host| !host.is_empty()) {
        Some(host) => format!("{host}:{}", address.port()),
        None => address.to_string(),
    }
}

/// The headers of every request.
fn all_headers(configured: HeaderMap, program: Program) -> HeaderMap {
    let mut all = configured;
    let protobuf = HeaderValue::from_static("application/x-protobuf");
    all.insert(CONTENT_TYPE, protobuf);
    all.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let agent = format!("{}/{}", program.name, program.version);
    if let Ok(agent) = HeaderValue::try_from(agent) {
        all.entry(USER_AGENT).or_insert(agent);
    }
    all
}

/// The requests of one interval, compressed, and when it ended; none where there is nothing to be had.
async fn collect(source: &impl Source, encoder: &Arc<Mutex<Encoder>>) -> Option<(u64, Vec<Bytes>)> {
    let encoder = Arc::clone(encoder);
    let collected = source.read(move |families| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanoseconds = since.unwrap_or_default().as_nanos();
        let time = u64::try_from(nanoseconds).unwrap_or(u64::MAX);
        let requests = lock(&encoder).requests(families, time);
        let requests = requests
            .into_iter()
            .filter_map(|request| gzip(&request).ok())
            .map(Bytes::from);
        (time, requests.collect())
    });
    collected.await
}

fn gzip(request: &[u8]) -> std::io::Result<Vec<u8>> {
    // The fastest level already makes a tenth of it, and it is sent once.
    let mut encoder = GzEncoder::new(Vec::with_capacity(request.len() / 8), Compression::fast());
    encoder.write_all(request)?;
    encoder.finish()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the receiver says that it did not take.
fn left_out(answer: &Answer) -> Option<String> {
    let partial = Response::decode(&answer.body[..]).ok()?.partial?;
    let problem = format!("{} data points: {}", partial.rejected, partial.problem);
    (partial.rejected > 0).then_some(problem)
}

/// Requests that were not taken yet.
#[derive(Default)]
struct Waiting {
    queue: Mutex<Queue>,
    changed: Notify,
    /// Held while the queue is changed and what is in it is kept, so that one change is kept after the other.
    order: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Queue {
    requests: VecDeque<Bytes>,
    bytes: usize,
    is_closed: bool,
}

impl Waiting {
    fn has_room(&self) -> bool {
        lock(&self.queue).bytes < MOST_BYTES
    }

    /// All requests of an interval are kept, or none: what they carry counts as sent.
    fn add(&self, requests: Vec<Bytes>) {
        let mut queue = lock(&self.queue);
        queue.bytes += requests.iter().map(Bytes::len).sum::<usize>();
        queue.requests.extend(requests);
        self.changed.notify_one();
    }

    /// Says that nothing more comes.
    fn close(&self) {
        lock(&self.queue).is_closed = true;
        self.changed.notify_one();
    }

    /// The oldest, once there is one; none when there is nothing left and nothing to come.
    async fn first(&self) -> Option<Bytes> {
        loop {
            {
                let queue = lock(&self.queue);
                if let Some(request) = queue.requests.front() {
                    return Some(request.clone());
                }
                if queue.is_closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// The requests of another interval: they are kept before anybody sends them, so that what was sent is known by then.
    async fn keep(&self, source: &impl Source, time: u64, requests: Vec<Bytes>) {
        let _in_order = self.order.lock().await;
        let mut waiting = self.all();
        waiting.extend(requests.iter().cloned());
        let progress = Progress {
            collected: Some(time),
            waiting,
        };
        source.keep(progress).await;
        self.add(requests);
    }

    /// Lets go of the oldest.
    async fn sent(&self, source: &impl Source) {
        let _in_order = self.order.lock().await;
        {
            let mut queue = lock(&self.queue);
            if let Some(request) = queue.requests.pop_front() {
                queue.bytes -= request.len();
            }
        }
        let progress = Progress {
            collected: None,
            waiting: self.all(),
        };
        source.keep(progress).await;
    }

    fn all(&self) -> Vec<Bytes> {
        lock(&self.queue).requests.iter().cloned().collect()
    }
}
