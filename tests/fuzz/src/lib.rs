//! What reads bytes from outside, given arbitrary bytes.
//!
//! A target is a function of bytes that panics where a promise is broken. [`run`] gives it each seed of its corpus,
//! `corpus/<name>/`, and then changed and crossed seeds: a thousand by default, `PROPTEST_CASES` of them where that is set, and
//! always the same ones unless `PROPTEST_RNG_SEED` says otherwise. So targets are ordinary tests:
//!
//! ```sh
//! cargo test -p obs-fuzz
//! PROPTEST_CASES=1000000 PROPTEST_RNG_SEED=7 cargo test --release -p obs-fuzz exposition
//! ```
//!
//! An input that breaks a promise is made small, and left in `target/fuzz` to be added to the corpus. The program of this package
//! gives one input to a target, from a file or from a fuzzer that starts programs, such as AFL; `libFuzzer` calls the function:
//!
//! ```sh
//! cargo run -p obs-fuzz -- exposition < target/fuzz/exposition
//! ```
#![expect(clippy::missing_panics_doc, reason = "panics are what targets tell by")]

mod corpus;
mod targets;

pub use crate::corpus::run;
pub use crate::targets::{
    TARGETS, configuration, csv, exposition, http, openmetrics, render, state,
};
