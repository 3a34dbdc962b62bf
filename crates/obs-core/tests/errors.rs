//! Errors are counted by component, type and severity.

use obs_core::{CountError, ErrorKind, ErrorMetrics, Severity, TestRecorder};

#[derive(Debug, ErrorKind)]
#[expect(
    dead_code,
    reason = "what an error holds is no label, and nobody reads it here"
)]
enum Inner {
    Refused {
        message: String,
    },
    #[error_kind(name = "gone", severity = "critical")]
    ConnectionLost(u32),
    #[error_kind(severity = "warning")]
    Slow,
}

#[derive(Debug, ErrorKind)]
enum Outer<T> {
    #[error_kind(inner)]
    Inner(Inner),
    #[error_kind(inner)]
    Io {
        source: std::io::Error,
    },
    Of(T),
}

#[test]
fn variants_tell_their_kind() {
    let told = |error: &dyn ErrorKind| (error.error_type(), error.severity());
    let refused = Inner::Refused {
        message: "key=SECRET".into(),
    };
    assert_eq!(told(&refused), ("refused", Severity::Error));
    assert_eq!(
        told(&Inner::ConnectionLost(3)),
        ("gone", Severity::Critical)
    );
    assert_eq!(
        told(&Outer::<()>::Inner(Inner::Slow)),
        ("slow", Severity::Warning)
    );
    let source = std::io::Error::from(std::io::ErrorKind::TimedOut);
    assert_eq!(
        told(&Outer::<()>::Io { source }),
        ("timed_out", Severity::Error)
    );
    assert_eq!(told(&Box::new(Outer::Of(1))), ("of", Severity::Error));
}

#[test]
fn a_result_is_counted_and_handed_on() {
    let test = TestRecorder::new();
    let gateway = test.run(|| ErrorMetrics::new("gateway"));
    let fine: Result<u32, Inner> = Ok(1);
    assert!(fine.count_error(&gateway).is_ok());
    assert_eq!(test.series("errors_total"), 0);

    let refused: Result<u32, _> = Err(Inner::Refused {
        message: "key=SECRET".into(),
    });
    assert!(refused.count_error(&gateway).is_err());
    let labels = [
        ("component", "gateway"),
        ("error_type", "refused"),
        ("severity", "error"),
    ];
    assert_eq!(test.counter("errors_total", &labels), Some(1));
    assert!(
        !format!("{test:?}").contains("SECRET"),
        "nothing of a message becomes a label"
    );
}

#[test]
fn types_made_of_varying_text_stay_within_the_budget() {
    let test = TestRecorder::new();
    let gateway = test.run(|| ErrorMetrics::new("gateway"));
    for n in 0..10_000 {
        gateway.count_as(&format!("order {n} failed"), Severity::Critical);
    }
    assert_eq!(test.series("errors_total"), (100 + 1) * 3);
    assert_eq!(
        test.counter_sum("errors_total", &[("severity", "critical")]),
        10_000
    );
}
