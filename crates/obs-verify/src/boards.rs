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

use crate::dashboard::Dashboard;

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
