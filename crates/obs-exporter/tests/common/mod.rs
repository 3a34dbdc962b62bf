//! Exporters, and what they counted.

use metrics::Recorder;
use obs_exporter::{Config, Exporter};

/// An exporter on a free port.
pub(crate) fn exporter(config: Config) -> (impl Recorder, Exporter) {
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..config
    };
    let builder = Exporter::builder(obs_exporter::app_info!());
    builder.config(config).build().unwrap()
}

/// How many were turned away for this reason.
pub(crate) fn refused(exporter: &Exporter, reason: &str) -> u64 {
    let label = format!("reason=\"{reason}\"");
    count(&exporter.render(), "obs_scrape_refused_total", &label)
}

/// The value of a counter's series. A text of many megabytes is looked through from its end, not parsed.
pub(crate) fn count(text: &str, name: &str, label: &str) -> u64 {
    let mut lines = text.lines().rev();
    let line = lines.find(|line| line.starts_with(name) && line.contains(label));
    let (_, value) = line.unwrap().rsplit_once(' ').unwrap();
    value.parse().unwrap()
}
