//! What comes out of an exporter, read by a strict parser. The tests of `obs.rs` and `stock.rs`, which say which recorder.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::Recorder;
use obs_core::{By, Catalogue, Counter, Gauge, Histogram, Outcome, Summary, TimeCounter, buckets};
use obs_exporter::{AppInfo, Config, Exporter, ExporterError, Mode};
use obs_exposition::{Exposition, Kind};

obs_core::label! {
    /// Where orders go.
    pub open Venue as "venue" up to 20
}

obs_core::families! {
    /// One family of each kind.
    pub struct Sample(venue: Venue) {
        /// Orders by outcome.
        ///
        /// What stands in later paragraphs is for readers of the code.
        pub orders: By<Outcome, Counter> = "sample_orders_total",
        /// Time spent; a \ and a "quote".
        pub busy: TimeCounter = "sample_busy_seconds_total",
        /// Money held.
        pub balance: Gauge = "sample_balance",
        /// Time to fill.
        pub fill: Histogram = "sample_fill_duration_seconds" { buckets: &[0.1, 1.0, 10.0] },
        /// Time to decide.
        pub decision: Summary = "sample_decision_seconds" { quantiles: &[0.25, 0.75] },
        /// Confidence.
        pub confidence: Summary = "sample_confidence" { quantiles: &[1.0] },
    }
}

const APP: AppInfo = AppInfo {
    name: "sample",
    version: "1.2.3",
    git_commit: Some("0123abc"),
};

fn build(config: Config) -> (impl Recorder, Exporter) {
    let config = Config {
        recorder: crate::RECORDER,
        ..config
    };
    Exporter::builder(APP)
        .config(config)
        .catalogue(Catalogue::of(&[Sample::FAMILIES]))
        .build()
        .unwrap()
}

fn sample(recorder: &impl Recorder, venue: &str) -> Sample {
    metrics::with_local_recorder(recorder, || Sample::new(venue))
}

fn scrape(exporter: &Exporter) -> Exposition {
    let text = exporter.render();
    obs_exposition::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Labels with the global one that is always there.
fn of<'a>(labels: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    labels
        .iter()
        .copied()
        .chain([("service", "sample")])
        .collect()
}

#[test]
fn every_kind_comes_out_as_declared() {
    let (recorder, exporter) = build(Config::default());
    let sample = sample(&recorder, "alpaca");
    sample.orders[Outcome::Ok].increment(3);
    sample.balance.set(-2.5);
    for seconds in [0.05, 0.5, 5.0, 50.0] {
        sample.fill.record(seconds);
    }
    for milliseconds in 0..=100 {
        sample.decision.record(Duration::from_millis(milliseconds));
    }

    let scrape = scrape(&exporter);
    let venue = ("venue", "alpaca");
    let orders = |outcome| scrape.value("sample_orders_total", &of(&[venue, ("outcome", outcome)]));
    assert_eq!(orders("ok"), Some(3.0));
    assert_eq!(
        orders("error"),
        Some(0.0),
        "known series exist from the start"
    );
    assert_eq!(scrape.value("sample_balance", &of(&[venue])), Some(-2.5));

    let kind = |name: &str| scrape.family(name).map(|family| family.kind);
    assert_eq!(kind("sample_orders_total"), Some(Kind::Counter));
    assert_eq!(kind("sample_balance"), Some(Kind::Gauge));
    assert_eq!(kind("sample_fill_duration_seconds"), Some(Kind::Histogram));
    assert_eq!(
        kind("sample_decision_seconds"),
        Some(Kind::Summary),
        "a unit makes no histogram of it"
    );

    let histogram = &scrape
        .family("sample_fill_duration_seconds")
        .unwrap()
        .histograms()[0];
    let infinity = f64::INFINITY;
    assert_eq!(
        histogram.buckets,
        [(0.1, 1.0), (1.0, 2.0), (10.0, 3.0), (infinity, 4.0)]
    );
    assert_eq!((histogram.sum, histogram.count), (55.55, 4.0));

    let quantiles: Vec<_> = scrape
        .samples("sample_decision_seconds")
        .filter_map(|sample| sample.label("quantile"))
        .collect();
    assert_eq!(
        quantiles,
        ["0.25", "0.75"],
        "its own, and not those of other summaries"
    );
    let quarter = scrape.value(
        "sample_decision_seconds",
        &of(&[venue, ("quantile", "0.25")]),
    );
    let quarter = quarter.unwrap();
    assert!((0.0248..0.0252).contains(&quarter), "{quarter}");
    assert_eq!(
        scrape.value("sample_decision_seconds_count", &of(&[venue])),
        Some(101.0)
    );
    let confidence = scrape.value("sample_confidence", &of(&[venue, ("quantile", "1")]));
    assert!(
        confidence.unwrap().is_nan(),
        "nothing recorded is undefined, not 0"
    );
}

