//! Which families are shown together, and in which order.

use obs_core::{Family, Figure, Group};

/// A group of a program, joined from the declarations that name it.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) id: String,
    pub(super) title: &'static str,
    pub(super) rank: u16,
    pub(super) figures: Vec<&'static Figure>,
    /// Whether a declaration gave it its title; else the package's name is.
    is_named: bool,
    /// The package that declares all of its families; none where there are several.
    package: Option<&'static str>,
}

/// The groups that have families: those that the package of the program itself declares, then those of libraries. Both are in order of
/// rank, and those of one rank in the order of declaration.
pub(super) fn of(families: impl Iterator<Item = &'static Family>, program: &str) -> Vec<Shown> {
    let mut found = by_rank(families);
    found.sort_by_key(|group| group.package != Some(program));
    found
}

fn by_rank(families: impl Iterator<Item = &'static Family>) -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    for family in families {
        let group = Shown::around(family);
        match found.iter_mut().find(|known| known.id == group.id) {
            Some(known) => known.join(group),
            None => found.push(group),
        }
    }
    found.sort_by_key(|group| group.rank);
    found
}

/// The figures of all groups, by rank.
pub(super) fn figures(families: impl Iterator<Item = &'static Family>) -> Vec<&'static Figure> {
    let groups = by_rank(families).into_iter();
    let ranked = groups.flat_map(|group| {
        let figures = group.figures.into_iter();
        figures.map(move |figure| (figure.rank.unwrap_or(group.rank), figure))
    });
    let mut figures: Vec<_> = ranked.collect();
    figures.sort_by_key(|(rank, _)| *rank);
    figures.into_iter().map(|(_, figure)| figure).collect()
}

/// Where a family is shown.
pub(super) fn id_of(family: &Family) -> String {
    id(title_of(family))
}

impl Shown {
    fn around(family: &Family) -> Self {
        let group = family.group();
        Self {
            id: id_of(family),
            title: title_of(family),
            rank: group.map_or(Group::OWN, |group| group.rank),
            figures: group.map_or_else(Vec::new, |group| group.figures.iter().collect()),
            is_named: group.is_some(),
            package: Some(family.package()),
        }
    }

    /// Takes in another declaration of the same group, which may be the same one, of another of its families.
    fn join(&mut self, other: Self) {
        if other.is_named && !self.is_named {
            self.title = other.title;
            self.is_named = true;
        }
        self.rank = self.rank.min(other.rank);
        self.package = self
            .package
            .filter(|package| other.package == Some(package));
        for figure in other.figures {
            if self.figures.iter().all(|known| known.title != figure.title) {
                self.figures.push(figure);
            }
        }
    }
}

/// The title of a family's group; without one the package that declares it.
fn title_of(family: &Family) -> &'static str {
    family
        .group()
        .map_or_else(|| family.package(), |group| group.title)
}

/// A title as one word, by which families and links name the group: `Data providers` is `data-providers`.
fn id(title: &str) -> String {
    let words = title.split(|character: char| !character.is_alphanumeric());
    let words: Vec<_> = words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.join("-")
}

#[cfg(test)]
mod tests {
    use obs_core::{Counter, Kind};

    use super::*;

    obs_core::families! {
        group "Quoting" { Figure::rate("Quotes", Quotes::sent) }

        /// Quotes.
        struct Quotes {
            /// Quotes sent.
            sent: Counter = "quoter_quotes_total",
        }
    }

    const LATER: Group = Group::new("Quoting")
        .rank(Group::LIBRARY)
        .figures(&[Figure::rate("Hedges", Hedges::sent)]);

    obs_core::families! {
        group LATER;

        /// Hedges.
        struct Hedges {
            /// Hedges sent.
            sent: Counter = "quoter_hedges_total",
            /// Hedges refused.
            refused: Counter = "quoter_hedges_refused_total",
        }
    }

    /// A family without a group, of that package.
    fn family_of(package: &'static str) -> &'static Family {
        let family = Family::new("x_total", "X.", Kind::Counter, 0, None, 0);
        Box::leak(Box::new(family.declared(package, "", 0)))
    }

    fn titles(groups: &[Shown]) -> Vec<&str> {
        groups.iter().map(|group| group.title).collect()
    }

    #[test]
    fn declarations_of_one_title_are_one_group_of_the_lowest_rank() {
        let groups = of(Hedges::FAMILIES.iter().chain(Quotes::FAMILIES), "");
        assert_eq!(titles(&groups), ["Quoting"]);
        assert_eq!(groups[0].rank, Group::OWN);
        let figures: Vec<_> = groups[0]
            .figures
            .iter()
            .map(|figure| figure.title)
            .collect();
        assert_eq!(figures, ["Hedges", "Quotes"]);
    }

    #[test]
    fn the_programs_own_groups_come_before_those_about_itself() {
        let own = crate::catalogue().unwrap();
        let groups = of(
            own.families()
                .chain([family_of("my-desk")])
                .chain(Quotes::FAMILIES),
            "my-desk",
        );
        assert_eq!(
            titles(&groups),
            ["my-desk", "Quoting", "System", "Errors", "Metrics"]
        );
    }

    #[test]
    fn what_the_program_declares_comes_before_libraries_whatever_its_rank() {
        const REPLAY: Group = Group::new("Replay").rank(Group::LIBRARY + 90);
        const TRADING: Group = Group::new("Trading").rank(Group::LIBRARY);
        let of_group = |package, group| {
            let family = *family_of(package);
            &*Box::leak(Box::new(family.grouped(Some(group))))
        };
        // A group that the program shares with a library is the library's.
        let families = [
            of_group("obs-trading", || &TRADING),
            of_group("my-desk", || &TRADING),
            of_group("my-desk", || &REPLAY),
        ];
        let groups = |program| of(families.into_iter(), program);
        assert_eq!(titles(&groups("my-desk")), ["Replay", "Trading"]);
        assert_eq!(titles(&groups("another")), ["Trading", "Replay"]);
    }

    #[test]
    fn a_package_that_is_called_like_a_group_belongs_to_it() {
        let groups = of(
            [family_of("quoting")].into_iter().chain(Quotes::FAMILIES),
            "",
        );
        assert_eq!(titles(&groups), ["Quoting"]);
        assert_eq!(id("Data providers"), "data-providers");
        assert_eq!(id_of(family_of("my_desk")), "my-desk");
    }
}
