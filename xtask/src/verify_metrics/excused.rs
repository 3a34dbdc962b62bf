//! What falls short of what is asked of everything, each with the reason why that is right.

/// What returns nothing while all is well, by where it stands, and why.
pub(super) const RIGHTLY_EMPTY: &[(&str, &str)] = &[
    ("panel `Firing alerts`", "no alert fires"),
    ("annotation `Alerts`", "no alert fires"),
    ("panel `Alerts by process`", "no alert fires"),
    ("panel `gRPC ", "the desk neither serves nor calls gRPC"),
    (
        "panel `Failed gRPC`",
        "the desk neither serves nor calls gRPC",
    ),
    ("panel `Streams", "no endpoint of the desk is a stream"),
    (
        "panel `Sessions`",
        "the desk replays years that are over, and a replay's time is left out",
    ),
    (
        "panel `Breaks`, query B",
        "the statements of a replay are of years that are over",
    ),
    (
        "panel `Oldest orders`, query A",
        "the orders of a replay are of years that are over, and mostly none waits",
    ),
    (
        "panel `Feeds by loss`, query I",
        "the desk's feed has no heartbeats",
    ),
    (
        "panel `Listeners`",
        "the desk listens to neither PostgreSQL nor Redis",
    ),
    (
        "panel `Redis time`, query B",
        "the desk waits for nothing in Redis",
    ),
    ("panel `Most frequent`", "no error was counted"),
    ("panel `Rejected by venues`", "no order was rejected"),
    (
        "record `instance:process_start_time_seconds:changes15m`",
        "only desks that trade are paged for, and this one is a backtest",
    ),
    (
        "record `instance:up:changes15m`",
        "only desks that trade are paged for, and this one is a backtest",
    ),
    (
        "record `service:market_session_open:all1h",
        "no desk has run for an hour",
    ),
    (
        "record `component:errors:trend",
        "there is no record of a day or a week ago",
    ),
    (
        "panel `Against ",
        "there is no record of a day or a week ago",
    ),
    ("panel `Trend`", "there is no record of a day or a week ago"),
];

/// Families that the desk declares and does not export, and why that is right.
pub(super) const NOT_EXPORTED: &[(&str, &str)] = &[
    (
        "obs_kind_conflicts_total",
        "a sound program has no name of two kinds; a series comes with the first one that it has",
    ),
    (
        "obs_name_conflicts_total",
        "declared names need no escaping; a series comes with the first two names that are the same once escaped",
    ),
    (
        "obs_memory_mapped",
        "comes with `OBS_MEMORY`, and the desk that is verified has no file",
    ),
    (
        "db_listener_events_total",
        "only PostgreSQL has notifications, and the desk keeps its records in SQLite",
    ),
    (
        "db_sqlstate_errors_total",
        "SQLite has no SQLSTATE; a series comes with the first error of a database that has",
    ),
    (
        "http_streams_open",
        "no endpoint of the desk is a stream; its series come with the first one",
    ),
    (
        "http_stream_duration_seconds",
        "no endpoint of the desk is a stream; its series come with the first one",
    ),
    (
        "http_streams_closed_total",
        "no endpoint of the desk is a stream; its series come with the first one",
    ),
    ("rpc_server_requests_total", "the desk serves no gRPC"),
    (
        "rpc_server_request_duration_seconds",
        "the desk serves no gRPC",
    ),
    ("rpc_server_messages_total", "the desk serves no gRPC"),
    ("rpc_server_requests_in_flight", "the desk serves no gRPC"),
    ("rpc_client_requests_total", "the desk calls no gRPC"),
    (
        "rpc_client_request_duration_seconds",
        "the desk calls no gRPC",
    ),
    ("rpc_client_messages_total", "the desk calls no gRPC"),
    ("rpc_client_requests_in_flight", "the desk calls no gRPC"),
    (
        "redis_client_blocking_duration_seconds",
        "the desk's cache asks for nothing that waits in the server",
    ),
    (
        "obs_certificate_expiry_timestamp_seconds",
        "the sample desk serves on loopback, without TLS",
    ),
];

/// Families that no panel and no rule uses, and why that is right.
pub(super) const NOT_SHOWN: &[(&str, &str)] = &[
    (
        "desk_replay_day_timestamp_seconds",
        "the day that is replayed is the first figure of the live page; a dashboard's time is the clock's",
    ),
    (
        "desk_replay_sessions_total",
        "how quickly the sample desk replays is the trend of that figure; nothing depends on it",
    ),
    (
        "desk_replays_ended_total",
        "stands beside that figure on the live page",
    ),
    (
        "desk_replay_last_pnl",
        "how the last replay ended is a table on the live page; what goes on now is on the dashboards",
    ),
    ("desk_replay_last_trades", "a column of the same table"),
    ("desk_replay_last_wins", "a column of the same table"),
    (
        "http_request_size_unknown_total",
        "tells which requests `http_request_size_bytes` leaves out; looked up when that is in doubt",
    ),
    (
        "trading_orders_resumed_total",
        "closes the sum of orders after a restart; the tests hold it, and nobody acts on it",
    ),
    (
        "trading_orders_reopened_total",
        "closes the sum of orders after a bust; the tests hold it, and the bust is in `trading_corrections_total`",
    ),
    (
        "trading_corrections_total",
        "venues take executions back seldom; looked up when a statement differs",
    ),
    (
        "trading_corrected_notional_total",
        "what to take from `trading_filled_notional_total` when that is held to a statement",
    ),
    (
        "trading_fill_ratio",
        "looked at when limits are set, by venue and order type",
    ),
    (
        "trading_cancel_on_disconnect_armed",
        "looked up when a connection breaks with orders at the venue",
    ),
    (
        "http_stream_duration_seconds",
        "tells how long streams last, which is as long as somebody listens",
    ),
    (
        "db_sqlstate_errors_total",
        "tells more of what `db_query_errors_total` shows, for the manual of the database",
    ),
    (
        "obs_kind_conflicts_total",
        "a mistake of the program; the exporter logs it, and page and terminal show a banner",
    ),
    (
        "obs_name_conflicts_total",
        "a mistake of the program; the exporter logs it, and page and terminal show a banner",
    ),
    (
        "obs_memory_mapped",
        "only with `OBS_MEMORY`; the exporter logs what is not in the file, and page and terminal show a banner",
    ),
    (
        "obs_agent_push_failures_total",
        "of `obstool agent`; what is not pushed is missed where it should arrive, and then this is read",
    ),
    (
        "obs_agent_start_time_seconds",
        "of `obstool agent`; the live page takes no rate across it",
    ),
    (
        "obs_undeclared_families",
        "other people's code may record what it likes; read when a declaration is missed",
    ),
];

/// What the linter of alerts finds in our own rules. The list may only become shorter: an entry that is no longer found is an
/// error.
pub(super) const KNOWN_ALERTS: &[&str] = &[];
