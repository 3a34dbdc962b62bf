//! Where things are in a file, and its header.
//!
//! ```text
//! 0          4096                 4096 + directory            limit
//! ├─ header ─┼─ directory ────────┼─ pages of 4 KiB ──────────┤
//! ```
//!
//! Both regions grow to the right; what was not reached takes no memory on tmpfs. Numbers are little-endian, words of pages those
//! of the machine, and the header says which: a file is read where it was written.

use std::path::Path;

use crate::MemoryError;
use crate::page::WORDS;

pub(crate) const HEADER_BYTES: u64 = 4096;
pub(crate) const PAGE_BYTES: u64 = (WORDS * 8) as u64;
/// By how much a region grows at once.
pub(crate) const CHUNK_BYTES: u64 = 64 * PAGE_BYTES;
/// The least and the most that a file may take.
pub(crate) const LIMITS: std::ops::RangeInclusive<u64> = 1 << 20..=1 << 30;

const MAGIC: [u8; 8] = *b"obs-mem\n";
/// Raised with every change of the layout or of the records.
pub(crate) const VERSION: u32 = 2;
/// Reads as another number on a machine of another byte order.
const ORDER: u32 = 0x0102_0304;
/// Where the check sum of the header is. It is of what lies before.
const SUM_AT: usize = 48;
const HEAD: usize = SUM_AT + 4;
/// Where a word is that is not 0 when something of the process is not in the file.
pub(crate) const INCOMPLETE_AT: u64 = 64;

/// How many loops of a process can be watched, and how many words the sign of life of each has.
pub(crate) const MOST_LOOPS: usize = 32;
pub(crate) const LOOP_WORDS: usize = 8;
/// Where the first word of these is in the header page: at its end. A file without any has zeroes there, as files of earlier editions do.
pub(crate) const LOOPS_AT: usize = WORDS - MOST_LOOPS * LOOP_WORDS;
/// The most bytes of a loop's name.
pub(crate) const LOOP_NAME_BYTES: usize = 40;

/// Marks of a file: something is not in it; it says nothing any more.
pub(crate) const INCOMPLETE: u64 = 1;
pub(crate) const ABANDONED: u64 = 2;

/// The header of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The most bytes of the file.
    pub(crate) limit: u64,
    /// The bytes of the directory's region.
    pub(crate) directory: u64,
    /// When its process began it, in milliseconds since 1970.
    pub(crate) began: u64,
    /// For people to read; numbers of processes come again.
    pub(crate) pid: u32,
}

impl Header {
    /// The header of a file of so many bytes at most.
    pub(crate) fn new(limit: u64, began: u64, pid: u32) -> Self {
        // The directory has a quarter: a series with its labels takes some 100 bytes there and 8 to 300 a thread in pages.
        // One more chunk of it is kept for what has to be said when it is full.
        let directory = (limit / 4).next_multiple_of(CHUNK_BYTES) + CHUNK_BYTES;
        Self {
            limit,
            directory,
            began,
            pid,
        }
    }

    pub(crate) fn pages_at(&self) -> u64 {
        HEADER_BYTES + self.directory
    }

    /// How many pages there may be.
    pub(crate) fn pages(&self) -> u64 {
        self.limit.saturating_sub(self.pages_at()) / PAGE_BYTES
    }

    pub(crate) fn encode(&self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&ORDER.to_ne_bytes());
        bytes[16..24].copy_from_slice(&self.limit.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.directory.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.began.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.pid.to_le_bytes());
        let sum = crc32fast::hash(&bytes[..SUM_AT]);
        bytes[SUM_AT..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a header. `path` is for the error.
    pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<Self, MemoryError> {
        let path = || path.to_path_buf();
        if bytes.len() < 16 || bytes[..8] != MAGIC {
            return Err(MemoryError::Foreign { path: path() });
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(MemoryError::Version {
                path: path(),
                version,
            });
        }
        if bytes.len() < HEAD {
            return Err(MemoryError::Truncated { path: path() });
        }
        let corrupt = |what| MemoryError::Corrupt {
            path: path(),
            at: 0,
            what,
        };
        if bytes[12..16] != ORDER.to_ne_bytes() {
            return Err(corrupt("it was written on a machine of another byte order"));
        }
        if u32_at(bytes, SUM_AT) != crc32fast::hash(&bytes[..SUM_AT]) {
            return Err(corrupt("the header does not match its check sum"));
        }
        let header = Self {
            limit: u64_at(bytes, 16),
            directory: u64_at(bytes, 24),
            began: u64_at(bytes, 32),
            pid: u32_at(bytes, 40),
        };
        let is_whole = header.directory.is_multiple_of(CHUNK_BYTES);
        if !LIMITS.contains(&header.limit) || !is_whole || header.directory > header.limit {
            return Err(corrupt("the header's sizes are not those of any file"));
        }
        Ok(header)
    }
}

/// Reads a number that lies within the bytes.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}
