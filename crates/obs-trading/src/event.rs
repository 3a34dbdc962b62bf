//! What a venue says of an order.

use serde::{Deserialize, Serialize};

use crate::{ExecutionId, Fee, Fill, OrderOutcome, RejectReason};

/// What a venue says of an order, or we ask of it. [`OrderBook::on`](crate::OrderBook::on) takes them by the order's identifier;
/// each has a verb of its own beside it.
///
/// | Event | The order | Counted in |
/// |---|---|---|
/// | `Acknowledged` | the first one ends the stage | the stage, when the order is filled |
/// | `Filled` | more is executed; complete, it closes as filled | `trading_fills_total`, money |
/// | the same execution again | unchanged | events `duplicate_fill`; of a closed order `replayed_fill` |
/// | an execution after the end | quantities and money corrected, outcome unchanged | as `Filled`, and events `late_fill` |
/// | an execution beyond the quantity | it counts | as `Filled`, and events `overfill` |
/// | an execution that the order may have forgotten | unchanged, or kept as it was counted | events `forgotten_fill` |
/// | `FilledTo` | what is new of the total is executed | as `Filled`; below what is known, events `stale_total` |
/// | `Corrected`, or a higher revision | the execution counts as it is now | `trading_corrections_total`, money both ways; its markouts are taken back and measured anew |
/// | `Busted` | the execution counts no longer; open or closed, it stays | `trading_corrections_total`, money the other way; so are its markouts, and those that wait are unmeasured (`taken_back`) |
/// | `Reopened` | a closed order is open again, unless it is complete | `trading_orders_reopened_total`; complete, events `replayed_end` |
/// | `Charged` | a fee that comes apart from its fill | `trading_fees_total` |
/// | `Amended` | another quantity or price; at or below what is executed, it closes as filled | `trading_order_replaces_total` accepted |
/// | `AmendRefused` | unchanged | `trading_order_replaces_total` rejected |
/// | `Restated` | another quantity, unasked | nothing |
/// | `CancelAsked` | stays open | what the venue answers |
/// | `CancelRefused` | unchanged | `trading_order_cancels_total` rejected |
/// | `Working` | stays open: suspended, done for day, stop triggered, a request pending | nothing |
/// | `Ended(Cancelled)` | closes, also filled in part | `trading_orders_closed_total`; asked for, `trading_order_cancels_total` accepted |
/// | `Ended(Expired)` | closes, also filled in part | `trading_orders_closed_total` |
/// | `Ended(Filled)` | closes; what is missing is waited for, in a book | `trading_orders_closed_total`; in vain, events `missing_fill` |
/// | `Rejected` | closes, also after its acknowledgement | `trading_orders_closed_total`, `trading_orders_rejected_total` |
/// | any end of a closed order | unchanged | events `replayed_end` |
/// | anything of an unknown order | kept for a while, and applied when the order is known | else events `unknown_order` |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum OrderEvent {
    /// The venue has the order.
    Acknowledged,
    /// Part of it was executed, or all.
    Filled(Fill),
    /// So much is executed in all, at this average price.
    FilledTo {
        /// The quantity since the order was sent.
        #[serde(with = "crate::undefined")]
        cumulative: f64,
        /// Its average price.
        #[serde(with = "crate::undefined")]
        average: f64,
    },
    /// An execution was another than was said before. The fill is the execution as it is now, under its identifier.
    Corrected(Fill),
    /// An execution did not happen.
    Busted(ExecutionId),
    /// The venue works the order again, which was closed.
    Reopened,
    /// A fee that comes apart from its fill.
    Charged(Fee),
    /// The venue took an amendment that we asked for.
    Amended(Change),
    /// The venue refused an amendment or replacement; the order is what it was.
    AmendRefused,
    /// The venue changed the order on its own.
    Restated(Change),
    /// We asked for its cancellation.
    CancelAsked,
    /// The venue refused to cancel it; the order is what it was.
    CancelRefused,
    /// The order is at work, or will be again: suspended, done for day, its stop triggered, a request pending.
    Working,
    /// It ended. For a rejection there is [`Rejected`](Self::Rejected), which has the reason.
    Ended(OrderOutcome),
    /// The venue refused it.
    Rejected(RejectReason),
}

/// What of an order is changed. The benchmark and the times of the order stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Change(Quantity);

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Quantity {
    #[default]
    Same,
    Total(#[serde(with = "crate::undefined")] f64),
    Left(#[serde(with = "crate::undefined")] f64),
}

impl Change {
    /// Another price, or anything else that is not measured; the quantity stays.
    #[must_use]
    pub const fn of_terms() -> Self {
        Self(Quantity::Same)
    }

    /// Another quantity in all, with what is executed already, as FIX means it.
    #[must_use]
    pub const fn to_total(quantity: f64) -> Self {
        Self(Quantity::Total(quantity))
    }

    /// Another quantity that is still to be executed, as venues mean it that replace an order by a new one.
    #[must_use]
    pub const fn to_left(quantity: f64) -> Self {
        Self(Quantity::Left(quantity))
    }

    /// The quantity in all; nothing where it stays.
    pub(crate) fn total(self, filled: f64) -> Option<f64> {
        match self.0 {
            Quantity::Same => None,
            Quantity::Total(quantity) => Some(quantity),
            Quantity::Left(quantity) => Some(filled + quantity),
        }
    }
}
