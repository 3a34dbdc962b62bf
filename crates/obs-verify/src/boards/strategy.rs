//! Strategies: what they see, decide and earn, and how long they take.

use crate::dashboard::{Dashboard, Row, Scope, heatmap, lines, row, stat, switches, table};

use super::of_strategies;

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "strategy".to_owned(),
        title: "Strategies".to_owned(),
        description:
            "What each strategy sees, decides and earns. Choose one, or compare all in the table."
                .to_owned(),
        scope: Scope::default(),
        rows: vec![
            glance(),
            performance(),
            money(),
            over_time(),
            decisions(),
            speed().folded(),
            utilization().folded(),
            streaks().folded(),
            conventions().folded(),
        ],
    }
}

fn glance() -> Row {
    row("Are we all right?", [
        stat("Active", "Strategies that are switched on.")
            .ask(r#"sum(trading_strategy_active{@, strategy=~"$strategy"})"#, "")
            .below(1.0, 1.0)
            .act("StrategySilent"),
        stat("Signals given", "Signals within the time shown, those to hold among them.")
            .ask(r#"sum(increase(trading_signals_total{@, strategy=~"$strategy"}[$__range]))"#, ""),
        stat("Least earned", "The strategy whose closed trades have earned the least, by currency.")
            .ask(r#"min by (currency) (trading_pnl_realized{@, strategy=~"$strategy"})"#, "{{currency}}"),
        stat("Deepest drawdown", "How far the strategy that is worst off is from its peak.")
            .ask(r#"min(trading_drawdown_ratio{@, strategy=~"$strategy"})"#, "")
            .below(-0.1, -0.2)
            .act("StrategyDrawdownDeep"),
        stat("Busiest", "The share of time that the busiest strategy computes. At 100 % it falls behind the market.")
            .ask(r#"max(strategy:trading_strategy_busy:ratio_rate5m{@, strategy=~"$strategy"})"#, "")
            .above(0.7, 0.9)
            .act("StrategySaturated"),
        stat("Refused events, last hour", "Events that the ledgers refused; the statistics below leave them out.")
            .ask(r#"sum(increase(trading_performance_events_refused_total{@, strategy=~"$strategy"}[1h]))"#, "")
            .above(1.0, 10.0)
            .act("PerformanceEventsRefused"),
    ])
}

fn performance() -> Row {
    row("Compared", [
        table("Performance", "Every strategy in a row, that in the deepest drawdown first. What has not happened often enough to be known is a dash.")
            .ask(&of_strategies("trading_drawdown_ratio"), "drawdown")
            .ask(&of_strategies("trading_drawdown_age_seconds"), "in drawdown for")
            .ask(&of_strategies("trading_max_drawdown_ratio"), "deepest")
            .ask(&of_strategies("trading_sharpe_ratio"), "Sharpe")
            .ask(&of_strategies("trading_sortino_ratio"), "Sortino")
            .ask(&of_strategies("trading_win_ratio"), "win ratio")
            .ask(&of_strategies("trading_profit_factor"), "profit factor")
            .ask(&of_strategies("trading_recovery_seconds"), "recovery")
            .least("drawdown"),
    ])
}

fn money() -> Row {
    row("Earned", [
        table("Money", "Every strategy in a row, by currency; that which lost the most today first.")
            .ask(&of_strategies("trading_equity"), "equity")
            .ask(r#"max by (#, account, strategy, currency) (trading_equity_change{@, strategy=~"$strategy", period="day"})"#, "today")
            .ask(&of_strategies("trading_pnl_unrealized"), "open P/L")
            .ask(&of_strategies("trading_pnl_realized"), "realized P/L")
            .ask(&of_strategies("trading_average_win"), "average win")
            .ask(&of_strategies("trading_average_loss"), "average loss")
            .ask(&of_strategies("trading_best_trade_pnl"), "best trade")
            .ask(&of_strategies("trading_worst_trade_pnl"), "worst trade")
            .least("today"),
    ])
}

fn over_time() -> Row {
    row(
        "Over time",
        [
            lines(
                "Realized P/L",
                "The ten strategies that have earned the most.",
            )
            .ask(
                &format!("topk(10, {})", of_strategies("trading_pnl_realized")),
                "{{account}} {{strategy}} {{currency}} {{instance}}",
            ),
            lines(
                "Drawdown",
                "The ten strategies that are furthest from their peaks.",
            )
            .ask(
                &format!("bottomk(10, {})", of_strategies("trading_drawdown_ratio")),
                "{{account}} {{strategy}} {{currency}} {{instance}}",
            )
            .below(-0.1, -0.2)
            .act("StrategyDrawdownDeep"),
            heatmap(
                "P/L of trades",
                "How the results of single trades spread, in each trade's own currency.",
            )
            .spread(r#"trading_trade_pnl{@, strategy=~"$strategy"}"#),
        ],
    )
}

fn decisions() -> Row {
    row("From signal to decision", [
        lines("Signals", "Signals a second, by kind.")
            .ask(r#"sum by (signal) (rate(trading_signals_total{@, strategy=~"$strategy"}[$__rate_interval]))"#, "{{signal}}"),
        lines("Decisions", "Decisions a second, by what was decided.")
            .ask(r#"sum by (decision) (rate(trading_decisions_total{@, strategy=~"$strategy"}[$__rate_interval]))"#, "{{decision}}"),
        heatmap("Confidence", "How sure the signals were.")
            .spread(r#"trading_signal_confidence_ratio{@, strategy=~"$strategy"}"#),
    ])
}

fn speed() -> Row {
    row("Speed", [
        lines("Signal generation", "19 of 20 signals are generated within this time; the ten slowest strategies.")
            .ask(r#"topk(10, histogram_quantile(0.95, sum by (strategy, le) (rate(trading_signal_generation_duration_seconds_bucket{@, strategy=~"$strategy"}[$__rate_interval]))))"#, "{{strategy}}"),
        lines("Decision", "19 of 20 decisions come within this time of their signal; the ten slowest strategies.")
            .ask(r#"topk(10, histogram_quantile(0.95, sum by (strategy, le) (rate(trading_decision_duration_seconds_bucket{@, strategy=~"$strategy"}[$__rate_interval]))))"#, "{{strategy}}"),
        lines("One run", "19 of 20 runs of a strategy end within this time; the ten slowest strategies.")
            .ask(r#"topk(10, histogram_quantile(0.95, sum by (strategy, le) (rate(trading_strategy_duration_seconds_bucket{@, strategy=~"$strategy"}[$__rate_interval]))))"#, "{{strategy}}"),
    ])
}

fn utilization() -> Row {
    row("Utilization", [
        switches("Switched on", "When each strategy was active.")
            .ask(r#"max by (strategy) (trading_strategy_active{@, strategy=~"$strategy"})"#, "{{strategy}}")
            .quiet("off", "on"),
        lines("Busy", "The share of time that the ten busiest strategies compute.")
            .ask(r#"topk(10, max by (strategy) (strategy:trading_strategy_busy:ratio_rate5m{@, strategy=~"$strategy"}))"#, "{{strategy}}")
            .above(0.7, 0.9)
            .act("StrategySaturated"),
    ])
}

fn streaks() -> Row {
    row("Streaks", [
        table("Streaks", "Wins and losses in a row: the present streak, and the longest.")
            .ask(r#"max by (#, account, strategy, currency, result) (trading_streak_trades{@, strategy=~"$strategy"})"#, "now")
            .ask(r#"max by (#, account, strategy, currency, result) (trading_longest_streak_trades{@, strategy=~"$strategy"})"#, "longest"),
    ])
}

fn conventions() -> Row {
    row("Conventions", [
        table("How it is computed", "The basis of the ratios: they are worth comparing only where these agree.")
            .ask(r#"max by (#, account, strategy, currency, basis, periods_per_year, risk_free_rate, calendar) (trading_statistics_info{@, strategy=~"$strategy"})"#, "in use")
            .hide("in use")
            .least("strategy"),
    ])
}
