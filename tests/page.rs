//! The live page, in a real browser, on a running desk and on services that mean it harm.

mod browser;

use std::collections::BTreeMap;
use std::process::Command;

use browser::Browser;
use fantoccini::wd::WindowHandle;
use metrics::Recorder;
use obs_core::{
    Alarm, By, Catalogue, Counter, Figure, Gauge, Histogram, Reading, Unit, Worse, buckets,
};
use obs_exporter::{Config, Exporter};
use obs_tests::{Desk, scrape};
use serde_json::{Value, json};

obs_core::label! {
    /// A market.
    enum Venue as "venue" { Xnas = "xnas", Arca = "arca" }
}
obs_core::families! {
    group "Quoting" {
        Figure::rate("Quotes", Quoter::quotes)
            .facts(&[("on arca", Reading::sum(Quoter::quotes).with(&[("venue", "arca")]))]),
        Figure::quantiles("Tick to quote", Quoter::reaction).worse(Worse::Up),
        Figure::bar("Book", Reading::sum(Quoter::open), Reading::constant(500.0))
            .alarms(&[Alarm::at_least(Reading::sum(Quoter::open), 450.0)]),
        Figure::table("Venues", "venue", &[
            ("quotes", Reading::sum(Quoter::quotes)),
            ("open", Reading::sum(Quoter::open)),
        ]),
        Figure::log("Halts", Quoter::halts, "venue"),
    }

    /// A program of another team.
    struct Quoter {
        /// Quotes sent.
        quotes: By<Venue, Counter> = "quoter_quotes_total",
        /// Quotes in the book.
        open: By<Venue, Gauge> = "quoter_quotes_open",
        /// Time from a tick to the quote that answers it.
        reaction: Histogram = "quoter_reaction_duration_seconds" { buckets: buckets::LATENCY },
        /// Halts of trading.
        halts: By<Venue, Counter> = "quoter_halts_total",
    }
}

obs_core::families! {
    group "Hedging" { Figure::rate("Hedges", Hedger::hedges) }

    /// The same program, later.
    struct Hedger {
        /// Hedges sent.
        hedges: Counter = "quoter_hedges_total",
    }
}

/// Each tile with a chart, and how many points that holds.
const TILES: &str = "[...document.querySelectorAll('.tile:not(.tabular, .parted)')].map((tile) => \
    [tile.querySelector('h3').textContent, Number(tile.dataset.points)])";

#[test]
fn the_scripts_do_what_they_say() {
    let folder = obs_tests::tools::workspace().join("tests/page");
    let files = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|end| end == "mjs"))
        .collect();
    assert!(!files.is_empty(), "no tests in {}", folder.display());
    let output = Command::new("node").arg("--test").args(files).output();
    let output = output
        .unwrap_or_else(|error| panic!("cannot run node: {error}; install Node.js 20 or later"));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}

#[test]
fn the_chart_library_is_what_was_published() {
    let folder = obs_tests::tools::workspace().join("crates/obs-page/src/vendor");
    let mut check = Command::new("sha256sum");
    let check = check
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(folder);
    let output = check.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches(": OK").count(), 3, "{said}");
}

#[tokio::test]
async fn the_desk_is_seen_at_a_glance() {
    let desk = Desk::start("20ms").unwrap();
    let browser = Browser::start().await;
    let page = format!("http://{}/", desk.address());
    browser.open(&page).await;

    let tiles: Vec<(String, usize)> = browser
        .until(&format!(
            "{TILES}.length > 0 && {TILES}.every(([, points]) => points > 2) && {TILES}"
        ))
        .await;
    let shown: Vec<_> = tiles.iter().map(|(title, _)| title.as_str()).collect();
    for title in [
        "Portfolio value",
        "Realised profit and loss",
        "Drawdown",
        "Orders",
        "Rejections",
        "API latency",
        "Errors",
    ] {
        assert!(shown.contains(&title), "no {title} in {shown:?}");
    }
    let state: String = browser
        .run("return document.getElementById('state-text').textContent")
        .await;
    assert!(state.starts_with("Up "), "{state}");
    // Every chart on the first screen has been drawn on; drawdown has one of its own below equity.
    let drawn: Vec<bool> = browser
        .run(
            "return [...document.querySelectorAll('.tile canvas')].map((canvas) => \
             canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte > 0))",
        )
        .await;
    assert!(
        drawn.len() == tiles.len() + 1 && drawn.iter().all(|drawn| *drawn),
        "{drawn:?}"
    );

    values_are_those_of_a_scrape(&browser, &desk).await;
    what_is_shown_of_histograms(&browser).await;
    nothing_is_asked_of_others(&browser, &page).await;
    desk.stop().unwrap();
}

#[tokio::test]
async fn a_replay_that_is_over_begins_anew_and_says_how_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let bars = folder.path().join("wave.csv");
    write_bars(&bars);
    let mut desk = Desk::repeat(&bars, "2ms").unwrap();
    desk.begun_anew().unwrap();
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", desk.address())).await;

    let tile = "[...document.querySelectorAll('.tile')].find((tile) => tile.querySelector('h3').textContent";
    let date: String = browser
        .until(&format!(
            "/^2020-/.test({tile} === 'Replay')?.querySelector('.figure').textContent) && \
             {tile} === 'Replay').querySelector('.figure').textContent"
        ))
        .await;
    assert!(
        ("2020-01-01".."2020-05-01").contains(&date.as_str()),
        "{date}"
    );
    let rows: Vec<Vec<String>> = browser
        .run(&format!(
            "return [...{tile} === 'How the last replay ended').querySelectorAll('tbody tr')] \
             .map((row) => [...row.children].map((cell) => cell.textContent))"
        ))
        .await;
    let strategies: Vec<_> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(strategies, ["ma_crossover", "manual", "mean_reversion"]);
    assert!(rows.iter().flatten().all(|text| text != "–"), "{rows:?}");

    // Nothing stands still: it goes on from one replay to the next, and each makes what the one before made.
    let last = |desk: &Desk| {
        let metrics = obs_exposition::parse(&scrape(desk.metrics()).unwrap()).unwrap();
        let sum = |name| metrics.sum(name, &[]).unwrap();
        (
            sum("desk_replays_ended_total"),
            sum("trading_orders_total"),
            sum("desk_replay_last_trades"),
        )
    };
    let (ended, orders, trades) = last(&desk);
    // What it said before it was looked at comes first. The replay that is under way may have sent all of its orders already.
    let later = loop {
        desk.begun_anew().unwrap();
        let later = last(&desk);
        if later.0 > ended + 1.0 {
            break later;
        }
    };
    assert!(later.1 > orders, "{orders} {later:?}");
    assert!(
        trades > 0.0 && (later.2 - trades).abs() < 0.5,
        "{trades} {later:?}"
    );
    desk.stop().unwrap();
}