#[test]
fn help_is_that_of_the_catalogue() {
    let (recorder, exporter) = build(Config::default());
    let _sample = sample(&recorder, "alpaca");
    let scrape = scrape(&exporter);
    let help = |name: &str| scrape.family(name).and_then(|family| family.help.clone());
    assert_eq!(
        help("sample_orders_total").as_deref(),
        Some("Orders by outcome.")
    );
    assert_eq!(
        help("sample_busy_seconds_total").as_deref(),
        Some(r#"Time spent; a \ and a "quote"."#)
    );
    assert_eq!(
        help("sample_decision_seconds").as_deref(),
        Some("Time to decide.")
    );
    let declared = obs_exporter::catalogue().unwrap();
    for family in &scrape.families {
        assert!(
            family.help.as_ref().is_some_and(|help| !help.is_empty()),
            "{}",
            family.name
        );
        let known = declared.family(&family.name).is_some() || family.name.starts_with("sample_");
        assert!(known, "{} is shown and in no catalogue", family.name);
    }
}

#[test]
fn time_counters_are_exact_to_the_nanosecond() {
    let (recorder, exporter) = build(Config::default());
    let sample = sample(&recorder, "alpaca");
    sample
        .busy
        .absolute(Duration::from_nanos(9_007_199_254_740_993));
    let line = "sample_busy_seconds_total{service=\"sample\",venue=\"alpaca\"} 9007199.254740993\n";
    assert!(exporter.render().contains(line));
    sample.busy.add(Duration::from_nanos(7));
    assert!(exporter.render().contains("} 9007199.254741\n"));
}

#[test]
fn order_is_the_same_whatever_the_order_of_registration() {
    let lines = |venues: &[&str]| {
        let (recorder, exporter) = build(Config::default());
        let _samples: Vec<_> = venues
            .iter()
            .map(|venue| sample(&recorder, venue))
            .collect();
        let text = exporter.render();
        let without_value = |line: &str| line.rsplit_once(' ').map(|(series, _)| series.to_owned());
        text.lines()
            .map(|line| without_value(line).unwrap())
            .collect::<Vec<_>>()
    };
    let one = lines(&["b", "a", "c", "d", "e"]);
    assert_eq!(one, lines(&["e", "d", "b", "c", "a"]));

    let families: Vec<_> = one
        .iter()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .collect();
    assert!(families.is_sorted(), "{families:?}");
    let balances: Vec<_> = one
        .iter()
        .filter(|line| line.starts_with("sample_balance{"))
        .collect();
    assert_eq!(balances.len(), 5);
    assert!(balances.is_sorted(), "{balances:?}");
}

#[test]
fn global_labels_are_those_configured() {
    let config = Config {
        service: Some("desk \"one\"".into()),
        environment: Some("C:\\prod".into()),
        mode: Some(Mode::Paper),
        ..Config::default()
    };
    let (_recorder, exporter) = build(config);
    let labels = [
        ("service", "desk \"one\""),
        ("environment", "C:\\prod"),
        ("mode", "paper"),
    ];
    let scrape = scrape(&exporter);
    assert_eq!(
        scrape.value("process_threads", &labels),
        scrape.sum("process_threads", &[])
    );

    let (_recorder, exporter) = build(Config::default());
    let scrape = self::scrape(&exporter);
    assert!(
        scrape
            .value("process_threads", &[("service", "sample")])
            .is_some()
    );
}

#[test]
fn label_values_arrive_as_they_were_sent() {
    let values = [
        r"\",
        r"\\",
        r"\\\",
        "\"",
        r#"\""#,
        "\n",
        "\\\n",
        r"\n",
        "a\nb\\c\"d",
        "{a=\"b\",le=\"1\"} 5",
        "é 日本 🚀",
        "\r",
        "\u{1}",
        "\u{1}b",
        " ",
        ",",
        "#",
    ];
    let (recorder, exporter) = build(Config::default());
    metrics::with_local_recorder(&recorder, || {
        for (number, value) in (1..).zip(values) {
            metrics::counter!("third_total", "value" => value).increment(number);
            metrics::histogram!("third_seconds", "value" => value)
                .record(f64::from(u32::try_from(number).unwrap()));
        }
    });
    let scrape = scrape(&exporter);
    for (number, value) in (1_u32..).zip(values) {
        let labels = of(&[("value", value)]);
        assert_eq!(
            scrape.value("third_total", &labels),
            Some(f64::from(number)),
            "{value:?}"
        );
        assert_eq!(
            scrape.value("third_seconds_sum", &labels),
            Some(f64::from(number)),
            "{value:?}"
        );
    }
}

#[test]
fn families_of_other_code_come_out_too() {
    let (recorder, exporter) = build(Config::default());
    metrics::with_local_recorder(&recorder, || {
        metrics::describe_counter!("their.requests", "Requests \\ \"all\"");
        metrics::counter!("their.requests", "b" => "1", "a" => "2").increment(1);
        metrics::counter!("their.requests", "a" => "2", "b" => "1").increment(2);
        metrics::histogram!("their_latency_seconds").record(0.3);
        metrics::histogram!("their_message_bytes").record(1000.0);
        metrics::histogram!("their_fill_ratio").record(0.5);
        metrics::histogram!("their_word_count").record(7.0);
        metrics::gauge!("their_odd", "le" => "x", "__name__" => "y", "a.b" => "z", "empty" => "", "" => "w").set(1.0);
        metrics::gauge!("their_unbounded").set(f64::INFINITY);
        metrics::gauge!("their_unbounded", "sign" => "-").set(f64::NEG_INFINITY);
        metrics::gauge!("9 lives").set(9.0);
    });
    let text = exporter.render();
    let scrape = scrape(&exporter);

    let same = of(&[("a", "2"), ("b", "1")]);
    assert_eq!(
        scrape.value("their_requests", &same),
        Some(3.0),
        "one name, one series"
    );
    assert_eq!(
        scrape.family("their_requests").unwrap().help.as_deref(),
        Some("Requests \\ \"all\"")
    );
    let bounds = |name: &str| {
        let histogram = scrape.family(name).unwrap().histograms()[0].clone();
        histogram
            .buckets
            .iter()
            .map(|(bound, _)| *bound)
            .filter(|b| b.is_finite())
            .collect::<Vec<_>>()
    };
    assert_eq!(bounds("their_latency_seconds"), buckets::LATENCY);
    assert_eq!(bounds("their_message_bytes"), buckets::BYTES);
    assert_eq!(bounds("their_fill_ratio"), buckets::SHARE);
    let words = scrape.family("their_word_count").unwrap();
    assert_eq!((words.kind, words.samples.len()), (Kind::Summary, 5));
    let odd = of(&[
        ("exported_le", "x"),
        ("exported___name__", "y"),
        ("a_b", "z"),
        ("_", "w"),
    ]);
    assert_eq!(scrape.value("their_odd", &odd), Some(1.0));
    assert!(
        text.contains("their_unbounded{service=\"sample\"} +Inf\n"),
        "{text}"
    );
    assert!(
        text.contains("their_unbounded{service=\"sample\",sign=\"-\"} -Inf\n"),
        "{text}"
    );
    assert_eq!(scrape.value("__lives", &of(&[])), Some(9.0));
}

#[test]
fn a_declared_name_keeps_its_kind() {
    let (recorder, exporter) = build(Config::default());
    let sample = sample(&recorder, "alpaca");
    sample.balance.set(5.0);
    metrics::with_local_recorder(&recorder, || {
        metrics::counter!("sample_balance").increment(1);
    });
    let scrape = scrape(&exporter);
    let balance = scrape.family("sample_balance").unwrap();
    assert_eq!(balance.kind, Kind::Gauge);
    assert_eq!(
        scrape.value("sample_balance", &of(&[("venue", "alpaca")])),
        Some(5.0)
    );
    let lost = [("metric", "sample_balance")];
    assert_eq!(
        scrape.value("obs_kind_conflicts_total", &of(&lost)),
        Some(1.0)
    );
    let warnings = exporter.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].text.starts_with(
            "`sample_balance` is recorded as a counter, but was declared as a gauge in "
        ),
        "{}",
        warnings[0]
    );
}

