//! Limits, rules of the account, drawdown, and what the account made of it.

use crate::dashboard::{Dashboard, Row, Scope, bars, heatmap, lines, row, stat, table};

use super::of_accounts;

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "risk".to_owned(),
        title: "Risk and portfolio".to_owned(),
        description:
            "How far it is to the limits, which rules were touched, and what the book is worth."
                .to_owned(),
        scope: Scope::default(),
        rows: vec![
            glance(),
            limits(),
            margin(),
            rules(),
            book(),
            ratios(),
            trades().folded(),
            activity().folded(),
            conventions().folded(),
        ],
    }
}

fn glance() -> Row {
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
        stat("Rules broken, last hour", "Violations of the rules of cash accounts, intraday margin and day trading.")
            .ask(r#"sum(increase(risk_compliance_events_total{@, action="violated"}[1h]) or label_replace(increase(risk_pdt_events_total{@, action="violated"}[1h]), "rule", "day_trading", "", ""))"#, "")
            .above(1.0, 1.0)
            .act("CashAccountViolation, PatternDayTraderViolation"),
        stat("Refused events, last hour", "Events that the portfolio's ledger refused; the figures below leave them out.")
            .ask("sum(increase(portfolio_events_refused_total{@}[1h]))", "")
            .above(1.0, 10.0)
            .act("PerformanceEventsRefused"),
    ])
}

fn limits() -> Row {
    row("Limits", [
        table("Limits by use", "What is left of each limit, the least first; what it allows and what of it is used, in the limit's own unit: shares of equity for the four usual ones.")
            .ask("min by (#, account, limit) (risk_limit_headroom_ratio{@})", "left")
            .ask("max by (#, account, limit) (risk_limit_used{@})", "used")
            .ask("max by (#, account, limit) (risk_limit_allowed{@})", "allowed")
            .least("left"),
        lines("Headroom", "What is left of each limit.")
            .ask("min by (#, account, limit) (risk_limit_headroom_ratio{@})", "{{account}} {{limit}} {{instance}}")
            .below(0.25, 0.1)
            .act("RiskLimitNear, RiskLimitHit"),
    ])
}

fn margin() -> Row {
    row(
        "Margin and sizes",
        [
            lines(
                "Margin left",
                "Equity less maintenance margin, and the intraday deficits that are not satisfied.",
            )
            .ask(
                &of_accounts("risk_margin_excess"),
                "{{account}} {{currency}} left {{instance}}",
            )
            .ask(
                &of_accounts("risk_intraday_margin_deficit"),
                "{{account}} {{currency}} deficit {{instance}}",
            ),
            heatmap(
                "Position sizes",
                "How large positions are as a share of equity.",
            )
            .ask(
                "sum by (le) (service:risk_position_size_ratio_bucket:increase5m{@})",
                "{{le}}",
            ),
        ],
    )
}

fn rules() -> Row {
    row("Exits and rules", [
        lines("Exits", "Positions a second that a stop or a target ended.")
            .ask("sum by (trigger) (rate(risk_exits_total{@}[$__rate_interval]))", "{{trigger}}"),
        bars("Limit hits", "How often each limit held orders back within the time shown.")
            .ask("sum by (account, limit) (increase(risk_limit_hits_total{@}[$__range]))", "{{account}} {{limit}}"),
        table("Account rules", "What came of each rule within the time shown: those of cash accounts, and the day trading rule. What would have broken a rule and was kept back is blocked.")
            .ask(&rule_events("violated", "violated"), "violated")
            .ask(&rule_events("warned", "warned"), "warned")
            .ask(&rule_events("blocked", "avoided"), "blocked"),
    ])
}

/// What came of rules, each family by its own word for it. The day trading rule has a family of its own, without a label.
fn rule_events(action: &str, of_day_trades: &str) -> String {
    format!(
        r#"sum by (rule) (increase(risk_compliance_events_total{{@, action="{action}"}}[$__range]) or label_replace(increase(risk_pdt_events_total{{@, action="{of_day_trades}"}}[$__range]), "rule", "day_trading", "", ""))"#
    )
}

