//! What happens to a fleet, and when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use obs_tests::{Desk, Process, scrape, tools};
use obs_verify::queries;
use serde_json::{Value, json};

use crate::Arguments;
use crate::report::{Losses, Query, Report, WayReport};
use crate::server::Took;
use crate::stop::{self, pause};
use crate::way::{Ground, Totals, Way};
use crate::{figures, report, simulator};

/// How many desks are of one service.
const SERVICE: usize = 10;
/// How often it is looked what is due.
const TICK: Duration = Duration::from_millis(200);
/// How often agents are asked what they have scraped.
const LOOK: Duration = Duration::from_millis(500);
/// How long what was scraped may take until it is in a storage.
const ARRIVAL: Duration = Duration::from_mins(2);
/// How long anything else may take that is waited for.
const PATIENCE: Duration = Duration::from_mins(6);
/// By how much sums of the same numbers in another order may differ.
const ROUNDING: f64 = 1e-9;

/// What is to happen.
pub(crate) struct Plan {
    desks: usize,
    length: Duration,
    series: usize,
    interval: u64,
    churn: Duration,
    outage: Duration,
    days: Option<usize>,
    /// How long what is dead may be answered: five minutes is how far back Prometheus looks, and some for the way.
    patience: Duration,
    progress: bool,
}

impl Plan {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let length = Duration::from_secs_f64(arguments.minutes * 60.0);
        Self {
            desks: arguments.desks.into(),
            length,
            series: arguments.series,
            interval: arguments.interval,
            churn: Duration::from_secs(arguments.churn),
            outage: Duration::from_mins(1).min(length / 3),
            days: arguments.days,
            patience: Duration::from_secs(arguments.patience),
            progress: !arguments.json,
        }
    }

    /// The desk that the simulated ones repeat.
    fn sample_desk(&self, folder: &Path) -> Result<Desk, Box<dyn Error>> {
        let Some(days) = self.days else {
            return Ok(Desk::replayed()?);
        };
        let prices = tools::workspace().join("examples/trading-desk/data/sp500.csv");
        let prices = fs::read_to_string(prices)?;
        // One more line for the header.
        let lines = prices.lines().take(1 + days).collect::<Vec<_>>();
        let place = folder.join("prices.csv");
        fs::write(&place, lines.join("\n"))?;
        Ok(Desk::replayed_from(&place)?)
    }

    fn say(&self, since: Instant, what: &str) {
        if self.progress {
            println!("{:>5} s  {what}", since.elapsed().as_secs());
        }
    }
}

/// The process that is all desks, and which of them are open.
struct Desks {
    process: Process,
    control: String,
    /// By address, with its service.
    open: BTreeMap<String, String>,
    /// In the order in which they came.
    order: VecDeque<String>,
    /// Those that have stopped moving, since when.
    frozen: Vec<Frozen>,
    /// When the agents were asked last what they have scraped.
    looked: Instant,
    /// Those that are gone, since when, and how long any storage had series of them after that.
    closed: BTreeMap<String, (Instant, BTreeMap<&'static str, Duration>)>,
    opened: usize,
}

/// A desk that stands still before it goes.
struct Frozen {
    address: String,
    since: Instant,
    /// When each way scraped it since then.
    scrapes: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Frozen {
    /// Whether everybody has its last figures, written to disk. The first scrape may have been before it stood still, and the second
    /// have begun then.
    fn may_go(&self, ways: &[Way]) -> bool {
        let scraped = |way: &Way| {
            self.scrapes
                .get(way.name)
                .is_some_and(|times| times.len() > 2)
        };
        let is_written = self.since.elapsed().as_secs_f64() > report::UNWRITTEN_SECONDS;
        ways.iter().all(scraped) && is_written || self.since.elapsed() > ARRIVAL
    }
}

impl Desks {
    fn start(file: &Path, series: usize) -> Result<Self, Box<dyn Error>> {
        // This program, even where a build has put another one in its place meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg("--simulate")
            .arg(file)
            .args(["--series", &series.to_string()]);
        let mut process = Process::start(&mut command)?;
        let control = process.wait_for("where it is asked", |line| {
            line.strip_prefix(simulator::CONTROL).map(str::to_owned)
        })?;
        let (open, order, frozen, closed) = Default::default();
        let looked = Instant::now();
        Ok(Self {
            process,
            control,
            open,
            order,
            frozen,
            looked,
            closed,
            opened: 0,
        })
    }

    fn post(&self, verb: &str, name: &str) -> Result<String, Box<dyn Error>> {
        let url = format!("{}/{verb}", self.control);
        Ok(ureq::post(&url)
            .query("name", name)
            .send_empty()?
            .body_mut()
            .read_to_string()?)
    }