#[test]
fn undefined_gauges_are_nan() {
    let (recorder, exporter) = build(Config::default());
    sample(&recorder, "alpaca").balance.set_undefined();
    assert!(
        exporter
            .render()
            .contains("\nsample_balance{service=\"sample\",venue=\"alpaca\"} NaN\n")
    );
}

#[test]
fn budgets_hold() {
    let (recorder, exporter) = build(Config::default());
    for number in 0..50 {
        sample(&recorder, &format!("venue {number}")).orders[Outcome::Ok].increment(1);
    }
    let scrape = scrape(&exporter);
    assert_eq!(scrape.sum("sample_orders_total", &[]), Some(50.0));
    let venues: HashSet<_> = scrape
        .samples("sample_orders_total")
        .filter_map(|s| s.label("venue"))
        .collect();
    assert_eq!(venues.len(), 21, "twenty and `other`");
    let folded = scrape.value(
        "obs_series_overflow_total",
        &of(&[("metric", "sample_balance")]),
    );
    assert_eq!(folded, Some(30.0));
}

#[test]
fn the_application_and_the_process_are_shown() {
    let (_recorder, exporter) = build(Config::default());
    let scrape = scrape(&exporter);
    let value = |name: &str| {
        scrape
            .value(name, &of(&[]))
            .unwrap_or_else(|| panic!("{name}"))
    };

    let app = [
        ("name", "sample"),
        ("version", "1.2.3"),
        ("git_commit", "0123abc"),
        ("rust_version", AppInfo::RUST_VERSION),
    ];
    assert_eq!(scrape.value("app_info", &of(&app)), Some(1.0));
    assert!(
        AppInfo::RUST_VERSION.starts_with("1."),
        "{}",
        AppInfo::RUST_VERSION
    );
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    let start = value("process_start_time_seconds");
    assert!(
        (now - 3600.0..=now + 2.0).contains(&start),
        "{start} is not within the hour before {now}"
    );
    assert!(value("app_uptime_seconds") >= 0.0);
}