/// A hundred days on which the price swings between 90 and 110.
fn write_bars(path: &std::path::Path) {
    let days = (0..100).map(|day| {
        let (month, of_month) = (1 + day / 28, 1 + day % 28);
        let close = 100.0 + 10.0 * f64::from(day).sin();
        format!("2020-{month:02}-{of_month:02},{close},111,89,{close},1000000\n")
    });
    let text = "date,open,high,low,close,volume\n".to_owned() + &days.collect::<String>();
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
async fn a_page_that_is_opened_late_or_loaded_anew_has_what_was_before() {
    let desk = Desk::start("20ms").unwrap();
    // The process was there for a while before anybody looked.
    let age = || {
        let metrics = obs_exposition::parse(&scrape(desk.metrics()).unwrap()).unwrap();
        metrics.sum("app_uptime_seconds", &[]).unwrap()
    };
    while age() < 18.0 {}
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", desk.address())).await;
    let tile = "[...document.querySelectorAll('.tile')].find((tile) => tile.querySelector('h3').textContent === 'Portfolio value')";
    let (points, samples): (u64, u64) = browser
        .until(&format!(
            "{tile}?.dataset.points && [Number({tile}.dataset.points), Number(document.documentElement.dataset.samples)]"
        ))
        .await;
    assert!(
        points >= samples + 4,
        "{points} points after {samples} samples"
    );
    // Without anybody choosing, a figure shows what was before, and a card no more time than there is something of.
    show(&browser, "document.querySelector('.card')").await;
    let [figure, card]: [f64; 2] = browser
        .until(
            "((plots) => plots.every((plot) => plot?.drawing?.track) && plots.map(({ drawing }) => \
             drawing.plot.scales.x.max - drawing.plot.scales.x.min))( \
             [document.querySelector('.tile .plot'), document.querySelector('.card .plot')])",
        )
        .await;
    assert!(figure > card, "{figure} s of a figure, {card} s of a card");

    let kept = "Number(document.documentElement.dataset.kept)";
    let before: u64 = browser.until(&format!("{kept} >= 5 && {kept}")).await;
    browser.client.refresh().await.unwrap();
    let after: u64 = browser.until(&format!("{kept} && {kept}")).await;
    assert!(after >= before, "{after} after {before}");
    // Of everything, not of the figures alone.
    let card = "document.querySelector('[data-family=trading_signals_total] .facet')";
    show(
        &browser,
        "document.querySelector('[data-family=trading_signals_total]')",
    )
    .await;
    let points: u64 = browser
        .until(&format!("Number({card}?.dataset.points)"))
        .await;
    assert!(points >= after, "{points} of {after}");
    let buttons: Vec<String> = browser
        .run("return [...document.querySelectorAll('[data-span]')].map((button) => button.textContent)")
        .await;
    assert_eq!(buttons, ["Auto", "1 min", "5 min", "15 min", "1 h", "24 h"]);
    assert_eq!(browser.log().await, [Value::Null; 0]);
    desk.stop().unwrap();
}

#[tokio::test]
async fn one_metric_is_shown_on_the_whole_window() {
    let desk = Desk::start("20ms").unwrap();
    let browser = Browser::start().await;
    let page = format!("http://{}/", desk.address());
    browser.open(&page).await;
    let name = "trading_signals_total";
    browser
        .until::<bool>(&format!(
            "Number(document.documentElement.dataset.samples) > 3 && document.querySelector('[data-family={name}] .opens') !== null"
        ))
        .await;
    let look = || obs_exposition::parse(&scrape(desk.metrics()).unwrap()).unwrap();
    let before = look().sum(name, &[]).unwrap();
    browser
        .run::<Value>(&format!(
            "document.querySelector('[data-family={name}] .opens').click()"
        ))
        .await;
    let rows = "[...document.querySelectorAll('.sheet-table tbody tr')]";
    let seen: u64 = browser
        .until(&format!("document.getElementById('sheet').open && {rows}.length && Number(document.documentElement.dataset.samples)"))
        .await;
    // What the table counts lies between two scrapes around it.
    let total: f64 = browser
        .until(&format!(
            "Number(document.documentElement.dataset.samples) > {} && \
             {rows}.reduce((sum, row) => sum + Number(row.lastChild.textContent.replaceAll(',', '')), 0)",
            seen + 1
        ))
        .await;
    let after = look().sum(name, &[]).unwrap();
    assert!(
        before <= total && total <= after,
        "{before}, then {total}, then {after}"
    );

    filtered_and_sorted(&browser, name).await;
    paused_and_zoomed(&browser).await;
    pinned(&browser, name, &page).await;
    // A link to a histogram, told apart by its endpoint, with its heat.
    browser
        .open(&format!(
            "{page}?metric=http_request_duration_seconds&by=endpoint&log=1"
        ))
        .await;
    let lines: Vec<String> = browser
        .until(
            "document.querySelectorAll('.sheet-legend li').length > 1 && \
             [...document.querySelectorAll('.sheet-legend li span:nth-child(2)')].map((name) => name.textContent)",
        )
        .await;
    assert!(lines.iter().any(|line| line == "/orders"), "{lines:?}");
    let meaning: String = browser
        .run("return document.querySelector('.meaning').textContent")
        .await;
    for told in [
        "histogram",
        "seconds",
        "Buckets up to",
        "Label endpoint",
        "Budget",
    ] {
        assert!(meaning.contains(told), "no {told} in {meaning}");
    }
    browser
        .until::<bool>(
            "[...document.querySelectorAll('.sheet-strip canvas, .sheet-plot canvas')].every((canvas) => \
             canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte > 0))",
        )
        .await;
    assert_eq!(browser.log().await, [Value::Null; 0]);
    desk.stop().unwrap();
}

async fn filtered_and_sorted(browser: &Browser, name: &str) {
    let chip = |text: &str| {
        format!(
            "[...document.querySelectorAll('.label-chips .chip')].find((chip) => chip.textContent === '{text}')"
        )
    };
    for text in ["by signal", "ma_crossover"] {
        browser
            .run::<Value>(&format!("{}.click()", chip(text)))
            .await;
    }
    let (query, lines): (String, Vec<String>) = browser
        .run(
            "return [document.querySelector('.query').value, \
             [...document.querySelectorAll('.sheet-legend li span:nth-child(2)')].map((name) => name.textContent).sort()]",
        )
        .await;
    assert_eq!(
        query,
        format!("sum by (signal) (rate({name}{{strategy=\"ma_crossover\"}}[5m]))")
    );
    assert_eq!(lines, ["buy", "exit", "hold", "sell"]);
    browser
        .run::<Value>("[...document.querySelectorAll('.sheet-table th button')].find((button) => button.textContent === 'total').click()")
        .await;
    let (order, totals): (String, Vec<f64>) = browser
        .run(
            "return [document.querySelector('.sheet-table th:last-child').ariaSort, \
             [...document.querySelectorAll('.sheet-table tbody tr')].map((row) => Number(row.lastChild.textContent.replaceAll(',', '')))]",
        )
        .await;
    assert_eq!(order, "descending");
    assert!(totals.iter().rev().is_sorted(), "{totals:?}");
    let address: String = browser.run("return location.search").await;
    let address: BTreeMap<_, _> =
        url::form_urlencoded::parse(address.trim_start_matches('?').as_bytes())
            .into_owned()
            .collect();
    assert_eq!(address["metric"], name);
    assert_eq!(address["by"], "signal");
    assert_eq!(address["where"], r#"[["strategy","ma_crossover"]]"#);
}

async fn paused_and_zoomed(browser: &Browser) {
    // Escape closes the sheet, p holds everything still.
    browser.press("\u{e00c}").await;
    browser
        .until::<bool>(
            "!document.getElementById('sheet').open && !location.search.includes('metric')",
        )
        .await;
    browser
        .run::<Value>("scrollTo({ top: 0, behavior: 'instant' })")
        .await;
    browser.press("p").await;
    browser
        .until::<bool>("document.getElementById('pause').ariaPressed === 'true' && location.search.includes('from=')")
        .await;
    let tiles =
        "[...document.querySelectorAll('.tile .main')].map((tile) => tile.textContent).join()";
    let (still, samples): (String, u64) = browser
        .run(&format!(
            "return [{tiles}, Number(document.documentElement.dataset.samples)]"
        ))
        .await;
    let later: String = browser
        .until(&format!(
            "Number(document.documentElement.dataset.samples) > {} && {tiles}",
            samples + 2
        ))
        .await;
    assert_eq!(still, later);
    let span = "(() => { const at = new URLSearchParams(location.search); return at.get('to') - at.get('from'); })()";
    let before: f64 = browser.run(&format!("return {span}")).await;
    // Dragging over the middle half of a chart.
    browser
        .run::<Value>(
            "const over = document.querySelector('.tile .u-over');
             const box = over.getBoundingClientRect();
             const at = (type, share, target) => target.dispatchEvent(new MouseEvent(type, { bubbles: true, button: 0,
               clientX: box.left + box.width * share, clientY: box.top + 20, movementX: 5, movementY: 0 }));
             at('mouseenter', 0.25, over); at('mousemove', 0.25, over); at('mousedown', 0.25, over);
             at('mousemove', 0.75, over); at('mouseup', 0.75, document);",
        )
        .await;
    let after: f64 = browser.until(&format!("{span} < {before} && {span}")).await;
    assert!(
        (after / before - 0.5).abs() < 0.05,
        "{before} became {after}"
    );
    moved_in_time(browser).await;
    browser.press("p").await;
    browser
        .until::<bool>(&format!(
            "!location.search.includes('from=') && {tiles} !== {}",
            json!(still)
        ))
        .await;
}

/// Half and twice the time with `+` and `-`, a quarter back and forth with the arrows: in the address, and on every chart.
async fn moved_in_time(browser: &Browser) {
    let stretch = "((at) => [Number(at.get('from')), Number(at.get('to'))])(new URLSearchParams(location.search))";
    let mut seen: [f64; 2] = browser.run(&format!("return {stretch}")).await;
    for (key, from, to) in [
        ("-", -1.0, 1.0),
        ("+", 0.5, 1.0),
        // Arrow left and right.
        ("\u{e012}", -0.25, 0.75),
        ("\u{e014}", 0.25, 1.25),
    ] {
        let span = seen[1] - seen[0];
        let wanted = [seen[0] + from * span, seen[0] + to * span];
        browser.press(key).await;
        // The address has tenths of seconds.
        let drawn: [f64; 2] = browser
            .until(&format!(
                "((drawn) => drawn && Math.abs(drawn.min - {}) < 0.2 && Math.abs(drawn.max - {}) < 0.2 && {stretch})( \
                 document.querySelector('.tile .plot').drawing?.plot.scales.x)",
                wanted[0], wanted[1]
            ))
            .await;
        assert!(
            drawn
                .iter()
                .zip(wanted)
                .all(|(drawn, wanted)| (drawn - wanted).abs() < 0.2),
            "{key}: {drawn:?} instead of {wanted:?}"
        );
        seen = drawn;
    }
}

async fn pinned(browser: &Browser, name: &str, page: &str) {
    browser
        .run::<Value>(&format!(
            "document.querySelector('[data-family={name}] .opens').click()"
        ))
        .await;
    browser
        .run::<Value>("[...document.querySelectorAll('.sheet-head .chip')].find((chip) => chip.textContent.startsWith('Pin')).click()")
        .await;
    browser.open(page).await;
    let shown: Vec<String> = browser
        .until(
            "!document.getElementById('pinned').hidden && \
             [...document.querySelectorAll('#pinned-cards .card')].map((card) => card.dataset.family)",
        )
        .await;
    assert_eq!(shown, [name]);
}

/// Scrolls to an element, once there is one.
async fn show(browser: &Browser, element: &str) {
    browser
        .until::<bool>(&format!(
            "{element} !== null && ({element}.scrollIntoView({{ behavior: 'instant' }}), true)"
        ))
        .await;
}

/// A counter that the page shows lies between two scrapes around it; what does not move is the same.
async fn values_are_those_of_a_scrape(browser: &Browser, desk: &Desk) {
    let name = "trading_signals_total";
    let look = || obs_exposition::parse(&scrape(desk.metrics()).unwrap()).unwrap();
    let before = look();
    let card = format!("document.querySelector('[data-family={name}]')");
    show(browser, &card).await;
    // Two more samples: the second was asked for after the scrape above.
    let seen: u64 = browser
        .run("return Number(document.documentElement.dataset.samples)")
        .await;
    let shown: String = browser
        .until(&format!(
            "Number(document.documentElement.dataset.samples) > {} && {card}.querySelector('.now').dataset.total",
            seen + 2
        ))
        .await;
    let after = look();
    let shown: f64 = shown.parse().unwrap();
    let (before, after) = (
        before.sum(name, &[]).unwrap(),
        after.sum(name, &[]).unwrap(),
    );
    assert!(
        before <= shown && shown <= after,
        "{before}, then {shown} shown, then {after}"
    );
    assert!(before < after, "the desk stands still at {before}");

    for name in ["process_start_time_seconds", "db_pool_connections_max"] {
        let card = format!("document.querySelector('[data-family={name}]')");
        show(browser, &card).await;
        let shown: String = browser
            .until(&format!("{card}.querySelector('.facet')?.dataset.values"))
            .await;
        let shown: Vec<f64> = serde_json::from_str(&shown).unwrap();
        assert_eq!(shown, [look().sum(name, &[]).unwrap()], "{name}");
    }
}

async fn what_is_shown_of_histograms(browser: &Browser) {
    let card = "document.querySelector('[data-family=http_request_duration_seconds]')";
    show(browser, card).await;
    let values: String = browser
        .until(&format!("{card}.querySelector('.facet')?.dataset.values"))
        .await;
    let quantiles: Vec<f64> = serde_json::from_str(&values).unwrap();
    assert_eq!(quantiles.len(), 3);
    assert!(quantiles[0] > 0.0 && quantiles.is_sorted(), "{quantiles:?}");
    let heat: bool = browser
        .until(&format!(
            "[...{card}.querySelectorAll('.strip canvas')].some((canvas) => \
             canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte > 0))"
        ))
        .await;
    assert!(heat);
    // No order was ever rested, so that nothing is known of how long that takes: that is not 0.
    let card = "document.querySelector('[data-family=redis_client_command_duration_seconds]')";
    if browser
        .run::<bool>(&format!("return {card} !== null"))
        .await
    {
        browser
            .run::<Value>(&format!("{card}.scrollIntoView({{ behavior: 'instant' }})"))
            .await;
        let text: String = browser
            .until(&format!("{card}.querySelector('.quantile b')?.textContent"))
            .await;
        assert_eq!(text, "–");
    }
}

async fn nothing_is_asked_of_others(browser: &Browser, page: &str) {
    let asked: Vec<String> = browser
        .run("return performance.getEntriesByType('resource').map(({ name }) => name)")
        .await;
    assert!(
        asked.iter().any(|name| name.ends_with("/page/uPlot.js")),
        "{asked:?}"
    );
    for name in asked {
        assert!(name.starts_with(page), "{name}");
    }
    // Violations of the policy would stand here, and errors of scripts.
    let log = browser.log().await;
    assert!(log.is_empty(), "{log:?}");
}

#[tokio::test]
async fn it_is_shown_in_light_and_dark_by_keyboard_and_on_a_phone() {
    let desk = Desk::start("20ms").unwrap();
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", desk.address())).await;
    browser
        .until::<bool>("document.querySelectorAll('.heading').length > 5")
        .await;

    let paper = "getComputedStyle(document.body).backgroundColor";
    let light: String = browser.run(&format!("return {paper}")).await;
    browser.prefer("dark").await;
    browser
        .until::<bool>(&format!(
            "{paper} !== '{light}' && document.getElementById('theme').ariaPressed === 'true'"
        ))
        .await;
    browser
        .run::<Value>("document.getElementById('theme').click()")
        .await;
    browser
        .until::<bool>(&format!("{paper} === '{light}'"))
        .await;
    browser.prefer("light").await;

    by_keyboard(&browser).await;

    browser.size(360, 740, 2).await;
    browser
        .until::<bool>("innerWidth === 360 && document.querySelectorAll('.uplot').length > 0")
        .await;
    let beyond: Vec<String> = browser
        .run(
            "return [...document.querySelectorAll('.top, .bar, .tile, .card, .facet, .plot, .heading, .foot')] \
             .filter((element) => element.getBoundingClientRect().right > 360) \
             .map((element) => element.className)",
        )
        .await;
    assert_eq!(beyond, [""; 0]);
    let width: u32 = browser
        .run("return document.documentElement.scrollWidth")
        .await;
    assert_eq!(width, 360);
    on_a_phone(&browser).await;
    assert_eq!(browser.log().await, [Value::Null; 0]);
    desk.stop().unwrap();
}

/// What is opened on a phone has its groups closed, and a menu that says that there is more of it.
async fn on_a_phone(browser: &Browser) {
    browser.client.refresh().await.unwrap();
    let headings: Vec<bool> = browser
        .until(
            "document.querySelectorAll('.heading').length > 5 && document.querySelectorAll('.tile .uplot').length > 0 && \
             [...document.querySelectorAll('.heading')].map(({ ariaExpanded }) => ariaExpanded === 'true')",
        )
        .await;
    assert!(headings.iter().all(|is_open| !is_open), "{headings:?}");
    let nav = "document.getElementById('groups')";
    browser
        .until::<bool>(&format!("{nav}.matches('.more-behind:not(.more-before)')"))
        .await;
    browser
        .run::<Value>(&format!("{nav}.scrollLeft = {nav}.scrollWidth"))
        .await;
    browser
        .until::<bool>(&format!("{nav}.matches('.more-before:not(.more-behind)')"))
        .await;
    // A name has room beside its numbers; what has not scrolls.
    let names: Vec<(String, bool)> = browser
        .until(
            "((names) => names.length > 2 && names)([...document.querySelectorAll('.tile.broad tbody th')] \
             .map((name) => [name.textContent, name.scrollWidth <= name.clientWidth]))",
        )
        .await;
    assert!(names.iter().all(|(_, is_whole)| *is_whole), "{names:?}");
    // Families that said nothing are one line.
    browser
        .run::<Value>("document.querySelector('#group-trading .heading').click()")
        .await;
    let quiet: String = browser
        .until("((line) => line.checkVisibility() && line.textContent)(document.querySelector('#group-trading .silent'))")
        .await;
    assert!(quiet.contains(" without a value yet: "), "{quiet}");
}

async fn by_keyboard(browser: &Browser) {
    let focused = "document.activeElement.textContent";
    browser.press("j").await;
    let first: String = browser
        .until(&format!(
            "document.activeElement.matches('.heading') && {focused}"
        ))
        .await;
    // The desk's own group comes before those of libraries.
    assert!(first.starts_with("Replay"), "{first}");
    // Arrow down, arrow up; k and j do the same.
    for (key, title) in [
        ("\u{e015}", "API"),
        ("\u{e015}", "Trading"),
        ("\u{e013}", "API"),
        ("j", "Trading"),
        ("k", "API"),
        ("k", "Replay"),
    ] {
        browser.press(key).await;
        browser
            .until::<bool>(&format!("{focused}.startsWith('{title}')"))
            .await;
    }
    // Enter closes it and opens it again.
    for is_open in ["false", "true"] {
        browser.press("\u{e007}").await;
        browser
            .until::<bool>(&format!(
                "document.activeElement.ariaExpanded === '{is_open}'"
            ))
            .await;
    }
    let outline: String = browser
        .run("return getComputedStyle(document.activeElement).outlineStyle")
        .await;
    assert_eq!(outline, "solid", "the focus is to be seen");

    browser.press("/").await;
    browser
        .until::<bool>("document.activeElement.id === 'search'")
        .await;
    browser.press("portfolio drawdown").await;
    let found: String = browser
        .until("document.getElementById('found').textContent")
        .await;
    let shown: Vec<String> = browser
        .run("return [...document.querySelectorAll('.card')].map((card) => card.dataset.family)")
        .await;
    assert!(
        found.starts_with(&format!("{} of ", shown.len())),
        "{found}: {shown:?}"
    );
    assert!(
        shown.contains(&"portfolio_drawdown_ratio".to_owned()),
        "{shown:?}"
    );
    // Escape.
    browser.press("\u{e00c}").await;
    browser
        .until::<bool>("document.activeElement === document.body && document.getElementById('found').textContent === ''")
        .await;
    // Tab goes on from there, in the order of the document.
    browser.press("\u{e004}").await;
    browser
        .until::<bool>("document.activeElement.matches('.spans button')")
        .await;
}

obs_core::label! {
    /// What is limited.
    enum Limit as "limit" { Loss = "daily_loss", Size = "max_position" }
}
obs_core::label! {
    /// Why an order was refused.
    enum Reason as "reason" { Price = "price_limit", Exposure = "exposure_limit" }
}
obs_core::label! {
    /// What made money.
    enum Component as "component" { Trading = "trading", Fees = "fees", Interest = "interest" }
}
obs_core::families! {
    group "Book" {
        Figure::curve("Equity", Reading::sum(Book::equity), Reading::least(Book::drawdown))
            .marks(&[("fills", Book::fills)])
            .zoomed(),
        Figure::value("P/L", Reading::sum(Book::pnl).signed()).worse(Worse::Down).headline(),
        Figure::bars("Limits", "limit", Reading::sum(Book::used), Reading::sum(Book::allowed)),
        Figure::steps("Steps", &[("tick to order", Book::tick), ("order to fill", Book::fill)]),
        Figure::events("Events", &[("rejected", Book::rejected, "reason")]),
        Figure::parts("Bridge", Reading::sum(Book::part), "component"),
    }

    /// A book as its trader looks at it.
    struct Book {
        /// What it is worth.
        equity: Gauge = "book_equity" { unit: Unit::Currency },
        /// How far that is below its highest.
        drawdown: Gauge = "book_drawdown_ratio",
        /// Executions.
        fills: Counter = "book_fills_total",
        /// Profit and loss.
        pnl: Gauge = "book_pnl" { unit: Unit::Currency },
        /// What made it.
        part: By<Component, Gauge> = "book_pnl_part" { unit: Unit::Currency },
        /// What is used of a limit.
        used: By<Limit, Gauge> = "book_limit_used" { unit: Unit::Number },
        /// What it allows.
        allowed: By<Limit, Gauge> = "book_limit_allowed" { unit: Unit::Number },
        /// Time from a tick to an order.
        tick: Histogram = "book_tick_duration_seconds" { buckets: buckets::LATENCY },
        /// Time from an order to its fill.
        fill: Histogram = "book_fill_duration_seconds" { buckets: buckets::LATENCY },
        /// Orders refused.
        rejected: By<Reason, Counter> = "book_rejected_total",
    }
}

/// A tile of this title.
fn tile(title: &str) -> String {
    format!(
        "[...document.querySelectorAll('.tile')].find((tile) => tile.querySelector('h3').textContent === '{title}')"
    )
}

/// Name and text of each row of a tile.
async fn rows(browser: &Browser, title: &str) -> Vec<(String, String, String)> {
    browser
        .run(&format!(
            "return [...{}.querySelectorAll('.bar-row')].map((row) => \
             [row.children[0].textContent, row.children[1].textContent, row.querySelector('.filled span').style.width])",
            tile(title)
        ))
        .await
}

#[tokio::test]
async fn what_a_trader_looks_at_is_what_a_scrape_says() {
    let (recorder, exporter) = declaring(Some("book"), Catalogue::of(&[Book::FAMILIES]));
    let book = metrics::with_local_recorder(&recorder, Book::new);
    book.equity.set(1_012.5);
    book.drawdown.set(-0.125);
    book.pnl.set(12.5);
    book.part[Component::Trading].set(20.0);
    book.part[Component::Fees].set(-7.5);
    book.used[Limit::Loss].set(250.0);
    book.allowed[Limit::Loss].set(1_000.0);
    book.used[Limit::Size].set(40.0);
    book.allowed[Limit::Size].set(50.0);
    let server = exporter.serve().await.unwrap();
    let browser = Browser::start().await;
    browser
        .open(&format!("http://{}/", server.local_addr()))
        .await;
    browser
        .until::<bool>(&format!("Number({}?.dataset.points) > 1", tile("Equity")))
        .await;

    let said = obs_exposition::parse(&exporter.render()).unwrap();
    let of = |name: &str| said.sum(name, &[]).unwrap();
    let values: (String, String) = browser
        .run(&format!(
            "const tile = {}; return [tile.dataset.values, tile.querySelector('.under').dataset.values]",
            tile("Equity")
        ))
        .await;
    assert_eq!(values.0, format!("[{}]", of("book_equity")));
    assert_eq!(values.1, format!("[{}]", of("book_drawdown_ratio")));
    let title: String = browser
        .until("document.title !== 'book' && document.title")
        .await;
    assert_eq!(title, "+12.50 · book");
    let row =
        |name: &str, text: &str, width: &str| (name.to_owned(), text.to_owned(), width.to_owned());
    assert_eq!(
        rows(&browser, "Limits").await,
        [
            row("daily loss", "250 of 1,000", "25%"),
            row("max position", "40 of 50", "80%")
        ]
    );
    // What made nothing is no part; the others add up.
    assert_eq!(
        rows(&browser, "Bridge").await,
        [
            row("fees", "−7.50", "18.75%"),
            row("trading", "+20.00", "50%")
        ]
    );
    let rest = of("book_pnl") - of("book_pnl_part");
    assert!(rest.abs() < 1e-9, "{rest}");
    let icon = "document.getElementById('icon').getAttribute('href')";
    let calm: String = browser.run(&format!("return {icon}")).await;
    assert_eq!(calm, "page/icon.svg");

    book.tick.record(0.002);
    book.fill.record(0.2);
    book.fills.increment(1);
    book.rejected[Reason::Exposure].increment(2);
    book.used[Limit::Size].set(50.0);
    let events = format!("{}.querySelector('li')?.textContent", tile("Events"));
    let event: String = browser
        .until(&format!(
            "{events} && {icon} === 'page/icon-down.svg' && {events}"
        ))
        .await;
    assert!(event.ends_with("rejected ×2 exposure_limit"), "{event}");
    let time = event.chars().take(8).collect::<String>();
    assert!(time.split(':').count() == 3, "{event}");
    let steps = rows(&browser, "Steps").await;
    let quantile = |index: usize| &steps[index].1;
    assert!(
        quantile(0).starts_with("p50 ") && quantile(0).contains("ms"),
        "{steps:?}"
    );
    assert_eq!(
        steps[1].2, "100%",
        "the longest step fills its bar: {steps:?}"
    );
    let limits = rows(&browser, "Limits").await;
    assert_eq!(limits[1], row("max position", "50 of 50", "100%"));
    assert_eq!(browser.log().await, [Value::Null; 0]);
    server.shutdown().await;
}

obs_core::families! {
    /// What is observed within traces.
    struct Traced {
        /// Time to fill.
        fill: Histogram = "traced_fill_duration_seconds" { buckets: buckets::LATENCY, exemplars: true },
    }
}

/// The sheet of a histogram has the traces of its latest observations, and its query can be taken elsewhere.
#[tokio::test]
async fn a_sheet_leads_to_traces_and_to_prometheus() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static TRACE: AtomicU64 = AtomicU64::new(0xfeed_0001);
    obs_exporter::set_trace_id_source(|| {
        Some(u128::from(TRACE.load(Ordering::Relaxed)).to_be_bytes())
    });
    let (recorder, exporter) = declaring(None, Catalogue::of(&[Traced::FAMILIES]));
    let observed = metrics::with_local_recorder(&recorder, Traced::new);
    observed.fill.record(0.002);
    TRACE.store(0xfeed_0002, Ordering::Relaxed);
    observed.fill.record(0.5);
    let server = exporter.serve().await.unwrap();
    let browser = Browser::start().await;
    let allowed = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    browser.tell("Browser.grantPermissions", allowed).await;
    browser
        .tell(
            "Emulation.setFocusEmulationEnabled",
            json!({ "enabled": true }),
        )
        .await;
    let page = format!("http://{}/", server.local_addr());
    browser
        .open(&format!("{page}?metric=traced_fill_duration_seconds"))
        .await;
    let traces: Vec<String> = browser
        .until(
            "document.querySelectorAll('.traces code').length === 2 && \
             [...document.querySelectorAll('.traces li')].slice(1).map((line) => line.textContent)",
        )
        .await;
    let of = |trace: &str| traces.iter().find(|line| line.starts_with(trace)).unwrap();
    assert!(of(&format!("{:032x} 2.00", 0xfeed_0001_u64)).contains("ms at "));
    assert!(of(&format!("{:032x} 500", 0xfeed_0002_u64)).contains("ms at "));

    // What was copied is what the browser pastes.
    browser
        .until::<bool>(
            "((copy) => (window.asked ??= (copy.click(), true)) && copy.textContent === 'Copied')(document.querySelector('.sheet-query .chip'))",
        )
        .await;
    let copied = browser
        .client
        .execute_async(
            "const done = arguments[arguments.length - 1]; const look = () => navigator.clipboard.readText() \
             .then((text) => (text ? done(text) : requestAnimationFrame(look))); look();",
            Vec::new(),
        )
        .await
        .unwrap();
    assert_eq!(
        copied,
        "histogram_quantile(0.95, sum by (le) (rate(traced_fill_duration_seconds_bucket[5m])))"
    );
    assert_eq!(browser.log().await, [Value::Null; 0]);
    server.shutdown().await;
}

/// What the tiles of a page say: of each the texts of its rows, or of its figure and what stands below it.
type Tiles = BTreeMap<String, Vec<Vec<String>>>;

/// What the desk's own tiles say, beside the scrape that they say it of.
#[tokio::test]
async fn a_desk_is_shown_as_the_scrape_of_the_same_second_has_it() {
    let desk = Desk::start("20ms").unwrap();
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", desk.address())).await;
    let limits = tile("Risk limits");
    browser
        .until::<bool>(&format!(
            "Number(document.documentElement.dataset.samples) > 5 && document.querySelectorAll('.broad tbody tr').length > 2 && \
             {limits}?.querySelectorAll('.bar-row').length > 3"
        ))
        .await;
    // Once some of everything happened: positions are held, trades were closed, messages were missed.
    let (said, tiles) = loop {
        let (text, tiles) = same_second(&browser).await;
        let said = obs_exposition::parse(&text).unwrap();
        let has = |name| said.sum(name, &[]).is_some_and(|sum| sum != 0.0);
        let all = [
            "position_quantity",
            "trading_pnl_realized",
            "feed_missed_messages_total",
        ];
        if all.into_iter().all(has) {
            break (said, tiles);
        }
    };
    let mut numbers = numbers_of_the_account(&tiles);
    numbers.extend(numbers_by_label(&tiles));
    assert!(numbers.len() > 30, "{numbers:?}");
    for (shown, name, labels) in numbers {
        let labels: Vec<_> = labels
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        let value = said.sum(name, &labels).unwrap_or(f64::NAN);
        assert!(
            says(&shown, value),
            "{name} {labels:?} is {value} and shown as {shown}"
        );
    }
    desk.stop().unwrap();
}

/// A text that is shown, and the metric and labels that it is the sum of.
type Number = (String, &'static str, Vec<(&'static str, String)>);

