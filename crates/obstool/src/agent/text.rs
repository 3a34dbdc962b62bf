//! The classic text format of what the files show.

use std::fmt::Write;
use std::time::Duration;

use obs_memory::{Labels, Value};

use super::families::{AgentMetrics, LoopMetrics, ProcessMetrics};
use super::switch::Hung;
use super::watch::{Counts, Family, Look};

/// Everything, by name.
pub(super) fn write(look: &Look, hung: &Hung) -> String {
    let mut out = String::new();
    for refused in &look.refused {
        let _ = writeln!(out, "# {}", refused.replace('\n', " "));
    }
    let own = own(look, hung);
    let others = look.families.iter().filter(|(name, family)| {
        let is_own = own.iter().any(|(own, _)| own.name() == **name);
        !is_own && !family.series.is_empty()
    });
    for (family, values) in own.iter().filter(|(_, values)| !values.is_empty()) {
        let (name, kind) = (family.name(), family.kind().as_str());
        let _ = writeln!(
            out,
            "# HELP {name} {}\n# TYPE {name} {kind}",
            escaped(&family.help())
        );
        for (labels, value) in values {
            write_series(&mut out, name, &[], labels, value);
        }
    }
    for (name, family) in others {
        write_family(&mut out, name, family);
    }
    out
}

/// Values by labels.
pub(super) type Values = Vec<(Labels, Value)>;

/// What the agent says itself.
pub(super) fn own(look: &Look, hung: &Hung) -> [(&'static obs_core::Family, Values); 7] {
    // As the process labels what it shows itself: alerts are routed by its mode, whatever else the agent watches.
    let labels_of = |process: &str, watched: Option<&str>| -> Labels {
        let mut labels = look.globals.get(process).cloned().unwrap_or_default();
        labels.insert("process".to_owned(), process.to_owned());
        labels.extend(watched.map(|name| ("loop".to_owned(), name.to_owned())));
        labels.into_iter().collect()
    };
    let of_each = |count: &dyn Fn(&str, &Counts) -> usize| {
        let processes = look.processes.iter();
        let value = |(name, counts): (&String, &Counts)| {
            let labels = labels_of(name, None);
            (labels, Value::Gauge(whole(count(name, counts))))
        };
        processes.map(value).collect()
    };
    let incomplete = |name: &str, _: &Counts| {
        let of_name = |incomplete: &&String| **incomplete == name;
        look.incomplete.iter().filter(of_name).count()
    };
    let hung = hung.iter().map(|((process, name), seconds)| {
        let labels = labels_of(process, Some(name));
        (labels, Value::Gauge(*seconds))
    });
    let failures = look.push_failures.iter().map(|(receiver, failures)| {
        let labels = vec![("receiver".to_owned(), (*receiver).to_owned())];
        let (number, decimals) = (*failures, 0);
        (labels, Value::Counter { number, decimals })
    });
    [
        (ProcessMetrics::up, of_each(&|_, counts| counts.alive)),
        (ProcessMetrics::dead, of_each(&|_, counts| counts.dead)),
        (ProcessMetrics::incomplete, of_each(&incomplete)),
        (
            AgentMetrics::started,
            vec![(
                Labels::new(),
                Value::Gauge(Duration::from_millis(look.since).as_secs_f64()),
            )],
        ),
        (
            AgentMetrics::refused,
            vec![(Labels::new(), Value::Gauge(whole(look.refused.len())))],
        ),
        (AgentMetrics::push_failures, failures.collect()),
        (LoopMetrics::hung, hung.collect()),
    ]
}

/// A number of files or processes.
fn whole(number: usize) -> f64 {
    u32::try_from(number).unwrap_or(u32::MAX).into()
}

fn escaped(help: &str) -> String {
    help.replace('\\', "\\\\").replace('\n', "\\n")
}

fn write_family(out: &mut String, name: &str, family: &Family) {
    if !family.help.is_empty() {
        let _ = writeln!(out, "# HELP {name} {}", escaped(&family.help));
    }
    let _ = writeln!(out, "# TYPE {name} {}", family.kind.as_str());
    for (labels, series) in &family.series {
        write_series(out, name, &family.bounds, labels, &series.value);
    }
}

fn write_series(
    out: &mut String,
    name: &str,
    bounds: &[f64],
    labels: &[(String, String)],
    value: &Value,
) {
    match value {
        Value::Counter { number, decimals } => {
            line(out, name, labels, None, decimal(*number, *decimals));
        }
        Value::Gauge(value) => line(out, name, labels, None, float(*value)),
        Value::Histogram { buckets, sum } => {
            let mut count = 0_u64;
            let bounds = bounds.iter().copied().chain([f64::INFINITY]);
            for (bound, bucket) in bounds.zip(buckets) {
                count = count.wrapping_add(*bucket);
                let bound = float(bound);
                line(out, &format!("{name}_bucket"), labels, Some(&bound), count);
            }
            line(out, &format!("{name}_sum"), labels, None, float(*sum));
            line(out, &format!("{name}_count"), labels, None, count);
        }
        Value::Summary { count, sum } => {
            line(out, &format!("{name}_sum"), labels, None, float(*sum));
            line(out, &format!("{name}_count"), labels, None, count);
        }
        _ => {}
    }
}

fn line(
    out: &mut String,
    name: &str,
    labels: &[(String, String)],
    bound: Option<&str>,
    value: impl std::fmt::Display,
) {
    out.push_str(name);
    let mut before = '{';
    let le = bound.map(|bound| ("le", bound));
    let own = labels.iter().map(|(name, value)| (&**name, &**value));
    for (name, value) in own.chain(le) {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = write!(out, "{before}{name}=\"{}\"", value.replace('\n', "\\n"));
        before = ',';
    }
    let end = if before == ',' { "}" } else { "" };
    let _ = writeln!(out, "{end} {value}");
}

/// A number without loss, however large.
fn decimal(number: u64, decimals: u8) -> String {
    if decimals == 0 {
        return number.to_string();
    }
    let width = usize::from(decimals);
    let digits = format!("{number:0>width$}", width = width + 1);
    let (whole, part) = digits.split_at(digits.len() - width);
    format!("{whole}.{part}")
}

fn float(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}