    fn open(&mut self) -> Result<(), Box<dyn Error>> {
        let service = format!("desk-{:03}", self.opened / SERVICE);
        let address = self.post("open", &service)?;
        self.opened += 1;
        self.order.push_back(address.clone());
        self.open.insert(address, service);
        Ok(())
    }

    /// The desk that is there longest stops moving, and another one comes.
    fn churn(&mut self) -> Result<(), Box<dyn Error>> {
        if let Some(oldest) = self.order.pop_front() {
            self.post("freeze", &oldest)?;
            let (since, scrapes) = (Instant::now(), BTreeMap::new());
            self.frozen.push(Frozen {
                address: oldest,
                since,
                scrapes,
            });
        }
        self.open()
    }

    /// Closes those whose last figures everybody has, and lists the others.
    fn close(&mut self, ways: &[Way], list: &Path) -> Result<(), Box<dyn Error>> {
        if self.frozen.is_empty() || self.looked.elapsed() < LOOK {
            return Ok(());
        }
        self.looked = Instant::now();
        for way in ways {
            // One that is busy is asked again.
            let Ok(scraped) = way.scraped() else { continue };
            for desk in &mut self.frozen {
                let times = desk.scrapes.entry(way.name).or_default();
                times.extend(scraped.get(&desk.address).cloned());
            }
        }
        let (going, staying) = self.frozen.drain(..).partition(|desk| desk.may_go(ways));
        self.frozen = staying;
        for desk in Vec::<Frozen>::into_iter(going) {
            self.post("close", &desk.address)?;
            self.open.remove(&desk.address);
            self.closed
                .insert(desk.address, (Instant::now(), BTreeMap::new()));
            self.list(list)?;
        }
        Ok(())
    }

    /// Writes the list that agents read, and puts it in its place whole.
    fn list(&self, place: &Path) -> Result<(), Box<dyn Error>> {
        let mut services: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (address, service) in &self.open {
            services.entry(service).or_default().push(address);
        }
        let groups = services.iter().map(|(service, targets)| {
            json!({ "targets": targets, "labels": { "service": service, "environment": "test", "mode": "backtest" } })
        });
        let beside = place.with_extension("new");
        // JSON is YAML.
        fs::write(&beside, Value::from(groups.collect::<Vec<_>>()).to_string())?;
        Ok(fs::rename(beside, place)?)
    }

    /// What every desk that there ever was has said last.
    fn said(&self) -> Result<Totals, Box<dyn Error>> {
        let said: BTreeMap<String, Value> =
            serde_json::from_str(&scrape(&format!("{}/said", self.control))?)?;
        let mut totals = Totals::new();
        for (address, desk) in said {
            for (family, total) in desk["totals"].as_object().into_iter().flatten() {
                totals.insert(
                    (address.clone(), family.clone()),
                    total.as_f64().unwrap_or(f64::NAN),
                );
            }
        }
        Ok(totals)
    }

    /// Notes which of those that are gone have no series any more.
    fn note_gone(&mut self, ways: &[Way]) {
        for way in ways {
            // A storage that is away says nothing of them.
            let Ok(present) = way.present() else { continue };
            for (address, (since, gone)) in &mut self.closed {
                if !present.contains(address) {
                    gone.entry(way.name).or_insert_with(|| since.elapsed());
                }
            }
        }
    }