fn numbers_of_the_account(tiles: &Tiles) -> Vec<Number> {
    let dollars = || ("currency", "USD".to_owned());
    let total = || ("period", "total".to_owned());
    let shown = |title: &str, place: usize| tiles[title][0][place].clone();
    let mut numbers = vec![
        (shown("Equity and drawdown", 0), "portfolio_value", vec![]),
        (
            shown("Equity and drawdown", 1),
            "portfolio_drawdown_ratio",
            vec![],
        ),
        (
            shown("Realised profit and loss", 0),
            "portfolio_pnl",
            vec![total()],
        ),
        (
            shown("Exposure", 0),
            "portfolio_exposure",
            vec![("kind", "gross".to_owned()), dollars()],
        ),
    ];
    let bridge = tiles["What made the profit and loss"].iter();
    numbers.extend(bridge.filter(|row| row[1].contains('$')).map(|row| {
        let labels = vec![("component", row[0].clone()), dollars(), total()];
        (row[1].clone(), "portfolio_pnl_component", labels)
    }));
    for row in &tiles["Risk limits"] {
        let limit = vec![("limit", row[0].replace(' ', "_"))];
        let (used, allowed) = row[1].split_once(" of ").unwrap();
        numbers.push((used.to_owned(), "risk_limit_used", limit.clone()));
        numbers.push((allowed.to_owned(), "risk_limit_allowed", limit));
    }
    numbers
}