#[test]
fn the_commit_is_that_of_the_build_or_of_the_configuration() {
    let commit_of = |git_commit, configured: Option<&str>| {
        let config = Config {
            git_commit: configured.map(str::to_owned),
            ..Config::default()
        };
        let app = AppInfo { git_commit, ..APP };
        let (_recorder, exporter) = Exporter::builder(app).config(config).build().unwrap();
        let scrape = scrape(&exporter);
        let commit = scrape
            .samples("app_info")
            .next()
            .and_then(|sample| sample.label("git_commit"));
        commit.unwrap().to_owned()
    };
    assert_eq!(commit_of(Some("built"), Some("configured")), "built");
    assert_eq!(commit_of(None, Some("configured")), "configured");
    assert_eq!(commit_of(None, None), "unknown");
}

#[cfg(target_os = "linux")]
#[test]
fn process_values_are_those_of_the_kernel() {
    let (_recorder, exporter) = build(Config::default());
    let status = |key: &str| -> f64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let limit = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .unwrap();
    let limit = limit.split_whitespace().next().unwrap();
    let limit = if limit == "unlimited" {
        u64::MAX as f64
    } else {
        limit.parse().unwrap()
    };

    let scrape = scrape(&exporter);
    let value = |name: &str| {
        scrape
            .value(name, &of(&[]))
            .unwrap_or_else(|| panic!("{name}"))
    };
    let within = |name: &str, expected: f64| {
        let (low, high) = (expected / 2.0, expected * 2.0);
        assert!(
            (low..=high).contains(&value(name)),
            "{name}: {} is not about {expected}",
            value(name)
        );
    };
    within("process_resident_memory_bytes", status("VmRSS:") * 1024.0);
    within("process_virtual_memory_bytes", status("VmSize:") * 1024.0);
    assert!((value("process_max_fds") - limit).abs() < 1.0);
    assert!(value("process_open_fds") >= 3.0);
    // Other tests come and go in threads of their own.
    assert!((1.0..=200.0).contains(&value("process_threads")));
    assert!((0.0..3600.0).contains(&value("process_cpu_seconds_total")));
}

