//! What documents say that can be held against something: commands, links, paths and variables.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::fence::Fence;

/// The languages of blocks that hold commands.
pub(crate) const SHELL: [&str; 4] = ["sh", "bash", "shell", "console"];
/// What a command in the middle of a text begins with.
const PROGRAMS: [&str; 8] = [
    "amtool", "cargo", "curl", "docker", "helm", "kubectl", "npm", "promtool",
];
/// Where the paths of the workspace begin.
const FOLDERS: [&str; 7] = [
    "benches/",
    "crates/",
    "deploy/",
    "docs/",
    "examples/",
    "tests/",
    "xtask/",
];

/// A Markdown file of the workspace.
pub(crate) struct Document {
    /// From the workspace's directory.
    pub(crate) name: String,
    text: String,
}

/// Something in a document, and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) line: usize,
    pub(crate) what: String,
}

/// The guides, what lies beside the README, and what crates say of themselves. The changelog tells of what was.
pub(crate) fn guides(workspace: &Path) -> Vec<Document> {
    let crates = names(workspace, "crates/").into_iter();
    let crates = crates.flat_map(|folder| names(workspace, &format!("{folder}/")));
    let names = ["", "docs/"]
        .into_iter()
        .flat_map(|folder| names(workspace, folder))
        .chain(crates)
        .filter(|name| is_markdown(name))
        .filter(|name| name != "CHANGELOG.md");
    read(workspace, names.collect())
}

/// Every Markdown file of the workspace.
pub(crate) fn all(workspace: &Path) -> Vec<Document> {
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for name in names(workspace, &folder) {
            // What programs made, another workspace's folder in ours among it.
            let is_made = [".git", "target"]
                .iter()
                .any(|made| Path::new(&name).ends_with(made));
            if workspace.join(&name).is_dir() {
                folders.extend((!is_made).then(|| format!("{name}/")));
            } else if is_markdown(&name) {
                found.push(name);
            }
        }
    }
    read(workspace, found)
}

pub(crate) fn is_markdown(name: &str) -> bool {
    Path::new(name).extension() == Some("md".as_ref())
}

fn read(workspace: &Path, mut names: Vec<String>) -> Vec<Document> {
    names.sort();
    let read = |name: String| Document {
        text: fs::read_to_string(workspace.join(&name)).unwrap(),
        name,
    };
    names.into_iter().map(read).collect()
}

/// What is in a folder, from the workspace's directory.
fn names(workspace: &Path, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(workspace.join(folder)).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    entries
        .map(|entry| format!("{folder}{}", name(entry).into_string().unwrap()))
        .collect()
}

impl Document {
    /// The blocks of commands, and the commands in the text, each a script.
    pub(crate) fn scripts(&self) -> Vec<At> {
        let mut scripts = Vec::new();
        let mut shell = false;
        for (event, range) in self.events() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                    shell = SHELL.contains(&&*language);
                }
                Event::End(TagEnd::CodeBlock) => shell = false,
                Event::Text(text) if shell => {
                    // The prompt of a console is not typed.
                    let lines = text
                        .lines()
                        .map(|line| line.strip_prefix("$ ").unwrap_or(line));
                    let lines: Vec<_> = lines.collect();
                    scripts.push(self.at(&range, lines.join("\n")));
                }
                Event::Code(code) => {
                    let program = code.split_once(' ').map(|(program, _)| program);
                    if program.is_some_and(|program| PROGRAMS.contains(&program)) {
                        scripts.push(self.at(&range, code.into_string()));
                    }
                }
                _ => {}
            }
        }
        scripts
    }

    /// The blocks of code.
    pub(crate) fn fences(&self) -> Vec<Fence> {
        let mut fences = Vec::new();
        let mut open: Option<Fence> = None;
        for (event, range) in self.events() {
            match (event, &mut open) {
                (Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))), _) => {
                    open = Some(Fence {
                        line: self.at(&range, String::new()).line,
                        language: language.into_string(),
                        text: String::new(),
                    });
                }
                (Event::Text(text), Some(fence)) => fence.text.push_str(&text),
                (Event::End(TagEnd::CodeBlock), _) => fences.extend(open.take()),
                _ => {}
            }
        }
        fences
    }

    /// The paths of the workspace that are named in the text.
    pub(crate) fn paths(&self) -> Vec<At> {
        let code = self.events().filter_map(|(event, range)| match event {
            Event::Code(code) => Some(self.at(&range, code.into_string())),
            _ => None,
        });
        let is_path = |at: &At| {
            // With a blank it is a command or a sentence; with a star, many files; with an ellipsis, an example.
            FOLDERS.iter().any(|folder| at.what.starts_with(folder))
                && !at.what.contains([' ', '*', '…', '<'])
        };
        code.filter(is_path).collect()
    }

    /// The variables of ours that are named anywhere, in blocks too. `OBS_` and `OBS_*` stand for all of them.
    pub(crate) fn variables(&self) -> Vec<At> {
        let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let starts = self.text.match_indices("OBS_").map(|(start, _)| start);
        let starts = starts.filter(|start| !self.text[..*start].ends_with(is_part));
        let name = |start| {
            let rest = &self.text[start..];
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            (end > "OBS_".len()).then(|| self.at(&(start..start + end), rest[..end].to_owned()))
        };
        starts.filter_map(name).collect()
    }

    /// The links to files and headings, and the pictures.
    pub(crate) fn links(&self) -> Vec<At> {
        let targets = self.events().filter_map(|(event, range)| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                Some(self.at(&range, dest_url.into_string()))
            }
            _ => None,
        });
        targets.filter(|at| !at.what.contains("://")).collect()
    }

    /// Whether a link of this document leads somewhere.
    pub(crate) fn leads_somewhere(&self, link: &str, workspace: &Path) -> bool {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let here = workspace.join(&self.name);
        let target: PathBuf = match file {
            "" => here,
            file => here.with_file_name("").join(file),
        };
        if anchor.is_empty() {
            return target.exists();
        }
        fs::read_to_string(&target).is_ok_and(|text| {
            let name = target.display().to_string();
            Document { name, text }.anchors().contains(anchor)
        })
    }

    /// The anchors of headings, as GitHub makes them: a heading that comes again has a number.
    fn anchors(&self) -> BTreeSet<String> {
        let mut anchors = BTreeSet::new();
        let mut heading: Option<String> = None;
        for (event, _) in self.events() {
            match (event, &mut heading) {
                (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
                (Event::Text(text) | Event::Code(text), Some(heading)) => heading.push_str(&text),
                (Event::End(TagEnd::Heading(_)), Some(text)) => {
                    let anchor = anchor(text);
                    let numbered = (1..).map(|i| format!("{anchor}-{i}"));
                    let mut free = std::iter::once(anchor.clone()).chain(numbered);
                    anchors.extend(free.find(|name| !anchors.contains(name)));
                    heading = None;
                }
                _ => {}
            }
        }
        anchors
    }

    fn events(&self) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES).into_offset_iter()
    }

    fn at(&self, range: &Range<usize>, what: String) -> At {
        let line = self.text[..range.start].matches('\n').count() + 1;
        At { line, what }
    }
}

