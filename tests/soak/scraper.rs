//! The scraper. It reads in step, and hands what it read to a thread that looks at it, so that a reading is late for no checking.

use std::error::Error;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::check::{Checker, Form};
use crate::load::Recorded;

/// No scrape is worth more time or memory.
const TIMEOUT: Duration = Duration::from_secs(10);
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// How many may wait to be looked at before the next scrape waits too. In a build that is not for release looking takes longer than
/// reading, and it does not wait but is only read, as the report says.
const WAITING: usize = if cfg!(debug_assertions) { 2 } else { 100 };

/// Scrapes one URL.
pub(crate) struct Scraper {
    url: String,
    took: Vec<Duration>,
    to_check: SyncSender<(String, Form)>,
    checking: JoinHandle<Checker>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Seen {
    /// From asking to the last byte, for each scrape.
    pub(crate) took: Vec<Duration>,
    /// Of the last one.
    pub(crate) bytes: usize,
    pub(crate) checker: Checker,
}

impl Scraper {
    pub(crate) fn start(url: &str) -> Result<Self, Box<dyn Error>> {
        let (to_check, texts) = sync_channel::<(String, Form)>(WAITING);
        let check = move || {
            let mut checker = Checker::default();
            for (text, form) in texts {
                checker.read(&text, form);
            }
            checker
        };
        Ok(Self {
            url: url.to_owned(),
            took: Vec::new(),
            to_check,
            checking: thread::Builder::new().spawn(check)?,
        })
    }

    /// How many scrapes there were.
    pub(crate) fn scrapes(&self) -> usize {
        self.took.len()
    }

    /// Scrapes once.
    pub(crate) fn scrape(&mut self, form: Form) -> Result<(), Box<dyn Error>> {
        let text = self.fetch(form)?;
        // A closed channel means that looking has panicked, which the end tells.
        if cfg!(debug_assertions) {
            let _ = self.to_check.try_send((text, form));
        } else {
            let _ = self.to_check.send((text, form));
        }
        Ok(())
    }

    /// Scrapes a last time in both forms, and holds these against what was recorded.
    pub(crate) fn end(mut self, recorded: &Recorded) -> Result<Seen, Box<dyn Error>> {
        let forms = [Form::OpenMetrics, Form::Classic];
        let last = forms.map(|form| self.fetch(form).map(|text| (text, form)));
        drop(self.to_check);
        let panicked = "the thread that looks at scrapes has panicked";
        let mut checker = self.checking.join().map_err(|_| panicked)?;
        let mut bytes = 0;
        for scrape in last {
            let (text, form) = scrape?;
            bytes = text.len();
            checker.read(&text, form);
            checker.hold_against(recorded);
        }
        Ok(Seen {
            took: self.took,
            bytes,
            checker,
        })
    }

    fn fetch(&mut self, form: Form) -> Result<String, ureq::Error> {
        let accepted = match form {
            Form::Classic => "text/plain; version=0.0.4",
            Form::OpenMetrics => "application/openmetrics-text; version=1.0.0",
        };
        let start = Instant::now();
        let request = ureq::get(&self.url).header("Accept", accepted).config();
        let mut response = request.timeout_global(Some(TIMEOUT)).build().call()?;
        let body = response.body_mut().with_config().limit(MOST_BYTES);
        let text = body.read_to_string()?;
        self.took.push(start.elapsed());
        Ok(text)
    }
}
