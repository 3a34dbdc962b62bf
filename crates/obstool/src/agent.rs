//! `obstool agent`: serves what processes have recorded in mapped files, whether they live, are stopped or are dead.

mod accept;
mod act;
mod catalog;
pub(crate) mod families;
mod hang;
#[cfg(feature = "push")]
mod push;
mod switch;
mod text;
mod values;
mod watch;

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use obs_recorder::PROTOBUF_MEDIA_TYPE;

use crate::Error;
use crate::serve::{Answer, Asked, serve};
use act::{Action, OnHang};
use switch::{Shown, Switch};
use watch::Watched;

/// The classic text format.
const EXPOSITION: &str = "text/plain; version=0.0.4";

/// How often files are read while nobody asks, so that none is set aside and removed unseen.
const LOOK: Duration = Duration::from_secs(1);

/// Serve what processes have recorded in mapped files (`OBS_MEMORY`)
///
/// Each file is a process; `/metrics` has all of them with a label `process`, and `obs_process_up`. A process that is stopped is shown as
/// one that runs. What a dead one had last is shown for a time; then its gauges go, and what it counted stays in the totals. Loops that
/// are watched have `obs_process_hung_seconds`, and can have a command run when they hang.
#[derive(clap::Args, Debug)]
pub(crate) struct Agent {
    /// Files, and folders of files whose names end in `.obs`.
    #[arg(value_name = "FILE|DIR", required = true)]
    places: Vec<PathBuf>,
    /// Where `/metrics` is served; port 0 takes any free one.
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
        let pushing = self.push.open(address)?;
        let keep = Duration::from_secs(self.keep);
        let (shown, action) = (Shown::default(), Action::new(self.on_hang));
        let switch = Switch::new(self.places.clone(), keep, action, shown.clone());
        thread::spawn(move || switch.run());
        let watched = Watched::new(self.places, keep);
        let watched = Arc::new(Mutex::new(watched));
        let looking = Arc::clone(&watched);
        thread::spawn(move || {
            loop {
                lock(&looking).look();
                thread::sleep(LOOK);
            }
        });
        anstream::println!("http://{address}/metrics");
        let hosts = self.hosts;
        #[cfg(feature = "push")]
        let seen = push::Files::new(&watched, &shown);
        let serving = move || {
            serve(
                &listener,
                move |host| is_known(host, &hosts),
                move |asked| content(asked, &watched, &shown),
            );
        };
        #[cfg(feature = "push")]
        if let Some(pushing) = pushing {
            thread::spawn(serving);
            return pushing.run(&seen);
        }
        serving();
        Ok(true)
    }
}

fn lock(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is under a path.
fn content(asked: &Asked, watched: &Mutex<Watched>, shown: &Shown) -> Answer {
    match asked.path.as_str() {
        "/metrics" if accept::prefers_protobuf(&asked.accept) => {
            let look = lock(watched).look();
            Answer::ok(PROTOBUF_MEDIA_TYPE, values::protobuf(&look, &shown.get()))
        }
        "/metrics" => {
            let look = lock(watched).look();
            Answer::ok(EXPOSITION, text::write(&look, &shown.get()))
        }
        // What viewers share.
        "/live" => live(watched, shown),
        "/catalog.json" => {
            let look = lock(watched).look();
            Answer::ok("application/json", catalog::write(&look))
        }
        "/healthz" => Answer::ok("text/plain", "ok\n"),
        _ => Answer::not_found("ask for /metrics, /live or /catalog.json\n"),
    }
}

/// The exposition, and when it was rendered, as viewers of a service ask for it.
fn live(watched: &Mutex<Watched>, shown: &Shown) -> Answer {
    let look = lock(watched).look();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs_f64();
    Answer::ok(EXPOSITION, text::write(&look, &shown.get()))
        .with("obs-rendered-at", format!("{now:.3}"))
        .with("obs-age", "0".to_owned())
}

/// Whether a host, with whatever port, is an address, `localhost` or one of these names: an address is no name that somebody else gives.
fn is_known(host: &str, names: &[String]) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let name = match (bracketed, host.split_once(':')) {
        (Some((address, _)), _) => address,
        (None, Some((name, _port))) => name,
        (None, None) => host,
    };
    let is_name = |known: &str| known.eq_ignore_ascii_case(name);
    name.parse::<IpAddr>().is_ok()
        || is_name("localhost")
        || names.iter().any(|known| is_name(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_by_addresses_and_by_names_it_was_given() {
        let names = ["desk-1.internal".to_owned()];
        for (host, is_answered) in [
            ("127.0.0.1:9466", true),
            ("10.0.0.7", true),
            ("[::1]:9466", true),
            ("LocalHost:9466", true),
            ("desk-1.internal:9466", true),
            ("evil.example:9466", false),
            ("127.0.0.1.evil.example", false),
            ("", false),
        ] {
            assert_eq!(is_known(host, &names), is_answered, "{host}");
        }
    }
}
