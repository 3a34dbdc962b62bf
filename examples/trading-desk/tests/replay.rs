//! Replays real bars over real HTTP, with the API up and in use, and holds the books against each other.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use trading_desk::api::{PortfolioView, PositionView};
use trading_desk::app::{App, Config};
use trading_desk::bars::{self, Bar};
use trading_desk::broker::Terms;
use trading_desk::order::{Order, OrderStatus};
use trading_desk::portfolio::ClosedTrade;
use trading_desk::progress::Progress;
use trading_desk::risk::Limits;
use trading_desk::sentiment::SymbolSentiment;
use trading_desk::symbol::Symbol;

const CASH: f64 = 1_000_000.0;

/// The first `days` days of the bundled bars, on free ports.
fn config(days: usize) -> Config {
    let mut series = bars::bundled().unwrap();
    for series in &mut series {
        series.bars.truncate(days);
    }
    Config {
        series,
        listen: "127.0.0.1:0".to_owned(),
        db: None,
        redis: None,
        cash: CASH,
        pace: Duration::ZERO,
        limits: Limits::default(),
        terms: Terms::default(),
    }
}

async fn replay(app: &App) -> BTreeMap<u16, u32> {
    let mut replay = app.replay().await.unwrap();
    replay.run(&mut Progress::silent()).await.unwrap();
    replay.client().answers().clone()
}

async fn get<T: serde::de::DeserializeOwned>(app: &App, path: &str) -> T {
    let answer = reqwest::get(format!("{}{path}", app.api_url()))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.json().await.unwrap()
}

fn assert_near(left: f64, right: f64) {
    assert!((left - right).abs() < 1e-4, "{left} is not {right}");
}

/// Orders, trades and the account, as three parts of the API tell them, agree.
async fn assert_books_balance(app: &App) {
    let portfolio: PortfolioView = get(app, "/portfolio").await;
    let tally = portfolio.orders;
    assert_eq!(
        tally.submitted,
        tally.open + tally.closed.values().sum::<u32>()
    );

    let orders: Vec<Order> = get(app, "/orders?limit=1000").await;
    assert_eq!(
        orders.len(),
        tally.submitted as usize,
        "each order is recorded once"
    );
    let count = |status| orders.iter().filter(|order| order.status == status).count();
    assert_eq!(count(OrderStatus::Open), tally.open as usize);
    for (status, closed) in tally.closed {
        assert_eq!(count(status), closed as usize, "{status}");
    }

    let trades: Vec<ClosedTrade> = get(app, "/trades?limit=1000").await;
    let positions: Vec<PositionView> = get(app, "/positions").await;
    let realized: f64 = trades.iter().map(|trade| trade.pnl).sum();
    let open: f64 = positions
        .iter()
        .map(|position| position.value - position.cost)
        .sum();
    let value: f64 = positions.iter().map(|position| position.value).sum();
    assert_near(portfolio.equity, CASH + realized + open);
    assert_near(portfolio.equity, portfolio.cash + value);
}

#[tokio::test]
async fn a_replay_leaves_books_that_balance() {
    let config = config(400);
    let last = config.series[0].bars[399].date;
    let app = App::start(config).await.unwrap();
    let answers = replay(&app).await;
    assert_books_balance(&app).await;

    let portfolio: PortfolioView = get(&app, "/portfolio").await;
    assert_eq!(portfolio.date, last);
    let filled = portfolio.orders.closed[&OrderStatus::Filled];
    assert!(filled > 20, "{filled} orders were filled");

    // 82 new weeks began, each with two looks at the desk.
    assert!(answers[&200] >= 2 * 82, "{answers:?}");
    for status in [201, 404, 422] {
        assert!(
            answers.get(&status).is_some_and(|count| *count > 0),
            "{answers:?}"
        );
    }
    app.stop().await.unwrap();
}

#[tokio::test]
async fn the_same_bars_give_the_same_books() {
    let mut books: Vec<(Value, Value, BTreeMap<u16, u32>)> = Vec::new();
    for _ in 0..2 {
        let app = App::start(config(300)).await.unwrap();
        let answers = replay(&app).await;
        books.push((
            get(&app, "/portfolio").await,
            get(&app, "/orders").await,
            answers,
        ));
        app.stop().await.unwrap();
    }
    assert_eq!(books[0], books[1]);
}

