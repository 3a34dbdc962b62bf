//! The risk check: the last word before an order goes out.
//!
//! Limits are shares of equity. Only purchases can break them; a sale makes every one of them easier to
//! keep, so it is refused only when there is not enough to sell.
//!
//! The limits are `obs_trading`'s: they give the verdict here, and count and show themselves. So do the rules of cash
//! accounts, which the check follows with every fill.

use jiff::civil::Date;
use obs_core::Closed;
use obs_trading::{
    CashAccount, CashRule, Currency, DayTradeRule, DayTrades, Error, IntradayMargin,
    IntradayMarginRule, Money, RejectReason, Risk, limit,
};

use crate::calendar::TradingDays;
use crate::order::{Fill, Order, Side};
use crate::strategy::StrategyId;

/// How far the account may go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The most that may be in one symbol, over all strategies, as a share of equity.
    pub position: f64,
    /// The most that may be in all symbols together, as a share of equity.
    pub gross: f64,
    /// The loss since the close before at which the day's purchases end, as a share of equity.
    pub daily_loss: f64,
    /// The loss from the highest close of a year at which purchases end, as a share of that close.
    pub drawdown: f64,
}

/// The account as the risk check sees it. Orders that are still open count as if they were filled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exposure {
    /// Cash and positions at the last close, in US dollars.
    pub equity: f64,
    /// Cash that no open order needs, in US dollars.
    pub free_cash: f64,
    /// Value of the symbol in question, in US dollars.
    pub symbol_value: f64,
    /// Value of all symbols, in US dollars.
    pub gross_value: f64,
    /// Change of equity since the close before, as a share of it.
    pub day_return: f64,
    /// Distance to the highest equity of a year, as a share of it; 0 or below.
    pub drawdown: f64,
    /// Units of the symbol that the strategy has and does not sell yet.
    pub sellable: u32,
}

/// What an account at its close uses of the limits. Money in US dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UseOfLimits {
    /// Cash and positions.
    pub equity: f64,
    /// The value of the symbol of which there is most.
    pub largest_position: f64,
    /// The value of all symbols.
    pub gross_value: f64,
    /// Change of equity since the close before, as a share of it.
    pub day_return: f64,
    /// Distance to the highest equity of a year, as a share of it; 0 or below.
    pub drawdown: f64,
}

/// An order before it is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proposal {
    /// Buy or sell.
    pub side: Side,
    /// How many units.
    pub quantity: u32,
    /// What a unit is expected to cost, in US dollars.
    pub price: f64,
}

/// A rule, and the figures that break it.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("refused by {reason}: {value:.4} where the limit is {limit:.4}")]
pub struct Refusal {
    /// The rule, as the reason that is counted.
    pub reason: RejectReason,
    /// What the account would come to: units for `invalid_quantity`, US dollars for `insufficient_funds` and `compliance`, a
    /// share of equity for the others.
    pub value: f64,
    /// The most it may come to, in the same unit; of units the least, where the order is for none.
    pub limit: f64,
}

impl Refusal {
    /// An order for no units.
    pub const NO_QUANTITY: Self = Self {
        reason: RejectReason::InvalidQuantity,
        value: 0.0,
        limit: 1.0,
    };
}

/// Days from a trade to its settlement, in the years of the bundled bars: three until 4 September 2017, then two. The
/// longer one is the safe side.
const SETTLEMENT_DAYS: u32 = 3;

/// Holds proposals against limits.
#[derive(Debug)]
pub struct RiskCheck {
    limits: Limits,
    measured: obs_trading::Limits,
    risk: Risk,
    /// What has settled. A market that never closes settles at once, and has no such rules.
    cash: Option<CashAccount>,
    margin: MarginStandIn,
}

/// What the rules of margin accounts would say: a stand-in, since the desk's own account is paid in cash. It follows the same fills as if
/// they were made in two margin accounts, one whose broker applies the intraday margin standard and one whose broker still counts day
/// trades.
#[derive(Debug)]
struct MarginStandIn {
    days: TradingDays,
    rule: IntradayMarginRule,
    intraday: IntradayMargin,
    day_trades: DayTrades,
}

impl MarginStandIn {
    fn new(risk: &Risk, days: &TradingDays) -> Self {
        let rule = IntradayMarginRule::default();
        let calendar = days.calendar();
        Self {
            days: days.clone(),
            rule,
            intraday: IntradayMargin::new(risk, "margin", Currency::USD, rule, calendar.clone()),
            day_trades: DayTrades::new(risk, "day-trades", DayTradeRule::default(), calendar),
        }
    }

    fn close(&mut self, day: Date, equity: f64, gross_value: f64) -> Result<(), Error> {
        let maintenance = usd(gross_value * self.rule.long);
        let close = self.days.close(day);
        self.intraday.observe(close, usd(equity), maintenance)
    }

