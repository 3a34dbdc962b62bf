//! `obstool`, as it is installed.

use std::process::ExitCode;

fn main() -> ExitCode {
    obstool::main(&[])
}
