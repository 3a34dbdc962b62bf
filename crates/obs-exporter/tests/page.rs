//! The live page and what it reads, over real connections.

#![cfg(feature = "page")]

mod common;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{exporter, refused};
use obs_core::{
    Alarm, By, Catalogue, Counter, Each, Figure, Histogram, Kind, Reading, Summary, Values, Worse,
};
use obs_exporter::{Config, Exporter, Secret};
use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

obs_core::label! {
    /// Buy or sell.
    enum Side as "side" {
        /// Buy.
        Buy = "buy",
        /// Sell.
        Sell = "sell",
    }
}
obs_core::label! {
    /// What is traded.
    open Symbol as "symbol" up to 7
}
obs_core::families! {
    group "Of the page" {
        Figure::rate("Trades", Kinds::trades).facts(&[
            ("sold", Reading::sum(Kinds::trades).with(&[("side", "sell")])),
            ("best symbol", Reading::where_most(Kinds::trades, "symbol")),
        ])
        .worse(Worse::Up)
        .alarms(&[Alarm::at_least(Reading::rate(Kinds::trades), 9.5)]),
        Figure::quantiles("Size", Kinds::size).levels(&[0.5, 0.99]),
        Figure::table("Symbols", "symbol", &[("trades", Reading::sum(Kinds::trades))]),
        Figure::log("Sides", Kinds::trades, "side").rank(7),
        Figure::bar("Booked", Reading::sum(Kinds::trades), Reading::constant(500.0)),
        Figure::ratio("Sold", Reading::sum(Kinds::trades), Reading::series(Kinds::trades))
            .trend(Reading::quantile(Kinds::size, 0.9)),
    }

    /// One of each kind.
    struct Kinds {
        /// Trades; "quoted" & <b>marked</b>.
        trades: Each<Symbol, By<Side, Counter>> = "page_trades_total",
        /// How large they were.
        size: Histogram = "page_size_ratio" { buckets: &[0.25, 0.5], range: 0.0..=1.0 },
        /// How long they took.
        took: Summary = "page_took_seconds" { quantiles: &[0.5, 0.9] },
    }
}

/// Every path that the page is made of.
const PATHS: [&str; 8] = [
    "/",
    "/catalog.json",
    "/live",
    "/history",
    "/page/app.js",
    "/page/app.css",
    "/page/uPlot.js",
    "/page/worker.js",
];

const AT: HeaderName = HeaderName::from_static("obs-rendered-at");
const AGE: HeaderName = HeaderName::from_static("obs-age");

async fn ask(url: String, authorization: Option<&str>) -> Response {
    let mut request = Client::new().get(url);
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    request.send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &HeaderName) -> &'a str {
    let value = response.headers().get(name);
    let value = value.unwrap_or_else(|| panic!("no {name} in {:?}", response.headers()));
    value.to_str().unwrap()
}

fn seconds(response: &Response, name: &HeaderName) -> f64 {
    header(response, name).parse().unwrap()
}