    fn filled(&mut self, order: &Order, fill: Fill, on: Date) -> Result<(), Error> {
        let (symbol, quantity) = (order.symbol.as_str(), f64::from(order.quantity));
        let (side, held) = match order.side {
            Side::Buy => (obs_trading::Side::Buy, 0.0),
            Side::Sell => (obs_trading::Side::Sell, quantity),
        };
        let change = self
            .rule
            .change(held, side, quantity, fill.price, fill.commission);
        self.intraday.transact(self.days.open(on), usd(change))?;
        self.day_trades.fill(symbol, side, quantity, on).map(drop)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            position: 0.40,
            gross: 0.70,
            daily_loss: 0.02,
            drawdown: 0.10,
        }
    }
}

impl RiskCheck {
    /// A check of these limits, for an account that begins with this much cash. Fails where a limit is no share.
    pub fn new(limits: Limits, cash: f64, days: &TradingDays) -> Result<Self, Error> {
        let risk = Risk::new();
        for strategy in StrategyId::ALL {
            risk.register(strategy.as_str());
        }
        // The rule on pattern day trading is for margin accounts.
        risk.day_trades_remaining("main", None);
        let measured = obs_trading::Limits::new(&risk, "main")
            .daily_loss(limits.daily_loss)?
            .drawdown(limits.drawdown)?
            .max_position(limits.position)?
            .exposure(limits.gross)?;
        let rule = CashRule {
            settlement_days: SETTLEMENT_DAYS,
            ..CashRule::default()
        };
        let mut account = days
            .settlement()
            .map(|days| CashAccount::new(&risk, Currency::USD, rule, days));
        if let Some(account) = &mut account {
            account.deposit(usd(cash), Date::MIN)?;
        }
        let margin = MarginStandIn::new(&risk, days);
        Ok(Self {
            limits,
            measured,
            risk,
            cash: account,
            margin,
        })
    }

    /// The verbs for what is not a limit: position sizes, exits.
    #[must_use]
    pub fn risk(&self) -> &Risk {
        &self.risk
    }

    /// The account as it is at the close: moves the headroom of every limit. What is over a limit then is counted by it;
    /// the next purchase is what it stops.
    pub fn observe(&mut self, account: &UseOfLimits) {
        let share = |value: f64| value / account.equity;
        for (name, used) in [
            (limit::DAILY_LOSS, (-account.day_return).max(0.0)),
            (limit::DRAWDOWN, (-account.drawdown).max(0.0)),
            (limit::MAX_POSITION, share(account.largest_position)),
            (limit::EXPOSURE, share(account.gross_value)),
        ] {
            // The verdict is for code that acts on it; here the next purchase asks again.
            let _ = self.measured.observe(name, used);
        }
    }

    /// An order was filled: its cash is on its way. Fails where the account does not hold what was sold, which the check
    /// rules out.
    pub fn filled(&mut self, order: &Order, fill: Fill, on: Date) -> Result<(), Error> {
        self.margin.filled(order, fill, on)?;
        let Some(account) = &mut self.cash else {
            return Ok(());
        };
        let (symbol, quantity) = (order.symbol.as_str(), f64::from(order.quantity));
        let value = quantity * fill.price;
        match order.side {
            Side::Buy => account
                .buy(symbol, quantity, usd(value + fill.commission), on)
                .map(drop),
            Side::Sell => account
                .sell(symbol, quantity, usd(value - fill.commission), on)
                .map(drop),
        }
    }

    /// A day is over: what the rules of margin accounts would say of it.
    pub fn close(&mut self, day: Date, account: &UseOfLimits) -> Result<(), Error> {
        self.margin.close(day, account.equity, account.gross_value)
    }

    /// The limits it holds to.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Refuses with the first rule that `proposal` would break.
    pub fn check(&self, proposal: Proposal, exposure: &Exposure, on: Date) -> Result<(), Refusal> {
        match proposal.side {
            Side::Sell => within(
                RejectReason::InvalidQuantity,
                f64::from(proposal.quantity),
                f64::from(exposure.sellable),
            ),
            Side::Buy => self.check_purchase(proposal, exposure, on),
        }
    }

    fn check_purchase(
        &self,
        proposal: Proposal,
        exposure: &Exposure,
        on: Date,
    ) -> Result<(), Refusal> {
        let cost = f64::from(proposal.quantity) * proposal.price;
        let share = |value: f64| value / exposure.equity;
        // Cash comes first where there is no equity to take shares of.
        if exposure.equity <= 0.0 {
            return within(
                RejectReason::InsufficientFunds,
                cost,
                exposure.free_cash.min(0.0),
            );
        }
        self.limit(RejectReason::DailyLossLimit, -exposure.day_return)?;
        self.limit(RejectReason::DrawdownLimit, -exposure.drawdown)?;
        self.limit(
            RejectReason::PositionLimit,
            share(exposure.symbol_value + cost),
        )?;
        self.limit(
            RejectReason::ExposureLimit,
            share(exposure.gross_value + cost),
        )?;
        within(RejectReason::InsufficientFunds, cost, exposure.free_cash)?;
        self.check_settlement(cost, on)
    }

