//! How far the replay is: in its metrics, and as a bar on a terminal, as a line a year elsewhere, as nothing in tests.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::civil::Date;

use crate::metrics::ReplayMetrics;

/// Shows the progress of a replay on standard error and in metrics.
#[derive(Debug)]
pub struct Progress {
    show: Show,
    bars: u64,
    done: u64,
    metrics: Option<Arc<ReplayMetrics>>,
}

#[derive(Debug)]
enum Show {
    Nothing,
    Bar(ProgressBar),
    /// The year of the last line.
    Lines(Option<i16>),
}

impl Progress {
    /// Shows what fits standard error, for a replay of so many bars.
    #[must_use]
    pub fn to_stderr(bars: usize) -> Self {
        let bars = bars as u64;
        let show = if stderr().is_terminal() {
            Show::Bar(bar(bars))
        } else {
            Show::Lines(None)
        };
        Self {
            show,
            bars,
            done: 0,
            metrics: None,
        }
    }

    /// Shows nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self {
            show: Show::Nothing,
            bars: 0,
            done: 0,
            metrics: None,
        }
    }

    /// Shows it in these metrics as well.
    #[must_use]
    pub fn measured(mut self, metrics: Arc<ReplayMetrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// A day was replayed, with so many bars.
    pub fn day(&mut self, date: Date, bars: usize) {
        self.done += bars as u64;
        if let Some(metrics) = &self.metrics {
            metrics.at(date);
        }
        match &mut self.show {
            Show::Nothing => {}
            Show::Bar(bar) => {
                bar.set_message(date.to_string());
                bar.set_position(self.done);
            }
            Show::Lines(year) if *year == Some(date.year()) => {}
            Show::Lines(year) => {
                *year = Some(date.year());
                eprintln!("replaying {date}, bar {} of {}", self.done, self.bars);
            }
        }
    }

    /// The replay is over.
    pub fn finish(self) {
        if let Show::Bar(bar) = self.show {
            bar.finish();
            // It leaves the cursor behind the bar.
            eprintln!();
        }
    }
}

fn bar(bars: u64) -> ProgressBar {
    let template = "{msg} {wide_bar} {pos}/{len} bars, {eta} left";
    // The template is ours and parses; if it did not, the default style would do.
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(bars).with_style(style)
}
