//! The one that hangs on the wall.

use obs_verify::dashboard::{Dashboard, Scope, lines, row, stat, switches, table};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "main".to_owned(),
        title: "Main".to_owned(),
        description: "Whether everything is all right, and where to look if it is not.".to_owned(),
        scope: Scope::default(),
        rows: vec![
            row("Are we all right?", [
                stat("Critical alerts", "Alerts that want somebody now. The red marks in the panels below say which.")
                    .ask(r#"count(ALERTS{alertstate="firing", severity="critical"}) or vector(0)"#, "")
                    .above(1.0, 1.0)
                    .act("each alert named in the table of firing alerts has a section of its own."),
                stat("Warnings", "Alerts that want somebody today.")
                    .ask(r#"count(ALERTS{alertstate="firing", severity="warning"}) or vector(0)"#, "")
                    .above(1.0, 10.0)
                    .act("as for critical alerts, within the day."),
                stat("Processes up", "The share of the processes that answer a scrape.")
                    .ask(r#"avg(up{service=~"$service"})"#, "")
                    .below(1.0, 0.99)
                    .act("DeskDown, TargetDown"),
                stat("Portfolio value", "All accounts together, one figure a currency.")
                    .ask("sum by (currency) (portfolio_value{@})", "{{currency}}"),
                stat("P/L today", "What all accounts have made since the day began.")
                    .ask(r#"sum by (currency) (portfolio_pnl{@, period="day"})"#, "{{currency}}")
                    .below(0.0, -10_000.0)
                    .act("DailyLossNearLimit"),
                stat("Deepest drawdown", "How far the account that is worst off is from its peak.")
                    .ask("min(portfolio_drawdown_ratio{@})", "")
                    .below(-0.05, -0.15)
                    .act("PortfolioDrawdownDeep"),
                stat("Tightest limit", "What is left of the risk limit that is nearest; at 0 it holds orders back.")
                    .ask("min(risk_limit_headroom_ratio{@})", "")
                    .below(0.25, 0.1)
                    .act("RiskLimitNear, RiskLimitHit"),
                stat("Failed requests", "The share of API requests that the server is to blame for, over an hour. 0.1 % are allowed.")
                    .ask("max(objective:api_error_budget:failed_ratio1h{@})", "")
                    .above(0.001, 0.0144)
                    .act("ApiErrorBudgetBurnFast, ApiErrorBudgetBurnSlow"),
            ]),
            row("Trading", [
                lines("Orders", "Orders a second, by venue.")
                    .ask("sum by (venue) (rate(trading_orders_total{@}[$__rate_interval]))", "{{venue}}"),
                lines("Signals of the busiest strategies", "Signals a second of the ten strategies that give the most.")
                    .ask("topk(10, sum by (strategy) (rate(trading_signals_total{@}[$__rate_interval])))", "{{strategy}}"),
                lines("Value of the portfolio", "Accounts over time.")
                    .ask("sum by (account, currency) (portfolio_value{@})", "{{account}} {{currency}}"),
            ]),
            row("What it stands on", [
                switches("Markets", "When each market was in a regular session, by the desk's own calendar.")
                    .ask("max by (venue) (market_session_open{@})", "{{venue}}"),
                table("Sessions", "Until each market opens and closes next, and until the days end that its exchange has published: after those the calendar is a guess. In a backtest the replay's time is not that of the clock.")
                    .ask("min by (service, venue) (market_next_open_timestamp_seconds{@}) - time()", "opens in")
                    .ask("min by (service, venue) (market_next_close_timestamp_seconds{@}) - time()", "closes in")
                    .ask("min by (service, venue) (market_calendar_end_timestamp_seconds{@}) - time()", "calendar ends in"),
                switches("Providers", "When each provider was taken to be available.")
                    .ask("min by (provider) (provider_up{@})", "{{provider}}"),
                lines("Errors", "Errors a second, by component.")
                    .ask("topk(10, sum by (component) (rate(errors_total{@}[$__rate_interval])))", "{{component}}"),
            ]),
            row("What runs", [
                table("Versions", "Every process, what it was built from, and for how long it has run.")
                    .ask("max by (service, mode, instance, name, version, rust_version, git_commit) (app_info{@})", "is there")
                    .ask("max by (service, mode, instance) (app_uptime_seconds{@})", "uptime"),
                table("Firing alerts", "Every alert that fires, most severe first.")
                    .ask(r#"count by (severity, alertname, service) (ALERTS{alertstate="firing", alertname!="Watchdog"})"#, "alerts"),
            ]),
        ],
    }
}
