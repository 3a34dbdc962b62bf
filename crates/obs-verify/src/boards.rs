//! Dashboards of what the crates of this workspace measure: short definitions, of which [`dashboard`](crate::dashboard) makes JSON.

mod api;
mod data_providers;
mod error;
mod execution;
mod feeds;
mod fleet;
mod main;
mod objectives;
mod positions;
mod risk;
mod sentiment;
mod storage;
mod strategy;
mod system_health;
mod trading;

use std::collections::BTreeSet;

use crate::Catalog;
use crate::dashboard::{Dashboard, Panel, Row, alerts_in};
use crate::drawn::abreast;
use crate::promql::{Vocabulary, check};
use crate::queried::vocabulary;
use crate::queries::{Query, Role, families_in, recorded_in, substituted};

/// All of them, the main one first.
#[must_use]
pub fn all() -> Vec<Dashboard> {
    vec![
        main::dashboard(),
        trading::dashboard(),
        execution::dashboard(),
        strategy::dashboard(),
        positions::dashboard(),
        risk::dashboard(),
        data_providers::dashboard(),
        feeds::dashboard(),
        sentiment::dashboard(),
        api::dashboard(),
        storage::dashboard(),
        system_health::dashboard(),
        fleet::dashboard(),
        objectives::dashboard(),
        error::dashboard(),
    ]
}

/// Those of them for which a service has metrics, with the panels that show something of it. `rules` are the rules that its Prometheus
/// evaluates: panels may ask for what they record, and lead to their alerts.
#[must_use]
pub fn of(catalog: &Catalog, rules: &[Query]) -> Vec<Dashboard> {
    let service = Service {
        catalog,
        rules,
        vocabulary: vocabulary(catalog, rules),
    };
    let boards = all().into_iter();
    boards.filter_map(|board| service.part_of(board)).collect()
}

struct Service<'a> {
    catalog: &'a Catalog,
    rules: &'a [Query],
    vocabulary: Vocabulary,
}

impl Service<'_> {
    fn part_of(&self, mut board: Dashboard) -> Option<Dashboard> {
        let mut rows = board.rows.into_iter().map(|row| self.part_of_row(row));
        // A dashboard that cannot say whether all is right is about something else than what the service does.
        let first = rows.next().filter(|first| !first.is_empty())?;
        board.rows = first.into_iter().chain(rows.flatten()).collect();
        let mut panels = board.rows.iter().flat_map(|row| &row.panels);
        // What Prometheus makes itself, such as `up`, every service has.
        panels
            .any(|panel| self.is_of_service(panel))
            .then_some(board)
    }

    fn is_of_service(&self, panel: &Panel) -> bool {
        let mut texts = panel.queries.iter().map(|query| query.text.as_str());
        texts.any(|text| {
            !families_in(text, self.catalog).is_empty() || !recorded_in(text, self.rules).is_empty()
        })
    }

    fn part_of_row(&self, row: Row) -> Vec<Row> {
        let across = row.panels.len();
        let panels = row.panels.into_iter();
        let panels: Vec<_> = panels
            .filter_map(|panel| self.part_of_panel(panel))
            .collect();
        let mut rows = abreast(&row.title, panels, across);
        for part in &mut rows {
            part.is_folded = row.is_folded;
        }
        rows
    }

    fn part_of_panel(&self, mut panel: Panel) -> Option<Panel> {
        let is_known = |text: &str| check(&substituted(text), &self.vocabulary).1.is_empty();
        let shows = |panel: &Panel| {
            let mut queries = panel.queries.iter();
            queries.any(|query| !panel.hidden.contains(&query.legend))
        };
        let had_columns = shows(&panel);
        panel.queries.retain(|query| is_known(&query.text));
        // Columns that are hidden may be all there are: then the labels of a row are what is shown.
        if panel.queries.is_empty() || had_columns && !shows(&panel) {
            return None;
        }
        let is_column = |name: &String| panel.queries.iter().any(|query| query.legend == *name);
        panel.hidden.retain(&is_column);
        let asked = &panel.queries[0].text;
        let is_there =
            |(name, _): &(String, bool)| is_column(name) || asked.contains(name.as_str());
        panel.order = panel.order.filter(is_there);
        panel.act = self.act(&panel.act);
        Some(panel)
    }

    /// Of the alerts that say what to do, those that there are.
    fn act(&self, act: &str) -> String {
        let alerts: BTreeSet<&str> = self
            .rules
            .iter()
            .filter_map(|rule| match &rule.role {
                Role::Alert(alert) => Some(alert.name.as_str()),
                _ => None,
            })
            .collect();
        let named: Vec<&str> = alerts_in(act).collect();
        let known: Vec<&str> = named
            .iter()
            .copied()
            .filter(|name| alerts.contains(name))
            .collect();
        match (named.is_empty(), known.is_empty()) {
            (true, _) => act.to_owned(),
            (false, true) => "look at the panels below.".to_owned(),
            (false, false) => known.join(", "),
        }
    }
}

/// What each process says of each strategy, account and currency, of a family that must not be added up: the highest of one.
fn of_strategies(family: &str) -> String {
    format!(r#"max by (#, account, strategy, currency) ({family}{{@, strategy=~"$strategy"}})"#)
}

/// The same of whole accounts.
fn of_accounts(family: &str) -> String {
    format!("max by (#, account, currency) ({family}{{@}})")
}

/// How long ago that was, and never less than 0: clocks differ. A replay's time is that of its data, years away from the clock; what
/// is more than a year ago is left out.
fn since(timestamp: &str) -> String {
    format!("clamp_min((time() - {timestamp}) < 31536000, 0)")
}

/// How long it is until then, and 0 when that is past. A replay's time is left out, as above.
fn until(timestamp: &str) -> String {
    format!("clamp_min(({timestamp} - time()) > -86400, 0)")
}
