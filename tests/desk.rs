//! The sample desk, running as its users run it, and what others say of its metrics.

use std::process::Command;

use obs_exposition::{Exposition, Kind};
use obs_tests::{Desk, PythonParser, Verdict, check_metrics, scrape};

#[test]
fn a_running_desk_satisfies_everybody() {
    let desk = Desk::replayed().unwrap();
    let text = scrape(desk.metrics()).unwrap();

    assert_eq!(check_metrics(&text).unwrap(), Verdict::Accepted);

    let ours = obs_exposition::parse(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"));
    let theirs = PythonParser::start()
        .unwrap()
        .parse(&text)
        .unwrap()
        .unwrap();
    let samples = theirs.iter().flat_map(|family| &family.samples);
    let theirs: Vec<_> = samples
        .map(|sample| (sample.name.as_str(), sample.value.to_bits()))
        .collect();
    let samples = ours.families.iter().flat_map(|family| &family.samples);
    let read: Vec<_> = samples
        .map(|sample| (sample.name.as_str(), sample.value.to_bits()))
        .collect();
    assert_eq!(read, theirs);

    something_happened(&ours);
    process_agrees_with_the_system(desk.process_id(), &ours);
    counters_never_go_down(
        &ours,
        &obs_exposition::parse(&scrape(desk.metrics()).unwrap()).unwrap(),
    );
    desk.stop().unwrap();
}

/// What the desk says of its process is what the kernel and `ps` say of it, within 5 %. It has nothing left to do, so nothing
/// moves between the two looks.
fn process_agrees_with_the_system(id: u32, scrape: &Exposition) {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // The name in parentheses may hold anything; the fields are counted behind it, user and system time 12th and 13th.
    let fields: Vec<&str> = stat
        .rsplit_once(") ")
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ticks: f64 = fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<f64>().unwrap())
        .sum();
    let [resident, size, threads] = <[f64; 3]>::try_from(ps(id, "rss=,vsz=,nlwp=")).unwrap();
    for (name, told) in [
        (
            "process_cpu_seconds_total",
            ticks / told_by("getconf", &["CLK_TCK"])[0],
        ),
        ("process_resident_memory_bytes", resident * 1024.0),
        ("process_virtual_memory_bytes", size * 1024.0),
        ("process_threads", threads),
    ] {
        let shown = scrape.sum(name, &[]).unwrap();
        assert!(
            (shown / told - 1.0).abs() < 0.05,
            "{name}: {shown} is not about {told}"
        );
    }
}

fn ps(id: u32, columns: &str) -> Vec<f64> {
    told_by("ps", &["-o", columns, "-p", &id.to_string()])
}

/// The numbers that a command prints.
fn told_by(program: &str, arguments: &[&str]) -> Vec<f64> {
    let output = Command::new(program).args(arguments).output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    output
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect()
}

/// The figures of a desk that has really traded, and hold together.
fn something_happened(scrape: &Exposition) {
    let sum = |name: &str, labels: &[_]| {
        scrape
            .sum(name, labels)
            .unwrap_or_else(|| panic!("no {name} {labels:?}"))
    };
    for name in [
        "trading_signals_total",
        "trading_trades_total",
        "trading_trades_rejected_total",
        "http_requests_total",
    ] {
        assert!(sum(name, &[]) > 0.0, "{name}");
    }
    let submitted = sum("trading_orders_total", &[])
        + sum("trading_orders_resumed_total", &[])
        + sum("trading_orders_reopened_total", &[]);
    let ended = sum("trading_orders_closed_total", &[]) + sum("trading_orders_open", &[]);
    assert!(
        (submitted - ended).abs() < f64::EPSILON,
        "{submitted} orders, {ended} closed or open"
    );
    let decided = sum("trading_decisions_total", &[]);
    let signalled = sum("trading_signals_total", &[]);
    assert!(
        (decided - signalled).abs() < f64::EPSILON,
        "{signalled} signals, {decided} decisions"
    );
    for labels in [[("service", "trading-desk")], [("mode", "backtest")]] {
        assert!(sum("app_info", &labels) > 0.0, "{labels:?}");
    }
}

fn counters_never_go_down(before: &Exposition, after: &Exposition) {
    let counters = before
        .families
        .iter()
        .filter(|family| family.kind == Kind::Counter);
    for sample in counters.flat_map(|family| &family.samples) {
        let labels: Vec<_> = sample
            .labels
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let later = after.value(&sample.name, &labels);
        assert!(
            later >= Some(sample.value),
            "{sample} was followed by {later:?}"
        );
    }
}