/// Counts renderings.
fn count_renderings(exporter: &Exporter) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    exporter.on_scrape(move || {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    count
}

/// The header of `/history`, and the values of each line by the second.
async fn history(url: &str) -> (serde_json::Value, Vec<Vec<f32>>) {
    let file = ask(format!("{url}/history"), None).await;
    let file = file.bytes().await.unwrap();
    let end = file.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let header: serde_json::Value = serde_json::from_slice(&file[..end]).unwrap();
    let count = usize::try_from(header["spans"][0]["count"].as_u64().unwrap()).unwrap();
    let values = file[end..].chunks_exact(4);
    let values: Vec<_> = values
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let lines = header["lines"].as_array().unwrap().len();
    let lines = (0..lines).map(|line| values[line * count..(line + 1) * count].to_vec());
    (header.clone(), lines.collect())
}

#[tokio::test]
async fn what_figures_showed_is_remembered_without_a_rendering() {
    let (recorder, exporter) = exporter(Config::default());
    let renderings = count_renderings(&exporter);
    let kinds = metrics::with_local_recorder(&recorder, || {
        let kinds = Kinds::new();
        // Its series belongs to the recorder under which it is first asked for.
        let _ = kinds.trades.of("AAPL");
        kinds
    });
    let server = exporter.serve().await.unwrap();
    let url = format!("http://{}", server.local_addr());
    let booked = |header: &serde_json::Value| {
        let lines = header["lines"].as_array().unwrap();
        lines.iter().position(|line| line["figure"] == "Booked")
    };
    let remembered = async {
        loop {
            kinds.trades.of("AAPL")[Side::Buy].increment(1);
            let (header, lines) = history(&url).await;
            if let Some(line) = booked(&header)
                && lines[line].len() >= 3
            {
                return (header, lines[line].clone());
            }
        }
    };
    let (header, values) = timeout(Duration::from_secs(30), remembered).await.unwrap();
    assert!(values.is_sorted() && values[2] > values[0], "{values:?}");
    let now = exporter.render();
    let counted = obs_exposition::parse(&now).unwrap();
    let counted = counted.sum("page_trades_total", &[]).unwrap();
    assert!(
        f64::from(values[2]) <= counted,
        "{values:?}, then {counted}"
    );
    assert_eq!(
        header["lines"][booked(&header).unwrap()]["needs"],
        "page_trades_total"
    );
    // The one just now, and at most the one for gauges that are read when somebody asks.
    assert!(renderings.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn a_history_that_is_off_is_not_there() {
    let config = Config {
        history: false,
        ..Config::default()
    };
    let (_recorder, exporter) = exporter(config);
    let server = exporter.serve().await.unwrap();
    let response = ask(format!("http://{}/history", server.local_addr()), None).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn everything_of_the_page_is_kept_to_itself() {
    let (_recorder, exporter) = exporter(Config::default());
    let server = exporter.serve().await.unwrap();
    for path in PATHS {
        let response = ask(format!("http://{}{path}", server.local_addr()), None).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let policy = header(&response, &CONTENT_SECURITY_POLICY);
        let directives: Vec<_> = policy.split(';').map(str::trim).collect();
        for directive in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(directives.contains(&directive), "{path}: {policy}");
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains("http"),
            "{policy}"
        );
        assert_eq!(header(&response, &X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(header(&response, &REFERRER_POLICY), "no-referrer");
        // What shows values is kept by nobody, a file by the browser that it was sent to.
        let kept = if path.starts_with("/page/") {
            "private, no-cache"
        } else {
            "no-store"
        };
        assert_eq!(header(&response, &CACHE_CONTROL), kept, "{path}");
        let media_type = match path.rsplit_once('.') {
            None if path == "/" => "text/html; charset=utf-8",
            None if path == "/history" => "application/octet-stream",
            None => "text/plain; version=0.0.4; charset=utf-8",
            Some((_, "json")) => "application/json",
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, _)) => "text/css; charset=utf-8",
        };
        assert_eq!(header(&response, &CONTENT_TYPE), media_type, "{path}");
    }
}

/// A browser that has a file is sent nothing, and what it is sent is small: the whole first screen in one go over a slow line.
#[tokio::test]
async fn files_are_compressed_and_sent_once() {
    const FIRST_PAINT_BYTES: usize = 150_000;
    let (_recorder, exporter) = exporter(Config::default());
    let server = exporter.serve().await.unwrap();
    let page = format!("http://{}", server.local_addr());
    let ask = |path: &str, name: HeaderName, value: String| {
        let asked = Client::new().get(format!("{page}/{path}"));
        asked.header(name, value).send()
    };
    let index = ask("", ACCEPT_ENCODING, "gzip".into()).await.unwrap();
    assert_eq!(header(&index, &CONTENT_ENCODING), "gzip");
    let mut first_paint = index.bytes().await.unwrap().len();
    for path in files() {
        let path = path.as_str();
        let plain = ask(path, ACCEPT_ENCODING, "identity".into()).await.unwrap();
        assert_eq!(plain.headers().get(CONTENT_ENCODING), None, "{path}");
        let tag = header(&plain, &ETAG).to_owned();
        let plain = plain.bytes().await.unwrap();
        let packed = ask(path, ACCEPT_ENCODING, "gzip".into()).await.unwrap();
        assert_eq!(header(&packed, &CONTENT_ENCODING), "gzip", "{path}");
        assert_eq!(header(&packed, &VARY), "accept-encoding", "{path}");
        let packed = packed.bytes().await.unwrap();
        first_paint += packed.len();
        let mut unpacked = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(&packed[..]);
        decoder.read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == plain, "{path}");

        for known in [tag.clone(), format!("\"other\", W/{tag}")] {
            let again = ask(path, IF_NONE_MATCH, known).await.unwrap();
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
            assert_eq!(again.bytes().await.unwrap().len(), 0, "{path}");
        }
        let other = ask(path, IF_NONE_MATCH, "\"other\"".into()).await.unwrap();
        assert_eq!(other.status(), StatusCode::OK, "{path}");
    }
    assert!(first_paint < FIRST_PAINT_BYTES, "{first_paint}");
}

/// Every file that the page may load.
fn files() -> Vec<String> {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../obs-page/src/assets");
    let names = assets.read_dir().unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let own = names.filter(|name| name != "index.html" && name != "package.json");
    let vendored = ["uPlot.js", "uPlot.css"].map(String::from);
    own.chain(vendored)
        .map(|name| format!("page/{name}"))
        .collect()
}

/// What the policy forbids is not there in the first place, and every file that the document names is served.
#[tokio::test]
async fn the_document_names_files_and_runs_nothing_of_its_own() {
    let (_recorder, exporter) = exporter(Config::default());
    let server = exporter.serve().await.unwrap();
    let page = format!("http://{}", server.local_addr());
    let text = ask(format!("{page}/"), None).await.text().await.unwrap();
    let lower = text.to_lowercase();
    for inline in [
        "style=",
        "<style",
        " onclick",
        " onload",
        "javascript:",
        "http://",
        "https://",
    ] {
        assert!(!lower.contains(inline), "{inline} in {text}");
    }
    let scripts = lower.matches("<script").count();
    assert_eq!(scripts, lower.matches("<script src=\"").count(), "{text}");
    let mut files = 0;
    for part in text.split(['"']).filter(|part| part.starts_with("page/")) {
        let response = ask(format!("{page}/{part}"), None).await;
        assert_eq!(response.status(), StatusCode::OK, "{part}");
        files += 1;
    }
    assert!(files > scripts, "{text}");
}

#[tokio::test]
async fn without_scripts_there_is_a_table_of_families() {
    let builder = Exporter::builder(obs_exporter::app_info!())
        .config(Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            service: Some("<i>desk</i>".into()),
            ..Config::default()
        })
        .catalogue(Catalogue::of(&[Kinds::FAMILIES]));
    let (_recorder, exporter) = builder.build().unwrap();
    let server = exporter.serve().await.unwrap();
    let page = ask(format!("http://{}/", server.local_addr()), None).await;
    let page = page.text().await.unwrap();
    let (_, plain) = page.split_once("<noscript>").unwrap();
    for row in [
        "<a href=\"metrics\">",
        "<a href=\"healthz\">",
        "<tr><td><code>page_trades_total</code></td><td>counter</td>\
         <td>Trades; &quot;quoted&quot; &amp; &lt;b&gt;marked&lt;/b&gt;.</td></tr>",
        "<tr><td><code>page_took_seconds</code></td><td>summary</td><td>How long they took.</td></tr>",
    ] {
        assert!(plain.contains(row), "{row} is not in {plain}");
    }
    assert!(
        page.contains("<title>&lt;i&gt;desk&lt;/i&gt;</title>"),
        "{page}"
    );
    assert!(!page.contains("<i>") && !page.contains("{{"), "{page}");
}

#[tokio::test]
async fn the_page_asks_for_the_credentials_of_metrics() {
    let (_recorder, exporter) = exporter(Config {
        basic_auth: Some(Secret::new("scraper:pw")),
        ..Config::default()
    });
    let server = exporter.serve().await.unwrap();
    for path in PATHS {
        let url = format!("http://{}{path}", server.local_addr());
        let status = ask(url.clone(), None).await.status();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
        let wrong = ask(url.clone(), Some("Basic d3Jvbmc6d3Jvbmc=")).await;
        assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED, "{path}");
        let right = ask(url, Some("Basic c2NyYXBlcjpwdw==")).await;
        assert_eq!(right.status(), StatusCode::OK, "{path}");
    }
    assert_eq!(refused(&exporter, "no_credential"), PATHS.len() as u64);
    assert_eq!(refused(&exporter, "wrong_credential"), PATHS.len() as u64);

    let (_recorder, exporter) = common::exporter(Config {
        allow_from: vec!["192.0.2.0/24".parse().unwrap()],
        ..Config::default()
    });
    let server = exporter.serve().await.unwrap();
    for path in PATHS {
        let response = ask(format!("http://{}{path}", server.local_addr()), None).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn turned_off_there_are_links_and_nothing_else() {
    let (_recorder, exporter) = exporter(Config {
        page: false,
        ..Config::default()
    });
    let server = exporter.serve().await.unwrap();
    let page = format!("http://{}", server.local_addr());
    let index = ask(format!("{page}/"), None).await.text().await.unwrap();
    assert!(index.contains("href=\"metrics\""), "{index}");
    assert!(!index.contains("script"), "{index}");
    for path in &PATHS[1..] {
        let response = ask(format!("{page}{path}"), None).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn viewers_share_a_rendering_and_scrapes_do_not() {
    let (_recorder, exporter) = exporter(Config::default());
    let renderings = count_renderings(&exporter);
    let server = exporter.serve().await.unwrap();
    let live = format!("http://{}/live", server.local_addr());
    // More than there are places for scrapes: who waits for another's rendering takes none.
    let viewers = |count: usize| {
        let asked = (0..count).map(|_| tokio::spawn(ask(live.clone(), None)));
        asked.collect::<Vec<_>>()
    };
    assert_eq!(renderings.load(Ordering::SeqCst), 0, "nobody looks yet");

    let mut seen = Vec::new();
    let mut asked = 0;
    // However long they take: as many renderings as there are different ones, a second apart.
    for _ in 0..5 {
        for viewer in viewers(4) {
            let response = viewer.await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            seen.push(header(&response, &AT).to_owned());
            asked += 1;
        }
    }
    seen.sort();
    seen.dedup();
    let shared = renderings.load(Ordering::SeqCst);
    assert_eq!(shared, seen.len());
    assert!(shared < asked, "{shared} renderings for {asked}");
    let times: Vec<f64> = seen.iter().map(|at| at.parse().unwrap()).collect();
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] > 0.99, "{times:?}");
    }

    for more in 1..=3 {
        let metrics = format!("http://{}/metrics", server.local_addr());
        assert_eq!(ask(metrics, None).await.status(), StatusCode::OK);
        assert_eq!(renderings.load(Ordering::SeqCst), shared + more);
    }
}

#[tokio::test]
async fn a_rendering_tells_its_age_and_gives_way_to_the_next() {
    let (recorder, exporter) = exporter(Config::default());
    let counter = metrics::with_local_recorder(&recorder, || metrics::counter!("seen_total"));
    let server = exporter.serve().await.unwrap();
    let live = format!("http://{}/live", server.local_addr());
    let value = |text: &str| obs_exposition::parse(text).unwrap().sum("seen_total", &[]);

    counter.increment(1);
    let first = ask(live.clone(), None).await;
    let at = seconds(&first, &AT);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    assert!(
        at <= now.as_secs_f64() && seconds(&first, &AGE) < 1.0,
        "{at}, {now:?}"
    );
    assert_eq!(value(&first.text().await.unwrap()), Some(1.0));

    counter.increment(1);
    let mut next = ask(live.clone(), None).await;
    while seconds(&next, &AT) <= at {
        let wait = 1.0 - seconds(&next, &AGE);
        tokio::time::sleep(Duration::from_secs_f64(wait.max(0.0))).await;
        next = ask(live.clone(), None).await;
    }
    assert_eq!(value(&next.text().await.unwrap()), Some(2.0));
}

#[tokio::test]
async fn a_rendering_is_sent_compressed_to_those_who_take_it() {
    let (_recorder, exporter) = exporter(Config::default());
    let server = exporter.serve().await.unwrap();
    let live = format!("http://{}/live", server.local_addr());
    let request = Client::new().get(&live).header(ACCEPT_ENCODING, "gzip");
    let gzipped = request.send().await.unwrap();
    assert_eq!(header(&gzipped, &CONTENT_ENCODING), "gzip");
    let gzipped = gzipped.bytes().await.unwrap();
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&gzipped[..]);
    std::io::Read::read_to_string(&mut decoder, &mut text).unwrap();
    obs_exposition::parse(&text).unwrap();

    let plain = ask(live, None).await;
    assert_eq!(plain.headers().get(CONTENT_ENCODING), None);
    obs_exposition::parse(&plain.text().await.unwrap()).unwrap();
}

