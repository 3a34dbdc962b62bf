//! What the desk's metrics say is what happened in it: a scrape over HTTP, held against the API and the books.

use std::time::Duration;

use jiff::civil::Date;
use obs_core::Closed;
use obs_exporter::{Config as ExporterConfig, Exporter};
use obs_exposition::Exposition;
use trading_desk::api::PortfolioView;
use trading_desk::app::{App, Config};
use trading_desk::bars::{self, Bar};
use trading_desk::broker::Terms;
use trading_desk::metrics;
use trading_desk::order::RejectReason;
use trading_desk::order::{Order, OrderStatus};
use trading_desk::progress::Progress;
use trading_desk::risk::Limits;
use trading_desk::stand_in::StandIn;
use trading_desk::venue::{self, Manner};

const DAYS: usize = 600;

// The recorder of a process is installed once, so there is one test here.
#[tokio::test]
async fn a_scrape_agrees_with_the_books() {
    let config = ExporterConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        ..ExporterConfig::default()
    };
    let exporter = Exporter::builder(obs_exporter::app_info!())
        .config(config)
        .catalogue(metrics::catalogue().unwrap())
        .install()
        .unwrap();
    let server = exporter.serve().await.unwrap();
    let app = App::start(desk()).await.unwrap();
    let service = app.service().clone();
    exporter.on_scrape(move || drop(service.observe()));
    let mut replay = app.replay().await.unwrap();
    replay.run(&mut Progress::silent()).await.unwrap();

    let portfolio: PortfolioView = reqwest::get(format!("{}/portfolio", app.api_url()))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let scrape = reqwest::get(format!("http://{}/metrics", server.local_addr()))
        .await
        .unwrap();
    let scrape = obs_exposition::parse(&scrape.text().await.unwrap()).unwrap();

    let orders: Vec<Order> = reqwest::get(format!("{}/orders?limit=1000", app.api_url()))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    orders_agree(&scrape, &portfolio, &orders);
    costs_agree(&scrape, &orders);
    let refused = app
        .service()
        .look(|account| account.refused().values().sum::<u32>())
        .await;
    assert!(refused > 0);
    assert_value(&scrape, "trading_trades_rejected_total", &[], refused);
    for strategy in ["ma_crossover", "mean_reversion"] {
        let bars = u32::try_from(2 * DAYS).unwrap();
        let labels = [("strategy", strategy)];
        assert_value(&scrape, "trading_signals_total", &labels, bars);
        assert_value(&scrape, "trading_decisions_total", &labels, bars);
        assert_value(
            &scrape,
            "trading_signal_confidence_ratio_count",
            &labels,
            bars,
        );
        assert_value(
            &scrape,
            "trading_strategy_duration_seconds_count",
            &labels,
            bars,
        );
        assert_value(&scrape, "trading_strategy_active", &labels, 1);
    }
    // Every answer the client got was counted, by its status, and so was the look of this test.
    for (status, count) in replay.client().answers() {
        let own = u32::from(*status == 200);
        let labels = [("status_code", &*status.to_string())];
        assert_value(&scrape, "http_requests_total", &labels, count + own);
    }
    assert_value(&scrape, "http_requests_in_flight", &[], 0);
    performance_agrees(&scrape, &app).await;
    providers_agree(&scrape, &app);
    sentiment_agrees(&scrape);
    database_agrees(&scrape, &app, &portfolio).await;
    functions_and_errors_agree(&scrape);
    app.stop().await.unwrap();
    server.shutdown().await;
}

