//! Every process side by side.

use crate::dashboard::{Dashboard, Row, Scope, lines, row, stat, switches, table};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "fleet".to_owned(),
        title: "Fleet".to_owned(),
        description: "Every process side by side: which are there, what they run, what they take, and what fires for them.".to_owned(),
        scope: Scope::default(),
        rows: vec![glance(), presence(), processes(), load(), pipeline().folded()],
    }
}

fn glance() -> Row {
    row("Are we all right?", [
        stat("Processes", "Processes that a scrape was tried of.")
            .ask("count(up{@})", ""),
        stat("Down", "Processes that do not answer.")
            .ask("count(up{@} == 0) or vector(0)", "")
            .above(1.0, 1.0)
            .act("DeskDown, TargetDown, NoDeskScraped"),
        stat("Versions", "Different versions and commits that run. More than one is a roll-out that has not ended.")
            .ask("count(count by (name, version, git_commit) (app_info{@}))", ""),
        stat("Longest without restart", "Of all processes.")
            .ask("max(app_uptime_seconds{@})", ""),
        stat("Started last", "How long ago the youngest process was started.")
            .ask("min(app_uptime_seconds{@})", ""),
        stat("Dead handles", "Handles that were built before a recorder was there, and record nothing.")
            .ask("sum(obs_dead_handles{@})", ""),
    ])
}

fn presence() -> Row {
    row("Who is there", [
        switches("Answering", "When each process answered its scrapes.")
            .ask("min by (#) (up{@})", "{{instance}}"),
        table("Alerts by process", "What fires for each service, most severe first.")
            .ask(r#"count by (severity, alertname, service, environment, mode, instance) (ALERTS{alertstate="firing", alertname!="Watchdog", @?})"#, "alerts")
            .hide("alerts")
            .least("severity"),
    ])
}

fn processes() -> Row {
    row("Processes", [
        table("What runs", "Every process with its version, the one that was started last first, and what it takes.")
            .ask("max by (#, name, version, git_commit) (app_info{@})", "is there")
            .ask("max by (#) (app_uptime_seconds{@})", "uptime")
            .ask("max by (#) (process_resident_memory_bytes{@})", "memory")
            .ask("sum by (#) (rate(process_cpu_seconds_total{@}[5m]))", "CPU")
            .ask("max by (#) (scrape_samples_scraped{@})", "samples")
            .ask("max by (#) (scrape_duration_seconds{@})", "scrape")
            .ask("sum by (#) (increase(errors_total{@}[1h]))", "errors, last hour")
            .hide("is there")
            .least("uptime"),
    ])
}

fn load() -> Row {
    row(
        "What they take",
        [
            lines(
                "Memory by process",
                "Resident memory of the ten largest processes.",
            )
            .ask(
                "topk(10, sum by (#) (process_resident_memory_bytes{@}))",
                "{{service}} {{instance}}",
            ),
            lines(
                "CPU",
                "Processors' worth of time of the ten busiest processes.",
            )
            .ask(
                "topk(10, sum by (#) (rate(process_cpu_seconds_total{@}[$__rate_interval])))",
                "{{service}} {{instance}}",
            ),
            lines(
                "Errors by process",
                "Errors a second of the ten processes with the most.",
            )
            .ask(
                "topk(10, sum by (#) (rate(errors_total{@}[$__rate_interval])))",
                "{{service}} {{instance}}",
            ),
        ],
    )
}

fn pipeline() -> Row {
    row("What is scraped", [
        lines("Samples", "Samples of the last scrape, of the ten processes with the most.")
            .ask("topk(10, max by (#) (scrape_samples_scraped{@}))", "{{service}} {{instance}}"),
        lines("Time of a scrape", "The whole, with its way over the network; the ten slowest.")
            .ask("topk(10, max by (#) (scrape_duration_seconds{@}))", "{{service}} {{instance}}")
            .above(1.0, 5.0)
            .act("ScrapeSlow"),
        lines("New series", "Series that a scrape had and the one before had not; the ten processes with the most. A steady number is a label that changes all the time.")
            .ask("topk(10, max by (#) (scrape_series_added{@}))", "{{service}} {{instance}}"),
    ])
}
