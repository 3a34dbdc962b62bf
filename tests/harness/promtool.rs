//! What `promtool check metrics` says of an exposition.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::{Error, tools};

/// The judgement of `promtool check metrics`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to say.
    Accepted,
    /// Readable, but against the conventions: a line for each complaint, which starts with the metric's name.
    Complaints(Vec<String>),
    /// Not readable, and why.
    Refused(String),
}

/// Hands an exposition to `promtool check metrics`.
pub fn check_metrics(exposition: &str) -> Result<Verdict, Error> {
    let asked = || Error::system("ask promtool");
    let mut promtool = Command::new(tools::promtool()?)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(asked())?;
    // It reads to the end before it says anything, so writing first cannot block both. What it leaves unread when it
    // refuses early is no failure of ours.
    if let Some(mut input) = promtool.stdin.take() {
        let _ = input.write_all(exposition.as_bytes());
    }
    let output = promtool.wait_with_output().map_err(asked())?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(Verdict::Accepted),
        Some(1) => Ok(Verdict::Refused(said)),
        Some(3) => Ok(Verdict::Complaints(said.lines().map(Into::into).collect())),
        _ => Err(Error::Nonsense {
            program: "promtool",
            answer: format!("{}: {said}", output.status),
        }),
    }
}
