//! The groups that a program's families are shown in, as its `/catalog.json` has them.

use obs_core::Family;

use crate::Group;
use crate::figure::declared;

/// A group, joined from the declarations that name it.
struct Joined {
    id: String,
    title: &'static str,
    rank: u16,
    figures: Vec<&'static obs_core::Figure>,
    /// Whether a declaration gave it its title; else the package's name is.
    is_named: bool,
}

/// The groups that have families, by rank; those of one rank in the order of declaration.
pub(crate) fn groups(families: impl Iterator<Item = &'static Family>) -> Vec<Group> {
    let mut groups: Vec<Joined> = Vec::new();
    for family in families {
        let group = Joined::around(family);
        match groups.iter_mut().find(|known| known.id == group.id) {
            Some(known) => known.join(group),
            None => groups.push(group),
        }
    }
    groups.sort_by_key(|group| group.rank);
    groups.into_iter().map(Joined::group).collect()
}

/// Where a family is shown.
pub(crate) fn id_of(family: &Family) -> String {
    id(title_of(family))
}

impl Joined {
    fn around(family: &Family) -> Self {
        let group = family.group();
        Self {
            id: id_of(family),
            title: title_of(family),
            rank: group.map_or(obs_core::Group::OWN, |group| group.rank),
            figures: group.map_or_else(Vec::new, |group| group.figures.iter().collect()),
            is_named: group.is_some(),
        }
    }

    /// Takes in another declaration of the same group, or the same one of another of its families.
    fn join(&mut self, other: Self) {
        if other.is_named && !self.is_named {
            self.title = other.title;
            self.is_named = true;
        }
        self.rank = self.rank.min(other.rank);
        for figure in other.figures {
            if self.figures.iter().all(|known| known.title != figure.title) {
                self.figures.push(figure);
            }
        }
    }

    fn group(self) -> Group {
        let figures = self.figures.into_iter();
        Group {
            figures: figures.map(|figure| declared(figure, self.rank)).collect(),
            id: self.id,
            title: self.title.to_owned(),
            rank: self.rank,
        }
    }
}

/// The title of a family's group; without one the package that declares it.
fn title_of(family: &Family) -> &'static str {
    let group = family.group();
    group.map_or_else(|| family.package(), |group| group.title)
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
