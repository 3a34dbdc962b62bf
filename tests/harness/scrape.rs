//! Fetching an exposition.

use std::time::Duration;

use crate::Error;

/// No scrape is worth more time or memory.
const TIMEOUT: Duration = Duration::from_secs(10);
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// What is served at a URL. Only `http`: what is looked at runs beside this program.
pub fn scrape(url: &str) -> Result<String, Error> {
    let failed = |error: ureq::Error| Error::Scrape {
        url: url.to_owned(),
        reason: error.to_string(),
    };
    let request = ureq::get(url).config().timeout_global(Some(TIMEOUT));
    let mut response = request.build().call().map_err(failed)?;
    let body = response.body_mut().with_config().limit(MOST_BYTES);
    body.read_to_string().map_err(failed)
}
