//! A Unix socket to be asked at, for who reaches this machine's files and not its ports.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use crate::ExporterError;

/// A socket that is listened on. Dropped, its file goes.
pub(crate) struct Socket {
    pub(crate) listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens at a path. A socket on which nobody listens any more, as a process leaves it that was killed, gives way; anything
    /// else that is there does not.
    pub(crate) fn bind(path: &Path) -> Result<Self, ExporterError> {
        let bind = || UnixListener::bind(path);
        let bound = match bind() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
                std::fs::remove_file(path).and_then(|()| bind())
            }
            bound => bound,
        };
        let listener = bound.map_err(|source| ExporterError::Socket {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            listener,
            path: path.to_owned(),
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // If it was taken away before, the same is done.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn is_abandoned(path: &Path) -> bool {
    let is_socket = path
        .symlink_metadata()
        .is_ok_and(|found| found.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(path).is_err_and(refused)
}
