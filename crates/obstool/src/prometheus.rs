//! Questions to a running Prometheus.

#[cfg(feature = "top")]
use std::collections::{BTreeMap, BTreeSet};

use obs_verify::asked::Answer;
#[cfg(feature = "top")]
use obs_verify::{Catalog, queries::families_in};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
#[cfg(feature = "top")]
use serde::Deserialize;
use serde_json::Value;

use crate::client::{Client, JSON};
use crate::{Access, Error, Failure, Place};

/// A Prometheus, or whatever speaks like one.
pub(crate) struct Prometheus {
    client: Client,
    /// Where its interface begins.
    path: String,
}

/// An alert that fires.
#[cfg(feature = "top")]
#[derive(Debug, serde::Serialize)]
pub(crate) struct Firing {
    name: String,
    severity: Option<String>,
    #[serde(skip)]
    service: Option<String>,
    #[serde(skip)]
    instance: Option<String>,
}

#[cfg(feature = "top")]
impl Firing {
    fn new(alert: &Value) -> Self {
        let label = |key: &str| alert["labels"][key].as_str().map(str::to_owned);
        Self {
            name: label("alertname").unwrap_or_default(),
            severity: label("severity"),
            service: label("service"),
            instance: label("instance"),
        }
    }

    /// Whether it is about this service: the process at this address where it names one, else whatever has the service's name.
    pub(crate) fn is_of(&self, service: Option<&str>, host: &str) -> bool {
        match (&self.instance, &self.service) {
            (Some(instance), _) => instance == host,
            (None, named) => named.is_some() && named.as_deref() == service,
        }
    }
}

/// A rule that watches something, and what it says now.
#[cfg(feature = "top")]
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Alerting {
    pub(crate) name: String,
    pub(crate) query: String,
    /// For how many seconds that has to hold before it fires.
    #[serde(default)]
    pub(crate) duration: f64,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    /// `inactive`, `pending` or `firing`; empty where that is not said.
    #[serde(default)]
    pub(crate) state: String,
}

/// The rules of a Prometheus.
#[cfg(feature = "top")]
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) alerting: Vec<Alerting>,
    /// What is recorded, and by which query.
    recorded: BTreeMap<String, String>,
}

#[cfg(feature = "top")]
impl Rules {
    fn of(groups: &[Value]) -> Self {
        let mut rules = Self::default();
        let lists = groups.iter().filter_map(|group| group["rules"].as_array());
        for rule in lists.flatten() {
            if rule["type"] == "alerting" {
                // What is not as Prometheus says it is left out.
                rules.alerting.extend(Alerting::deserialize(rule));
            } else if let (Some(name), Some(query)) =
                (rule["name"].as_str(), rule["query"].as_str())
            {
                rules.recorded.insert(name.to_owned(), query.to_owned());
            }
        }
        rules
    }

    /// The families that a query reads, by itself or through what is recorded.
    pub(crate) fn read_by(&self, query: &str, catalog: &Catalog) -> BTreeSet<String> {
        let (mut waiting, mut seen) = (vec![query], BTreeSet::new());
        let mut found = BTreeSet::new();
        while let Some(query) = waiting.pop() {
            found.extend(families_in(query, catalog).into_iter().map(str::to_owned));
            let words = query.split(|c: char| !c.is_alphanumeric() && !"_:".contains(c));
            let named = words.filter_map(|word| self.recorded.get_key_value(word));
            // Each once, whatever records whatever.
            waiting.extend(
                named
                    .filter(|(name, _)| seen.insert(*name))
                    .map(|(_, query)| query.as_str()),
            );
        }
        found
    }
}

impl Prometheus {
    /// It is somebody else's than the service: it gets none of the service's credentials.
    pub(crate) fn new(place: &Place, access: &Access) -> Result<Self, Error> {
        let access = Access {
            bearer_token_file: None,
            basic_auth_file: None,
            ..access.clone()
        };
        let path = place.path.as_deref().unwrap_or_default();
        Ok(Self {
            client: Client::new(place, &access)?,
            path: path.trim_end_matches('/').to_owned(),
        })
    }

    /// Which alerts fire now.
    #[cfg(feature = "top")]
    pub(crate) fn firing(&self) -> Result<Vec<Firing>, Error> {
        let alerts = self.list("alerts", "alerts")?;
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        Ok(firing.map(Firing::new).collect())
    }

    /// Its rules.
    #[cfg(feature = "top")]
    pub(crate) fn rules(&self) -> Result<Rules, Error> {
        Ok(Rules::of(&self.list("rules", "groups")?))
    }

    /// A list of its interface.
    #[cfg(feature = "top")]
    fn list(&self, path: &str, member: &str) -> Result<Vec<Value>, Error> {
        let path = format!("{}/api/v1/{path}", self.path);
        let answer = self.client.get(&path, JSON)?;
        let mut json: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        let Value::Array(list) = json["data"][member].take() else {
            let failure = Failure::Unreadable {
                url: self.client.url(&path),
                reason: "it does not answer as Prometheus does".to_owned(),
            };
            return Err(failure.into());
        };
        Ok(list)
    }

    /// What it answers to a query now.
    pub(crate) fn ask(&self, query: &str) -> Result<Answer, Error> {
        let query = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let answer = self
            .client
            .ask(&format!("{}/api/v1/query?query={query}", self.path), JSON)?;
        let json: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        // What it does not take is answered with its reason, and a status that is no success.
        if let Some(reason) = json["error"].as_str() {
            return Ok(Answer::Refused(reason.to_owned()));
        }
        match &json["data"]["result"] {
            // A time and a value.
            Value::Array(_) if json["data"]["resultType"] == "scalar" => Ok(Answer::Series(1)),
            Value::Array(result) => Ok(Answer::Series(result.len())),
            _ => {
                let failure = if answer.status.is_success() {
                    Failure::Unreadable {
                        url: self.client.url(&self.path),
                        reason: "it does not answer as Prometheus does".to_owned(),
                    }
                } else {
                    self.client.refused(&answer)
                };
                Err(failure.into())
            }
        }
    }
}

#[cfg(all(test, feature = "top"))]
mod tests {
    use super::*;

    #[test]
    fn rules_read_what_is_recorded_for_them_too() {
        let rule =
            |kind, name, query| serde_json::json!({ "type": kind, "name": name, "query": query });
        let rules = Rules::of(&[serde_json::json!({ "rules": [
            rule("recording", "quoter:errors:rate5m", "rate(quoter_errors_total[5m])"),
            // Two that name each other end too.
            rule("recording", "quoter:a", "quoter:b + 1"),
            rule("recording", "quoter:b", "quoter:a + quoter_depth"),
            rule("alerting", "Errors", "quoter:errors:rate5m > 1"),
            { "type": "alerting", "name": "without a query" },
        ] })]);
        assert_eq!(rules.alerting.len(), 1);
        let family = |name| serde_json::json!({ "name": name, "kind": "counter" });
        let catalog = ["quoter_errors_total", "quoter_depth"].map(family);
        let text = serde_json::json!({ "families": catalog }).to_string();
        let catalog = Catalog::read("here", &text).unwrap();
        let read = |query| {
            rules
                .read_by(query, &catalog)
                .into_iter()
                .collect::<Vec<_>>()
        };
        assert_eq!(read("quoter:errors:rate5m > 1"), ["quoter_errors_total"]);
        assert_eq!(read("quoter:a"), ["quoter_depth"]);
        assert_eq!(read("up == 0"), [""; 0]);
    }
}
