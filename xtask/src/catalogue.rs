//! Every family there is.

use obs_core::Catalogue;
use obs_verify::Catalog;

use crate::error::Error;

/// The families of the sample desk, which uses every crate of the workspace.
pub(crate) fn catalogue() -> Result<Catalog, Error> {
    Ok(Catalog::from(&trading_desk::metrics::catalogue()?))
}

/// The families of every crate, whether the desk has a use for them or not: what the guide tells of, and what rules and
/// dashboards may ask for.
pub(crate) fn everything() -> Result<Catalog, Error> {
    let joined = Catalogue::join([
        trading_desk::metrics::catalogue()?,
        obs_db::catalogue(),
        obs_providers::catalogue(),
        obs_sentiment::catalogue(),
        obstool::agent_catalogue(),
    ])?;
    Ok(Catalog::from(&joined))
}
