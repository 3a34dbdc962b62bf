//! What program this is: its name, version and commit.

/// The program that exports, as `app_info` shows it. Made by [`app_info!`](crate::app_info!).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppInfo {
    /// Its name, which is also the `service` label unless the configuration names another.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The commit it was built from, where that was known when it was built.
    pub git_commit: Option<&'static str>,
}

impl AppInfo {
    /// The version of the compiler, such as `1.95.0`; `unknown` where it did not say.
    pub const RUST_VERSION: &'static str = env!("OBS_RUST_VERSION");
}

/// The [`AppInfo`] of the package this stands in.
///
/// Name and version are those of its `Cargo.toml`. The commit is what the environment variable `OBS_GIT_COMMIT` held when
/// the package was compiled (`OBS_GIT_COMMIT=$(git rev-parse HEAD) cargo build --release`), or else what it holds when
/// the program runs and reads [`Config::from_env`](crate::Config::from_env), as in a container image; else `unknown`.
///
/// ```
/// let app = obs_exporter::app_info!();
/// assert_eq!(app.name, env!("CARGO_PKG_NAME"));
/// ```
#[macro_export]
macro_rules! app_info {
    () => {
        $crate::AppInfo {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            git_commit: option_env!("OBS_GIT_COMMIT"),
        }
    };
}
