//! Strategies: what they see, decide and earn, and how long they take.

use obs_verify::dashboard::{Dashboard, Scope, heatmap, lines, row, stat, switches, table};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "strategy".to_owned(),
        title: "Strategies".to_owned(),
        description: "What each strategy sees, decides and earns. Choose one, or compare all in the table.".to_owned(),
        scope: Scope::default(),
        rows: vec![
            row("Are we all right?", [
                stat("Active", "Strategies that are switched on.")
                    .ask(r#"sum(trading_strategy_active{@, strategy=~"$strategy"})"#, "")
                    .below(1.0, 1.0)
                    .act("StrategySilent"),
                stat("Signals given", "Signals within the time shown, those to hold among them.")
                    .ask(r#"sum(increase(trading_signals_total{@, strategy=~"$strategy"}[$__range]))"#, ""),
                stat("Realized P/L", "What closed trades have earned, by currency.")
                    .ask(r#"sum by (currency) (trading_pnl_realized{@, strategy=~"$strategy"})"#, "{{currency}}")
                    .below(0.0, -10_000.0)
                    .act("StrategyDrawdownDeep"),
                stat("Deepest drawdown", "How far the strategy that is worst off is from its peak.")
                    .ask(r#"min(trading_drawdown_ratio{@, strategy=~"$strategy"})"#, "")
                    .below(-0.1, -0.2)
                    .act("StrategyDrawdownDeep"),
                stat("Busiest", "The share of time that the busiest strategy computes. At 100 % it falls behind the market.")
                    .ask(r#"max(strategy:trading_strategy_busy:ratio_rate5m{@, strategy=~"$strategy"})"#, "")
                    .above(0.7, 0.9)
                    .act("StrategySaturated"),
                stat("Refused events", "Events the ledgers refused within the time shown; the statistics below leave them out.")
                    .ask(r#"sum(increase(trading_performance_events_refused_total{@, strategy=~"$strategy"}[$__range]))"#, "")
                    .above(1.0, 10.0)
                    .act("PerformanceEventsRefused"),
            ]),
            row("Compared", [
                table("Performance", "Every strategy in a row. What has not happened often enough to be known is empty.")
                    .ask(r#"sum by (account, strategy, currency) (trading_win_ratio{@, strategy=~"$strategy"})"#, "win ratio")
                    .ask(r#"sum by (account, strategy, currency) (trading_profit_factor{@, strategy=~"$strategy"})"#, "profit factor")
                    .ask(r#"sum by (account, strategy, currency) (trading_sharpe_ratio{@, strategy=~"$strategy"})"#, "Sharpe")
                    .ask(r#"sum by (account, strategy, currency) (trading_sortino_ratio{@, strategy=~"$strategy"})"#, "Sortino")
                    .ask(r#"sum by (account, strategy, currency) (trading_max_drawdown_ratio{@, strategy=~"$strategy"})"#, "max drawdown")
                    .ask(r#"sum by (account, strategy, currency) (trading_drawdown_age_seconds{@, strategy=~"$strategy"})"#, "in drawdown for")
                    .ask(r#"sum by (account, strategy, currency) (trading_recovery_seconds{@, strategy=~"$strategy"})"#, "longest recovery"),
                table("Money", "Every strategy in a row, by currency.")
                    .ask(r#"sum by (account, strategy, currency) (trading_equity{@, strategy=~"$strategy"})"#, "equity")
                    .ask(r#"sum by (account, strategy, currency) (trading_equity_change{@, strategy=~"$strategy", period="day"})"#, "today")
                    .ask(r#"sum by (account, strategy, currency) (trading_pnl_unrealized{@, strategy=~"$strategy"})"#, "open P/L")
                    .ask(r#"sum by (account, strategy, currency) (trading_pnl_realized{@, strategy=~"$strategy"})"#, "realized P/L")
                    .ask(r#"sum by (account, strategy, currency) (trading_average_win{@, strategy=~"$strategy"})"#, "average win")
                    .ask(r#"sum by (account, strategy, currency) (trading_average_loss{@, strategy=~"$strategy"})"#, "average loss")
                    .ask(r#"sum by (account, strategy, currency) (trading_best_trade_pnl{@, strategy=~"$strategy"})"#, "best trade")
                    .ask(r#"sum by (account, strategy, currency) (trading_worst_trade_pnl{@, strategy=~"$strategy"})"#, "worst trade"),
            ]),
            row("Streaks and conventions", [
                table("Streaks", "Wins and losses in a row: the present streak, and the longest.")
                    .ask(r#"sum by (account, strategy, currency, result) (trading_streak_trades{@, strategy=~"$strategy"})"#, "now")
                    .ask(r#"sum by (account, strategy, currency, result) (trading_longest_streak_trades{@, strategy=~"$strategy"})"#, "longest"),
                table("How it is computed", "The basis of the ratios: they are worth comparing only where these agree.")
                    .ask(r#"max by (account, strategy, currency, basis, periods_per_year, risk_free_rate, calendar) (trading_statistics_info{@, strategy=~"$strategy"})"#, "in use"),
            ]),
            row("Over time", [
                lines("Realized P/L over time", "The ten strategies that have earned the most.")
                    .ask(r#"topk(10, sum by (account, strategy, currency) (trading_pnl_realized{@, strategy=~"$strategy"}))"#, "{{account}} {{strategy}} {{currency}}"),
                lines("Drawdown", "The ten strategies that are furthest from their peaks.")
                    .ask(r#"bottomk(10, sum by (account, strategy, currency) (trading_drawdown_ratio{@, strategy=~"$strategy"}))"#, "{{account}} {{strategy}} {{currency}}")
                    .below(-0.1, -0.2)
                    .act("StrategyDrawdownDeep"),
                heatmap("P/L of trades", "How the results of single trades spread.")
                    .ask(r#"sum by (le) (increase(trading_trade_pnl_bucket{@, strategy=~"$strategy"}[$__rate_interval]))"#, "{{le}}"),
            ]),
            row("From signal to decision", [
                lines("Signals", "Signals a second, by kind.")
                    .ask(r#"sum by (signal) (rate(trading_signals_total{@, strategy=~"$strategy"}[$__rate_interval]))"#, "{{signal}}"),
                lines("Decisions", "Decisions a second, by what was decided.")
                    .ask(r#"sum by (decision) (rate(trading_decisions_total{@, strategy=~"$strategy"}[$__rate_interval]))"#, "{{decision}}"),
                heatmap("Confidence", "How sure the signals were.")
                    .ask(r#"sum by (le) (increase(trading_signal_confidence_ratio_bucket{@, strategy=~"$strategy"}[$__rate_interval]))"#, "{{le}}"),
            ]),
            row("Speed", [
                lines("Signal generation", "19 of 20 signals are generated within this time; the ten slowest strategies.")
                    .ask(r#"topk(10, histogram_quantile(0.95, sum by (strategy, le) (rate(trading_signal_generation_duration_seconds_bucket{@, strategy=~"$strategy"}[$__rate_interval]))))"#, "{{strategy}}"),
                lines("Decision", "19 of 20 decisions come within this time of their signal; the ten slowest strategies.")
                    .ask(r#"topk(10, histogram_quantile(0.95, sum by (strategy, le) (rate(trading_decision_duration_seconds_bucket{@, strategy=~"$strategy"}[$__rate_interval]))))"#, "{{strategy}}"),
                lines("One run", "19 of 20 runs of a strategy end within this time; the ten slowest strategies.")
                    .ask(r#"topk(10, histogram_quantile(0.95, sum by (strategy, le) (rate(trading_strategy_duration_seconds_bucket{@, strategy=~"$strategy"}[$__rate_interval]))))"#, "{{strategy}}"),
                lines("Signal to execution", "19 of 20 executions come within this time of their signal, over an hour; the ten slowest strategies.")
                    .ask(r#"topk(10, strategy:trading_execution_duration_seconds:p95_1h{@, strategy=~"$strategy"})"#, "{{strategy}}"),
            ]),
            row("Utilization", [
                switches("Switched on", "When each strategy was active.")
                    .ask(r#"max by (strategy) (trading_strategy_active{@, strategy=~"$strategy"})"#, "{{strategy}}"),
                lines("Busy", "The share of time that the ten busiest strategies compute.")
                    .ask(r#"topk(10, strategy:trading_strategy_busy:ratio_rate5m{@, strategy=~"$strategy"})"#, "{{strategy}}")
                    .above(0.7, 0.9)
                    .act("StrategySaturated"),
            ]),
        ],
    }
}
