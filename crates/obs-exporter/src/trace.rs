//! Which trace an observation was made in, asked of OpenTelemetry.

use obs_recorder::TraceId;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;

/// The current trace, if it is sampled: of another, the identifier leads nowhere.
///
/// It reads a thread-local and allocates nothing. `tracing-opentelemetry` puts the context of a span there while it is entered.
pub(crate) fn current() -> Option<TraceId> {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        (span.is_valid() && span.is_sampled()).then(|| span.trace_id().to_bytes())
    })
}
