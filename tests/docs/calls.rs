//! Calls that were only written down: what of them can be checked.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use obs_tests::tools;

use crate::cargo::Workspace;
use crate::place::{Call, Place};

/// Judges calls by the workspace and by what `deploy/` has.
pub(crate) struct Judge<'a> {
    place: &'a Place,
    workspace: Workspace,
    services: BTreeSet<String>,
    /// What was judged before: the same command stands in many documents.
    judged: RefCell<BTreeMap<Call, Result<(), String>>>,
}

impl<'a> Judge<'a> {
    pub(crate) fn of(place: &'a Place) -> Self {
        let compose = fs::read_to_string(tools::workspace().join("deploy/docker-compose.yml"));
        let compose: serde_json::Value = serde_saphyr::from_str(&compose.unwrap()).unwrap();
        let services = compose["services"].as_object().unwrap();
        Self {
            place,
            workspace: Workspace::read(),
            services: services.keys().cloned().collect(),
            judged: RefCell::default(),
        }
    }

    /// What is the matter with a call, if anything is.
    pub(crate) fn judge(&self, call: &Call) -> Result<(), String> {
        let known = self.judged.borrow().get(call).cloned();
        known.unwrap_or_else(|| {
            let words: Vec<&str> = call.arguments.iter().map(String::as_str).collect();
            let folder = self.place.folder().join(&call.folder);
            let verdict = match (call.program.as_str(), &words[..]) {
                ("cargo", words) => self.workspace.faults(words),
                ("docker", ["compose", words @ ..]) => self.compose(&folder, words),
                (
                    "kubectl",
                    [
                        "apply" | "create" | "delete" | "diff" | "replace",
                        words @ ..,
                    ],
                ) => files(&folder, words),
                ("helm", ["install" | "upgrade", _, chart, words @ ..]) => {
                    if folder.join(chart).join("Chart.yaml").exists() {
                        files(&folder, words)
                    } else {
                        Err(format!("{chart} is no chart"))
                    }
                }
                (program, words) => Err(format!(
                    "nobody knows how to check `{program} {}`",
                    words.join(" ")
                )),
            };
            self.judged
                .borrow_mut()
                .insert(call.clone(), verdict.clone());
            verdict
        })
    }

    /// A command of compose finds its file, and names services that are in it.
    fn compose(&self, folder: &Path, words: &[&str]) -> Result<(), String> {
        let verb = words
            .iter()
            .enumerate()
            // An option before the verb has a value behind it.
            .position(|(i, word)| {
                !word.starts_with('-') && (i == 0 || !words[i - 1].starts_with('-'))
            })
            .ok_or("compose is given nothing to do")?;
        let (options, services) = words.split_at(verb);
        files(folder, options)?;
        // In the middle of a text, the reader is where the deployment is.
        let found = !options.is_empty()
            || folder == self.place.folder()
            || folder.join("docker-compose.yml").exists();
        if !found {
            return Err(format!("{} has no compose file", folder.display()));
        }
        let mut services = services[1..].iter().filter(|word| !word.starts_with('-'));
        match services.find(|name| !self.services.contains(**name)) {
            Some(name) => Err(format!("{name} is no service of the compose file")),
            None => Ok(()),
        }
    }
}

/// What is behind `-f` is a file or a folder.
fn files(folder: &Path, words: &[&str]) -> Result<(), String> {
    let mut named = words.windows(2).filter(|pair| {
        matches!(
            pair[0],
            "-f" | "-k" | "--env-file" | "--file" | "--filename" | "--values"
        )
    });
    match named.find(|pair| !folder.join(pair[1]).exists()) {
        Some(missing) => Err(format!("{} does not exist", missing[1])),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_judged_by_what_there_is() {
        let place = Place::quiet();
        let judge = Judge::of(&place);
        let verdict = |script| {
            let calls = place.run(script).unwrap();
            judge.judge(&calls[0])
        };
        for right in [
            "cd deploy; docker compose up --build",
            "docker compose -f deploy/docker-compose.yml logs --follow desk prometheus",
            "docker compose ps desk",
            "kubectl apply -f deploy/kubernetes",
            "helm install desk deploy/chart --set mode=paper",
        ] {
            assert_eq!(verdict(right), Ok(()), "{right}");
        }
        for (wrong, told) in [
            ("cd docs; docker compose up", "no compose file"),
            (
                "docker compose -f deploy/compose.yml up",
                "deploy/compose.yml does not exist",
            ),
            ("docker compose restart dekc", "dekc is no service"),
            ("docker compose", "nothing to do"),
            (
                "docker rnu desk",
                "nobody knows how to check `docker rnu desk`",
            ),
            ("kubectl apply -f kubernetes", "kubernetes does not exist"),
            ("helm install desk deploy/kubernetes", "is no chart"),
            (
                "helm upgrade desk deploy/chart --values mine.yaml",
                "mine.yaml does not exist",
            ),
            ("cargo xtask dmeo", "dmeo"),
        ] {
            let said = verdict(wrong).unwrap_err();
            assert!(said.contains(told), "{wrong}: {said}");
        }
    }
}
