//! The trading desk's command.

use std::process::ExitCode;

use clap::Parser;
use trading_desk::cli::Args;

#[tokio::main]
async fn main() -> ExitCode {
    match trading_desk::run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("trading-desk: {error}");
            ExitCode::FAILURE
        }
    }
}
