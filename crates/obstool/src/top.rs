//! `obstool top`: what a service measures, live in a terminal.

mod format;
mod history;
mod keys;
mod layout;
mod model;
mod overview;
mod page;
mod plain;
mod target;
mod view;

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine};
use jiff::SignedDuration;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use keys::Next;
use model::Model;
use target::{Scraped, Target};
use view::Theme;

use crate::{Access, Error, Place};

pub use page::Page;

/// The exporter's own variables, so that who starts a service and looks at it sets them once.
const TOKEN: &str = "OBS_BEARER_TOKEN";
const USER: &str = "OBS_BASIC_AUTH";
/// What shells add to the number of a signal, for the exit status of what it ended.
const ENDED_BY_SIGNAL: i32 = 128;
/// How long a scrape or a signal may go unnoticed. Keys are noticed at once.
const ATTENTION: Duration = Duration::from_millis(100);
/// How often ages are drawn anew.
const TICK: Duration = Duration::from_secs(1);

/// Show live what a service measures: the same as its page, in a terminal
///
/// Counters are shown as rates, histograms as quantiles of the last minute, gauges as they are. Press ? for the keys, q to quit.
/// Any exporter will do; one of this workspace also says which metrics belong together and what their units are. Into a pipe, or
/// with `--once`, it prints a table of every series after two scrapes.
#[derive(clap::Args)]
pub struct Top {
    /// Where the metrics are: a URL, or a host with a port.
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:9464")]
    target: Place,
    /// The token that the metrics ask for; that of `OBS_BEARER_TOKEN` unless given. A file keeps it from other users' eyes.
    #[arg(long, conflicts_with = "user")]
    token: Option<String>,
    /// The user and password that the metrics ask for; those of `OBS_BASIC_AUTH` unless given.
    #[arg(long, value_name = "USER:PASSWORD")]
    user: Option<String>,
    #[command(flatten)]
    access: Access,
    /// How often to scrape.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// Print a table and exit, also on a terminal.
    #[arg(long)]
    once: bool,
}

impl Top {
    /// Draws until somebody has seen enough, or prints a table.
    pub fn run(&self) -> Result<bool, Error> {
        let target = Target::new(self.target.clone(), &self.access, self.authorization())?;
        if self.once || !std::io::stdout().is_terminal() {
            self.print(target)
        } else {
            self.show(target)
        }
    }

    /// What is given comes before what is set, and a token before a password.
    fn authorization(&self) -> Option<String> {
        if self.access.bearer_token_file.is_some() || self.access.basic_auth_file.is_some() {
            return None;
        }
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (token, user) = match (self.token.clone(), self.user.clone()) {
            (None, None) => (set(TOKEN), set(USER)),
            given => given,
        };
        let basic = |user| format!("Basic {}", BASE64_STANDARD.encode(user));
        token
            .map(|token| format!("Bearer {token}"))
            .or_else(|| user.map(basic))
    }

    /// Prints a table once there are rates.
    fn print(&self, mut target: Target) -> Result<bool, Error> {
        let began = Instant::now();
        let mut model = Model::new(self.target.to_string());
        while model.history.len() < 2 {
            if let Some(scraped) = target.look()? {
                model.scraped(seconds(began, scraped.at), scraped);
            }
            if model.history.len() < 2 {
                thread::sleep(self.interval);
            }
        }
        let printed = write!(anstream::stdout(), "{}", plain::table(&mut model));
        // Who closes the pipe, as `head` does, has read enough.
        drop(printed);
        Ok(true)
    }

    /// Takes the terminal, and gives it back however this ends.
    fn show(&self, target: Target) -> Result<bool, Error> {
        let stopped = Arc::new(AtomicBool::new(false));
        stop_by_signals(&stopped).map_err(|source| Error::Signals { source })?;
        thread::spawn(end_with_terminal);
        let (tell, told) = mpsc::channel();
        let interval = self.interval;
        thread::spawn(move || target.watch(interval, &tell));
        let model = Model::new(self.target.to_string());
        let screen = |source| Error::Terminal { source };
        // After a panic too: the first sets a hook that gives it back.
        let mut terminal = ratatui::try_init().map_err(screen)?;
        let shown = run(&mut terminal, model, &told, &stopped);
        let restored = ratatui::try_restore();
        shown.and(restored).map_err(screen)?;
        Ok(true)
    }
}

/// Sets the flag when somebody asks for an end, and ends at once when they ask again or the terminal is gone: reading keys of a
/// terminal that is gone never returns, and there is nobody left to give it back to.
fn stop_by_signals(stopped: &Arc<AtomicBool>) -> std::io::Result<()> {
    use signal_hook::flag::{register, register_conditional_shutdown};

    let gone = Arc::new(AtomicBool::new(true));
    register_conditional_shutdown(SIGHUP, ENDED_BY_SIGNAL + SIGHUP, gone)?;
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first time, the flag is not set yet when it is asked for.
        register_conditional_shutdown(signal, ENDED_BY_SIGNAL + signal, Arc::clone(stopped))?;
        register(signal, Arc::clone(stopped))?;
    }
    Ok(())
}

/// Ends when the terminal is gone. The signal of that does not come where the shell around this ignores it, as under `nohup`.
fn end_with_terminal() {
    let Ok(terminal) = File::open("/dev/tty") else {
        return;
    };
    loop {
        // Asked for nothing, it tells of nothing but the end.
        let mut ends = [PollFd::new(&terminal, PollFlags::empty())];
        match poll(&mut ends, None) {
            Ok(_) => std::process::exit(ENDED_BY_SIGNAL + SIGHUP),
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Draws whatever changes until somebody has seen enough.
fn run(
    terminal: &mut DefaultTerminal,
    mut model: Model,
    told: &Receiver<Result<Scraped, Error>>,
    stopped: &AtomicBool,
) -> std::io::Result<()> {
    let began = Instant::now();
    // https://no-color.org: set, and not empty.
    let has_colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let theme = Theme { has_colours };
    let mut drawn: Option<Instant> = None;
    while !stopped.load(Ordering::Relaxed) {
        let mut is_stale = drawn.is_none_or(|drawn| drawn.elapsed() >= TICK);
        while let Ok(answer) = told.try_recv() {
            is_stale = true;
            match answer {
                Ok(scraped) => model.scraped(seconds(began, scraped.at), scraped),
                Err(failure) => model.failed(began.elapsed().as_secs_f64(), &failure),
            }
        }
        if is_stale {
            let now = began.elapsed().as_secs_f64();
            terminal.draw(|frame| view::draw(frame, &mut model, theme, now))?;
            drawn = Some(Instant::now());
        }
        // All keys that are there before the next picture: held down, they come faster than it is drawn.
        let mut patience = ATTENTION;
        while event::poll(patience)? {
            patience = Duration::ZERO;
            drawn = None;
            if let Event::Key(key) = event::read()?
                && keys::press(&mut model, key) == Next::Quit
            {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// On the clock of what is shown; what was rendered before it began has a time below 0.
fn seconds(began: Instant, at: Instant) -> f64 {
    let before = began.saturating_duration_since(at).as_secs_f64();
    at.saturating_duration_since(began).as_secs_f64() - before
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = text.parse::<SignedDuration>().ok();
    let interval = interval.and_then(|interval| Duration::try_from(interval).ok());
    let interval = interval.filter(|interval| *interval >= Duration::from_millis(100));
    interval.ok_or_else(|| "expected a duration of 100ms or more, such as 1s or 15s".to_owned())
}
