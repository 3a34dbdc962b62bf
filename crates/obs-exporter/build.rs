//! Notes the compiler's version for `app_info`. A workspace is built by one compiler, so this crate's is everybody's.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=RUSTC");
    println!("cargo::rustc-env=OBS_RUST_VERSION={}", rust_version());
}

/// `1.95.0` of `rustc 1.95.0 (59807616e 2026-04-14)`; `unknown` where the compiler does not say.
fn rust_version() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(rustc).arg("--version").output();
    let said = said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let version = said
        .ok()
        .and_then(|text| text.split_whitespace().nth(1).map(str::to_owned));
    version.unwrap_or_else(|| "unknown".to_owned())
}
