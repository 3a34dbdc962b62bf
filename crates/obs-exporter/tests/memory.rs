//! An exporter whose numbers are in a file that outlives the process.

#![cfg(target_os = "linux")]

use std::path::PathBuf;

use obs_exporter::{Config, Exporter};

/// A path on tmpfs that is removed at the end.
struct File(PathBuf);

impl File {
    fn new(name: &str) -> Self {
        let pid = std::process::id();
        Self(PathBuf::from(format!("/dev/shm/obs-test-{pid}-{name}.obs")))
    }

    fn config(&self) -> Config {
        let path = self.0.to_str().unwrap();
        Config::from_vars([("OBS_MEMORY", path), ("OBS_SERVICE", "desk")]).unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn build(config: Config) -> Result<Exporter, obs_exporter::ExporterError> {
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    Ok(builder.build()?.1)
}

#[test]
fn a_mapped_exporter_says_so_and_a_second_one_is_refused_by_name() {
    let file = File::new("second");
    let exporter = build(file.config()).unwrap();
    let text = exporter.render();
    assert!(
        text.contains("\nobs_memory_mapped{service=\"desk\"} 1\n"),
        "{text}"
    );
    assert_eq!(exporter.warnings(), []);
    assert!(file.0.exists());
    let refused = build(file.config()).unwrap_err().to_string();
    assert!(
        refused.contains("second.obs is recorded to by process"),
        "{refused}"
    );
}

#[test]
fn without_a_file_nothing_is_said_of_it() {
    let text = build(Config::default()).unwrap().render();
    assert!(!text.contains("obs_memory_mapped"), "{text}");
}

#[test]
fn a_path_on_no_tmpfs_is_refused_with_what_to_do() {
    let config = Config {
        memory: Some("/proc/desk.obs".into()),
        ..Config::default()
    };
    let refused = build(config).unwrap_err().to_string();
    assert!(
        refused.contains("cannot create /proc/desk.obs"),
        "{refused}"
    );
}

#[test]
fn processes_of_one_setting_have_files_of_their_own() {
    let pid = std::process::id();
    let file = File::new(&format!("workers@{pid}"));
    let _exporter = build(Config {
        memory: Some(format!("/dev/shm/obs-test-{pid}-workers@{{pid}}.obs").into()),
        ..Config::default()
    });
    assert!(file.0.exists());
}

#[cfg(feature = "stock")]
#[test]
fn the_stock_recorder_has_no_file() {
    let config = Config {
        recorder: obs_exporter::RecorderKind::Stock,
        ..File::new("stock").config()
    };
    let refused = build(config).unwrap_err().to_string();
    assert!(refused.contains("OBS_MEMORY"), "{refused}");
}
