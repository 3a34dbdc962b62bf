//! What the desk's metrics say is what happened in it: a scrape over HTTP, held against the API and the books.

use std::time::Duration;

use obs_exporter::{Config as ExporterConfig, Exporter};
use obs_exposition::Exposition;
use trading_desk::api::PortfolioView;
use trading_desk::app::{App, Config};
use trading_desk::bars;
use trading_desk::broker::Terms;
use trading_desk::metrics;
use trading_desk::order::OrderStatus;
use trading_desk::progress::Progress;
use trading_desk::risk::{Limits, RefusalReason};

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

    orders_agree(&scrape, &portfolio);
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
    app.stop().await.unwrap();
    server.shutdown().await;
}

/// Ratios and P/L against the trades in the database, and the limits against what was refused.
async fn performance_agrees(scrape: &Exposition, app: &App) {
    let service = app.service();
    let results = service.store().results().await.unwrap();
    assert!(!results.is_empty());
    for of in &results {
        let labels = [("strategy", <&str>::from(of.strategy))];
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
        ("max_position", RefusalReason::MaxPosition),
        ("exposure", RefusalReason::GrossExposure),
        ("drawdown", RefusalReason::Drawdown),
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

fn orders_agree(scrape: &Exposition, portfolio: &PortfolioView) {
    let tally = &portfolio.orders;
    assert_value(scrape, "trading_orders_total", &[], tally.submitted);
    assert_value(scrape, "trading_orders_open", &[], tally.open);
    for (status, count) in &tally.closed {
        let outcome = [("outcome", &*status.to_string())];
        assert_value(scrape, "trading_orders_closed_total", &outcome, *count);
    }
    let filled = tally.closed[&OrderStatus::Filled];
    assert!(filled > 0);
    for name in [
        "trading_order_fill_duration_seconds_count",
        "trading_slippage_bps_count",
        "trading_execution_duration_seconds_count",
        "trading_trades_total",
    ] {
        assert_value(scrape, name, &[], filled);
    }
    let sum = |name| scrape.sum(name, &[]).unwrap();
    let (stages, execution) = (
        sum("trading_order_stage_duration_seconds_sum"),
        sum("trading_execution_duration_seconds_sum"),
    );
    assert!(
        (stages / execution - 1.0).abs() < 1e-9,
        "{stages} is not {execution}"
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
        cash: 1_000_000.0,
        pace: Duration::ZERO,
        limits: Limits::default(),
        terms: Terms::default(),
    }
}