#[tokio::test]
async fn a_viewer_beyond_the_places_is_asked_to_come_again() {
    let (_recorder, exporter) = exporter(Config {
        max_scrapes: 1,
        ..Config::default()
    });
    let (started, has_started) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let hook = std::sync::Mutex::new(Some((started, may_go_on)));
    exporter.on_scrape(move || {
        if let Some((started, may_go_on)) = hook.lock().unwrap().take() {
            started.send(()).unwrap();
            may_go_on.recv().unwrap();
        }
    });
    let server = exporter.serve().await.unwrap();
    let page = format!("http://{}", server.local_addr());
    let scrape = tokio::spawn(ask(format!("{page}/metrics"), None));
    tokio::task::spawn_blocking(move || has_started.recv().unwrap())
        .await
        .unwrap();
    let refused_one = ask(format!("{page}/live"), None).await;
    assert_eq!(refused_one.status(), StatusCode::SERVICE_UNAVAILABLE);
    go_on.send(()).unwrap();
    assert_eq!(scrape.await.unwrap().status(), StatusCode::OK);
    assert_eq!(refused(&exporter, "busy"), 1);
}

#[tokio::test]
async fn catalog_json_says_what_the_catalogue_says() {
    let catalogue = Catalogue::of(&[Kinds::FAMILIES]);
    let builder = Exporter::builder(obs_exporter::app_info!())
        .config(Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            environment: Some("test".into()),
            ..Config::default()
        })
        .catalogue(catalogue.clone());
    let (_recorder, exporter) = builder.build().unwrap();
    let server = exporter.serve().await.unwrap();
    let json = ask(format!("http://{}/catalog.json", server.local_addr()), None).await;
    let json: Value = serde_json::from_str(&json.text().await.unwrap()).unwrap();

    assert_eq!(json["schema"], 2);
    assert_eq!(json["warnings"], json!([]));
    assert_eq!(json["service"], env!("CARGO_PKG_NAME"));
    assert_eq!(json["environment"], "test");
    assert_eq!(json["mode"], Value::Null);
    assert_eq!(json["app"]["version"], env!("CARGO_PKG_VERSION"));

    let told = json["families"].as_array().unwrap();
    let whole = Catalogue::join([obs_exporter::catalogue().unwrap(), catalogue]).unwrap();
    assert_eq!(told.len(), whole.families().len());
    let groups: Vec<_> = json["groups"].as_array().unwrap().iter().collect();
    for (told, family) in told.iter().zip(whole.families()) {
        let text = |value: &str| Value::from(value);
        let numbers = |numbers: &[f64]| Value::from(numbers.to_vec());
        assert_eq!(told["name"], text(family.name()));
        assert_eq!(told["crate"], text(family.package()));
        assert_eq!(told["kind"], text(family.kind().as_str()));
        assert_eq!(told["unit"], text(family.measured_in().as_str()));
        assert_eq!(told["help"], text(&family.help()));
        assert_eq!(told["buckets"], numbers(family.bucket_bounds()));
        assert_eq!(told["quantiles"], numbers(family.quantile_levels()));
        assert_eq!(told["budget"], Value::from(family.series_budget()));
        let observes = matches!(family.kind(), Kind::Histogram | Kind::Summary);
        assert_eq!(told["range"].is_array(), observes, "{}", family.name());
        assert!(
            groups.iter().any(|group| group["id"] == told["group"]),
            "{told}"
        );
        let labels = told["labels"].as_array().unwrap();
        assert_eq!(labels.len(), family.labels().count());
        for (label, declared) in labels.iter().zip(family.labels()) {
            assert_eq!(label["key"], text(declared.key));
            assert_eq!(label["help"], text(&declared.help()));
            match declared.values {
                Values::Closed(values) => assert_eq!(label["values"], Value::from(values.to_vec())),
                Values::Open(limit) => assert_eq!(label["limit"], Value::from(limit)),
            }
        }
    }
    let size = told
        .iter()
        .find(|family| family["name"] == "page_size_ratio");
    assert_eq!(size.unwrap()["range"], Value::from(vec![0.0, 1.0]));
}

