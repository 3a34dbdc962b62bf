//! A Pushgateway or `VictoriaMetrics`, which take an exposition of a job.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::http::uri::Authority;
use hyper::{Method, Request, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio::time::sleep;

use crate::PushError;
use crate::post::{self, Body, Failure, Pauses, Target};

/// The media type of what is pushed: the classic text format.
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where an exposition is sent, and as which job.
///
/// ```no_run
/// # use obs_push::{Push, PushError};
/// # async fn last_words() -> Result<(), PushError> {
/// let push = Push::to_pushgateway("http://127.0.0.1:9091", "backtest").label("run", "ma-crossover/2018");
/// push.send("trades_total 7\n").await
/// # }
/// ```
///
/// The URL is `http://host[:port][/prefix]`; a user and password before the host (`http://user:password@host`) are sent as
/// `Basic` credentials and never shown. `https` is not spoken: put a proxy on this machine that speaks it.
#[derive(Clone)]
pub struct Push {
    receiver: Receiver,
    url: String,
    job: String,
    labels: Vec<(String, String)>,
    credentials: Option<String>,
    attempts: u32,
}

#[derive(Clone, Copy, Debug)]
enum Receiver {
    Pushgateway,
    VictoriaMetrics,
}

/// What is sent where, in every attempt alike.
struct Sending {
    method: Method,
    authority: Authority,
    path: String,
    authorization: Option<HeaderValue>,
}

const LABELS: &str = "letters, digits and underscores, no digit first, not `job` nor two underscores first, each once";
const URLS: &str = "give it as http://host:port, with a prefix of the path where there is one";

impl Push {
    /// How often it is tried by default: over some eight seconds, in which a receiver can restart.
    pub const ATTEMPTS: u32 = 6;
    /// How long an attempt may take.
    pub const TIMEOUT: Duration = post::TIMEOUT;
    /// The pause after the first attempt; each further one is twice as long as the one before.
    pub const FIRST_PAUSE: Duration = post::FIRST_PAUSE;
    /// No pause is longer, unless the receiver asks for it (`Retry-After`), and then none is longer than a minute.
    pub const LONGEST_PAUSE: Duration = post::LONGEST_PAUSE;

    /// To a Pushgateway, which keeps the values of the last push of each job and labels until they are replaced or deleted, and
    /// is itself scraped.
    pub fn to_pushgateway(url: impl Into<String>, job: impl Into<String>) -> Self {
        Self::new(Receiver::Pushgateway, url.into(), job.into())
    }

    /// To `VictoriaMetrics` or its `vmagent`, whose import writes the values at the time they arrive. A cluster has its path as
    /// prefix: `http://vminsert:8480/insert/0/prometheus`.
    pub fn to_victoria_metrics(url: impl Into<String>, job: impl Into<String>) -> Self {
        Self::new(Receiver::VictoriaMetrics, url.into(), job.into())
    }

    fn new(receiver: Receiver, url: String, job: String) -> Self {
        Self {
            receiver,
            url,
            job,
            labels: Vec::new(),
            credentials: None,
            attempts: Self::ATTEMPTS,
        }
    }

    /// Adds a label to every series, in place of one of the same name that it has. A Pushgateway replaces what was pushed before
    /// under the same job and labels, so runs that are to stand beside each other differ in one. The value may be any text.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// Sends `user:password`, in place of what the URL has.
    #[must_use]
    pub fn basic_auth(mut self, credentials: impl Into<String>) -> Self {
        self.credentials = Some(credentials.into());
        self
    }

    /// Sets how often it is tried; 0 is as good as 1.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Refuses what [`send`](Self::send) would not send.
    ///
    /// # Errors
    ///
    /// When the URL, the job or a label cannot be used.
    pub fn check(&self) -> Result<(), PushError> {
        self.sending().map(|_| ())
    }

    /// Sends an exposition in the classic text format.
    ///
    /// Where nothing listens, where no answer comes, and where the answer is a status of 500 and above or 429, it is tried again after a
    /// pause, [`ATTEMPTS`](Self::ATTEMPTS) times unless set otherwise; any other refusal is final.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Self::check), and when the last attempt failed.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime with its timer and its network.
    pub async fn send(&self, text: impl Into<Bytes>) -> Result<(), PushError> {
        let (sending, text) = (self.sending()?, text.into());
        let mut pauses = Pauses::default();
        let mut attempt = 1;
        loop {
            let Err(failure) = sending.attempt(text.clone()).await else {
                return Ok(());
            };
            if !failure.passes || attempt >= self.attempts {
                let tried = match attempt {
                    1 => "once".to_owned(),
                    more => format!("{more} times"),
                };
                let problem = format!("{} (tried {tried})", failure.problem);
                return Err(self.failed(problem, failure.repair));
            }
            sleep(pauses.after(&failure)).await;
            attempt += 1;
        }
    }

    /// What is to be sent where, if all of it is acceptable.
    fn sending(&self) -> Result<Sending, PushError> {
        let unusable = |problem: &str| self.failed(problem.to_owned(), URLS);
        let target = Target::parse(&self.url).map_err(unusable)?;
        if target.is_https {
            return Err(unusable("only http is spoken"));
        }
        let authority = &target.authority;
        self.check_labels()?;
        let prefix = target.path.trim_end_matches('/');
        let (method, path) = match self.receiver {
            Receiver::Pushgateway => (Method::PUT, self.group(prefix)),
            Receiver::VictoriaMetrics => (Method::POST, self.import(prefix)),
        };
        Ok(Sending {
            method,
            path,
            authorization: match &self.credentials {
                Some(credentials) => encoded(credentials.as_bytes()),
                None => basic(authority),
            },
            authority: without_user(authority)
                .ok_or_else(|| unusable("its host cannot be made out"))?,
        })
    }

    fn check_labels(&self) -> Result<(), PushError> {
        let invalid = |setting, value: &str, accepts| {
            Err(PushError::Invalid {
                setting,
                value: value.to_owned(),
                accepts,
            })
        };
        if self.job.is_empty() {
            return invalid("the job of a push", "", "a name");
        }
        for (at, (name, _)) in self.labels.iter().enumerate() {
            let again = self.labels[..at].iter().any(|(before, _)| before == name);
            if again || name == "job" || !is_label_name(name) {
                return invalid("a label of a push", name, LABELS);
            }
        }
        Ok(())
    }

    /// The Pushgateway's path of a group: `/metrics/job/<job>/<label>/<value>…`.
    fn group(&self, prefix: &str) -> String {
        let job = ("job", self.job.as_str());
        let group: String = std::iter::once(job)
            .chain(self.pairs())
            .map(segments)
            .collect();
        format!("{prefix}/metrics{group}")
    }

    /// The import's path, with labels that it adds.
    fn import(&self, prefix: &str) -> String {
        let mut path = format!("{prefix}/api/v1/import/prometheus?extra_label=job=");
        path.extend(utf8_percent_encode(&self.job, NON_ALPHANUMERIC));
        for (name, value) in self.pairs() {
            path.push_str("&extra_label=");
            path.push_str(name);
            path.push('=');
            path.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        path
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The URL without the credentials in it.
    #[must_use]
    pub fn shown(&self) -> String {
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("", &self.url));
        let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        if scheme.is_empty() {
            rest.to_owned()
        } else {
            format!("{scheme}://{rest}")
        }
    }

    fn failed(&self, problem: String, repair: &'static str) -> PushError {
        PushError::Failed {
            url: self.shown(),
            job: self.job.clone(),
            problem,
            repair,
        }
    }
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push")
            .field("receiver", &self.receiver)
            .field("url", &self.shown())
            .field("job", &self.job)
            .field("labels", &self.labels)
            .field(
                "credentials",
                &self.credentials.as_ref().map(|_| "not shown"),
            )
            .field("attempts", &self.attempts)
            .finish()
    }
}

impl Sending {
    /// Sends it once.
    async fn attempt(&self, text: Bytes) -> Result<(), Failure> {
        let request = self.request(text);
        let request = request.map_err(|error| Failure::unsendable(error.to_string(), URLS))?;
        let answer = post::exchange(&self.authority, None, request).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        let is_unwell = answer.status.is_server_error();
        Err(answer.refusal(is_unwell || answer.status == StatusCode::TOO_MANY_REQUESTS))
    }

    fn request(&self, text: Bytes) -> Result<Request<Body>, hyper::http::Error> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .header(CONTENT_TYPE, CLASSIC);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.body(Body::from(text))
    }
}

