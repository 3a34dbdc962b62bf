//! The sample desk, running as its users run it, and what others say of its metrics.

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
    counters_never_go_down(
        &ours,
        &obs_exposition::parse(&scrape(desk.metrics()).unwrap()).unwrap(),
    );
    desk.stop().unwrap();
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
    let submitted = sum("trading_orders_total", &[]) + sum("trading_orders_resumed_total", &[]);
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
