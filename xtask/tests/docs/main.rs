//! What the documents tell their readers to type, to open and to set is there.
//!
//! Every command of every guide is run, or at least asked whether it could be; a document that is added falls under the same.

mod calls;
mod cargo;
mod document;
mod place;

use obs_tests::tools;

use crate::calls::Judge;
use crate::document::{At, Document};
use crate::place::Place;

/// Fails with all there is, so that one run is enough to repair it.
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Everything there is to say against what documents name, with its place.
fn faults(
    of: fn(&Document) -> Vec<At>,
    mut fault: impl FnMut(&Document, &str) -> Option<String>,
) -> Vec<String> {
    let mut faults = Vec::new();
    for document in document::all(&tools::workspace()) {
        for At { line, what } in of(&document) {
            if let Some(fault) = fault(&document, &what) {
                faults.push(format!("{}:{line}: {fault}", document.name));
            }
        }
    }
    faults
}

#[test]
fn commands_run_or_are_those_there_are() {
    let place = Place::served();
    let judge = Judge::of(&place);
    none(&faults(Document::scripts, |_, script| {
        let calls = place.run(script);
        let judged = calls.and_then(|calls| calls.iter().try_for_each(|call| judge.judge(call)));
        let fault = judged.err()?;
        Some(format!("`{}`: {fault}", script.trim_end()))
    }));
}

#[test]
fn paths_are_those_of_files_and_folders() {
    none(&faults(Document::paths, |_, path| {
        let there = tools::workspace().join(path).exists();
        (!there).then(|| format!("`{path}` does not exist"))
    }));
}

#[test]
fn links_lead_to_files_and_headings() {
    none(&faults(Document::links, |document, link| {
        let leads = document.leads_somewhere(link, &tools::workspace());
        (!leads).then(|| format!("({link}) leads nowhere"))
    }));
}

#[test]
fn variables_are_settings_of_the_exporter() {
    none(&faults(Document::variables, |_, name| {
        cargo::unknown_setting(name)
    }));
}
