//! A venue: orders go there, and it does with them what it does.

use std::sync::Arc;

use obs_core::{By, Counter, Gauge, Histogram, buckets};

use crate::{IgnoredEvent, OrderOutcome, OrderType, RejectReason, Side, VenueName};

obs_core::families! {
    group crate::groups::TRADING;

    /// What one venue does with our orders.
    pub struct VenueMetrics(venue: VenueName) {
        /// How long it took from submission to the last fill, of orders that were filled whole.
        pub fill: By<OrderType, Histogram> = "trading_order_fill_duration_seconds" { buckets: buckets::ORDER_TIME },
        /// Average fill price against the benchmark price of the order, in basis points; adverse is positive.
        ///
        /// A buy above its benchmark and a sell below it are both adverse. One observation for each order of which
        /// anything was executed, when it is closed.
        pub slippage: By<Side, Histogram> = "trading_slippage_bps" { buckets: buckets::SIGNED_BPS },
        /// Orders handed to the venue.
        pub orders: By<OrderType, By<Side, Counter>> = "trading_orders_total",
        /// Orders taken up again after a restart; they were counted as submitted before it.
        pub resumed: Counter = "trading_orders_resumed_total",
        /// Orders that ended, by how they ended.
        pub closed: By<OrderOutcome, Counter> = "trading_orders_closed_total",
        /// Orders the venue refused, by reason.
        pub rejected: By<RejectReason, Counter> = "trading_orders_rejected_total",
        /// Orders at the venue.
        ///
        /// Submitted + resumed = closed + open.
        pub open: Gauge = "trading_orders_open",
        /// Events from the venue that changed nothing.
        pub ignored: By<IgnoredEvent, Counter> = "trading_order_events_ignored_total",
    }
}

/// A venue under measurement. Built at start-up, cloned and handed to whoever sends orders; clones share their handles.
#[derive(Clone, Debug)]
pub struct Venue(Arc<VenueMetrics>);

impl Venue {
    /// A venue of this name.
    #[must_use]
    #[track_caller]
    pub fn new(name: &str) -> Self {
        Self(Arc::new(VenueMetrics::new(name)))
    }

    /// Its handles, for what the verbs do not cover.
    #[must_use]
    pub fn metrics(&self) -> &VenueMetrics {
        &self.0
    }
}