/// The rows of tables: a name, and a metric of each column that has one.
fn numbers_by_label(tiles: &Tiles) -> Vec<Number> {
    let tables = [
        (
            "Strategies",
            "strategy",
            &[
                (1, "trading_pnl_realized"),
                (2, "trading_pnl_unrealized"),
                (3, "trading_win_ratio"),
                (4, "trading_signals_total"),
                (5, "trading_slippage_cost_total"),
                (6, "trading_strategy_active"),
            ][..],
        ),
        (
            "Positions",
            "symbol",
            &[
                (1, "position_quantity"),
                (2, "position_value"),
                (3, "position_unrealized_pnl"),
            ],
        ),
        (
            "Lag and gaps of feeds",
            "feed",
            &[(3, "feed_gaps_total"), (4, "feed_missed_messages_total")],
        ),
    ];
    let mut numbers = Vec::new();
    for (title, label, columns) in tables {
        for (row, (place, name)) in tiles[title]
            .iter()
            .flat_map(|row| columns.iter().map(move |column| (row, column)))
        {
            let mut labels = vec![(label, row[0].clone())];
            if *name == "trading_slippage_cost_total" {
                labels.push(("direction", "adverse".to_owned()));
            }
            numbers.push((row[*place].clone(), *name, labels));
        }
    }
    numbers
}

/// A scrape, and what the tiles say of just that one: for a second the page and every other client are given the same.
async fn same_second(browser: &Browser) -> (String, Tiles) {
    let script = "const done = arguments[arguments.length - 1];
        const text = (parts) => [...parts].map((part) => part.textContent);
        const rows = (tile) => {
          const [under, lines] = [tile.querySelector('.facts dd'), tile.querySelectorAll('tbody tr, .bar-row')];
          if (lines.length) return [...lines].map((line) => text(line.matches('tr') ? line.children : [...line.children].slice(0, 2)));
          return [[...text(tile.querySelectorAll('.figure')), ...(under ? [under.textContent] : [])]];
        };
        const look = async () => {
          const response = await fetch('live', { cache: 'no-store' });
          const scrape = await response.text();
          await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
          const tiles = [...document.querySelectorAll('.tile')].map((tile) => [tile.querySelector('h3').textContent, rows(tile)]);
          const isSame = Number(response.headers.get('obs-rendered-at')) === Number(document.documentElement.dataset.at);
          if (isSame) done([scrape, Object.fromEntries(tiles)]);
          else setTimeout(look, 100);
        };
        look();";
    let found = browser.client.execute_async(script, Vec::new()).await;
    serde_json::from_value(found.unwrap()).unwrap()
}

/// Whether a text says this number, to the digits that it has.
fn says(text: &str, value: f64) -> bool {
    if value.is_nan() {
        return text == "–";
    }
    if let "yes" | "no" = text {
        return (text == "yes") == (value > 0.0);
    }
    let digits: String = text
        .chars()
        .filter(|character| character.is_ascii_digit() || *character == '.')
        .collect();
    let places = digits.split_once('.').map_or(0, |(_, places)| places.len());
    let shown: f64 = digits.parse().unwrap();
    let sign = if text.contains('−') { -1.0 } else { 1.0 };
    let scale = if text.contains('%') { 0.01 } else { 1.0 };
    let step = scale * 0.1_f64.powi(i32::try_from(places).unwrap());
    (sign * scale * shown - value).abs() <= 0.501 * step
}

fn exporter(listen: &str) -> (impl Recorder + Send + Sync + 'static, Exporter) {
    let config = Config {
        listen: listen.parse().unwrap(),
        service: Some("<b>harmless</b>".into()),
        ..Config::default()
    };
    let builder = Exporter::builder(obs_exporter::app_info!());
    builder.config(config).build().unwrap()
}

/// A program of these families. Without a name it is called as this package is.
fn declaring(
    service: Option<&str>,
    catalogue: Catalogue,
) -> (impl Recorder + Send + Sync + 'static, Exporter) {
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        service: service.map(str::to_owned),
        ..Config::default()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    builder.catalogue(catalogue).build().unwrap()
}

#[tokio::test]
async fn what_a_program_declares_is_shown_first() {
    let (recorder, exporter) = declaring(None, Catalogue::of(&[Quoter::FAMILIES]));
    let quoter = metrics::with_local_recorder(&recorder, Quoter::new);
    quoter.quotes[Venue::Xnas].increment(3);
    quoter.quotes[Venue::Arca].increment(4);
    quoter.open[Venue::Arca].set(470.0);
    let server = exporter.serve().await.unwrap();
    let browser = Browser::start().await;
    browser
        .open(&format!("http://{}/", server.local_addr()))
        .await;
    let tile = "const tile = (title) => [...document.querySelectorAll('.tile')] \
        .find((tile) => tile.querySelector('h3').textContent === title);";
    browser
        .until::<bool>("document.querySelectorAll('.tile').length > 5")
        .await;

    let titles: Vec<String> = browser
        .run("return [...document.querySelectorAll('.tile h3')].map((title) => title.textContent)")
        .await;
    let own = ["Quotes", "Tick to quote", "Book", "Venues", "Halts"];
    assert_eq!(titles[..5], own, "{titles:?}");
    assert!(titles.iter().any(|title| title == "Memory"), "{titles:?}");
    let group: String = browser
        .run("return document.querySelector('.groups a').textContent")
        .await;
    assert_eq!(group, "Quoting");

    let facts: String = browser
        .run(&format!(
            "{tile} return tile('Quotes').querySelector('.facts').textContent"
        ))
        .await;
    assert_eq!(facts, "on arca4");
    let (book, is_bad): (String, bool) = browser
        .run(&format!(
            "{tile} return [tile('Book').querySelector('.figure').textContent, tile('Book').matches('.bad')]"
        ))
        .await;
    assert_eq!((book.as_str(), is_bad), ("470 of 500", true));
    let rows: Vec<Vec<String>> = browser
        .run(&format!(
            "{tile} return [...tile('Venues').querySelectorAll('tr')] \
             .map((row) => [...row.children].map((cell) => cell.textContent))"
        ))
        .await;
    assert_eq!(
        rows,
        [
            ["venue", "quotes", "open"],
            ["arca", "4", "470"],
            ["xnas", "3", "0"]
        ]
    );

    quoter.halts[Venue::Xnas].increment(2);
    let told: String = browser
        .run(&format!("{tile} window.told = () => tile('Halts').querySelector('li')?.textContent ?? ''; return ''"))
        .await;
    assert_eq!(told, "");
    browser
        .until::<bool>("window.told().endsWith('xnas+2')")
        .await;
    let banner = "document.getElementById('warnings')";
    assert!(
        browser
            .run::<bool>(&format!("return {banner}.hidden"))
            .await
    );
    // What was not there when the page was opened: a declaration, and a name that two metrics have.
    let hedger = metrics::with_local_recorder(&recorder, || {
        metrics::gauge!("queue_depth").set(42.0);
        metrics::counter!("queue_depth").increment(1);
        Hedger::new()
    });
    hedger.hedges.increment(1);
    let told: String = browser
        .until(&format!("!{banner}.hidden && {banner}.textContent"))
        .await;
    assert!(told.contains("queue_depth"), "{told}");
    let heading: String = browser
        .until("document.querySelector('#group-hedging h2')?.textContent")
        .await;
    assert!(heading.starts_with("Hedging"), "{heading}");
    assert_eq!(browser.log().await, [Value::Null; 0]);
    server.shutdown().await;
}

