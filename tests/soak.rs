//! The soak in short: for some seconds what `cargo xtask soak` does for a minute, by the same program. What it says of time is for
//! the verb, which builds for release.

use std::process::Command;

use obs_tests::Process;
use serde_json::Value;

/// The one promise about time begins with this.
const OF_TIME: &str = "p99.9";

fn soak(arguments: &[&str]) -> Process {
    Process::start(Command::new(env!("CARGO_BIN_EXE_soak")).args(arguments)).unwrap()
}

/// With declared buckets alone, and with such as are sums of the cells of native ones; in memory of its own, and in a mapped file that outlives
/// the process. One after the other: each takes both processors.
#[test]
fn nothing_is_lost_nothing_falls_and_nothing_grows_at_full_speed() {
    keeps_its_promises(&["--json", "--seconds", "5"], 5);
    keeps_its_promises(&["--json", "--seconds", "5", "--mapped"], 6);
    keeps_its_promises(
        &[
            "--json",
            "--seconds",
            "5",
            "--mapped",
            "--native-histograms",
        ],
        6,
    );
}

fn keeps_its_promises(arguments: &[&str], made: usize) {
    let mut soak = soak(arguments);
    let report: Value = soak
        .wait_for("its figures", |line| serde_json::from_str(line).ok())
        .unwrap();
    assert_eq!(report["series"], 10_000);
    let promises = report["promises"].as_array().unwrap();
    assert_eq!(promises.len(), made, "{report:#}");
    let mut is_kept = true;
    for promise in promises {
        let is_of_time = promise["promise"].as_str().unwrap().starts_with(OF_TIME);
        assert!(is_of_time || promise["verdict"] == "kept", "{promise:#}");
        is_kept &= promise["verdict"] == "kept";
    }
    // It has ended already, and the signal finds nobody.
    assert_eq!(soak.interrupt().unwrap().success(), is_kept, "{report:#}");
}

#[test]
fn ctrl_c_ends_it_early_with_the_figures_so_far() {
    let mut soak = soak(&["--seconds", "3600"]);
    let begins = |with: &'static str| move |line: &str| line.starts_with(with).then_some(());
    soak.wait_for("that it records", begins("recording"))
        .unwrap();
    soak.ask_to_stop().unwrap();
    soak.wait_for("that all is there", begins("kept: every event"))
        .unwrap();
}
