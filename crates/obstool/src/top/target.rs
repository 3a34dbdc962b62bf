//! What is watched: where it is, and what it answers.

use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use obs_verify::Catalog;

use super::layout::Layout;
use crate::client::{Client, EXPOSITION, Failure};
use crate::place::Place;
use crate::service;
use crate::{Access, Error};

/// When an exposition that is shared by viewers was rendered, and how many seconds ago that is.
const RENDERED_AT: &str = "obs-rendered-at";
const AGE: &str = "obs-age";

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
    place: Place,
    client: Client,
    /// The path at which its exposition was found.
    found: Option<String>,
    /// Which rendering came last.
    rendered_at: Option<String>,
}

impl Target {
    /// What is at a place, asked with this `Authorization` or else with the credentials in files.
    pub(super) fn new(
        place: Place,
        access: &Access,
        authorization: Option<String>,
    ) -> Result<Self, Failure> {
        let client = Client::new(&place, access)?.authorized(authorization);
        Ok(Self {
            place,
            client,
            found: None,
            rendered_at: None,
        })
    }

    /// Asks again and again, as long as somebody listens.
    pub(super) fn watch(mut self, interval: Duration, told: &Sender<Result<Scraped, Error>>) {
        loop {
            // What is shared is rendered anew for a request a second after the last rendering: this waits from the answer on.
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
    pub(super) fn look(&mut self) -> Result<Option<Scraped>, Error> {
        let looked = self.scrape();
        if looked.is_err() {
            // The next to answer may be somebody else.
            self.found = None;
        }
        looked
    }

    fn scrape(&mut self) -> Result<Option<Scraped>, Error> {
        let (path, catalog) = match self.found.clone() {
            Some(path) => (path, None),
            None => self.find().map(|(path, catalog)| (path, Some(catalog)))?,
        };
        let began = Instant::now();
        let answer = self.client.get(&path, EXPOSITION)?;
        let received = Instant::now();
        let header = |name| answer.headers.get(name)?.to_str().ok();
        let rendered_at = header(RENDERED_AT).map(str::to_owned);
        let age = header(AGE).and_then(|age| age.parse().ok());
        let age = age
            .and_then(|age| Duration::try_from_secs_f64(age).ok())
            .unwrap_or_default();
        if catalog.is_none() && rendered_at.is_some() && rendered_at == self.rendered_at {
            return Ok(None);
        }
        let (url, scraped) = service::read(&answer)?;
        let (layout, values) = Layout::of(&scraped.exposition);
        self.rendered_at = rendered_at;
        self.found = Some(path);
        Ok(Some(Scraped {
            at: received.checked_sub(age).unwrap_or(received),
            url,
            took: received - began,
            layout,
            values,
            mistakes: scraped.mistakes.len(),
            catalog,
        }))
    }

    /// The path of its exposition, and what it says of itself; nothing where it has no catalogue.
    fn find(&self) -> Result<(String, Catalog), Error> {
        let catalog = service::catalog(&self.client, &self.place).map_err(|error| match error {
            // Where it was looked for first says nothing to the user.
            Error::Look(Failure::Unreachable { reason, .. }) => Error::Look(Failure::Unreachable {
                url: self.client.url(""),
                reason,
            }),
            other => other,
        })?;
        let path = service::path_of(&self.place, catalog.is_some()).to_owned();
        Ok((path, catalog.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::place::{CATALOG, LIVE, METRICS};

    const EXPOSITION: &str = "# TYPE x_total counter\nx_total 1\n";
    const CATALOGUE: &str = r#"{ "service": "desk", "groups": [], "families": [] }"#;

    /// Serves what is at paths, to clients with the token where there is one, until the test ends. Its address.
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
        let authorization = token.map(|token| format!("Bearer {token}"));
        Target::new(address.parse().unwrap(), &Access::default(), authorization).unwrap()
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
        assert!(refused(None).ends_with(
            "answers 401 Unauthorized; give credentials by --bearer-token-file or --basic-auth-file"
        ));
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
            told("/page").ends_with("/page is no exposition of metrics: it is an HTML page"),
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
