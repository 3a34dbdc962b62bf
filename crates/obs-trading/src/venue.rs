//! A venue: orders go there, and it does with them what it does.

use std::sync::Arc;
use std::time::Duration;

use obs_core::{By, Counter, Gauge, Histogram, Unit, buckets};

use crate::{
    Answer, Clock, CorrectionKind, IgnoredEvent, Liquidity, Mids, OrderOutcome, OrderType,
    RejectReason, Side, VenueName, WaitingFor,
};

obs_core::families! {
    group crate::groups::TRADING;

    /// What one venue does with our orders.
    pub struct VenueMetrics(venue: VenueName) {
        /// How long it took from submission to the last fill, of orders that were filled whole.
        pub fill: By<OrderType, Histogram> = "trading_order_fill_duration_seconds" { buckets: buckets::ORDER_TIME },
        /// Average fill price against the benchmark price of the order, in basis points; adverse is positive.
        ///
        /// A buy above its benchmark and a sell below it are both adverse. One observation for each order of which
        /// anything was executed, when it is closed, however large it was: means come from `trading_slippage_cost_total`.
        pub slippage: By<Side, Histogram> = "trading_slippage_bps" { buckets: buckets::SIGNED_BPS },
        /// Orders handed to the venue.
        pub orders: By<OrderType, By<Side, Counter>> = "trading_orders_total",
        /// Orders taken up again after a restart; they were counted as submitted before it.
        pub resumed: Counter = "trading_orders_resumed_total",
        /// Orders that ended, by how they ended.
        pub closed: By<OrderOutcome, Counter> = "trading_orders_closed_total",
        /// Closed orders that the venue works again after it took an execution back.
        pub reopened: Counter = "trading_orders_reopened_total",
        /// Orders the venue refused, by reason.
        pub rejected: By<RejectReason, Counter> = "trading_orders_rejected_total",
        /// Orders at the venue.
        ///
        /// Submitted + resumed + reopened = closed + open.
        pub open: Gauge = "trading_orders_open",
        /// Replacements and amendments of open orders, by the venue's answer. The order stays the same order.
        pub replaces: By<Answer, Counter> = "trading_order_replaces_total",
        /// Cancellations we asked for, by the venue's answer.
        pub cancels: By<Answer, Counter> = "trading_order_cancels_total",
        /// Executions.
        pub fills: By<Side, By<Liquidity, Counter>> = "trading_fills_total",
        /// Executions that the venue took back, or changed.
        pub corrections: By<CorrectionKind, Counter> = "trading_corrections_total",
        /// The share of what was ordered that was executed, of orders that ended.
        pub fill_ratio: By<OrderType, Histogram> = "trading_fill_ratio" { buckets: buckets::SHARE, range: 0.0..=1.0 },
        /// Events from the venue that were unusual or wrong, by kind.
        pub ignored: By<IgnoredEvent, Counter> = "trading_order_events_ignored_total",
        /// When the oldest order that still waits was sent; undefined when none does.
        pub oldest: By<WaitingFor, Gauge> = "trading_order_oldest_timestamp_seconds",
        /// How long the desk lets an order wait before it is worth a look; undefined unless stated.
        pub patience: By<WaitingFor, Gauge> = "trading_order_patience_seconds",
        /// Whether the venue cancels our orders when the connection breaks: 1 or 0; undefined unless stated.
        pub cancel_on_disconnect: Gauge = "trading_cancel_on_disconnect_armed" { unit: Unit::Switch },
    }
}

/// A venue under measurement. Built at start-up, cloned and handed to everything that sends orders; clones share their handles.
///
/// ```
/// use std::time::Duration;
/// use obs_trading::{Mids, Venue};
///
/// let mids = Mids::new([Duration::from_secs(1), Duration::from_secs(60)], Duration::from_secs(5));
/// let venue = Venue::new("alpaca")
///     .with_mids(&mids)                                                     // shortfall and markouts
///     .with_patience(Duration::from_secs(2), Duration::from_secs(8 * 3_600));
/// venue.set_cancel_on_disconnect(true);
/// ```
#[derive(Clone, Debug)]
pub struct Venue(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    metrics: Arc<VenueMetrics>,
    name: Arc<str>,
    clock: Clock,
    tolerance: Duration,
    mids: Option<Mids>,
}

/// How far the venue's clock may be ahead of ours.
const TOLERANCE: Duration = Duration::from_secs(300);

impl Venue {
    /// A venue of this name.
    #[must_use]
    #[track_caller]
    pub fn new(name: &str) -> Self {
        Self::with_clock(name, Clock::default())
    }

    /// A venue that lives by this clock; a replay hands in its own, the same as to its strategies.
    #[must_use]
    #[track_caller]
    pub fn with_clock(name: &str, clock: impl Into<Clock>) -> Self {
        let metrics = VenueMetrics::new(name);
        for (_, oldest) in metrics.oldest.iter() {
            oldest.set_undefined();
        }
        for (_, patience) in metrics.patience.iter() {
            patience.set_undefined();
        }
        metrics.cancel_on_disconnect.set_undefined();
        Self(Arc::new(Inner {
            metrics: Arc::new(metrics),
            name: name.into(),
            clock: clock.into(),
            tolerance: TOLERANCE,
            mids: None,
        }))
    }

    /// The same, with mids: orders that state a currency are measured against them, from the submission to the horizons after
    /// each fill.
    #[must_use]
    pub fn with_mids(self, mids: &Mids) -> Self {
        let mids = Some(mids.clone());
        Self(Arc::new(Inner {
            mids,
            ..Arc::unwrap_or_clone(self.0)
        }))
    }

    /// The same, with another bound for events from the future: how far the venue's clock may be ahead of ours, 5 minutes unless
    /// stated. What is later is refused.
    #[must_use]
    pub fn with_tolerance(self, tolerance: Duration) -> Self {
        Self(Arc::new(Inner {
            tolerance,
            ..Arc::unwrap_or_clone(self.0)
        }))
    }

    /// The same, stating how long an order may wait for the venue's first word, and for its end, before it is worth a look.
    #[must_use]
    pub fn with_patience(self, unacknowledged: Duration, open: Duration) -> Self {
        let patience = &self.metrics().patience;
        patience[WaitingFor::Unacknowledged].set(unacknowledged);
        patience[WaitingFor::Open].set(open);
        self
    }

    /// Says whether the venue cancels our orders when the connection breaks.
    pub fn set_cancel_on_disconnect(&self, is_armed: bool) {
        self.metrics().cancel_on_disconnect.switch(is_armed);
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its handles, for what the verbs do not cover.
    #[must_use]
    pub fn metrics(&self) -> &VenueMetrics {
        &self.0.metrics
    }

    /// An event that changed nothing, or was unusual.
    pub(crate) fn ignore(&self, event: IgnoredEvent) {
        self.metrics().ignored[event].increment(1);
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn tolerance(&self) -> Duration {
        self.0.tolerance
    }

    pub(crate) fn mids(&self) -> Option<&Mids> {
        self.0.mids.as_ref()
    }
}
