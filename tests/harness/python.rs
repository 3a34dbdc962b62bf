//! What Python's `prometheus_client` reads in an exposition.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;

use crate::{Error, tools};

/// A Python that reads one exposition after another. It ends with this value.
#[derive(Debug)]
pub struct PythonParser {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// A family as Python's parser understands it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct PythonFamily {
    /// Its name; a counter's without `_total`.
    pub name: String,
    /// Its kind, in the word of the `TYPE` line, or `unknown`.
    pub kind: String,
    /// Its help text.
    pub help: String,
    /// Its unit, which `OpenMetrics` names; empty where it does not.
    pub unit: String,
    /// Its samples, in their order.
    pub samples: Vec<PythonSample>,
}

/// A sample as Python's parser understands it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct PythonSample {
    /// The full name.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    #[serde(deserialize_with = "number")]
    pub value: f64,
    /// Seconds since the Unix epoch.
    pub timestamp: Option<f64>,
    /// An observation that stands for others, which `OpenMetrics` may show.
    pub exemplar: Option<PythonExemplar>,
}

/// An exemplar as Python's parser understands it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct PythonExemplar {
    /// Its labels, such as `trace_id`.
    pub labels: BTreeMap<String, String>,
    /// What was observed.
    #[serde(deserialize_with = "number")]
    pub value: f64,
    /// When, in seconds since the Unix epoch.
    pub timestamp: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Families(Vec<PythonFamily>),
    Refused(String),
}

impl PythonParser {
    /// Starts one.
    pub fn start() -> Result<Self, Error> {
        let mut process = Command::new(tools::python()?)
            .args(["-c", include_str!("parse.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::system("start Python"))?;
        match (process.stdin.take(), process.stdout.take()) {
            (Some(questions), Some(answers)) => Ok(Self {
                process,
                questions,
                answers: BufReader::new(answers),
            }),
            _ => Err(Error::Missing {
                program: "a pipe to Python",
            }),
        }
    }

    /// What it reads in an exposition, or why it reads nothing. One that ends in `# EOF` is read as `OpenMetrics`.
    pub fn parse(&mut self, exposition: &str) -> Result<Result<Vec<PythonFamily>, String>, Error> {
        let asked = || Error::system("ask Python");
        let question = serde_json::Value::from(exposition);
        writeln!(self.questions, "{question}").map_err(asked())?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).map_err(asked())?;
        match serde_json::from_str(&answer) {
            Ok(Answer::Families(families)) => Ok(Ok(families)),
            Ok(Answer::Refused(reason)) => Ok(Err(reason)),
            Err(error) => Err(Error::Nonsense {
                program: "Python",
                answer: format!("{answer:?} ({error})"),
            }),
        }
    }
}

/// What a Python script prints of a text that it reads on standard input, or how it failed.
pub fn python_says(script: &str, input: &str) -> Result<Result<String, String>, Error> {
    let asked = || Error::system("ask Python");
    let mut process = Command::new(tools::python()?)
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(asked())?;
    if let Some(mut stdin) = process.stdin.take() {
        // A script that fails before it has read all tells why itself.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = process.wait_with_output().map_err(asked())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ok(if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    })
}

impl Drop for PythonParser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Python writes `inf`, `nan` and exponents as Rust reads them.
fn number<'de, D: serde::Deserializer<'de>>(value: D) -> Result<f64, D::Error> {
    let text = String::deserialize(value)?;
    text.parse().map_err(serde::de::Error::custom)
}
