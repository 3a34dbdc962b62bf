//! Which file it is, for those that remember files.

use std::path::Path;

use crate::MemoryError;
use crate::layout::Header;
use crate::reader::Source;

/// Which file it is, whatever it is called by now. Numbers of files and processes come again, but not with the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(
    clippy::exhaustive_structs,
    reason = "what is kept of files is read back by others"
)]
pub struct FileId {
    /// The number of the file on its file system; 0 where files have none.
    pub inode: u64,
    /// When its process began it, in milliseconds since 1970-01-01 UTC.
    pub began: u64,
    /// The number that its process has, or had.
    pub pid: u32,
}

impl FileId {
    pub(crate) fn of(source: &Source, header: &Header) -> Self {
        Self {
            inode: source
                .file()
                .metadata()
                .map_or(0, |metadata| inode(&metadata)),
            began: header.began,
            pid: header.pid,
        }
    }

    /// Which file is at a path, by its header.
    ///
    /// # Errors
    ///
    /// As [`Reader::open`](crate::Reader::open), but for what is wrong with the directory.
    pub fn at(path: &Path) -> Result<Self, MemoryError> {
        let (source, header) = Source::open(path)?;
        Ok(Self::of(&source, &header))
    }
}

#[cfg(unix)]
fn inode(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &std::fs::Metadata) -> u64 {
    0
}
