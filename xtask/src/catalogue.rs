//! Every family there is: the ones this workspace declares, as the sample desk joins them.

use obs_core::Catalogue;

use crate::error::Error;

/// The families of all crates of the workspace and of the desk.
#[expect(clippy::unnecessary_wraps, reason = "joining catalogues can fail")]
pub(crate) fn catalogue() -> Result<Catalogue, Error> {
    Ok(obs_core::catalogue())
}
