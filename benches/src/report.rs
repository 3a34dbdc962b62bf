//! The result as a table, and as the page of the documentation.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use sysinfo::{CpuRefreshKind, RefreshKind, System};

use crate::contest::{Contender, Effort, Figure, OURS, Row, cores, milliseconds, nanoseconds};
use crate::library::{self, Filled, Of, Ours};
use crate::parts;

/// How cost grows.
#[derive(Default)]
pub(crate) struct Growth {
    /// Series, milliseconds of a scrape, and nanoseconds of creating one.
    series: Vec<(usize, f64, f64)>,
    /// Threads, and nanoseconds of a counter's increment and a histogram's record on each.
    threads: Vec<(usize, f64, f64)>,
}

impl Growth {
    pub(crate) fn measure(effort: Effort) -> Self {
        let mut growth = Self::default();
        for series in [1_000, 10_000, 100_000, 1_000_000 / effort.divisor] {
            let ours = Ours {
                engine: library::engine(),
                of: Of::Counters,
            };
            let start = std::time::Instant::now();
            (0..series).for_each(|number| ours.add(number));
            let created = start.elapsed().as_secs_f64() * 1e9 / series as f64;
            let scrape = [crate::scrape_of(&ours)];
            let figures = milliseconds(&scrape, effort);
            growth.series.push((series, figures[0].min, created));
        }
        growth.series.dedup_by_key(|(series, ..)| *series);
        let only_ours = |contenders: Vec<Contender<'static>>| {
            contenders
                .into_iter()
                .filter(|contender| contender.name == OURS)
                .collect::<Vec<_>>()
        };
        let (counters, histograms) = (
            only_ours(library::counters()),
            only_ours(library::histograms()),
        );
        let cores = cores().len().max(1);
        for threads in (0..)
            .map(|power| 1 << power)
            .take_while(|threads| *threads <= 2 * cores)
        {
            let each =
                |contenders: &[Contender<'_>]| nanoseconds(contenders, threads, effort)[0].min;
            growth
                .threads
                .push((threads, each(&counters), each(&histograms)));
        }
        growth
    }

    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        let mut series = new(&[
            "series",
            "scrape ms",
            "scrape ns a series",
            "creating ns a series",
        ]);
        for (count, scrape, created) in &self.series {
            let each = scrape * 1e6 / *count as f64;
            series.add_row([
                count.to_string(),
                number(*scrape),
                number(each),
                number(*created),
            ]);
        }
        let mut threads = new(&["threads", "counter ns", "histogram ns"]);
        for (count, counter, histogram) in &self.threads {
            threads.add_row([count.to_string(), number(*counter), number(*histogram)]);
        }
        let _ = write!(text, "{series}\n\n{threads}");
        text
    }
}

