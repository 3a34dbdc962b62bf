//! The tests of `pipeline` with the recorder of `metrics-exporter-prometheus`.

#[path = "pipeline.rs"]
mod pipeline;
