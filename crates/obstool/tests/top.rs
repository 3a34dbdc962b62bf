//! `obstool top` as its users see it: in a terminal, beside a desk that comes and goes, and in a pipe.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use obs_tests::{Desk, Process, Quoter, Screen, Terminal};

const OBSTOOL: &str = env!("CARGO_BIN_EXE_obstool");

/// A desk that trades at this address: the program that `Desk` built, which is beside ours.
fn desk_at(address: &str) -> Process {
    let mut desk = Command::new(PathBuf::from(OBSTOOL).with_file_name("trading-desk"));
    desk.args(["--listen", "127.0.0.1:0", "--pace", "20ms"])
        .env("OBS_LISTEN", address)
        .env("OBS_ENVIRONMENT", "test");
    let mut desk = Process::start(&mut desk).unwrap();
    let is_up = |line: &str| (line.starts_with("metrics") && line.contains(address)).then_some(());
    desk.wait_for("where its metrics are", is_up).unwrap();
    desk
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn lines(screen: &Screen) -> Vec<String> {
    screen.rows(0, screen.size().1.get()).collect()
}

/// The line that has this text.
fn line(screen: &Screen, text: &str) -> Option<String> {
    lines(screen).into_iter().find(|line| line.contains(text))
}

/// Waits for a line with all of these texts.
fn wait(terminal: &Terminal, texts: &[&str]) -> String {
    let has_all = |line: &String| texts.iter().all(|text| line.contains(text));
    let found = terminal.wait_for(&texts.join(" … "), |screen| {
        lines(screen).into_iter().find(has_all)
    });
    found.unwrap()
}

#[test]
fn a_desk_that_goes_and_comes_back_is_seen_to() {
    // Builds it.
    drop(Desk::start("1s").unwrap());
    let address = free_address();
    let desk = desk_at(&address);
    let script = format!(
        "tty; {OBSTOOL} top {address} --interval 200ms; echo ended with $?; stty -a; read over"
    );
    let mut terminal = Terminal::run(&script, 40, 120).unwrap();

    // What it is, how it is, and what it does.
    wait(&terminal, &["trading-desk", "test", "● up"]);
    wait(
        &terminal,
        &["Replay", "Portfolio value", "Drawdown", "Strategies"],
    );
    wait(&terminal, &["▾ API", "7 metrics"]);
    wait(&terminal, &["http_requests_total", "in all", "/s"]);
    wait(
        &terminal,
        &["http_request_duration_seconds", "p50", "p95", "p99", "s"],
    );
    assert!(terminal.screen().alternate_screen() && terminal.screen().hide_cursor());

    // A group is folded; what is below it is seen by label, and by words.
    terminal.type_keys("\r").unwrap();
    wait(&terminal, &["▸ Replay", "6 metrics"]);
    terminal.type_keys("jj\r").unwrap();
    wait(&terminal, &["      endpoint=/bars", "/"]);
    terminal.type_keys("/drawdown_ratio").unwrap();
    wait(&terminal, &["portfolio_drawdown_ratio", "%"]);
    wait(&terminal, &["/drawdown_ratio", " of ", " metrics"]);
    assert_eq!(line(&terminal.screen(), "http_requests_total"), None);
    // What is selected stays so; the first line is a key away.
    terminal.type_keys("\x1b").unwrap();
    wait(&terminal, &["q quit", "sorted: as declared"]);
    terminal.type_keys("g").unwrap();
    wait(&terminal, &["http_requests_total"]);

    // It goes, and what it last said stays.
    assert!(desk.interrupt().unwrap().success());
    wait(&terminal, &["trading-desk", "✗ unreachable"]);
    wait(&terminal, &["unreachable for ", "Connection refused"]);
    wait(&terminal, &["http_requests_total", "in all"]);

    // Another comes, at the same place, and counts from 0.
    let another = desk_at(&address);
    wait(&terminal, &["trading-desk", "● up"]);
    let calm = |screen: &Screen| line(screen, "unreachable").is_none().then_some(());
    terminal
        .wait_for("that nothing is said any more", calm)
        .unwrap();
    let rate = wait(&terminal, &["http_requests_total", "/s"]);
    assert!(!rate.contains('−'), "{rate}");
    // Its trend has a gap, and a mark where the other began.
    wait(&terminal, &["http_requests_total", " ┊"]);

    // The screen stands still, and goes on.
    terminal.type_keys("p").unwrap();
    wait(&terminal, &["trading-desk", "‖ paused"]);
    terminal.type_keys("p").unwrap();
    wait(&terminal, &["trading-desk", "● up"]);

    // Over all groups, by rate; and one series over the whole screen, with the time of day.
    terminal.type_keys("ssss").unwrap();
    wait(&terminal, &["▾ All", "metrics"]);
    wait(&terminal, &["sorted: rate, over all groups"]);
    terminal.type_keys("s/uptime\r").unwrap();
    wait(&terminal, &["sorted: change, over all groups"]);
    terminal.type_keys("gj\r").unwrap();
    wait(&terminal, &["app_uptime_seconds"]);
    wait(&terminal, &["min ", "max ", "now "]);
    let axis = |screen: &Screen| {
        lines(screen)
            .into_iter()
            .find(|line| line.matches(':').count() == 6)
    };
    terminal.wait_for("times below the chart", axis).unwrap();
    terminal.type_keys("x\x1b").unwrap();

    terminal.type_keys("q").unwrap();
    wait(&terminal, &["ended with 0"]);
    wait(&terminal, &[" icanon", " echo "]);
    let screen = terminal.screen();
    assert!(!screen.alternate_screen() && !screen.hide_cursor());
    assert!(line(&screen, "● up").is_none());
    assert!(another.interrupt().unwrap().success());
}

#[test]
fn a_window_is_followed_and_ctrl_c_gives_the_terminal_back() {
    let address = free_address();
    let script =
        format!("tty; read start; {OBSTOOL} top {address}; echo ended with $?; stty -a; read over");
    let mut terminal = Terminal::run(&script, 30, 100).unwrap();
    let tty = wait(&terminal, &["/dev/"]);
    terminal.type_keys("\n").unwrap();
    wait(&terminal, &["unreachable for", "Connection refused"]);
    wait(&terminal, &["Is the service running"]);
    terminal.resize(tty.trim().as_ref(), 15, 60).unwrap();
    terminal
        .wait_for("the last line at its new place", |screen| {
            lines(screen)[14].starts_with("q quit").then_some(())
        })
        .unwrap();
    // Ctrl-C is a key here.
    terminal.type_keys("\x03").unwrap();
    wait(&terminal, &["ended with 0"]);
    wait(&terminal, &[" icanon"]);
    assert!(!terminal.screen().alternate_screen());
}

#[test]
fn a_terminal_that_is_closed_ends_it() {
    ends_with_its_terminal(str::to_owned);
}

/// A shell that ignores the signal of a terminal that hangs up, as one under `nohup` does, keeps it from what runs in it.
#[test]
fn a_terminal_that_is_closed_ends_it_without_a_signal() {
    ends_with_its_terminal(|top| format!("trap '' HUP; sh -c '{top}'; read over"));
}

fn ends_with_its_terminal(within: impl FnOnce(&str) -> String) {
    let address = free_address();
    let top = format!("echo number $$ here; read start; exec {OBSTOOL} top {address}");
    let mut terminal = Terminal::run(&within(&top), 30, 100).unwrap();
    let number = wait(&terminal, &["number ", " here"]);
    let number = number.split_whitespace().nth(1).unwrap().to_owned();
    terminal.type_keys("\n").unwrap();
    wait(&terminal, &["unreachable for", "Connection refused"]);
    drop(terminal);
    let mut ended = Command::new("timeout");
    ended.args(["60", "tail", "-s", "0.1", "-f", "/dev/null"]);
    ended.arg(format!("--pid={number}"));
    assert!(ended.status().unwrap().success(), "{number} is still there");
}

fn piped(arguments: &[&str]) -> Output {
    let mut top = Command::new(OBSTOOL);
    top.arg("top").args(arguments).output().unwrap()
}

#[test]
fn a_pipe_gets_a_table() {
    let desk = Desk::start("20ms").unwrap();
    let output = piped(&[desk.address()]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{table}");
    let groups: Vec<_> = table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(' '))
        .collect();
    assert_eq!(
        groups[..5],
        ["Replay", "API", "Trading", "Performance", "Positions"]
    );
    let orders = table
        .lines()
        .find(|line| line.starts_with("  trading_orders_total{"));
    let orders = orders.unwrap();
    assert!(
        orders.contains("venue=\"paper\"") && orders.contains(" in all"),
        "{orders}"
    );
    assert!(!table.contains('\x1b'));
    desk.stop().unwrap();
}

#[test]
fn a_pipe_to_nobody_is_an_error_that_says_so() {
    let address = free_address();
    let output = piped(&[&format!("http://{address}/metrics"), "--once"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        told,
        format!("error: http://{address} is unreachable: Connection refused\n")
    );
    assert_eq!(piped(&["https://desk.internal"]).status.code(), Some(2));
}

#[test]
fn thirty_and_eighty_columns_keep_the_names() {
    let quoter = Quoter::start(&[]).unwrap();
    let script = format!("{OBSTOOL} top {} --interval 200ms", quoter.url());
    let narrow = Terminal::run(&script, 40, 30).unwrap();
    wait(&narrow, &["vega_hedges_total", "/s"]);
    let usual = Terminal::run(&script, 40, 80).unwrap();
    wait(&usual, &["vega_model_busy_seconds_total", "%"]);
    quoter.stop().unwrap();
}

/// Serves one exposition to everybody until the test ends.
fn serves(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request: Vec<_> = lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            let is_found = request
                .first()
                .is_some_and(|line| line.contains(" /metrics "));
            let (status, text) = if is_found {
                ("200 OK", text)
            } else {
                ("404 Not Found", "")
            };
            let length = text.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
            );
            // Who has asked may have gone.
            let _ = stream.write_all((head + text).as_bytes());
        }
    });
    address
}