#[test]
fn a_scrape_shows_what_the_one_before_cost() {
    let (_recorder, exporter) = build(Config::default());
    let first = exporter.render();
    assert!(
        first.contains("\nobs_scrape_size_bytes{service=\"sample\"} NaN\n"),
        "{first}"
    );
    let second = scrape(&exporter);
    assert_eq!(
        second.value("obs_scrape_size_bytes", &of(&[])),
        Some(first.len() as f64)
    );
    assert!(
        second
            .value("obs_scrape_duration_seconds", &of(&[]))
            .unwrap()
            > 0.0
    );
}

#[test]
fn hooks_run_before_each_rendering_and_may_panic() {
    let (recorder, exporter) = build(Config::default());
    let sample = sample(&recorder, "alpaca");
    exporter.on_scrape(|| panic!("a faulty reading"));
    exporter.on_scrape(move || sample.balance.increment(1));
    let balance = || scrape(&exporter).value("sample_balance", &of(&[("venue", "alpaca")]));
    assert_eq!(balance(), Some(1.0));
    assert_eq!(balance(), Some(2.0));
}

#[test]
fn exporters_of_one_process_do_not_mix() {
    let (one, first) = build(Config::default());
    let (_two, second) = build(Config::default());
    sample(&one, "alpaca").balance.set(1.0);
    assert!(scrape(&first).family("sample_balance").is_some());
    assert!(scrape(&second).family("sample_balance").is_none());
}

#[test]
fn a_conflict_in_the_catalogue_is_an_error() {
    mod other {
        obs_core::families! {
            /// A clash.
            pub(super) struct Clash {
                /// The name of another family.
                _balance: obs_core::Gauge = "sample_balance",
            }
        }
    }
    let built = Exporter::builder(APP)
        .catalogue(Catalogue::of(&[Sample::FAMILIES]))
        .catalogue(Catalogue::of(&[other::Clash::FAMILIES]))
        .build();
    let error = built.err().unwrap();
    assert!(matches!(error, ExporterError::Catalogue(_)), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("`sample_balance` is declared in obs-exporter"),
        "{error}"
    );
}

#[test]
fn a_setting_out_of_range_is_an_error() {
    let config = Config {
        quantile_window: Duration::ZERO,
        ..Config::default()
    };
    let error = Exporter::builder(APP).config(config).build().err().unwrap();
    assert_eq!(
        error.to_string(),
        "Config::quantile_window is `0ns`; it takes a number of seconds from 0.001 to 86400, such as 60"
    );
}

#[test]
fn what_would_be_a_series_of_a_histogram_or_summary_is_left_out() {
    let (recorder, exporter) = build(Config::default());
    metrics::with_local_recorder(&recorder, || {
        metrics::histogram!("clash_seconds").record(1.0);
        metrics::counter!("clash_seconds_count").increment(3);
        metrics::gauge!("clash_seconds_bucket", "le" => "1").set(3);
        metrics::histogram!("words").record(4.0);
        metrics::counter!("words_sum").increment(3);
        metrics::gauge!("words_bucket").set(5);
    });
    let scrape = scrape(&exporter);
    assert_eq!(scrape.sum("clash_seconds_count", &[]), Some(1.0));
    assert_eq!(scrape.sum("words_sum", &[]), Some(4.0));
    assert_eq!(scrape.sum("words_bucket", &[]), Some(5.0));
    let said = "# `words_sum` is also recorded as a counter, which is left out\n";
    assert!(exporter.render().contains(said));
}

#[test]
fn names_made_at_run_time_and_samples_that_are_no_numbers_are_bounded_and_counted() {
    let (recorder, exporter) = build(Config {
        undeclared_families: 5,
        ..Config::default()
    });
    let other = of(&[("metric", "other")]);
    let beyond = || scrape(&exporter).value("obs_series_overflow_total", &other);
    assert_eq!(beyond(), Some(0.0));
    metrics::with_local_recorder(&recorder, || {
        for name in ["odd_seconds", "odd_words"] {
            metrics::histogram!(name).record(1.0);
            metrics::histogram!(name).record(f64::NAN);
        }
        for n in 0..100 {
            metrics::counter!(format!("x_{n}")).increment(1);
        }
        metrics::gauge!("their_level").set(1);
        metrics::counter!("x".repeat(1000)).increment(1);
    });
    assert_eq!(beyond(), Some(97.0 + 2.0));
    let scrape = scrape(&exporter);
    assert_eq!(scrape.sum("x_2", &[]), Some(1.0));
    assert_eq!(scrape.sum("x_3", &[]), None);
    assert_eq!(scrape.sum("their_level", &[]), None);
    assert_eq!(scrape.sum("other_total", &[]), Some(98.0));
    for name in ["odd_seconds", "odd_words"] {
        let rejected = scrape.value("obs_samples_rejected_total", &of(&[("metric", name)]));
        assert_eq!(rejected, Some(1.0), "{name}");
        assert_eq!(scrape.sum(&format!("{name}_sum"), &[]), Some(1.0));
        assert_eq!(scrape.sum(&format!("{name}_count"), &[]), Some(1.0));
    }
}

