//! The one error: what happened, to which file, and what to do.

use std::io;
use std::path::PathBuf;

/// Why a file cannot be recorded to, or not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// Another process records to the file, or this one does already.
    #[error("{path} is recorded to by process {pid}: give each process a file of its own", path = .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// Who holds it; 0 where that process is in another namespace.
        pid: u32,
    },
    /// The file is on a disk: where its pages are written back, recording waits.
    #[error("{path} is not on tmpfs, and recording would wait for the disk: use a path below /dev/shm", path = .path.display())]
    NotInMemory {
        /// The file.
        path: PathBuf,
    },
    /// The limit is not one that a file can have.
    #[error("a mapped file cannot be limited to {limit} bytes: take 1 MiB to 1 GiB")]
    Limit {
        /// What was asked for.
        limit: u64,
    },
    /// This process records to as many files as it can.
    #[error("{path} cannot be mapped: this process records to {most} files already", path = .path.display())]
    TooMany {
        /// The file.
        path: PathBuf,
        /// How many there can be.
        most: usize,
    },
    /// A loop cannot be watched.
    #[error("the loop `{name}` of {path} cannot be watched: {why}", path = .path.display())]
    Heartbeat {
        /// The file.
        path: PathBuf,
        /// What the loop is called.
        name: String,
        /// Why not, and what to do.
        why: &'static str,
    },
    /// There are mapped files on Linux only, and with the feature `map`.
    #[error(
        "{path} cannot be mapped: that needs Linux, and the feature `map` of obs-memory, which is `memory` of obs-recorder and \
         obs-exporter",
        path = .path.display()
    )]
    Unsupported {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {action} {path}: {source}", path = .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is none of ours.
    #[error("{path} holds no metrics: it does not begin as a file that obs-memory wrote", path = .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file has the layout of another edition.
    #[error("{path} has layout {version}, and this program reads layout {}: read it with the edition that wrote it", crate::layout::VERSION, path = .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its layout.
        version: u32,
    },
    /// The file ends before what its directory says it has.
    #[error("{path} was truncated: it ends before what its directory names", path = .path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// The file holds what no writer writes.
    #[error("{path} is corrupt at byte {at}: {what}", path = .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The offset of the record.
        at: u64,
        /// What is wrong there.
        what: &'static str,
    },
}
