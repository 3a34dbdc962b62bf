//! Pushing over OTLP while the program serves, where the configuration asks for it.
//!
//! One task collects an interval after another and keeps what waits, another sends it. What a receiver does not take at once waits,
//! up to a number of bytes; then nothing is collected until there is room, and the next interval is the longer. So memory is
//! bounded, and no count is lost while the process lives.

mod encoder;
mod message;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Method, Request, StatusCode};
use obs_core::Severity;
use percent_encoding::percent_decode_str;
use prost::Message;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use self::encoder::Encoder;
use self::message::{KeyValue, Response};
use crate::access::OTLP_HEADERS;
use crate::config::OTLP_URLS;
use crate::exporter::lock;
use crate::post::{self, Answer, Failure, Pauses, Target};
use crate::schedule::Schedule;
use crate::server::{Body, GZIP, Server, gzip};
use crate::tls::TlsClient;
use crate::{AppInfo, Config, Exporter, ExporterError, RecorderKind, Secret, Temporality};

/// Where everything is pushed, and how often.
pub(crate) struct Otlp {
    url: String,
    target: Target,
    tls: Option<TlsClient>,
    headers: HeaderMap,
    interval: Duration,
    temporality: Temporality,
}

/// The most that waits for a receiver, compressed: some hours of a large desk.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// Where OTLP takes metrics, below the URL of a receiver that has no path.
const PATH: &str = "/v1/metrics";

impl Otlp {
    /// As configured; none where no receiver is.
    pub(crate) fn new(config: &Config) -> Result<Option<Self>, ExporterError> {
        let Some(url) = &config.otlp_url else {
            let set = [
                ("OBS_OTLP_INSTANCE", config.otlp_instance.is_some()),
                ("OBS_OTLP_HEADERS", config.otlp_headers.is_some()),
                ("OBS_OTLP_CA", config.otlp_ca.is_some()),
            ];
            return match set.into_iter().find(|(_, is_set)| *is_set) {
                Some((setting, _)) => Err(ExporterError::Incomplete {
                    setting,
                    needs: "OBS_OTLP_URL",
                }),
                None => Ok(None),
            };
        };
        if config.recorder != RecorderKind::Obs {
            return Err(ExporterError::OtherRecorder {
                setting: "OBS_OTLP_URL",
                recorder: RecorderKind::Obs,
                reason: "the stock one does not keep when a series began",
            });
        }
        let Some(target) = target(url) else {
            // It may be refused for the password in it.
            return Err(ExporterError::Secret {
                origin: "Config::otlp_url".to_owned(),
                accepts: OTLP_URLS,
            });
        };
        let tls = target
            .is_https
            .then(|| TlsClient::new(config.otlp_ca.as_deref()))
            .transpose()?;
        Ok(Some(Self {
            url: url.clone(),
            tls,
            headers: all_headers(config.otlp_headers.as_ref())?,
            target,
            interval: config.otlp_interval,
            temporality: config.otlp_temporality,
        }))
    }

    /// Pushes at once, after every interval, and when `stopped` has no sender any more; then it waits for the last of it to be taken,
    /// but no longer than a shutdown may take. `address` is where the program serves.
    pub(crate) async fn run(
        self,
        exporter: Exporter,
        address: SocketAddr,
        stopped: watch::Receiver<()>,
    ) {
        let waiting = Waiting::default();
        let resource = resource(exporter.app(), exporter.config(), &instance(address));
        let encoder = Arc::new(Mutex::new(Encoder::new(resource, self.temporality)));
        let mut schedule = Schedule::new(self.interval, stopped);
        let collecting = async {
            while schedule.next().await {
                if waiting.has_room() {
                    waiting.add(collect(&exporter, &encoder).await);
                }
            }
            waiting.close();
        };
        let mut sending = pin!(self.send(&exporter, &waiting));
        tokio::select! {
            () = &mut sending => {}
            () = collecting => {
                if timeout(Server::GRACE, &mut sending).await.is_err() {
                    exporter.push_failed(Severity::Error);
                    tracing::warn!(url = self.url, "the process ends before OTLP's receiver has taken everything");
                }
            }
        }
    }

    /// Sends what waits, one request after another, until there is nothing left and nothing to come.
    async fn send(&self, exporter: &Exporter, waiting: &Waiting) {
        while let Some(request) = waiting.first().await {
            self.deliver(exporter, &request).await;
            waiting.sent();
        }
    }

