//! Servers and clients of HTTP and gRPC.

use crate::dashboard::{Dashboard, Row, Scope, heatmap, lines, row, stat};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "api".to_owned(),
        title: "API and gRPC".to_owned(),
        description: "What is asked of the services, how fast they answer, and what they ask of others by gRPC.".to_owned(),
        scope: Scope::default(),
        rows: vec![
            glance(),
            http(),
            details(),
            functions(),
            grpc().folded(),
            grpc_clients().folded(),
        ],
    }
}

fn glance() -> Row {
    row("Are we all right?", [
        stat("Failed requests", "The share of requests that the server is to blame for, over an hour. 0.1 % are allowed.")
            .ask("max(objective:api_error_budget:failed_ratio1h{@})", "")
            .above(0.001, 0.0144)
            .act("ApiErrorBudgetBurnFast, ApiErrorBudgetBurnSlow"),
        stat("Slowest endpoint", "19 of 20 requests to the slowest endpoint end within this time, over five minutes.")
            .ask("max(endpoint:http_request_duration_seconds:p95_5m{@})", "")
            .above(0.25, 0.5)
            .act("ApiLatencyHigh"),
        stat("Under way", "Requests whose response has not ended, of the process with the most.")
            .ask("max(sum by (#) (http_requests_in_flight{@}))", "")
            .above(50.0, 100.0)
            .act("ApiRequestsPilingUp"),
        stat("Failed gRPC", "The share of gRPC calls of others that ended in an error of ours, over five minutes.")
            .ask(r#"sum(rate(rpc_server_requests_total{@, code=~"UNKNOWN|INTERNAL|UNAVAILABLE|DATA_LOSS|DEADLINE_EXCEEDED"}[5m])) / sum(rate(rpc_server_requests_total{@}[5m]))"#, "")
            .above(0.01, 0.05)
            .act("RpcRequestsFailing"),
    ])
}

fn http() -> Row {
    row("HTTP", [
        lines("Requests", "Requests a second of the ten busiest endpoints.")
            .ask("topk(10, sum by (endpoint) (rate(http_requests_total{@}[$__rate_interval])))", "{{endpoint}}"),
        lines("Response time", "19 of 20 requests end within this time; the ten slowest endpoints.")
            .ask("topk(10, histogram_quantile(0.95, sum by (endpoint, le) (rate(http_request_duration_seconds_bucket{@}[$__rate_interval]))))", "{{endpoint}}")
            .above(0.25, 0.5)
            .act("ApiLatencyHigh"),
        heatmap("Response times", "How response times spread.")
            .spread("http_request_duration_seconds{@}"),
        lines("Status codes", "Responses a second, by status code.")
            .ask("sum by (status_code) (rate(http_requests_total{@}[$__rate_interval]))", "{{status_code}}"),
    ])
}

fn grpc() -> Row {
    row("gRPC that is served", [
        lines("gRPC calls", "Calls a second, by status code.")
            .ask("sum by (rpc_service, code) (rate(rpc_server_requests_total{@}[$__rate_interval]))", "{{rpc_service}} {{code}}"),
        lines("gRPC time", "19 of 20 calls end within this time; the ten slowest methods.")
            .ask("topk(10, histogram_quantile(0.95, sum by (rpc_service, method, le) (rate(rpc_server_request_duration_seconds_bucket{@}[$__rate_interval]))))", "{{rpc_service}} {{method}}"),
        lines("gRPC under way", "Calls that have not ended. A stream is under way for as long as it is open.")
            .ask("sum by (rpc_service) (rpc_server_requests_in_flight{@})", "{{rpc_service}}"),
        lines("gRPC messages", "Messages a second, as seen from here.")
            .ask("sum by (rpc_service, direction) (rate(rpc_server_messages_total{@}[$__rate_interval]))", "{{rpc_service}} {{direction}}"),
    ])
}

fn grpc_clients() -> Row {
    row("gRPC that is called", [
        lines("gRPC client calls", "Calls a second, by status code.")
            .ask("sum by (rpc_service, code) (rate(rpc_client_requests_total{@}[$__rate_interval]))", "{{rpc_service}} {{code}}"),
        lines("gRPC client time", "19 of 20 calls end within this time; the ten slowest methods.")
            .ask("topk(10, histogram_quantile(0.95, sum by (rpc_service, method, le) (rate(rpc_client_request_duration_seconds_bucket{@}[$__rate_interval]))))", "{{rpc_service}} {{method}}"),
        lines("gRPC client under way", "Calls that have not ended. A stream is under way for as long as it is open.")
            .ask("sum by (rpc_service) (rpc_client_requests_in_flight{@})", "{{rpc_service}}"),
        lines("gRPC client messages", "Messages a second, as seen from here.")
            .ask("sum by (rpc_service, direction) (rate(rpc_client_messages_total{@}[$__rate_interval]))", "{{rpc_service}} {{direction}}"),
    ])
}

fn details() -> Row {
    row(
        "Payloads and streams",
        [
            lines("Bytes", "Bytes a second, in and out.")
                .ask(
                    "sum by (service) (rate(http_request_size_bytes_sum{@}[$__rate_interval]))",
                    "{{service}} in",
                )
                .ask(
                    "sum by (service) (rate(http_response_size_bytes_sum{@}[$__rate_interval]))",
                    "{{service}} out",
                ),
            lines("Streams", "WebSockets and event streams that are open.").ask(
                "sum by (endpoint, protocol) (http_streams_open{@})",
                "{{endpoint}} {{protocol}}",
            ),
            lines(
                "Streams that end",
                "WebSockets and event streams a second, by how they ended.",
            )
            .ask(
                "sum by (protocol, reason) (rate(http_streams_closed_total{@}[$__rate_interval]))",
                "{{protocol}} {{reason}}",
            ),
        ],
    )
}

fn functions() -> Row {
    row("What is under way", [
        lines("Requests under way", "Requests whose response has not ended.")
            .ask("sum by (service) (http_requests_in_flight{@})", "{{service}}"),
        lines("Slowest functions", "19 of 20 calls end within this time; the ten slowest.")
            .ask("topk(10, histogram_quantile(0.95, sum by (function, le) (rate(function_duration_seconds_bucket{@}[$__rate_interval]))))", "{{function}}"),
        lines("Functions under way", "Calls that have begun and not ended; the ten with the most.")
            .ask("topk(10, sum by (function) (function_calls_in_flight{@}))", "{{function}}"),
    ])
}
