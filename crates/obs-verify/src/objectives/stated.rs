//! Objectives that the operator of an installation states, on families whose declarations have none.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::burn::{Burn, Window, Windows};
use super::selector::{Failing, Selector};
use crate::{Catalog, Error, Family};

/// An objective of an installation, as its settings state it.
///
/// A declaration can mark the good values of a closed label only. Here the events that failed may be any that a selector finds, such as
/// those with `status_code=~"5.."`.
///
/// ```
/// use obs_verify::alerts::Settings;
///
/// let settings = Settings::read("alerts.yml", r#"
/// objectives:
///   - name: api_errors
///     family: http_requests_total
///     only: 'endpoint!="/healthz"'
///     bad: 'status_code=~"5.."'
///     percent: 99.9
///   - name: fills
///     family: trading_order_fill_duration_seconds
///     under: 1
///     percent: 99
///     days: 7
///     while: market_session_open
///     windows: { slow: { severity: warning } }
/// "#)?;
/// assert_eq!(settings.objectives.map(|all| all.len()), Some(2));
/// # Ok::<(), obs_verify::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stated {
    /// What its alerts and its recorded series are named after, in snake case: `api_errors` has the alerts `ApiErrorsBurnFast` and so on.
    pub name: String,
    /// The family that counts the events, a counter; with [`under`](Self::under) a histogram that observes them.
    pub family: String,
    /// Matchers of the events that the objective is about. Without them it is about all of the family.
    #[serde(default)]
    pub only: String,
    /// Matchers of the events that failed, or another counter with its matchers: `http_errors_total{error_type="timeout"}`.
    pub bad: Option<String>,
    /// Matchers of the events that were good, or another counter with its matchers, where those are easier to name.
    pub good: Option<String>,
    /// Observations of a histogram up to this bound, which has to be one of its buckets', are good.
    pub under: Option<f64>,
    /// The share of events that have to be good, in percent: above 0 and below 100.
    pub percent: f64,
    /// The days over which that has to hold; 30 unless given.
    #[serde(default = "month")]
    pub days: u32,
    /// A gauge: while it is not 1, nothing is spent.
    #[serde(rename = "while")]
    pub during: Option<String>,
    /// What differs from the usual three pairs of windows.
    #[serde(default)]
    pub windows: Windows,
    /// So many events have to have failed within the long window before an alert fires; 10 unless given.
    #[serde(default = "fewest")]
    pub fewest_failed: u32,
}

fn month() -> u32 {
    30
}

fn fewest() -> u32 {
    super::FEWEST_FAILED
}

/// Checks what can be checked without a catalogue.
pub(crate) fn check(objectives: &[Stated]) -> Result<(), Error> {
    let mut names = BTreeSet::new();
    for objective in objectives {
        if !names.insert(&objective.name) {
            return Err(
                objective.wrong("is stated twice; give one of them another name".to_owned())
            );
        }
        objective.check()?;
    }
    Ok(())
}

impl Stated {
    /// The objectives of settings that state none. What clients get wrong, and requests that they give up, spend no budget.
    pub(crate) fn usual() -> Vec<Self> {
        vec![Self {
            name: "api_error_budget".to_owned(),
            family: "http_requests_total".to_owned(),
            only: String::new(),
            bad: Some("http_errors_total{error_type=~\"server_error|timeout|panic\"}".to_owned()),
            good: None,
            under: None,
            percent: 99.9,
            days: month(),
            during: None,
            windows: Windows {
                slow: Window {
                    severity: Some("warning".to_owned()),
                    ..Window::default()
                },
                ..Windows::default()
            },
            fewest_failed: fewest(),
        }]
    }

    fn wrong(&self, reason: String) -> Error {
        Error::Objective {
            name: self.name.clone(),
            reason,
        }
    }

