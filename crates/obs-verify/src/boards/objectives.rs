//! What was promised, and what is left of the error budgets.

use crate::dashboard::{Dashboard, Row, Scope, lines, row, stat};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "objectives".to_owned(),
        title: "Objectives".to_owned(),
        description: "What was promised of the API and of providers, what is left of each error budget, and how fast it is being spent.".to_owned(),
        scope: Scope::default(),
        rows: vec![glance(), latency(), providers(), availability()],
    }
}

fn glance() -> Row {
    row("Are we all right?", [
        stat("Budget of API latency", "What is left of 30 days' error budget: 99 % of the requests end within half a second.")
            .ask("min(objective:http_request_duration_seconds:budget_left_ratio{@})", "")
            .below(0.25, 0.0)
            .act("HttpRequestDurationSecondsBurnFast, HttpRequestDurationSecondsBurnSlow, HttpRequestDurationSecondsBurnSteady"),
        stat("Budget of provider calls", "What is left of 30 days' error budget: 99 % of the calls to providers succeed.")
            .ask("min(objective:provider_requests_total:budget_left_ratio{@})", "")
            .below(0.25, 0.0)
            .act("ProviderRequestsBurnFast, ProviderRequestsBurnSlow, ProviderRequestsBurnSteady"),
        stat("Budget of API requests", "What is left of 30 days' error budget: 99.9 % of the requests are answered without a fault of the server.")
            .ask("min(objective:api_error_budget:budget_left_ratio{@})", "")
            .below(0.25, 0.0)
            .act("ApiErrorBudgetBurnFast, ApiErrorBudgetBurnSlow, ApiErrorBudgetBurnSteady"),
    ])
}

fn latency() -> Row {
    row(
        "API latency",
        [
            lines(
                "Budget left of API latency",
                "What is left of 30 days' error budget, by service.",
            )
            .ask(
                "min by (service) (objective:http_request_duration_seconds:budget_left_ratio{@})",
                "{{service}}",
            )
            .below(0.25, 0.0)
            .act("HttpRequestDurationSecondsBurnSteady"),
            lines(
                "Slow requests",
                "The share of requests that take longer than half a second. 1 % may.",
            )
            .ask(
                "max by (service) (objective:http_request_duration_seconds:failed_ratio1h{@})",
                "{{service}}, an hour",
            )
            .ask(
                "max by (service) (objective:http_request_duration_seconds:failed_ratio6h{@})",
                "{{service}}, six hours",
            )
            .above(0.06, 0.144)
            .act("HttpRequestDurationSecondsBurnFast, HttpRequestDurationSecondsBurnSlow"),
        ],
    )
}

fn providers() -> Row {
    row(
        "Calls to providers",
        [
            lines(
                "Budget left of provider calls",
                "What is left of 30 days' error budget, by service.",
            )
            .ask(
                "min by (service) (objective:provider_requests_total:budget_left_ratio{@})",
                "{{service}}",
            )
            .below(0.25, 0.0)
            .act("ProviderRequestsBurnSteady"),
            lines(
                "Failed provider calls",
                "The share of calls to providers that fail. 1 % may.",
            )
            .ask(
                "max by (service) (objective:provider_requests_total:failed_ratio1h{@})",
                "{{service}}, an hour",
            )
            .ask(
                "max by (service) (objective:provider_requests_total:failed_ratio6h{@})",
                "{{service}}, six hours",
            )
            .above(0.06, 0.144)
            .act("ProviderRequestsBurnFast, ProviderRequestsBurnSlow"),
        ],
    )
}

fn availability() -> Row {
    row(
        "API failures",
        [
            lines(
                "Failed API requests",
                "The share of requests that the server is to blame for. 0.1 % may be.",
            )
            .ask(
                "max by (service) (objective:api_error_budget:failed_ratio1h{@})",
                "{{service}}, an hour",
            )
            .ask(
                "max by (service) (objective:api_error_budget:failed_ratio6h{@})",
                "{{service}}, six hours",
            )
            .ask(
                "max by (service) (objective:api_error_budget:failed_ratio3d{@})",
                "{{service}}, three days",
            )
            .above(0.001, 0.0144)
            .act("ApiErrorBudgetBurnFast, ApiErrorBudgetBurnSlow, ApiErrorBudgetBurnSteady"),
            lines("Requests", "Requests a second, of which those are shares.").ask(
                "sum by (service) (rate(http_requests_total{@}[$__rate_interval]))",
                "{{service}}",
            ),
        ],
    )
}
