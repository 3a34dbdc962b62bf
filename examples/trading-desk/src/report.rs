//! What the metrics say of the replay, as tables. Every figure is read from the exposition that a scrape would
//! get, by the same parser that checks it: what is not measured cannot be printed.

use std::collections::BTreeSet;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use obs_core::Closed;
use obs_exposition::Exposition;
use obs_providers::CacheResult;
use obs_sentiment::{AggregationOutcome, Divergence};
use obs_trading::{OrderOutcome, PnlComponent, ReconciledPart, RejectReason, Statistics};

use crate::error::Error;
use crate::strategy::StrategyId;

/// The tables as text: strategies, orders, what was refused, what came from outside, what went wrong, how long things
/// took.
pub fn report(exposition: &str) -> Result<String, Error> {
    let metrics = obs_exposition::parse(exposition)?;
    let mut tables = vec![strategies(&metrics)];
    for account in values(&metrics, "portfolio_pnl_component", "account") {
        tables.push(bridge(&metrics, account));
    }
    tables.extend([
        reconciliation(&metrics),
        orders(&metrics),
        refusals(&metrics),
        providers(&metrics),
        sentiment(&metrics),
        database(&metrics),
        errors(&metrics),
        durations(&metrics),
    ]);
    let tables: Vec<_> = tables.iter().map(Table::to_string).collect();
    Ok(tables.join("\n\n"))
}

