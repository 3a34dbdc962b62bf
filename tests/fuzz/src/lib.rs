//! Fuzzes every parser of external input.
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
//! `tests/fuzz/coverage` has LLVM's fuzzer, which follows coverage, on the parser of expositions, the reader of mapped files and the checker of
//! `PromQL`, from the same corpora. It is laid out for `cargo fuzz`, and stable Rust builds it as well:
//!
//! ```sh
//! export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
//!     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
//!     -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1"
//! cd tests/fuzz/coverage
//! cargo build --release --target x86_64-unknown-linux-gnu
//! mkdir found
//! target/x86_64-unknown-linux-gnu/release/memory -max_total_time=3600 -max_len=2048 found ../corpus/memory
//! ```
//!
//! What it finds to cover more is kept in `corpus` as `covered-…`, reduced by `-set_cover_merge=1`.
//!
//! An input that breaks a promise is made small, and left in `target/fuzz` to be added to the corpus. The program of this package
//! gives one input to a target, from a file or from a fuzzer that starts programs, such as AFL:
//!
//! ```sh
//! cargo run -p obs-fuzz -- exposition < target/fuzz/exposition
//! ```
#![expect(clippy::missing_panics_doc, reason = "panics are what targets tell by")]

mod corpus;
mod exposition;
mod memory;
mod targets;

pub use crate::corpus::run;
pub use crate::exposition::exposition;
pub use crate::memory::memory;
pub use crate::targets::{TARGETS, configuration, csv, http, openmetrics, render, state};
