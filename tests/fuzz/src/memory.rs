//! The reader of mapped files. Apart, so that a fuzzer that follows coverage builds it alone.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::OnceLock;

use obs_memory::{Memory, Options, Reader, Value};
use tempfile::TempDir;

/// Bytes of a file up to its directory.
const HEADER: usize = 4096;
/// Where the directory of the smallest file ends, and its pages begin.
const PAGES_AT: u64 = HEADER as u64 + (512 << 10);
/// The smallest file, whose first three pages hold something.
const FILE_BYTES: u64 = 1 << 20;

/// Whatever stands in a file, it is read or refused; and so it is when more is appended to it while it is read.
///
/// The first byte says how much of the header is changed, by three bytes each: two say where, and one what is there. What follows are
/// records, each behind a byte of its length. Their check sums are right, as is the header's, so that what is behind them is reached.
pub fn memory(data: &[u8]) {
    let Some((changes, rest)) = data.split_first() else {
        return;
    };
    let (changes, records) = rest.split_at(rest.len().min(usize::from(changes % 8) * 3));
    let file = Scratch::new();
    file.write(&header(changes), 0);
    let (first, more) = records.split_at(records.len() / 2);
    let end = file.append(first, HEADER as u64);
    let mut reader = match Reader::open(&file.path) {
        Ok(reader) => reader,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    look(&mut reader);
    file.append(more, end);
    look(&mut reader);
    look(&mut reader);
}

fn look(reader: &mut Reader) {
    let reading = match reader.read() {
        Ok(reading) => reading,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(!reading.is_alive);
    for family in &reading.families {
        assert!(!family.series.is_empty());
        for series in &family.series {
            if let Value::Histogram { buckets, .. } = &series.value {
                assert_eq!(buckets.len(), family.bounds.len() + 1);
            }
        }
    }
}

/// A header that a writer made, with some of its bytes changed, and its check sum put right.
fn header(changes: &[u8]) -> Vec<u8> {
    static WHOLE: OnceLock<Vec<u8>> = OnceLock::new();
    let whole = WHOLE.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("desk.obs");
        let options = Options::default().any_file_system(true).limit(FILE_BYTES);
        Memory::create(&path, options).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(HEADER);
        bytes
    });
    let mut bytes = whole.clone();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % HEADER;
        bytes[at] = change[2];
    }
    let sum = crc32fast::hash(&bytes[..48]);
    bytes[48..52].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// A file that is used for one input after another, by one thread.
struct Scratch {
    path: PathBuf,
    file: File,
}

impl Scratch {
    fn new() -> Self {
        thread_local!(static FOLDER: TempDir = {
            // In memory, where there is such a folder: a fuzzer writes thousands of these a second.
            let shared = std::path::Path::new("/dev/shm");
            if shared.is_dir() {
                TempDir::new_in(shared).unwrap()
            } else {
                TempDir::new().unwrap()
            }
        });
        let path = FOLDER.with(|folder| folder.path().join("any.obs"));
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(true).write(true).open(&path);
        let file = file.unwrap();
        file.set_len(FILE_BYTES).unwrap();
        let words = (0..3 * 512_u64).flat_map(|word| (word * word).to_ne_bytes());
        file.write_all_at(&words.collect::<Vec<_>>(), PAGES_AT)
            .unwrap();
        Self { path, file }
    }

    fn write(&self, bytes: &[u8], at: u64) {
        self.file.write_all_at(bytes, at).unwrap();
    }

    /// Appends records in their frames, and returns where the next one goes.
    fn append(&self, records: &[u8], at: u64) -> u64 {
        let mut framed = Vec::new();
        let mut rest = records;
        while let Some((length, after)) = rest.split_first() {
            let (payload, after) = after.split_at(after.len().min(usize::from(*length)));
            rest = after;
            if !payload.is_empty() {
                framed.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
                framed.extend(crc32fast::hash(payload).to_le_bytes());
                framed.extend(payload);
            }
        }
        self.write(&framed, at);
        at + framed.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seeds that were written by hand, by their names.
    fn seed(name: &str) -> Vec<u8> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus/memory");
        std::fs::read(folder.join(name)).unwrap()
    }

    /// The first byte of each record, which says what it is.
    fn kinds(seed: &[u8]) -> Vec<u8> {
        let mut rest = &seed[1..];
        let mut kinds = Vec::new();
        while let Some((length, after)) = rest.split_first() {
            let (payload, after) = after.split_at(usize::from(*length));
            kinds.extend(payload.first());
            rest = after;
        }
        kinds
    }

    /// A record of which there is no seed is reached by chance alone.
    #[test]
    fn a_seed_has_every_record_of_the_layout_and_all_of_it_is_read() {
        let seed = seed("05");
        let mut found = kinds(&seed);
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, (1..=13).collect::<Vec<u8>>());

        let file = Scratch::new();
        file.write(&header(&[]), 0);
        file.append(&seed[1..], HEADER as u64);
        let reading = Reader::open(&file.path).unwrap().read().unwrap();
        assert_eq!(reading.globals["service"], "desk");
        assert_eq!(reading.notes["catalog"], r#"{"schema":2}"#);
        let family = |name: &str| {
            let mut families = reading.families.iter();
            families.find(|family| family.name == name).unwrap()
        };
        // The first series of the counter gave back its words, and the other one has them.
        let orders = family("orders_total");
        assert_eq!((orders.help.as_str(), orders.series.len()), ("Orders.", 1));
        assert_eq!(orders.series[0].labels, [("side".into(), "sell".into())]);
        assert_eq!(family("depth").across, obs_memory::Across::Sum);
        // It was hidden with what its words held and shown again, so that it counts from there on.
        let histogram = &family("fill_seconds").series[0];
        let native = histogram.native.as_ref().unwrap();
        assert_eq!((histogram.began, native.schema), (3000, 3));
        assert!(native.positive.contains_key(&-8), "{native:?}");
    }
}
