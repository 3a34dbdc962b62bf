//! What goes wrong.

use crate::dashboard::{Dashboard, Row, Scope, bars, lines, row, stat, table};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "error".to_owned(),
        title: "Errors".to_owned(),
        description: "What goes wrong, where, and whether it is more than usual.".to_owned(),
        scope: Scope::default(),
        rows: vec![glance(), patterns(), over_time(), edges()],
    }
}

fn glance() -> Row {
    row("Are we all right?", [
        stat("Critical, last hour", "Errors that were counted as critical.")
            .ask(r#"sum(increase(errors_total{@, severity="critical"}[1h]))"#, "")
            .above(1.0, 1.0)
            .act("CriticalError"),
        stat("Errors, last hour", "Of any severity.")
            .ask("sum(increase(errors_total{@}[1h]))", "")
            .above(10.0, 1000.0)
            .act("ErrorTrendUp"),
        stat("Panics, last hour", "Panics of all threads and tasks.")
            .ask("sum(increase(panics_total{@}[1h]))", "")
            .above(1.0, 1.0)
            .act("ProcessPanicked"),
        stat("Failed requests", "The share of API requests that the server is to blame for, over an hour. 0.1 % are allowed.")
            .ask("max(objective:api_error_budget:failed_ratio1h{@})", "")
            .above(0.001, 0.0144)
            .act("ApiErrorBudgetBurnFast, ApiErrorBudgetBurnSlow"),
        stat("Against yesterday", "The errors of the last hour over those of the same hour yesterday; the component that is worst.")
            .ask("max(component:errors:trend1d{@})", "")
            .above(2.0, 3.0)
            .act("ErrorTrendUp"),
        stat("Against last week", "The same over those of a week ago.")
            .ask("max(component:errors:trend1w{@})", "")
            .above(2.0, 3.0)
            .act("ErrorTrendUp"),
    ])
}

fn patterns() -> Row {
    row("Patterns", [
        bars("Most frequent", "The ten kinds of errors that were most frequent within the last hour.")
            .ask("topk(10, sum by (component, error_type) (increase(errors_total{@}[1h])) > 0)", "{{component}} {{error_type}}"),
        table("Trend", "The last hour of each component, and how many times the same hour of yesterday and of a week ago that is.")
            .ask("sum by (component) (increase(errors_total{@}[1h]))", "last hour")
            .ask("max by (component) (component:errors:trend1d{@})", "times yesterday")
            .ask("max by (component) (component:errors:trend1w{@})", "times last week"),
    ])
}

fn over_time() -> Row {
    row(
        "Over time",
        [
            lines(
                "By component",
                "Errors a second; the ten components with the most.",
            )
            .ask(
                "topk(10, sum by (component) (rate(errors_total{@}[$__rate_interval])))",
                "{{component}}",
            ),
            lines("By severity", "Errors a second.").ask(
                "sum by (severity) (rate(errors_total{@}[$__rate_interval]))",
                "{{severity}}",
            ),
            lines("Panics by component", "Panics within a quarter of an hour.").ask(
                "sum by (component) (increase(panics_total{@}[15m]))",
                "{{component}}",
            ),
        ],
    )
}

fn edges() -> Row {
    row("At the edges", [
        lines("API", "Requests a second that went wrong, by what.")
            .ask("sum by (error_type) (rate(http_errors_total{@}[$__rate_interval]))", "{{error_type}}"),
        lines("Functions", "Calls a second that ended with an error; the ten functions with the most.")
            .ask(r#"topk(10, sum by (function) (rate(function_calls_total{@, outcome=~"error|panicked"}[$__rate_interval])))"#, "{{function}}"),
        lines("Queries", "Failed queries a second.")
            .ask("sum by (pool, error_type) (rate(db_query_errors_total{@}[$__rate_interval]))", "{{pool}} {{error_type}}"),
        lines("Redis", "Failed commands a second.")
            .ask("sum by (client, error_type) (rate(redis_client_errors_total{@}[$__rate_interval]))", "{{client}} {{error_type}}"),
    ])
}