/// What the account made by the broker's statements, in windows of days: a report's figures, which cost as much as the window is long and
/// are computed when somebody asks.
#[must_use]
pub fn windows(windows: &[(&'static str, Statistics)]) -> String {
    let mut table = table(&[
        "window",
        "returns",
        "change",
        "return",
        "volatility",
        "Sharpe",
        "drawdown",
        "trades",
        "win ratio",
    ]);
    for (name, window) in windows {
        table.add_row([
            (*name).to_owned(),
            window.returns().to_string(),
            money(window.equity_change().ok()),
            percent(window.total_return().ok()),
            percent(window.volatility_ratio().ok()),
            money(window.sharpe_ratio().ok()),
            percent(window.max_drawdown_ratio().ok()),
            window.trades().to_string(),
            percent(window.win_ratio().ok()),
        ]);
    }
    table.to_string()
}

fn strategies(metrics: &Exposition) -> Table {
    let mut table = table(&[
        "strategy",
        "signals",
        "trades",
        "refused",
        "win ratio",
        "P/L",
    ]);
    for &id in StrategyId::ALL {
        let strategy = [("strategy", id.as_str())];
        let sum = |name| metrics.sum(name, &strategy);
        table.add_row([
            id.to_string(),
            count(sum("trading_signals_total")),
            count(sum("trading_trades_total")),
            count(sum("trading_trades_rejected_total")),
            percent(sum("trading_win_ratio")),
            money(sum("trading_pnl_realized")),
        ]);
    }
    table
}

/// What made the profit and loss. The strategies' parts, and what belongs to none, add up to the account's.
fn bridge(metrics: &Exposition, name: &str) -> Table {
    let account = ("account", name);
    let owners = values_of(metrics, "trading_pnl_component", account, "strategy");
    let title = format!("profit and loss of {name}");
    let mut header = vec![title.as_str(), "day", "month", "total"];
    header.extend(owners.iter().copied());
    let mut table = table(&header);
    for component in PnlComponent::ALL {
        let component = ("component", component.as_str());
        let of = |period| {
            let labels = [account, component, ("period", period)];
            money(metrics.sum("portfolio_pnl_component", &labels))
        };
        let mut row = vec![component.1.to_owned()];
        row.extend(["day", "month", "total"].map(of));
        row.extend(owners.iter().map(|strategy| {
            let labels = [account, component, ("strategy", *strategy)];
            money(metrics.sum("trading_pnl_component", &labels))
        }));
        table.add_row(row);
    }
    table
}

/// Whether the broker agrees.
fn reconciliation(metrics: &Exposition) -> Table {
    let mut table = table(&["reconciliation", "of", "open breaks", "difference"]);
    for account in values(metrics, "portfolio_reconciliation_open_breaks", "account") {
        for part in ReconciledPart::ALL {
            let of = [("account", account), ("what", part.as_str())];
            table.add_row([
                account.to_owned(),
                part.to_string(),
                count(metrics.sum("portfolio_reconciliation_open_breaks", &of)),
                money(metrics.sum("portfolio_reconciliation_difference", &of)),
            ]);
        }
    }
    table
}

fn orders(metrics: &Exposition) -> Table {
    let mut table = table(&["orders", "count"]);
    table.add_row([
        "submitted".to_owned(),
        count(metrics.sum("trading_orders_total", &[])),
    ]);
    for outcome in OrderOutcome::ALL {
        let closed = metrics.sum(
            "trading_orders_closed_total",
            &[("outcome", outcome.as_str())],
        );
        table.add_row([outcome.to_string(), count(closed)]);
    }
    table.add_row([
        "open".to_owned(),
        count(metrics.sum("trading_orders_open", &[])),
    ]);
    table
}

fn refusals(metrics: &Exposition) -> Table {
    let mut table = table(&["refused", "by the risk check", "by the broker"]);
    for reason in RejectReason::ALL {
        let by = |name| metrics.sum(name, &[("reason", reason.as_str())]);
        let trades = by("trading_trades_rejected_total");
        let orders = by("trading_orders_rejected_total");
        if trades.unwrap_or(0.0) + orders.unwrap_or(0.0) > 0.0 {
            table.add_row([reason.to_string(), count(trades), count(orders)]);
        }
    }
    table
}

fn providers(metrics: &Exposition) -> Table {
    let mut table = table(&[
        "provider",
        "calls",
        "failed",
        "retries",
        "limited",
        "cache hits",
        "in aggregates",
        "weight",
    ]);
    for provider in values(metrics, "provider_up", "provider") {
        let provider = [("provider", provider)];
        let sum = |name| metrics.sum(name, &provider);
        table.add_row([
            provider[0].1.to_owned(),
            count(sum("provider_requests_total")),
            count(sum("provider_errors_total")),
            count(sum("provider_retries_total")),
            count(sum("provider_rate_limit_hits_total")),
            percent(hit_share(metrics, provider[0])),
            count(sum("sentiment_provider_usage_total")),
            percent(sum("sentiment_provider_weight_ratio")),
        ]);
    }
    table
}

/// The share of lookups that the cache had an answer to; none without lookups.
fn hit_share(metrics: &Exposition, provider: (&str, &str)) -> Option<f64> {
    let lookups = metrics.sum("provider_cache_requests_total", &[provider])?;
    let hit = ("result", CacheResult::Hit.as_str());
    let hits = metrics.sum("provider_cache_requests_total", &[provider, hit])?;
    Some(hits / lookups)
}

fn sentiment(metrics: &Exposition) -> Table {
    let mut table = table(&["sentiment", "aggregations", "divergences"]);
    let outcomes = AggregationOutcome::ALL.iter().map(|outcome| {
        let labels = [("outcome", outcome.as_str())];
        let aggregations = metrics.sum("sentiment_aggregations_total", &labels);
        (outcome.to_string(), aggregations, None)
    });
    let divergences = Divergence::ALL.iter().map(|kind| {
        let labels = [("kind", kind.as_str())];
        let divergences = metrics.sum("sentiment_divergences_total", &labels);
        (kind.to_string(), None, divergences)
    });
    for (what, aggregations, divergences) in outcomes.chain(divergences) {
        if aggregations.or(divergences) > Some(0.0) {
            table.add_row([what, count(aggregations), count(divergences)]);
        }
    }
    table
}

fn database(metrics: &Exposition) -> Table {
    let mut table = table(&["pool", "connections", "transactions", "queries", "failed"]);
    for pool in values(metrics, "db_pool_connections_max", "pool") {
        let pool = [("pool", pool)];
        let sum = |name| metrics.sum(name, &pool);
        table.add_row([
            pool[0].1.to_owned(),
            count(sum("db_pool_connections")),
            count(sum("db_transactions_total")),
            count(sum("db_queries_total")),
            count(sum("db_query_errors_total")),
        ]);
    }
    table
}

fn errors(metrics: &Exposition) -> Table {
    let mut table = table(&["errors", "type", "severity", "count"]);
    let samples = metrics.family("errors_total").map(|family| &family.samples);
    for sample in samples.into_iter().flatten() {
        if sample.value > 0.0 {
            let label = |key| sample.label(key).unwrap_or(NOTHING).to_owned();
            table.add_row([
                label("component"),
                label("error_type"),
                label("severity"),
                count(Some(sample.value)),
            ]);
        }
    }
    table
}

/// The values that a label of a family has, in order.
fn values<'a>(metrics: &'a Exposition, name: &str, label: &'a str) -> BTreeSet<&'a str> {
    let samples = metrics.family(name).map(|family| &family.samples);
    let samples = samples.into_iter().flatten();
    samples.filter_map(|sample| sample.label(label)).collect()
}

/// The same of the samples that have another label, too.
fn values_of<'a>(
    metrics: &'a Exposition,
    name: &str,
    (key, value): (&str, &str),
    label: &'a str,
) -> BTreeSet<&'a str> {
    let samples = metrics.family(name).map(|family| &family.samples);
    let samples = samples.into_iter().flatten();
    let of = samples.filter(|sample| sample.label(key) == Some(value));
    of.filter_map(|sample| sample.label(label)).collect()
}