/// Ten thousand series of one family, half of them called by what would hurt if it ran.
#[tokio::test]
async fn ten_thousand_series_of_strangers_do_no_harm() {
    const HURT: &str = "<script>window.hurt = 1</script><img src=x onerror='window.hurt = 1'>";
    let (recorder, exporter) = exporter("127.0.0.1:0");
    metrics::with_local_recorder(&recorder, || {
        for number in 0..10_000 {
            let kind = if number % 2 == 0 { HURT } else { "kind" };
            let name = format!("series {number}");
            metrics::counter!("many_total", "name" => name, "kind" => kind).increment(number);
        }
    });
    let server = exporter.serve().await.unwrap();
    let browser = Browser::start().await;
    browser
        .open(&format!("http://{}/", server.local_addr()))
        .await;
    browser
        .until::<bool>("Number(document.documentElement.dataset.samples) > 1")
        .await;
    browser
        .run::<Value>(
            "window.frames = 0; \
             const count = () => { window.frames += 1; requestAnimationFrame(count); }; \
             requestAnimationFrame(count);",
        )
        .await;

    // With so many, groups are closed until somebody opens one.
    let headings: Vec<bool> = browser
        .run("return [...document.querySelectorAll('.heading')].map(({ ariaExpanded }) => ariaExpanded === 'true')")
        .await;
    assert!(
        !headings.is_empty() && headings.iter().all(|is_open| !is_open),
        "{headings:?}"
    );
    browser
        .run::<Value>("[...document.querySelectorAll('.heading')].at(-1).click()")
        .await;
    let card = "document.querySelector('[data-family=many_total]')";
    let note: String = browser
        .until(&format!("{card}?.querySelector('.note').textContent"))
        .await;
    assert_eq!(note, "top 4 of 10,000 by rate");
    browser
        .run::<Value>(&format!("{card}.querySelector('.link:last-child').click()"))
        .await;
    browser
        .until::<bool>(&format!("{card}.querySelectorAll('.facet').length === 24"))
        .await;

    browser.press("/").await;
    browser.press("4321").await;
    let title: String = browser
        .until(&format!("{card}.querySelectorAll('.facet').length === 1 && {card}.querySelector('.facet').dataset.series"))
        .await;
    assert_eq!(title, "series 4321 · kind");
    browser.press("\u{e00c}").await;
    browser.press("/").await;
    browser.press("4322").await;
    let shown: String = browser
        .until(&format!("{card}.querySelectorAll('.facet').length === 1 && {card}.querySelector('.title').textContent"))
        .await;
    assert_eq!(shown, format!("series 4322·{HURT}"), "it is text");
    let title: String = browser
        .run("return document.getElementById('service').textContent")
        .await;
    assert_eq!(title, "<b>harmless</b>");

    // It goes on drawing and asking.
    let (frames, samples): (u64, u64) = browser
        .run("return [window.frames, Number(document.documentElement.dataset.samples)]")
        .await;
    browser
        .until::<bool>(&format!(
            "window.frames > {frames} + 10 && Number(document.documentElement.dataset.samples) > {samples} + 1"
        ))
        .await;
    let [elements, strange]: [usize; 2] = browser
        .run(
            "return [document.querySelectorAll('*').length, document.querySelectorAll('main script, img, b b, h1 b').length]",
        )
        .await;
    assert!(elements < 2000, "{elements} elements");
    assert_eq!(strange, 0);
    assert!(
        browser
            .run::<bool>("return window.hurt === undefined")
            .await
    );
    assert_eq!(browser.log().await, [Value::Null; 0]);
    server.shutdown().await;
}

#[tokio::test]
async fn a_failure_is_told_and_a_restart_is_seen() {
    let banner = "document.getElementById('banner')";
    let (_recorder, exporter_before) = exporter("127.0.0.1:0");
    let server = exporter_before.serve().await.unwrap();
    let address = server.local_addr().to_string();
    let browser = Browser::start().await;
    browser.open(&format!("http://{address}/")).await;
    browser
        .until::<bool>(&format!(
            "Number(document.documentElement.dataset.samples) > 1 && {banner}.hidden"
        ))
        .await;

    server.shutdown().await;
    let told: String = browser
        .until(&format!("!{banner}.hidden && {banner}.textContent"))
        .await;
    assert!(told.contains("nobody answers"), "{told}");
    let state: String = browser
        .until("document.getElementById('state').dataset.state")
        .await;
    assert_eq!(state, "down");

    let (_recorder, exporter_after) = exporter(&address);
    let server = exporter_after.serve().await.unwrap();
    browser.until::<bool>(&format!("{banner}.hidden")).await;
    browser
        .until::<bool>("document.getElementById('state-text').textContent.includes('restarted')")
        .await;
    server.shutdown().await;
}

/// A process that hangs takes connections and answers none: from three seconds on nothing that is shown is called now.
#[tokio::test]
async fn what_is_old_is_not_shown_as_now() {
    let desk = Desk::start("20ms").unwrap();
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", desk.address())).await;
    let state = "document.getElementById('state-text').textContent";
    let fresh = format!(
        "Number(document.documentElement.dataset.samples) > 2 && {state}.startsWith('Up ') && \
         !document.documentElement.hasAttribute('data-stale') && document.title"
    );
    let title: String = browser.until(&fresh).await;
    // A figure that asks for it may stand before the name.
    assert!(
        title.ends_with("trading-desk") && !title.starts_with("No answer"),
        "{title}"
    );

    desk.pause().unwrap();
    let (shown, icon): (String, String) = browser
        .until(&format!(
            "document.documentElement.hasAttribute('data-stale') && document.title.startsWith('No answer: ') && \
             [{state}, document.getElementById('icon').getAttribute('href')]"
        ))
        .await;
    assert!(shown.starts_with("No answer for "), "{shown}");
    assert_eq!(icon, "page/icon-down.svg");
    // The axis runs on without new values, and figures lose their ink.
    let [now, ink]: [bool; 2] = browser
        .until(
            "(() => { const plot = document.querySelector('.tile .plot').drawing; \
             const isBehind = plot.plot.scales.x.max > plot.track.times.at(-1) + 3; \
             const colour = (selector) => getComputedStyle(document.querySelector(selector)).color; \
             return isBehind && [isBehind, colour('.tile .figure') === colour('.tile h3')]; })()",
        )
        .await;
    assert!(now && ink);

    desk.resume().unwrap();
    browser.until::<String>(&fresh).await;
    let shown: String = browser.run(&format!("return {state}")).await;
    assert!(!shown.contains("restarted"), "it only stood still: {shown}");
    desk.stop().unwrap();
}

/// What is looked for takes the place of the overview, by the words that people have for it, and stands in the address.
#[tokio::test]
async fn what_is_searched_is_found_and_can_be_linked_to() {
    let (recorder, exporter) = exporter("127.0.0.1:0");
    let quoter = metrics::with_local_recorder(&recorder, Quoter::new);
    quoter.reaction.record(0.002);
    let server = exporter.serve().await.unwrap();
    let page = format!("http://{}/", server.local_addr());
    let browser = Browser::start().await;
    browser.open(&format!("{page}?q=latency")).await;
    let found = "document.getElementById('found').textContent";
    let shown: Vec<String> = browser
        .until(&format!(
            "{found} && document.querySelector('.card') && [...document.querySelectorAll('.card')].map((card) => card.dataset.family)"
        ))
        .await;
    assert!(
        shown.contains(&"quoter_reaction_duration_seconds".into()),
        "{shown:?}"
    );
    assert!(!shown.contains(&"quoter_quotes_total".into()), "{shown:?}");
    let overview = "document.getElementById('overview').checkVisibility()";
    assert!(!browser.run::<bool>(&format!("return {overview}")).await);

    browser
        .run::<Value>("const search = document.getElementById('search'); search.value = 'p99 quoter'; search.dispatchEvent(new Event('input'))")
        .await;
    let address: String = browser
        .until(&format!("{found}.startsWith('1 of ') && location.search"))
        .await;
    assert_eq!(address, "?q=p99+quoter");
    browser
        .run::<Value>("const search = document.getElementById('search'); search.value = 'no such'; search.dispatchEvent(new Event('input'))")
        .await;
    let none: String = browser
        .until(&format!(
            "document.querySelectorAll('.card').length === 0 && {found}"
        ))
        .await;
    assert!(none.starts_with("Nothing matches “no such”"), "{none}");
    browser
        .run::<Value>("document.getElementById('search').focus()")
        .await;
    browser.press("\u{e00c}").await;
    browser
        .until::<bool>(&format!(
            "{overview} && location.search === '' && {found} === ''"
        ))
        .await;

    // A link to a group leads to it, though its card comes after the page.
    browser.size(800, 620, 1).await;
    browser.open(&format!("{page}#group-quoting")).await;
    browser
        .until::<bool>(
            "scrollY > 100 && document.getElementById('group-quoting').getBoundingClientRect().top < innerHeight / 2",
        )
        .await;
    server.shutdown().await;
}

/// What is under the pointer is shown, and nothing that is further away.
#[tokio::test]
async fn the_pointer_is_told_what_it_points_at() {
    let desk = Desk::start("20ms").unwrap();
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", desk.address())).await;
    let card = "document.querySelector('[data-family=http_request_duration_seconds]')";
    browser
        .until::<bool>(&format!("{card} !== null && (({card}.scrollIntoView({{ behavior: 'instant', block: 'center' }})), true)"))
        .await;
    browser
        .until::<bool>(&format!("{card}.querySelector('.strip')?.drawing?.shown != null && Number({card}.querySelector('.facet').dataset.points) > 3"))
        .await;
    let point = |part: &str, share: f64| {
        format!(
            "const target = {card}.querySelector('{part}'); const box = target.getBoundingClientRect(); \
             const at = {{ clientX: box.left + box.width * {share}, clientY: box.top + box.height / 2, bubbles: true }}; \
             target.dispatchEvent(new MouseEvent('mouseenter', at)); target.dispatchEvent(new MouseEvent('mousemove', at)); \
             const tip = document.querySelector('.tip'); return tip.hidden ? '' : tip.textContent"
        )
    };
    // The strip's latest column, whose middle row is a bucket with its bounds and count.
    let cell: String = browser.run(&point(".strip canvas", 0.95)).await;
    assert!(cell.contains(" to ") && cell.contains(':'), "{cell}");
    let near: String = browser.run(&point(".u-over", 0.99)).await;
    assert!(near.contains("p99"), "{near}");
    let hidden = "document.querySelector('.tip').hidden";
    // A finger does not leave; it touches something else.
    browser
        .run::<Value>(
            "document.body.dispatchEvent(new PointerEvent('pointerdown', { bubbles: true }))",
        )
        .await;
    assert!(browser.run::<bool>(&format!("return {hidden}")).await);
    // Where nothing was measured yet nothing is said: the first quarter of an hour is not over.
    browser
        .run::<Value>("document.querySelector('[data-span=\"900\"]').click()")
        .await;
    browser
        .until::<bool>("document.querySelector('[data-span=\"900\"]').ariaPressed === 'true'")
        .await;
    let far: String = browser.run(&point(".u-over", 0.3)).await;
    assert_eq!(far, "");
    desk.stop().unwrap();
}

