//! Orders, by venue.

use crate::dashboard::{Dashboard, Row, Scope, bars, lines, row, stat, table};

use super::since;

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "trading".to_owned(),
        title: "Trading".to_owned(),
        description: "From the order to its end: how many, how they end, and what is refused."
            .to_owned(),
        scope: Scope::default(),
        rows: vec![glance(), orders(), refused(), waiting(), trades().folded()],
    }
}

fn glance() -> Row {
    row("Are we all right?", [
        stat("Orders open", "Orders that are neither filled nor ended otherwise. They should go back to a steady number.")
            .ask("sum(trading_orders_open{@})", ""),
        stat("Orders", "Orders sent to all venues within the time shown.")
            .ask("sum(increase(trading_orders_total{@}[$__range]))", ""),
        stat("Rejected", "The share of orders that venues rejected within the time shown.")
            .ask("sum(increase(trading_orders_rejected_total{@}[$__range])) / sum(increase(trading_orders_total{@}[$__range]))", "")
            .above(0.05, 0.2)
            .act("OrderRejectionSpike"),
        stat("Median slippage", "What half of the fills cost at most against the price decided on. Above 0 is to our disadvantage.")
            .ask("histogram_quantile(0.5, sum by (le) (rate(trading_slippage_bps_bucket{@}[$__range])))", "")
            .above(5.0, 15.0)
            .act("SlippageDrift"),
        stat("Time to fill", "19 of 20 orders are filled within this time.")
            .ask("histogram_quantile(0.95, sum by (le) (rate(trading_order_fill_duration_seconds_bucket{@}[$__range])))", ""),
        stat("Unaccounted, last hour", "What venues said within the last hour that does not fit our orders: of unknown ones, beyond their quantity, at prices that cannot be. Above 0, our books and the venue's may differ.")
            .ask(r#"sum(increase(trading_order_events_ignored_total{@, event=~"unknown_order|invalid_fill|overfill|missing_fill|invalid_order|from_future|forgotten_fill"}[1h]))"#, "")
            .above(1.0, 1.0)
            .act("OrderEventsUnaccounted"),
    ])
}

fn orders() -> Row {
    row("Orders", [
        lines("Orders by venue and type", "Orders a second.")
            .ask("sum by (venue, order_type) (rate(trading_orders_total{@}[$__rate_interval]))", "{{venue}} {{order_type}}"),
        lines("How orders end", "Orders a second that end, by how.")
            .ask("sum by (outcome) (rate(trading_orders_closed_total{@}[$__rate_interval]))", "{{outcome}}"),
        lines("Open orders", "Orders on their way, by venue. A rise without end means that endings are not recorded.")
            .ask("sum by (venue) (trading_orders_open{@})", "{{venue}}"),
    ])
}

fn refused() -> Row {
    row("What is refused", [
        bars("Rejected by venues", "Why venues rejected orders within the time shown.")
            .ask("topk(10, sum by (venue, reason) (increase(trading_orders_rejected_total{@}[$__range])) > 0)", "{{venue}} {{reason}}"),
        bars("Rejected by the desk", "Why trades were refused before they became orders.")
            .ask(r#"topk(10, sum by (reason) (increase(trading_trades_rejected_total{@, strategy=~"$strategy"}[$__range])) > 0)"#, "{{reason}}"),
        lines("Rejection ratio", "The share of orders that each venue rejects, over a quarter of an hour.")
            .ask("max by (venue) (venue:trading_orders_rejected:ratio_rate15m{@})", "{{venue}}")
            .above(0.05, 0.2)
            .act("OrderRejectionSpike"),
    ])
}

fn waiting() -> Row {
    row("What waits", [
        table("Oldest orders", "How long the oldest order without an answer has waited, and the oldest that is open; and how long the desk itself waits. A replay is left out, whose time is not that of the clock.")
            .ask(&since("min by (#, venue, state) (trading_order_oldest_timestamp_seconds{@})"), "oldest")
            .ask("max by (#, venue, state) (trading_order_patience_seconds{@})", "patience"),
        lines("Replaced and cancelled", "Answers of venues a second to what was asked of orders that are open.")
            .ask("sum by (venue, outcome) (rate(trading_order_replaces_total{@}[$__rate_interval]))", "{{venue}} replace {{outcome}}")
            .ask("sum by (venue, outcome) (rate(trading_order_cancels_total{@}[$__rate_interval]))", "{{venue}} cancel {{outcome}}"),
    ])
}

fn trades() -> Row {
    row("Trades", [
        bars("Most traded", "The ten symbols with the most trades within the time shown.")
            .ask(r#"topk(10, sum by (symbol) (increase(trading_trades_total{@, strategy=~"$strategy"}[$__range])) > 0)"#, "{{symbol}}"),
        lines("Trades by side", "Trades a second that strategies took.")
            .ask(r#"sum by (side) (rate(trading_trades_total{@, strategy=~"$strategy"}[$__rate_interval]))"#, "{{side}}"),
        lines("Orders for each trade", "Orders, replacements and cancellations by executions, over an hour.")
            .ask("max by (venue) (venue:trading_order_to_trade:ratio_rate1h{@})", "{{venue}}"),
    ])
}
