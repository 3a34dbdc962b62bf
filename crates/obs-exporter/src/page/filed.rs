//! The catalogue in a mapped file, for a reader that shows what this process recorded when it hangs or is dead.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use obs_core::{Catalogue, Family};
use obs_recorder::Engine;
use serde_core::Serialize;

use super::catalog::Catalog;
use crate::{AppInfo, Config};

/// What is in the file of the catalogue: a note for each group and family, and one for the rest.
pub(crate) struct Filed {
    app: AppInfo,
    config: Config,
    /// What is known beforehand.
    catalogue: Catalogue,
    /// How many families were resolved.
    resolved: Option<usize>,
    /// What was said, by its hash: a group may come to have more figures.
    said: HashMap<String, u64>,
}

impl Filed {
    /// Nothing where there is no file.
    pub(crate) fn new(app: &AppInfo, config: &Config, catalogue: &Catalogue) -> Option<Self> {
        config.memory.is_some().then(|| Self {
            app: *app,
            config: config.clone(),
            catalogue: catalogue.clone(),
            resolved: None,
            said: HashMap::new(),
        })
    }

    /// Says what is new. Without new families it does nothing.
    pub(crate) fn say(&mut self, engine: &Engine) {
        let resolved = engine.admission().declared();
        if self.resolved.replace(resolved.len()) == Some(resolved.len()) {
            return;
        }
        let own_name =
            |(name, family): (String, &'static Family)| (name == family.name()).then_some(family);
        let resolved = resolved.into_iter().filter_map(own_name);
        let known = self.catalogue.clone().with(resolved);
        let (app, config) = (self.app, self.config.clone());
        let mut catalog = Catalog::new(&app, &config, &known, &[]);
        for family in std::mem::take(&mut catalog.families) {
            self.note(engine, format!("family:{}", family.name), &family);
        }
        for group in std::mem::take(&mut catalog.groups) {
            self.note(engine, format!("group:{}", group.id), &group);
        }
        self.note(engine, "catalog".to_owned(), &catalog);
    }

    fn note(&mut self, engine: &Engine, key: String, said: &impl Serialize) {
        let Ok(text) = serde_json::to_string(said) else {
            return;
        };
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = hasher.finish();
        if self.said.get(&key) != Some(&hash) {
            engine.note(&key, &text);
            self.said.insert(key, hash);
        }
    }
}
