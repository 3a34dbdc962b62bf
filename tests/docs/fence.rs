//! Blocks of code as a reader sees them: Rust that compiles as it is shown, and dependencies on our crates instead of on
//! somebody else's of the same name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use toml::Value;

use crate::document::{At, Document, SHELL, is_markdown};

/// A block of code between two lines of backticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fence {
    /// The line of the opening backticks.
    pub(crate) line: usize,
    /// What follows them, such as `rust,no_run`.
    pub(crate) language: String,
    pub(crate) text: String,
}

impl Fence {
    /// Whether rustdoc compiles it. A block without a language is Rust to rustdoc.
    fn is_rust(&self) -> bool {
        self.language.is_empty() || self.language.split(',').any(|word| word == "rust")
    }

    /// The lines of a command, each with the place where it begins; one that ends with a backslash continues in the next.
    fn commands(&self) -> Vec<At> {
        let mut commands: Vec<At> = Vec::new();
        let mut continues = false;
        for (i, line) in self.text.lines().enumerate() {
            let part = line.trim_end_matches('\\');
            match commands.last_mut() {
                Some(last) if continues => last.what.push_str(part),
                _ => commands.push(self.at(i, part.to_owned())),
            }
            continues = line.ends_with('\\');
        }
        commands
    }

    /// Something about one of its lines, counted from 0.
    fn at(&self, line: usize, what: String) -> At {
        At {
            line: self.line + 1 + line,
            what,
        }
    }
}

/// What a reader of a block of Rust would not have: lines that rustdoc hides or changes and GitHub shows as they are, or code that
/// nobody compiles.
pub(crate) fn not_as_shown(fence: &Fence) -> Vec<At> {
    if !fence.is_rust() {
        return Vec::new();
    }
    let lines = fence.text.lines().enumerate();
    let hidden = lines.filter(|(_, line)| {
        let line = line.trim_start();
        line == "#" || line.starts_with("# ") || line.starts_with("##")
    });
    let mut faults: Vec<_> = hidden
        .map(|(i, line)| {
            fence.at(
                i,
                format!("GitHub shows `{line}` as it is, rustdoc does not"),
            )
        })
        .collect();
    if !matches!(&*fence.language, "rust" | "rust,no_run") {
        let fault = format!("`{}` is not compiled as `rust` is", fence.language);
        faults.push(At {
            line: fence.line,
            what: fault,
        });
    }
    faults
}

/// What would install a stranger's crate: on crates.io, names of ours belong to other people.
pub(crate) fn strangers(fence: &Fence) -> Vec<At> {
    match &*fence.language {
        language if SHELL.contains(&language) => added(fence),
        "toml" => depended_on(fence),
        _ => Vec::new(),
    }
}

/// Commands that add or install a crate of ours from crates.io.
fn added(fence: &Fence) -> Vec<At> {
    let mut commands = fence.commands();
    commands.retain(|command| {
        let words: Vec<_> = command.what.split_whitespace().collect();
        let adds = words
            .windows(2)
            .any(|pair| pair[0] == "cargo" && matches!(pair[1], "add" | "install"));
        let from = ["--git", "--path", "--registry"];
        let is_from = |word: &&str| from.contains(&word.split('=').next().unwrap_or_default());
        adds && words.iter().any(|word| is_ours(word)) && !words.iter().any(is_from)
    });
    for command in &mut commands {
        command.what = format!(
            "`{}` installs a stranger's crate; add --git, --path or --registry",
            command.what.trim()
        );
    }
    commands
}

/// Dependencies of a manifest on crates of ours from crates.io.
fn depended_on(fence: &Fence) -> Vec<At> {
    let fault = |what| {
        vec![At {
            line: fence.line,
            what,
        }]
    };
    match fence.text.parse() {
        Err(error) => fault(format!("this is no TOML: {error}")),
        Ok(manifest) => {
            let names = from_crates_io(&manifest);
            let fault_of =
                |name| format!("`{name}` is a stranger's crate without git, path or registry");
            names.into_iter().map(fault_of).flat_map(fault).collect()
        }
    }
}

/// The crates of ours that a manifest, or a table in it, would take from crates.io.
fn from_crates_io(manifest: &toml::Table) -> Vec<String> {
    let mut names = Vec::new();
    for (key, value) in manifest {
        let Value::Table(table) = value else { continue };
        if !key.ends_with("dependencies") {
            names.extend(from_crates_io(table));
            continue;
        }
        for (name, source) in table {
            let package = source.get("package").and_then(Value::as_str);
            let elsewhere = ["git", "path", "registry", "workspace"];
            if is_ours(package.unwrap_or(name))
                && !elsewhere.iter().any(|key| source.get(key).is_some())
            {
                names.push(name.clone());
            }
        }
    }
    names
}

