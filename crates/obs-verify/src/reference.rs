//! The reference of a catalogue: every family with its labels, as Markdown.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::{Catalog, Family, Label};

/// Every family as Markdown, by the package that declares it. `by` is the command that writes it.
#[must_use]
pub fn reference(catalog: &Catalog, by: &str) -> String {
    let mut text = format!(
        "{} metrics, written by `{by}` from their declarations.\n",
        catalog.families.len()
    );
    for (package, families) in by_package(catalog) {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n### {package}\n");
        for family in families {
            text.push_str(&entry(family));
        }
    }
    text
}

/// Links to the sections of a document and, below them, to every metric of its reference, by package.
#[must_use]
pub fn index(document: &str, catalog: &Catalog) -> String {
    let mut text = String::new();
    let titles = document.lines().filter_map(|line| line.strip_prefix("## "));
    for title in titles {
        let anchor = title.to_lowercase().replace(' ', "-");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "- [{title}](#{anchor})");
    }
    for (package, families) in by_package(catalog) {
        let names = families.iter().map(|family| &family.name);
        let links: Vec<_> = names.map(|name| format!("[`{name}`](#{name})")).collect();
        let _ = writeln!(text, "  - [{package}](#{package}): {}", links.join(", "));
    }
    text
}

fn by_package(catalog: &Catalog) -> BTreeMap<&str, Vec<&Family>> {
    let mut packages: BTreeMap<&str, Vec<&Family>> = BTreeMap::new();
    for family in &catalog.families {
        packages.entry(&family.package).or_default().push(family);
    }
    packages
}

/// What there is to know of one family.
fn entry(family: &Family) -> String {
    let mut text = format!(
        "\n#### `{}`\n\n{}\n\n{} · {}",
        family.name,
        plain(family.text()),
        family.kind.as_str(),
        family.unit_word(),
    );
    // Writing to a string cannot fail.
    if let Some(budget) = family.budget {
        let _ = write!(text, " · at most {} series", thousands(budget));
    }
    if let Some((file, _)) = &family.declared_at {
        let _ = write!(text, " · declared in `{file}`");
    }
    text.push('\n');
    for (what, numbers) in [
        ("Buckets up to", &family.buckets),
        ("Quantiles", &family.quantiles),
    ] {
        if !numbers.is_empty() {
            let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
            let _ = write!(text, "\n{what} {}\n", numbers.join(", "));
        }
    }
    if !family.labels.is_empty() {
        text.push_str("\n| label | values | meaning |\n| --- | --- | --- |\n");
    }
    for label in &family.labels {
        text.push_str(&row(label));
    }
    text
}

fn row(label: &Label) -> String {
    let values = match (&label.values, label.limit) {
        (Some(values), _) => {
            let quoted: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
            quoted.join(", ")
        }
        (None, Some(limit)) => {
            format!("any text; {} and `{}`", thousands(limit), obs_core::OTHER)
        }
        (None, None) => "any text".to_owned(),
    };
    let meaning = plain(&label.help).replace('|', "\\|");
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
    use obs_core::{By, Catalogue, Histogram};

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

### obs-verify

#### `desk_fill_seconds`

Time to the last fill, see `Venue` and [the paper](https://example.org/a).

Measured by `Timed`, [as it is.

histogram · seconds · at most 3,000 series · declared in `crates/obs-verify/src/reference.rs`

Buckets up to 0.5, 1

| label | values | meaning |
| --- | --- | --- |
| `venue` | any text; 2,000 and `other` | Where orders go. |
| `side` | `buy`, `sell` | Buy \\| sell. |
";

    #[test]
    fn a_family_is_told_whole() {
        let catalog = Catalog::from(&Catalogue::of(&[Orders::FAMILIES]));
        assert_eq!(reference(&catalog, "cargo xtask gen"), EXPECTED);
    }

    #[test]
    fn the_index_links_sections_and_metrics() {
        let catalog = Catalog::from(&Catalogue::of(&[Orders::FAMILIES]));
        let document = "# Guide\n\n## What it is\n\n### Detail\n\n## Reference\n";
        let expected = "- [What it is](#what-it-is)\n- [Reference](#reference)\n  \
                        - [obs-verify](#obs-verify): [`desk_fill_seconds`](#desk_fill_seconds)\n";
        assert_eq!(index(document, &catalog), expected);
    }
}