    /// Sends a request until it is taken or refused for good.
    async fn deliver(&self, exporter: &Exporter, request: &Bytes) {
        let mut pauses = Pauses::default();
        let mut is_known = false;
        loop {
            let failure = match self.attempt(request.clone()).await {
                Ok(Some(problem)) => return self.is_lost(exporter, &problem),
                Ok(None) => return,
                Err(failure) => failure,
            };
            if !failure.passes {
                let problem = format!("{}; {}", failure.problem, failure.repair);
                return self.is_lost(exporter, &problem);
            }
            exporter.push_failed(Severity::Warning);
            let Failure {
                problem, repair, ..
            } = &failure;
            // Once is enough for each outage.
            if std::mem::replace(&mut is_known, true) {
                tracing::debug!(
                    url = self.url,
                    problem,
                    "OTLP's receiver still takes nothing"
                );
            } else {
                tracing::warn!(
                    url = self.url,
                    problem,
                    repair,
                    "OTLP's receiver takes nothing; what is recorded waits"
                );
            }
            sleep(pauses.after(&failure)).await;
        }
    }

    fn is_lost(&self, exporter: &Exporter, problem: &str) {
        exporter.push_failed(Severity::Error);
        tracing::warn!(
            url = self.url,
            problem,
            "OTLP's receiver refuses what was recorded"
        );
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
pub(crate) fn target(url: &str) -> Option<Target> {
    let target = Target::parse(url).ok()?;
    let has_user = target.authority.as_str().contains('@');
    let path = match target.path.as_str() {
        "" | "/" => PATH.to_owned(),
        path => path.to_owned(),
    };
    (!has_user).then_some(Target { path, ..target })
}

/// Headers between commas, percent-encoded as `OTEL_EXPORTER_OTLP_HEADERS` has them; none where one of them is none.
pub(crate) fn headers(text: &str) -> Option<HeaderMap> {
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

/// The headers of every request.
fn all_headers(configured: Option<&Secret>) -> Result<HeaderMap, ExporterError> {
    let configured = configured.map(|secret| secret.read(&OTLP_HEADERS));
    let configured = configured.transpose()?;
    let mut all = configured.as_deref().and_then(headers).unwrap_or_default();
    let protobuf = HeaderValue::from_static("application/x-protobuf");
    all.insert(CONTENT_TYPE, protobuf);
    all.insert(CONTENT_ENCODING, GZIP);
    let agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
    all.entry(USER_AGENT)
        .or_insert(HeaderValue::from_static(agent));
    Ok(all)
}

/// What is pushed, said once for all of it. `instance` is where the program serves.
fn resource(app: &AppInfo, config: &Config, instance: &str) -> Vec<KeyValue> {
    let service = config.service.as_deref().unwrap_or(app.name);
    let environment = config.environment.as_deref();
    let attributes = [
        ("service.name", Some(service)),
        ("service.version", Some(app.version)),
        (
            "service.instance.id",
            Some(config.otlp_instance.as_deref().unwrap_or(instance)),
        ),
        // The name since semantic conventions 1.27, and the one before.
        ("deployment.environment.name", environment),
        ("deployment.environment", environment),
        ("telemetry.sdk.name", Some("obs")),
        ("telemetry.sdk.language", Some("rust")),
        ("telemetry.sdk.version", Some(env!("CARGO_PKG_VERSION"))),
    ];
    let set = attributes
        .into_iter()
        .filter_map(|(key, value)| Some(KeyValue::new(key, value?)));
    set.collect()
}

/// The host and port by which a program that listens here is known: the instance that a scrape of it would have.
fn instance(address: SocketAddr) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.or_else(|| std::env::var("HOSTNAME").ok());
    let host = host.map(|host| host.trim().to_owned());
    match host.filter(|host| !host.is_empty()) {
        Some(host) => format!("{host}:{}", address.port()),
        None => address.to_string(),
    }
}

/// The requests of one interval, compressed; none where the runtime shuts down, and in a fork.
async fn collect(exporter: &Exporter, encoder: &Arc<Mutex<Encoder>>) -> Vec<Bytes> {
    let encoder = Arc::clone(encoder);
    let collected = exporter.snapshot(move |families| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanoseconds = since.unwrap_or_default().as_nanos();
        let time = u64::try_from(nanoseconds).unwrap_or(u64::MAX);
        let requests = lock(&encoder).requests(families, time);
        requests
            .into_iter()
            .filter_map(|request| gzip(request).ok())
            .map(Bytes::from)
            .collect()
    });
    collected.await.unwrap_or_default()
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

    /// Lets go of the oldest.
    fn sent(&self) {
        let mut queue = lock(&self.queue);
        if let Some(request) = queue.requests.pop_front() {
            queue.bytes -= request.len();
        }
    }
}