/// Whether a crate, perhaps with a version behind it, has a name of ours.
fn is_ours(name: &str) -> bool {
    let name = name.split('@').next().unwrap_or_default();
    name.starts_with("obs-") || matches!(name, "obs" | "obstool")
}

/// The documents whose examples a doctest compiles, or that a test reads by name.
pub(crate) fn compiled(workspace: &Path) -> BTreeSet<PathBuf> {
    let mut compiled = BTreeSet::new();
    for folder in ["crates", "examples", "tests", "xtask/src"] {
        sources(&workspace.join(folder), &mut |path, source| {
            for part in source.split('"').filter(|part| is_markdown(part)) {
                let beside = path.with_file_name("").join(part);
                compiled.extend(
                    [beside, workspace.join(part)]
                        .iter()
                        .flat_map(fs::canonicalize),
                );
            }
        });
    }
    compiled
}

/// Goes through all sources of Rust in a folder.
fn sources(folder: &Path, look: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Those of this test speak of documents that they do not compile.
            if !path.ends_with("target") && !path.ends_with("tests/docs") {
                sources(&path, look);
            }
        } else if path.extension().is_some_and(|end| end == "rs") {
            look(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}

/// Whether a document has examples in Rust.
pub(crate) fn has_rust(document: &Document) -> bool {
    document.fences().iter().any(Fence::is_rust)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence(language: &str, text: &str) -> Fence {
        Fence {
            line: 10,
            language: language.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn rust_with_lines_that_only_rustdoc_hides_is_not_as_shown() {
        let lines = |language, text| {
            let faults = not_as_shown(&fence(language, text));
            faults.iter().map(|at| at.line).collect::<Vec<usize>>()
        };
        let hidden = "# fn main() {\n#[derive(Debug)]\nstruct A;\n  ## TYPE a counter\n#\n}\n";
        assert_eq!(lines("rust", hidden), [11, 14, 15]);
        assert_eq!(lines("", "# use a::B;\n"), [11, 10]);
        assert_eq!(lines("rust,no_run", "fn main() {}\n"), Vec::<usize>::new());
        assert_eq!(lines("rust,ignore", "fn main() {}\n"), [10]);
        assert_eq!(lines("sh", "# why\n"), Vec::<usize>::new());
    }

    #[test]
    fn commands_that_install_a_stranger_are_found() {
        let lines = |text| {
            let faults = strangers(&fence("sh", text));
            faults.iter().map(|at| at.line).collect::<Vec<usize>>()
        };
        for wrong in [
            "cargo add obs-core\n",
            "cargo add obs-core@0.1 --features serde\n",
            "cargo add serde \\\n    obs-http\n",
            "cd desk && cargo install obstool\n",
        ] {
            assert_eq!(lines(wrong), [11], "{wrong}");
        }
        for right in [
            "cargo add --git https://example.com/obs obs-core\n",
            "cargo add obs-core \\\n    --path=../obs/crates/obs-core\n",
            "cargo install --registry desk obstool\n",
            "cargo add metrics\ncargo test -p obs-core\n",
        ] {
            assert_eq!(lines(right), Vec::<usize>::new(), "{right}");
        }
    }

    #[test]
    fn manifests_that_depend_on_a_stranger_are_found() {
        let told = |text| {
            let faults = strangers(&fence("toml", text));
            faults.into_iter().map(|at| at.what).collect::<String>()
        };
        for wrong in [
            "[dependencies]\nobs-core = \"0.1\"\n",
            "[dependencies.obs-core]\nversion = \"0.1\"\n",
            "[dev-dependencies]\ncore = { package = \"obs-core\", version = \"0.1\" }\n",
            "[target.'cfg(unix)'.dependencies]\nobs-core = { version = \"0.1\", features = [\"serde\"] }\n",
        ] {
            assert!(told(wrong).contains("stranger"), "{wrong}");
        }
        for right in [
            "[dependencies]\nobs-core = { git = \"https://example.com/obs\" }\nserde = \"1\"\n",
            "[package]\nname = \"obs-quoter\"\n[features]\nobs-core = [\"serde\"]\n",
            "[workspace.dependencies]\nobs-core = { version = \"0.1\", registry = \"desk\" }\n",
            "[dependencies]\nobs-core.workspace = true\n",
        ] {
            assert_eq!(told(right), "", "{right}");
        }
        assert!(told("[dependencies]\nobs-core = …\n").contains("no TOML"));
    }
}
