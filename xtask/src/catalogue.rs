//! Every family there is.

use obs_core::Catalogue;

use crate::error::Error;

/// The families of the sample desk, which uses every crate of the workspace.
pub(crate) fn catalogue() -> Result<Catalogue, Error> {
    Ok(trading_desk::metrics::catalogue()?)
}