/// What the providers on loopback were asked is what the desk says it asked them, and what came of it adds up.
fn providers_agree(scrape: &Exposition, app: &App) {
    let bars = ("provider", "bars");
    let asked = u32::try_from(app.vendors().asked_for_bars()).unwrap();
    assert_value(scrape, "provider_attempts_total", &[bars], asked);
    let retries = number(scrape, "provider_retries_total", &[bars]);
    let calls = asked - retries;
    assert_value(scrape, "provider_requests_total", &[bars], calls);
    assert_value(scrape, "provider_errors_total", &[bars], 0);
    // All but the listing go through the cache.
    let lookups = |result| {
        let labels = [bars, ("result", result)];
        number(scrape, "provider_cache_requests_total", &labels)
    };
    assert_eq!(lookups("miss") + lookups("stale"), calls - 1);
    assert!(lookups("hit") > 0);
    for of in StandIn::ALL {
        let provider = ("provider", of.name());
        let asked = u32::try_from(app.vendors().asked_for_sentiment(of)).unwrap();
        assert_eq!(asked, weeks(), "{of:?}");
        assert_value(scrape, "provider_requests_total", &[provider], asked);
        let ok = [provider, ("outcome", "ok")];
        let ok = number(scrape, "provider_requests_total", &ok);
        let errors = number(scrape, "provider_errors_total", &[provider]);
        assert!(errors > 0, "{of:?}");
        assert_eq!(ok + errors, asked, "{of:?}");
        assert_value(scrape, "sentiment_provider_missing_total", &[provider], {
            // Each week that it failed, and each that had too few bars yet, for both symbols.
            2 * asked - number(scrape, "sentiment_provider_score_count", &[provider])
        });
    }
    let twitter = [("provider", "twitter")];
    // 60 requests a window, and one that is refused.
    assert_value(
        scrape,
        "provider_rate_limit_hits_total",
        &twitter,
        weeks() / 61,
    );
    let news = [("provider", "news")];
    assert!(scrape.sum("provider_unavailable_seconds_total", &news) > Some(0.0));
    assert_value(scrape, "provider_requests_in_flight", &[], 0);
    // Bars, three of sentiment, and the stream of quotes.
    assert_value(scrape, "provider_up", &[], 5);
    // The last bar's close is what the bars are as of, and with it the market has closed.
    assert_value(scrape, "market_session_open", &[("venue", "NYSE")], 0);
    // It opens on a later day, and closes six and a half hours after that.
    let moment = |name| scrape.sum(name, &[("venue", "NYSE")]).unwrap();
    let next_open = moment("market_next_open_timestamp_seconds");
    assert!(next_open > f64::from(last_close()));
    let next_close = moment("market_next_close_timestamp_seconds");
    assert!((next_close - next_open - 23_400.0).abs() < 0.5);
    let updated = [bars, ("dataset", "daily_bars")];
    assert_value(
        scrape,
        "provider_data_updated_timestamp_seconds",
        &updated,
        last_close(),
    );
}

/// One aggregation for each symbol and week, each of which ended with a score or without.
fn sentiment_agrees(scrape: &Exposition) {
    assert_value(scrape, "sentiment_aggregations_total", &[], 2 * weeks());
    let ended = |outcome| {
        let labels = [("outcome", outcome)];
        number(scrape, "sentiment_aggregations_total", &labels)
    };
    let (whole, partial, undefined) = (ended("ok"), ended("partial"), ended("undefined"));
    assert_eq!(whole + partial + undefined, 2 * weeks());
    assert!(whole > 0 && partial > 0 && undefined > 0);
    assert_value(scrape, "sentiment_score_count", &[], whole + partial);
    for kind in ["between_providers", "price"] {
        let divergences = number(scrape, "sentiment_divergences_total", &[("kind", kind)]);
        assert!(0 < divergences && divergences < weeks(), "{kind}");
    }
    let weight = scrape.sum("sentiment_provider_weight_ratio", &[]).unwrap();
    assert!((weight - 1.0).abs() < 1e-9, "{weight}");
}

/// Queries against what had to be written and read.
async fn database_agrees(scrape: &Exposition, app: &App, portfolio: &PortfolioView) {
    let queries = |operation| number(scrape, "db_queries_total", &[("operation", operation)]);
    let tally = &portfolio.orders;
    let opened = tally.submitted - tally.closed[&OrderStatus::Rejected];
    let results = app.service().store().results().await.unwrap();
    let trades: u32 = results.iter().map(|of| of.trades).sum();
    // A row for the run, one for each order as it was submitted and as it was closed, one for each trade.
    let rows = 1 + tally.submitted + (opened - tally.open) + trades;
    assert_eq!(queries("insert"), rows);
    let answered = |endpoint| {
        let labels = [("method", "GET"), ("endpoint", endpoint)];
        number(scrape, "http_requests_total", &labels)
    };
    assert_eq!(
        queries("select"),
        answered("/orders") + answered("/orders/{id}")
    );
    let commits = [("outcome", "commit")];
    let commits = number(scrape, "db_transactions_total", &commits);
    assert!(commits > 0);
    assert_eq!([queries("begin"), queries("commit")], [commits; 2]);
    assert_value(scrape, "db_transactions_total", &[], commits);
    let all = rows + queries("select") + 2 * commits + queries("ddl");
    assert_value(scrape, "db_queries_total", &[("outcome", "ok")], all);
    assert_value(scrape, "db_queries_total", &[], all);
    assert_value(scrape, "db_query_duration_seconds_count", &[], all);
    for (state, connections) in [("idle", 1), ("in_use", 0)] {
        let labels = [("pool", "orders"), ("state", state)];
        assert_value(scrape, "db_pool_connections", &labels, connections);
    }
}

