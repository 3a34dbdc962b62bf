//! The classic text format of what the files show.

use std::fmt::Write;

use obs_memory::Value;

use super::switch::Hung;
use super::watch::{Family, Look};

/// Everything, by name.
pub(super) fn write(look: &Look, hung: &Hung) -> String {
    let mut out = String::new();
    for refused in &look.refused {
        let _ = writeln!(out, "# {}", refused.replace('\n', " "));
    }
    out.push_str(
        "# HELP obs_process_up Processes of that name that live; 0 where the last one is dead.\n# TYPE obs_process_up gauge\n",
    );
    for (name, counts) in &look.processes {
        let labels = [("process".to_owned(), name.clone())];
        line(&mut out, "obs_process_up", &labels, None, counts.alive);
    }
    if !hung.is_empty() {
        out.push_str(
            "# HELP obs_process_hung_seconds Seconds without a beat of a watched loop that hangs; 0 while it beats in time, NaN while it is not armed.\n# TYPE obs_process_hung_seconds gauge\n",
        );
    }
    for ((process, name), seconds) in hung {
        let labels = [("loop", name), ("process", process)];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.clone()));
        line(
            &mut out,
            "obs_process_hung_seconds",
            &labels,
            None,
            float(*seconds),
        );
    }
    for (name, family) in &look.families {
        let is_ours = ["obs_process_up", "obs_process_hung_seconds"].contains(&&**name);
        if !is_ours && !family.series.is_empty() {
            write_family(&mut out, name, family);
        }
    }
    out
}

fn write_family(out: &mut String, name: &str, family: &Family) {
    if !family.help.is_empty() {
        let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(out, "# HELP {name} {help}");
    }
    let _ = writeln!(out, "# TYPE {name} {}", family.kind.as_str());
    for (labels, value) in &family.series {
        match value {
            Value::Counter { number, decimals } => {
                line(out, name, labels, None, decimal(*number, *decimals));
            }
            Value::Gauge(value) => line(out, name, labels, None, float(*value)),
            Value::Histogram { buckets, sum } => {
                let mut count = 0_u64;
                let bounds = family.bounds.iter().copied().chain([f64::INFINITY]);
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
