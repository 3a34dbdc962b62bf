//! The live page of all processes: what viewers share, and what figures showed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::HeaderValue;
use obs_core::Unit;
use obs_memory::{Labels, Value};
use obs_page::{Client, Clock, Figure, History, How, Reading, Response, Row, Section, Shows};
use obs_page::{Source, Value as Shown};
use obs_verify::Catalog;
use serde_json::Value as Json;

use super::switch::Hung;
use super::text::{self, Values};
use super::watch::{Look, Notes};
use super::{EXPOSITION, catalog, lock};

/// How long a rendering serves everybody.
const SHARED: Duration = Duration::from_secs(1);

/// What is kept for viewers.
#[derive(Debug, Default)]
pub(super) struct Page {
    clock: Clock,
    live: Mutex<Option<Rendered>>,
    history: History,
    /// From whose notes the lines of the history were made.
    planned: Mutex<Option<BTreeMap<String, Notes>>>,
}

/// An exposition, and when it was read.
#[derive(Clone, Debug)]
struct Rendered {
    at: Instant,
    text: bytes::Bytes,
}

impl Page {
    /// The exposition of the last second, rendered for the first request in it.
    pub(super) fn live(&self, client: Client<'_>, render: impl FnOnce() -> String) -> Response {
        let mut last = lock(&self.live);
        let is_new = |last: &Rendered| last.at.elapsed() < SHARED;
        let rendered = if let Some(rendered) = last.clone().filter(is_new) {
            rendered
        } else {
            let at = Instant::now();
            let text = render().into();
            last.insert(Rendered { at, text }).clone()
        };
        drop(last);
        let mut response = obs_page::fresh(EXPOSITION, rendered.text, client);
        let headers = response.headers_mut();
        let at = self.clock.at(rendered.at);
        headers.insert(obs_page::RENDERED_AT, in_seconds(at));
        headers.insert(obs_page::AGE, in_seconds(rendered.at.elapsed()));
        response
    }

    /// What figures showed.
    pub(super) fn history(&self, client: Client<'_>) -> Response {
        self.history.answer(client)
    }

    /// Takes what figures show now. The figures are those that processes have noted.
    pub(super) fn take(&self, look: &Look, hung: &Hung) {
        let mut planned = lock(&self.planned);
        let is_same = |known: &BTreeMap<String, Notes>| {
            let mut pairs = known.iter().zip(&look.notes);
            let same = |((name, notes), (other, others)): (_, (_, _))| {
                name == other && Arc::ptr_eq(notes, others)
            };
            known.len() == look.notes.len() && pairs.all(same)
        };
        if !planned.as_ref().is_some_and(is_same) {
            self.history.plan(figures(look));
            *planned = Some(look.notes.clone());
        }
        drop(planned);
        let own = text::own(look, hung);
        let own = own.map(|(family, values)| (family.name(), values));
        let second = self.clock.now().as_secs();
        self.history.take(second, &Looked { look, own: &own });
    }
}

/// The document, with what there is to say of processes and files for browsers without scripts.
pub(super) fn index(look: &Look, client: Client<'_>) -> Response {
    let catalog = catalog::whole(look);
    let states = look.processes.iter().map(|(name, counts)| {
        let state = match (counts.alive, counts.dead) {
            (0, 0) => "ended; its totals remain".to_owned(),
            (0, _) => "dead; its last values are shown".to_owned(),
            (1, _) => "up".to_owned(),
            (alive, _) => format!("{alive} up"),
        };
        format!("{name}: {state}")
    });
    let warnings = catalog.warnings.iter();
    let warnings = warnings.filter_map(|warning| warning["text"].as_str().map(str::to_owned));
    let notes: Vec<_> = states.chain(warnings).collect();
    let sections: Vec<_> = catalog
        .groups
        .iter()
        .map(|group| section(group, &catalog))
        .collect();
    let service = catalog.service.as_deref().unwrap_or("Processes");
    obs_page::index(service, &notes, &sections, client)
}

fn section(group: &obs_verify::Group, catalog: &Catalog) -> Section {
    let families = catalog.families.iter();
    let of_group = families.filter(|family| family.group == group.id);
    let row = |family: &Arc<obs_verify::Family>| Row {
        name: family.name.clone(),
        kind: family.kind.as_str(),
        help: family.help.clone(),
    };
    Section {
        title: group.title.clone(),
        families: of_group.map(row).collect(),
    }
}