/// Calls of the functions under an attribute against what called them; errors against what failed.
fn functions_and_errors_agree(scrape: &Exposition) {
    let days = u32::try_from(DAYS).unwrap();
    let answered = |method, endpoint| {
        let labels = [("method", method), ("endpoint", endpoint)];
        number(scrape, "http_requests_total", &labels)
    };
    let placed = answered("POST", "/orders");
    let cancelled = answered("DELETE", "/orders/{id}");
    let looked_up = number(scrape, "provider_cache_requests_total", &[]);
    for (function, calls) in [
        ("Desk::trade_day", days),
        ("Service::place", placed),
        ("Store::record", days + placed + cancelled),
        ("MarketData::month", looked_up),
    ] {
        let labels = [("function", function), ("outcome", "ok")];
        assert_value(scrape, "function_calls_total", &labels, calls);
        assert_value(scrape, "function_duration_seconds_count", &labels, calls);
    }
    let failed = StandIn::ALL.map(|of| {
        let provider = [("provider", of.name())];
        number(scrape, "provider_errors_total", &provider)
    });
    let sentiment = [
        ("component", "sentiment"),
        ("error_type", "call_failed"),
        ("severity", "warning"),
    ];
    assert_value(scrape, "errors_total", &sentiment, failed.iter().sum());
    assert_value(scrape, "errors_total", &[], failed.iter().sum());
    for component in ["desk", "market_data", "replay", "store"] {
        assert_value(scrape, "errors_total", &[("component", component)], 0);
    }
}

/// How often a new week begins in the bars.
fn weeks() -> u32 {
    let bars = &desk().series[0].bars;
    let week = |date: Date| (date.iso_week_date().year(), date.iso_week_date().week());
    let begins = |pair: &&[Bar]| week(pair[0].date) != week(pair[1].date);
    u32::try_from(bars.windows(2).filter(begins).count()).unwrap()
}

/// When the last day of the bars closed, in seconds since 1970.
fn last_close() -> u32 {
    let last = desk().series[0].bars[DAYS - 1].date;
    let close = last.at(16, 0, 0, 0).in_tz("America/New_York").unwrap();
    u32::try_from(close.timestamp().as_second()).unwrap()
}

/// A count, which is a whole number.
fn number(scrape: &Exposition, name: &str, labels: &[(&str, &str)]) -> u32 {
    let sum = scrape.sum(name, labels);
    let sum = sum.unwrap_or_else(|| panic!("no {name} {labels:?}"));
    sum.to_string().parse().unwrap()
}

/// Ratios and P/L against the trades in the database, and the limits against what was refused.
async fn performance_agrees(scrape: &Exposition, app: &App) {
    let service = app.service();
    let results = service.store().results().await.unwrap();
    assert!(!results.is_empty());
    for of in &results {
        let labels = [("strategy", of.strategy.as_str())];
        assert_value(scrape, "trading_trade_pnl_count", &labels, of.trades);
        let near = |name, expected: f64| {
            let shown = scrape.sum(name, &labels).unwrap();
            assert!(
                (shown - expected).abs() < 1e-6,
                "{name}: {shown} is not {expected}"
            );
        };
        near(
            "trading_win_ratio",
            f64::from(of.wins) / f64::from(of.trades),
        );
        let realized = service
            .look(|account| account.portfolio().realized(of.strategy))
            .await;
        near("trading_pnl_realized", realized);
    }
    let (equity, refused) = service
        .look(|account| (account.portfolio().equity(), account.refused().clone()))
        .await;
    assert_eq!(scrape.sum("portfolio_value", &[]), Some(equity));
    assert_value(
        scrape,
        "portfolio_trades",
        &[("period", "total")],
        results.iter().map(|of| of.trades).sum(),
    );
    for (limit, reason) in [
        ("max_position", RejectReason::PositionLimit),
        ("exposure", RejectReason::ExposureLimit),
        ("drawdown", RejectReason::DrawdownLimit),
    ] {
        let refused = refused
            .iter()
            .filter(|((_, by), _)| *by == reason)
            .map(|(_, count)| count);
        let hits = scrape
            .sum("risk_limit_hits_total", &[("limit", limit)])
            .unwrap();
        // A market that moves beyond a limit hits it too, without an order.
        assert!(
            hits >= f64::from(refused.sum::<u32>()),
            "{limit}: {hits} hits"
        );
        let headroom = scrape
            .sum("risk_limit_headroom_ratio", &[("limit", limit)])
            .unwrap();
        assert!(
            headroom <= 1.0 && headroom.is_finite(),
            "{limit}: {headroom}"
        );
    }
    assert!(scrape.sum("risk_exits_total", &[]).unwrap() > 0.0);
    assert!(scrape.sum("risk_position_size_ratio_count", &[]).unwrap() > 0.0);
}

