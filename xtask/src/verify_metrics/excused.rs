//! What falls short of what is asked of everything, each with the reason why that is right.

/// What returns nothing while all is well, by where it stands, and why.
pub(super) const RIGHTLY_EMPTY: &[(&str, &str)] = &[
    ("panel `Firing alerts`", "no alert fires"),
    ("annotation `Alerts`", "no alert fires"),
    ("panel `Most frequent`", "no error was counted"),
    ("panel `Rejected by venues`", "no order was rejected"),
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

/// Families that no panel and no rule uses, and why that is right.
pub(super) const NOT_SHOWN: &[(&str, &str)] = &[
    (
        "http_request_size_unknown_total",
        "tells which requests `http_request_size_bytes` leaves out; looked up when that is in doubt",
    ),
    (
        "trading_orders_resumed_total",
        "closes the sum of orders after a restart; the tests hold it, and nobody acts on it",
    ),
    (
        "provider_cache_errors_total",
        "a cache error is a miss, which the hit ratio shows",
    ),
    (
        "db_pool_acquisitions_total",
        "its failures are those of `db_pool_timeouts_total` and `db_query_errors_total`",
    ),
];
