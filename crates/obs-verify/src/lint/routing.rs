//! What Alertmanager makes of alerts: whether it tells environments apart.

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{Lint, Linted};
use crate::Error;

#[derive(Deserialize)]
struct Configuration {
    route: Route,
    #[serde(default)]
    inhibit_rules: Vec<Inhibition>,
}

#[derive(Deserialize)]
struct Route {
    receiver: Option<String>,
    group_by: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    routes: Vec<Route>,
}

#[derive(Deserialize)]
struct Inhibition {
    #[serde(default)]
    source_matchers: Vec<String>,
    equal: Option<Spanned<Vec<String>>>,
}

/// Whether a file of YAML is a configuration of Alertmanager rather than rules.
#[must_use]
pub fn is_configuration(text: &str) -> bool {
    let starts = |line: &str| line.starts_with("route:");
    text.lines().any(starts)
}

/// What the linter says of a configuration of Alertmanager.
///
/// It fails when the file is none.
pub fn of_alertmanager(file: &str, text: &str) -> Result<Vec<Linted>, Error> {
    let configuration: Configuration =
        serde_saphyr::from_str(text).map_err(|error| Error::Unreadable {
            file: file.to_owned(),
            reason: error.to_string(),
        })?;
    let mut linted = Vec::new();
    grouped(&configuration.route, file, &mut linted);
    for inhibition in &configuration.inhibit_rules {
        let Some(equal) = &inhibition.equal else {
            continue;
        };
        // An instance is one of one environment.
        let tells_apart = |label: &String| ["environment", "instance"].contains(&label.as_str());
        if !equal.value.iter().any(tells_apart) {
            let source = inhibition.source_matchers.join(", ");
            let what = format!(
                "the inhibition by {source} silences alerts of every environment, for `equal` does not name it"
            );
            linted.push(of(&source, file, equal, &what));
        }
    }
    Ok(linted)
}

fn grouped(route: &Route, file: &str, linted: &mut Vec<Linted>) {
    if let Some(group_by) = &route.group_by {
        let tells_apart = |label: &String| ["environment", "..."].contains(&label.as_str());
        if !group_by.value.iter().any(tells_apart) {
            let receiver = route.receiver.as_deref().unwrap_or("default");
            let what = format!(
                "the route to `{receiver}` puts alerts of all environments into one message"
            );
            linted.push(of(receiver, file, group_by, &what));
        }
    }
    for route in &route.routes {
        grouped(route, file, linted);
    }
}

fn of(name: &str, file: &str, at: &Spanned<Vec<String>>, what: &str) -> Linted {
    let line = u32::try_from(at.referenced.line()).ok();
    Linted::new(Lint::EnvironmentsMixed, name, (file, line), what)
}
