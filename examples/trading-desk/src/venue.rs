//! A stand-in for how venues report: what the paper broker did is told as real venues tell it.
//!
//! The paper broker fills an order once, whole, and says so once. That would leave most of an order's life unseen, so each order is
//! reported in the manner that the last digit of its number says. **Nothing of it happened in a market**: what is bought and sold, and
//! at what price, is the paper broker's, and the records in the database know nothing of manners.
//!
//! | digit | manner |
//! |---|---|
//! | 0 | an amendment is refused before the fill |
//! | 1 | the fill comes under the venue's number, before it is known whose that is |
//! | 2 | the order is replaced under another number, and filled under that |
//! | 3 | two executions, the first of them at a wrong price, which is corrected |
//! | 4 | the execution is busted, and the order reopened and executed again |
//! | 5 | our cancellation comes too late and is refused |
//! | 6 | the execution is busted, and another takes its place after the end |
//! | 7 | a total is polled, and the execution that it told follows |
//! | 8 | the fill and the end are repeated, as after a reconnect |
//! | 9 | with the next order it is a leg under one parent |

use jiff::Timestamp;
use obs_trading::{
    Change, Currency, ExecutionId, Fee, FeeKind, Fill, Liquidity, Money, OrderBook, OrderEvent,
    OrderOutcome, OrderType,
};

use crate::order::{self, Order, OrderId};

/// The numbers that the venue gives: far beyond ours.
const VENUE: OrderId = 1_000_000_000;

/// Those of replacements,
const REPLACEMENT: OrderId = 2_000_000_000;

/// and of parents.
const PARENT: OrderId = 3_000_000_000;

/// A wrong price, of which the right one is this part.
const WRONG: f64 = 1.01;

/// How an order is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// An amendment is refused.
    AmendRefused,
    /// The fill is ahead of the venue's number.
    Early,
    /// It is replaced.
    Replaced,
    /// An execution is corrected.
    Corrected,
    /// An execution is busted, and the order reopened.
    Reopened,
    /// A cancellation is refused.
    CancelRefused,
    /// An execution is busted, and another comes after the end.
    Late,
    /// A total is ahead of its execution.
    Polled,
    /// Everything is said again.
    Repeated,
    /// It is a leg.
    Leg,
}

/// That of an order.
#[must_use]
pub fn manner(id: OrderId) -> Manner {
    match id % 10 {
        0 => Manner::AmendRefused,
        1 => Manner::Early,
        2 => Manner::Replaced,
        3 => Manner::Corrected,
        4 => Manner::Reopened,
        5 => Manner::CancelRefused,
        6 => Manner::Late,
        7 => Manner::Polled,
        8 => Manner::Repeated,
        _ => Manner::Leg,
    }
}

/// The parent of an order that is a leg: two orders in a row have one.
#[must_use]
pub fn parent(id: OrderId) -> Option<OrderId> {
    matches!(id % 10, 9 | 0).then(|| PARENT + id.div_ceil(10))
}

/// Reports the fill of an order to the book, in the order's manner.
pub fn report_fill(order: &Order, at: Timestamp, book: &mut OrderBook<OrderId>) {
    let id = order.id;
    let Some(fill) = order.fill.map(|fill| execution(order, fill, at)) else {
        book.close(&id, OrderOutcome::Filled);
        return;
    };
    match manner(id) {
        Manner::AmendRefused => {
            book.on(&id, OrderEvent::AmendRefused);
            book.fill(&id, fill);
        }
        Manner::Early => {
            book.fill(&(VENUE + id), fill);
            book.alias(&id, VENUE + id);
        }
        Manner::Replaced => {
            book.replace(&id, REPLACEMENT + id, Change::of_terms());
            book.fill(&(REPLACEMENT + id), fill);
        }
        Manner::Corrected => report_corrected(order, fill, book),
        Manner::Reopened => {
            book.fill(&id, fill);
            book.bust(&id, execution_id(id, 0));
            book.reopen(&id);
            book.fill(&id, fill.with_id(execution_id(id, 1)));
        }
        Manner::CancelRefused => {
            book.on(&id, OrderEvent::CancelAsked);
            book.fill(&id, fill);
            book.on(&id, OrderEvent::CancelRefused);
        }
        Manner::Late => {
            book.fill(&id, fill);
            book.bust(&id, execution_id(id, 0));
            book.fill(&id, fill.with_id(execution_id(id, 1)));
        }
        Manner::Polled => {
            book.fill_to(&id, f64::from(order.quantity), fill.price.to_f64());
            book.fill(&id, fill);
        }
        Manner::Repeated => {
            book.fill(&id, fill);
            book.fill(&id, fill);
            book.close(&id, OrderOutcome::Filled);
        }
        Manner::Leg => drop(book.fill(&id, fill)),
    }
}

/// Half of it at a wrong price, the rest, and the price put right; an order for one unit has no rest.
fn report_corrected(order: &Order, fill: Fill, book: &mut OrderBook<OrderId>) {
    let (id, rest) = (order.id, order.quantity / 2);
    let mut first = fill;
    first.quantity = (order.quantity - rest).into();
    let mut wrong = first;
    wrong.price = (fill.price.to_f64() * WRONG).into();
    book.fill(&id, wrong);
    if rest > 0 {
        let mut second = fill.with_id(execution_id(id, 1));
        second.quantity = rest.into();
        second.fee = None;
        book.fill(&id, second);
    }
    book.correct(&id, first);
}

/// An order has at most two executions.
fn execution_id(id: OrderId, number: u64) -> ExecutionId {
    (u64::from(id) * 2 + number).into()
}

/// What the broker filled an order with, as an execution.
pub(crate) fn execution(order: &Order, fill: order::Fill, at: Timestamp) -> Fill {
    let fee = Fee::new(
        FeeKind::Commission,
        Money::new(fill.commission, Currency::USD),
    );
    let liquidity = match order.kind.order_type() {
        OrderType::Limit => Liquidity::Maker,
        _ => Liquidity::Taker,
    };
    Fill::new(order.quantity, fill.price)
        .with_id(execution_id(order.id, 0))
        .with_fee(fee)
        .with_liquidity(liquidity)
        .at(at)
}