#[tokio::test]
async fn catalog_json_has_groups_with_their_figures() {
    let builder = Exporter::builder(obs_exporter::app_info!())
        .config(Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            ..Config::default()
        })
        .catalogue(Catalogue::of(&[Kinds::FAMILIES]));
    let (_recorder, exporter) = builder.build().unwrap();
    let server = exporter.serve().await.unwrap();
    let told = ask(format!("http://{}/catalog.json", server.local_addr()), None).await;
    let told: Value = serde_json::from_str(&told.text().await.unwrap()).unwrap();

    let groups = told["groups"].as_array().unwrap();
    let titles: Vec<_> = groups.iter().map(|group| &group["title"]).collect();
    assert_eq!(titles, ["Of the page", "System", "Errors", "Metrics"]);
    assert_eq!(groups[0]["id"], "of-the-page");
    assert_eq!(groups[0]["rank"], 0);
    let sum = json!({ "read": "sum", "families": ["page_trades_total"] });
    let rate = json!({ "read": "rate", "families": ["page_trades_total"] });
    let figure = |title: &str, more: Value| {
        let mut figure = json!({
            "title": title, "rank": 0, "facts": [], "trend": null, "worse": null, "alarms": [], "zoomed": false,
        });
        figure
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        figure
    };
    assert_eq!(
        groups[0]["figures"],
        json!([
            figure(
                "Trades",
                json!({
                    "shows": "value", "value": rate, "worse": "up",
                    "facts": [
                        { "name": "sold", "value": { "read": "sum", "families": ["page_trades_total"], "labels": { "side": "sell" } } },
                        { "name": "best symbol", "value": { "read": "where_most", "families": ["page_trades_total"], "label": "symbol" } },
                    ],
                    "alarms": [{ "value": rate, "is": "at_least", "than": 9.5 }],
                })
            ),
            figure(
                "Size",
                json!({ "shows": "quantiles", "family": "page_size_ratio", "levels": [0.5, 0.99] })
            ),
            figure(
                "Symbols",
                json!({ "shows": "table", "by": "symbol", "columns": [{ "name": "trades", "value": sum }] })
            ),
            figure(
                "Sides",
                json!({ "shows": "log", "family": "page_trades_total", "label": "side", "rank": 7 })
            ),
            figure(
                "Booked",
                json!({ "shows": "bar", "value": sum, "limit": { "read": "constant", "number": 500.0 } })
            ),
            figure(
                "Sold",
                json!({
                    "shows": "ratio", "value": sum, "of": { "read": "series", "families": ["page_trades_total"] },
                    "trend": { "read": "quantile", "families": ["page_size_ratio"], "level": 0.9 },
                })
            ),
        ])
    );
    // Whatever runs has a first screen.
    let system: Vec<_> = groups[1]["figures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|figure| &figure["title"])
        .collect();
    assert_eq!(system, ["Processor", "Memory", "File descriptors"]);
}
