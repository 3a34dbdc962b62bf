//! What is looked at: where it is, and what it answers.

use std::str::FromStr;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::{Response, Uri};
use ureq::{Agent, Body};

use super::catalog::Catalog;
use super::layout::Layout;

/// No scrape is worth more time or memory.
const TIMEOUT: Duration = Duration::from_secs(10);
const MOST_BYTES: u64 = 256 * 1024 * 1024;

const CATALOG: &str = "/catalog.json";
const LIVE: &str = "/live";
const METRICS: &str = "/metrics";
/// When an exposition that is shared by viewers was rendered, and how many seconds ago that is.
const RENDERED_AT: &str = "obs-rendered-at";
const AGE: &str = "obs-age";

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Nobody answers.
    #[error("{url} is unreachable: {reason}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why it did not come.
        reason: String,
    },
    /// Somebody answers, and refuses.
    #[error("{url} answers {status}{hint}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The status line.
        status: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// What is there is no exposition.
    #[error("{url} is no exposition of metrics: {reason}")]
    Unreadable {
        /// What was asked for.
        url: String,
        /// The first mistake.
        reason: String,
    },
}

impl Failure {
    /// What it is in a word, and why.
    pub(super) fn told(&self) -> (&'static str, String) {
        match self {
            Self::Unreachable { reason, .. } => ("unreachable", reason.clone()),
            Self::Refused { status, hint, .. } => ("refused", format!("{status}{hint}")),
            Self::Unreadable { reason, .. } => ("unreadable", reason.clone()),
        }
    }
}

/// Where a target is: a scheme with host and port, and a path where it has one of its own.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Address {
    pub(super) authority: String,
    path: Option<String>,
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let url = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let uri: Uri = url
            .parse()
            .map_err(|_| "expected a URL such as http://127.0.0.1:9464")?;
        if uri.scheme_str() != Some("http") {
            return Err("only http can be looked at; for https, ask from where the service runs");
        }
        let authority = uri
            .authority()
            .ok_or("expected a host, such as 127.0.0.1:9464")?;
        if authority.as_str().contains('@') {
            return Err("credentials do not belong into a URL; give --token or --user");
        }
        let path = uri.path_and_query().map(ToString::to_string);
        // These are where everything of a service is looked for anyway.
        let own = path.filter(|path| !["/", LIVE, METRICS, CATALOG].contains(&path.as_str()));
        Ok(Self {
            authority: authority.to_string(),
            path: own,
        })
    }
}

/// What a target answered.
#[derive(Debug)]
pub(super) struct Scraped {
    /// When it was rendered, as far as is known.
    pub(super) at: Instant,
    pub(super) url: String,
    /// How long asking took.
    pub(super) took: Duration,
    pub(super) layout: Layout,
    pub(super) values: Vec<f64>,
    /// Lines that break the format.
    pub(super) mistakes: usize,
    /// What the service says of itself, once each time it is found.
    pub(super) catalog: Option<Catalog>,
}

/// Something that serves metrics, or should.
pub(super) struct Target {
    address: Address,
    authorization: Option<String>,
    agent: Agent,
    /// Where its exposition was found.
    found: Option<String>,
    /// Which rendering came last.
    rendered_at: Option<String>,
}

