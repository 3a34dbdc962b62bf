//! Takes the pictures of the live page and of `cargo xtask top` that are in `docs/images`, from a desk that trades:
//!
//! ```sh
//! cargo run --package obs-tests --example screenshots
//! ```
//!
//! It takes a minute and a half, so that the charts are full. The pictures that are kept were taken where Debian's `fonts-inter`
//! is installed; the page uses what a machine has.

#[expect(dead_code, reason = "tests do more with it than take pictures")]
mod browser;
mod picture;

use std::path::Path;

use browser::Browser;
use obs_tests::{Desk, Quoter, Terminal};
use serde_json::Value;

/// Samples that fill the charts, and the averages over a minute.
const FULL: usize = 75;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let desk = Desk::start("60ms")?;
    let terminal = top(desk.address())?;
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", desk.address())).await;
    browser
        .until::<bool>("document.querySelector('[data-span=\"60\"]') !== null")
        .await;
    browser
        .run::<Value>("document.querySelector('[data-span=\"60\"]').click()")
        .await;
    // In steps, none of which takes longer than the browser's patience.
    for samples in (25..=FULL).step_by(25) {
        browser.until::<bool>(&count(samples)).await;
    }
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        keep(&browser, &format!("page-{scheme}.png")).await?;
    }
    browser.prefer("light").await;
    browser
        .run::<Value>(
            "document.getElementById('group-trading').scrollIntoView({ behavior: 'instant' })",
        )
        .await;
    keep(&browser, "page-trading.png").await?;
    browser
        .run::<Value>(
            "document.querySelector('[data-family=http_request_duration_seconds] .opens').click()",
        )
        .await;
    keep(&browser, "page-metric.png").await?;
    browser
        .run::<Value>(
            "document.getElementById('sheet').close(); scrollTo({ top: 0, behavior: 'instant' })",
        )
        .await;
    browser.size(360, 740, 2).await;
    keep(&browser, "page-phone.png").await?;
    browser.size(1280, 800, 1).await;
    keep_stranger(&browser).await?;
    keep_terminal(&browser, &terminal).await?;
    drop((browser, terminal));
    desk.stop()?;
    Ok(())
}

/// Keeps a picture of another team's service, of which the page knows what its declarations say.
async fn keep_stranger(browser: &Browser) -> Result<(), Box<dyn std::error::Error>> {
    let quoter = Quoter::start(&[])?;
    browser.open(quoter.url()).await;
    browser.until::<bool>(&count(20)).await;
    keep(browser, "page-foreign.png").await
}

/// The same in a terminal, with what the desk does rather than what it is asked, and one family open by label.
fn top(address: &str) -> Result<Terminal, Box<dyn std::error::Error>> {
    let workspace = obs_tests::tools::workspace();
    let script = format!(
        "cd '{}'; cargo --quiet xtask top {address}",
        workspace.display()
    );
    let mut terminal = Terminal::run(&script, 40, 120)?;
    terminal.wait_for("the groups", |screen| {
        screen.contents().contains("API").then_some(())
    })?;
    terminal.type_keys("\rjjjj\r")?;
    Ok(terminal)
}

/// Keeps pictures of a terminal as it is now.
async fn keep_terminal(
    browser: &Browser,
    terminal: &Terminal,
) -> Result<(), Box<dyn std::error::Error>> {
    let screen = terminal.screen();
    let folder = tempfile::tempdir()?;
    for (scheme, palette) in [("light", &picture::LIGHT), ("dark", &picture::DARK)] {
        let page = folder.path().join(format!("{scheme}.html"));
        std::fs::write(&page, picture::page(&screen, palette))?;
        browser.open(&format!("file://{}", page.display())).await;
        let edges =
            "const { width, height } = document.getElementById('screen').getBoundingClientRect();
            return [Math.ceil(width), Math.ceil(height)]";
        let (width, height): (u32, u32) = browser.run(edges).await;
        browser.size(width, height, 1).await;
        let picture = browser.client.screenshot().await?;
        let images = obs_tests::tools::workspace().join("docs/images");
        std::fs::write(images.join(format!("top-{scheme}.png")), picture)?;
    }
    Ok(())
}

/// Waits until what was changed is drawn, which it is with the second sample from now, and keeps a picture.
async fn keep(browser: &Browser, name: &str) -> Result<(), Box<dyn std::error::Error>> {
    let samples: usize = browser
        .run("return Number(document.documentElement.dataset.samples)")
        .await;
    browser.until::<bool>(&count(samples + 2)).await;
    let picture = browser.client.screenshot().await?;
    let folder: &Path = &obs_tests::tools::workspace().join("docs/images");
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(name), picture)?;
    Ok(())
}

fn count(samples: usize) -> String {
    format!("Number(document.documentElement.dataset.samples) >= {samples}")
}