/// A label and its value as segments of a path. What is not plain goes in base64, as the Pushgateway's documentation has it: a
/// slash would begin another segment, an empty one would vanish, and dots alone would go up. A single `=` is the empty value.
fn segments((name, value): (&str, &str)) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let is_dots = value.bytes().all(|byte| byte == b'.');
    if value.is_empty() {
        format!("/{name}@base64/=")
    } else if value.bytes().all(is_plain) && !is_dots {
        format!("/{name}/{value}")
    } else {
        format!("/{name}@base64/{}", BASE64_URL_SAFE.encode(value))
    }
}

fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next();
    first.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with("__")
}

/// The credentials of a URL as a header; none where it has none.
fn basic(authority: &Authority) -> Option<HeaderValue> {
    let (user, _) = authority.as_str().rsplit_once('@')?;
    let plain: Vec<u8> = percent_decode_str(user).collect();
    encoded(&plain)
}

/// `user:password` as a header.
fn encoded(plain: &[u8]) -> Option<HeaderValue> {
    let text = format!("Basic {}", BASE64_STANDARD.encode(plain));
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

fn without_user(authority: &Authority) -> Option<Authority> {
    let host = authority.as_str();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    host.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: &str = "http://127.0.0.1:9091";

    fn path(push: &Push) -> String {
        let sending = push.sending().unwrap();
        format!("{} {}", sending.method, sending.path)
    }

    fn refusal(push: &Push) -> String {
        match push.sending() {
            Ok(sending) => panic!("{} is accepted", sending.path),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_group_is_a_path() {
        let push = Push::to_pushgateway(GATEWAY, "backtest");
        assert_eq!(path(&push), "PUT /metrics/job/backtest");
        let push = push.label("run", "7").label("strategy", "ma_crossover");
        assert_eq!(
            path(&push),
            "PUT /metrics/job/backtest/run/7/strategy/ma_crossover"
        );
        let below = Push::to_pushgateway("http://gateway/push/", "backtest");
        assert_eq!(path(&below), "PUT /push/metrics/job/backtest");
    }

    #[test]
    fn what_is_not_plain_is_in_base64() {
        for (value, segments) in [
            ("a/b", "/run@base64/YS9i"),
            ("", "/run@base64/="),
            ("..", "/run@base64/Li4="),
            ("2018 ~ 1 %", "/run@base64/MjAxOCB-IDEgJQ=="),
            ("\u{20ac}?\u{ff}", "/run@base64/4oKsP8O_"),
            ("1.5", "/run/1.5"),
        ] {
            let push = Push::to_pushgateway(GATEWAY, "a/b").label("run", value);
            let expected = format!("PUT /metrics/job@base64/YS9i{segments}");
            assert_eq!(path(&push), expected);
        }
    }

    #[test]
    fn an_import_adds_labels() {
        let push = Push::to_victoria_metrics("http://vm:8428", "back test").label("run", "a=b&c/d");
        assert_eq!(
            path(&push),
            "POST /api/v1/import/prometheus?extra_label=job=back%20test&extra_label=run=a%3Db%26c%2Fd"
        );
        let push = Push::to_victoria_metrics("http://vm/insert/0/prometheus", "backtest");
        assert_eq!(
            path(&push),
            "POST /insert/0/prometheus/api/v1/import/prometheus?extra_label=job=backtest"
        );
    }

    #[test]
    fn credentials_are_sent_and_not_shown() {
        let push = Push::to_pushgateway("http://desk:p%40ss@gateway:9091", "backtest");
        let sending = push.sending().unwrap();
        let header = sending.authorization.unwrap();
        assert_eq!(header, "Basic ZGVzazpwQHNz");
        assert!(header.is_sensitive());
        assert_eq!(sending.authority, "gateway:9091");
        assert_eq!(push.shown(), "http://gateway:9091");
        let error = push.failed("it is away".to_owned(), URLS);
        let shown = format!("{push:?} {error} {error:?}");
        assert!(
            !shown.contains("p%40ss") && !shown.contains("desk"),
            "{shown}"
        );
        let push = push.basic_auth("other:hush");
        let header = push.sending().unwrap().authorization.unwrap();
        assert_eq!(header, "Basic b3RoZXI6aHVzaA==");
        assert!(!format!("{push:?}").contains("hush"), "{push:?}");
        // Nor where the URL is none.
        let push = Push::to_pushgateway("desk:p%40ss@gate way", "backtest");
        assert!(!refusal(&push).contains("p%40ss"), "{}", refusal(&push));
    }

    #[test]
    fn what_cannot_be_sent_is_refused_before() {
        for (url, problem) in [
            ("gateway:9091", "that is not a whole URL"),
            ("https://gateway", "only http is spoken"),
            ("http://gate way", "that is not a URL"),
            ("http://gateway/?a=b", "it has a query"),
        ] {
            let refused = refusal(&Push::to_pushgateway(url, "backtest"));
            assert!(refused.contains(problem), "{refused}");
            assert!(refused.contains("give it as http://host:port"), "{refused}");
        }
        for name in ["job", "", "7th", "a-b", "__name__"] {
            let refused = refusal(&Push::to_pushgateway(GATEWAY, "backtest").label(name, "x"));
            let expected = format!("a label of a push is `{name}`; it takes letters, ");
            assert!(refused.starts_with(&expected), "{refused}");
        }
        let twice = Push::to_pushgateway(GATEWAY, "backtest")
            .label("run", "1")
            .label("run", "2");
        assert!(refusal(&twice).starts_with("a label of a push is `run`"));
        let nobody = refusal(&Push::to_pushgateway(GATEWAY, ""));
        assert_eq!(nobody, "the job of a push is ``; it takes a name");
    }
}
