//! What is done where a watched loop hangs: a line in the log, and once a command and a request.

use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ureq::http::Uri;

/// How many commands and requests may be under way. One that does not end holds up no other hang's.
const MOST: usize = 64;
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Commands and requests at a hang.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "When a watched loop hangs")]
pub(super) struct OnHang {
    /// A command for the shell, run once for each hang. It finds what hangs in `HUNG_PROCESS`, `HUNG_LOOP`, `HUNG_PID`, `HUNG_ALIVE` and
    /// `HUNG_SECONDS`.
    #[arg(long = "on-hang", value_name = "COMMAND")]
    command: Option<String>,
    /// A URL, to which a JSON object that says what hangs is posted once for each hang.
    #[arg(long = "on-hang-url", value_name = "URL", value_parser = receiver)]
    url: Option<Uri>,
    /// Log what would be run and posted, and do neither.
    #[arg(long = "on-hang-dry-run")]
    dry_run: bool,
}

/// A loop that hangs.
#[derive(Clone, Debug)]
pub(super) struct Hang {
    pub(super) process: String,
    pub(super) name: String,
    pub(super) pid: u32,
    pub(super) is_alive: bool,
    pub(super) seconds: f64,
    pub(super) timeout: Duration,
}

/// Acts at hangs, without waiting for what it does.
#[derive(Debug)]
pub(super) struct Action {
    on_hang: OnHang,
    under_way: Vec<JoinHandle<()>>,
}

/// Something that can be posted to: what it is not is to be found out before a loop hangs.
fn receiver(text: &str) -> Result<Uri, &'static str> {
    const EXPECTED: &str = "expected a URL such as http://127.0.0.1:8080/flatten";
    let url: Uri = text.parse().map_err(|_| EXPECTED)?;
    let is_http = matches!(url.scheme_str(), Some("http" | "https"));
    let authority = url.authority().filter(|_| is_http).ok_or(EXPECTED)?;
    let has_port = authority.as_str().ends_with(authority.host()) || authority.port_u16().is_some();
    if authority.host().is_empty() || !has_port {
        return Err(EXPECTED);
    }
    Ok(url)
}

impl Hang {
    /// A line for people.
    pub(super) fn log(&self, what: &str) {
        let Self {
            process, name, pid, ..
        } = self;
        anstream::eprintln!("loop {name:?} of {process:?} (process {pid}) {what}");
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "process": self.process,
            "loop": self.name,
            "pid": self.pid,
            "is_alive": self.is_alive,
            "silent_seconds": self.seconds,
            "timeout_seconds": self.timeout.as_secs_f64(),
        })
    }
}

impl Action {
    pub(super) fn new(on_hang: OnHang) -> Self {
        Self {
            on_hang,
            under_way: Vec::new(),
        }
    }

    /// Logs a hang, and begins what is to be done.
    pub(super) fn take(&mut self, hang: Hang) {
        let state = if hang.is_alive { "hangs" } else { "is dead" };
        let (seconds, timeout) = (hang.seconds, hang.timeout.as_secs_f64());
        hang.log(&format!(
            "{state}: no beat for {seconds:.3} s, its time-out is {timeout} s"
        ));
        let OnHang {
            command,
            url,
            dry_run,
        } = self.on_hang.clone();
        if dry_run {
            if let Some(command) = command {
                hang.log(&format!("would have run {command:?}"));
            }
            if let Some(url) = url {
                hang.log(&format!("would have posted to {url}"));
            }
            return;
        }
        if let Some(command) = command {
            self.begin(hang.clone(), move |hang| run(&command, hang));
        }
        if let Some(url) = url {
            self.begin(hang, move |hang| post(&url, hang));
        }
    }

    fn begin(&mut self, hang: Hang, act: impl FnOnce(&Hang) -> String + Send + 'static) {
        self.under_way.retain(|one| !one.is_finished());
        if self.under_way.len() >= MOST {
            hang.log("is not acted on: 64 commands and requests of earlier hangs have not ended");
            return;
        }
        let refused = hang.clone();
        let begun = thread::Builder::new().spawn(move || {
            let done = act(&hang);
            hang.log(&done);
        });
        match begun {
            Ok(one) => self.under_way.push(one),
            Err(error) => refused.log(&format!("is not acted on: no thread can be begun: {error}")),
        }
    }
}

/// Runs a command to its end, and says how that was.
fn run(command: &str, hang: &Hang) -> String {
    let status = Command::new("sh")
        .args(["-c", command])
        .env("HUNG_PROCESS", &hang.process)
        .env("HUNG_LOOP", &hang.name)
        .env("HUNG_PID", hang.pid.to_string())
        .env("HUNG_ALIVE", if hang.is_alive { "1" } else { "0" })
        .env("HUNG_SECONDS", hang.seconds.to_string())
        .stdin(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => format!("was acted on by {command:?}"),
        Ok(status) => format!("FAILED to be acted on by {command:?}: {status}"),
        Err(error) => format!("FAILED to be acted on by {command:?}: {error}"),
    }
}

/// Posts to a URL, and says what was answered.
fn post(url: &Uri, hang: &Hang) -> String {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .user_agent("obstool")
        .build()
        .into();
    let request = agent.post(url).header("content-type", crate::client::JSON);
    match request.send(hang.json().to_string()) {
        Ok(answer) => format!("was posted to {url}: {}", answer.status()),
        Err(error) => format!("FAILED to be posted to {url}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_posted_to_is_refused() {
        for url in [
            "http://desk:8080/flatten",
            "https://pager.internal",
            "http://user:word@[::1]:80/",
        ] {
            assert_eq!(receiver(url).unwrap().to_string().find(url), Some(0));
        }
        for wrong in [
            "",
            "notaurl",
            "desk:8080/flatten",
            "ftp://desk/flatten",
            "http://",
            "http://desk:99999/flatten",
            "http://desk:/flatten",
        ] {
            assert!(receiver(wrong).is_err(), "{wrong}");
        }
    }
}