fn orders_agree(scrape: &Exposition, portfolio: &PortfolioView, orders: &[Order]) {
    let tally = &portfolio.orders;
    assert_value(scrape, "trading_orders_total", &[], tally.submitted);
    assert_value(scrape, "trading_orders_open", &[], tally.open);
    let told = manners_agree(scrape, orders);
    for (status, count) in &tally.closed {
        let outcome = [("outcome", &*status.to_string())];
        let again = match status {
            OrderStatus::Filled => told(Manner::Reopened),
            _ => 0,
        };
        assert_value(
            scrape,
            "trading_orders_closed_total",
            &outcome,
            count + again,
        );
    }
    // What the stand-in for a venue says is unusual, and all accounted for: these are the events that alert.
    for event in [
        "unknown_order",
        "invalid_fill",
        "overfill",
        "missing_fill",
        "invalid_order",
        "from_future",
        "forgotten_fill",
    ] {
        let name = "trading_order_events_ignored_total";
        assert_value(scrape, name, &[("event", event)], 0);
    }
    let filled = tally.closed[&OrderStatus::Filled];
    assert!(filled > 0);
    assert_value(scrape, "trading_trades_total", &[], filled);
    for name in [
        "trading_order_fill_duration_seconds_count",
        "trading_slippage_bps_count",
    ] {
        assert_value(scrape, name, &[], filled + told(Manner::Reopened));
    }
    let sum = |name| scrape.sum(name, &[]).unwrap();
    // What a stop closes comes of no signal.
    let executions = sum("trading_execution_duration_seconds_count");
    assert!(
        executions > 0.0 && executions < f64::from(filled + told(Manner::Reopened)),
        "{executions} of {filled}"
    );
    let (stages, execution) = (
        sum("trading_order_stage_duration_seconds_sum"),
        sum("trading_execution_duration_seconds_sum"),
    );
    assert!(
        (stages / execution - 1.0).abs() < 1e-9,
        "{stages} is not {execution}"
    );
}

/// What the stand-in for a venue said of the rows in the database is what was counted. Returns how many filled orders were
/// reported in a manner.
fn manners_agree(scrape: &Exposition, orders: &[Order]) -> impl Fn(Manner) -> u32 {
    let filled = orders
        .iter()
        .filter(|order| order.status == OrderStatus::Filled);
    let filled: Vec<(Manner, u32)> = filled
        .map(|order| (venue::manner(order.id), order.quantity))
        .collect();
    let parts = filled
        .iter()
        .filter(|(manner, quantity)| *manner == Manner::Corrected && *quantity > 1)
        .count();
    let orders = u32::try_from(filled.len()).unwrap();
    let told = move |manner| {
        let of = filled.iter().filter(|(other, _)| *other == manner);
        u32::try_from(of.count()).unwrap()
    };
    let busted = told(Manner::Reopened) + told(Manner::Late);
    let fills = orders + busted + u32::try_from(parts).unwrap();
    assert_value(scrape, "trading_fills_total", &[], fills);
    for (name, label, count) in [
        (
            "trading_order_replaces_total",
            ("outcome", "accepted"),
            told(Manner::Replaced),
        ),
        (
            "trading_order_replaces_total",
            ("outcome", "rejected"),
            told(Manner::AmendRefused),
        ),
        (
            "trading_order_cancels_total",
            ("outcome", "rejected"),
            told(Manner::CancelRefused),
        ),
        ("trading_corrections_total", ("kind", "bust"), busted),
        (
            "trading_corrections_total",
            ("kind", "correction"),
            told(Manner::Corrected),
        ),
        (
            "trading_orders_reopened_total",
            ("venue", "paper"),
            told(Manner::Reopened),
        ),
        (
            "trading_order_events_ignored_total",
            ("event", "late_fill"),
            told(Manner::Late),
        ),
        (
            "trading_order_events_ignored_total",
            ("event", "replayed_fill"),
            told(Manner::Repeated),
        ),
        (
            "trading_order_events_ignored_total",
            ("event", "replayed_end"),
            told(Manner::Repeated),
        ),
    ] {
        assert!(count > 0, "{name} {label:?} is not live");
        assert_value(scrape, name, &[label], count);
    }
    for event in [
        "unknown_order",
        "overfill",
        "invalid_fill",
        "missing_fill",
        "forgotten_fill",
    ] {
        assert_value(
            scrape,
            "trading_order_events_ignored_total",
            &[("event", event)],
            0,
        );
    }
    told
}

