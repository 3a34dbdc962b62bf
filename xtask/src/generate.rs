//! `cargo xtask gen`: the reference in the guide and the dashboards, from the declarations.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use obs_core::{Catalogue, Family, LabelDecl, Values};

use crate::catalogue::everything;
use crate::error::Error;
use crate::verify_metrics::vocabulary;
use crate::{dashboards, kubernetes, queries};

/// The file that holds the reference, from the workspace's directory.
pub(crate) const GUIDE: &str = "docs/METRICS_GUIDE.md";

/// The guide to the dashboards, whose drawings stand between the same lines.
const DASHBOARDS_GUIDE: &str = "docs/GRAFANA_DASHBOARDS.md";

/// The reference stands between these lines; everything outside is written by hand.
const BEGIN: &str = "<!-- reference:begin -->";
const END: &str = "<!-- reference:end -->";

/// Write the reference part of the guide, and the dashboards, from the declarations
#[derive(clap::Args)]
pub(crate) struct Gen {
    /// Write nothing, and fail when something is stale.
    #[arg(long)]
    pub(crate) check: bool,
}

impl Gen {
    pub(crate) fn run(&self) -> Result<bool, Error> {
        let workspace = obs_tests::tools::workspace();
        let catalogue = everything()?;
        let guide = read(&workspace.join(GUIDE))?;
        let fresh = with_reference(GUIDE, &guide, &reference(&catalogue))?;
        self.put(GUIDE, &guide, &fresh)?;

        let drawn = dashboards::guide(&dashboards::all());
        let guide = read(&workspace.join(DASHBOARDS_GUIDE))?;
        let fresh = with_reference(DASHBOARDS_GUIDE, &guide, &drawn)?;
        self.put(DASHBOARDS_GUIDE, &guide, &fresh)?;

        let vocabulary = vocabulary(&catalogue, &queries::rules(&workspace)?);
        for dashboard in dashboards::all() {
            let name = format!("{}/{}.json", queries::DASHBOARDS, dashboard.name);
            let json = dashboards::json(&dashboard, &catalogue, &vocabulary);
            // The first time there is no file.
            let current = read(&workspace.join(&name)).unwrap_or_default();
            self.put(&name, &current, &format!("{json:#}\n"))?;
        }
        for (name, text) in [
            (
                "rules",
                kubernetes::rules(&queries::files(&workspace, queries::RULES, "yml")?),
            ),
            (
                "dashboards",
                kubernetes::dashboards(&queries::files(&workspace, queries::DASHBOARDS, "json")?),
            ),
        ] {
            let name = format!("{}/{name}.yaml", kubernetes::MANIFESTS);
            let current = read(&workspace.join(&name)).unwrap_or_default();
            self.put(&name, &current, &text)?;
        }
        Ok(true)
    }

    /// Brings a file up to date, or fails if it is not.
    fn put(&self, name: &str, current: &str, fresh: &str) -> Result<(), Error> {
        let path = PathBuf::from(name);
        match first_difference(current, fresh) {
            None => Ok(()),
            Some(line) if self.check => Err(Error::Stale { path, line }),
            Some(_) => {
                let written = fs::write(obs_tests::tools::workspace().join(name), fresh);
                written.map_err(|source| Error::File {
                    verb: "write",
                    path,
                    source,
                })?;
                eprintln!("{name} is written anew");
                Ok(())
            }
        }
    }
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::File {
        verb: "read",
        path: path.to_owned(),
        source,
    })
}

/// The guide with this reference in place of its own.
fn with_reference(name: &str, guide: &str, reference: &str) -> Result<String, Error> {
    let no_mark = |mark| Error::NoMark {
        path: PathBuf::from(name),
        mark,
    };
    let (before, rest) = guide.split_once(BEGIN).ok_or_else(|| no_mark(BEGIN))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| no_mark(END))?;
    Ok(format!("{before}{BEGIN}\n\n{reference}\n{END}{after}"))
}

/// The first line of the fresh text that the current one does not have in its place.
fn first_difference(current: &str, fresh: &str) -> Option<String> {
    if current == fresh {
        return None;
    }
    let mut lines = fresh.lines().zip(current.lines()).enumerate();
    let told = lines
        .find(|(_, (fresh, current))| fresh != current)
        .map_or_else(
            || "its end is missing, or there is more than there should be".to_owned(),
            |(i, (fresh, _))| format!("line {} should be {fresh:?}", i + 1),
        );
    Some(told)
}