    /// The verdict of a limit. A loss limit is not used by a gain.
    fn limit(&self, reason: RejectReason, used: f64) -> Result<(), Refusal> {
        let name = match reason {
            RejectReason::DailyLossLimit => limit::DAILY_LOSS,
            RejectReason::DrawdownLimit => limit::DRAWDOWN,
            RejectReason::PositionLimit => limit::MAX_POSITION,
            _ => limit::EXPOSURE,
        };
        // Not `f64::max`, which would make 0 of what is not a number.
        let used = if used < 0.0 { 0.0 } else { used };
        let refuse = |hit: obs_trading::LimitHit| Refusal {
            reason,
            value: hit.used,
            limit: hit.allowed,
        };
        self.measured.check(name, used).map_err(refuse)
    }

    fn check_settlement(&self, cost: f64, on: Date) -> Result<(), Refusal> {
        let Some(account) = &self.cash else {
            return Ok(());
        };
        let refuse = |_| Refusal {
            reason: RejectReason::Compliance,
            value: cost,
            limit: account.settled(on).amount(),
        };
        account.check_buy(usd(cost), on).map(drop).map_err(refuse)
    }
}

/// Rounded to the cent, as the broker books it.
fn usd(amount: f64) -> Money {
    Money::new((amount * 100.0).round() / 100.0, Currency::USD)
}

fn within(reason: RejectReason, value: f64, limit: f64) -> Result<(), Refusal> {
    // Not `value > limit`: a figure that is not a number must not pass.
    if value <= limit {
        Ok(())
    } else {
        Err(Refusal {
            reason,
            value,
            limit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        position: 0.35,
        gross: 0.8,
        daily_loss: 0.02,
        drawdown: 0.15,
    };

    const CALM: Exposure = Exposure {
        equity: 1000.0,
        free_cash: 1000.0,
        symbol_value: 0.0,
        gross_value: 0.0,
        day_return: 0.0,
        drawdown: 0.0,
        sellable: 10,
    };

    const TODAY: Date = jiff::civil::date(2020, 1, 2);

    fn risk_check() -> RiskCheck {
        RiskCheck::new(LIMITS, 1000.0, &TradingDays::of(&[TODAY].into())).unwrap()
    }

    fn check(side: Side, quantity: u32, exposure: Exposure) -> Option<RejectReason> {
        let proposal = Proposal {
            side,
            quantity,
            price: 1.0,
        };
        let refusal = risk_check().check(proposal, &exposure, TODAY).err();
        refusal.map(|refusal| refusal.reason)
    }

    #[test]
    fn agrees_up_to_the_limit() {
        assert_eq!(check(Side::Buy, 350, CALM), None);
        assert_eq!(check(Side::Sell, 10, CALM), None);
    }

    #[test]
    fn each_rule_refuses() {
        use RejectReason as R;
        let buy = |exposure| check(Side::Buy, 100, exposure);
        for (reason, refused) in [
            (R::InvalidQuantity, check(Side::Sell, 11, CALM)),
            (
                R::DailyLossLimit,
                buy(Exposure {
                    day_return: -0.021,
                    ..CALM
                }),
            ),
            (
                R::DrawdownLimit,
                buy(Exposure {
                    drawdown: -0.16,
                    ..CALM
                }),
            ),
            (R::PositionLimit, check(Side::Buy, 351, CALM)),
            (
                R::PositionLimit,
                buy(Exposure {
                    symbol_value: 300.0,
                    ..CALM
                }),
            ),
            (
                R::ExposureLimit,
                buy(Exposure {
                    gross_value: 750.0,
                    ..CALM
                }),
            ),
            (
                R::InsufficientFunds,
                buy(Exposure {
                    free_cash: 99.0,
                    ..CALM
                }),
            ),
            (
                R::InsufficientFunds,
                buy(Exposure {
                    equity: -5.0,
                    free_cash: -5.0,
                    ..CALM
                }),
            ),
            (
                R::DailyLossLimit,
                buy(Exposure {
                    day_return: f64::NAN,
                    ..CALM
                }),
            ),
        ] {
            assert_eq!(refused, Some(reason));
        }
    }

    #[test]
    fn losses_do_not_stand_in_the_way_of_a_sale() {
        let bad = Exposure {
            day_return: -0.5,
            drawdown: -0.9,
            free_cash: -10.0,
            ..CALM
        };
        assert_eq!(check(Side::Sell, 5, bad), None);
    }

    #[test]
    fn a_refusal_says_by_how_much() {
        let proposal = Proposal {
            side: Side::Buy,
            quantity: 400,
            price: 1.0,
        };
        let refusal = risk_check().check(proposal, &CALM, TODAY).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "refused by position_limit: 0.4000 where the limit is 0.3500"
        );
    }
}
