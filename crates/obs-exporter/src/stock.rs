//! The recorder of `metrics-exporter-prometheus` as a backend, with what it gets wrong put right around it.
//!
//! Keys are put in order before they are registered, and what is rendered is sorted and scaled. What it cannot keep is kept by our own
//! engine. It is given buckets when it is built and never again, so that a histogram that it learns of later would become a summary.
//! Its summaries lose most of a burst that follows a quiet time, because they take samples in from the newest to the oldest and drop
//! what is older than the window's first; they show 0 while nothing is in the window, blur everything below a seven-hundredth of the
//! largest sample, and have one list of quantiles for all.

mod canonical;
mod exposition;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use metrics::Recorder;
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use obs_core::{Admission, Budgeted, Catalogue, Family, Kind};
use obs_recorder::{BUCKETS_BY_SUFFIX, Engine, Format, metric_name};

use crate::backend::engine;
use crate::{Config, ExporterError};
use canonical::{Canonical, Encoded, encode};
use exposition::Arranger;

/// What a scrape of the stock recorder reads.
#[derive(Clone)]
pub(crate) struct Stock {
    recorder: PrometheusHandle,
    engine: Engine,
    admission: Arc<Admission>,
    arranger: Arc<Arranger>,
}

impl Stock {
    /// The recorder, told what the catalogue knows and held to its budgets, and what reads it.
    pub(crate) fn build(
        config: &Config,
        catalogue: &Catalogue,
        global_labels: &[(&str, &str)],
        foreign: &BTreeMap<&'static str, &'static [f64]>,
    ) -> Result<(impl Recorder + Send + Sync + use<>, Self), ExporterError> {
        let encoded_labels = global_labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), encode(value).into_owned()));
        let inner = prometheus(&encoded_labels.collect(), catalogue, foreign)?;
        let recorder = inner.handle();
        let engine = engine(config, catalogue, global_labels, foreign).build()?;
        let admission = Arc::new(Admission::new(catalogue, config.undeclared_families));
        let histograms = catalogue.families().filter(|family| has_bounds(family));
        let bounded: HashSet<_> = histograms
            .map(|family| family.name().to_owned())
            .chain(foreign.keys().map(|name| metric_name(name).into_owned()))
            .collect();
        let encoded = Encoded {
            inner,
            engine: engine.clone(),
            admission: Arc::clone(&admission),
            bounded,
        };
        let stock = Self {
            recorder,
            engine,
            arranger: Arc::new(Arranger::new(Arc::clone(&admission))),
            admission: Arc::clone(&admission),
        };
        let canonical = Canonical {
            inner: Budgeted::with(encoded, Arc::clone(&admission)),
            admission,
        };
        catalogue.describe(&canonical);
        Ok((canonical, stock))
    }

    /// What is known of the families.
    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Appends everything recorded.
    pub(crate) fn render_into(&self, out: &mut String) {
        let (rendered, kept) = (self.recorder.render(), self.engine.render(Format::Classic));
        out.push_str(&self.arranger.arrange(&rendered, &kept));
    }

    /// Takes in what was recorded, so that it does not pile up.
    pub(crate) fn upkeep(&self) {
        self.recorder.run_upkeep();
        self.engine.upkeep();
    }
}

impl fmt::Debug for Stock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stock").finish_non_exhaustive()
    }
}

/// The recorder that keeps counters, gauges and histograms, told what the catalogue knows of buckets.
fn prometheus(
    global_labels: &BTreeMap<String, String>,
    catalogue: &Catalogue,
    foreign: &BTreeMap<&'static str, &'static [f64]>,
) -> Result<PrometheusRecorder, ExporterError> {
    let mut builder = PrometheusBuilder::new();
    for (suffix, bounds) in BUCKETS_BY_SUFFIX {
        let matcher = Matcher::Suffix(suffix.to_owned());
        builder = accepted(builder.set_buckets_for_metric(matcher, bounds), suffix)?;
    }
    // The recorder refuses histograms without bounds; they are kept beside it.
    for family in catalogue.families().filter(|family| has_bounds(family)) {
        let matcher = Matcher::Full(family.name().to_owned());
        let set = builder.set_buckets_for_metric(matcher, family.bucket_bounds());
        builder = accepted(set, family.name())?;
    }
    for (name, bounds) in foreign {
        let matcher = Matcher::Full(metric_name(name).into_owned());
        builder = accepted(builder.set_buckets_for_metric(matcher, bounds), name)?;
    }
    for (key, value) in global_labels {
        builder = builder.add_global_label(key, value);
    }
    Ok(builder.build_recorder())
}

/// Whether a family is a histogram with declared buckets.
fn has_bounds(family: &Family) -> bool {
    family.kind() == Kind::Histogram && !family.bucket_bounds().is_empty()
}

fn accepted(
    built: Result<PrometheusBuilder, BuildError>,
    family: &'static str,
) -> Result<PrometheusBuilder, ExporterError> {
    built.map_err(|error| ExporterError::Refused {
        family,
        reason: error.to_string(),
    })
}