/// All families, by the package that declares them.
fn reference(catalogue: &Catalogue) -> String {
    let mut packages: BTreeMap<&str, Vec<&Family>> = BTreeMap::new();
    for family in catalogue.families() {
        packages.entry(family.package()).or_default().push(family);
    }
    let mut text = format!(
        "{} metrics, written by `cargo xtask gen` from their declarations.\n",
        catalogue.families().len()
    );
    for (package, families) in packages {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n### {package}\n");
        for family in families {
            text.push_str(&entry(family));
        }
    }
    text
}

/// What there is to know of one family.
fn entry(family: &Family) -> String {
    let (file, _) = family.declared_at();
    let mut text = format!(
        "\n#### `{}`\n\n{}\n\n{} · {} · at most {} series · declared in `{file}`\n",
        family.name(),
        plain(family.doc()),
        family.kind().as_str(),
        family.measured_in().as_str(),
        thousands(family.series_budget()),
    );
    for (what, numbers) in [
        ("Buckets up to", family.bucket_bounds()),
        ("Quantiles", family.quantile_levels()),
    ] {
        if !numbers.is_empty() {
            let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
            let _ = write!(text, "\n{what} {}\n", numbers.join(", "));
        }
    }
    if family.labels().next().is_some() {
        text.push_str("\n| label | values | meaning |\n| --- | --- | --- |\n");
    }
    for label in family.labels() {
        text.push_str(&row(&label));
    }
    text
}

fn row(label: &LabelDecl) -> String {
    let values = match label.values {
        Values::Closed(values) => {
            let quoted: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
            quoted.join(", ")
        }
        Values::Open(limit) => format!("any text; {} and `{}`", thousands(limit), obs_core::OTHER),
    };
    let meaning = plain(&label.help()).replace('|', "\\|");
    format!("| `{}` | {values} | {meaning} |\n", label.key)
}

/// A doc comment as Markdown outside of rustdoc: without the blank behind `///`, and with links to items as plain text.
fn plain(doc: &str) -> String {
    let lines = doc
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line));
    let text = lines.collect::<Vec<_>>().join("\n");
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.trim();
    while let Some((before, link)) = rest.split_once('[') {
        plain.push_str(before);
        let Some((name, after)) = link.split_once(']') else {
            rest = &rest[before.len()..];
            break;
        };
        let target = after
            .strip_prefix('(')
            .and_then(|target| target.split_once(')'));
        match target {
            Some((target, after)) if target.contains("://") => {
                let _ = write!(plain, "[{name}]({target})");
                rest = after;
            }
            Some((_, after)) => {
                plain.push_str(name);
                rest = after;
            }
            None => {
                plain.push_str(name);
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// `10,000` rather than `10000`.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use obs_core::{By, Histogram};

    use super::*;

    obs_core::label! {
        /// Buy | sell.
        enum Side as "side" { Buy = "buy", Sell = "sell" }
    }
    obs_core::label! {
        /// Where orders go.
        open Venue as "venue" up to 2_000
    }
    obs_core::families! {
        struct Orders(venue: Venue) {
            /// Time to the last fill, see [`Venue`] and [the paper](https://example.org/a).
            ///
            /// Measured by [`Timed`](crate::Timed), [as it is.
            fill: By<Side, Histogram> = "desk_fill_seconds" { buckets: &[0.5, 1.0], budget: 3_000 },
        }
    }

    const EXPECTED: &str = "\
1 metrics, written by `cargo xtask gen` from their declarations.

### xtask

#### `desk_fill_seconds`

Time to the last fill, see `Venue` and [the paper](https://example.org/a).

Measured by `Timed`, [as it is.

histogram · seconds · at most 3,000 series · declared in `xtask/src/generate.rs`

Buckets up to 0.5, 1

| label | values | meaning |
| --- | --- | --- |
| `venue` | any text; 2,000 and `other` | Where orders go. |
| `side` | `buy`, `sell` | Buy \\| sell. |
";

    #[test]
    fn a_family_is_told_whole() {
        assert_eq!(reference(&Catalogue::of(&[Orders::FAMILIES])), EXPECTED);
    }

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let guide = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let fresh = with_reference(GUIDE, &guide, "new\n").unwrap();
        assert_eq!(fresh, format!("before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"));
        assert_eq!(with_reference(GUIDE, &fresh, "new\n").unwrap(), fresh);
        assert_eq!(first_difference(&fresh, &fresh), None);
        assert_eq!(
            first_difference(&guide, &fresh).unwrap(),
            "line 3 should be \"\""
        );
    }

    #[test]
    fn a_guide_without_marks_is_an_error_that_names_the_mark() {
        for (guide, mark) in [("nothing", BEGIN), (BEGIN, END)] {
            let error = with_reference(GUIDE, guide, "new").unwrap_err().to_string();
            assert!(error.contains(mark), "{error}");
        }
    }
}
