//! What a process and its files take.

use std::error::Error;
use std::fs;
use std::path::Path;

/// The ticks of `/proc` a second, which are the same on every Linux.
const TICKS: f64 = 100.0;

/// The processor time of a process so far, in seconds.
pub(crate) fn cpu(process: u32) -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Its name, in brackets, may have blanks.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks = after.split_whitespace().skip(11).take(2);
    let ticks = ticks
        .map(str::parse::<f64>)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS)
}

/// The bytes of a process that are in RAM.
pub(crate) fn memory(process: u32) -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.ok_or("no VmRSS")?.parse::<f64>()? * 1024.0)
}

/// The bytes of all files below a folder. One that goes meanwhile counts nothing.
pub(crate) fn disk(folder: &Path) -> f64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => disk(&entry.path()),
            #[expect(clippy::cast_precision_loss, reason = "files are far below 2^53 bytes")]
            Ok(metadata) => metadata.len() as f64,
            Err(_) => 0.0,
        })
        .sum()
}