fn book() -> Row {
    row(
        "The book",
        [
            lines("Value", "What each account is worth.").ask(
                &of_accounts("portfolio_value"),
                "{{account}} {{currency}} {{instance}}",
            ),
            lines(
                "P/L and change of value",
                "What trading made in each period, and how the value changed, deposits and all.",
            )
            .ask(
                "max by (#, account, currency, period) (portfolio_pnl{@})",
                "{{account}} {{currency}} {{period}} {{instance}}",
            )
            .ask(
                "max by (#, account, currency, period) (portfolio_value_change{@})",
                "{{account}} {{currency}} {{period}} change {{instance}}",
            ),
            lines(
                "Drawdown over time",
                "How far each account is from its peak.",
            )
            .ask(
                "min by (#, account, currency) (portfolio_drawdown_ratio{@})",
                "{{account}} {{currency}} {{instance}}",
            )
            .below(-0.05, -0.15)
            .act("PortfolioDrawdownDeep"),
        ],
    )
}

fn ratios() -> Row {
    row("Statistics", [
        table("Ratios", "Every account in a row, that in the deepest drawdown first. What has not happened often enough to be known is a dash.")
            .ask(&of_accounts("portfolio_max_drawdown_ratio"), "deepest")
            .ask(&of_accounts("portfolio_drawdown_age_seconds"), "in drawdown for")
            .ask(&of_accounts("portfolio_sharpe_ratio"), "Sharpe")
            .ask(&of_accounts("portfolio_sortino_ratio"), "Sortino")
            .ask(&of_accounts("portfolio_calmar_ratio"), "Calmar")
            .ask(&of_accounts("portfolio_volatility_ratio"), "volatility")
            .ask(&of_accounts("portfolio_growth_ratio"), "growth a year")
            .ask(&of_accounts("portfolio_win_ratio"), "win ratio")
            .ask(&of_accounts("portfolio_profit_factor"), "profit factor")
            .ask(&of_accounts("portfolio_recovery_seconds"), "recovery")
            .least("deepest"),
    ])
}

fn trades() -> Row {
    row(
        "Trades",
        [table(
            "What a trade makes",
            "On average, of those that won and lost, at best and at worst.",
        )
        .ask(&of_accounts("portfolio_expectancy"), "expected")
        .ask(&of_accounts("portfolio_average_win"), "average win")
        .ask(&of_accounts("portfolio_average_loss"), "average loss")
        .ask(&of_accounts("portfolio_best_trade_pnl"), "best")
        .ask(&of_accounts("portfolio_worst_trade_pnl"), "worst")
        .least("expected")],
    )
}

fn activity() -> Row {
    row(
        "Activity",
        [
            table(
                "Streaks",
                "Wins and losses in a row: the present streak, and the longest.",
            )
            .ask(
                "max by (#, account, currency, result) (portfolio_streak_trades{@})",
                "now",
            )
            .ask(
                "max by (#, account, currency, result) (portfolio_longest_streak_trades{@})",
                "longest",
            ),
            table("Trades by period", "How many trades were closed.")
                .ask(&of_period("day"), "today")
                .ask(&of_period("week"), "this week")
                .ask(&of_period("month"), "this month"),
        ],
    )
}

/// The trades of a period.
fn of_period(period: &str) -> String {
    format!(r#"max by (#, account, currency) (portfolio_trades{{@, period="{period}"}})"#)
}

fn conventions() -> Row {
    row("Conventions", [
        table("How it is computed", "The basis of the ratios: they are worth comparing only where these agree.")
            .ask("max by (#, account, currency, basis, periods_per_year, risk_free_rate, calendar) (portfolio_statistics_info{@})", "in use")
            .hide("in use")
            .least("account"),
    ])
}