/// The histograms whose quantiles are worth a look, and the labels that tell their rows apart.
const DURATIONS: [(&str, &[&str]); 8] = [
    (
        "http_request_duration_seconds",
        &["endpoint", "method", "status_class"],
    ),
    ("trading_signal_generation_duration_seconds", &["strategy"]),
    ("trading_decision_duration_seconds", &["strategy"]),
    ("trading_strategy_duration_seconds", &["strategy"]),
    ("trading_order_fill_duration_seconds", &["order_type"]),
    (
        "provider_request_duration_seconds",
        &["provider", "endpoint"],
    ),
    ("db_query_duration_seconds", &["operation"]),
    ("function_duration_seconds", &["function"]),
];

fn durations(metrics: &Exposition) -> Table {
    let mut table = table(&["duration of", "", "count", "p50", "p95", "p99"]);
    for (name, labels) in DURATIONS {
        let Some(family) = metrics.family(name) else {
            continue;
        };
        for histogram in family.histograms() {
            if histogram.count == 0.0 {
                continue;
            }
            let shown: Vec<_> = histogram
                .labels
                .iter()
                .filter(|(key, _)| labels.contains(&key.as_str()))
                .map(|(_, value)| value.as_str())
                .collect();
            let mut row = vec![
                name.trim_end_matches("_seconds")
                    .trim_end_matches("_duration")
                    .to_owned(),
                shown.join(" "),
                count(Some(histogram.count)),
            ];
            row.extend([0.5, 0.95, 0.99].map(|q| time(histogram.quantile(q))));
            table.add_row(row);
        }
    }
    table
}

/// What stands where nothing was measured, or what was is undefined.
const NOTHING: &str = "–";

fn count(number: Option<f64>) -> String {
    number.map_or_else(|| NOTHING.to_owned(), |number| format!("{number:.0}"))
}

fn money(amount: Option<f64>) -> String {
    defined(amount).map_or_else(|| NOTHING.to_owned(), |amount| format!("{amount:.2}"))
}

fn percent(share: Option<f64>) -> String {
    defined(share).map_or_else(
        || NOTHING.to_owned(),
        |share| format!("{:.1} %", share * 100.0),
    )
}

/// Seconds with the unit that reads best.
fn time(seconds: Option<f64>) -> String {
    let time = defined(seconds).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match time {
        None => NOTHING.to_owned(),
        Some(time) if time >= Duration::from_hours(1) => {
            format!("{:.1} h", time.as_secs_f64() / 3600.0)
        }
        Some(time) => format!("{time:.1?}"),
    }
}

fn defined(number: Option<f64>) -> Option<f64> {
    number.filter(|number| number.is_finite())
}

/// A table whose last columns are figures, and aligned like them.
fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_header(header.iter().copied());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