/// The money that was counted is that of the rows in the database, less what was taken back.
fn costs_agree(scrape: &Exposition, orders: &[Order]) {
    let (mut notional, mut fees, mut slippage, mut opportunity) = (0.0, 0.0, 0.0, 0.0);
    for order in orders {
        let quantity = f64::from(order.quantity);
        match (order.fill, order.decision_price) {
            (Some(fill), Some(decided)) => {
                notional += quantity * fill.price;
                fees += fill.commission;
                slippage += order.side.sign() * (fill.price - decided) * quantity;
            }
            _ => opportunity += f64::from(u8::from(order.status == OrderStatus::Expired)),
        }
    }
    let money = |name, labels: &[_]| scrape.sum(name, labels).unwrap();
    let way = |name, component: &str, direction| {
        let labels = [("direction", direction), ("component", component)];
        let labels = if component.is_empty() {
            &labels[..1]
        } else {
            &labels[..]
        };
        scrape.sum(name, labels).unwrap()
    };
    let net =
        |name, component| way(name, component, "adverse") - way(name, component, "favourable");
    let near = |ours: f64, rows: f64, what| {
        assert!((ours - rows).abs() < 0.01, "{what}: {ours} is not {rows}");
    };
    near(
        money("trading_filled_notional_total", &[])
            - money("trading_corrected_notional_total", &[]),
        notional,
        "notional",
    );
    near(
        money("trading_fees_total", &[("kind", "commission")])
            - money("trading_fees_total", &[("kind", "rebate")]),
        fees,
        "fees",
    );
    near(net("trading_slippage_cost_total", ""), slippage, "slippage");
    // Orders are submitted at the price that they are decided on: nothing is lost between.
    let part = |component| net("trading_shortfall_cost_total", component);
    near(part("delay"), 0.0, "delay");
    near(part("execution"), slippage, "execution");
    near(part("fees"), fees, "fees of the shortfall");
    assert!(opportunity == 0.0 || part("opportunity") != 0.0);
    let count = |name, labels: &[_]| scrape.sum(name, labels).unwrap();
    // A corrected execution is followed twice.
    let corrected = count("trading_corrections_total", &[("kind", "correction")]);
    let fills = count("trading_fills_total", &[]) + corrected;
    let followed =
        count("trading_markout_bps_count", &[]) + count("trading_markouts_unmeasured_total", &[]);
    // The last session's fills wait for a day that does not come.
    assert!(
        followed <= 2.0 * fills && followed > 1.9 * fills,
        "{followed} of {fills} fills"
    );
}

fn assert_value(scrape: &Exposition, name: &str, labels: &[(&str, &str)], expected: u32) {
    assert_eq!(
        scrape.sum(name, labels),
        Some(f64::from(expected)),
        "{name} {labels:?}"
    );
}

fn desk() -> Config {
    let mut series = bars::bundled().unwrap();
    for series in &mut series {
        series.bars.truncate(DAYS);
    }
    Config {
        series,
        listen: "127.0.0.1:0".to_owned(),
        db: None,
        redis: None,
        cash: 1_000_000.0,
        pace: Duration::ZERO,
        limits: Limits::default(),
        terms: Terms::default(),
    }
}
