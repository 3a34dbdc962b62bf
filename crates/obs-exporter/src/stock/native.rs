//! Native histograms beside the classic ones, for scrapes in protobuf: no text format has them.
//!
//! They are kept and written here, and not by the recorder. What that writes are keys and values as it has them: encoded, counters
//! of seconds in nanoseconds, and without our summaries; and to be compiled with it, it needs a `protoc`.

pub(crate) use imp::Natives;

/// The media type of a scrape in protobuf.
pub(crate) const MEDIA_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

#[cfg(feature = "native-histograms")]
mod buckets;
#[cfg(feature = "native-histograms")]
mod protobuf;

#[cfg(feature = "native-histograms")]
mod imp {
    use std::collections::{BTreeMap, HashMap, HashSet};
    use std::sync::{Arc, Mutex};

    use metrics::{Histogram, HistogramFn, Key};
    use obs_core::{Catalogue, Family, Kind};

    use super::buckets::Buckets;
    use super::protobuf;
    use crate::Config;
    use crate::exporter::lock;
    use crate::stock::canonical::encode;

    /// The native histograms of one recorder: of every declared histogram, beside its classic buckets.
    #[derive(Debug)]
    pub(crate) struct Natives {
        declared: HashSet<&'static str>,
        /// On every series, encoded.
        global_labels: BTreeMap<String, String>,
        cells: Mutex<HashMap<Series, Arc<Mutex<Buckets>>>>,
    }

    /// A name and its labels, encoded.
    type Series = (String, BTreeMap<String, String>);

    /// A series in both forms.
    struct Both {
        classic: Histogram,
        native: Arc<Mutex<Buckets>>,
    }

    impl HistogramFn for Both {
        fn record(&self, value: f64) {
            self.record_many(value, 1);
        }

        fn record_many(&self, value: f64, count: usize) {
            self.classic.record_many(value, count);
            lock(&self.native).add(value, count as u64);
        }
    }

    impl Natives {
        /// As configured.
        pub(crate) fn new(
            config: &Config,
            catalogue: &Catalogue,
            global_labels: &BTreeMap<String, String>,
        ) -> Option<Arc<Self>> {
            let histograms = catalogue
                .families()
                .filter(|family| family.kind() == Kind::Histogram);
            let natives = || Self {
                declared: histograms.map(Family::name).collect(),
                global_labels: global_labels.clone(),
                cells: Mutex::default(),
            };
            config.native_histograms.then(|| Arc::new(natives()))
        }

        /// The handle of a series in both forms, if its family has them. The key is canonical.
        pub(crate) fn beside(&self, key: &Key, classic: Histogram) -> Histogram {
            if !self.declared.contains(key.name()) {
                return classic;
            }
            let mut labels: BTreeMap<_, _> = self
                .global_labels
                .iter()
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            let own = key.labels();
            labels.extend(own.map(|label| (label.key().to_owned(), label.value().to_owned())));
            let mut cells = lock(&self.cells);
            let native = cells.entry((key.name().to_owned(), labels)).or_default();
            Histogram::from_arc(Arc::new(Both {
                classic,
                native: Arc::clone(native),
            }))
        }

        /// A rendered text as protobuf, with the native histograms in it; none where it is no sound text.
        pub(crate) fn protobuf(&self, text: &str) -> Option<Vec<u8>> {
            let exposition = obs_exposition::parse(text);
            let exposition = exposition.inspect_err(|error| {
                tracing::warn!(%error, "what other code records cannot be written in protobuf; served as text");
            });
            let exposition = exposition.ok()?;
            Some(protobuf::write(&exposition, |family, labels| {
                let labels = labels
                    .iter()
                    .map(|(key, value)| (key.clone(), encode(value).into_owned()));
                let series = (family.to_owned(), labels.collect());
                let cell = lock(&self.cells).get(&series).map(Arc::clone)?;
                let buckets = lock(&cell).clone();
                Some(buckets)
            }))
        }
    }
}

#[cfg(not(feature = "native-histograms"))]
mod imp {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use metrics::{Histogram, Key};
    use obs_core::Catalogue;

    use crate::Config;

    /// Without the feature there are none.
    #[derive(Debug)]
    pub(crate) enum Natives {}

    impl Natives {
        /// A configuration that asks for them was refused before.
        pub(crate) fn new(
            _: &Config,
            _: &Catalogue,
            _: &BTreeMap<String, String>,
        ) -> Option<Arc<Self>> {
            None
        }

        pub(crate) fn beside(&self, _: &Key, _: Histogram) -> Histogram {
            match *self {}
        }

        pub(crate) fn protobuf(&self, _: &str) -> Option<Vec<u8>> {
            match *self {}
        }
    }
}