impl Target {
    /// What is at an address, asked with this `Authorization`.
    pub(super) fn new(address: Address, authorization: Option<String>) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            // What is looked at is beside this program.
            .proxy(None)
            .user_agent("obstool")
            .build();
        Self {
            address,
            authorization,
            agent: config.into(),
            found: None,
            rendered_at: None,
        }
    }

    /// Asks again and again, as long as somebody listens.
    pub(super) fn watch(mut self, interval: Duration, told: &Sender<Result<Scraped, Failure>>) {
        loop {
            // What is shared is rendered anew for who asks a second after the last rendering: this waits from the answer on.
            let (wait, answer) = match self.look() {
                Ok(None) => (interval / 4, None),
                Ok(Some(scraped)) => (interval, Some(Ok(scraped))),
                Err(failure) => (interval, Some(Err(failure))),
            };
            if answer.is_some_and(|answer| told.send(answer).is_err()) {
                return;
            }
            thread::sleep(wait);
        }
    }

    /// Scrapes it; none where it still answers what it answered last.
    pub(super) fn look(&mut self) -> Result<Option<Scraped>, Failure> {
        let looked = self.scrape();
        if looked.is_err() {
            // Whoever answers next may be somebody else.
            self.found = None;
        }
        looked
    }

    fn scrape(&mut self) -> Result<Option<Scraped>, Failure> {
        let (url, catalog) = match self.found.clone() {
            Some(url) => (url, None),
            None => self.find().map(|(url, catalog)| (url, Some(catalog)))?,
        };
        let began = Instant::now();
        let mut response = self.get(&url)?;
        let text = text(&url, &mut response)?;
        let received = Instant::now();
        let header = |name| response.headers().get(name)?.to_str().ok();
        let rendered_at = header(RENDERED_AT).map(str::to_owned);
        let age = header(AGE).and_then(|age| age.parse().ok());
        let age = age
            .and_then(|age| Duration::try_from_secs_f64(age).ok())
            .unwrap_or_default();
        if catalog.is_none() && rendered_at.is_some() && rendered_at == self.rendered_at {
            return Ok(None);
        }
        let (exposition, mistakes) = obs_exposition::parse_all(&text);
        if let Some(mistake) = mistakes.first()
            && exposition.families.is_empty()
        {
            return Err(Failure::Unreadable {
                url,
                reason: mistake.to_string(),
            });
        }
        let (layout, values) = Layout::of(&exposition);
        self.rendered_at = rendered_at;
        self.found = Some(url.clone());
        Ok(Some(Scraped {
            at: received.checked_sub(age).unwrap_or(received),
            url,
            took: received - began,
            layout,
            values,
            mistakes: mistakes.len(),
            catalog,
        }))
    }

    /// Where its exposition is, and what it says of itself; nothing where it is no exporter of this workspace.
    fn find(&self) -> Result<(String, Catalog), Failure> {
        if let Some(path) = &self.address.path {
            return Ok((self.url(path), Catalog::default()));
        }
        let url = self.url(CATALOG);
        let mut response = self.ask(&url).map_err(|failure| match failure {
            // Where it was looked for first says nothing to who asks.
            Failure::Unreachable { reason, .. } => Failure::Unreachable {
                url: self.url(""),
                reason,
            },
            other => other,
        })?;
        let is_there = response.status().is_success();
        let catalog = is_there.then(|| text(&url, &mut response)).transpose()?;
        let catalog = catalog.and_then(|text| Catalog::read(&text));
        let path = if catalog.is_some() { LIVE } else { METRICS };
        Ok((self.url(path), catalog.unwrap_or_default()))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address.authority)
    }

    /// What is there, unless that is a refusal.
    fn get(&self, url: &str) -> Result<Response<Body>, Failure> {
        let response = self.ask(url)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let hint = match (status.as_u16(), &self.authorization) {
            (401, None) => "; give --token or --user",
            (401 | 403, _) => "; are the credentials right?",
            (404, _) => "; give the URL with the path of its metrics",
            _ => "",
        };
        Err(Failure::Refused {
            url: url.to_owned(),
            status: status.to_string(),
            hint,
        })
    }

    fn ask(&self, url: &str) -> Result<Response<Body>, Failure> {
        let mut request = self.agent.get(url).header("accept", "text/plain");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        request.call().map_err(unreachable(url))
    }
}

fn text(url: &str, response: &mut Response<Body>) -> Result<String, Failure> {
    let body = response.body_mut().with_config().limit(MOST_BYTES);
    body.read_to_string().map_err(unreachable(url))
}

