//! What the files show as values, for formats that are no text: protobuf, and what is pushed over OTLP.

use obs_core::Kind;
use obs_memory::{Labels, Value};
use obs_recorder::{FamilySnapshot, NativeBuckets, SeriesSnapshot, SeriesValue};

use super::switch::Hung;
use super::text::own;
use super::watch::{Families, Family, Look};

/// Everything: what the agent says itself, and then all others by name.
pub(super) fn of(look: &Look, hung: &Hung) -> Vec<FamilySnapshot> {
    let own = own(look, hung);
    let is_own = |name: &str| own.iter().any(|(own, _)| own.name() == name);
    let others = of_processes(&look.families).filter(|family| !is_own(&family.name));
    let mut families: Vec<_> = own
        .iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(family, values)| {
            let mut shown = FamilySnapshot::new(family.name(), family.kind());
            shown.help = family.help();
            let series = values.iter().filter_map(|(labels, shown)| {
                let value = value(shown, None)?;
                Some(SeriesSnapshot::new(stated(labels), look.since, value))
            });
            shown.series = series.collect();
            shown
        })
        .collect();
    families.extend(others);
    families
}

/// What processes show together.
pub(super) fn of_processes(families: &Families) -> impl Iterator<Item = FamilySnapshot> {
    let shown = families
        .iter()
        .filter(|(_, family)| !family.series.is_empty());
    shown.map(|(name, family)| snapshot(name, family))
}

/// A scrape in protobuf.
pub(super) fn protobuf(look: &Look, hung: &Hung) -> Vec<u8> {
    let mut out = Vec::new();
    for family in of(look, hung) {
        family.append_protobuf(&mut out);
    }
    out
}

/// A family of all processes.
fn snapshot(name: &str, family: &Family) -> FamilySnapshot {
    let kind = match family.kind {
        obs_memory::Kind::Counter => Kind::Counter,
        obs_memory::Kind::Gauge => Kind::Gauge,
        obs_memory::Kind::Histogram => Kind::Histogram,
        obs_memory::Kind::Summary => Kind::Summary,
    };
    let mut shown = FamilySnapshot::new(name, kind);
    shown.help.clone_from(&family.help);
    shown.bounds = family.bounds.clone().into();
    // Without declared bounds a family has one sort of buckets in all its series, or receivers could not take it as one metric.
    let all_native = family.series.values().all(|series| series.native.is_some());
    let with_native = all_native || !family.bounds.is_empty();
    let series = family.series.iter().filter_map(|(labels, series)| {
        let native = series.native.as_ref().filter(|_| with_native);
        let value = value(&series.value, native)?;
        Some(SeriesSnapshot::new(stated(labels), series.began, value))
    });
    shown.series = series.collect();
    shown
}

/// The labels that say something: one with an empty value is none.
fn stated(labels: &Labels) -> Labels {
    let stated = labels.iter().filter(|(_, value)| !value.is_empty());
    stated.cloned().collect()
}

/// What a series shows; none for what a later edition may hold.
fn value(value: &Value, native: Option<&obs_memory::NativeBuckets>) -> Option<SeriesValue> {
    Some(match value {
        Value::Counter { number, decimals } => SeriesValue::Counter {
            number: *number,
            decimals: *decimals,
        },
        Value::Gauge(value) => SeriesValue::Gauge(*value),
        Value::Histogram { buckets, sum } => SeriesValue::Histogram {
            buckets: buckets.clone(),
            sum: *sum,
            exemplars: Vec::new(),
            native: native.map(listed),
        },
        Value::Summary { count, sum } => SeriesValue::Summary {
            quantiles: Vec::new(),
            count: *count,
            sum: *sum,
        },
        _ => return None,
    })
}

fn listed(buckets: &obs_memory::NativeBuckets) -> NativeBuckets {
    let held = |side: &std::collections::BTreeMap<i32, u64>| {
        let counts = side.iter().filter(|(_, count)| **count > 0);
        counts.map(|(index, count)| (*index, *count)).collect()
    };
    let mut native = NativeBuckets::new(buckets.schema, buckets.zero_threshold);
    native.zero_count = buckets.zero_count;
    native.negative = held(&buckets.negative);
    native.positive = held(&buckets.positive);
    native
}
