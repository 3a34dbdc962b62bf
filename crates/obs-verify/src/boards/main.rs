//! The one that hangs on the wall.

use crate::dashboard::{Dashboard, Row, Scope, lines, row, stat, switches, table};

use super::{of_accounts, until};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "main".to_owned(),
        title: "Main".to_owned(),
        description: "Whether everything is all right, and where to look if it is not.".to_owned(),
        scope: Scope::default(),
        rows: vec![
            glance(),
            alerts(),
            accounts(),
            trading(),
            surroundings(),
            processes(),
        ],
    }
}

fn glance() -> Row {
    row("Are we all right?", [
        stat("Critical alerts", "Alerts that want somebody now. The red marks in the panels below say which.")
            .ask(r#"count(ALERTS{alertstate="firing", severity="critical", @?}) or vector(0)"#, "")
            .above(1.0, 1.0)
            .act("each alert named in the table of firing alerts has a section of its own."),
        stat("Warnings", "Alerts that want somebody today.")
            .ask(r#"count(ALERTS{alertstate="firing", severity="warning", @?}) or vector(0)"#, "")
            .above(1.0, 10.0)
            .act("as for critical alerts, within the day."),
        stat("Processes up", "The share of the processes that answer a scrape.")
            .ask("avg(up{@})", "")
            .below(1.0, 0.99)
            .act("DeskDown, TargetDown"),
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
    ])
}

fn alerts() -> Row {
    row("What fires", [
        table("Firing alerts", "Every alert that fires, most severe first.")
            .ask(r#"count by (severity, alertname, service, environment, mode) (ALERTS{alertstate="firing", alertname!="Watchdog", @?})"#, "alerts")
            .least("severity"),
    ])
}

fn accounts() -> Row {
    row("Accounts", [
        table("Accounts", "What each account is worth, as its desk says, what it has made, and how far it is from its peak; the deepest first.")
            .ask(&of_accounts("portfolio_value"), "value")
            .ask(r#"max by (#, account, currency) (portfolio_pnl{@, period="day"})"#, "P/L today")
            .ask(&of_accounts("portfolio_drawdown_ratio"), "drawdown")
            .least("drawdown"),
        lines("Value of the portfolio", "Accounts over time.")
            .ask(&of_accounts("portfolio_value"), "{{account}} {{currency}} {{instance}}"),
    ])
}

fn trading() -> Row {
    row(
        "Trading",
        [
            lines("Orders", "Orders a second, by venue.").ask(
                "sum by (venue) (rate(trading_orders_total{@}[$__rate_interval]))",
                "{{venue}}",
            ),
            lines(
                "Signals of the busiest strategies",
                "Signals a second of the ten strategies that give the most.",
            )
            .ask(
                "topk(10, sum by (strategy) (rate(trading_signals_total{@}[$__rate_interval])))",
                "{{strategy}}",
            ),
            lines("Errors", "Errors a second, by component.").ask(
                "topk(10, sum by (component) (rate(errors_total{@}[$__rate_interval])))",
                "{{component}}",
            ),
        ],
    )
}

fn surroundings() -> Row {
    row("What it stands on", [
        switches("Markets", "When each market was in a regular session, by the desk's own calendar.")
            .ask("max by (venue) (market_session_open{@})", "{{venue}}")
            .quiet("closed", "open"),
        table("Sessions", "Until each market opens and closes next, and until the days end that its exchange has published: after those the calendar is a guess. A replay is left out, whose time is not that of the clock.")
            .ask(&until("min by (#, venue) (market_next_open_timestamp_seconds{@})"), "opens in")
            .ask(&until("min by (#, venue) (market_next_close_timestamp_seconds{@})"), "closes in")
            .ask(&until("min by (#, venue) (market_calendar_end_timestamp_seconds{@})"), "calendar left")
            .least("opens in"),
        switches("Providers", "When each provider was taken to be available.")
            .ask("min by (provider) (provider_up{@})", "{{provider}}"),
    ])
}

fn processes() -> Row {
    row(
        "What runs",
        [table(
            "Versions",
            "Every process, what it was built from, and for how long it has run.",
        )
        .ask(
            "max by (#, name, version, rust_version, git_commit) (app_info{@})",
            "is there",
        )
        .ask("max by (#) (app_uptime_seconds{@})", "uptime")
        .hide("is there")
        .least("uptime")],
    )
}