#[tokio::test]
async fn users_who_trade_during_the_replay_do_not_upset_the_books() {
    let dir = tempfile::tempdir().unwrap();
    let db = Some(dir.path().join("desk.db"));
    let app = App::start(Config { db, ..config(200) }).await.unwrap();
    let (url, http) = (app.api_url(), reqwest::Client::new());
    let user = async {
        for _ in 0..100 {
            let buy = json!({"symbol": "sp500", "side": "buy", "type": "market", "quantity": 1});
            let answer = http
                .post(format!("{url}/orders"))
                .json(&buy)
                .send()
                .await
                .unwrap();
            if let Some(location) = answer.headers().get("location") {
                let order = format!("{url}{}", location.to_str().unwrap());
                http.delete(order).send().await.unwrap();
            }
        }
    };
    tokio::join!(replay(&app), user);
    assert_books_balance(&app).await;
    app.stop().await.unwrap();
}

#[tokio::test]
async fn every_answer_is_json_and_errors_have_the_right_status() {
    let app = App::start(config(60)).await.unwrap();
    replay(&app).await;
    let http = reqwest::Client::new();
    let send = async |method: &str, path: &str, body: Option<Value>| {
        let method = method.parse().unwrap();
        let mut request = http.request(method, format!("{}{path}", app.api_url()));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };

    let order = |symbol: &str, side: &str, quantity: u32| {
        Some(json!({"symbol": symbol, "side": side, "type": "market", "quantity": quantity}))
    };
    for (method, path, body, status, reason) in [
        ("GET", "/strategies/none", None, 404, None),
        ("GET", "/orders/4000000000", None, 404, None),
        ("GET", "/orders/x", None, 400, None),
        ("GET", "/orders?limit=x", None, 400, None),
        ("GET", "/nowhere", None, 404, None),
        ("PUT", "/orders", None, 405, None),
        ("GET", "/bars", None, 400, None),
        ("GET", "/bars?symbol=none", None, 404, None),
        ("DELETE", "/orders/4000000000", None, 404, None),
        ("DELETE", "/orders/1", None, 409, None),
        (
            "POST",
            "/orders",
            Some(json!({"symbol": "SP500"})),
            422,
            None,
        ),
        (
            "POST",
            "/orders",
            order("NONE", "buy", 1),
            422,
            Some("invalid_symbol"),
        ),
        (
            "POST",
            "/orders",
            order("SP500", "buy", 0),
            422,
            Some("invalid_quantity"),
        ),
        (
            "POST",
            "/orders",
            order("SP500", "buy", 100_000),
            422,
            Some("position_limit"),
        ),
        (
            "POST",
            "/orders",
            order("SP500", "sell", 100_000),
            422,
            Some("invalid_quantity"),
        ),
    ] {
        let (got, answer) = send(method, path, body).await;
        assert_eq!(got, status, "{method} {path}: {answer}");
        assert!(answer["error"].is_string(), "{method} {path}: {answer}");
        assert_eq!(
            answer["reason"].as_str(),
            reason,
            "{method} {path}: {answer}"
        );
    }

    let limit = json!({"symbol": "SP500", "side": "buy", "type": "limit", "limit_price": 1.5,
        "quantity": 3});
    let (status, placed) = send("POST", "/orders", Some(limit)).await;
    assert_eq!(
        (status, &placed["status"], &placed["limit_price"]),
        (201, &json!("open"), &json!(1.5))
    );
    let path = format!("/orders/{}", placed["id"]);
    assert_eq!(send("GET", &path, None).await, (200, placed));
    let (status, cancelled) = send("DELETE", &path, None).await;
    assert_eq!((status, &cancelled["status"]), (200, &json!("cancelled")));
    assert_eq!(send("GET", &path, None).await, (200, cancelled));

    assert_eq!(send("GET", "/healthz", None).await.1["status"], "ok");
    let (_, strategies) = send("GET", "/strategies", None).await;
    for strategy in strategies.as_array().unwrap() {
        let path = format!("/strategies/{}", strategy["name"].as_str().unwrap());
        let (status, details) = send("GET", &path, None).await;
        assert_eq!(
            (status, &details["description"]),
            (200, &strategy["description"])
        );
    }
    app.stop().await.unwrap();
}

#[tokio::test]
async fn users_see_the_bars_and_the_sentiment_of_the_replays_day() {
    let app = App::start(config(60)).await.unwrap();
    replay(&app).await;
    let series = bars::bundled().unwrap();
    for series in series {
        // The provider has no more than the replay, and the replay is at its end.
        let today = series.bars[59];
        let path = format!("/bars?symbol={}", series.symbol);
        let month: Vec<Bar> = get(&app, &path).await;
        assert_eq!(month.last(), Some(&today));
        assert_eq!(month[0].date.first_of_month(), today.date.first_of_month());

        let sentiment: BTreeMap<Symbol, SymbolSentiment> = get(&app, "/sentiment").await;
        let sentiment = &sentiment[&series.symbol];
        let score = sentiment.score.unwrap();
        assert!((-1.0..=1.0).contains(&score), "{sentiment:?}");
        assert!(sentiment.date <= today.date, "{sentiment:?}");
    }
    app.stop().await.unwrap();
}
