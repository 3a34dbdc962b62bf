//! `obstool agent`: serves what processes have recorded in mapped files, whether they live, are stopped or are dead.

mod act;
mod catalog;
pub(crate) mod families;
mod hang;
mod page;
#[cfg(feature = "push")]
mod push;
#[cfg(feature = "push")]
mod state;
mod switch;
mod text;
mod values;
mod watch;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use http::StatusCode;
use obs_page::{File, Response};
use obs_recorder::PROTOBUF_MEDIA_TYPE;
use obs_recorder::request::{WantedMessages, is_for};

use crate::Error;
use crate::serve::{Request, TEXT, refused, serve};
use act::{Action, OnHang};
use page::Page;
use switch::{Shown, Switch};
use watch::{Remembered, Watched};

/// The classic text format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How often files are read while nobody asks, so that none is set aside and removed unseen, and that figures have a history.
const LOOK: Duration = Duration::from_secs(1);

/// Serve what processes have recorded in mapped files (`OBS_MEMORY`)
///
/// Each file is a process; `/metrics` has all of them with a label `process`, and `obs_process_up`; `/` is their live page. A process that is stopped is shown as
/// one that runs. What a dead one had last is shown for a time; then its gauges go, and what it counted stays in the totals. Loops that
/// are watched have `obs_process_hung_seconds`, and can have a command run when they hang.
#[derive(clap::Args, Debug)]
pub(crate) struct Agent {
    /// Files, and folders of files whose names end in `.obs`.
    #[arg(value_name = "FILE|DIR", required = true)]
    places: Vec<PathBuf>,
    /// Where `/metrics` and the page are served; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9466")]
    listen: SocketAddr,
    /// A name by which it is asked, beside `localhost` and addresses; may be given several times.
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// For how many seconds the last values of a dead process are shown.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    keep: u64,
    #[command(flatten)]
    on_hang: OnHang,
    #[cfg(feature = "push")]
    #[command(flatten)]
    push: push::Receivers,
}

impl Agent {
    /// Serves until the process is ended.
    pub(crate) fn run(self) -> Result<bool, Error> {
        let listen = |source| Error::Listen {
            address: self.listen,
            source,
        };
        let listener = TcpListener::bind(self.listen).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        #[cfg(feature = "push")]
        let mut pushing = self.push.open(address, &self.places)?;
        let remembered = Remembered::default();
        #[cfg(feature = "push")]
        let remembered = pushing
            .as_mut()
            .map_or(remembered, push::Pushing::take_remembered);
        let missing = self.places.iter().filter(|place| !place.exists());
        let missing: Vec<_> = missing.cloned().collect();
        let keep = Duration::from_secs(self.keep);
        let (shown, action) = (Shown::default(), Action::new(self.on_hang));
        let switch = Switch::new(self.places.clone(), keep, action, shown.clone());
        thread::spawn(move || switch.run());
        let served = Served {
            watched: Arc::new(Mutex::new(Watched::new(self.places, keep, remembered))),
            shown,
            page: Page::default(),
        };
        let served = Arc::new(served);
        let looking = Arc::clone(&served);
        thread::spawn(move || looking.look());
        anstream::println!("http://{address}/metrics");
        for place in missing {
            anstream::eprintln!("{} is not there; it is shown when it is", place.display());
        }
        let hosts = self.hosts;
        #[cfg(feature = "push")]
        let seen = push::Files::new(&served.watched, &served.shown);
        let serving = move || {
            serve(
                &listener,
                move |host| is_for(host, &hosts),
                move |request| served.answer(request),
            );
        };
        #[cfg(feature = "push")]
        if let Some(pushing) = pushing {
            thread::spawn(serving);
            return pushing.run(seen);
        }
        serving();
        Ok(true)
    }
}

/// What is served.
struct Served {
    watched: Arc<Mutex<Watched>>,
    shown: Shown,
    page: Page,
}

impl Served {
    /// Reads the files for as long as the program runs.
    fn look(&self) -> ! {
        let mut next = Instant::now();
        let mut refused = BTreeSet::new();
        loop {
            let look = lock(&self.watched).look();
            let known = std::mem::replace(&mut refused, look.refused.iter().cloned().collect());
            for why in refused.difference(&known) {
                anstream::eprintln!("a file is not shown: {why}");
            }
            self.page.take(&look, &self.shown.get());
            // What was missed is not made up for.
            next = (next + LOOK).max(Instant::now());
            thread::sleep(next - Instant::now().min(next));
        }
    }

    /// What is under a path, with the headers of the page.
    fn answer(&self, request: &Request) -> Response {
        let client = request.client();
        let look = || lock(&self.watched).look();
        match &*request.path {
            "/metrics" if WantedMessages::of(request.accept(), false).is_some() => {
                let values = values::protobuf(&look(), &self.shown.get());
                obs_page::fresh(PROTOBUF_MEDIA_TYPE, values, client)
            }
            "/metrics" => {
                let text = text::write(&look(), &self.shown.get());
                obs_page::fresh(EXPOSITION, text, client)
            }
            "/" => page::index(&look(), client),
            // What viewers share.
            "/live" => {
                let text = || text::write(&look(), &self.shown.get());
                self.page.live(client, text)
            }
            "/history" => self.page.history(client),
            "/catalog.json" => obs_page::fresh("application/json", catalog::write(&look()), client),
            "/healthz" => obs_page::fresh(TEXT, "ok\n", client),
            path => File::at(path).map_or_else(
                || {
                    let why = "not found; there are /, /metrics, /catalog.json and /healthz\n";
                    obs_page::guarded(refused(StatusCode::NOT_FOUND, why))
                },
                |file| file.answer(client),
            ),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
