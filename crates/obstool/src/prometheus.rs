//! Questions to a running Prometheus.

use obs_verify::asked::Answer;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
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
        let path = format!("{}/api/v1/alerts", self.path);
        let answer = self.client.get(&path, JSON)?;
        let json: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        let Some(alerts) = json["data"]["alerts"].as_array() else {
            let failure = Failure::Unreadable {
                url: self.client.url(&path),
                reason: "it does not answer as Prometheus does".to_owned(),
            };
            return Err(failure.into());
        };
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        Ok(firing.map(Firing::new).collect())
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
