//! Order books: their spread, and how long they make no sense.

use std::sync::Arc;

use super::{BookMetrics, Shared};
use crate::Moment;

/// An order book of a feed; made by [`Feed::book`](super::Feed::book). One for each symbol, owned by the task that maintains the book.
///
/// ```
/// # let provider = obs_providers::Provider::new("binance", obs_providers::ProviderKind::MarketData);
/// # let feed = provider.feed("depth").open();
/// use obs_providers::Moment;
///
/// let mut book = feed.book();
/// book.top(Some(187.20), Some(187.21), Moment::now());
/// // Crossed: from here on its time counts as invalid, until a top makes sense again or the book is dropped.
/// book.top(Some(187.25), Some(187.21), Moment::now());
/// ```
#[derive(Debug)]
pub struct Book {
    feed: Arc<Shared>,
    is_invalid: bool,
}

impl Shared {
    pub(super) fn books(&self) -> &BookMetrics {
        self.books
            .get(|| BookMetrics::new(self.provider_name.as_str(), self.name.clone()))
    }
}

impl Book {
    pub(super) fn new(feed: &Arc<Shared>) -> Self {
        feed.books();
        Self {
            feed: Arc::clone(feed),
            is_invalid: false,
        }
    }

    /// The best bid and the best offer after a change. A side that is missing, or prices that cross, lock or are no numbers above 0,
    /// make the book invalid.
    pub fn top(&mut self, bid: Option<f64>, ask: Option<f64>, at: Moment) {
        let spread = match (bid, ask) {
            (Some(bid), Some(ask)) if bid > 0.0 && bid < ask && ask.is_finite() => {
                Some((ask - bid) / f64::midpoint(ask, bid) * 1e4)
            }
            _ => None,
        };
        if let Some(spread) = spread {
            self.feed.books().spread.record(spread);
        }
        self.turn(spread.is_none(), at);
    }

    /// The book is known to be wrong, as by a checksum of the venue that does not fit.
    pub fn invalid(&mut self, at: Moment) {
        self.turn(true, at);
    }

    fn turn(&mut self, is_invalid: bool, at: Moment) {
        if self.is_invalid != is_invalid {
            self.is_invalid = is_invalid;
            self.feed.book_changes(is_invalid, at);
        }
    }
}

/// A book that is no longer kept is not invalid any more.
impl Drop for Book {
    fn drop(&mut self) {
        if self.is_invalid {
            self.feed.book_changes(false, Moment::now());
        }
    }
}
