//! The catalogue of all processes: what their files hold of those that they have themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use obs_verify::exposition::Scraped;
use obs_verify::{Catalog, Family, Label, alone};
use serde_json::{Value, json};

use super::switch::Hung;
use super::watch::{Look, Notes};
use super::{families, text};

/// What a process has noted of its catalogue, and under which keys.
const HEAD: &str = "catalog";
const GROUP: &str = "group:";
const FAMILY: &str = "family:";

/// The label that the agent puts on everything.
const PROCESS: &str = "process";

/// The catalogue as JSON.
pub(super) fn write(look: &Look) -> String {
    let catalog = whole(look);
    let Ok(mut json) = serde_json::to_value(&catalog) else {
        return String::new();
    };
    // As the processes say it: figures that only the page knows are among it.
    let mut figures = figures(look);
    for group in json["groups"].as_array_mut().into_iter().flatten() {
        let id = group["id"].as_str().unwrap_or_default();
        if let Some(figures) = figures.remove(id) {
            group["figures"] = figures.into();
        }
    }
    if let Some(app) = alike(&heads(look), "app") {
        json["app"] = app;
    }
    json.to_string()
}

/// The catalogue as this program knows it.
pub(super) fn whole(look: &Look) -> Catalog {
    let mut joined = declared(look);
    let (families, left_out) = unknown(look, &joined);
    joined = joined.and(&families);
    describe(&mut joined, look);
    joined.warnings = warnings(look, &left_out);
    joined
}

/// What the agent and the processes declare.
pub(super) fn declared(look: &Look) -> Catalog {
    let notes = look.notes.values();
    notes.fold(own(), |joined, notes| {
        joined.and(&noted(notes, look.processes.len()))
    })
}

/// The figures of each group by its id, in the words of those who declare them; of those with one title, the first.
pub(super) fn figures(look: &Look) -> BTreeMap<String, Vec<Value>> {
    let own = own().groups;
    let own = own
        .iter()
        .filter_map(|group| serde_json::to_value(group).ok());
    let noted = look.notes.values().flat_map(|notes| read(notes, GROUP));
    let noted = noted.filter_map(|text| serde_json::from_str(text).ok());
    let mut all = BTreeMap::<String, Vec<Value>>::new();
    for group in own.chain(noted) {
        let id = group["id"].as_str().unwrap_or_default();
        let joined = all.entry(id.to_owned()).or_default();
        for figure in group["figures"].as_array().into_iter().flatten() {
            if joined.iter().all(|known| known["title"] != figure["title"]) {
                joined.push(figure.clone());
            }
        }
    }
    all
}

/// What the agent declares itself.
fn own() -> Catalog {
    let mut catalog = Catalog::from(&families::catalogue());
    for family in &mut catalog.families {
        let family = Arc::make_mut(family);
        // As services serve them.
        (family.doc, family.scope, family.declared_at) = (None, None, None);
    }
    catalog
}

/// What is noted under keys that begin so.
fn read<'a>(notes: &'a Notes, prefix: &'static str) -> impl Iterator<Item = &'a String> {
    let notes = notes.range(prefix.to_owned()..);
    notes
        .take_while(move |(key, _)| key.starts_with(prefix))
        .map(|(_, text)| text)
}

/// What one process has noted. Each of so many may have as many series.
fn noted(notes: &Notes, processes: usize) -> Catalog {
    let families = read(notes, FAMILY).filter_map(|text| serde_json::from_str(text).ok());
    let mut catalog: Catalog = families
        .map(|family| Arc::new(of_processes(family, processes)))
        .collect();
    let groups = read(notes, GROUP).filter_map(|text| serde_json::from_str(text).ok());
    catalog.groups = groups.collect();
    catalog.groups.sort_by_key(|group| group.rank);
    catalog
}

/// A family as it is with a label for the process.
fn of_processes(mut family: Family, processes: usize) -> Family {
    if family.label(PROCESS).is_none() {
        let help = "The process, by the name of its file.".to_owned();
        let label = Label {
            key: PROCESS.to_owned(),
            help,
            values: None,
            limit: None,
        };
        family.labels.insert(0, label);
    }
    family.budget = family.budget.map(|budget| budget.saturating_mul(processes));
    family
}

/// What is shown and stands in no catalogue: as it can be made out, with the processes that have noted none.
fn unknown<'a>(look: &'a Look, known: &Catalog) -> (Catalog, Vec<&'a str>) {
    let seen = alone::catalog(&Scraped::read(&text::write(look, &Hung::new())));
    let families = seen.families.iter();
    let unknown = families.filter(|family| known.family(&family.name).is_none());
    let without = look.processes.keys().filter(|name| {
        let notes = look.notes.get(*name);
        notes.is_none_or(|notes| !notes.contains_key(HEAD))
    });
    (
        unknown.cloned().collect(),
        without.map(String::as_str).collect(),
    )
}

/// What the processes say of themselves.
fn heads(look: &Look) -> Vec<Value> {
    let heads = look.notes.values();
    heads
        .filter_map(|notes| serde_json::from_str(notes.get(HEAD)?).ok())
        .collect()
}

/// What all of them say alike.
fn alike(heads: &[Value], key: &str) -> Option<Value> {
    let mut values = heads.iter().map(|head| &head[key]);
    let first = values.next().filter(|first| !first.is_null())?;
    values.all(|other| other == first).then(|| first.clone())
}

/// Says of all what each says of itself, where that is the same.
fn describe(catalog: &mut Catalog, look: &Look) {
    let heads = heads(look);
    let text = |key: &str| alike(&heads, key)?.as_str().map(str::to_owned);
    catalog.service = text("service");
    catalog.environment = text("environment");
    catalog.mode = text("mode");
    catalog.app = alike(&heads, "app").and_then(|app| serde_json::from_value(app).ok());
}

/// What is not as it should be with the files.
fn warnings(look: &Look, left_out: &[&str]) -> Vec<Value> {
    let warning = |kind: &str, text: String| json!({ "kind": kind, "text": text });
    let refused = look.refused.iter();
    let refused = refused.map(|why| warning("file_refused", why.clone()));
    let incomplete: BTreeSet<_> = look.incomplete.iter().collect();
    let incomplete = incomplete.into_iter().map(|name| {
        let text = format!("{name}: there was no memory for all that it recorded; give the tmpfs more and restart it");
        warning("memory_lost", text)
    });
    let left_out = left_out.iter().map(|name| {
        let text = format!(
            "{name}: its file has no catalogue, so that units, labels' values, figures and budgets are left out; build it with the feature \
             `page` of obs-exporter"
        );
        warning("catalogue_left_out", text)
    });
    refused.chain(incomplete).chain(left_out).collect()
}