mod quoter {
    use obs_core::{
        By, Counter, Each, Gauge, Histogram, Late, Outcome, Summary, TimeCounter, Unit,
    };

    obs_core::label! {
        /// What is quoted.
        pub(super) open Symbol as "symbol" up to 2
    }
    obs_core::families! {
        /// A crate of somebody else, in no catalogue.
        pub(super) struct Quoter {
            /// Quotes sent.
            pub(super) quotes: By<Outcome, Counter> = "quoter_quotes_total",
            /// Time at work.
            pub(super) busy: TimeCounter = "quoter_busy_seconds_total",
            /// Time to a quote.
            pub(super) reaction: Histogram = "quoter_reaction_seconds" { buckets: &[0.001, 0.01] },
            /// Width, by what became of the quote.
            pub(super) width: Late<Outcome, Histogram> = "quoter_width" { unit: Unit::Number, buckets: &[1.0, 2.0] },
            /// Size of the queue.
            pub(super) queue: Summary = "quoter_queue" { quantiles: &[0.25] },
            /// Units held.
            pub(super) held: Each<Symbol, Gauge> = "quoter_held",
        }
    }
}

#[test]
fn families_in_no_catalogue_are_shown_as_they_are_declared() {
    let (recorder, exporter) = build(Config::default());
    let shared: std::sync::Arc<dyn Recorder + Send + Sync> = std::sync::Arc::new(recorder);
    let quoter = obs_core::with_recorder(&shared, quoter::Quoter::new);
    quoter.quotes[Outcome::Ok].increment(2);
    quoter.busy.add(Duration::from_millis(3_250));
    quoter.reaction.record(0.005);
    quoter.reaction.record(f64::NAN);
    quoter.width[Outcome::Error].record(1.5);
    quoter.queue.record(3.0);
    for symbol in ["ES", "NQ", "YM", "RTY"] {
        quoter.held.of(symbol).set(1.0);
    }

    let scrape = scrape(&exporter);
    let value =
        |name: &str, labels: &[(&'static str, &'static str)]| scrape.value(name, &of(labels));
    assert_eq!(
        value("quoter_quotes_total", &[("outcome", "ok")]),
        Some(2.0)
    );
    assert_eq!(value("quoter_busy_seconds_total", &[]), Some(3.25));
    assert_eq!(
        value("quoter_reaction_seconds_bucket", &[("le", "0.001")]),
        Some(0.0)
    );
    assert_eq!(
        value("quoter_reaction_seconds_bucket", &[("le", "0.01")]),
        Some(1.0)
    );
    assert_eq!(
        value("quoter_reaction_seconds_bucket", &[("le", "+Inf")]),
        Some(1.0)
    );
    assert_eq!(
        value("quoter_reaction_seconds_bucket", &[("le", "0.005")]),
        None
    );
    assert_eq!(
        value("quoter_width_bucket", &[("outcome", "error"), ("le", "2")]),
        Some(1.0)
    );
    assert_eq!(
        value("quoter_width_sum", &[("outcome", "error")]),
        Some(1.5)
    );
    assert!(
        value("quoter_queue", &[("quantile", "0.25")])
            .is_some_and(|queue| (queue - 3.0).abs() < 0.02)
    );
    assert!(value("quoter_held", &[("symbol", "other")]).is_some_and(f64::is_nan));
    assert_eq!(
        value(
            "obs_samples_rejected_total",
            &[("metric", "quoter_reaction_seconds")]
        ),
        Some(1.0)
    );
    assert_eq!(
        value("obs_samples_rejected_total", &[("metric", "quoter_queue")]),
        None,
        "it has no open label"
    );
    assert_eq!(value("obs_undeclared_families", &[]), Some(0.0));
    for (name, kind) in [
        ("quoter_reaction_seconds", Kind::Histogram),
        ("quoter_width", Kind::Histogram),
        ("quoter_queue", Kind::Summary),
    ] {
        let family = scrape.family(name).unwrap();
        assert_eq!(family.kind, kind, "{name}");
        assert!(
            family.help.as_deref().is_some_and(|help| !help.is_empty()),
            "{name}"
        );
    }
    let known = exporter.catalogue();
    assert!(known.family("quoter_held").is_some() && exporter.warnings().is_empty());
}

