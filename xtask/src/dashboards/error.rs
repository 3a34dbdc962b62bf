//! What goes wrong.

use obs_verify::dashboard::{Dashboard, Scope, bars, lines, row, stat, table};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "error".to_owned(),
        title: "Errors".to_owned(),
        description: "What goes wrong, where, and whether it is more than usual.".to_owned(),
        scope: Scope::default(),
        rows: vec![
            row("Are we all right?", [
                stat("Critical errors", "Within the time shown.")
                    .ask(r#"sum(increase(errors_total{@, severity="critical"}[$__range]))"#, "")
                    .above(1.0, 1.0)
                    .act("CriticalError"),
                stat("Errors", "Of any severity, within the time shown.")
                    .ask("sum(increase(errors_total{@}[$__range]))", "")
                    .above(10.0, 1000.0)
                    .act("ErrorTrendUp"),
                stat("Panics", "Within the time shown.")
                    .ask("sum(increase(panics_total{@}[$__range]))", "")
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
            ]),
            row("Over time", [
                lines("By component", "Errors a second, over five minutes; the ten components with the most.")
                    .ask("topk(10, sum by (component) (component:errors:rate5m{@}))", "{{component}}"),
                lines("By severity", "Errors a second.")
                    .ask("sum by (severity) (rate(errors_total{@}[$__rate_interval]))", "{{severity}}"),
                lines("Panics by component", "Panics within a quarter of an hour.")
                    .ask("sum by (component) (increase(panics_total{@}[15m]))", "{{component}}"),
            ]),
            row("Objectives", [
                stat("Budget of API requests", "What is left of 30 days' error budget: 99.9 % of the requests are answered without a fault of the server.")
                    .ask("min(objective:api_error_budget:budget_left_ratio{@})", "")
                    .below(0.25, 0.0)
                    .act("ApiErrorBudgetBurnFast, ApiErrorBudgetBurnSlow, ApiErrorBudgetBurnSteady"),
                lines("Failed API requests", "The share of requests that the server is to blame for. 0.1 % may be.")
                    .ask("max by (service) (objective:api_error_budget:failed_ratio1h{@})", "{{service}}, an hour")
                    .ask("max by (service) (objective:api_error_budget:failed_ratio6h{@})", "{{service}}, six hours")
                    .ask("max by (service) (objective:api_error_budget:failed_ratio3d{@})", "{{service}}, three days")
                    .above(0.001, 0.0144)
                    .act("ApiErrorBudgetBurnFast, ApiErrorBudgetBurnSlow, ApiErrorBudgetBurnSteady"),
                stat("Budget of API latency", "What is left of 30 days' error budget: 99 % of the requests end within half a second.")
                    .ask("min(objective:http_request_duration_seconds:budget_left_ratio{@})", "")
                    .below(0.25, 0.0)
                    .act("HttpRequestDurationSecondsBurnFast, HttpRequestDurationSecondsBurnSlow, HttpRequestDurationSecondsBurnSteady"),
                lines("Slow requests", "The share of requests that take longer than half a second. 1 % may.")
                    .ask("max by (service) (objective:http_request_duration_seconds:failed_ratio1h{@})", "{{service}}, an hour")
                    .ask("max by (service) (objective:http_request_duration_seconds:failed_ratio6h{@})", "{{service}}, six hours")
                    .above(0.06, 0.144)
                    .act("HttpRequestDurationSecondsBurnFast, HttpRequestDurationSecondsBurnSlow"),
                stat("Budget of provider calls", "What is left of 30 days' error budget: 99 % of the calls to providers succeed.")
                    .ask("min(objective:provider_requests_total:budget_left_ratio{@})", "")
                    .below(0.25, 0.0)
                    .act("ProviderRequestsBurnFast, ProviderRequestsBurnSlow, ProviderRequestsBurnSteady"),
                lines("Failed provider calls", "The share of calls to providers that fail. 1 % may.")
                    .ask("max by (service) (objective:provider_requests_total:failed_ratio1h{@})", "{{service}}, an hour")
                    .ask("max by (service) (objective:provider_requests_total:failed_ratio6h{@})", "{{service}}, six hours")
                    .above(0.06, 0.144)
                    .act("ProviderRequestsBurnFast, ProviderRequestsBurnSlow"),
            ]),
            row("Patterns", [
                bars("Most frequent", "The ten kinds of errors that were most frequent within the last hour.")
                    .ask("topk(10, sum by (component, error_type) (error_type:errors:increase1h{@}) > 0)", "{{component}} {{error_type}}"),
                table("Trend", "The last hour of each component, and how many times the same hour of yesterday and of a week ago that is.")
                    .ask("sum by (component) (component:errors:increase1h{@})", "last hour")
                    .ask("max by (component) (component:errors:trend1d{@})", "times yesterday")
                    .ask("max by (component) (component:errors:trend1w{@})", "times last week"),
            ]),
            row("At the edges", [
                lines("API", "Requests a second that went wrong, by what.")
                    .ask("sum by (error_type) (rate(http_errors_total{@}[$__rate_interval]))", "{{error_type}}"),
                lines("Functions", "Calls a second that ended with an error; the ten functions with the most.")
                    .ask(r#"topk(10, sum by (function) (rate(function_calls_total{@, outcome=~"error|panicked"}[$__rate_interval])))"#, "{{function}}"),
                lines("Storage", "Failed queries and commands a second.")
                    .ask("sum by (pool, error_type) (rate(db_query_errors_total{@}[$__rate_interval]))", "{{pool}} {{error_type}}")
                    .ask("sum by (client, error_type) (rate(redis_client_errors_total{@}[$__rate_interval]))", "{{client}} {{error_type}}"),
            ]),
        ],
    }
}
