//! `obstool diff`: what changed from one catalogue to another.

use std::path::Path;

use obs_verify::{Catalog, Report, compare};

use crate::client::Client;
use crate::verify::{Format, tell};
use crate::{Access, Error, Place, service};

/// Say what changed from one catalogue to another
///
/// What breaks queries that were right before fails: a metric, label or value that is gone, another kind, unit or set of buckets.
/// What was added is a note.
#[derive(clap::Args, Debug)]
pub struct Diff {
    /// The catalogue that was: a file, or where a service is.
    old: String,
    /// The catalogue that is: a file, or where a service is.
    new: String,
    /// How to say what was found.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write JSON for machines: the same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    #[command(flatten)]
    access: Access,
}

impl Diff {
    /// Compares them; whether nothing breaks.
    pub fn run(&self) -> Result<bool, Error> {
        let (old, new) = (
            catalog(&self.old, &self.access)?,
            catalog(&self.new, &self.access)?,
        );
        let format = if self.json { Format::Json } else { self.format };
        let report = Report::new("what was and what is", compare::changes(&old, &new));
        Ok(tell(&report, format))
    }
}

/// The catalogue in a file, or of a service.
pub(crate) fn catalog(at: &str, access: &Access) -> Result<Catalog, Error> {
    if Path::new(at).is_file() {
        let text = std::fs::read_to_string(at).map_err(|source| obs_verify::Error::File {
            verb: "read",
            path: at.into(),
            source,
        })?;
        return Ok(Catalog::read(at, &text)?);
    }
    let place: Place = at.parse().map_err(Error::Usage)?;
    let client = Client::new(&place, access)?;
    let found = service::catalog(&client, &place)?;
    found.ok_or_else(|| Error::NoCatalogue(place.to_string()))
}