fn new(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_header(header.to_vec());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Three digits are more than a shared machine repeats.
fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "–".to_owned(),
        value if value.abs() >= 100.0 || value == 0.0 => format!("{value:.0}"),
        value if value.abs() >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// What the parts of recording cost, in nanoseconds and cycles.
pub(crate) fn parts(parts: &[Figure]) -> String {
    let cycle = parts::cycle(parts);
    let mut table = new(&["part", "ns", "cycles"]);
    for part in parts {
        table.add_row([
            part.name.to_owned(),
            number(part.min),
            format!("{:.1}", part.min / cycle),
        ]);
    }
    table.to_string()
}

pub(crate) fn table(rows: &[Row]) -> String {
    let header = [
        "line",
        "unit",
        "obs",
        "(other)",
        "floor",
        "× floor",
        "best peer",
        "",
        "ratio",
        "target",
        "within",
    ];
    let mut table = new(&header);
    for row in rows {
        let floor = row.floor.unwrap_or(f64::NAN);
        table.add_row([
            row.line.clone(),
            row.unit.to_owned(),
            number(row.ours),
            number(row.other),
            number(floor),
            number(row.ours / floor),
            number(row.best_peer),
            row.peer.clone(),
            number(row.ratio),
            number(row.target),
            if row.is_within() { "yes" } else { "no" }.to_owned(),
        ]);
    }
    table.to_string()
}

fn everybody(rows: &[Row]) -> String {
    let mut table = new(&["line", "unit", "min (median) of each"]);
    for row in rows {
        let all = row.all.iter().map(|figure| {
            format!(
                "{} {} ({})",
                figure.name,
                number(figure.min),
                number(figure.median)
            )
        });
        table.add_row([
            row.line.clone(),
            row.unit.to_owned(),
            all.collect::<Vec<_>>().join(", "),
        ]);
    }
    table.to_string()
}

/// The page of the documentation.
pub(crate) fn markdown(rows: &[Row], growth: &Growth, parts: &[Figure], quick: bool) -> String {
    let system =
        System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()));
    let brand = system
        .as_ref()
        .ok()
        .and_then(|system| system.cpus().first())
        .map(|cpu| cpu.brand().to_owned());
    let cpu = brand.unwrap_or_else(|| "an unknown processor".to_owned());
    let cores = cores().len().max(1);
    let kernel = System::kernel_version().unwrap_or_default();
    let effort = if quick {
        "a quick run, with a tenth of the series"
    } else {
        "a full run"
    };
    let missed: Vec<_> = rows.iter().filter(|row| !row.is_within()).collect();
    let missed = match missed.as_slice() {
        [] => "Every line is within its target in this run.".to_owned(),
        missed => {
            let lines = missed.iter().map(|row| {
                format!(
                    "- {}: {} where {} is the target",
                    row.line,
                    number(row.ratio),
                    number(row.target)
                )
            });
            format!(
                "Beyond the target in this run:\n\n{}",
                lines.collect::<Vec<_>>().join("\n")
            )
        }
    };
    format!(
        "<!-- Written by `cargo xtask bench`. -->\n\n# Performance\n\n{SHORT}\n\n## How it is measured\n\n{INTRODUCTION}\n\nMeasured by {effort} on {cpu}, {cores} cores, \
         {} {kernel}, with {VERSIONS}.\n\n## Against the others\n\n{}\n\n{missed}\n\n## Everybody's figures\n\n{}\n\n## How cost grows\n\n{}\n\n\
         ## What the parts cost\n\n{}\n\n{EXPLANATION}\n",
        std::env::consts::OS,
        table(rows),
        everybody(rows),
        growth.table(),
        self::parts(parts),
    )
}

const VERSIONS: &str = "metrics-exporter-prometheus 0.18, prometheus 0.14, prometheus-client 0.25, measured 0.0.25, opentelemetry 0.33, \
    axum-prometheus 0.10, nm 0.1.55, metrics-lib 2.0, metriken 0.11, zstd 0.13, tower-http 0.7 around tonic 0.14, and sqlx 0.9";

const INTRODUCTION: &str = "`cargo xtask bench` measures the recorder beside the other libraries: all in one process, in turn, on \
pinned threads, built for release. Times differ from machine to machine and from minute to minute, so targets are ratios: our least \
time divided by the best peer's, or by what the line names; with two threads, whose least time is that of a round in which they \
did not meet, the medians (`other` is the median there where the least is compared, and the other way round). The floor is the same work written by hand with bare atomics, or lines \
that are rendered but for their numbers. `cargo xtask bench --json` prints the figures for programs, `--quick` takes less than \
three minutes.";

/// What a user wants to know first. By hand: the gate's figures, and times of `obs-gate LINE ROUNDS` on an idle core.
const SHORT: &str = "- **A counter** is added to in 0.54 ns and 15 instructions with the loop, as a bare load, addition and store takes; 0.30 ns and 8 \
instructions with `Counter::local`, in a loop that stays on its thread. It takes no lock and no locked instruction, however many threads \
add to it.\n\
- **Not so** behind a `Fanout`, a `Prefix` or another recorder, and with `OBS_DIRECT_HANDLES=off`: a counter takes 1.5 ns and 36 \
instructions there.\n\
- **A histogram** of 11 buckets takes 3.5 ns and 69 instructions, by a call 4.3 ns and 85; with native buckets 1.2 times as long, \
in 90 instructions, by a call 103. Setting a gauge takes 0.47 ns and 14, as a bare store does.\n\
- **A label known at run time only** costs a look-up of some 60 instructions; keep what `of` returns where it stays the same.\n\
- **A scrape** takes some 20 ns a counter. With gzip, as Prometheus asks, it takes a tenth of that where no counter has changed, and \
two to three times that where all have.\n\
- **A new series** takes some 7,250 instructions and 9 allocations where three labels lead to it; the first scrape after it takes four times what others take.";

