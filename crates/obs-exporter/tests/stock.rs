//! The exporter with the recorder of `metrics-exporter-prometheus`.

use obs_exporter::RecorderKind;

#[path = "both/exposition.rs"]
mod exposition;

const RECORDER: RecorderKind = RecorderKind::Stock;