obs_core::families! {
    /// A program's only family.
    struct One {
        /// Ticks.
        ticks: obs_core::Counter = "one_ticks_total",
    }
}

#[test]
fn a_program_of_one_counter_shows_little_about_its_metrics() {
    let (recorder, exporter) = build(Config::default());
    metrics::with_local_recorder(&recorder, One::new)
        .ticks
        .increment(1);
    let text = exporter.render();
    let samples = text.lines().filter(|line| !line.starts_with('#')).count();
    assert!(samples <= 30, "{samples} samples:\n{text}");
}

#[test]
fn further_labels_stand_on_every_series_and_no_family_has_them() {
    let config = |labels| Config::from_vars([("OBS_LABELS", labels)]).unwrap();
    let (recorder, exporter) = build(config(r"desk=ny,team=rates\, fx"));
    sample(&recorder, "alpaca").balance.set(1);
    let labels = [
        ("desk", "ny"),
        ("service", "sample"),
        ("team", "rates, fx"),
        ("venue", "alpaca"),
    ];
    assert_eq!(scrape(&exporter).sum("sample_balance", &labels), Some(1.0));

    let builder = Exporter::builder(APP)
        .config(Config {
            recorder: crate::RECORDER,
            ..config("venue=alpaca")
        })
        .families::<Sample>();
    let error = builder.build().err().unwrap().to_string();
    let expected = "OBS_LABELS has `venue`, which is a label of `sample_orders_total` itself";
    assert!(error.starts_with(expected), "{error}");
}

/// Of few samples, a quantile is one of them: the nearest rank. readyset#251: of two, the upper quantiles are the slower one.
#[test]
fn quantiles_of_few_samples_are_near_to_the_exact_ones() {
    for count in [1, 2, 3, 9, 10, 11, 100, 101] {
        let (recorder, exporter) = build(Config::default());
        let samples = metrics::with_local_recorder(&recorder, || metrics::histogram!("samples"));
        (1..=count).for_each(|n| samples.record(f64::from(n)));
        let scraped = scrape(&exporter);
        for (level, share) in [("0.5", 50), ("0.9", 90), ("0.99", 99)] {
            let labels = of(&[("quantile", level)]);
            let found = scraped.sum("samples", &labels).unwrap();
            let exact = f64::from((share * count + 99) / 100);
            assert!(
                (found - exact).abs() <= 0.005 * exact,
                "{level} of {count}: {found}, not {exact}"
            );
        }
    }
}

/// metrics#73: each metric has bounds of its own, which there had to be given by the name that is rendered. Here they are given by the
/// name that is recorded.
#[test]
fn histograms_of_other_code_are_given_buckets() {
    let config = Config {
        recorder: crate::RECORDER,
        ..Config::default()
    };
    let builder = Exporter::builder(APP)
        .config(config)
        .buckets("hyper.request.duration", &[0.5, 2.0])
        .buckets("pool.wait-time", &[0.001, 0.5]);
    let (recorder, exporter) = builder.build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        metrics::histogram!("hyper.request.duration").record(1.0);
        metrics::histogram!("pool.wait-time").record(0.001);
    });
    let scrape = scrape(&exporter);
    let bucket = |name: &str, le| scrape.sum(&format!("{name}_bucket"), &of(&[("le", le)]));
    assert_eq!(bucket("hyper_request_duration", "0.5"), Some(0.0));
    assert_eq!(bucket("hyper_request_duration", "2"), Some(1.0));
    assert_eq!(bucket("pool_wait_time", "0.001"), Some(1.0));
    assert_eq!(bucket("pool_wait_time", "2"), None);
}

