//! What executions cost, and where the time goes from the tick to the fill.

use crate::dashboard::{Dashboard, Row, Scope, bars, heatmap, lines, row, stat, table};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "execution".to_owned(),
        title: "Execution".to_owned(),
        description: "What executions cost against the price decided on, where prices went after them, and where the time goes from the tick to the fill.".to_owned(),
        scope: Scope::default(),
        rows: vec![glance(), shortfall(), after(), time(), costs(), fills().folded()],
    }
}

fn glance() -> Row {
    row("Are we all right?", [
        stat("Slippage by money", "What slippage cost by the money executed, of the strategy where it cost most, over an hour. Above 0 is to our disadvantage.")
            .ask(r#"max(strategy:trading_slippage_cost:bps_rate1h{@, strategy=~"$strategy"})"#, "")
            .above(5.0, 15.0)
            .act("SlippageDrift"),
        stat("Tick to order", "19 of 20 orders are handed to the venue within this time of the event that caused them.")
            .ask(r#"histogram_quantile(0.95, sum by (le) (rate(trading_tick_to_order_duration_seconds_bucket{@, strategy=~"$strategy"}[$__range])))"#, ""),
        stat("Order to fill", "19 of 20 orders are filled within this time.")
            .ask("histogram_quantile(0.95, sum by (le) (rate(trading_order_fill_duration_seconds_bucket{@}[$__range])))", ""),
        stat("Makers", "The share of executions within the time shown in which our order waited.")
            .ask(r#"sum(increase(trading_fills_total{@, liquidity="maker"}[$__range])) / sum(increase(trading_fills_total{@}[$__range]))"#, ""),
    ])
}

fn shortfall() -> Row {
    row("Implementation shortfall", [
        table("Shortfall by strategy", "What orders cost against the price decided on within the time shown, less what they gained, by part.")
            .ask(&cost("delay"), "delay")
            .ask(&cost("execution"), "execution")
            .ask(&cost("opportunity"), "opportunity")
            .ask(&cost("fees"), "fees")
            .most("execution"),
        lines("Shortfall of the median order", "The median of each part, by the price decided on.")
            .ask(r#"histogram_quantile(0.5, sum by (component, le) (rate(trading_shortfall_bps_bucket{@, strategy=~"$strategy"}[$__rate_interval])))"#, "{{component}}"),
    ])
}

fn costs() -> Row {
    row("Slippage and fees", [
        lines("Slippage by strategy", "What slippage cost by the money executed, over an hour. Above 0 is to our disadvantage.")
            .ask(r#"max by (strategy, currency) (strategy:trading_slippage_cost:bps_rate1h{@, strategy=~"$strategy"})"#, "{{strategy}} {{currency}}")
            .above(5.0, 15.0)
            .act("SlippageDrift"),
        lines("Slippage by venue", "The median over an hour.")
            .ask("max by (venue) (venue:trading_slippage_bps:p50_1h{@})", "{{venue}}")
            .above(5.0, 15.0)
            .act("SlippageDrift"),
        bars("Fees", "Fees paid within the time shown, and rebates, which came back.")
            .ask(r#"sum by (kind, currency) (increase(trading_fees_total{@, strategy=~"$strategy"}[$__range])) > 0"#, "{{kind}} {{currency}}"),
    ])
}

/// What a part of the shortfall cost, less what it gained.
fn cost(component: &str) -> String {
    let of = |direction: &str| {
        format!(
            r#"sum by (strategy, currency) (increase(trading_shortfall_cost_total{{@, strategy=~"$strategy", component="{component}", direction="{direction}"}}[$__range]))"#
        )
    };
    format!("{} - {}", of("adverse"), of("favourable"))
}

fn after() -> Row {
    row("After the fill", [
        lines("Where the price went", "The median of the price after a fill against the fill, by how long after. Below 0, others knew more.")
            .ask(r#"histogram_quantile(0.5, sum by (horizon, le) (rate(trading_markout_bps_bucket{@, strategy=~"$strategy"}[$__rate_interval])))"#, "{{horizon}}"),
        table("Markouts in money", "What fills had made within the time shown, so long after them; negative where others knew more.")
            .ask(r#"sum by (strategy, horizon, currency) (increase(trading_markout_total{@, strategy=~"$strategy", direction="favourable"}[$__range])) - sum by (strategy, horizon, currency) (increase(trading_markout_total{@, strategy=~"$strategy", direction="adverse"}[$__range]))"#, "made")
            .least("made"),
        lines("Markouts without a price", "Fills a second after which no price came in time to compare with.")
            .ask(r#"sum by (horizon, reason) (rate(trading_markouts_unmeasured_total{@, strategy=~"$strategy"}[$__rate_interval]))"#, "{{horizon}} {{reason}}"),
    ])
}

fn time() -> Row {
    row("From the tick to the fill", [
        lines("Tick to order by strategy", "19 of 20 orders are handed to the venue within this time of the event that caused them; the ten slowest strategies.")
            .ask(r#"topk(10, histogram_quantile(0.95, sum by (strategy, le) (rate(trading_tick_to_order_duration_seconds_bucket{@, strategy=~"$strategy"}[$__rate_interval]))))"#, "{{strategy}}"),
        lines("Where the time goes", "The mean time of each stage from the signal to the fill.")
            .ask(r#"sum by (stage) (rate(trading_order_stage_duration_seconds_sum{@, strategy=~"$strategy"}[$__rate_interval])) / sum by (stage) (rate(trading_order_stage_duration_seconds_count{@, strategy=~"$strategy"}[$__rate_interval]))"#, "{{stage}}"),
        lines("Signal to execution", "19 of 20 executions come within this time of their signal, over an hour; the ten slowest strategies.")
            .ask(r#"topk(10, max by (strategy) (strategy:trading_execution_duration_seconds:p95_1h{@, strategy=~"$strategy"}))"#, "{{strategy}}"),
        lines("Fill time by venue", "Half and 19 of 20 orders are filled within these times, over an hour.")
            .ask("max by (venue) (venue:trading_order_fill_duration_seconds:p50_1h{@})", "{{venue}} median")
            .ask("max by (venue) (venue:trading_order_fill_duration_seconds:p95_1h{@})", "{{venue}} 95 %"),
    ])
}

fn fills() -> Row {
    row("Fills", [
        heatmap("Slippage of fills", "How slippage spreads. Above 0 is to our disadvantage; a band that climbs is a cost that grows.")
            .spread("trading_slippage_bps{@}"),
        lines("Fills by liquidity", "Executions a second, by whose order waited.")
            .ask("sum by (liquidity) (rate(trading_fills_total{@}[$__rate_interval]))", "{{liquidity}}"),
    ])
}