    fn are_all_gone(&self, ways: &[Way]) -> bool {
        self.closed
            .values()
            .all(|(_, gone)| gone.len() == ways.len())
    }
}

/// Runs a fleet, and says what came of it.
pub(crate) fn run(plan: &Plan) -> Result<Report, Box<dyn Error>> {
    let start = Instant::now();
    let folder = tempfile::tempdir()?;
    let list = folder.path().join("desks.yml");
    let file = folder.path().join("desk.txt");
    plan.say(
        start,
        "a sample desk replays its history, for the simulated ones to say what it says",
    );
    fs::write(&file, scrape(plan.sample_desk(folder.path())?.metrics())?)?;
    let mut desks = Desks::start(&file, plan.series)?;
    let series: usize = scrape(&format!("{}/series", desks.control))?.parse()?;
    for _ in 0..plan.desks {
        desks.open()?;
    }
    desks.list(&list)?;
    let ground = Ground {
        folder: folder.path(),
        list: &list,
        interval: plan.interval,
    };
    let mut ways = [Way::victoria_metrics(&ground)?, Way::prometheus(&ground)?];
    plan.say(start, &format!("{} desks of {series} series", plan.desks));
    await_desks(&desks, &ways)?;
    plan.say(start, "all of them are in the storages");

    let begun = Instant::now();
    let before = took(&desks, &ways)?;
    let restarts = watch(plan, start, &mut desks, &mut ways, &list)?;
    let watched = begun.elapsed();
    let after = took(&desks, &ways)?;

    plan.say(start, "asking what the dashboards ask");
    let queries = ask_dashboards(&ways, begun.elapsed())?;
    plan.say(start, "nothing moves any more; are all totals there?");
    desks.post("freeze-all", "")?;
    pause(Duration::from_secs(2 * plan.interval))?;
    let said = desks.said()?;
    let losses = await_totals(&said, &ways, start)?;
    plan.say(
        start,
        "is what was scraped meanwhile there, and are the series of the dead gone?",
    );
    let end = Instant::now() + plan.patience;
    while !desks.are_all_gone(&ways) && Instant::now() < end {
        desks.note_gone(&ways);
        pause(Duration::from_secs(1))?;
    }
    let mut reports = Vec::new();
    for way in &ways {
        reports.push(WayReport {
            way: way.name,
            longest_gap_seconds: await_gap(way, start, report::most_gap(plan.interval, restarts))?,
            most_gap_seconds: report::most_gap(plan.interval, restarts),
            dead_gone_seconds: slowest(&desks, way.name),
            disk: way.disk()?,
        });
    }
    Ok(Report {
        desks: plan.desks,
        desks_ever: desks.opened,
        dead: desks.closed.len(),
        series_a_desk: series,
        interval_seconds: plan.interval,
        seconds: watched.as_secs_f64(),
        outage_seconds: plan.outage.as_secs_f64(),
        totals: said.len(),
        losses,
        ways: reports,
        took: difference(before, after),
        queries,
        promises: Vec::new(),
    }
    .judged())
}

/// Waits until every storage that is asked has every desk.
fn await_desks(desks: &Desks, ways: &[Way]) -> Result<(), Box<dyn Error>> {
    let end = Instant::now() + PATIENCE;
    for way in ways {
        // One that is busy is asked again.
        let found = || way.present().map_or(0, |present| present.len());
        while found() < desks.open.len() {
            if Instant::now() > end {
                return Err(
                    format!("{} has {} of {} desks", way.name, found(), desks.open.len()).into(),
                );
            }
            pause(Duration::from_secs(1))?;
        }
    }
    Ok(())
}

/// Lets desks come and go, storages fail, and agents be restarted; how long the slower restart took.
fn watch(
    plan: &Plan,
    start: Instant,
    desks: &mut Desks,
    ways: &mut [Way],
    list: &Path,
) -> Result<Duration, Box<dyn Error>> {
    let begun = Instant::now();
    let (fails, restarts) = (plan.length.mul_f64(0.2), plan.length.mul_f64(0.7));
    let returns = fails + plan.outage;
    let (mut next, mut is_away, mut was_away, mut restarted) = (plan.churn, false, false, None);
    loop {
        let now = begun.elapsed();
        if now >= plan.length && restarted.is_some() {
            break;
        }
        if now >= plan.length + PATIENCE {
            return Err("no agent was restarted: what they kept aside has not arrived, or what is dead is still answered".into());
        }
        if now >= next {
            next += plan.churn;
            desks.churn()?;
            desks.list(list)?;
            desks.note_gone(ways);
            plan.say(
                start,
                &format!("{} desks came, {} went", desks.opened, desks.closed.len()),
            );
        }
        // A desk that goes while its agent is restarted is nobody's: its series are answered until they are too old. Here all are
        // to be gone before.
        let is_restart_due = now >= restarts && restarted.is_none();
        if is_restart_due {
            desks.note_gone(ways);
        } else {
            desks.close(ways, list)?;
        }
        if now >= fails && !is_away && !was_away {
            is_away = true;
            plan.say(start, "a storage of each way is killed");
            for way in ways.iter_mut() {
                way.failing().ok_or("no storage")?.kill()?;
            }
        }
        if now >= returns && is_away {
            (is_away, was_away) = (false, true);
            for way in ways.iter_mut() {
                way.failing().ok_or("no storage")?.start_again()?;
            }
            plan.say(start, "both storages are back");
        }
        if is_restart_due && desks.are_all_gone(ways) && have_caught_up(desks, ways, plan.interval)?
        {
            let mut slowest = Duration::ZERO;
            for way in ways.iter_mut() {
                let asked = Instant::now();
                way.agents.first_mut().ok_or("no agent")?.restart()?;
                slowest = slowest.max(asked.elapsed());
            }
            restarted = Some(slowest);
            plan.say(
                start,
                &format!(
                    "an agent of each way was restarted, in {:.1} s",
                    slowest.as_secs_f64()
                ),
            );
        }
        pause(TICK)?;
    }
    // Those that stand still may go as well.
    while !desks.frozen.is_empty() {
        desks.close(ways, list)?;
        pause(TICK)?;
    }
    Ok(restarted.unwrap_or_default())
}

fn have_caught_up(desks: &Desks, ways: &[Way], interval: u64) -> Result<bool, Box<dyn Error>> {
    for way in ways {
        if !way.has_caught_up(&desks.open, interval)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What everything took so far; the simulator first.
fn took(desks: &Desks, ways: &[Way]) -> Result<Vec<Took>, Box<dyn Error>> {
    let process = desks.process.id();
    let mut all = vec![Took {
        name: "the simulator",
        cpu_seconds: figures::cpu(process)?,
        memory_bytes: figures::memory(process)?,
        disk_bytes: 0.0,
    }];
    for way in ways {
        all.extend(way.took()?);
    }
    Ok(all)
}

/// The processor time in between; memory and disk as they are at the end.
fn difference(before: Vec<Took>, after: Vec<Took>) -> Vec<Took> {
    let pairs = before.into_iter().zip(after);
    pairs
        .map(|(before, after)| Took {
            cpu_seconds: after.cpu_seconds - before.cpu_seconds,
            ..after
        })
        .collect()
}

/// Waits until every storage says of every desk what it said itself; what is missing at the end.
fn await_totals(
    said: &Totals,
    ways: &[Way],
    start: Instant,
) -> Result<Vec<Losses>, Box<dyn Error>> {
    let end = Instant::now() + ARRIVAL;
    loop {
        let mut losses = Vec::new();
        for way in ways {
            for (storage, stored) in way.totals(start.elapsed())? {
                let is_lost = |(key, total): &(&(String, String), &f64)| {
                    let stored = stored.get(*key).copied().unwrap_or(f64::NAN);
                    stored.is_nan() || (stored - **total).abs() > ROUNDING * total.abs()
                };
                let lost = said.iter().filter(is_lost);
                let lost = lost.map(|(key, total)| {
                    format!(
                        "{} of {}: {total}, stored {:?}",
                        key.1,
                        key.0,
                        stored.get(key)
                    )
                });
                losses.push(Losses::new(storage, lost.collect()));
            }
        }
        if losses.iter().all(Losses::is_none) || Instant::now() > end {
            return Ok(losses);
        }
        pause(Duration::from_secs(1))?;
    }
}

/// Waits until there is no longer time without a sample than there may be: what agents keep aside they send when they find time.
fn await_gap(way: &Way, start: Instant, most: f64) -> Result<f64, Box<dyn Error>> {
    let end = Instant::now() + ARRIVAL;
    loop {
        let longest = way.longest_gap(start.elapsed())?;
        if longest <= most || Instant::now() > end {
            return Ok(longest);
        }
        pause(Duration::from_secs(1))?;
    }
}

/// How long the series of the last of the dead were there; nothing if some still are.
fn slowest(desks: &Desks, way: &'static str) -> Option<f64> {
    let mut gone = desks
        .closed
        .values()
        .map(|(_, gone)| gone.get(way).map(Duration::as_secs_f64));
    gone.try_fold(0.0, |slowest: f64, gone| Some(slowest.max(gone?)))
}

/// Asks what every panel asks, with every desk chosen.
fn ask_dashboards(ways: &[Way], over: Duration) -> Result<Vec<Query>, Box<dyn Error>> {
    let root = tools::workspace();
    let mut asked = Vec::new();
    for (file, text) in queries::files(&root, "deploy/grafana/dashboards", "json")? {
        let mut texts: Vec<(String, String)> = queries::of_dashboard(&file, &text)?
            .into_iter()
            .map(|query| (query.place, query.text))
            .collect();
        texts.sort_by(|one, other| one.1.cmp(&other.1));
        texts.dedup_by(|one, other| one.1 == other.1);
        for (place, text) in texts {
            for way in ways {
                stop::check()?;
                let took = way
                    .range(&text, over)
                    .map_err(|error| format!("{file}, {place}: {error}"))?;
                asked.push(Query {
                    way: way.name,
                    place: format!("{}, {place}", file.rsplit('/').next().unwrap_or_default()),
                    text: text.clone(),
                    seconds: took.as_secs_f64(),
                });
            }
        }
    }
    asked.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
    Ok(asked)
}