/// The figures of all processes, by rank.
fn figures(look: &Look) -> Vec<Figure> {
    let catalog = catalog::declared(look);
    let mut by_group = catalog::figures(look);
    let groups = catalog.groups.iter();
    let mut all: Vec<_> = groups
        .flat_map(|group| by_group.remove(&group.id).unwrap_or_default())
        .collect();
    all.sort_by_key(|figure| figure["rank"].as_u64());
    let read = |json: &Json| figure(json, &catalog);
    all.iter().filter_map(read).collect()
}

/// A figure of a catalogue; none where it has no lines.
fn figure(json: &Json, catalog: &Catalog) -> Option<Figure> {
    let read = |key: &str| reading(&json[key], catalog);
    let shows = match json["shows"].as_str()? {
        "value" | "bar" => Shows::Value(read("value")?),
        "ratio" => Shows::Ratio(read("value")?, read("of")?),
        "curve" => Shows::Curve(read("value")?, read("below")?),
        "quantiles" => {
            let levels = json["levels"].as_array()?.iter().filter_map(Json::as_f64);
            let of = family(json["family"].as_str()?, catalog);
            Shows::Quantiles(of, levels.collect())
        }
        _ => return None,
    };
    Some(Figure {
        title: json["title"].as_str()?.to_owned().into(),
        shows,
        trend: read("trend"),
    })
}

fn reading(json: &Json, catalog: &Catalog) -> Option<Reading> {
    let how = match json["read"].as_str()? {
        "sum" => How::Sum,
        "least" => How::Least,
        "most" => How::Most,
        "rate" => How::Rate,
        "series" => How::Series,
        "quantile" => How::Quantile(json["level"].as_f64()?),
        "constant" => How::Constant(json["number"].as_f64()?),
        _ => How::Unknown,
    };
    let families = json["families"].as_array().into_iter().flatten();
    let labels = json["labels"].as_object().into_iter().flatten();
    let label = |(key, value): (&String, &Json)| {
        let value = value.as_str().unwrap_or_default();
        (key.clone().into(), value.to_owned().into())
    };
    Some(Reading {
        how,
        families: families
            .filter_map(|name| Some(family(name.as_str()?, catalog)))
            .collect(),
        labels: labels.map(label).collect(),
    })
}

fn family(name: &str, catalog: &Catalog) -> obs_page::Family {
    let known = catalog.family(name);
    let unit = known.and_then(|family| family.unit);
    obs_page::Family {
        name: name.to_owned().into(),
        is_money: matches!(unit, Some(Unit::Currency | Unit::Number)),
        bounds: known
            .map(|family| family.buckets.clone())
            .unwrap_or_default()
            .into(),
    }
}

/// What a look has found, and what the agent says itself.
struct Looked<'a> {
    look: &'a Look,
    own: &'a [(&'static str, Values)],
}

impl Source for Looked<'_> {
    fn each(&self, family: &str, read: &mut dyn FnMut(&str, Shown<'_>)) {
        if let Some((_, values)) = self.own.iter().find(|(name, _)| *name == family) {
            for (labels, value) in values {
                read(&joined(labels), shown(value));
            }
            return;
        }
        let Some(family) = self.look.families.get(family) else {
            return;
        };
        for (labels, series) in &family.series {
            read(&joined(labels), shown(&series.value));
        }
    }
}

/// A value as figures read it.
#[expect(
    clippy::cast_precision_loss,
    reason = "the text of a scrape is read as the same float"
)]
fn shown(value: &Value) -> Shown<'_> {
    match value {
        Value::Counter { number, decimals } => {
            Shown::Number(*number as f64 / 10_f64.powi(i32::from(*decimals)))
        }
        Value::Gauge(value) => Shown::Number(*value),
        Value::Histogram { buckets, .. } => Shown::Buckets(buckets),
        _ => Shown::Other,
    }
}

/// Labels as a scrape shows them, without braces.
fn joined(labels: &Labels) -> String {
    let mut text = String::new();
    for (key, value) in labels {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        let before = if text.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, "{before}{key}=\"{value}\"");
    }
    text
}

fn in_seconds(time: Duration) -> HeaderValue {
    let text = format!("{}.{:03}", time.as_secs(), time.subsec_millis());
    // Digits and a point are always a header's value.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("0"))
}
