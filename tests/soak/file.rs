//! The file of a process under load that was killed: what it holds of what was recorded.

use std::collections::HashMap;
use std::path::Path;

use obs_memory::{MemoryError, Reader, SeriesReading, Value};

use crate::check::{Faults, hold};
use crate::load::Recorded;

/// What differs between a dead process' file and what it recorded.
pub(crate) fn lost(path: &Path, recorded: &Recorded) -> Result<Faults, MemoryError> {
    let reading = Reader::open(path)?.read()?;
    let mut faults = Faults::default();
    if reading.is_alive {
        faults.add(|| "its process still lives".to_owned());
    }
    if !reading.is_complete {
        faults.add(|| "it lacks what there was no memory for".to_owned());
    }
    let mut shown = HashMap::new();
    for family in &reading.families {
        for series in &family.series {
            let mut labels = reading.globals.clone();
            labels.extend(series.labels.iter().cloned());
            let labels: Vec<_> = labels.into_iter().collect();
            for (suffix, bound, value) in lines(series, &family.bounds) {
                let mut labels = labels.clone();
                labels.extend(bound.map(|bound| ("le".to_owned(), bound.to_string())));
                labels.sort();
                shown.insert((format!("{}{suffix}", family.name), labels), value);
            }
        }
    }
    hold(&shown, recorded, &mut faults);
    Ok(faults)
}

/// What a scrape would show of a series: what follows the family's name, the bound of a bucket, and the value.
fn lines(series: &SeriesReading, bounds: &[f64]) -> Vec<(&'static str, Option<f64>, f64)> {
    match &series.value {
        Value::Counter { number, decimals } => {
            let value = *number as f64 / 10_f64.powi((*decimals).into());
            vec![("", None, value)]
        }
        Value::Gauge(value) => vec![("", None, *value)],
        Value::Histogram { buckets, sum } => {
            let mut count = 0;
            let mut lines = vec![("_sum", None, *sum)];
            for (bound, bucket) in bounds.iter().chain([&f64::INFINITY]).zip(buckets) {
                count += bucket;
                lines.push(("_bucket", Some(*bound), count as f64));
            }
            lines.push(("_count", None, count as f64));
            lines
        }
        Value::Summary { count, sum } => {
            vec![("_count", None, *count as f64), ("_sum", None, *sum)]
        }
        _ => Vec::new(),
    }
}
