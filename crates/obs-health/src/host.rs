//! The host: CPU, memory, disks.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use obs_core::{Each, Gauge};
use sysinfo::{CpuRefreshKind, DiskRefreshKind, Disks, MemoryRefreshKind, RefreshKind, System};

use crate::SYSTEM;
use crate::container::Container;

obs_core::label! {
    /// Where a file system is mounted.
    pub open Mountpoint as "mountpoint" up to 32
}

obs_core::families! {
    group SYSTEM;

    /// The machine the program runs on.
    pub struct HostMetrics {
        /// Share of the host's CPU time that was used since the reading before; `NaN` until there are two readings.
        pub cpu: Gauge = "system_cpu_usage_ratio",
        /// Memory the host has.
        pub memory_total: Gauge = "system_memory_total_bytes",
        /// Memory a new program could use without swapping.
        pub memory_available: Gauge = "system_memory_available_bytes",
        /// Size of a file system.
        pub disk_total: Each<Mountpoint, Gauge> = "system_disk_total_bytes",
        /// Space on a file system that a program without privileges can use.
        pub disk_available: Each<Mountpoint, Gauge> = "system_disk_available_bytes",
    }
}

/// CPU time adds up in ticks of 10 ms: over less than this the share used would be mostly rounding.
const CPU_EVERY: Duration = Duration::from_secs(1);

/// A file system is asked for its space by a system call that may wait for a slow disk.
const DISKS_EVERY: Duration = Duration::from_secs(10);

/// Reads the host, and the bounds of the container or unit that the program runs in. Where several threads ask at once, one reads and the others go on.
#[derive(Debug)]
pub struct Host {
    metrics: HostMetrics,
    container: Container,
    readings: Mutex<Readings>,
}

/// On a system that the library does not know there is nothing to read, and the gauges stay undefined.
#[derive(Debug)]
struct Readings {
    system: Option<System>,
    disks: Option<Disks>,
    cpu_read: Instant,
    disks_read: Option<Instant>,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// Resolves the handles and takes the first reading of the CPU.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        let metrics = HostMetrics::new();
        for gauge in [
            &metrics.cpu,
            &metrics.memory_total,
            &metrics.memory_available,
        ] {
            gauge.set_undefined();
        }
        let cpu = CpuRefreshKind::nothing().with_usage();
        let readings = Readings {
            system: System::new_with_specifics(RefreshKind::nothing().with_cpu(cpu)).ok(),
            disks: Disks::new().ok(),
            cpu_read: Instant::now(),
            disks_read: None,
        };
        Self {
            metrics,
            container: Container::new(),
            readings: Mutex::new(readings),
        }
    }

    /// Reads memory, the container's bounds, the CPU if the last reading is a second old, and the disks if theirs is ten.
    pub fn observe(&self) {
        // What is behind the lock are readings: a panic while it was held leaves older ones at worst.
        let mut readings = match self.readings.try_lock() {
            Ok(readings) => readings,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(std::sync::TryLockError::WouldBlock) => return,
        };
        self.read_cpu(&mut readings);
        self.read_memory(&mut readings);
        self.read_disks(&mut readings);
        self.container.observe();
    }

    fn read_cpu(&self, readings: &mut Readings) {
        let Some(system) = &mut readings.system else {
            return;
        };
        if readings.cpu_read.elapsed() < CPU_EVERY {
            return;
        }
        readings.cpu_read = Instant::now();
        system.refresh_cpu_usage();
        self.metrics
            .cpu
            .set(f64::from(system.global_cpu_usage()) / 100.0);
    }

    fn read_memory(&self, readings: &mut Readings) {
        let Some(system) = &mut readings.system else {
            return;
        };
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        self.metrics.memory_total.set(system.total_memory() as f64);
        self.metrics
            .memory_available
            .set(system.available_memory() as f64);
    }

    fn read_disks(&self, readings: &mut Readings) {
        let Some(disks) = &mut readings.disks else {
            return;
        };
        if readings
            .disks_read
            .is_some_and(|read| read.elapsed() < DISKS_EVERY)
        {
            return;
        }
        readings.disks_read = Some(Instant::now());
        disks.refresh_specifics(true, DiskRefreshKind::nothing().with_storage());
        for disk in disks.iter().filter(|disk| is_volume(disk.mount_point())) {
            let mountpoint = disk.mount_point().to_string_lossy();
            self.metrics
                .disk_total
                .of(&mountpoint)
                .set(disk.total_space() as f64);
            self.metrics
                .disk_available
                .of(&mountpoint)
                .set(disk.available_space() as f64);
        }
    }
}

/// Whether something is stored below a mount point. A container has `/etc/hosts` and `/etc/resolv.conf` mounted as files: they are no
/// disks of their own.
fn is_volume(mount_point: &Path) -> bool {
    mount_point.is_dir()
}

#[cfg(test)]
mod tests {
    use obs_core::TestRecorder;

    use super::*;

    #[test]
    fn a_file_that_is_mounted_is_no_disk() {
        assert!(is_volume(Path::new("/")));
        assert!(!is_volume(Path::new("/proc/self/mounts")));
        assert!(!is_volume(Path::new("/nothing/is/here")));
    }

    #[test]
    fn a_panic_while_the_readings_are_held_costs_nothing() {
        let test = TestRecorder::new();
        let host = test.run(Host::new);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _held = host.readings.lock();
            panic!("as the test wants it");
        }));
        assert!(caught.is_err() && host.readings.is_poisoned());
        host.observe();
        let memory = test.gauge("system_memory_total_bytes", &[]);
        assert!(memory.is_some_and(|bytes| bytes > 0.0), "{memory:?}");
    }

    #[test]
    fn the_second_reading_of_the_cpu_is_a_share() {
        let test = TestRecorder::new();
        let host = test.run(Host::new);
        let busy = Instant::now();
        // Some ticks of work, so that there is time to share out.
        while busy.elapsed() < Duration::from_millis(50) {
            std::hint::spin_loop();
        }
        if let Ok(mut readings) = host.readings.lock() {
            readings.cpu_read = readings
                .cpu_read
                .checked_sub(CPU_EVERY)
                .expect("up for a second");
        }
        host.observe();
        let share = test
            .gauge("system_cpu_usage_ratio", &[])
            .expect("it is shown");
        assert!(share > 0.0 && share <= 1.0, "{share}");
    }
}
