//! A file that keeps state over a restart, and a crash.

use std::fs::{self, File};
use std::io::{self, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use obs_core::{ErrorKind, ErrorMetrics, Severity};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// A file that keeps one value over restarts: a ledger, the day's risk, whatever serde can write.
///
/// [`save`](Self::save) writes a new file beside the old, brings it to the disk and then puts it in the old one's place; so a
/// crash at any moment loses at most that save. [`load`](Self::load) gives back what was saved, to the last bit, or says what
/// is wrong with the file and leaves it alone. One process at a time may save.
///
/// What fails is returned, and counted in `errors_total` as a critical error of the component `state_file`: a desk that cannot
/// save trades on, and somebody has to come before its next restart. The next save begins anew, so that it succeeds once there
/// is space again.
///
/// ```
/// use obs_trading::StateFile;
///
/// let folder = tempfile::tempdir()?;
/// let file = StateFile::<Vec<f64>>::new(folder.path().join("levels.state"), "levels", 1);
/// assert_eq!(file.load()?, None); // nothing was saved yet
/// file.save(&vec![0.1, 1e-300])?;
/// assert_eq!(file.load()?, Some(vec![0.1, 1e-300]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The file is one line of header, `obs-state <kind> <version> <CRC-32> <bytes>`, and the value as JSON. The checksum tells
/// damage, not deceit.
#[derive(Clone, Debug)]
pub struct StateFile<T> {
    path: PathBuf,
    kind: &'static str,
    version: u32,
    errors: Arc<ErrorMetrics>,
    value: PhantomData<fn(&T) -> T>,
}

/// The first word of every file.
const MAGIC: &str = "obs-state";

/// What disks fail with: counted from 0 on, so that the first one is a rise.
const USUAL_ERRORS: [&str; 5] = [
    "not_found",
    "permission_denied",
    "quota_exceeded",
    "read_only_filesystem",
    "storage_full",
];

impl<T: Serialize + DeserializeOwned> StateFile<T> {
    /// The file at this path. The kind is one word for what it holds; the version goes up when the value's shape changes, for a
    /// file of another kind or version is not read. Built after the recorder was installed, as everything that counts.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, kind: &'static str, version: u32) -> Self {
        let errors = ErrorMetrics::new("state_file");
        for error in USUAL_ERRORS {
            errors.errors.of(error);
        }
        Self {
            path: path.into(),
            kind,
            version,
            errors: Arc::new(errors),
            value: PhantomData,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces what was saved before. Waits for the disk, some milliseconds: save when a trade was closed or once a minute, and
    /// not on the hot path.
    ///
    /// Fails when the folder cannot be written, or the value cannot be read back as it is: JSON has no NaN.
    pub fn save(&self, value: &T) -> Result<(), Error> {
        self.counted(self.replace(value))
    }

    /// What was saved last; nothing where there is no file. What a crash left beside it is not looked at.
    pub fn load(&self) -> Result<Option<T>, Error> {
        self.counted(self.read())
    }

    fn counted<V>(&self, done: Result<V, Error>) -> Result<V, Error> {
        done.inspect_err(|error| {
            let kind = match error {
                Error::StateIo { source, .. } => source.error_type(),
                Error::ForeignState { .. } => "foreign_state",
                _ => "damaged_state",
            };
            self.errors.count_as(kind, Severity::Critical);
        })
    }

    fn replace(&self, value: &T) -> Result<(), Error> {
        let text = self.to_text(value)?;
        let beside = self.beside();
        if let Err(error) = write(&beside, text.as_bytes()) {
            // Half a file is worth nothing, and on a disk that is full it takes the place of what is. Where it cannot be
            // removed, the next save writes over it.
            let _ = fs::remove_file(&beside);
            return Err(failed("write", &beside)(error));
        }
        fs::rename(&beside, &self.path).map_err(failed("replace", &self.path))?;
        self.sync_folder()
    }

    fn read(&self) -> Result<Option<T>, Error> {
        match fs::read(&self.path) {
            Ok(bytes) => self.parse(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &self.path)(error)),
        }
    }

    fn to_text(&self, value: &T) -> Result<String, Error> {
        let body = serde_json::to_string(value).map_err(|error| self.not_kept(&error))?;
        // A NaN would be written as null, and be missed only when it is needed.
        serde_json::from_str::<T>(&body).map_err(|error| self.not_kept(&error))?;
        let (kind, version) = (self.kind, self.version);
        if kind.split_whitespace().ne([kind]) {
            let source = io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{kind}` is not one word"),
            );
            return Err(failed("name the kind of", &self.path)(source));
        }
        let sum = checksum(kind, version, body.as_bytes());
        Ok(format!(
            "{MAGIC} {kind} {version} {sum:08x} {}\n{body}",
            body.len()
        ))
    }

    fn not_kept(&self, error: &serde_json::Error) -> Error {
        let source = io::Error::new(io::ErrorKind::InvalidInput, error.to_string());
        failed("write as JSON what is to be kept in", &self.path)(source)
    }

    /// A rename is on the disk when its folder is. Only Unix can be asked for that.
    fn sync_folder(&self) -> Result<(), Error> {
        if cfg!(unix) {
            let folder = self
                .path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(failed("bring to the disk the folder", folder))?;
        }
        Ok(())
    }

    /// In the same folder, for a rename does not cross file systems; always the same, so that what a crash leaves is
    /// overwritten by the next save.
    fn beside(&self) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        self.path.with_file_name(name)
    }

    fn parse(&self, bytes: &[u8]) -> Result<T, Error> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (header, body) = match end {
            Some(end) => (&bytes[..end], &bytes[end + 1..]),
            None => (bytes, &[][..]),
        };
        let header = String::from_utf8_lossy(header);
        let words: Vec<_> = header.split(' ').collect();
        if words[0] != MAGIC {
            return Err(self.foreign(&format!("it does not begin with `{MAGIC}`")));
        }
        let &[_, kind, version, sum, length] = words.as_slice() else {
            return Err(self.damaged("its header is incomplete"));
        };
        if (kind, version) != (self.kind, self.version.to_string().as_str()) {
            return Err(self.foreign(&format!("it is of `{kind}` version {version}")));
        }
        if length != body.len().to_string() {
            return Err(self.damaged(&format!(
                "{length} bytes were saved, {} are there",
                body.len()
            )));
        }
        if sum != format!("{:08x}", checksum(kind, self.version, body)) {
            return Err(self.damaged("its checksum is wrong"));
        }
        serde_json::from_slice(body).map_err(|error| self.damaged(&error.to_string()))
    }

    fn foreign(&self, found: &str) -> Error {
        Error::ForeignState {
            path: self.path.clone(),
            expected: format!("{} version {}", self.kind, self.version),
            found: found.to_owned(),
        }
    }

    fn damaged(&self, damage: &str) -> Error {
        Error::DamagedState {
            path: self.path.clone(),
            damage: damage.to_owned(),
        }
    }
}

/// Writes a file and waits until it is on the disk.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn checksum(kind: &str, version: u32, body: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(kind.as_bytes());
    sum.update(&version.to_le_bytes());
    sum.update(body);
    sum.finalize()
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::StateIo {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type State = BTreeMap<String, f64>;

    fn file(folder: &tempfile::TempDir) -> StateFile<State> {
        StateFile::new(folder.path().join("day.state"), "day", 3)
    }

    fn state(value: f64) -> State {
        BTreeMap::from([("loss".to_owned(), value), ("hits".to_owned(), 3.0)])
    }

    #[test]
    fn what_was_saved_comes_back_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        for value in [
            0.1,
            -0.0,
            f64::MIN_POSITIVE,
            5e-324,
            f64::MAX,
            0.1 + 0.2,
            1.0 / 3.0,
            2.1e-7,
        ] {
            file.save(&state(value)).unwrap();
            let loaded = file.load().unwrap().unwrap();
            assert_eq!(loaded["loss"].to_bits(), value.to_bits());
        }
        let names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["day.state"]);
    }

    #[test]
    fn what_json_cannot_hold_is_not_saved() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        file.save(&state(1.0)).unwrap();
        assert!(matches!(
            file.save(&state(f64::NAN)),
            Err(Error::StateIo { .. })
        ));
        assert_eq!(file.load().unwrap(), Some(state(1.0)));
    }

    /// Whatever part of a save reached the disk before a crash, the one before it is there.
    #[test]
    fn a_crash_at_any_byte_of_a_save_keeps_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        file.save(&state(1.0)).unwrap();
        let text = file.to_text(&state(2.0)).unwrap();
        for written in 0..=text.len() {
            fs::write(file.beside(), &text.as_bytes()[..written]).unwrap();
            assert_eq!(file.load().unwrap(), Some(state(1.0)));
        }
        file.save(&state(3.0)).unwrap();
        assert_eq!(file.load().unwrap(), Some(state(3.0)));
        assert!(!file.beside().exists());
    }

    /// A truncated file and one with a wrong byte anywhere are errors, and stay as they are.
    #[test]
    fn damage_at_any_byte_is_told_and_the_file_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        let text = file.to_text(&state(2.0)).unwrap().into_bytes();
        let mut damaged: Vec<Vec<u8>> = (0..text.len()).map(|end| text[..end].to_vec()).collect();
        for place in 0..text.len() {
            for flip in [0x01, 0x10, 0x80, 0xff] {
                let mut bytes = text.clone();
                bytes[place] ^= flip;
                damaged.push(bytes);
            }
        }
        damaged.push([&text[..], b" "].concat());
        for bytes in damaged {
            fs::write(file.path(), &bytes).unwrap();
            let error = file.load().unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::DamagedState { .. } | Error::ForeignState { .. }
                ),
                "{error}"
            );
            assert_eq!(fs::read(file.path()).unwrap(), bytes);
        }
    }

    #[test]
    fn a_file_of_another_kind_or_version_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        file.save(&state(1.0)).unwrap();
        let newer = StateFile::<State>::new(file.path(), "day", 4);
        let message = newer.load().unwrap_err().to_string();
        assert!(message.contains("it is of `day` version 3"), "{message}");
        let other = StateFile::<State>::new(file.path(), "night", 3);
        assert!(matches!(other.load(), Err(Error::ForeignState { .. })));
        fs::write(file.path(), "date,close\n").unwrap();
        let message = file.load().unwrap_err().to_string();
        assert!(
            message.contains("does not begin with `obs-state`"),
            "{message}"
        );
    }

    #[test]
    fn a_kind_that_could_not_be_read_back_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        for kind in ["", "the day", "day\n"] {
            let file = StateFile::<State>::new(folder.path().join("day.state"), kind, 1);
            assert!(matches!(file.save(&state(1.0)), Err(Error::StateIo { .. })));
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::<State>::new(folder.path().join("none/day.state"), "day", 3);
        assert_eq!(file.load().unwrap(), None);
        let message = file.save(&state(1.0)).unwrap_err().to_string();
        assert!(
            message.contains("cannot write") && message.contains("none"),
            "{message}"
        );
    }
}
