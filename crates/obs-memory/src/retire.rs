//! Removes files of ended processes, and keeps what they counted in the file of their service's totals.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::process::geteuid;

use crate::image::Image;
use crate::platform::{holder, own};
use crate::totals::{MOST_NAMED, service};
use crate::{FileId, Folded, MemoryError, Reader, Totals};

/// How many files are added to the totals at once, and how many are kept where they cannot be added: beyond them the oldest are removed.
const MOST_AT_ONCE: usize = 500;
const MOST_KEPT: usize = 256;

/// Removes all but the last `keep` of the files that processes of one service have left, which are in the order of their age. What those
/// counted that are removed is in the totals by then.
///
/// Another process that does the same at this moment is left to it. Where there is no memory for the totals, the files stay, up to
/// 256 of them.
pub(crate) fn retire(ended: &[PathBuf], keep: usize) {
    if ended.len() <= keep {
        return;
    }
    let path = Folded::path(&ended[0]);
    let Some(_held) = Held::take(&path) else {
        return;
    };
    if fold(&path, ended, keep).is_err() {
        let too_many = ended.len().saturating_sub(MOST_KEPT.max(keep));
        ended[..too_many].iter().for_each(|file| remove(file));
    }
}

/// That a file cannot be removed is no reason not to start.
fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}

fn fold(path: &Path, ended: &[PathBuf], keep: usize) -> Result<(), MemoryError> {
    let mut before = (Totals::default(), Folded::default(), u64::MAX);
    let has_any = path.metadata().is_ok_and(|metadata| metadata.len() > 0);
    if has_any {
        match read(path) {
            Ok(read) => before = read,
            // What cannot be read is kept beside, where a reader refuses it by name.
            Err(error @ MemoryError::Io { .. }) => return Err(error),
            Err(_) => {
                crate::platform::set_aside(path, false).map_err(failure("set aside", path))?;
            }
        }
    }
    let (mut totals, mut folded, mut began) = before;
    // A process that was killed has left these: they are counted, and not removed.
    let counted: HashSet<_> = folded.files.iter().copied().collect();
    let is_counted = |file: &PathBuf| FileId::at(file).is_ok_and(|id| counted.contains(&id));
    if !counted.is_empty() {
        let of_service = files_of_service(path);
        of_service.filter(is_counted).for_each(|file| remove(&file));
    }
    let rest: Vec<_> = ended.iter().filter(|file| file.exists()).collect();
    let too_many = rest.len().saturating_sub(keep).min(MOST_AT_ONCE);
    let (mut added, mut over) = (Vec::new(), Vec::new());
    for file in &rest[..too_many] {
        let read = Reader::open(file).and_then(|mut reader| Ok((reader.id(), reader.read()?)));
        let (id, reading) = match read {
            Ok(read) => read,
            // What the system refuses now, it may give later.
            Err(MemoryError::Io { .. }) => continue,
            // There is nothing to be had of it.
            Err(_) => {
                over.push((file, None));
                continue;
            }
        };
        // Another process may have set it aside and begun its own there.
        if reading.is_alive {
            continue;
        }
        totals.add(&reading, &[], false);
        began = began.min(reading.began);
        added.push(id);
        over.push((file, Some(id)));
    }
    if !added.is_empty() {
        folded.count += added.len() as u64;
        added.append(&mut folded.files);
        added.truncate(MOST_NAMED);
        folded.files = added;
        write(path, &totals, &folded, began)?;
    }
    for (file, id) in over {
        let is_it = match id {
            Some(id) => FileId::at(file).is_ok_and(|found| found == id),
            None => File::open(file).is_ok_and(|file| holder(&file).is_none()),
        };
        if is_it {
            remove(file);
        }
    }
    Ok(())
}

/// The files of the service whose totals these are, but for those that this process records to.
fn files_of_service(totals: &Path) -> impl Iterator<Item = PathBuf> {
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let of = name(totals).unwrap_or_default();
    let folder = totals.parent().map_or(Path::new("."), |folder| {
        if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        }
    });
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(move |path| {
        let name = name(path).unwrap_or_default();
        let is_one = name.contains(".obs") && service(&name) == service(&of);
        // Opening one of our own and closing it again would let go of its lock.
        is_one && !name.starts_with(&of) && own(path).is_none()
    })
}

/// What a file of totals holds.
fn read(path: &Path) -> Result<(Totals, Folded, u64), MemoryError> {
    let reading = Reader::open(path)?.read()?;
    let mut totals = Totals::default();
    totals.add(&reading, &[], false);
    let folded = reading.folded.ok_or_else(|| MemoryError::Foreign {
        path: path.to_path_buf(),
    })?;
    Ok((totals, folded, reading.began))
}

/// Writes a file of totals beside the one that is there, and puts it in its place.
fn write(path: &Path, totals: &Totals, folded: &Folded, began: u64) -> Result<(), MemoryError> {
    let image = Image::new(totals, folded, began).ok_or_else(|| MemoryError::Io {
        action: "add to",
        path: path.to_path_buf(),
        source: io::Error::other("they are more than a file holds"),
    })?;
    let new = path.with_extension("obs.new");
    remove(&new);
    let written = || -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        let end = image.pages_at + image.pages.len() as u64;
        file.set_len(end)?;
        file.write_all_at(&image.head, 0)?;
        file.write_all_at(&image.pages, image.pages_at)?;
        std::fs::rename(&new, path)
    };
    written().map_err(|error| {
        remove(&new);
        failure("write", path)(error)
    })
}

fn failure<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> MemoryError + 'a {
    move |source| MemoryError::Io {
        action,
        path: path.to_path_buf(),
        source,
    }
}

/// The right to write the totals of a service, until this is dropped.
struct Held(File);

impl Held {
    /// None where another process has it, or somebody else's file is there.
    fn take(path: &Path) -> Option<Self> {
        let lock = path.with_extension("obs.lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(lock)
            .ok()?;
        let is_ours = |metadata: std::fs::Metadata| metadata.uid() == geteuid().as_raw();
        let is_ours = |file: &File| file.metadata().is_ok_and(is_ours);
        let has_totals = std::fs::symlink_metadata(path);
        let may_replace = has_totals.map_or(true, |metadata| metadata.uid() == geteuid().as_raw());
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        let held = Self(file);
        (is_ours(&held.0) && may_replace).then_some(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A process that was forked meanwhile has the same lock, and would keep it.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}
