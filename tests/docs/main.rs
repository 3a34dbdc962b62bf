//! What the documents tell their readers to type, to open and to set is there.
//!
//! Every command of every guide is run, or at least asked whether it could be; a document that is added falls under the same.

mod calls;
mod cargo;
mod document;
mod fence;
mod place;

use obs_tests::tools;

use crate::calls::Judge;
use crate::document::{At, Document};
use crate::fence::Fence;
use crate::place::Place;

/// Fails with all there is, so that one run is enough to repair it.
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Run whole, in their order and with real programs, by `tests/getting_started.rs` and `tests/drill.rs`.
const DONE_ELSEWHERE: [&str; 2] = ["docs/GETTING_STARTED.md", "docs/DRILL.md"];

/// Everything there is to say against what documents name, with its place.
fn faults(
    of: fn(&Document) -> Vec<At>,
    mut fault: impl FnMut(&Document, &str) -> Option<String>,
) -> Vec<String> {
    let mut faults = Vec::new();
    for document in document::guides(&tools::workspace()) {
        for At { line, what } in of(&document) {
            if let Some(fault) = fault(&document, &what) {
                faults.push(format!("{}:{line}: {fault}", document.name));
            }
        }
    }
    faults
}

/// Everything there is to say against blocks of code, with its place.
fn faults_of_fences(fault: impl Fn(&Fence) -> Vec<At>) -> Vec<String> {
    let mut faults = Vec::new();
    for document in document::all(&tools::workspace()) {
        let of_it = document
            .fences()
            .into_iter()
            .flat_map(|fence| fault(&fence));
        faults.extend(of_it.map(|At { line, what }| format!("{}:{line}: {what}", document.name)));
    }
    faults
}

#[test]
fn commands_run_or_are_those_there_are() {
    let place = Place::served();
    let judge = Judge::of(&place);
    none(&faults(Document::scripts, |document, script| {
        if DONE_ELSEWHERE.contains(&&*document.name) {
            return None;
        }
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

#[test]
fn rust_compiles_as_it_is_shown() {
    none(&faults_of_fences(fence::not_as_shown));
    let compiled = fence::compiled(&tools::workspace());
    let documents = document::all(&tools::workspace());
    let examples = documents
        .iter()
        .filter(|document| fence::has_rust(document));
    let shown_only = examples.filter(|document| {
        let path = tools::workspace().join(&document.name);
        !compiled.contains(&path.canonicalize().unwrap())
    });
    let faults = shown_only.map(|document| {
        format!(
            "{}: nothing compiles its examples; add it to the guides of tests/harness/lib.rs",
            document.name
        )
    });
    none(&faults.collect::<Vec<_>>());
}

#[test]
fn our_crates_are_never_taken_from_crates_io() {
    none(&faults_of_fences(fence::strangers));
}