    fn check(&self) -> Result<(), Error> {
        let is_word =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
        if !self
            .name
            .starts_with(|letter: char| letter.is_ascii_lowercase())
            || !self.name.chars().all(is_word)
        {
            return Err(self.wrong(
                "needs a name of small letters, digits and `_`, such as `api_errors`".to_owned(),
            ));
        }
        if !(self.percent > 0.0 && self.percent < 100.0) {
            return Err(self.wrong(format!(
                "promises {} %; a promise is above 0 and below 100",
                self.percent
            )));
        }
        if self.days == 0 {
            return Err(self.wrong("holds over 0 days; give one at least".to_owned()));
        }
        self.all()?;
        self.failing()?;
        self.burns()?;
        Ok(())
    }

    /// Its pairs of windows.
    pub(super) fn burns(&self) -> Result<Vec<Burn>, Error> {
        self.windows.burns().map_err(|reason| self.wrong(reason))
    }

    /// All events.
    pub(super) fn all(&self) -> Result<Selector, Error> {
        let family = format!("{}{{{}}}", self.family, self.only);
        Selector::read(&family, "").map_err(|reason| self.wrong(reason))
    }

    /// Those that failed.
    pub(super) fn failing(&self) -> Result<Failing, Error> {
        let selector =
            |text: &str| Selector::read(text, &self.family).map_err(|reason| self.wrong(reason));
        match (&self.bad, &self.good, self.under) {
            (Some(bad), None, None) => Ok(Failing::Bad(selector(bad)?)),
            (None, Some(good), None) => Ok(Failing::AllBut(selector(good)?)),
            (None, None, Some(bound)) => Ok(Failing::Beyond(bound)),
            _ => Err(self
                .wrong("needs one of `bad`, `good` and `under`, which say what fails".to_owned())),
        }
    }

    /// Whether a catalogue has the families, of the right kind, with the labels.
    pub(crate) fn held_to(&self, catalog: &Catalog) -> Result<(), Error> {
        let failing = self.failing()?;
        let all = self.all()?;
        for selector in Some(&all).into_iter().chain(failing.selector()) {
            let family = self.family_of(selector, catalog, failing.is_bound())?;
            if let Failing::Beyond(bound) = failing
                && !family.buckets.contains(&bound)
            {
                return Err(self.wrong(format!(
                    "is about values up to {bound}, which is no bound of `{}`; there are {:?}",
                    family.name, family.buckets
                )));
            }
        }
        Ok(())
    }

    /// The family of a selector, if that can find something.
    fn family_of<'a>(
        &self,
        selector: &Selector,
        catalog: &'a Catalog,
        is_bound: bool,
    ) -> Result<&'a Family, Error> {
        let name = &selector.family;
        let Some(family) = catalog.family(name) else {
            return Err(self.wrong(format!(
                "is about `{name}`, which the catalogue does not have; correct the name, or take the objective out"
            )));
        };
        let wanted = if is_bound { "histogram" } else { "counter" };
        let kind = family.kind.as_str();
        if kind != wanted {
            return Err(self.wrong(format!(
                "is about `{name}`, which is a {kind}; it needs a {wanted}"
            )));
        }
        let matchers = selector.parsed().map_err(|reason| self.wrong(reason))?;
        let unknown = matchers.iter().find(|matcher| {
            !GIVEN.contains(&matcher.name.as_str()) && family.label(&matcher.name).is_none()
        });
        match unknown {
            Some(matcher) => Err(self.wrong(format!(
                "is about `{name}`, which has no label `{}`; it has {}",
                matcher.name,
                keys(family)
            ))),
            None => Ok(family),
        }
    }
}

/// Labels that every series has, whatever its family.
const GIVEN: [&str; 5] = ["service", "environment", "mode", "job", "instance"];

fn keys(family: &Family) -> String {
    let keys: Vec<_> = family
        .labels
        .iter()
        .map(|label| label.key.as_str())
        .collect();
    keys.join(", ")
}
