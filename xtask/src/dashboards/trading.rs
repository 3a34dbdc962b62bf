//! Orders and fills, by venue.

use obs_verify::dashboard::{Dashboard, Scope, bars, heatmap, lines, row, stat};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "trading".to_owned(),
        title: "Trading".to_owned(),
        description: "From the order to the fill: how many, how fast, at what cost, and what is refused.".to_owned(),
        scope: Scope::default(),
        rows: vec![
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
                stat("Events not accounted for", "What venues said that does not fit our orders: of unknown ones, beyond their quantity, at prices that cannot be. Above 0, our books and the venue's may differ.")
                    .ask(r#"sum(increase(trading_order_events_ignored_total{@, event=~"unknown_order|invalid_fill|overfill|missing_fill|invalid_order|from_future|forgotten_fill"}[$__range]))"#, "")
                    .above(1.0, 1.0)
                    .act("OrderEventsUnaccounted"),
            ]),
            row("Orders", [
                lines("Orders by venue and type", "Orders a second.")
                    .ask("sum by (venue, order_type) (rate(trading_orders_total{@}[$__rate_interval]))", "{{venue}} {{order_type}}"),
                lines("How orders end", "Orders a second that end, by how.")
                    .ask("sum by (outcome) (rate(trading_orders_closed_total{@}[$__rate_interval]))", "{{outcome}}"),
                lines("Open orders", "Orders on their way, by venue. A rise without end means that endings are not told.")
                    .ask("sum by (venue) (trading_orders_open{@})", "{{venue}}"),
            ]),
            row("What is refused", [
                bars("Rejected by venues", "Why venues rejected orders within the time shown.")
                    .ask("topk(10, sum by (venue, reason) (increase(trading_orders_rejected_total{@}[$__range])) > 0)", "{{venue}} {{reason}}"),
                bars("Rejected by the desk", "Why trades were refused before they became orders.")
                    .ask(r#"topk(10, sum by (reason) (increase(trading_trades_rejected_total{@, strategy=~"$strategy"}[$__range])) > 0)"#, "{{reason}}"),
                lines("Rejection ratio", "The share of orders that each venue rejects, over a quarter of an hour.")
                    .ask("venue:trading_orders_rejected:ratio_rate15m{@}", "{{venue}}")
                    .above(0.05, 0.2)
                    .act("OrderRejectionSpike"),
            ]),
            row("Fills", [
                heatmap("Slippage of fills", "How slippage spreads. Above 0 is to our disadvantage; a band that climbs is a cost that grows.")
                    .ask("sum by (le) (increase(trading_slippage_bps_bucket{@}[$__rate_interval]))", "{{le}}"),
                lines("Slippage by venue", "The median over an hour.")
                    .ask("venue:trading_slippage_bps:p50_1h{@}", "{{venue}}")
                    .above(5.0, 15.0)
                    .act("SlippageDrift"),
                lines("Fill time by venue", "Half and 19 of 20 orders are filled within these times, over an hour.")
                    .ask("venue:trading_order_fill_duration_seconds:p50_1h{@}", "{{venue}} median")
                    .ask("venue:trading_order_fill_duration_seconds:p95_1h{@}", "{{venue}} 95 %"),
            ]),
            row("What executions cost", [
                lines("Slippage by strategy", "What slippage cost by the money executed, over an hour. Above 0 is to our disadvantage.")
                    .ask(r#"strategy:trading_slippage_cost:bps_rate1h{@, strategy=~"$strategy"}"#, "{{strategy}} {{currency}}")
                    .above(5.0, 15.0)
                    .act("SlippageDrift"),
                bars("Shortfall by part", "What orders cost against the price decided on within the time shown, less what they gained.")
                    .ask(r#"sum by (component, currency) (increase(trading_shortfall_cost_total{@, strategy=~"$strategy", direction="adverse"}[$__range])) - sum by (component, currency) (increase(trading_shortfall_cost_total{@, strategy=~"$strategy", direction="favourable"}[$__range]))"#, "{{component}} {{currency}}"),
                bars("Fees", "Fees paid within the time shown, and rebates, which came back.")
                    .ask(r#"sum by (kind, currency) (increase(trading_fees_total{@, strategy=~"$strategy"}[$__range])) > 0"#, "{{kind}} {{currency}}"),
            ]),
            row("After the fill", [
                lines("Where the price went", "The median of the price after a fill against the fill, by how long after. Below 0, others knew more.")
                    .ask(r#"histogram_quantile(0.5, sum by (horizon, le) (rate(trading_markout_bps_bucket{@, strategy=~"$strategy"}[$__range])))"#, "{{horizon}}"),
                lines("Orders for each trade", "Orders, replacements and cancellations by executions, over an hour.")
                    .ask("venue:trading_order_to_trade:ratio_rate1h{@}", "{{venue}}"),
                lines("Fills by liquidity", "Executions a second, by whose order waited.")
                    .ask("sum by (liquidity) (rate(trading_fills_total{@}[$__rate_interval]))", "{{liquidity}}"),
            ]),
            row("Trades", [
                bars("Most traded", "The ten symbols with the most trades within the time shown.")
                    .ask(r#"topk(10, sum by (symbol) (increase(trading_trades_total{@, strategy=~"$strategy"}[$__range])) > 0)"#, "{{symbol}}"),
                lines("Trades by side", "Trades a second that strategies took.")
                    .ask(r#"sum by (side) (rate(trading_trades_total{@, strategy=~"$strategy"}[$__rate_interval]))"#, "{{side}}"),
                lines("Where the time goes", "The mean time of each stage from the signal to the fill.")
                    .ask(r#"sum by (stage) (rate(trading_order_stage_duration_seconds_sum{@, strategy=~"$strategy"}[$__rate_interval])) / sum by (stage) (rate(trading_order_stage_duration_seconds_count{@, strategy=~"$strategy"}[$__rate_interval]))"#, "{{stage}}"),
            ]),
        ],
    }
}
