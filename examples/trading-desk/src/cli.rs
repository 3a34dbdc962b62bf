//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use jiff::SignedDuration;

use crate::app::Config;
use crate::bars;
use crate::broker::Terms;
use crate::error::Error;
use crate::pages::RedisUrl;
use crate::risk::Limits;

/// Replays daily prices through two strategies, a risk check and a paper broker, and serves what comes of
/// it over HTTP.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Args {
    /// OHLCV files (CSV) to replay; the S&P 500 and the NASDAQ Composite, 1999 to 2018, without it.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub bars: Vec<PathBuf>,

    /// Where the API listens; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: String,

    /// Keep orders and trades in this database file; in memory without it.
    #[arg(long, value_name = "FILE")]
    pub db: Option<PathBuf>,

    /// Keep pages of bars in this Redis, such as `redis://127.0.0.1`; in memory without it.
    #[arg(long, value_name = "URL")]
    pub redis: Option<RedisUrl>,

    /// Exit after the replay instead of beginning anew, or of serving until Ctrl-C.
    #[arg(long)]
    pub once: bool,

    /// How long a replayed day takes at least, such as 50ms; the replay then begins anew when it is over. As fast as possible, and
    /// once, without it.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub pace: Duration,

    /// What the account begins with, in US dollars.
    #[arg(long, value_name = "USD", default_value = "1000000", value_parser = money)]
    pub cash: f64,
}

impl Args {
    /// The configuration asked for, with the bars read.
    pub fn config(&self) -> Result<Config, Error> {
        let series = if self.bars.is_empty() {
            bars::bundled()?
        } else {
            bars::read_files(&self.bars)?
        };
        Ok(Config {
            series,
            listen: self.listen.clone(),
            db: self.db.clone(),
            redis: self.redis.clone(),
            cash: self.cash,
            pace: self.pace,
            limits: Limits::default(),
            terms: Terms::default(),
        })
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = text.parse::<SignedDuration>().ok();
    let duration = duration.and_then(|duration| Duration::try_from(duration).ok());
    duration.ok_or_else(|| "expected a duration such as 50ms, 1s or 2m".to_owned())
}

fn money(text: &str) -> Result<f64, String> {
    let amount = text
        .parse()
        .ok()
        .filter(|amount: &f64| amount.is_finite() && *amount > 0.0);
    amount.ok_or_else(|| "expected an amount above 0, such as 250000".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
        let args = Args::parse_from(["desk", "--bars", "a.csv", "b.csv", "--pace", "50ms"]);
        assert_eq!((args.bars.len(), args.pace), (2, Duration::from_millis(50)));
    }

    #[test]
    fn nonsense_is_told_with_what_to_write_instead() {
        for (option, value, told) in [
            ("--pace", "-1s", "such as 50ms"),
            ("--pace", "fast", "such as 50ms"),
            ("--cash", "NaN", "such as 250000"),
            ("--cash", "0", "such as 250000"),
        ] {
            let args = ["desk".to_owned(), format!("{option}={value}")];
            let error = Args::try_parse_from(args).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
