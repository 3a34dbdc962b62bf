//! The container's own bounds: what the kernel gives this process, rather than what the host has.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use obs_core::{Gauge, TimeCounter};

use crate::SYSTEM;

obs_core::families! {
    group SYSTEM;

    /// The control group that the program runs in, such as that of its container or of its systemd unit.
    pub struct ContainerMetrics {
        /// Memory the control group may use before the kernel kills in it; `NaN` where it has no bound of its own.
        pub memory_limit: Gauge = "cgroup_memory_limit_bytes",
        /// Memory the control group uses, without files that the kernel can drop; `NaN` where it has no bound of its own.
        pub memory_used: Gauge = "cgroup_memory_used_bytes",
        /// Time that threads were ready to run and were held back, since the control group had used up its share of the CPU.
        pub cpu_throttled: TimeCounter = "cgroup_cpu_throttled_seconds_total",
    }
}

/// Where version 2 of control groups is mounted.
const MOUNTED: &str = "/sys/fs/cgroup";

/// Reads the control group of this process. Version 1 of control groups is not read: there, and outside of Linux, nothing is known.
#[derive(Debug)]
pub(crate) struct Container {
    metrics: ContainerMetrics,
    /// The group itself, then those that it is in.
    groups: Vec<PathBuf>,
}

impl Container {
    /// Resolves the handles and finds the group.
    #[track_caller]
    pub(crate) fn new() -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::within(Path::new(MOUNTED), &own)
    }

    #[track_caller]
    fn within(mounted: &Path, own: &str) -> Self {
        let metrics = ContainerMetrics::new();
        metrics.memory_limit.set_undefined();
        metrics.memory_used.set_undefined();
        Self {
            metrics,
            groups: groups(mounted, own),
        }
    }

    /// Reads what holds now.
    pub(crate) fn observe(&self) {
        // The kernel kills where the smallest bound is reached, whichever group it belongs to.
        let bound = |group: &PathBuf| Some((number(group, "memory.max")?, group.clone()));
        let tightest = self.groups.iter().filter_map(bound).min();
        let limit = tightest.as_ref().map(|(limit, _)| *limit);
        let used = tightest.as_ref().and_then(|(_, group)| used(group));
        show(&self.metrics.memory_limit, limit);
        show(&self.metrics.memory_used, used);
        let throttled = |group: &PathBuf| field(group, "cpu.stat", "throttled_usec");
        if let Some(micros) = self.groups.iter().filter_map(throttled).max() {
            self.metrics
                .cpu_throttled
                .absolute(Duration::from_micros(micros));
        }
    }
}

fn show(gauge: &Gauge, bytes: Option<u64>) {
    match bytes {
        Some(bytes) => gauge.set(bytes as f64),
        None => gauge.set_undefined(),
    }
}

/// The group of the process and those around it, innermost first. Within a container, its own group is what is mounted.
fn groups(mounted: &Path, own: &str) -> Vec<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let inner = mounted.join(path.unwrap_or_default().trim_end());
    let groups = inner
        .ancestors()
        .take_while(|group| group.starts_with(mounted));
    groups.map(Path::to_owned).collect()
}

/// What is used without what the kernel can take back at once: files that were not read of late.
fn used(group: &Path) -> Option<u64> {
    let all = number(group, "memory.current")?;
    let files = field(group, "memory.stat", "inactive_file").unwrap_or(0);
    Some(all.saturating_sub(files))
}

/// A file of one number; none where it says `max`, or is not there.
fn number(group: &Path, file: &str) -> Option<u64> {
    let text = fs::read_to_string(group.join(file)).ok()?;
    text.trim().parse().ok()
}

/// One of the lines of a name and a number.
fn field(group: &Path, file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(group.join(file)).ok()?;
    let value = |line: &str| line.strip_prefix(name)?.trim().parse().ok();
    text.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use obs_core::TestRecorder;
    use tempfile::TempDir;

    use super::*;

    /// A container in a slice: the files, as the kernel writes them.
    fn mounted(files: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn observed(folder: &TempDir, own: &str) -> (TestRecorder, Container) {
        let test = TestRecorder::new();
        let container = test.run(|| Container::within(folder.path(), own));
        container.observe();
        (test, container)
    }

    #[test]
    fn the_smallest_bound_around_the_process_counts() {
        let folder = mounted(&[
            ("memory.current", "9000\n"),
            ("desk.slice/memory.max", "1000\n"),
            ("desk.slice/memory.current", "700\n"),
            ("desk.slice/memory.stat", "anon 400\ninactive_file 100\n"),
            ("desk.slice/desk.service/memory.max", "max\n"),
            ("desk.slice/desk.service/memory.current", "500\n"),
            (
                "desk.slice/desk.service/cpu.stat",
                "usage_usec 5\nnr_throttled 3\nthrottled_usec 2500000\n",
            ),
        ]);
        let (test, _) = observed(&folder, "0::/desk.slice/desk.service\n");
        let gauge = |name: &str| test.gauge(name, &[]);
        assert_eq!(gauge("cgroup_memory_limit_bytes"), Some(1000.0));
        assert_eq!(gauge("cgroup_memory_used_bytes"), Some(600.0));
        let throttled = test.counter("cgroup_cpu_throttled_seconds_total", &[]);
        assert_eq!(throttled, Some(2_500_000_000));
    }

    /// In a container, the path that the host knows it by leads nowhere.
    #[test]
    fn a_container_finds_its_own_group_where_it_is_mounted() {
        let folder = mounted(&[("memory.max", "2000\n"), ("memory.current", "300\n")]);
        for own in ["0::/\n", "0::/kubepods/pod-1/abc\n", ""] {
            let (test, _) = observed(&folder, own);
            let gauge = |name: &str| test.gauge(name, &[]);
            assert_eq!(gauge("cgroup_memory_limit_bytes"), Some(2000.0), "{own}");
            assert_eq!(gauge("cgroup_memory_used_bytes"), Some(300.0), "{own}");
        }
    }

    #[test]
    fn without_a_bound_nothing_is_said_and_a_bound_that_goes_is_forgotten() {
        let folder = mounted(&[("memory.max", "2000\n"), ("memory.current", "300\n")]);
        let (test, container) = observed(&folder, "0::/");
        fs::write(folder.path().join("memory.max"), "max\n").unwrap();
        container.observe();
        for name in ["cgroup_memory_limit_bytes", "cgroup_memory_used_bytes"] {
            let value = test.gauge(name, &[]);
            assert!(value.is_some_and(f64::is_nan), "{name}: {value:?}");
        }
    }
}
