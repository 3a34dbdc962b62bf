//! What reading the health costs a scrape: the median of many readings, each with everything due.
//!
//! ```text
//! cargo run --release -p obs-health --example health_overhead
//! ```

use std::time::{Duration, Instant};

use obs_health::{Host, Runtime};

const READINGS: usize = 201;

#[tokio::main]
async fn main() {
    // A new value has the disks due at once, which is what a scrape every 15 seconds meets.
    let everything = median(|| {
        let host = Host::new();
        move || host.observe()
    });
    let host = Host::new();
    let memory = median(|| || host.observe());
    let runtime = Runtime::current();
    let tokio = median(|| || runtime.observe());
    println!("host, disks due       {everything:>10.1?}");
    println!("host, disks not due   {memory:>10.1?}");
    println!("runtime               {tokio:>10.1?}");
}

/// The median time of what `prepare` returns.
fn median<F: Fn()>(prepare: impl Fn() -> F) -> Duration {
    let mut times: Vec<Duration> = (0..READINGS)
        .map(|_| {
            let read = prepare();
            let start = Instant::now();
            read();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[READINGS / 2]
}
