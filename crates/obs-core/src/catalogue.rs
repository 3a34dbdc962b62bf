//! Every family of a program in one value.

use std::collections::BTreeMap;
use std::fmt;

use metrics::Recorder;

use crate::{Family, channel, recorder};

/// The families of a crate or a whole program: an explicit list, joined from the lists of its parts.
///
/// ```
/// # use obs_core::Counter;
/// # obs_core::families! { /// Mine.
/// # struct MyMetrics { /// Things seen.
/// # seen: Counter = "my_things_total", } }
/// use obs_core::Catalogue;
///
/// let catalogue = Catalogue::join([obs_core::catalogue(), Catalogue::of(&[MyMetrics::FAMILIES])])?;
/// assert_eq!(catalogue.family("my_things_total").map(|family| family.help()), Some("Things seen.".into()));
/// # Ok::<(), obs_core::CatalogueError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    families: Vec<&'static Family>,
}

/// Two declarations of one name.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "metric `{name}` is declared in {first} and again in {second}; rename one, or use the other's declaration"
)]
pub struct CatalogueError {
    /// The name that is declared twice.
    pub name: &'static str,
    /// Package, file and line of the first declaration.
    pub first: String,
    /// The same of the second.
    pub second: String,
}

impl fmt::Debug for CatalogueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::fmt_error(self, f)
    }
}

impl Catalogue {
    /// The families of one crate, from the structs that declare them.
    #[must_use]
    pub fn of(lists: &[&'static [Family]]) -> Self {
        Self {
            families: lists.iter().copied().flatten().collect(),
        }
    }

    /// Joins catalogues. The same declaration may come in by several ways and counts once; two declarations of one name are
    /// an error.
    pub fn join(parts: impl IntoIterator<Item = Self>) -> Result<Self, CatalogueError> {
        let mut by_name: BTreeMap<&'static str, &'static Family> = BTreeMap::new();
        let mut families = Vec::new();
        for family in parts.into_iter().flat_map(|part| part.families) {
            match by_name.insert(family.name(), family) {
                None => families.push(family),
                Some(first) if first.place() == family.place() => {}
                Some(first) => {
                    let (first, second) = (first.place(), family.place());
                    return Err(CatalogueError {
                        name: family.name(),
                        first,
                        second,
                    });
                }
            }
        }
        Ok(Self { families })
    }

    /// Adds families whose names it does not have yet, such as those of which a recorder was given handles.
    #[must_use]
    pub fn with(mut self, families: impl IntoIterator<Item = &'static Family>) -> Self {
        for family in families {
            if self.family(family.name()).is_none() {
                self.families.push(family);
            }
        }
        self
    }

    /// The families, in the order of declaration.
    #[must_use]
    pub fn families(&self) -> impl ExactSizeIterator<Item = &'static Family> {
        self.families.iter().copied()
    }

    /// The family of that name.
    #[must_use]
    pub fn family(&self, name: &str) -> Option<&'static Family> {
        self.families().find(|family| family.name() == name)
    }

    /// Describes every family to a recorder: its help and unit, and all of its declaration to one that understands it
    /// ([`resolving`](crate::resolving)).
    pub fn describe(&self, recorder: &impl Recorder) {
        for family in self.families() {
            channel::with(family, false, || recorder::describe(recorder, family));
        }
    }
}