const EXPLANATION: &str = "## Where a target is missed, and by what\n\
\n\
The table above has the time of each part, measured by `cargo xtask bench --only parts`; `cargo xtask gate` prints the \
instructions of an operation under callgrind, and `objdump -d --no-show-raw-insn -C target/release/obs-benches` shows \
which they are.\n\
\n\
- **On another processor.** The tables are of one on which a word that was just stored is loaded again for nothing. A full run \
of 29 November 2026 on an Intel Xeon of two cores, where that takes 2 ns, gave 1.96 ns for a counter and 1.89 bound to its \
thread, where the bare load, addition and store take 2.01 (0.94 times), 4.92 for a histogram of 11 buckets (`metriken` 7.23), \
scrapes of 100,000 counters and of 10,000 histograms at 1.20 and 0.90 times the writing of rendered lines, packed ones at 0.09, \
1.4, 2.0 and 2.0 times the plain one with 0, 1, 10 and 100 % changed, and an HTTP request at 0.25 of axum-prometheus' time. Creating a series took 0.66 to 0.92 µs there, \
1.6 to 1.8 in the table, which is of a state before the names of labels were kept once.\n\
- **A counter's kept handle.** Where the engine is what `obs_core::install` installed, an increment is 15 instructions with the loop: it \
reads the thread's slot, compares it with the lanes there are, sees whether this lane has a page, and loads, adds and stores there. \
Through the facade's `Arc<dyn CounterFn>` the same takes 37: the handle first looks for a cell of its own, and the call saves and fetches \
what the loop keeps in registers. The call alone, to a counter that does nothing, takes 5 cycles, more than 0.4 of a locked addition \
where that takes 7. `Counter::local` has found the word already and compares the thread's slot only, 8 instructions.\n\
- **A counter bound to its thread** is compared with a load, an addition and a store of the same argument. Beside these, 6 \
instructions with the loop, it has the comparison of the thread's slot and its branch. They stay: after a fork, and in \
destructors that run when the thread has given its slot back, the word is another's. Until 29 November 2026 the floor of that \
line read the word before its argument was made. The compiler makes a load and a store of that, and one addition to memory of \
the handle's order, `add %rdx,(%rsi)`; some processors forward a word from a store to a load for nothing, and not to such an \
addition. The 1.24 of the table is of the floor in that order.\n\
- **Registering** a counter with three labels through a declared family takes some 7,250 instructions and 9 allocations; 9,200 and 10 \
while each series had its labels checked, sorted and written whole. Their names are known by now from the family's first series, and what \
is made is the text of the values. More than a third of what is left is making and freeing memory, the gate's counting of it included: \
seven of the allocations are those of the look-ups by label, two the recorder's.\n\
- **The heap of a series**, in bytes that are asked for, with one recording thread and all that a scrape keeps, as `cargo test -p \
obs-recorder --test heap -- --nocapture` prints it: 166 for a counter of three labels, 301 for a histogram of 11 buckets, 642 with native \
ones and values in three octaves. The series itself and its counts of holders take 80 of a counter's, the text of its values some 25, its \
place in the table by which it is found 15, its cell 8, and what scrapes keep of it some 38.\n\
- **Without link-time optimisation** an increment by a call takes half as long again, 2.7 ns: code that is compiled for a library \
saves three registers to ask where the thread's own data is. Programs that record on a hot path are best released with \
`lto = \"thin\"`, as this workspace is.\n\
- **A histogram's kept handle.** 69 instructions where the engine is installed: 12 of the loop and a call within the program, 6 \
that refuse what lies outside of the family's range, 13 that find the page as above, some 22 that find the bucket in a table by \
the first bits of the value, and the rest adds to bucket and sum. None of them is a branch that depends on the value. Of 3.5 ns, \
2.7 are the sum alone: a float that is loaded, added to and stored takes ten cycles until it can be loaded again, as the same \
written by hand does. Two sums by turns would take 1.4; but which of two a value adds to would be the low bit of its bucket's \
index, and then the same code by hand takes 3.7 ns where it takes 3.1 to 3.6 with one sum, whether the values lie in eight buckets or in \
one. So there is one, which is 8 bytes less as well. Behind the facade's call it is 85 instructions and 4.3 ns.\n\
- **A histogram with native buckets** (`OBS_NATIVE_HISTOGRAMS=on`) is recorded without a call, too. An addition takes 90 \
instructions where one to 11 declared buckets takes 69, and by a call 103 where that takes 85; 140 while all native buckets were \
recorded by a call. Three runs of `obs-gate 'histogram of 11 buckets and native ones, kept handle' 20000` on a busy machine give 5.6 to 5.7 ns, where 140 instructions took 9.1 to 9.3 and declared buckets take 4.6 to 4.8 in the same minute: 1.2 times as long, 4.2 to 4.3 ns \
where those take 3.5. The target is 4. About 30 instructions find the octave's chunk in the series by the first bits of the value, \
some 15 the cell in it by two comparisons, whatever the value, and the rest is as with declared buckets. 0, and octaves in which \
several bounds are declared, are looked up by the family's grid, without a call as well. A text of 10,000 histograms with 18 \
bounds takes 13 ms where it takes 2.3 without, since each declared bucket is added up from cells that lie by the octave. In \
protobuf, the same with both sorts of buckets takes 15 ms and 3.7 MB; the text has 12.1 MB. What a series knows of its chunks takes 232 bytes \
for up to four octaves, and 352 more for up to eight.\n\
- **Three labels looked up on each call.** 191 instructions: about 50 to classify, hash, find and compare each text, and \
what it takes to read the labels and to count. Each text is looked for in what the one before was found to lead to, so \
that of the three the loads wait for one another. A library that hashes all labels at once behind one read lock has one \
such wait; it falls behind with two threads, which fight for the lock. Where a label stays the same, keep what `of` \
returns.\n\
- **A request through the HTTP layer** is near its target: five runs gave 0.23 to 0.25. Of some 330 ns, measured by hand, a layer \
that wraps the future and the body and records nothing takes 130 to 180: a clone of what is below, three boxes and what they \
copy. Two readings of the clock take about 48, the end of the exchange 24, three histograms 15, the body's frames and the \
lookup of the route 14 each.\n\
- **A gRPC call** through the layer with `count_request_bodies`, of tonic's own health service. The peer is what tonic's users put there, \
tower-http's trace layer, with a subscriber that formats events from `DEBUG` on and writes them to nowhere; with a filter that keeps them \
out it costs next to nothing, and says nothing.\n\
- **A gauge's kept handle** is set by two stores, of the value and of a mark that it was set; the second is hidden behind the first. It points to both \
in a page, on the heap or in a mapped file, and takes the same instructions there.\n\
- **A scrape of counters** is near its target: full runs gave 1.8 on a busy machine and 2.4 on an idle one, where the floor gains \
more. Since then it has lost nearly a quarter of its time and of its instructions. Per series it puts the label text together behind \
the family's name, from what the one before has, finds the words by their place, and writes the line in four pieces where the floor \
writes it in three: 260 instructions where there are a thousand. A histogram of 11 buckets takes 3,480: some 140 a bucket's line, and \
some 450 the digits of a sum that is no whole number, which the floor does not have. The first scrape after series came makes its \
sheet of them anew: 1,040 instructions a counter, where it took 770 while each series had its labels' text whole. Removing a series and \
the scrape after it take 1,760, where they took 920.\n\
- **A packed scrape** takes 40 instructions a counter where none of 10,000 has changed, 688 with 1 % spread over all, 1,410 with 10 \
% and 1,420 with all; the scrape under the gate counts symbols for a better table as well. Lines are kept by pages of 64 series, and \
1 % touches nearly half of the pages, 10 % nearly all. With 100,000 counters it takes 0.09, 1.6, 2.4 and 2.4 times the plain \
scrape's time, where 3 is the target, and 1.02 times the bytes of level 1. Adding to the counters, which lie all over the heap, is \
measured apart and taken off; earlier runs, which gave 3.3 and 4.9 for the last two, held it, too.
- **zstd** of the same text takes \
1.8 times as long as our gzip at level 1 and 0.69 times the bytes, 2.7 times and 0.79 at level 3, which finds less than level 1 does \
in lines that are so much alike. It is no feature: who pays for bytes on the way has one scrape in fifteen seconds, and Prometheus \
asks for zstd with a flag only.\n\
- **Libraries that record alone.** `nm` keeps a count and a sum for each thread behind a \
thread-local, 9.4 ns where a counter of ours takes 0.54; `metrics-lib` and `metriken` add by a locked instruction, 4.6 and 4.7 ns, \
and so does `metriken`'s sharded group, which alone stays at 4.8 with two threads. `metriken`'s histogram has eight buckets to an \
octave and no sum: one locked addition, 4.8 ns where ours takes 3.8. A gauge of `prometheus` and of `metrics-lib` is one store, 0.29 \
ns; ours is two, 0.46, because one that is set to what it was still counts as used.\n\
\n\
## Reading the tables\n\nThreads are pinned; where there are more than cores, they take turns. A thread beyond the recorder's slots \
(`OBS_RECORDER_SLOTS`) adds to shared cells, at about the cost of the floor.\n\n## What guards it\n\nTimes are no test on a machine \
that others use too. The tests hold what does not depend on one: recording on a handle allocates nothing, 20 million observations \
leave the heap as it was, a known series is found without allocating, and a request through the HTTP layer allocates no more than \
five times.";
