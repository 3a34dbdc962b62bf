//! Bucket bounds that fit what trading systems measure. Each is a constant; a family may state its own.

/// No bounds: native buckets alone, each 9.06 % wider than the one before, from 20 ns to 30 days and beyond.
///
/// A recorder has them where it keeps native histograms (`OBS_NATIVE_HISTOGRAMS`), and a scraper where it asks for them. Text formats
/// show count and sum of such a family, and no quantile can be computed from those: what a page, a dashboard or an alert reads in
/// text declares bounds, too.
pub const NATIVE: &[f64] = &[];

/// Seconds of a fast call inside a process or a local network: 10 µs to 10 s.
pub const LATENCY: &[f64] = &[
    0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Seconds of pure computation, such as a signal or a decision: 100 ns to 100 ms.
pub const COMPUTATION: &[f64] = &[
    0.000_000_1,
    0.000_000_25,
    0.000_000_5,
    0.000_001,
    0.000_002_5,
    0.000_005,
    0.000_01,
    0.000_025,
    0.000_05,
    0.000_1,
    0.000_5,
    0.001,
    0.01,
    0.1,
];

/// Seconds an order is on its way or at work: 100 ns for a decision in the process, 1 ms for a venue next door, 30 days for an
/// order that is good until cancelled.
pub const ORDER_TIME: &[f64] = &[
    0.000_000_1,
    0.000_000_5,
    0.000_001,
    0.000_005,
    0.000_01,
    0.000_05,
    0.000_1,
    0.000_25,
    0.000_5,
    0.001,
    0.005,
    0.01,
    0.05,
    0.1,
    0.5,
    1.0,
    5.0,
    30.0,
    60.0,
    300.0,
    3_600.0,
    21_600.0,
    86_400.0,
    172_800.0,
    345_600.0,
    604_800.0,
    2_592_000.0,
];

/// Bytes of a message: 64 B to 16 MiB.
pub const BYTES: &[f64] = &[
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
];

/// A share of one, in steps of a tenth, with the ends told apart.
pub const SHARE: &[f64] = &[
    0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0,
];

/// Basis points to both sides of zero, up to a tenth of the price: what a thin market takes of one order.
pub const SIGNED_BPS: &[f64] = &[
    -1_000.0, -500.0, -250.0, -100.0, -50.0, -25.0, -10.0, -5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0,
    10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0,
];

/// Money to both sides of zero, in units of the currency: from a ten-thousandth, for coins, to a hundred million, for yen.
pub const SIGNED_MONEY: &[f64] = &[
    -1e8, -1e7, -1e6, -100_000.0, -25_000.0, -10_000.0, -2_500.0, -1_000.0, -250.0, -100.0, -10.0,
    -1.0, -0.1, -0.01, -0.001, -0.000_1, 0.0, 0.000_1, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 250.0,
    1_000.0, 2_500.0, 10_000.0, 25_000.0, 100_000.0, 1e6, 1e7, 1e8,
];
