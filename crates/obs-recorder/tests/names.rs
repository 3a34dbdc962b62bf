//! Names that mean the series of another family.

use obs_exposition::parse;
use obs_recorder::{Engine, Format};

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
