//! Names that mean the series of another family, that are too many, or too long; and samples that are no numbers.

use obs_exposition::{Exposition, parse};
use obs_recorder::{Engine, Format, Names};

fn read(engine: &Engine) -> Exposition {
    let text = engine.render(Format::Classic);
    parse(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
}

#[test]
fn what_would_be_a_series_of_a_histogram_or_summary_is_left_out() {
    let engine = Engine::builder().build().unwrap();
    metrics::with_local_recorder(&engine, || {
        metrics::histogram!("fill_seconds").record(0.25);
        metrics::counter!("fill_seconds_count").increment(7);
        metrics::gauge!("fill_seconds_bucket").set(7.0);
        metrics::histogram!("words").record(3.0);
        metrics::histogram!("words_sum").record(7.0);
        // No series of a summary.
        metrics::gauge!("words_bucket").set(5.0);
    });

    let text = engine.render(Format::Classic);
    let read = parse(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"));
    assert_eq!(read.value("fill_seconds_count", &[]), Some(1.0));
    assert_eq!(read.value("words_sum", &[]), Some(3.0));
    assert_eq!(read.value("words_bucket", &[]), Some(5.0));
    let said = "# `fill_seconds_count` is also recorded as a counter, which is left out\n";
    assert!(text.contains(said), "{text}");
}

/// `OpenMetrics` adds names of its own: a counter's without `_total`, and when a series began.
#[test]
fn no_count_is_left_out_for_a_name_that_a_format_adds() {
    let engine = Engine::builder().build().unwrap();
    metrics::with_local_recorder(&engine, || {
        metrics::counter!("orders_total").increment(3);
        metrics::counter!("orders_created").increment(4);
        metrics::histogram!("fill_seconds").record(0.25);
        metrics::counter!("fill_seconds_count_total").increment(5);
    });
    for format in [Format::Classic, Format::OpenMetrics] {
        let text = engine.render(format);
        for line in [
            "orders_total 3\n",
            "orders_created 4\n",
            "fill_seconds_count_total 5\n",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
    let text = engine.render(Format::OpenMetrics);
    assert!(text.contains("# TYPE orders_total unknown\n"), "{text}");
    assert!(
        text.contains("# TYPE fill_seconds_count_total unknown\n"),
        "{text}"
    );
}

#[test]
fn families_beyond_the_limit_are_one_and_are_counted() {
    let engine = Engine::builder().undeclared_families(3).build().unwrap();
    let kept = metrics::with_local_recorder(&engine, || {
        let kept = metrics::counter!("x_0_total");
        for n in 0..10 {
            metrics::counter!(format!("x_{n}_total"), "n" => n.to_string()).increment(n);
            // These have no place left.
            metrics::gauge!(format!("g_{n}")).set(1.0);
            metrics::histogram!(format!("h_{n}")).record(1.0);
        }
        // A family that was there already may have more series.
        metrics::counter!("x_0_total", "n" => "more").increment(100);
        kept
    });
    kept.increment(1000);
    let read = read(&engine);
    assert_eq!(read.sum("x_0_total", &[]), Some(1100.0));
    assert_eq!(read.sum("g_0", &[]), Some(1.0));
    assert_eq!(read.value("h_0_count", &[]), Some(1.0));
    assert_eq!(read.sum("x_1_total", &[]), None);
    assert_eq!(read.value("other_total", &[]), Some(45.0));
    let beyond = read.value("obs_series_overflow_total", &[("metric", "other")]);
    assert_eq!(beyond, Some(3.0 * 9.0));
    assert_eq!(
        engine
            .undeclared()
            .iter()
            .filter(|(name, _)| !name.starts_with("obs_"))
            .count(),
        4
    );
}

#[test]
fn names_longer_than_a_value_may_be_are_folded() {
    let engine = Engine::builder().build().unwrap();
    let (longest, long) = ("x".repeat(256), "y".repeat(257));
    metrics::with_local_recorder(&engine, || {
        metrics::counter!(longest.clone(), longest.clone() => "v").increment(1);
        metrics::counter!(long.clone()).increment(2);
        metrics::counter!("jobs_total", long.clone() => "v", "a" => "b").increment(3);
        metrics::counter!("jobs_total", format!("{long}z") => "w", "a" => "b").increment(4);
        metrics::describe_counter!(long.clone(), "Nobody sees this.");
    });
    let read = read(&engine);
    assert_eq!(read.value(&longest, &[(&longest, "v")]), Some(1.0));
    assert_eq!(read.value("other_total", &[]), Some(2.0));
    let folded = read.value("jobs_total", &[("a", "b"), ("other", "other")]);
    assert_eq!(folded, Some(7.0));
    for (metric, count) in [("other", 1.0), ("jobs_total", 2.0)] {
        let counted = read.value("obs_series_overflow_total", &[("metric", metric)]);
        assert_eq!(counted, Some(count), "{metric}");
    }
}

#[test]
fn samples_that_are_no_finite_numbers_are_dropped_and_counted() {
    let engine = Engine::builder().build().unwrap();
    metrics::with_local_recorder(&engine, || {
        for name in ["odd_seconds", "odd_words"] {
            let samples = metrics::histogram!(name);
            for value in [f64::NAN, 1.0, f64::INFINITY, f64::NEG_INFINITY] {
                samples.record(value);
            }
            samples.record_many(f64::NAN, 3);
            samples.record_many(2.0, 3);
            samples.record_many(2.0, 0);
        }
        metrics::counter!("calm_total").increment(1);
    });
    let read = read(&engine);
    for name in ["odd_seconds", "odd_words"] {
        let rejected = read.value("obs_samples_rejected_total", &[("metric", name)]);
        assert_eq!(rejected, Some(6.0), "{name}");
        assert_eq!(read.value(&format!("{name}_count"), &[]), Some(4.0));
        assert_eq!(read.value(&format!("{name}_sum"), &[]), Some(7.0));
    }
    let of_no_samples = read.value("obs_samples_rejected_total", &[("metric", "calm_total")]);
    assert_eq!(of_no_samples, None);
}

/// Of samples below 0, `OpenMetrics` allows neither the sum nor the quantiles.
#[test]
fn samples_below_zero_keep_their_series_and_lose_their_kind() {
    let engine = Engine::builder().created(true).build().unwrap();
    let record = |value: f64| {
        metrics::with_local_recorder(&engine, || {
            metrics::histogram!("words", "of" => "a").record(value);
            metrics::histogram!("words", "of" => "b").record(1.0);
            metrics::histogram!("odd_seconds").record(value);
        });
        engine.render(Format::OpenMetrics)
    };
    let text = record(1.0);
    for head in ["# TYPE words summary\n", "# TYPE odd_seconds histogram\n"] {
        assert!(text.contains(head), "{text}");
    }
    // Once below, the kind stays as it is: no scraper likes one that changes to and fro.
    for (value, sum) in [(-3.0, "-2"), (8.0, "6")] {
        let text = record(value);
        for line in [
            "# TYPE words unknown\nwords{of=\"a\",quantile=\"0.5\"} ",
            &format!(
                "# TYPE words_sum unknown\nwords_sum{{of=\"a\"}} {sum}\nwords_sum{{of=\"b\"}} "
            ),
            "# TYPE words_count unknown\nwords_count{of=\"a\"} ",
            "# TYPE odd_seconds_bucket unknown\nodd_seconds_bucket{le=",
            &format!("# TYPE odd_seconds_sum unknown\nodd_seconds_sum {sum}\n"),
        ] {
            assert_eq!(text.matches(line).count(), 1, "{line} in\n{text}");
        }
        for began in ["words_created", "odd_seconds_created"] {
            assert!(!text.contains(began), "{text}");
        }
    }
    let classic = engine.render(Format::Classic);
    assert!(classic.contains("# TYPE words summary\n"), "{classic}");
}

#[test]
fn a_global_label_that_would_spoil_the_text_is_refused() {
    let built = |key: &str| Engine::builder().global_label(key, "x").build();
    for key in [
        "bad name", "", "le", "quantile", "__name__", "9", "a-b", "é",
    ] {
        let error = built(key).err().map(|error| error.to_string());
        let expected = format!("`{key}` cannot be a global label: ");
        assert!(
            error.is_some_and(|error| error.starts_with(&expected)),
            "{key}"
        );
    }
    for key in ["desk", "_a", "A9"] {
        assert!(built(key).is_ok(), "{key}");
    }
}

/// What parsers call a counter is the name without `_total`.
#[test]
fn a_counter_of_no_other_name_than_total_keeps_one() {
    let engine = Engine::builder().build().unwrap();
    metrics::with_local_recorder(&engine, || metrics::counter!("_total").increment(3));
    let open = engine.render(Format::OpenMetrics);
    assert!(open.contains("# TYPE _ counter\n__total 3\n"), "{open}");
    let classic = engine.render(Format::Classic);
    assert!(
        classic.contains("# TYPE __total counter\n__total 3\n"),
        "{classic}"
    );
}

#[test]
fn when_a_series_began_is_said_or_not() {
    let render = |created| {
        let engine = Engine::builder().created(created).build().unwrap();
        metrics::with_local_recorder(&engine, || {
            metrics::counter!("orders_total").increment(1);
            metrics::histogram!("fill_seconds").record(1.0);
            metrics::histogram!("sizes").record(1.0);
        });
        engine.render(Format::OpenMetrics)
    };
    assert_eq!(render(true).matches("_created").count(), 3);
    let without = render(false);
    assert!(!without.contains("_created"), "{without}");
    assert!(without.ends_with("# EOF\n"));
}

#[test]
fn buckets_that_are_none_are_refused() {
    for bounds in [&[2.0, 1.0][..], &[1.0, 1.0], &[f64::NAN], &[f64::INFINITY]] {
        let error = Engine::builder().buckets("a.b", bounds).build().err();
        let error = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(
            error.starts_with("the buckets of `a_b` are not usable"),
            "{error}"
        );
    }
}

/// Names of any characters, for those who read them; for all others each is called what it always was.
#[test]
fn names_of_any_characters_are_quoted_or_escaped() {
    let engine = Engine::builder()
        .utf8_names(true)
        .global_label("service", "desk")
        .buckets("http.time", &[1.0])
        .build()
        .unwrap();
    metrics::with_local_recorder(&engine, || {
        metrics::describe_counter!("http.requests", "Requests \"in\" all.");
        metrics::counter!("http.requests", "http.method" => "GET", "code" => "a,\"b").increment(2);
        metrics::counter!("http.requests").increment(1);
        metrics::histogram!("http.time").record(0.5);
        metrics::counter!("http.\"odd\"\n_total").increment(3);
        metrics::gauge!("plain").set(4.0);
    });
    let utf8 = engine.render_named(Format::OpenMetrics, Names::Utf8);
    for line in [
        "# HELP \"http.requests\" Requests \\\"in\\\" all.\n# TYPE \"http.requests\" unknown\n",
        "{\"http.requests\",service=\"desk\"} 1\n",
        "{\"http.requests\",service=\"desk\",code=\"a,\\\"b\",\"http.method\"=\"GET\"} 2\n",
        "{\"http.time_bucket\",service=\"desk\",le=\"1.0\"} 1\n",
        "{\"http.time_count\",service=\"desk\"} 1\n",
        "# TYPE \"http.\\\"odd\\\"\\n\" counter\n{\"http.\\\"odd\\\"\\n_total\",service=\"desk\"} 3\n",
        "\nplain{service=\"desk\"} 4\n",
    ] {
        assert!(utf8.contains(line), "{line} in\n{utf8}");
    }
    let escaped = engine.render(Format::Classic);
    let read = parse(&escaped).unwrap_or_else(|error| panic!("{error} in\n{escaped}"));
    let get = [
        ("code", "a,\"b"),
        ("http_method", "GET"),
        ("service", "desk"),
    ];
    assert_eq!(read.value("http_requests", &get), Some(2.0));
    assert_eq!(
        read.value("http_time_count", &[("service", "desk")]),
        Some(1.0)
    );
    let dots = engine.render_named(Format::Classic, Names::Dots);
    assert!(
        dots.contains(
            "\nhttp_dot_requests{service=\"desk\",code=\"a,\\\"b\",http_dot_method=\"GET\"} 2\n"
        ),
        "{dots}"
    );
    let values = engine.render_named(Format::Classic, Names::Values);
    assert!(
        values.contains(
            "\nU__http_2e_requests{service=\"desk\",code=\"a,\\\"b\",U__http_2e_method=\"GET\"} 2\n"
        ),
        "{values}"
    );
    parse(&dots).unwrap();
    parse(&values).unwrap();
    // A handle of such a name is found again, and its family can be removed by it.
    metrics::with_local_recorder(&engine, || metrics::counter!("http.requests").increment(5));
    let utf8 = engine.render_named(Format::Classic, Names::Utf8);
    assert!(
        utf8.contains("{\"http.requests\",service=\"desk\"} 6\n"),
        "{utf8}"
    );
    assert_eq!(engine.remove("http.requests", |_| true), 2);
}

/// What is called alike once it is escaped is reported, in words and as a series, and kept apart where names are kept.
#[test]
fn names_that_collide_are_reported() {
    for (utf8_names, first, second) in [
        (true, "a.b", "a_b"),
        (true, "a_b", "a.b"),
        (false, "a.b", "a_b"),
        (false, "a_b", "a.b"),
        (false, "a-b", "a.b"),
    ] {
        let engine = Engine::builder().utf8_names(utf8_names).build().unwrap();
        let case = format!("{utf8_names} {first} {second}");
        metrics::with_local_recorder(&engine, || {
            metrics::counter!(first).increment(1);
            metrics::counter!(first).increment(1);
        });
        assert!(engine.admission().warnings().is_empty(), "{case}");
        let conflicts = |engine: &Engine| read(engine).sum("obs_name_conflicts_total", &[]);
        assert_eq!(conflicts(&engine), None, "{case}");
        metrics::with_local_recorder(&engine, || metrics::counter!(second).increment(5));
        assert_eq!(conflicts(&engine), Some(1.0), "{case}");
        let warnings = engine.admission().warnings();
        assert_eq!(warnings.len(), 1, "{case}: {warnings:?}");
        let (low, high) = (first.min(second), first.max(second));
        let said = format!("`{low}` and `{high}` are both `a_b` where names are escaped; ");
        assert!(warnings[0].text.starts_with(&said), "{}", warnings[0]);

        let escaped = read(&engine).value("a_b", &[]);
        if utf8_names {
            let utf8 = engine.render_named(Format::Classic, Names::Utf8);
            let value = |name: &str| if name == first { 2 } else { 5 };
            for line in [
                format!("\n{{\"a.b\"}} {}\n", value("a.b")),
                format!("\na_b {}\n", value("a_b")),
            ] {
                assert!(utf8.contains(&line), "{case}: {line} in\n{utf8}");
            }
            // Who needs them escaped sees that which is called so, and where there is none, not a sum of two.
            assert_eq!(escaped, Some(f64::from(value("a_b"))), "{case}");
            let text = engine.render(Format::Classic);
            let said = "# \"a.b\" is `a_b` here, as another metric is, and is left out\n";
            assert!(text.contains(said), "{case}: {text}");
        } else {
            // Neither a sum of two nor the other.
            assert_eq!(escaped, Some(2.0), "{case}");
            let lost = format!("`{first}` was first, and what is recorded as `{second}` is lost");
            assert!(warnings[0].text.contains(&lost), "{}", warnings[0]);
        }
        let series = engine.snapshot().unwrap();
        let named =
            |family: &&obs_recorder::FamilySnapshot| ["a.b", "a_b", "a-b"].contains(&&*family.name);
        let expected = if utf8_names { 2 } else { 1 };
        assert_eq!(series.iter().filter(named).count(), expected, "{case}");
    }
}
