//! What closed trades made.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::sum::Sum;
use super::{Money, Undefined};
use crate::seen::{Identity, Scope};

obs_core::label! {
    /// How a trade ended. One that broke even is neither.
    pub enum TradeResult as "result" {
        /// With a profit.
        Win = "win",
        /// With a loss.
        Loss = "loss",
    }
}

/// A trade that is closed: bought and sold, or sold and bought back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClosedTrade<'a> {
    /// When it was closed.
    pub at: Timestamp,
    /// What it made, after all costs; negative for a loss.
    pub pnl: Money,
    /// What tells it from other trades. With it, the trade is refused when it comes again while it is among the last
    /// [`REMEMBERED_TRADES`](super::REMEMBERED_TRADES) of the ledger.
    pub id: Option<&'a str>,
    /// How much money it moved: quantity × entry price. Needed where returns are taken [on it](super::Basis::PerNotional).
    pub notional: Option<Money>,
    scope: Scope,
    /// That of a book of positions, which makes no trade twice.
    number: Option<u64>,
}

impl<'a> ClosedTrade<'a> {
    /// A trade without an identifier: every time it is said, it counts.
    #[must_use]
    pub const fn new(at: Timestamp, pnl: Money) -> Self {
        Self {
            at,
            pnl,
            id: None,
            notional: None,
            scope: Scope::NONE,
            number: None,
        }
    }

    /// The same under the number that a book of positions gave it, by which it is found again and not known again: the book knows its
    /// fills.
    pub(crate) const fn numbered(mut self, number: u64) -> Self {
        self.number = Some(number);
        self
    }

    /// The same with the money it moved, above zero: quantity × entry price, and the contract's multiplier.
    #[must_use]
    pub const fn with_notional(mut self, notional: Money) -> Self {
        self.notional = Some(notional);
        self
    }

    /// The same with an identifier, such as that of the closing execution.
    #[must_use]
    pub const fn with_id(mut self, id: &'a str) -> Self {
        self.id = Some(id);
        self
    }

    /// The same, saying where its identifier comes from: another venue may give the same to another trade.
    ///
    /// ```
    /// use obs_trading::{ClosedTrade, Currency, Money, Side, jiff::Timestamp};
    ///
    /// let trade = ClosedTrade::new(Timestamp::now(), Money::new(250.0, Currency::USD))
    ///     .with_id("4711")
    ///     .at_venue("kraken")
    ///     .in_symbol("BTC/USD")
    ///     .on_side(Side::Sell);
    /// assert_eq!(trade.id, Some("4711"));
    /// ```
    #[must_use]
    pub fn at_venue(mut self, venue: &str) -> Self {
        self.scope = self.scope.venue(venue);
        self
    }

    /// The same, saying what was traded, where the venue's identifiers are unique within a symbol only.
    #[must_use]
    pub fn in_symbol(mut self, symbol: &str) -> Self {
        self.scope = self.scope.symbol(symbol);
        self
    }

    /// The same, saying whether its closing execution bought or sold, where both sides of a trade have one identifier.
    #[must_use]
    pub fn on_side(mut self, side: crate::Side) -> Self {
        self.scope = self.scope.side(side);
        self
    }

    /// The account is that of the ledger.
    pub(crate) fn identity(&self) -> Option<Identity> {
        match (self.id, self.number) {
            (Some(id), _) => Some(self.scope.identity(id)),
            (None, number) => number.map(Identity::of_trade),
        }
    }
}

/// What a trade is found by, to be voided: the text of its identifier, or the trade itself where its identifier is unique within a
/// venue, symbol or side only.
#[derive(Clone, Copy, Debug)]
pub struct TradeId<'a> {
    pub(crate) text: &'a str,
    pub(crate) identity: Option<Identity>,
}

impl<'a> From<&'a str> for TradeId<'a> {
    fn from(id: &'a str) -> Self {
        Self {
            text: id,
            identity: Some(Scope::NONE.identity(id)),
        }
    }
}

impl<'a> From<&ClosedTrade<'a>> for TradeId<'a> {
    fn from(trade: &ClosedTrade<'a>) -> Self {
        Self {
            text: trade.id.unwrap_or("without an identifier"),
            identity: trade.identity(),
        }
    }
}

/// What is kept of a stream of closed trades.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trades {
    count: u64,
    wins: Side,
    losses: Side,
    realized: Sum,
    best: Option<f64>,
    worst: Option<f64>,
}

/// The trades of one result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Side {
    count: u64,
    sum: Sum,
    streak: u64,
    longest_streak: u64,
}

