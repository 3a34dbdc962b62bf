//! Limits, rules of the account, drawdown.

use obs_verify::dashboard::{Dashboard, Row, Scope, bars, heatmap, lines, row, stat, table};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "risk".to_owned(),
        title: "Risk and portfolio".to_owned(),
        description:
            "How far it is to the limits, which rules were touched, and what the book is worth."
                .to_owned(),
        scope: Scope::default(),
        rows: limits()
            .into_iter()
            .chain(book())
            .chain(figures())
            .collect(),
    }
}

/// How far it is to the limits, and which rules were touched.
fn limits() -> Vec<Row> {
    vec![
        row("Are we all right?", [
            stat("Tightest limit", "What is left of the limit that is nearest; at 0 it holds orders back.")
                .ask("min(risk_limit_headroom_ratio{@})", "")
                .below(0.25, 0.1)
                .act("RiskLimitNear, RiskLimitHit"),
            stat("Daily loss left", "What is left of the daily loss limit.")
                .ask(r#"min(risk_limit_headroom_ratio{@, limit="daily_loss"})"#, "")
                .below(0.5, 0.25)
                .act("DailyLossNearLimit"),
            stat("Drawdown now", "How far the account that is worst off is from its peak.")
                .ask("min(portfolio_drawdown_ratio{@})", "")
                .below(-0.05, -0.15)
                .act("PortfolioDrawdownDeep"),
            stat("Day trades left", "Of the account that has the fewest.")
                .ask("min(risk_day_trades_remaining{@})", "")
                .below(2.0, 1.0)
                .act("DayTradesExhausted"),
            stat("Rules broken", "Violations of the rules of cash accounts, intraday margin and day trading within the time shown.")
                .ask(r#"sum(increase(risk_compliance_events_total{@, action="violated"}[$__range])) + sum(increase(risk_pdt_events_total{@, action="violated"}[$__range]))"#, "")
                .above(1.0, 1.0)
                .act("CashAccountViolation, PatternDayTraderViolation"),
            stat("Refused events", "Events that the portfolio's ledger refused within the time shown; the figures below leave them out.")
                .ask("sum(increase(portfolio_events_refused_total{@}[$__range]))", "")
                .above(1.0, 10.0)
                .act("PerformanceEventsRefused"),
        ]),
        row("Limits", [
            lines("Headroom", "What is left of each limit.")
                .ask("min by (account, limit) (risk_limit_headroom_ratio{@})", "{{account}} {{limit}}")
                .below(0.25, 0.1)
                .act("RiskLimitNear, RiskLimitHit"),
            bars("Limit hits", "How often each limit held orders back within the time shown.")
                .ask("sum by (account, limit) (increase(risk_limit_hits_total{@}[$__range]))", "{{account}} {{limit}}"),
            heatmap("Position sizes", "How large positions are as a share of equity.")
                .ask("sum by (le) (service:risk_position_size_ratio_bucket:increase5m{@})", "{{le}}"),
        ]),
        row("Use of limits", [
            table("Used and allowed", "What each limit allows and what of it is used, in the limit's own unit: shares of equity for the four usual ones.")
                .ask("max by (account, limit) (risk_limit_used{@})", "used")
                .ask("max by (account, limit) (risk_limit_allowed{@})", "allowed"),
        ]),
        row("Exits and rules", [
            lines("Exits", "Positions a second that a stop or a target ended.")
                .ask("sum by (trigger) (rate(risk_exits_total{@}[$__rate_interval]))", "{{trigger}}"),
            bars("Cash account rules", "What came of each rule within the time shown.")
                .ask("sum by (rule, action) (increase(risk_compliance_events_total{@}[$__range]))", "{{rule}} {{action}}"),
            lines("Margin left", "Equity less maintenance margin, and the intraday deficits that are not satisfied.")
                .ask("min by (account, currency) (risk_margin_excess{@})", "{{account}} {{currency}} left")
                .ask("max by (account, currency) (risk_intraday_margin_deficit{@})", "{{account}} {{currency}} deficit"),
            bars("Day trading rule", "What came of the rule within the time shown.")
                .ask("sum by (action) (increase(risk_pdt_events_total{@}[$__range]))", "{{action}}"),
        ]),
    ]
}

/// What the book is worth, and why.
fn book() -> Vec<Row> {
    vec![
        row("The book", [
            lines("Value", "What each account is worth.")
                .ask("sum by (account, currency) (portfolio_value{@})", "{{account}} {{currency}}"),
            lines("P/L and change of value by period", "What trading made, and how the value changed, deposits and all.")
                .ask("sum by (account, currency, period) (portfolio_pnl{@})", "{{account}} {{currency}} {{period}}")
                .ask("sum by (account, currency, period) (portfolio_value_change{@})", "{{account}} {{currency}} {{period}} change"),
            lines("Drawdown over time", "How far each account is from its peak.")
                .ask("min by (account, currency) (portfolio_drawdown_ratio{@})", "{{account}} {{currency}}")
                .below(-0.05, -0.15)
                .act("PortfolioDrawdownDeep"),
        ]),
        row("What made the profit and loss", [
            table("Bridge", "Profit and loss by what made it. The parts add up to the change of value; the residual is what they leave unexplained.")
                .ask("sum by (account, currency, component, period) (portfolio_pnl_component{@})", "P/L"),
            table("Bridge by strategy", "The same since the beginning; what belongs to no strategy is unallocated.")
                .ask("sum by (account, strategy, currency, component) (trading_pnl_component{@})", "P/L"),
            lines("Unexplained", "What the stated value changed by beyond the parts.")
                .ask(r#"sum by (account, currency, period) (portfolio_pnl_component{@, component="residual"})"#, "{{account}} {{currency}} {{period}}"),
        ]),
        row("Does the broker agree?", [
            lines("Open breaks", "Differences from the last statement, by what differs.")
                .ask("sum by (account, what) (portfolio_reconciliation_open_breaks{@})", "{{account}} {{what}}")
                .above(1.0, 1.0)
                .act("ReconciliationBreaksOpen"),
            table("Differences", "Ours against the broker's, in money.")
                .ask("sum by (account, currency, what) (portfolio_reconciliation_difference{@})", "difference"),
            lines("Last statement", "When the broker's statement was last compared.")
                .ask("max by (account) (portfolio_reconciliation_timestamp_seconds{@})", "{{account}}"),
        ]),
        row("Positions", [
            lines("Exposure", "Market value of all positions.")
                .ask("sum by (account, currency, kind) (portfolio_exposure{@})", "{{account}} {{currency}} {{kind}}"),
            lines("Leverage", "Gross exposure by the account's value.")
                .ask("max by (account, currency) (portfolio_leverage_ratio{@})", "{{account}} {{currency}}"),
            lines("Concentration", "The largest symbol's share of gross exposure.")
                .ask("max by (account, currency) (portfolio_concentration_ratio{@})", "{{account}} {{currency}}"),
            lines("Turnover", "What was bought and sold by the account's value.")
                .ask("max by (account, currency, period) (portfolio_turnover_ratio{@})", "{{account}} {{currency}} {{period}}"),
        ]),
        row("Cash and holdings", [
            lines("Cash", "Settled and unsettled.")
                .ask("sum by (account, currency, state) (portfolio_cash{@})", "{{account}} {{currency}} {{state}}"),
            table("Held", "Units of each symbol; short is negative. The smallest are shown together, as other.")
                .ask("sum by (account, strategy, symbol) (position_quantity{@})", "units")
                .ask("min by (account, strategy, symbol) (position_liquidation_distance_ratio{@})", "to liquidation"),
            table("Worth", "Market value and open profit and loss.")
                .ask("sum by (account, strategy, symbol, currency) (position_value{@})", "value")
                .ask("sum by (account, strategy, symbol, currency) (position_unrealized_pnl{@})", "open P/L"),
            lines("Rates missing", "Events a second that had no exchange rate when they came, or one that was too old.")
                .ask("sum by (account, currency) (rate(portfolio_rates_missing_total{@}[$__rate_interval]))", "{{account}} {{currency}}"),
        ]),
    ]
}

/// What it made of that.
fn figures() -> Vec<Row> {
    vec![
        row("Statistics", [
            table("Ratios", "Every account in a row. What has not happened often enough to be known is empty.")
                .ask("sum by (account, currency) (portfolio_win_ratio{@})", "win ratio")
                .ask("sum by (account, currency) (portfolio_profit_factor{@})", "profit factor")
                .ask("sum by (account, currency) (portfolio_sharpe_ratio{@})", "Sharpe")
                .ask("sum by (account, currency) (portfolio_sortino_ratio{@})", "Sortino")
                .ask("sum by (account, currency) (portfolio_volatility_ratio{@})", "volatility")
                .ask("sum by (account, currency) (portfolio_growth_ratio{@})", "growth a year")
                .ask("sum by (account, currency) (portfolio_calmar_ratio{@})", "Calmar")
                .ask("sum by (account, currency) (portfolio_max_drawdown_ratio{@})", "max drawdown")
                .ask("sum by (account, currency) (portfolio_recovery_seconds{@})", "longest recovery")
                .ask("sum by (account, currency) (portfolio_drawdown_age_seconds{@})", "in drawdown for"),
            table("Trades", "What a trade makes: on average, of those that won and lost, at best and at worst.")
                .ask("sum by (account, currency) (portfolio_expectancy{@})", "expected")
                .ask("sum by (account, currency) (portfolio_average_win{@})", "average win")
                .ask("sum by (account, currency) (portfolio_average_loss{@})", "average loss")
                .ask("sum by (account, currency) (portfolio_best_trade_pnl{@})", "best")
                .ask("sum by (account, currency) (portfolio_worst_trade_pnl{@})", "worst"),
        ]),
        row("Activity", [
            table("Streaks", "Wins and losses in a row: the present streak, and the longest.")
                .ask("sum by (account, currency, result) (portfolio_streak_trades{@})", "now")
                .ask("sum by (account, currency, result) (portfolio_longest_streak_trades{@})", "longest"),
            table("Trades by period", "How many trades were closed.")
                .ask("sum by (account, currency, period) (portfolio_trades{@})", "trades"),
            table("How it is computed", "The basis of the ratios: they are worth comparing only where these agree.")
                .ask("max by (account, currency, basis, periods_per_year, risk_free_rate, calendar) (portfolio_statistics_info{@})", "in use"),
        ]),
    ]
}
