//! A service of another team, built from a workspace of its own: its metrics are as good as ours, and what is wrong with them is
//! reported. It hands no catalogue to the exporter (`tests/foreign/vega-quoter`).

mod browser;

use browser::Browser;
use obs_exposition::{Exposition, Kind};
use obs_tests::{PythonParser, Quoter, Verdict, check_metrics, scrape};
use serde_json::Value;

fn catalogue(quoter: &Quoter) -> Value {
    serde_json::from_str(&scrape(&format!("{}/catalog.json", quoter.url())).unwrap()).unwrap()
}

fn read(quoter: &Quoter) -> Exposition {
    obs_exposition::parse(&quoter.exposition().unwrap()).unwrap()
}

/// The sum over the series of one venue.
fn of_xcme(scrape: &Exposition, name: &str) -> f64 {
    scrape
        .sum(name, &[("venue", "xcme")])
        .unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn a_foreign_service_is_exported_as_it_is_declared() {
    let quoter = Quoter::start(&[]).unwrap();
    // Once each side of both venues was quoted: what is declared as `Late` is shown with its first value.
    let text = std::iter::repeat_with(|| quoter.exposition().unwrap())
        .find(|text| text.matches("vega_quote_width_bps_count{").count() == 4)
        .unwrap();
    assert_eq!(check_metrics(&text).unwrap(), Verdict::Accepted);
    let families = PythonParser::start()
        .unwrap()
        .parse(&text)
        .unwrap()
        .unwrap();
    for (name, kind, help) in [
        (
            "vega_quotes",
            "counter",
            "Quotes handed to the venue, by side and by what became of them.",
        ),
        (
            "vega_quote_reaction_seconds",
            "histogram",
            "Time from the tick to the quote that answers it.",
        ),
        (
            "vega_quote_width_bps",
            "histogram",
            "Width of the quotes, by side.",
        ),
        ("vega_quote_lots", "summary", "Lots per quote."),
        (
            "vega_model_busy_seconds",
            "counter",
            "Time the pricing model was busy.",
        ),
        ("vega_position", "gauge", "Vega of the book, in lots."),
        ("vega_hedges", "counter", "Hedges sent."),
    ] {
        let family = families.iter().find(|family| family.name == name);
        let family = family.unwrap_or_else(|| panic!("no {name} in\n{text}"));
        assert_eq!(
            (family.kind.as_str(), family.help.as_str()),
            (kind, help),
            "{name}"
        );
    }

    let scrape = read(&quoter);
    // 250 µs a tick; a scrape may fall between the two additions of one.
    let (busy, ticks) = (
        of_xcme(&scrape, "vega_model_busy_seconds_total"),
        of_xcme(&scrape, "vega_ticks_total"),
    );
    assert!(
        (busy / 0.000_25 - ticks).abs() <= 1.001,
        "{busy} s of {ticks} ticks"
    );
    let bounds = scrape.samples("vega_quote_reaction_seconds_bucket");
    let bounds: Vec<_> = bounds
        .filter(|sample| sample.label("venue") == Some("xcme"))
        .filter_map(|sample| sample.label("le"))
        .collect();
    assert_eq!(bounds, ["0.00002", "0.0001", "0.001", "0.01", "+Inf"]);
    let levels = scrape
        .samples("vega_quote_lots")
        .filter(|sample| sample.label("venue") == Some("xcme"));
    let levels: Vec<_> = levels
        .filter_map(|sample| sample.label("quantile"))
        .collect();
    assert_eq!(levels, ["0.5", "0.99"]);
    for name in ["obs_undeclared_families", "obs_dead_handles"] {
        assert_eq!(scrape.sum(name, &[]), Some(0.0), "{name}");
    }
    assert!(scrape.family("obs_kind_conflicts_total").is_none());
    assert_eq!(quoter.said().unwrap(), "");
    quoter.stop().unwrap();
}

#[test]
fn labels_beyond_their_budget_add_up_or_are_undefined() {
    let quoter = Quoter::start(&[]).unwrap();
    // All six underlyings have come by when the last one has.
    let scrape = std::iter::repeat_with(|| read(&quoter)).find(|scrape| {
        scrape.sum(
            "vega_ticks_total",
            &[("venue", "xcme"), ("underlying", "other")],
        ) >= Some(3.0)
    });
    let scrape = scrape.unwrap();
    let own = |name: &str| {
        let mut values: Vec<_> = scrape
            .samples(name)
            .filter(|sample| sample.label("venue") == Some("xcme"))
            .filter_map(|sample| sample.label("underlying"))
            .collect();
        values.sort_unstable();
        values.join(" ")
    };
    assert_eq!(own("vega_ticks_total"), "ES NQ RTY other");
    assert_eq!(own("vega_position"), "ES NQ RTY other");
    let other = scrape.sum(
        "vega_position",
        &[("venue", "xcme"), ("underlying", "other")],
    );
    assert!(
        other.is_some_and(f64::is_nan),
        "it would be that of the last one written: {other:?}"
    );
    assert!(
        scrape.sum(
            "obs_series_overflow_total",
            &[("metric", "vega_ticks_total")]
        ) >= Some(3.0)
    );
}

#[test]
fn mistakes_are_reported_in_words_and_as_series() {
    let quoter = Quoter::start(&["wrong"]).unwrap();
    let scrape = read(&quoter);
    assert_eq!(scrape.sum("obs_dead_handles", &[]), Some(1.0));
    assert_eq!(
        scrape.sum(
            "obs_kind_conflicts_total",
            &[("metric", "vega_queue_depth")]
        ),
        Some(1.0)
    );
    assert_eq!(scrape.sum("obs_undeclared_families", &[]), Some(1.0));
    assert_eq!(scrape.family("vega_queue_depth").unwrap().kind, Kind::Gauge);
    assert_eq!(scrape.sum("vega_queue_depth", &[]), Some(42.0));

    let catalogue = catalogue(&quoter);
    let warnings = catalogue["warnings"].as_array().unwrap();
    let kinds: Vec<_> = warnings
        .iter()
        .map(|warning| warning["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["dead_handles", "kind_conflict"]);
    let texts: Vec<_> = warnings
        .iter()
        .map(|warning| warning["text"].as_str().unwrap())
        .collect();
    assert!(texts[0].contains("vega-quoter/src/wrong.rs:"), "{texts:?}");
    assert!(
        texts[1].contains("`vega_queue_depth` is recorded as a counter"),
        "{texts:?}"
    );

    // The program has no subscriber of `tracing`, so they are on standard error, the first ones at once.
    // A line comes in pieces.
    let said = std::iter::repeat_with(|| quoter.said().unwrap())
        .find(|said| said.matches('\n').count() == 2)
        .unwrap();
    assert!(
        said.lines().all(|line| line.starts_with("warning: ")),
        "{said}"
    );
    assert!(texts.iter().all(|text| said.contains(text)), "{said}");
}

/// The headings of the groups, in their order.
const GROUPS: &str = "[...document.querySelectorAll('#groups a')].filter((link) => !link.hidden).map((link) => link.textContent)";
/// The headings of the figures on the first screen.
const FIGURES: &str =
    "[...document.querySelectorAll('.tile h3')].map((title) => title.textContent)";

#[tokio::test]
async fn the_page_shows_a_foreign_services_groups_and_figures_first() {
    let quoter = Quoter::start(&[]).unwrap();
    let browser = Browser::start().await;
    browser.open(quoter.url()).await;
    let figures: Vec<String> = browser
        .until(&format!("{FIGURES}.length >= 12 && {FIGURES}"))
        .await;
    let own = [
        "Quotes",
        "Edge",
        "Rejected share",
        "Tick to quote",
        "Vega",
        "Venues",
        "Fates",
        "Edge over vega",
        "Vega by venue",
        "Steps",
        "Events",
        "Vega by underlying",
    ];
    assert_eq!(figures[..own.len()], own);
    let groups: Vec<String> = browser
        .until(&format!("{GROUPS}.length > 2 && {GROUPS}"))
        .await;
    assert_eq!(groups[..2], ["Quoting", "Hedging"]);
    let place = |title: &str| groups.iter().position(|group| group == title);
    assert!(
        place("Hedging") < place("System") && place("System") < place("Metrics"),
        "{groups:?}"
    );
    assert!(place("Third-party").is_none(), "{groups:?}");
    let hidden: bool = browser
        .run("return document.getElementById('warnings').hidden")
        .await;
    assert!(hidden, "nothing is wrong with it");

    browser.press("/").await;
    browser
        .until::<bool>("document.activeElement.id === 'search'")
        .await;
    browser.press("vega_hedges").await;
    // What watches it is found by its label, and comes behind it.
    let found: Vec<String> = browser
        .until(
            "document.getElementById('found').textContent && \
             [...document.querySelectorAll('.card')].map((card) => card.dataset.family)",
        )
        .await;
    assert_eq!(found[0], "vega_hedges_total", "{found:?}");
    assert!(
        found[1..].iter().all(|family| family.starts_with("obs_")),
        "{found:?}"
    );

    let wrong = Quoter::start(&["wrong"]).unwrap();
    browser.open(wrong.url()).await;
    let warnings: String = browser
        .until("!document.getElementById('warnings').hidden && document.getElementById('warnings').textContent")
        .await;
    assert!(
        warnings.contains("vega_queue_depth") && warnings.contains("wrong.rs"),
        "{warnings}"
    );
}
