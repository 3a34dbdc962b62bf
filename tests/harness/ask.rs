//! Questions to a running Prometheus.

use std::time::Duration;

use serde_json::Value;

use crate::Error;

/// No instant query is worth more time.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a Prometheus at a URL answers to a query now: a value for each series, or one for a number.
pub fn ask(prometheus: &str, query: &str) -> Result<Vec<Value>, Error> {
    answer(prometheus, query, None)
}

/// The same at a time, in seconds since the Unix epoch.
pub fn ask_at(prometheus: &str, query: &str, time: f64) -> Result<Vec<Value>, Error> {
    answer(prometheus, query, Some(time))
}

fn answer(prometheus: &str, query: &str, time: Option<f64>) -> Result<Vec<Value>, Error> {
    let url = format!("{}/api/v1/query", prometheus.trim_end_matches('/'));
    let failed = |reason: String| Error::Scrape {
        url: url.clone(),
        reason: format!("{reason}, asked for `{query}`"),
    };
    // A query that Prometheus refuses is answered with its reason and a status that is no success.
    let request = ureq::get(&url).query("query", query);
    let request = match time {
        Some(time) => request.query("time", time.to_string()),
        None => request,
    };
    let request = request
        .config()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false);
    let mut response = request
        .build()
        .call()
        .map_err(|error| failed(error.to_string()))?;
    let body = response
        .body_mut()
        .read_to_string()
        .map_err(|error| failed(error.to_string()))?;
    let answer: Value = serde_json::from_str(&body).map_err(|error| failed(error.to_string()))?;
    if let Some(error) = answer["error"].as_str() {
        return Err(failed(error.to_owned()));
    }
    match &answer["data"]["result"] {
        Value::Array(result) if answer["data"]["resultType"] == "scalar" => {
            Ok(vec![Value::Array(result.clone())])
        }
        Value::Array(result) => Ok(result.clone()),
        _ => Err(failed(format!("the answer {body} makes no sense"))),
    }
}
