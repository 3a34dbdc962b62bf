//! Runs the command as a user does.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output};

fn desk(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trading-desk"))
        .args(["--once", "--listen", "127.0.0.1:0"])
        .args(args)
        .env("OBS_LISTEN", "127.0.0.1:0")
        .output()
        .unwrap()
}

/// A hundred days on which the price swings between 90 and 110.
fn write_bars(path: &Path) {
    let mut text = "Date,Open,High,Low,Close,Adj Close,Volume\n".to_owned();
    let mut date = jiff::civil::date(2020, 1, 1);
    for day in 0..100 {
        let close = 100.0 + 10.0 * f64::from(day).sin();
        writeln!(text, "{date},{close},111,89,{close},{close},1000000").unwrap();
        date = date.tomorrow().unwrap();
    }
    std::fs::write(path, text).unwrap();
}

#[test]
fn replays_the_users_bars_and_reports() {
    let dir = tempfile::tempdir().unwrap();
    let (bars, db) = (dir.path().join("wave.csv"), dir.path().join("desk.db"));
    write_bars(&bars);
    let args = [
        "--bars",
        bars.to_str().unwrap(),
        "--db",
        db.to_str().unwrap(),
        "--cash",
        "5000",
    ];
    let output = desk(&args);
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    for told in [
        "ma_crossover",
        "mean_reversion",
        "metrics      http://127.0.0.1:",
        "submitted",
    ] {
        assert!(stdout.contains(told), "{stdout}");
    }
    assert_eq!(stderr, "replaying 2020-01-01, bar 1 of 100\n");
    assert!(db.exists());
}

#[test]
fn a_malformed_row_is_told_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let bars = dir.path().join("bad.csv");
    std::fs::write(
        &bars,
        "date,open,high,low,close,volume\n2020-01-01,1,1,1,one,1\n",
    )
    .unwrap();
    let output = desk(&["--bars", bars.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("trading-desk: "), "{stderr}");
    let told = "bad.csv:2: column 5 (close): expected a price above 0, found \"one\"\n";
    assert!(stderr.ends_with(told), "{stderr}");
}

#[test]
fn a_port_in_use_and_an_unknown_variable_say_what_to_set() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (variable, value, told) in [
        (
            "OBS_LISTEN",
            address.as_str(),
            "set OBS_LISTEN to another address",
        ),
        ("OBS_MODE", "real", "`backtest`, `paper` or `live`"),
        ("OBS_MOED", "paper", "OBS_MODE"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_trading-desk"))
            .args(["--once", "--listen", "127.0.0.1:0"])
            .env(variable, value)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(told), "{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
}
