//! The account as the broker states it: a ledger of its own, marked once a day, of which the desk shows the month, the quarter and the
//! year.
//!
//! Statements are not always right, nor on time. Here they are by a script, so that a reader sees what to do about it:
//!
//! | what happens | when | what is called |
//! |---|---|---|
//! | a deposit is in the equity before the bank reports it | every [`DEPOSIT_DAYS`] days | `mark_with_flows`; the bank's report has no effect then |
//! | an equity with its point in the wrong place | every [`GLITCH_DAYS`] days | `void_mark` the next day, and the right figure for the same moment |
//! | a trade's P/L before its fees, which follow | orders that end in 3 | `correct_trade` |
//! | a trade that is reported twice, under two numbers | orders that end in 7 | `void_trade` |
//!
//! What is left at the end is what right statements would have left. The deposits are a stand-in: the desk trades with what it began with.

use jiff::Timestamp;
use obs_trading::{
    ClosedTrade, Conventions, Currency, Error, Ledger, Money, Statistics, Transfer, Window,
};

use crate::order::OrderId;

/// Days from one deposit to the next: about a year.
pub const DEPOSIT_DAYS: u32 = 250;

/// Days from one glitch to the next.
pub const GLITCH_DAYS: u32 = 97;

/// What a deposit brings, in US dollars.
const DEPOSIT: i64 = 10_000;

/// What the broker's statements say.
#[derive(Debug)]
pub struct Statements {
    ledger: Ledger,
    days: u32,
    paid_in: Money,
    /// The deposit that the bank has not reported, when it came.
    unreported: Option<Timestamp>,
    /// The statement that was wrong, and what is right.
    wrong: Option<(Timestamp, Money)>,
}

impl Statements {
    /// Statements of an account that begins with this much.
    pub fn new(conventions: Conventions, starting_equity: Money) -> Result<Self, Error> {
        Ok(Self {
            ledger: Ledger::new(conventions, starting_equity)?,
            days: 0,
            paid_in: Money::zero(Currency::USD),
            unreported: None,
            wrong: None,
        })
    }

    /// A day's statement: what cash and positions are worth at the close, and what was paid in.
    pub fn day(&mut self, close: Timestamp, value: Money) -> Result<(), Error> {
        self.days += 1;
        self.put_right()?;
        if self.days.is_multiple_of(DEPOSIT_DAYS) {
            self.paid_in = plus(self.paid_in, Money::new(DEPOSIT, Currency::USD));
            let stated = plus(value, self.paid_in);
            self.unreported = Some(close);
            let id = self.wire();
            return self
                .ledger
                .mark_with_flows(close, stated, &[deposit(close, &id)]);
        }
        let stated = plus(value, self.paid_in);
        if self.days.is_multiple_of(GLITCH_DAYS) {
            self.wrong = Some((close, stated));
            let glitch = Money::new(stated.amount() / 10.0, Currency::USD);
            return self.ledger.mark_equity(close, glitch);
        }
        self.ledger.mark_equity(close, stated)
    }