impl Trades {
    /// A trade that made or lost less than a scratch broke even.
    pub(crate) fn push(&mut self, pnl: f64, scratch: f64) {
        self.count += 1;
        self.realized.add(pnl);
        let is_scratch = pnl.abs() < scratch;
        self.wins.push(pnl, pnl > 0.0 && !is_scratch);
        self.losses.push(pnl, pnl < 0.0 && !is_scratch);
        self.best = Some(self.best.map_or(pnl, |best| best.max(pnl)));
        self.worst = Some(self.worst.map_or(pnl, |worst| worst.min(pnl)));
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    pub(crate) const fn count_of(&self, result: TradeResult) -> u64 {
        self.side(result).count
    }

    pub(crate) fn realized(&self) -> f64 {
        self.realized.value()
    }

    pub(crate) fn expectancy(&self) -> Result<f64, Undefined> {
        if self.count == 0 {
            return Err(Undefined::NoTrades);
        }
        Ok(self.realized() / self.count as f64)
    }

    /// Adds the trades of a later day.
    pub(crate) fn append(&mut self, day: &DayOfTrades) {
        self.count += u64::from(day.count);
        self.realized.add(day.realized);
        self.wins.append(day.wins, day.won);
        self.losses.append(day.losses, day.lost);
        self.best = Some(self.best.map_or(day.best, |best| best.max(day.best)));
        self.worst = Some(self.worst.map_or(day.worst, |worst| worst.min(day.worst)));
    }

    pub(crate) fn win_ratio(&self) -> Result<f64, Undefined> {
        if self.count == 0 {
            return Err(Undefined::NoTrades);
        }
        Ok(self.wins.count as f64 / self.count as f64)
    }

    pub(crate) fn average_win(&self) -> Result<f64, Undefined> {
        self.wins.average().ok_or(self.without(Undefined::NoWins))
    }

    pub(crate) fn average_loss(&self) -> Result<f64, Undefined> {
        self.losses
            .average()
            .ok_or(self.without(Undefined::NoLosses))
    }

    pub(crate) fn profit_factor(&self) -> Result<f64, Undefined> {
        let (won, lost) = (self.wins.sum.value(), -self.losses.sum.value());
        // Losses too small to divide by are none: the quotient would be infinite.
        let factor = won / lost;
        if self.losses.count > 0 && factor.is_finite() {
            Ok(factor)
        } else {
            Err(self.without(Undefined::NoLosses))
        }
    }

    pub(crate) const fn streak(&self, result: TradeResult) -> u64 {
        self.side(result).streak
    }

    pub(crate) const fn longest_streak(&self, result: TradeResult) -> u64 {
        self.side(result).longest_streak
    }

    pub(crate) fn best(&self) -> Result<f64, Undefined> {
        self.best.ok_or(Undefined::NoTrades)
    }

    pub(crate) fn worst(&self) -> Result<f64, Undefined> {
        self.worst.ok_or(Undefined::NoTrades)
    }

    const fn side(&self, result: TradeResult) -> &Side {
        match result {
            TradeResult::Win => &self.wins,
            TradeResult::Loss => &self.losses,
        }
    }

    const fn without(&self, reason: Undefined) -> Undefined {
        if self.count == 0 {
            Undefined::NoTrades
        } else {
            reason
        }
    }
}

/// The trades of one day, of which windows are made. Their order is not kept, so that a window has no streaks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DayOfTrades {
    pub(crate) day: Date,
    count: u32,
    wins: u32,
    losses: u32,
    realized: f64,
    won: f64,
    lost: f64,
    best: f64,
    worst: f64,
}

impl DayOfTrades {
    pub(crate) const fn first(day: Date, pnl: f64, scratch: f64) -> Self {
        let none = Self {
            day,
            count: 0,
            wins: 0,
            losses: 0,
            realized: 0.0,
            won: 0.0,
            lost: 0.0,
            best: pnl,
            worst: pnl,
        };
        none.with(pnl, scratch)
    }

    pub(crate) const fn with(mut self, pnl: f64, scratch: f64) -> Self {
        self.count += 1;
        self.realized += pnl;
        self.best = self.best.max(pnl);
        self.worst = self.worst.min(pnl);
        if pnl.abs() >= scratch && pnl > 0.0 {
            self.wins += 1;
            self.won += pnl;
        } else if pnl.abs() >= scratch && pnl < 0.0 {
            self.losses += 1;
            self.lost += pnl;
        }
        self
    }
}

impl Side {
    fn append(&mut self, count: u32, sum: f64) {
        self.count += u64::from(count);
        self.sum.add(sum);
    }

    fn push(&mut self, pnl: f64, is_mine: bool) {
        if is_mine {
            self.count += 1;
            self.sum.add(pnl);
            self.streak += 1;
            self.longest_streak = self.longest_streak.max(self.streak);
        } else {
            self.streak = 0;
        }
    }

    fn average(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum.value() / self.count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::performance::random::Random;

    /// Ten million trades around 1e9, against sums in whole numbers, which are exact.
    #[test]
    fn ten_million_trades_around_a_billion() {
        let (mut random, mut trades) = (Random::new(2), Trades::default());
        let (mut won, mut lost, mut wins, mut losses) = (0_i128, 0_i128, 0_i64, 0_i64);
        for _ in 0..10_000_000 {
            let size = 999_999_000 + i64::try_from(random.below(2_001)).unwrap();
            if random.next() & 1 == 0 {
                (won, wins) = (won + i128::from(size), wins + 1);
                trades.push(size as f64, 1e-8);
            } else {
                (lost, losses) = (lost + i128::from(size), losses + 1);
                trades.push(-size as f64, 1e-8);
            }
        }
        let close =
            |ours: f64, exact: f64| assert!((ours / exact - 1.0).abs() < 1e-12, "{ours} {exact}");
        close(trades.realized(), (won - lost) as f64);
        close(trades.average_win().unwrap(), won as f64 / wins as f64);
        close(trades.average_loss().unwrap(), -lost as f64 / losses as f64);
        close(trades.profit_factor().unwrap(), won as f64 / lost as f64);
        close(trades.win_ratio().unwrap(), wins as f64 / 1e7);
    }
}