/// The page of several services has each one's rules, as a Prometheus answers them. They are read when somebody opens them.
#[tokio::test]
async fn the_rules_that_read_a_metric_are_listed() {
    const RULES: &str = r#"{"status":"success","data":{"groups":[{"rules":[
        {"type":"alerting","name":"QuotesMissing","query":"rate(quoter_quotes_total[1m]) == 0","duration":300,"state":"pending","labels":{"severity":"page"}},
        {"type":"alerting","name":"<b>Halted</b>","query":"quoter_halts_total > 0","duration":0,"state":"firing","labels":{}},
        {"type":"alerting","name":"OfOthers","query":"other_total > 0","duration":0,"state":"firing","labels":{}}]}]}}"#;
    const ALERTS: &str = r#"{"status":"success","data":{"alerts":[]}}"#;
    let router = axum::Router::new()
        .route("/api/v1/rules", axum::routing::get(|| async { RULES }))
        .route("/api/v1/alerts", axum::routing::get(|| async { ALERTS }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let prometheus = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let (recorder, exporter) = declaring(Some("quoter"), Catalogue::of(&[Quoter::FAMILIES]));
    let _quoter = metrics::with_local_recorder(&recorder, Quoter::new);
    let server = exporter.serve().await.unwrap();
    let service = server.local_addr().to_string();
    // The same by another name, so that two are called alike.
    let other = service.replace("127.0.0.1", "localhost");
    let arguments = ["page", &service, &other, "--prometheus", &prometheus];
    let mut command = Command::new(obs_tests::built("obstool").unwrap());
    command.args(arguments).args(["--listen", "127.0.0.1:0"]);
    let (_page, address) = tokio::task::spawn_blocking(move || {
        let mut page = obs_tests::Process::start(&mut command).unwrap();
        let is_address = |line: &str| line.starts_with("http://").then(|| line.to_owned());
        let address = page.wait_for("where its page is", is_address).unwrap();
        (page, address)
    })
    .await
    .unwrap();

    let browser = Browser::start().await;
    browser.open(&address).await;
    browser
        .until::<bool>("document.querySelector('td.up') !== null && document.querySelector('button.link') !== null")
        .await;
    two_are_called_alike(&browser, [&service, &other]).await;
    let asked =
        "performance.getEntriesByType('resource').some(({ name }) => name.includes('/rules/'))";
    assert!(!browser.run::<bool>(&format!("return {asked}")).await);
    let rows = "[...document.querySelectorAll('#rule-rows tr')].map((row) => [...row.children].map((cell) => cell.textContent))";
    let rules: Vec<[String; 4]> = browser
        .until(&format!(
            "document.querySelector('button.link') && (window.asked ??= (document.querySelector('button.link').click(), true)) && \
             {rows}.length === 2 && {rows}"
        ))
        .await;
    assert_eq!(
        rules,
        [
            [
                "<b>Halted</b>",
                "firing",
                "quoter_halts_total",
                "quoter_halts_total > 0"
            ],
            [
                "QuotesMissingpage",
                "pending",
                "quoter_quotes_total",
                "rate(quoter_quotes_total[1m]) == 0for 5 min"
            ]
        ]
    );
    browser
        .run::<Value>("const wanted = document.getElementById('wanted'); wanted.value = 'quotes_total'; wanted.dispatchEvent(new Event('input'))")
        .await;
    let names: Vec<String> = browser
        .until(&format!(
            "{rows}.length === 1 && {rows}.map(([name]) => name)"
        ))
        .await;
    assert_eq!(names, ["QuotesMissingpage"]);
    assert_eq!(browser.log().await, [Value::Null; 0]);
    server.shutdown().await;
}

/// The addresses of services that are called alike tell them apart, and what has the focus keeps it.
async fn two_are_called_alike(browser: &Browser, addresses: [&str; 2]) {
    let facts =
        "[...document.querySelectorAll('#services th small')].map((facts) => facts.textContent)";
    let facts: Vec<String> = browser
        .until(&format!(
            "document.querySelectorAll('#services td.up').length === 2 && {facts}"
        ))
        .await;
    assert!(
        facts[0].ends_with(addresses[0]) && facts[1].ends_with(addresses[1]),
        "{facts:?}"
    );
    // What has the focus keeps it when a row is made anew, as its uptime has it every time.
    browser
        .run::<Value>(
            "window.row = document.querySelector('#services tr'); row.querySelector('a').focus()",
        )
        .await;
    let focused: String = browser
        .until("!window.row.isConnected && document.activeElement.tagName")
        .await;
    assert_eq!(focused, "A");
}

/// The variable that makes this program a process that records to a file.
const MAPPED: &str = "PAGE_TEST_MAPPED";

/// Quotes and beats over and over, until it is killed.
fn quote(path: &std::ffi::OsStr) -> ! {
    let variables = [("OBS_MEMORY", path.to_str().unwrap())];
    let config = Config::from_vars(variables).unwrap();
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    let builder = builder.families::<Quoter>().families::<Hedger>();
    let exporter = builder.install().unwrap();
    let (quoter, hedger) = (Quoter::new(), Hedger::new());
    let options = obs_exporter::HeartbeatOptions::default();
    let beat = exporter.heartbeat("quotes", options).unwrap();
    quoter.open[Venue::Xnas].set(70);
    println!("\nrecorded");
    std::io::Write::flush(&mut std::io::stdout()).unwrap();
    loop {
        beat.beat();
        quoter.quotes[Venue::Arca].increment(1);
        quoter.reaction.record(0.001);
        hedger.hedges.increment(1);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// This program once more, recording to a file of this name.
fn mapped(folder: &std::path::Path, name: &str) -> obs_tests::Process {
    let test = "an_agent_shows_processes_that_live_hang_and_are_dead";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    command.env(MAPPED, folder.join(name));
    let mut process = obs_tests::Process::start(&mut command).unwrap();
    let is_ready = |line: &str| (line == "recorded").then_some(());
    process.wait_for("that it records", is_ready).unwrap();
    process
}

#[tokio::test]
async fn an_agent_shows_processes_that_live_hang_and_are_dead() {
    if let Some(path) = std::env::var_os(MAPPED) {
        quote(&path);
    }
    let folder = tempfile::TempDir::new_in("/dev/shm").unwrap();
    let place = folder.path().to_owned();
    let (quoter, other, _agent, metrics) = tokio::task::spawn_blocking(move || {
        let (quoter, other) = (mapped(&place, "quoter.obs"), mapped(&place, "other.obs"));
        let mut command = Command::new(obs_tests::built("obstool").unwrap());
        command
            .args(["agent", "--listen", "127.0.0.1:0"])
            .arg(place);
        let mut agent = obs_tests::Process::start(&mut command).unwrap();
        let is_address = |line: &str| line.starts_with("http://").then(|| line.to_owned());
        let metrics = agent.wait_for("where it serves", is_address).unwrap();
        (quoter, other, agent, metrics)
    })
    .await
    .unwrap();
    let page = metrics.strip_suffix("metrics").unwrap().to_owned();
    let browser = Browser::start().await;
    browser.open(&page).await;

    let states = "[...document.querySelectorAll('.process')].map((one) => \
        [one.querySelector('b').textContent, one.dataset.state])";
    let all_are = |what: &str| format!("JSON.stringify({states}) === '{what}' && {states}");
    let both_up = all_are(r#"[["other","up"],["quoter","up"]]"#);
    browser.until::<Value>(&both_up).await;
    let text = |id: &str| format!("return document.getElementById('{id}').textContent");
    let is_said =
        |what: &str| format!("document.getElementById('state-text').textContent === '{what}'");
    browser.until::<bool>(&is_said("2 of 2 processes up")).await;
    // Figures are those of both together.
    let titles = r#"["Processes", "Quotes", "Tick to quote", "Book", "Hedges"]"#;
    browser
        .until::<bool>(&format!(
            "{titles}.every((title) => {TILES}.some(([name, points]) => name === title && points > 2))"
        ))
        .await;
    let book = "[...document.querySelectorAll('.tile')].find((tile) => tile.querySelector('h3').textContent === 'Book').querySelector('.figure').textContent";
    assert_eq!(
        browser.run::<String>(&format!("return {book}")).await,
        "140 of 500"
    );

    // One is stopped: its loop hangs, and it is shown as ever.
    quoter.pause().unwrap();
    let hung = all_are(r#"[["quoter","hung"],["other","up"]]"#);
    browser.until::<Value>(&hung).await;
    let told: String = browser.run(&text("gone")).await;
    assert_eq!(told, "quoter hangs: no beat of quotes.");
    quoter.resume().unwrap();
    browser.until::<Value>(&both_up).await;
    let is_told = "document.getElementById('gone').hidden";
    assert!(browser.run::<bool>(&format!("return {is_told}")).await);

    // One is killed: what it had last is shown, and does not look like what is now.
    drop(other);
    let dead = all_are(r#"[["other","dead"],["quoter","up"]]"#);
    browser.until::<Value>(&dead).await;
    let told: String = browser.run(&text("gone")).await;
    assert!(told.starts_with("other is dead: "), "{told}");
    let is_said = is_said("1 of 2 processes up, 1 dead");
    let is_down = "document.getElementById('state').dataset.state === 'down'";
    browser
        .until::<bool>(&format!("{is_said} && {is_down}"))
        .await;
    browser
        .until::<bool>("document.title.startsWith('other dead · ') && document.getElementById('icon').getAttribute('href') === 'page/icon-down.svg'")
        .await;
    let rows = "[...document.querySelectorAll('.tile tr.gone')].map((row) => row.textContent)";
    let rows: Vec<String> = browser.until(&format!("{rows}.length > 0 && {rows}")).await;
    // Its loop hangs, too, for a time that is the last column.
    assert!(
        rows.len() == 1 && rows[0].starts_with("other01"),
        "{rows:?}"
    );
    browser
        .run::<Value>("document.querySelector('[data-family=quoter_quotes_open]').scrollIntoView({ behavior: 'instant' })")
        .await;
    let facets = "[...document.querySelectorAll('[data-family=quoter_quotes_open] .facet')].map((facet) => \
        [facet.dataset.series, facet.querySelector('.value').textContent, facet.querySelector('.ended')?.textContent ?? null])";
    let facets: Vec<(String, String, Option<String>)> = browser
        .until(&format!(
            "{facets}.some(([, , mark]) => mark) && {facets}.length === 4 && {facets}"
        ))
        .await;
    for (series, value, mark) in &facets {
        let is_dead = series.starts_with("other");
        assert_eq!(mark.as_deref(), is_dead.then_some("dead"), "{facets:?}");
        let expected = if series.ends_with("xnas") { "70" } else { "0" };
        assert_eq!(value, expected, "{facets:?}");
    }

    the_sheet_marks_the_dead(&browser).await;

    // A process alone.
    browser
        .run::<Value>("document.querySelector('.process[data-state=up]').click()")
        .await;
    let found = "[...document.querySelectorAll('[data-family=quoter_quotes_open] .facet')].map((facet) => facet.dataset.series)";
    let found: Vec<String> = browser
        .until(&format!("{found}.length === 2 && {found}"))
        .await;
    assert_eq!(found, ["quoter · arca", "quoter · xnas"]);
    nothing_is_asked_of_others(&browser, &page).await;
}

/// What is of a dead process is grey and marked on the sheet of a metric: in its table, and in the legend where lines are of processes.
async fn the_sheet_marks_the_dead(browser: &Browser) {
    browser
        .run::<Value>("document.querySelector('[data-family=quoter_quotes_open] .opens').click()")
        .await;
    let grey = "[...document.querySelectorAll('.sheet-table tbody tr')].map((row) => [row.cells[0].textContent, row.lastChild.textContent, \
        row.classList.contains('gone'), getComputedStyle(row.lastChild).color])";
    let mut rows: Vec<(String, String, bool, String)> = browser
        .until(&format!("{grey}.length === 4 && {grey}"))
        .await;
    rows.sort();
    let shown: Vec<_> = rows
        .iter()
        .map(|(process, value, is_gone, _)| (process.as_str(), value.as_str(), *is_gone))
        .collect();
    let expected = [
        ("otherdead", "0", true),
        ("otherdead", "70", true),
        ("quoter", "0", false),
        ("quoter", "70", false),
    ];
    assert_eq!(shown, expected);
    assert!(rows[0].3 != rows[2].3, "{rows:?}");
    browser
        .run::<Value>("document.querySelector('.chip-row[aria-label=process] .by').click()")
        .await;
    let lines = "[...document.querySelectorAll('.sheet-legend li')].map((line) => \
        [line.textContent, line.classList.contains('gone')])";
    let mut lines: Vec<(String, bool)> = browser
        .until(&format!("{lines}.length === 2 && {lines}"))
        .await;
    lines.sort();
    assert_eq!(
        lines,
        [
            ("other70dead".to_owned(), true),
            ("quoter70".to_owned(), false)
        ]
    );
    browser
        .run::<Value>("document.getElementById('sheet').close()")
        .await;
}

/// On paper, at twice the size, and by colour.
#[tokio::test]
async fn it_is_read_on_paper_enlarged_and_in_either_light() {
    let desk = Desk::start("20ms").unwrap();
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", desk.address())).await;
    browser
        .until::<bool>("document.querySelectorAll('.card').length > 40 && document.querySelectorAll('.tile .uplot').length > 10")
        .await;
    // Every card that is open is drawn for the printer, not only those in sight.
    let blank = "[...document.querySelectorAll('.card')].filter((card) => !card.querySelector('.facet')).length";
    assert!(browser.run::<usize>(&format!("return {blank}")).await > 0);
    browser
        .run::<Value>("dispatchEvent(new Event('beforeprint'))")
        .await;
    assert_eq!(browser.run::<usize>(&format!("return {blank}")).await, 0);
    browser
        .run::<Value>("dispatchEvent(new Event('afterprint'))")
        .await;
    assert!(browser.run::<usize>(&format!("return {blank}")).await > 0);

    // 1536 by 864 at 200 % and at 400 %: the head goes away with what it stands above.
    for (width, height) in [(768, 432), (384, 216)] {
        browser.size(width, height, 1).await;
        browser
            .until::<bool>(&format!(
                "innerHeight === {height} && getComputedStyle(document.querySelector('.top')).position === 'static'"
            ))
            .await;
    }
    browser.size(1440, 900, 1).await;

    // An area that does not begin at 0 is none. After a few seconds some number keeps so far from 0 that its axis begins elsewhere.
    let areas: Vec<(bool, bool)> = browser
        .until(
            "((areas) => areas.some(([hasZero]) => !hasZero) && areas)( \
             [...document.querySelectorAll('.plot')].map(({ drawing }) => drawing).filter((drawing) => drawing?.track) \
             .flatMap(({ plot, range }) => plot.series.slice(1).filter(({ fill }) => fill) \
             .map((series) => [range.min <= 0 && range.max >= 0, !['transparent', null].includes(series.fill(plot, 1))])))",
        )
        .await;
    let filled = areas.iter().filter(|(_, is_filled)| *is_filled);
    assert!(filled.clone().count() > 5, "{areas:?}");
    assert!(filled.clone().all(|(has_zero, _)| *has_zero), "{areas:?}");

    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        let contrasts: Vec<(String, f64)> = browser
            .run(
                "const light = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255) \
                 .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)) \
                 .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0); \
                 const style = getComputedStyle(document.documentElement); \
                 const of = (name) => light(style.getPropertyValue(`--${name}`).trim()); \
                 return ['soft', 'accent', 'strong', 'bad', 'warn', 'good', 'muted'].map((name) => { \
                 const [a, b] = [of(name), of('card')].sort((a, b) => b - a); return [name, (a + 0.05) / (b + 0.05)]; })",
            )
            .await;
        // WCAG 2.2, 1.4.11 for what is drawn.
        for (name, contrast) in contrasts {
            assert!(contrast >= 3.0, "{name} in {scheme}: {contrast}");
        }
    }
    desk.stop().unwrap();
}

#[tokio::test]
async fn without_scripts_it_is_a_table() {
    let (_recorder, exporter) = exporter("127.0.0.1:0");
    let server = exporter.serve().await.unwrap();
    let without_scripts = json!({ "profile.managed_default_content_settings.javascript": 2 });
    let browser = Browser::start_with(without_scripts).await;
    browser
        .open(&format!("http://{}/", server.local_addr()))
        .await;
    let [rows, links]: [usize; 2] = browser
        .run(
            "const seen = (element) => element.checkVisibility(); \
             return [[...document.querySelectorAll('td code')].filter(seen).length, \
             [...document.querySelectorAll('a[href=metrics], a[href=healthz]')].filter(seen).length]",
        )
        .await;
    assert_eq!(rows, obs_exporter::catalogue().unwrap().families().len());
    assert!(links >= 2, "{links}");
    let hidden: bool = browser
        .run("return document.getElementById('main').checkVisibility()")
        .await;
    assert!(!hidden);
    browser.size(360, 740, 2).await;
    let width: u32 = browser
        .run("return document.documentElement.scrollWidth")
        .await;
    assert_eq!(width, 360);
    server.shutdown().await;
}

/// How many hours a page is open in the test below; a day of them takes some minutes.
const HOURS: &str = "PAGE_HOURS";

/// Takes the place of the page's worker: as many samples as a second of drawing has room for, each a second after the one before, of a
/// service whose counters rise, and whose series come and go every half hour.
const FAST_WORKER: &str = "
    window.Worker = class {
      async postMessage({ keeps }) {
        if (keeps === undefined) return;
        const { Reader } = await import('/page/exposition.js');
        const text = await (await fetch('/live')).text();
        const reader = new Reader();
        let { families, values } = reader.read(text);
        const counters = families.filter(({ kind }) => kind === 'counter').flatMap(({ series }) => series.map(({ at }) => at));
        const begin = Date.now() / 1000;
        window.seconds = 0;
        const go = () => {
          for (let count = 0; count < 20; count += 1) {
            window.seconds += 1;
            if (window.seconds % 1800 === 0) {
              const others = `# TYPE passing_total counter\\n${Array.from({ length: 50 }, (_, n) => `passing_total{n=\"${window.seconds}-${n}\"} 1\\n`).join('')}`;
              ({ families } = reader.read(text + others));
              const more = new Float64Array(values.length < 1e6 ? reader.read(text + others).values.length : 0);
              more.set(values.subarray(0, Math.min(values.length, more.length)));
              values = more;
            }
            for (const at of counters) values[at] += (at * 7 + window.seconds) % 5;
            this.onmessage({ data: { sample: { at: begin + window.seconds, families, values: values.slice(), bytes: text.length } } });
            families = null;
          }
          if (window.seconds < window.until) requestAnimationFrame(go);
        };
        requestAnimationFrame(go);
      }
    };";

/// A page that is open for hours takes the memory that it took after the first of them.
#[tokio::test]
async fn a_page_that_is_open_all_day_takes_no_more_memory() {
    let hours: u32 = std::env::var(HOURS).map_or(3, |text| text.parse().unwrap());
    let desk = Desk::start("20ms").unwrap();
    let browser = Browser::start().await;
    // Before the scripts of the page, whatever its policy.
    let source = format!("window.until = {}; {FAST_WORKER}", hours * 3600);
    browser
        .tell(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": source }),
        )
        .await;
    browser.open(&format!("http://{}/", desk.address())).await;
    let mut heaps = Vec::new();
    for hour in 1..=hours {
        // In quarters, none of which takes longer than the browser's patience.
        for quarter in 1..=4 {
            let seconds = (hour - 1) * 3600 + quarter * 900;
            browser
                .until::<bool>(&format!("window.seconds >= {seconds}"))
                .await;
        }
        heaps.push(heap(&browser).await);
    }
    println!("megabytes after each hour: {heaps:.1?}");
    let (first, last) = (heaps[0], heaps[heaps.len() - 1]);
    // Lines of figures grow until they are a day long: a value a line and half minute.
    let lines: f64 = browser
        .run("return [...document.querySelectorAll('.plot')].reduce((sum, { drawing }) => sum + (drawing?.track?.lines.length ?? 0), 0)")
        .await;
    let grown = lines * 120.0 * f64::from(hours) * 64.0 / 1e6;
    assert!(
        last < first * 1.15 + grown,
        "{heaps:.1?}, of which {grown:.1} may be lines of figures"
    );
    let kept: u64 = browser
        .run("return Number(document.documentElement.dataset.kept)")
        .await;
    assert!(kept <= 15 * 60 + 1, "{kept} samples");
    assert_eq!(browser.log().await, [Value::Null; 0]);
    desk.stop().unwrap();
}

/// What is in the page's database: how many samples, their bytes, and from when to when.
const STORED: &str = "
    const stored = async () => {
      const { openStore } = await import('/page/store.js');
      const asked = (await openStore()).transaction('samples').objectStore('samples').getAll();
      await new Promise((done) => (asked.onsuccess = done));
      const bytes = ({ values, families }) => values.byteLength + (families?.byteLength ?? 0);
      const found = asked.result;
      return [found.length, found.reduce((sum, sample) => sum + bytes(sample), 0), found[0].at, found.at(-1).at];
    };";

/// 200 samples of 400 kB each, as many series would make them, of the last quarter of an hour.
const FILL: &str = "
    const fill = async () => {
      const { Samples, openStore } = await import('/page/store.js');
      const { Reader } = await import('/page/exposition.js');
      const { families, values } = new Reader().read(await (await fetch('/live')).text());
      const samples = new Samples(await openStore(), 900);
      const begin = Date.now() / 1000 - 890;
      for (let number = 0; number < 200; number += 1) {
        const many = new Float64Array(50_000);
        many.set(values);
        await samples.add({ at: begin + 4 * number, families: number ? null : families, values: many });
      }
      return begin;
    };";

/// Beyond its bound the browser's store forgets the oldest samples, and the page goes on.
#[tokio::test]
async fn what_a_tab_keeps_has_a_bound() {
    const MOST: f64 = 64e6;
    let (_recorder, exporter) = exporter("127.0.0.1:0");
    let server = exporter.serve().await.unwrap();
    let browser = Browser::start().await;
    browser
        .open(&format!("http://{}/", server.local_addr()))
        .await;
    browser
        .until::<bool>("Number(document.documentElement.dataset.samples) > 1")
        .await;
    let ask = |script: &str| format!("const done = arguments[arguments.length - 1]; {script}");
    let script = ask(&format!(
        "{STORED} {FILL} fill().then(async (begin) => done([begin, ...(await stored())]))"
    ));
    let found = browser.client.execute_async(&script, Vec::new()).await;
    let [begin, count, bytes, first, last]: [f64; 5] =
        serde_json::from_value(found.unwrap()).unwrap();
    assert!(
        (MOST * 0.9..=MOST).contains(&bytes),
        "{bytes} bytes of {count} samples"
    );
    // 40 of the 200 had to go, and the last one stays.
    assert!(first > begin + 4.0 * 35.0, "{first} after {begin}");
    assert!(last >= begin + 4.0 * 199.0, "{last} after {begin}");

    // A page that is loaded with all of that has it, goes on, and keeps to the bound.
    browser.client.refresh().await.unwrap();
    let (kept, samples): (u64, u64) = browser
        .until(
            "(({ kept, samples }) => Number(samples) > 0 && [Number(kept), Number(samples)])(document.documentElement.dataset)",
        )
        .await;
    assert!(kept > 50 && samples >= kept, "{kept} of {samples}");
    browser
        .until::<bool>(&format!(
            "Number(document.documentElement.dataset.samples) > {samples} + 3 && \
             document.getElementById('state-text').textContent.startsWith('Up ')"
        ))
        .await;
    let script = ask(&format!("{STORED} stored().then(done)"));
    let found = browser.client.execute_async(&script, Vec::new()).await;
    let [_, bytes, _, newest]: [f64; 4] = serde_json::from_value(found.unwrap()).unwrap();
    assert!(
        bytes <= MOST && newest > last,
        "{bytes} bytes up to {newest}"
    );
    assert_eq!(browser.log().await, [Value::Null; 0]);
    server.shutdown().await;
}

/// What two tabs write of an address, each with a connection of its own, and what is read of it later.
const TWO_TABS: &str = "
    const done = arguments[arguments.length - 1];
    const { Samples, openStore } = await import('/page/store.js');
    const family = (name, count) => [{ name, kind: 'gauge', help: '', series: Array.from({ length: count }, (_, at) => ({ key: `${at}`, labels: [], at })) }];
    const [few, many] = [family('few', 2), family('many', 3)];
    const tab = async () => new Samples(await openStore(), 900);
    const see = (at, families, ...values) => ({ at, families, values: Float64Array.from(values) });
    const read = async (until) => {
      const found = [];
      for await (const { at, families, values } of (await tab()).read(until)) found.push([at, families && families[0].name, [...values]]);
      return found;
    };";

/// Tabs of one address write to one store. Each moment is in it once, and under the names of its own series, whatever the other tab saw.
#[tokio::test]
async fn what_two_tabs_keep_is_one_history() {
    let (_recorder, exporter) = exporter("127.0.0.1:0");
    let server = exporter.serve().await.unwrap();
    let browser = Browser::start().await;
    browser
        .open(&format!("http://{}/", server.local_addr()))
        .await;
    browser
        .until::<bool>("Number(document.documentElement.dataset.kept) > 1")
        .await;
    let ask = |script: &str| format!("(async () => {{ {TWO_TABS} {script} }})()");

    // The first tab alone sees that a series comes. The other one goes on from what it saw itself.
    let script = ask("
        const [first, other] = [await tab(), await tab()];
        await first.add(see(1000, few, 1, 2));
        await other.add(see(1000, few, 1, 2));
        await other.add(see(1001, null, 1, 3));
        await first.add(see(1001, null, 1, 3));
        await first.add(see(1002, many, 5, 6, 7));
        await other.add(see(1003, null, 1, 4));
        await first.add(see(1004, null, 8, 9, 10));
        await other.add(see(1005, many, 11, 12, 13));
        done(await read(1010));");
    let found = browser.client.execute_async(&script, Vec::new()).await;
    let expected = json!([
        [1000, "few", [1, 2]],
        [1001, null, [1, 3]],
        [1002, "many", [5, 6, 7]],
        [1003, "few", [1, 4]],
        [1004, "many", [8, 9, 10]],
        [1005, null, [11, 12, 13]],
    ]);
    assert_eq!(found.unwrap(), expected);

    // A tab that is not looked at asks every ten seconds. It keeps a quarter of an hour, too.
    let script = ask("
        const hidden = await tab();
        for (let at = 2000; at < 3200; at += 10) await hidden.add(see(at, at === 2000 ? few : null, at, 0));
        const found = await read(3200);
        done([found.length, found[0], found.at(-1)]);");
    let found = browser.client.execute_async(&script, Vec::new()).await;
    let [count, first, last]: [Value; 3] = serde_json::from_value(found.unwrap()).unwrap();
    assert_eq!(last, json!([3190, null, [3190, 0]]));
    let (count, first) = (count.as_u64().unwrap(), first[0].as_u64().unwrap());
    // The oldest ones are known by a sample behind them.
    assert_eq!((count, first), (90, 2300));
    assert_eq!(browser.log().await, [Value::Null; 0]);
    server.shutdown().await;
}

/// Two tabs of one service, one of which is closed while the other writes.
#[tokio::test]
async fn two_tabs_of_a_service_share_what_they_keep() {
    let (recorder, exporter) = declaring(None, Catalogue::of(&[Quoter::FAMILIES]));
    let quoter = metrics::with_local_recorder(&recorder, Quoter::new);
    quoter.quotes[Venue::Arca].increment(3);
    quoter.open[Venue::Arca].set(70);
    let server = exporter.serve().await.unwrap();
    let page = format!("http://{}/", server.local_addr());
    let browser = Browser::start().await;
    browser.open(&page).await;
    let is_kept = |least: u64| {
        let kept = "Number(document.documentElement.dataset.kept)";
        format!("{kept} >= {least} && {kept}")
    };
    let before: u64 = browser.until(&is_kept(5)).await;
    let first = browser.client.window().await.unwrap();
    let other = browser.client.new_window(false).await.unwrap().handle;

    // The other one has what the first one kept, and both show what is now.
    browser
        .client
        .switch_to_window(other.clone())
        .await
        .unwrap();
    browser.open(&page).await;
    let kept: u64 = browser.until(&is_kept(before + 3)).await;
    let samples: u64 = browser
        .run("return Number(document.documentElement.dataset.samples)")
        .await;
    assert!(kept >= samples, "{kept} of {samples}");
    quoter.open[Venue::Arca].set(71);
    let book = "[...document.querySelectorAll('.tile')].find((tile) => tile.querySelector('h3').textContent === 'Book')?.querySelector('.figure').textContent";
    let windows = browser.client.windows().await.unwrap();
    assert_eq!(windows.len(), 2);
    for window in windows {
        browser.client.switch_to_window(window).await.unwrap();
        browser
            .until::<bool>(&format!("{book} === '71 of 500'"))
            .await;
    }
    let both = pinned_in_both(&browser, &first, &other).await;

    // Loaded anew, the other one has no less than the first one saw, and each moment once.
    browser
        .client
        .switch_to_window(first.clone())
        .await
        .unwrap();
    let of_first: u64 = browser.until(&is_kept(1)).await;
    browser
        .client
        .switch_to_window(other.clone())
        .await
        .unwrap();
    browser.client.refresh().await.unwrap();
    browser.until::<u64>(&is_kept(of_first)).await;
    browser.until::<bool>(&both).await;
    let times = "document.querySelector('#pinned-cards .plot')?.drawing?.track?.times";
    let is_once = format!(
        "{times}?.length >= {of_first} && {times}.every((at, place) => place === 0 || at > {times}[place - 1])"
    );
    browser.until::<bool>(&is_once).await;

    // It is closed while it writes. The first one goes on, and has everything when it is loaded anew.
    browser.client.close_window().await.unwrap();
    browser.client.switch_to_window(first).await.unwrap();
    let kept: u64 = browser.until(&is_kept(of_first + 2)).await;
    browser.client.refresh().await.unwrap();
    let again: u64 = browser.until(&is_kept(kept + 2)).await;
    assert!(again > kept, "{again} after {kept}");
    browser.until::<bool>(&is_once).await;
    quoter.open[Venue::Arca].set(72);
    browser
        .until::<bool>(&format!("{book} === '72 of 500'"))
        .await;
    assert_eq!(browser.log().await, [Value::Null; 0]);
    server.shutdown().await;
}

/// What a tab pins is pinned in another one, beside what that one did: whether it is so, as an expression.
async fn pinned_in_both(browser: &Browser, first: &WindowHandle, other: &WindowHandle) -> String {
    let pin = |name: &str| {
        format!(
            "document.querySelector('#all [data-family={name}] .opens').click(); \
             [...document.querySelectorAll('.sheet-head .chip')].find((chip) => chip.textContent.startsWith('Pin')).click(); \
             document.getElementById('sheet').close()"
        )
    };
    browser
        .client
        .switch_to_window(first.clone())
        .await
        .unwrap();
    browser.run::<Value>(&pin("quoter_quotes_open")).await;
    browser
        .client
        .switch_to_window(other.clone())
        .await
        .unwrap();
    let pinned =
        "[...document.querySelectorAll('#pinned-cards .card')].map((card) => card.dataset.family)";
    let are_pinned = |names: &str| format!("JSON.stringify({pinned}) === '{names}'");
    browser
        .until::<bool>(&are_pinned(r#"["quoter_quotes_open"]"#))
        .await;
    browser.run::<Value>(&pin("quoter_quotes_total")).await;
    let both = are_pinned(r#"["quoter_quotes_open","quoter_quotes_total"]"#);
    for window in [first, other] {
        browser
            .client
            .switch_to_window(window.clone())
            .await
            .unwrap();
        browser.until::<bool>(&both).await;
    }
    both
}

/// The memory that the page's scripts hold on to, in megabytes.
async fn heap(browser: &Browser) -> f64 {
    browser.tell("HeapProfiler.collectGarbage", json!({})).await;
    let usage = browser.tell("Runtime.getHeapUsage", json!({})).await;
    usage["usedSize"].as_f64().unwrap() / 1e6
}

/// The rules of axe-core for WCAG 2.2, A and AA, and its best practices, on the page and on the sheet of one metric.
#[tokio::test]
async fn nobody_is_kept_from_using_it() {
    let script = std::fs::read_to_string(obs_tests::tools::axe().unwrap()).unwrap();
    let desk = Desk::start("20ms").unwrap();
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", desk.address())).await;
    browser
        .until::<bool>("document.querySelectorAll('.tile .uplot').length > 10 && Number(document.documentElement.dataset.samples) > 3")
        .await;
    browser.run::<Value>(&script).await;
    let windows = [(390, 844), (768, 1024), (1440, 900), (2560, 1440)];
    // 1440 by 900 at 200 % and at 400 %.
    let enlarged = [(720, 450), (360, 225)];
    let colours = [
        &[("prefers-color-scheme", "light")][..],
        &[("prefers-color-scheme", "dark")],
        &[
            ("forced-colors", "active"),
            ("prefers-color-scheme", "light"),
        ],
        &[
            ("forced-colors", "active"),
            ("prefers-color-scheme", "dark"),
        ],
    ];
    for is_sheet in [false, true] {
        if is_sheet {
            browser
                .run::<Value>("document.querySelector('[data-family=http_request_duration_seconds] .opens').click()")
                .await;
        }
        for (width, height) in windows.into_iter().chain(enlarged) {
            browser.size(width, height, 1).await;
            for colours in colours {
                browser.look_at("screen", colours).await;
                breaks_no_rule(
                    &browser,
                    &format!("{width} wide, {colours:?}, a sheet: {is_sheet}"),
                )
                .await;
            }
        }
    }
    browser
        .run::<Value>("document.getElementById('sheet').close()")
        .await;
    browser.look_at("print", &[]).await;
    browser.size(794, 1123, 1).await;
    breaks_no_rule(&browser, "on paper").await;
    assert_eq!(browser.log().await, [Value::Null; 0]);
    desk.stop().unwrap();
}

async fn breaks_no_rule(browser: &Browser, shown: &str) {
    let found: Value = browser
        .client
        .execute_async(
            "const done = arguments[arguments.length - 1]; requestAnimationFrame(() => axe.run(document, { runOnly: \
             ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then(({ violations, passes }) => done([passes.length, \
             violations.map(({ id, nodes }) => [id, nodes.slice(0, 3).map(({ html, any }) => [html, any[0]?.message])])])))",
            Vec::new(),
        )
        .await
        .unwrap();
    let (passes, violations): (usize, Vec<Value>) = serde_json::from_value(found).unwrap();
    assert!(
        passes > 15,
        "{shown}: {passes} rules had something to look at"
    );
    assert_eq!(violations, [Value::Null; 0], "{shown}");
    let beyond: i64 = browser
        .run("return document.documentElement.scrollWidth - innerWidth")
        .await;
    assert!(beyond <= 0, "{shown}: {beyond} pixels beyond the window");
}