    /// A trade was closed by this order.
    pub fn trade(
        &mut self,
        order: OrderId,
        at: Timestamp,
        pnl: f64,
        fee: f64,
    ) -> Result<(), Error> {
        let id = format!("order-{order}");
        let right = ClosedTrade::new(at, usd(pnl)).with_id(&id);
        match order % 10 {
            3 => {
                let before_fees = ClosedTrade::new(at, usd(pnl + fee)).with_id(&id);
                self.ledger.trade_closed(&before_fees)?;
                self.ledger.correct_trade(&right)
            }
            7 => {
                self.ledger.trade_closed(&right)?;
                let twin = format!("{id}-again");
                let twin = ClosedTrade::new(at, usd(pnl)).with_id(&twin);
                self.ledger.trade_closed(&twin)?;
                self.ledger.void_trade(&twin)
            }
            _ => self.ledger.trade_closed(&right),
        }
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What the ledger made in each of the windows that the desk shows, by their names.
    #[must_use]
    pub fn windows(&self) -> Vec<(&'static str, Statistics)> {
        let over = |window| self.ledger.over(window);
        vec![
            ("month", over(Window::MONTH)),
            ("quarter", over(Window::QUARTER)),
            ("year to date", over(Window::YEAR)),
            ("last 63 days", over(Window::last_returns(63))),
            ("last 5 years", over(Window::last_returns(5 * 252))),
            (
                "their months",
                over(Window::last_returns(5 * 252)).by_month(),
            ),
        ]
    }

    /// Takes back what was wrong the day before, and hears from the bank.
    fn put_right(&mut self) -> Result<(), Error> {
        if let Some((at, right)) = self.wrong.take() {
            self.ledger.void_mark(at)?;
            self.ledger.mark_equity(at, right)?;
        }
        if let Some(at) = self.unreported.take() {
            let id = format!("wire-{}", self.days - 1);
            self.ledger.take_transfer(&deposit(at, &id))?;
        }
        Ok(())
    }

    fn wire(&self) -> String {
        format!("wire-{}", self.days)
    }
}

fn deposit(at: Timestamp, id: &str) -> Transfer<'_> {
    Transfer::new(at, Money::new(DEPOSIT, Currency::USD)).with_id(id)
}

fn plus(one: Money, other: Money) -> Money {
    one.plus(other).unwrap_or(one)
}

fn usd(amount: f64) -> Money {
    Money::new(amount, Currency::USD)
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use jiff::tz::TimeZone;
    use obs_trading::{Basis, Calendar, Period, PeriodsPerYear, TradeResult, Valuation};

    use super::*;

    /// Whatever the statements said first: the ledger is that of right ones.
    #[test]
    fn what_was_put_right_leaves_no_trace() {
        let conventions = Conventions::new(
            Basis::PeriodReturns,
            Valuation::Marks,
            PeriodsPerYear::EVERY_DAY,
            Calendar::every_day(TimeZone::UTC),
        )
        .unwrap();
        let mut ours = Statements::new(conventions.clone(), usd(1_000_000.0)).unwrap();
        let mut right = Ledger::new(conventions, usd(1_000_000.0)).unwrap();
        let noon: Timestamp = "2020-01-01T12:00:00Z".parse().unwrap();
        let mut value = 1_000_000.0;
        let mut paid_in = 0.0;
        for day in 1..=600_u32 {
            let at = noon + (24 * i64::from(day)).hours();
            let pnl = f64::from(day % 11) * 100.0 - 450.0;
            value += pnl;
            ours.trade(day, at, pnl, 1.0).unwrap();
            right.trade_closed(&ClosedTrade::new(at, usd(pnl))).unwrap();
            ours.day(at, usd(value)).unwrap();
            right.mark_equity(at, usd(value + paid_in)).unwrap();
            if day % DEPOSIT_DAYS == 0 {
                paid_in += 10_000.0;
                right.transfer(at, usd(10_000.0)).unwrap();
            }
        }
        let ledger = ours.ledger();
        let figures = |ledger: &Ledger| {
            let year = ledger.over(Window::YEAR);
            [
                Ok(ledger.equity()),
                Ok(ledger.max_drawdown_ratio()),
                ledger.sharpe_ratio(),
                ledger.growth_ratio(),
                Ok(ledger.realized_pnl(Period::Total)),
                ledger.profit_factor(),
                year.sharpe_ratio(),
                year.equity_change(),
                year.max_drawdown_ratio(),
            ]
            .map(Result::unwrap)
        };
        for (ours, right) in figures(ledger).into_iter().zip(figures(&right)) {
            assert!((ours / right - 1.0).abs() < 1e-9, "{ours} is not {right}");
        }
        assert_eq!(ledger.trades(Period::Total), 600);
        let wins = TradeResult::Win;
        assert_eq!(ledger.trades_of(wins), right.trades_of(wins));
        assert_eq!(ours.windows().len(), 6);
    }
}
