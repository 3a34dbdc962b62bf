//! The exporter with the recorder of this workspace.

use obs_exporter::RecorderKind;

#[path = "both/exposition.rs"]
mod exposition;

const RECORDER: RecorderKind = RecorderKind::Obs;