/// For `map_err`: nobody answers, in the words of the system.
fn unreachable(url: &str) -> impl FnOnce(ureq::Error) -> Failure {
    let url = url.to_owned();
    move |error| {
        let reason = match &error {
            ureq::Error::Io(error) => error.to_string(),
            ureq::Error::Timeout(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
            ureq::Error::HostNotFound => "there is no such host".to_owned(),
            other => other.to_string(),
        };
        // The number of the system's error says nothing beside its words.
        let reason = reason
            .split(" (os error")
            .next()
            .unwrap_or_default()
            .to_owned();
        Failure::Unreachable { url, reason }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;

    const EXPOSITION: &str = "# TYPE x_total counter\nx_total 1\n";
    const CATALOGUE: &str = r#"{ "service": "desk", "groups": [], "families": [] }"#;

    /// Serves what is at paths, to who has the token where there is one, until the test ends. Its address.
    fn served(pages: &'static [(&str, &str)], token: Option<&'static str>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let request: Vec<_> = lines
                    .map(Result::unwrap)
                    .take_while(|line| !line.is_empty())
                    .collect();
                let path = request[0].split(' ').nth(1).unwrap();
                let is_let_in = token.is_none_or(|token| {
                    request
                        .iter()
                        .any(|line| line.ends_with(&format!("Bearer {token}")))
                });
                let (status, body) = match pages.iter().find(|(at, _)| *at == path) {
                    _ if !is_let_in => ("401 Unauthorized", ""),
                    Some((_, body)) => ("200 OK", *body),
                    None => ("404 Not Found", ""),
                };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nconnection: close\r\nobs-rendered-at: 5\r\nobs-age: 0.5\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        address
    }

    fn target(address: &str, token: Option<&str>) -> Target {
        Target::new(
            address.parse().unwrap(),
            token.map(|token| format!("Bearer {token}")),
        )
    }

    #[test]
    fn addresses_are_urls_or_hosts_with_ports() {
        let path = |text: &str| {
            text.parse::<Address>()
                .map(|address| (address.authority, address.path))
        };
        let at = |path: Option<&str>| Ok(("desk:9464".to_owned(), path.map(str::to_owned)));
        assert_eq!(path("desk:9464"), at(None));
        assert_eq!(path("http://desk:9464/"), at(None));
        assert_eq!(path("http://desk:9464/metrics"), at(None));
        assert_eq!(path("desk:9464/own?x=1"), at(Some("/own?x=1")));
        for wrong in ["", "https://desk", "a b", "http://", "user:word@desk:9464"] {
            assert!(path(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_exporter_of_ours_is_asked_for_what_viewers_share() {
        let address = served(&[(CATALOG, CATALOGUE), (LIVE, EXPOSITION)], None);
        let mut target = target(&address, None);
        let scraped = target.look().unwrap().unwrap();
        assert_eq!(scraped.url, format!("http://{address}/live"));
        assert_eq!(scraped.catalog.unwrap().service.unwrap(), "desk");
        assert!(scraped.at.elapsed() >= Duration::from_millis(500));
        assert!(target.look().unwrap().is_none(), "it is the same rendering");
    }

    #[test]
    fn any_other_is_asked_for_its_metrics() {
        let address = served(&[(METRICS, EXPOSITION), ("/own", EXPOSITION)], None);
        let scraped = target(&address, None).look().unwrap().unwrap();
        assert_eq!(scraped.url, format!("http://{address}/metrics"));
        assert_eq!(scraped.catalog.unwrap().families.len(), 0);
        let scraped = target(&format!("{address}/own"), None)
            .look()
            .unwrap()
            .unwrap();
        assert_eq!((scraped.values, scraped.mistakes), (vec![1.0], 0));
    }

    #[test]
    fn a_token_is_sent_where_there_is_one_and_asked_for_where_there_is_none() {
        let address = served(&[(METRICS, EXPOSITION)], Some("secret"));
        let refused = |token| target(&address, token).look().unwrap_err().to_string();
        assert!(refused(None).ends_with("answers 401 Unauthorized; give --token or --user"));
        assert!(refused(Some("other")).ends_with("are the credentials right?"));
        assert!(target(&address, Some("secret")).look().unwrap().is_some());
    }

    #[test]
    fn what_cannot_be_shown_says_why() {
        let address = served(&[("/page", "<html>"), ("/none", "")], None);
        let told = |path: &str| {
            target(&format!("{address}{path}"), None)
                .look()
                .unwrap_err()
                .to_string()
        };
        assert!(
            told("/page").contains("/page is no exposition of metrics: line 1"),
            "{}",
            told("/page")
        );
        assert!(told("/away").contains("404 Not Found; give the URL"));
        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        let told = target(&closed, None).look().unwrap_err().to_string();
        assert_eq!(
            told,
            format!("http://{closed} is unreachable: Connection refused")
        );
    }
}
