//! What serving and pushing need of the Tokio runtime.

use std::panic::catch_unwind;

use tokio::runtime::Handle;
use tokio::time::{Duration, sleep};

use crate::ExporterError;

/// An error unless this runs within a Tokio runtime that has its timer and its network.
///
/// A runtime cannot be asked for these, and panics when they are used: so they are tried out here, once, where the panic can be
/// caught, rather than in a task of the server. The program's panic hook hears of it and prints what Tokio advises.
pub(crate) fn check() -> Result<(), ExporterError> {
    Handle::try_current().map_err(|_| ExporterError::NoRuntime)?;
    let tried = catch_unwind(|| {
        drop(sleep(Duration::ZERO));
        // It belongs to the network and is no port that anybody could reach.
        #[cfg(unix)]
        drop(tokio::net::UnixDatagram::unbound());
    });
    tried.map_err(|_| ExporterError::RuntimeLacks)
}
