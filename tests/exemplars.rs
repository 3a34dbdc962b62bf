//! Exemplars from OpenTelemetry: what is observed within a span carries its trace. The source of a process is set once, so that
//! this file is about one exporter.

use metrics::Recorder;
use obs_core::{Catalogue, Histogram, buckets};
use obs_exporter::{Exporter, Format};
use obs_tests::{PythonParser, PythonSample};
use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, TraceId};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing_subscriber::layer::SubscriberExt;

obs_core::families! {
    /// Two histograms, one of which keeps exemplars.
    struct Orders {
        /// Time to fill.
        fill: Histogram = "traced_fill_seconds" { buckets: &[0.1, 1.0, 10.0], exemplars: true },
        /// Size of a message.
        size: Histogram = "traced_message_bytes" { buckets: buckets::BYTES },
    }
}

fn orders() -> (impl Recorder, Exporter, Orders) {
    let (recorder, exporter) = Exporter::builder(obs_exporter::app_info!())
        .catalogue(Catalogue::of(&[Orders::FAMILIES]))
        .exemplars_from_opentelemetry()
        .build()
        .unwrap();
    let orders = metrics::with_local_recorder(&recorder, Orders::new);
    (recorder, exporter, orders)
}

/// What Python reads: for each bucket the exemplar's trace and value.
fn exemplars(exporter: &Exporter, family: &str) -> Vec<Option<(String, f64)>> {
    let text = exporter.render_as(Format::OpenMetrics);
    let read = PythonParser::start().unwrap().parse(&text).unwrap();
    let families = read.unwrap_or_else(|reason| panic!("{reason}\n{text}"));
    let family = families.iter().find(|found| found.name == family).unwrap();
    let exemplar = |sample: &PythonSample| {
        let exemplar = sample.exemplar.as_ref()?;
        Some((exemplar.labels["trace_id"].clone(), exemplar.value))
    };
    let buckets = family.samples.iter();
    buckets
        .filter(|sample| sample.name.ends_with("_bucket"))
        .map(exemplar)
        .collect()
}

fn trace_of(context: &Context) -> String {
    let trace = context.span().span_context().trace_id();
    assert_ne!(trace, TraceId::INVALID);
    trace.to_string()
}

#[test]
fn what_is_observed_within_a_span_carries_its_trace() {
    let (_recorder, exporter, orders) = orders();
    orders.fill.record(0.05);
    assert_eq!(
        exemplars(&exporter, "traced_fill_seconds"),
        [None, None, None, None],
        "no span is current"
    );

    // A span of `tracing`, which is what most programs have.
    let provider = SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let subscriber = tracing_subscriber::registry().with(layer);
    let of_tracing = tracing::subscriber::with_default(subscriber, || {
        let span = tracing::info_span!("fill");
        let outer = span.in_scope(|| {
            orders.fill.record(0.5);
            orders.size.record(100.0);
            tracing::info_span!("within").in_scope(|| orders.fill.record(0.75));
            trace_of(&Context::current())
        });
        orders.fill.record(0.25);
        outer
    });

    // A span of OpenTelemetry itself.
    let span = provider.tracer("test").start("fill");
    let context = Context::current_with_span(span);
    let attached = context.clone().attach();
    orders.fill.record(5.0);
    drop(attached);

    // One that is not kept leads nowhere.
    let nobody = SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOff)
        .build();
    let unkept = Context::current_with_span(nobody.tracer("test").start("fill"));
    let attached = unkept.attach();
    orders.fill.record(50.0);
    drop(attached);

    assert_eq!(
        exemplars(&exporter, "traced_fill_seconds"),
        [
            None,
            Some((of_tracing, 0.75)),
            Some((trace_of(&context), 5.0)),
            None
        ]
    );
    let sizes = exemplars(&exporter, "traced_message_bytes");
    assert!(
        sizes.iter().all(Option::is_none),
        "its family asks for none"
    );
    let classic = exporter.render();
    assert!(!classic.contains("trace_id"), "the format has none");
}

#[test]
fn recording_allocates_nothing_within_a_span_either() {
    let (_recorder, _exporter, orders) = orders();
    let provider = SdkTracerProvider::builder().build();
    let span = provider.tracer("test").start("fill");
    let _attached = Context::current_with_span(span).attach();
    let record = || {
        orders.size.record(100.0);
        orders.fill.record(0.5);
    };
    record();
    let allocated = allocation_counter::measure(|| {
        for _ in 0..100 {
            record();
        }
    });
    assert_eq!(allocated.count_total, 0);
}
