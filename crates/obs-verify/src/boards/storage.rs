//! Pools of connections, stage by stage, queries, and Redis.

use crate::dashboard::{Dashboard, Row, Scope, lines, row, stat, table};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "storage".to_owned(),
        title: "Storage".to_owned(),
        description: "Where the time of a database call goes: the wait for a connection, opening one, the query, and how long it is held; and Redis.".to_owned(),
        scope: Scope::default(),
        rows: vec![glance(), pools(), requests(), stages(), queries(), redis(), listeners().folded()],
    }
}

fn glance() -> Row {
    row("Are we all right?", [
        stat("Fullest pool", "The share of database connections in use, where it is highest.")
            .ask("max(pool:db_pool_connections_in_use:ratio{@})", "")
            .above(0.7, 0.9)
            .act("DatabasePoolNearExhaustion, DatabasePoolExhausted"),
        stat("Queries", "19 of 20 queries to the slowest pool end within this time.")
            .ask("max(pool:db_query_duration_seconds:p95_5m{@})", "")
            .above(0.1, 0.5)
            .act("DatabaseQueriesSlow"),
        stat("Failed queries", "The share of queries that failed, of the pool where it is highest, over five minutes.")
            .ask("max(pool:db_queries_failed:ratio_rate5m{@})", "")
            .above(0.01, 0.05)
            .act("DatabaseQueriesFailing"),
        stat("Redis", "19 of 20 commands of the slowest client are answered within this time.")
            .ask("max(client:redis_client_command_duration_seconds:p95_5m{@})", "")
            .above(0.01, 0.05)
            .act("RedisSlow"),
    ])
}

fn pools() -> Row {
    row(
        "Pools",
        [
            table(
                "Pools by use",
                "Each pool: the connections in use and idle, the most there may be, and who waits.",
            )
            .ask(
                r#"max by (#, pool) (db_pool_connections{@, state="in_use"})"#,
                "in use",
            )
            .ask(
                r#"max by (#, pool) (db_pool_connections{@, state="idle"})"#,
                "idle",
            )
            .ask("max by (#, pool) (db_pool_connections_max{@})", "at most")
            .ask("max by (#, pool) (db_pool_waiting{@})", "waiting"),
            lines("Connections", "In use, idle, and the most there may be.")
                .ask(
                    "sum by (pool, state) (db_pool_connections{@})",
                    "{{pool}} {{state}}",
                )
                .ask(
                    "sum by (pool) (db_pool_connections_max{@})",
                    "{{pool}} at most",
                ),
        ],
    )
}

fn requests() -> Row {
    row("Getting a connection", [
        lines("Requests for a connection", "Requests a second, by how they ended.")
            .ask("sum by (pool, outcome) (rate(db_pool_acquisitions_total{@}[$__rate_interval]))", "{{pool}} {{outcome}}"),
        lines("No connection", "Requests for a connection a second that failed, by what they were doing and why.")
            .ask("topk(10, sum by (pool, stage, error_type) (rate(db_pool_acquire_errors_total{@}[$__rate_interval])))", "{{pool}} {{stage}} {{error_type}}"),
    ])
}

/// A stage of a call in a panel.
fn stages() -> Row {
    row("Stage by stage", [
        lines("Wait", "19 of 20 requests get a connection within this time.")
            .ask("histogram_quantile(0.95, sum by (pool, le) (rate(db_pool_acquire_duration_seconds_bucket{@}[$__rate_interval])))", "{{pool}}"),
        lines("Connect", "19 of 20 new connections are open within this time.")
            .ask("histogram_quantile(0.95, sum by (pool, le) (rate(db_pool_connect_duration_seconds_bucket{@}[$__rate_interval])))", "{{pool}}"),
        lines("Query", "19 of 20 queries end within this time, not counting the wait for a connection.")
            .ask("histogram_quantile(0.95, sum by (pool, le) (rate(db_query_duration_seconds_bucket{@}[$__rate_interval])))", "{{pool}}")
            .above(0.1, 0.5)
            .act("DatabaseQueriesSlow"),
        lines("Held", "19 of 20 connections are given back within this time.")
            .ask("histogram_quantile(0.95, sum by (pool, le) (rate(db_pool_held_duration_seconds_bucket{@}[$__rate_interval])))", "{{pool}}"),
    ])
}

fn queries() -> Row {
    row(
        "Queries and transactions",
        [
            lines("Queries by operation", "Queries a second.").ask(
                "sum by (pool, operation) (rate(db_queries_total{@}[$__rate_interval]))",
                "{{pool}} {{operation}}",
            ),
            lines(
                "Query errors",
                "Failed queries a second, by what went wrong.",
            )
            .ask(
                "sum by (pool, error_type) (rate(db_query_errors_total{@}[$__rate_interval]))",
                "{{pool}} {{error_type}}",
            ),
            lines("Transactions", "Transactions a second, by how they ended.").ask(
                "sum by (pool, outcome) (rate(db_transactions_total{@}[$__rate_interval]))",
                "{{pool}} {{outcome}}",
            ),
        ],
    )
}

fn redis() -> Row {
    row("Redis", [
        lines("Redis commands", "Commands a second, and messages received.")
            .ask("sum by (client) (rate(redis_client_commands_total{@}[$__rate_interval]))", "{{client}} commands")
            .ask("sum by (client) (rate(redis_client_messages_total{@}[$__rate_interval]))", "{{client}} messages"),
        lines("Redis time", "19 of 20 commands are answered within this time; those that wait in the server apart.")
            .ask("histogram_quantile(0.95, sum by (client, le) (rate(redis_client_command_duration_seconds_bucket{@}[$__rate_interval])))", "{{client}}")
            .ask("histogram_quantile(0.95, sum by (client, le) (rate(redis_client_blocking_duration_seconds_bucket{@}[$__rate_interval])))", "{{client}} blocking")
            .above(0.01, 0.05)
            .act("RedisSlow"),
        lines("Redis hits", "The share of lookups that found something: ours, and those of all clients of the server.")
            .ask("min by (client) (client:redis_client_lookups_hit:ratio_rate5m{@})", "{{client}}")
            .ask("sum by (client) (rate(redis_server_keyspace_hits_total{@}[$__rate_interval])) / (sum by (client) (rate(redis_server_keyspace_hits_total{@}[$__rate_interval])) + sum by (client) (rate(redis_server_keyspace_misses_total{@}[$__rate_interval])))", "{{client}} server"),
        lines("Redis errors", "Failed commands a second, by what went wrong.")
            .ask("sum by (client, error_type) (rate(redis_client_errors_total{@}[$__rate_interval]))", "{{client}} {{error_type}}"),
    ])
}

fn listeners() -> Row {
    row("Listeners and time-outs", [
        lines("Listeners", "What listeners for notifications saw a second.")
            .ask("sum by (pool, event) (rate(db_listener_events_total{@}[$__rate_interval]))", "{{pool}} {{event}}"),
        lines("Subscriptions lost", "Connections of subscribers a second that were lost.")
            .ask("sum by (client) (rate(redis_client_subscriptions_lost_total{@}[$__rate_interval]))", "{{client}}"),
        lines("Gave up", "Requests for a connection a second that gave up.")
            .ask("sum by (pool) (rate(db_pool_timeouts_total{@}[$__rate_interval]))", "{{pool}}"),
    ])
}
