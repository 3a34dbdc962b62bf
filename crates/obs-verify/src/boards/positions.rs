//! What is held, what made the profit and loss, and whether the broker agrees.

use crate::dashboard::{Dashboard, Row, Scope, lines, row, stat, table};

use super::{of_accounts, since};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "positions".to_owned(),
        title: "Positions".to_owned(),
        description: "What is held and how exposed that is, what made the profit and loss, and whether the broker agrees.".to_owned(),
        scope: Scope::default(),
        rows: vec![glance(), held(), exposure(), bridge(), by_strategy(), broker()],
    }
}

fn glance() -> Row {
    row("Are we all right?", [
        stat("Open breaks", "Differences from the broker's last statement, of the account with the most of a kind.")
            .ask("max(portfolio_reconciliation_open_breaks{@})", "")
            .above(1.0, 1.0)
            .act("ReconciliationBreaksOpen"),
        stat("Unexplained today", "What the stated value changed by beyond the parts of the bridge, of the account where that is most.")
            .ask(r#"max by (currency) (abs(portfolio_pnl_component{@, component="residual", period="day"}))"#, "{{currency}}"),
        stat("Highest leverage", "Gross exposure by the account's value, where it is highest.")
            .ask("max(portfolio_leverage_ratio{@})", ""),
        stat("Most concentrated", "The largest symbol's share of gross exposure, where it is largest.")
            .ask("max(portfolio_concentration_ratio{@})", ""),
        stat("Nearest liquidation", "How far the price of the position that is nearest may go against it.")
            .ask(r#"min(position_liquidation_distance_ratio{@, strategy=~"$strategy"})"#, ""),
        stat("Rates missing, last hour", "Events that had no exchange rate when they came, or one that was too old.")
            .ask("sum(increase(portfolio_rates_missing_total{@}[1h]))", ""),
    ])
}

fn held() -> Row {
    row("Positions", [
        table("Held", "Every position, the most valuable first; short is negative. The smallest are shown together, as other.")
            .ask(r#"max by (#, account, strategy, symbol, currency) (position_value{@, strategy=~"$strategy"})"#, "value")
            .ask(r#"max by (#, account, strategy, symbol, currency) (position_unrealized_pnl{@, strategy=~"$strategy"})"#, "open P/L")
            .ask(r#"max by (#, account, strategy, symbol) (position_quantity{@, strategy=~"$strategy"})"#, "units")
            .ask(r#"min by (#, account, strategy, symbol) (position_liquidation_distance_ratio{@, strategy=~"$strategy"})"#, "to liquidation"),
    ])
}

fn exposure() -> Row {
    row("Exposure", [
        lines("Exposure by kind", "Market value of all positions: added up whatever their side, long, short, and long less short.")
            .ask("max by (#, account, currency, kind) (portfolio_exposure{@})", "{{account}} {{currency}} {{kind}} {{instance}}"),
        lines("Leverage and concentration", "Gross exposure by the account's value, and the largest symbol's share of it.")
            .ask(&of_accounts("portfolio_leverage_ratio"), "{{account}} {{currency}} leverage {{instance}}")
            .ask(&of_accounts("portfolio_concentration_ratio"), "{{account}} {{currency}} largest {{instance}}"),
        lines("Turnover", "What was bought and sold by the account's value.")
            .ask("max by (#, account, currency, period) (portfolio_turnover_ratio{@})", "{{account}} {{currency}} {{period}} {{instance}}"),
        lines("Cash", "Settled and unsettled.")
            .ask("max by (#, account, currency, state) (portfolio_cash{@})", "{{account}} {{currency}} {{state}} {{instance}}"),
    ])
}

/// A part of the bridge in a row, a period in a column.
fn of_period(period: &str) -> String {
    format!(
        r#"max by (#, account, currency, component) (portfolio_pnl_component{{@, period="{period}"}})"#
    )
}

fn bridge() -> Row {
    row("What made the profit and loss", [
        table("Bridge", "Profit and loss by what made it. The parts add up to the change of value; the residual is what they leave unexplained.")
            .ask(&of_period("day"), "today")
            .ask(&of_period("month"), "this month")
            .ask(&of_period("total"), "in total")
            .most("in total"),
        lines("Unexplained", "What the stated value changed by beyond the parts.")
            .ask(r#"max by (#, account, currency, period) (portfolio_pnl_component{@, component="residual"})"#, "{{account}} {{currency}} {{period}} {{instance}}"),
    ])
}

/// What one thing made of each strategy's profit and loss.
fn made_by(component: &str) -> String {
    format!(
        r#"max by (#, account, strategy, currency) (trading_pnl_component{{@, strategy=~"$strategy|unallocated", component="{component}"}})"#
    )
}

fn by_strategy() -> Row {
    row("The same by strategy", [
        table("Bridge by strategy", "Since the beginning; what belongs to no strategy is unallocated, so that the rows add up to the account.")
            .ask(&made_by("trading"), "trading")
            .ask(&made_by("fees"), "fees")
            .ask(&made_by("funding"), "funding")
            .ask(&made_by("borrow"), "borrow")
            .ask(&made_by("dividends"), "dividends")
            .ask(&made_by("interest"), "interest")
            .ask(&made_by("fx"), "fx")
            .ask(&made_by("residual"), "residual"),
    ])
}

fn broker() -> Row {
    row("Does the broker agree?", [
        table("Breaks", "Differences from the last statement that are open, and how long ago that was. The time of a replay is left out: it is not that of the clock.")
            .ask("max by (#, account, what) (portfolio_reconciliation_open_breaks{@})", "open")
            .ask(&since("max by (#, account) (portfolio_reconciliation_timestamp_seconds{@})"), "last statement"),
        table("Differences", "Ours against the broker's, in money.")
            .ask("max by (#, account, currency, what) (portfolio_reconciliation_difference{@})", "difference"),
    ])
}
