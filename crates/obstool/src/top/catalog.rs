//! What `/catalog.json` of this workspace's exporter says of a service, as far as it is shown.

use std::collections::HashMap;

use serde::Deserialize;

/// A service and its families; empty for a target that has no catalogue.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Catalog {
    #[serde(default)]
    pub(super) service: Option<String>,
    #[serde(default)]
    pub(super) environment: Option<String>,
    #[serde(default)]
    pub(super) mode: Option<String>,
    #[serde(default)]
    pub(super) app: Option<App>,
    /// In the order they are shown in.
    pub(super) groups: Vec<Group>,
    /// In the order of declaration.
    pub(super) families: Vec<Declared>,
    #[serde(skip)]
    places: HashMap<String, usize>,
}

#[derive(Debug, Deserialize)]
pub(super) struct App {
    pub(super) version: String,
}

/// Families that are shown together.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) title: String,
}

/// What is said of a family.
#[derive(Debug, Deserialize)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) group: String,
    pub(super) unit: String,
}

impl Catalog {
    /// Reads it; none where this is something else.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut catalog: Self = serde_json::from_str(text).ok()?;
        let families = catalog.families.iter().enumerate();
        catalog.places = families
            .map(|(at, family)| (family.name.clone(), at))
            .collect();
        Some(catalog)
    }

    /// Where a family stands in it.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    pub(super) fn family(&self, name: &str) -> Option<&Declared> {
        self.place(name).map(|place| &self.families[place])
    }
}
