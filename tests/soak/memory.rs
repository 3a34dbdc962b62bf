//! Whether a process' memory stays as it is.

use std::error::Error;
use std::fs;
use std::time::Duration;

use serde::Serialize;

/// How much of the beginning does not count: buffers grow to what a scrape takes then.
const WARM_UP: f64 = 1.0 / 3.0;
/// Of what is left, the beginning and the end that are compared, each by its median. One odd reading moves no median.
const SHARE: f64 = 1.0 / 5.0;

/// The memory of a process that is in RAM, read now and then.
#[derive(Debug)]
pub(crate) struct Memory {
    process: u32,
    /// When, since the start, and how many KiB.
    samples: Vec<(Duration, u64)>,
}

/// What memory came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Drift {
    /// The median of the beginning, once warm.
    pub(crate) first_kib: u64,
    /// The median of the end.
    pub(crate) last_kib: u64,
    /// By how much of the first the last is more; less than 0 where it is less.
    pub(crate) ratio: f64,
}

impl Memory {
    /// Of the process of that number.
    pub(crate) fn of(process: u32) -> Self {
        Self {
            process,
            samples: Vec::new(),
        }
    }

    /// Reads it, that long after the start.
    pub(crate) fn sample(&mut self, at: Duration) -> Result<(), Box<dyn Error>> {
        let path = format!("/proc/{}/status", self.process);
        let status =
            fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
        let kib = resident(&status).ok_or_else(|| format!("{path} has no VmRSS"))?;
        self.samples.push((at, kib));
        Ok(())
    }

    /// How far it went from the beginning to the end; nothing where there are too few readings to tell.
    pub(crate) fn drift(&self) -> Option<Drift> {
        let (end, _) = *self.samples.last()?;
        let warm = self
            .samples
            .iter()
            .filter(|(at, _)| *at >= end.mul_f64(WARM_UP));
        let warm: Vec<_> = warm.map(|(_, kib)| *kib).collect();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a number of readings"
        )]
        let some = (warm.len() as f64 * SHARE) as usize;
        let first_kib = median(&warm[..some])?;
        let last_kib = median(&warm[warm.len() - some..])?;
        Some(Drift {
            first_kib,
            last_kib,
            ratio: last_kib as f64 / first_kib as f64 - 1.0,
        })
    }
}

/// The KiB that the kernel says are in RAM.
fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

fn median(values: &[u64]) -> Option<u64> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(kib: impl Fn(u64) -> u64) -> Memory {
        let sample = |second| (Duration::from_secs(second), kib(second));
        Memory {
            process: 0,
            samples: (0..=90).map(sample).collect(),
        }
    }

    #[test]
    fn what_grows_after_the_warm_up_is_seen_and_an_odd_reading_is_not() {
        let flat = memory(|second| if second < 30 { second } else { 1000 });
        let flat = flat.drift().unwrap();
        assert_eq!((flat.first_kib, flat.last_kib), (1000, 1000));
        let odd = memory(|second| if second % 7 == 0 { 5000 } else { 1000 });
        assert_eq!(odd.drift().unwrap().last_kib, 1000);
        let growing = memory(|second| 1000 + second);
        let growing = growing.drift().unwrap();
        assert!((0.045..0.05).contains(&growing.ratio), "{growing:?}");
        assert_eq!(Memory::of(0).drift(), None);
    }

    #[test]
    fn the_kernels_words_are_read() {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        assert!(resident(&status).unwrap() > 100);
        assert_eq!(resident("VmRSS:\t   12 kB\n"), Some(12));
        assert_eq!(resident("VmSize:\t   12 kB\n"), None);
    }
}