/// What a heading is called in a link: in small letters, blanks as hyphens, without punctuation.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# A heading, with `code`

See [above](#a-heading-with-code), `cargo xtask gen` and `crates/gone.rs`, `OBS_MODE=live`, `OBS_*`.

```sh
cargo xtask demo \\
    --once
```

- ```console
  $ cat `x`
  ```

## Again

| a | ![b](b.svg) `cargo
| --- | --- |
| `docs/*.md` | `cargo fmt` |

```text
OBS_NOT `cargo no`, [no](no.md)
```

## Again
";

    fn document() -> Document {
        Document {
            name: "docs/b.md".to_owned(),
            text: TEXT.to_owned(),
        }
    }

    fn told(found: &[At]) -> Vec<(usize, &str)> {
        found.iter().map(|at| (at.line, &*at.what)).collect()
    }

    #[test]
    fn blocks_and_spans_with_commands_are_found() {
        assert_eq!(
            told(&document().scripts()),
            [
                (3, "cargo xtask gen"),
                (6, "cargo xtask demo \\\n    --once"),
                (11, "cat `x`"),
                (18, "cargo fmt"),
            ]
        );
    }

    #[test]
    fn blocks_of_code_are_found_with_their_language_and_place() {
        let fences = document().fences();
        let found: Vec<_> = fences
            .iter()
            .map(|fence| (fence.line, &*fence.language, &*fence.text))
            .collect();
        assert_eq!(
            found,
            [
                (5, "sh", "cargo xtask demo \\\n    --once\n"),
                (10, "console", "$ cat `x`\n"),
                (20, "text", "OBS_NOT `cargo no`, [no](no.md)\n"),
            ]
        );
    }

    #[test]
    fn paths_variables_and_links_are_found() {
        let document = document();
        assert_eq!(told(&document.paths()), [(3, "crates/gone.rs")]);
        let variables = document.variables();
        assert_eq!(told(&variables), [(3, "OBS_MODE"), (21, "OBS_NOT")]);
        let links = document.links();
        assert_eq!(told(&links), [(3, "#a-heading-with-code"), (16, "b.svg")]);
    }

    #[test]
    fn a_link_leads_to_a_file_or_a_heading_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("docs")).unwrap();
        fs::write(folder.path().join("docs/a.md"), TEXT).unwrap();
        let document = document();
        let leads = |link| document.leads_somewhere(link, folder.path());
        for right in [
            "a.md",
            "a.md#a-heading-with-code",
            "a.md#again-1",
            "../docs",
        ] {
            assert!(leads(right), "{right}");
        }
        for wrong in [
            "b.md",
            "#again",
            "a.md#heading",
            "a.md#again-2",
            "docs/a.md",
        ] {
            assert!(!leads(wrong), "{wrong}");
        }
    }
}