#[test]
fn a_reading_that_renders_does_not_wait_for_itself() {
    let (_recorder, exporter) = build(Config::default());
    let again = exporter.clone();
    exporter.on_scrape(move || drop(again.render()));
    let labels = of(&[
        ("component", "exporter"),
        ("error_type", "reading_panicked"),
        ("severity", "error"),
    ]);
    assert_eq!(scrape(&exporter).sum("errors_total", &labels), Some(1.0));
}

obs_core::families! {
    /// A histogram without declared bounds.
    struct Native {
        /// Time to fill, in native buckets alone.
        fill: Histogram = "native_fill_seconds" { buckets: buckets::NATIVE },
    }
}

/// Text has no native buckets: there is a count and a sum, whether or not the family was known from the start.
#[test]
fn a_histogram_with_native_buckets_alone_has_count_and_sum_in_text() {
    for catalogue in [Catalogue::default(), Catalogue::of(&[Native::FAMILIES])] {
        let config = Config {
            recorder: crate::RECORDER,
            ..Config::default()
        };
        let builder = Exporter::builder(APP).config(config).catalogue(catalogue);
        let (recorder, exporter) = builder.build().unwrap();
        let native = metrics::with_local_recorder(&recorder, Native::new);
        native.fill.record(0.25);
        native.fill.record(1.5);
        let scrape = scrape(&exporter);
        let kind = scrape.family("native_fill_seconds").unwrap().kind;
        assert_eq!(kind, Kind::Histogram);
        assert_eq!(scrape.sum("native_fill_seconds_count", &[]), Some(2.0));
        assert_eq!(scrape.sum("native_fill_seconds_sum", &[]), Some(1.75));
        let last = scrape.sum("native_fill_seconds_bucket", &[("le", "+Inf")]);
        assert_eq!(last, Some(2.0));
    }
}

/// Of two names that are the same once they are escaped, the first is kept, declared ones before all others, and the other is
/// reported; nothing is added up. It does not matter which comes first, or of what kind.
#[test]
fn names_that_are_the_same_once_escaped_are_not_merged() {
    for (first, second) in [("a.b", "a_b"), ("a_b", "a.b"), ("a-b", "a.b")] {
        let (recorder, exporter) = build(Config::default());
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!(first, "side" => "buy").increment(2);
            metrics::counter!(second, "side" => "sell").increment(5);
            metrics::counter!(first, "side" => "buy").increment(2);
            metrics::gauge!("queue.depth").set(1.0);
            metrics::gauge!("queue_depth").set(7.0);
            metrics::histogram!("wait.seconds").record(0.5);
            metrics::histogram!("wait_seconds").record(0.5);
            // One of ours, of which nothing is recorded yet.
            metrics::counter!("sample.orders.total").increment(3);
        });
        let text = scrape(&exporter);
        let family = text.family("a_b").unwrap();
        assert_eq!(family.samples.len(), 1, "{first}, {second}: {family:?}");
        assert_eq!(text.value("a_b", &of(&[("side", "buy")])), Some(4.0));
        assert_eq!(text.value("queue_depth", &of(&[])), Some(1.0));
        assert_eq!(text.value("wait_seconds_count", &of(&[])), Some(1.0));
        assert_eq!(text.sum("sample_orders_total", &[]), None);
        for (metric, lookups) in [
            ("a_b", 1.0),
            ("queue_depth", 1.0),
            ("wait_seconds", 1.0),
            ("sample_orders_total", 1.0),
        ] {
            let conflicts = text.value("obs_name_conflicts_total", &of(&[("metric", metric)]));
            assert_eq!(conflicts, Some(lookups), "{first}, {second}: {metric}");
        }
        let warnings: Vec<_> = exporter
            .warnings()
            .into_iter()
            .map(|warning| warning.text)
            .collect();
        assert_eq!(warnings.len(), 4, "{warnings:?}");
        let said = format!(
            "`{first}` was first, and what is recorded as `{second}` is lost: rename one of the two"
        );
        assert!(
            warnings.iter().any(|warning| warning.ends_with(&said)),
            "{warnings:?}"
        );

        // What is declared is recorded to as ever.
        let sample = sample(&recorder, "alpaca");
        sample.orders[Outcome::Ok].increment(6);
        assert_eq!(scrape(&exporter).sum("sample_orders_total", &[]), Some(6.0));
    }
}
