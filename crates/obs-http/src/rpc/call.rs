//! One call, from its request to the end of its response.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use obs_core::OTHER;

use super::labels::{Direction, RpcCode};
use super::messages::Messages;
use super::metrics::{Method, Rpc, Side};
use crate::exchange::Read;

/// A call under way. It is in flight until it ends, told how by [`end`](Self::end) or dropped.
#[derive(Debug)]
pub(crate) struct Call {
    rpc: Arc<Rpc>,
    method: Arc<Method>,
    /// The path of a call whose method is not known yet.
    path: Option<Box<str>>,
    started: Instant,
    /// How long the caller waits.
    patience: Option<Duration>,
    /// What the response has said so far.
    status: Option<RpcCode>,
    http: Option<StatusCode>,
    /// Of the response.
    messages: Messages,
    /// Of the request, where they are counted.
    asked: Option<Arc<Read>>,
    ended: bool,
}

/// Why a call ended without a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nobody waited for it any longer.
    Dropped,
    /// The service or the transport failed.
    Failed,
    /// A timeout of tower's.
    TimedOut,
    /// It panicked.
    Panicked,
}

impl Call {
    pub(crate) fn start(
        rpc: &Arc<Rpc>,
        path: &str,
        headers: &HeaderMap,
        asked: Option<Arc<Read>>,
    ) -> Self {
        let (service, name) = names(path);
        let known = match rpc.side() {
            // The words of clients are no labels until the server has shown that it knows them.
            Side::Server => rpc.known(service, name),
            Side::Client => Some(rpc.method(service, name)),
        };
        let is_known = known.is_some();
        let method = known.unwrap_or_else(|| rpc.method(OTHER, OTHER));
        method.in_flight.increment(1);
        Self {
            rpc: Arc::clone(rpc),
            method,
            path: (!is_known).then(|| path.into()),
            started: Instant::now(),
            patience: headers.get("grpc-timeout").and_then(|value| {
                let text = value.to_str().ok()?;
                timeout(text)
            }),
            status: None,
            http: None,
            messages: Messages::default(),
            asked,
            ended: false,
        }
    }

    /// The head of the response. Where it has no body it has the status, and nothing follows.
    pub(crate) fn reply(&mut self, status: StatusCode, headers: &HeaderMap, has_ended: bool) {
        self.http = Some(status);
        self.status = code(headers);
        if has_ended {
            self.end(None);
        }
    }

    pub(crate) fn sent(&mut self, data: &impl bytes::Buf) {
        self.messages.take(data);
    }

    pub(crate) fn trailers(&mut self, trailers: &HeaderMap) {
        self.status = code(trailers).or(self.status);
    }

    /// Ends the call, unless it has ended.
    pub(crate) fn end(&mut self, fault: Option<Fault>) {
        if !self.ended {
            self.ended = true;
            self.record(fault);
        }
    }

    fn record(&self, fault: Option<Fault>) {
        let (elapsed, code) = (self.started.elapsed(), self.code(fault));
        let method = self.recorded(code);
        method.requests[code].increment(1);
        method.duration[code.class()].record(elapsed);
        let (response, request) = match self.rpc.side() {
            Side::Server => (Direction::Sent, Direction::Received),
            Side::Client => (Direction::Received, Direction::Sent),
        };
        method.messages[response].increment(self.messages.count());
        if let Some(asked) = &self.asked {
            method.messages[request].increment(asked.messages.load(Ordering::Relaxed));
        }
        // Last, so that who sees nothing in flight sees everything recorded.
        self.method.in_flight.decrement(1);
    }

    fn code(&self, fault: Option<Fault>) -> RpcCode {
        if let Some(status) = self.status {
            return status;
        }
        match fault {
            Some(Fault::Panicked) => RpcCode::Internal,
            Some(Fault::TimedOut) => RpcCode::DeadlineExceeded,
            Some(_) if self.is_late() => RpcCode::DeadlineExceeded,
            Some(Fault::Dropped) => RpcCode::Cancelled,
            Some(Fault::Failed) if self.http.is_none() && self.rpc.side() == Side::Client => {
                RpcCode::Unavailable
            }
            Some(Fault::Failed) => RpcCode::Unknown,
            None => match self.http {
                Some(status) if status != StatusCode::OK => RpcCode::of_http(status),
                _ => RpcCode::Unknown,
            },
        }
    }

    /// Whether the caller has waited for as long as it was going to.
    fn is_late(&self) -> bool {
        self.patience
            .is_some_and(|patience| self.started.elapsed() >= patience)
    }

    /// What the call records to: its method, if that is known by now.
    fn recorded(&self, code: RpcCode) -> Arc<Method> {
        let is_plain = self.http.is_some_and(|status| status != StatusCode::OK);
        match &self.path {
            Some(path) if code.is_of_a_method() && self.http.is_some() && !is_plain => {
                let (service, name) = names(path);
                self.rpc.method(service, name)
            }
            _ => Arc::clone(&self.method),
        }
    }
}

/// Nobody waited for the end.
impl Drop for Call {
    fn drop(&mut self) {
        self.end(Some(Fault::Dropped));
    }
}

/// Service and method of a path.
fn names(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.rsplit_once('/').unwrap_or((path, ""))
}

/// The status that headers or trailers bring.
fn code(headers: &HeaderMap) -> Option<RpcCode> {
    let value = headers.get("grpc-status")?.to_str().ok();
    let number = value.and_then(|value| value.parse().ok());
    Some(number.map_or(RpcCode::Unknown, RpcCode::of_number))
}

/// The value of `grpc-timeout`: up to eight digits and a unit.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = is_number.then(|| digits.parse().ok())??;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_have_units() {
        assert_eq!(timeout("100m"), Some(Duration::from_millis(100)));
        assert_eq!(
            timeout("99999999H").map(|t| t.as_secs()),
            Some(359_999_996_400)
        );
        assert_eq!(timeout("5S"), Some(Duration::from_secs(5)));
        for wrong in ["", "S", "5", "5x", "-5S", "123456789S", "5é"] {
            assert_eq!(timeout(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_path_has_a_service_and_a_method() {
        assert_eq!(names("/a.B/C"), ("a.B", "C"));
        assert_eq!(names("/prefix/a.B/C"), ("prefix/a.B", "C"));
        assert_eq!(names("/"), ("", ""));
        assert_eq!(names("*"), ("*", ""));
    }

    #[test]
    fn a_status_is_a_number_or_unknown() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", value.parse().unwrap());
            code(&headers)
        };
        assert_eq!(of("0"), Some(RpcCode::Ok));
        assert_eq!(of("16"), Some(RpcCode::Unauthenticated));
        assert_eq!(of("17"), Some(RpcCode::Unknown));
        assert_eq!(of("no"), Some(RpcCode::Unknown));
        assert_eq!(code(&HeaderMap::new()), None);
    }
}