#[test]
fn quoted_names_and_lines_that_end_as_on_windows_are_read() {
    let address = serves(
        "# HELP \"température.intérieure\" Of the room.\r\n# TYPE \"température.intérieure\" gauge\r\n\
         {\"température.intérieure\",\"étage.numéro\"=\"1\"} 21.5\r\n\
         {\"température.intérieure\",\"étage.numéro\"=\"2\"} 19.5\r\n\
         # TYPE doors_open gauge\r\ndoors_open 3\r\n",
    );
    let output = piped(&[&address, "--interval", "200ms"]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{table}");
    for (name, value) in [
        ("  température.intérieure{étage.numéro=\"1\"} ", " 21.5"),
        ("  température.intérieure{étage.numéro=\"2\"} ", " 19.5"),
        ("  doors_open ", " 3"),
    ] {
        let line = table.lines().find(|line| line.starts_with(name));
        assert!(line.is_some_and(|line| line.ends_with(value)), "{table}");
    }
}

#[test]
fn a_service_of_another_team_is_shown_by_its_own_groups_and_figures() {
    let quoter = Quoter::start(&[]).unwrap();
    let script = format!("{OBSTOOL} top {} --interval 200ms", quoter.url());
    let terminal = Terminal::run(&script, 50, 140).unwrap();
    wait(&terminal, &["vega-quoter", "test", "● up"]);
    wait(&terminal, &["Tick to quote"]);
    wait(&terminal, &["Rejected share"]);
    // A table by its first row, and a log by its last line.
    wait(&terminal, &["Venues", "Fates"]);
    wait(&terminal, &["/s", " ago"]);
    // Its groups come before what it runs on and the metrics about metrics.
    wait(&terminal, &["vega_quotes_total"]);
    let groups = ["Quoting", "Hedging"];
    let places = terminal.wait_for("its groups", |screen| {
        let lines = lines(screen);
        let place = |group: &str| lines.iter().position(|line| line.contains(group));
        groups
            .iter()
            .map(|group| place(group))
            .collect::<Option<Vec<_>>>()
    });
    let places = places.unwrap();
    assert!(places.is_sorted(), "{places:?}");
    quoter.stop().unwrap();
}
