//! A service, found from whatever was given: where its catalogue is, and where its metrics.

use obs_verify::Catalog;
use obs_verify::exposition::Scraped;

use crate::client::{Answer, Client, EXPOSITION, Failure, JSON};
#[cfg(feature = "top")]
use crate::place::LIVE;
use crate::place::{CATALOG, METRICS, Place};
use crate::{Access, Error};

/// What a service says of itself.
#[derive(Debug)]
pub(crate) struct Service {
    /// Where its metrics were read.
    pub(crate) url: String,
    /// None where it has no catalogue.
    pub(crate) catalog: Option<Catalog>,
    pub(crate) scraped: Scraped,
    /// What was found on the way, such as that a page was given instead of the metrics.
    pub(crate) remarks: Vec<String>,
}

impl Service {
    /// Asks it. It fails when there is no exposition wherever one might be, or the catalogue is one of a later edition.
    pub(crate) fn look(place: &Place, access: &Access) -> Result<Self, Error> {
        let client = Client::new(place, access)?;
        let catalog = catalog(&client, place)?;
        let mut remarks = Vec::new();
        let (url, scraped) = exposition(&client, place, &mut remarks)?;
        Ok(Self {
            url,
            catalog,
            scraped,
            remarks,
        })
    }
}

/// The catalogue of a service; none where it has none.
pub(crate) fn catalog(client: &Client, place: &Place) -> Result<Option<Catalog>, Error> {
    // Beside its metrics first: several services may be behind one host.
    let beside = place.path.as_deref().map(|path| {
        let folder = path.split(['?', '#']).next().unwrap_or_default();
        let folder = folder.trim_end_matches('/').rsplit_once('/');
        format!("{}{CATALOG}", folder.map_or("", |(folder, _)| folder))
    });
    let beside = beside.filter(|path| path != CATALOG);
    for path in beside.iter().map(String::as_str).chain([CATALOG]) {
        let answer = client.ask(path, JSON)?;
        if matches!(answer.status.as_u16(), 401 | 403) {
            return Err(client.refused(&answer).into());
        }
        if !answer.status.is_success() || !is_catalog(&answer.text) {
            continue;
        }
        return Ok(Some(Catalog::read(&answer.url, &answer.text)?));
    }
    Ok(None)
}

/// Whether a text means to be a catalogue: others have a file of that name too.
fn is_catalog(text: &str) -> bool {
    let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
    json.is_some_and(|json| json["families"].is_array())
}

/// The exposition of a service, wherever it is, and where that was.
fn exposition(
    client: &Client,
    place: &Place,
    remarks: &mut Vec<String>,
) -> Result<(String, Scraped), Error> {
    let Some(path) = place.path.as_deref() else {
        return Ok(read(&client.get(METRICS, EXPOSITION)?)?);
    };
    let wrong = match client
        .get(path, EXPOSITION)
        .and_then(|answer| read(&answer))
    {
        Ok(found) => return Ok(found),
        Err(wrong @ (Failure::Refused { .. } | Failure::Unreadable { .. })) => wrong,
        Err(other) => return Err(other.into()),
    };
    // A page, or a path that is not quite right: what people have at hand.
    let below = format!(
        "{}{METRICS}",
        path.split(['?', '#'])
            .next()
            .unwrap_or_default()
            .trim_end_matches('/')
    );
    for other in [below.as_str(), METRICS] {
        if let Ok(found) = client
            .get(other, EXPOSITION)
            .and_then(|answer| read(&answer))
        {
            remarks.push(format!("{wrong}; its metrics are at {}", found.0));
            return Ok(found);
        }
    }
    Err(wrong.into())
}

/// An answer as an exposition, unless it is something else.
pub(crate) fn read(answer: &Answer) -> Result<(String, Scraped), Failure> {
    let unreadable = |reason: &str| Failure::Unreadable {
        url: answer.url.clone(),
        reason: reason.to_owned(),
    };
    if is_page(answer) {
        return Err(unreadable("it is an HTML page"));
    }
    let scraped = Scraped::read(&answer.text);
    if scraped.is_no_exposition() {
        let mistake = scraped.mistakes.first().map(ToString::to_string);
        return Err(unreadable(&mistake.unwrap_or_default()));
    }
    Ok((answer.url.clone(), scraped))
}

fn is_page(answer: &Answer) -> bool {
    let kind = answer.headers.get("content-type");
    let says = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let begins = answer
        .text
        .trim_start()
        .get(..5)
        .unwrap_or_default()
        .to_lowercase();
    says || begins == "<html" || begins == "<!doc"
}

/// Where viewers look: at what all of them share, where the service has a catalogue.
#[cfg(feature = "top")]
pub(crate) fn path_of(place: &Place, has_catalog: bool) -> &str {
    match &place.path {
        Some(path) => path,
        None if has_catalog => LIVE,
        None => METRICS,
    }
}
