//! Generated files, and generated parts of documents: written, or held to what they should be.

use std::fs;
use std::path::{Path, PathBuf};

use crate::reference::index;
use crate::{Catalog, Error};

/// The generated part of a document is between these lines; everything outside is written by hand.
const REFERENCE: [&str; 2] = ["<!-- reference:begin -->", "<!-- reference:end -->"];
/// And its index between these.
const INDEX: [&str; 2] = ["<!-- index:begin -->", "<!-- index:end -->"];

/// Where generated files belong, and whether they are written or only compared.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The folder that names of files start from.
    pub folder: PathBuf,
    /// Write nothing, and fail when something is stale.
    pub check: bool,
}

impl Generated {
    /// Brings a file up to date; whether that changed it. With [`check`](Self::check) a file that is stale is an error.
    pub fn put(&self, name: &str, fresh: &str) -> Result<bool, Error> {
        // The first time there is no file.
        let current = read(&self.folder.join(name)).unwrap_or_default();
        self.replace(name, &current, fresh)
    }

    /// The same of the part of a document between its marks.
    pub fn put_between_marks(&self, name: &str, part: &str) -> Result<bool, Error> {
        let current = read(&self.folder.join(name))?;
        self.replace(name, &current, &with_part(name, &current, REFERENCE, part)?)
    }

    /// The same of the index of a document: its sections, and the metrics of a catalog as [`reference`](crate::reference)
    /// lists them.
    pub fn put_index(&self, name: &str, catalog: &Catalog) -> Result<bool, Error> {
        let current = read(&self.folder.join(name))?;
        let index = index(&current, catalog);
        self.replace(name, &current, &with_part(name, &current, INDEX, &index)?)
    }

    fn replace(&self, name: &str, current: &str, fresh: &str) -> Result<bool, Error> {
        let Some(line) = first_difference(current, fresh) else {
            return Ok(false);
        };
        let path = PathBuf::from(name);
        if self.check {
            return Err(Error::Stale { path, line });
        }
        let failed = |source| Error::File {
            verb: "write",
            path,
            source,
        };
        let file = self.folder.join(name);
        let folder = file.parent().map_or(Ok(()), fs::create_dir_all);
        folder
            .and_then(|()| fs::write(&file, fresh))
            .map_err(failed)?;
        Ok(true)
    }
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::File {
        verb: "read",
        path: path.to_owned(),
        source,
    })
}

/// The document with this part in place of its own.
fn with_part(
    name: &str,
    document: &str,
    [begin, end]: [&'static str; 2],
    part: &str,
) -> Result<String, Error> {
    let no_mark = |mark| Error::NoMark {
        path: PathBuf::from(name),
        mark,
    };
    let (before, rest) = document.split_once(begin).ok_or_else(|| no_mark(begin))?;
    let (_, after) = rest.split_once(end).ok_or_else(|| no_mark(end))?;
    Ok(format!("{before}{begin}\n\n{part}\n{end}{after}"))
}

/// The first line of the fresh text that the current one does not have in its place.
fn first_difference(current: &str, fresh: &str) -> Option<String> {
    if current == fresh {
        return None;
    }
    let mut lines = fresh.lines().zip(current.lines()).enumerate();
    let told = lines
        .find(|(_, (fresh, current))| fresh != current)
        .map_or_else(
            || "its end is missing, or there is more than there should be".to_owned(),
            |(i, (fresh, _))| format!("line {} should be {fresh:?}", i + 1),
        );
    Some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: &str = "GUIDE.md";
    const BEGIN: &str = REFERENCE[0];
    const END: &str = REFERENCE[1];

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let guide = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let fresh = with_part(GUIDE, &guide, REFERENCE, "new\n").unwrap();
        assert_eq!(fresh, format!("before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"));
        assert_eq!(with_part(GUIDE, &fresh, REFERENCE, "new\n").unwrap(), fresh);
        assert_eq!(first_difference(&fresh, &fresh), None);
        assert_eq!(
            first_difference(&guide, &fresh).unwrap(),
            "line 3 should be \"\""
        );
    }

    #[test]
    fn a_document_without_marks_is_an_error_that_names_the_mark() {
        for (guide, mark) in [("nothing", BEGIN), (BEGIN, END)] {
            let error = with_part(GUIDE, guide, REFERENCE, "new").unwrap_err();
            let error = error.to_string();
            assert!(error.contains(mark), "{error}");
        }
    }

    #[test]
    fn a_file_is_written_once_and_a_stale_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let at = |check| Generated {
            folder: folder.path().to_owned(),
            check,
        };
        let stale = at(true).put("a/rules.yml", "groups: []\n").unwrap_err();
        assert!(
            stale.to_string().starts_with("a/rules.yml is stale"),
            "{stale}"
        );
        assert!(at(false).put("a/rules.yml", "groups: []\n").unwrap());
        assert!(!at(true).put("a/rules.yml", "groups: []\n").unwrap());
        assert_eq!(
            fs::read_to_string(folder.path().join("a/rules.yml")).unwrap(),
            "groups: []\n"
        );
    }
}
