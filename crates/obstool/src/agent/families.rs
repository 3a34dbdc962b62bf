//! What the agent says of the processes that it watches, and of itself.

use obs_core::{Alarm, By, Catalogue, Counter, Figure, Gauge, Group, Reading, Worse};

obs_core::label! {
    /// A loop that is watched, by the name it gave itself.
    pub open LoopName as "loop" up to 32
}
obs_core::label! {
    /// What the agent pushes to.
    pub enum ReceiverName as "receiver" { Otlp = "otlp", Pushgateway = "pushgateway" }
}
obs_core::label! {
    /// A process, or several of one service: the name of the file without `.obs`, up to an `@`.
    pub open ProcessName as "process" up to 500
}

/// What outlives processes.
const PROCESSES: Group = Group::new("Processes").figures(&[
    Figure::value("Processes", Reading::sum(ProcessMetrics::up))
        .facts(&[("dead", Reading::sum(ProcessMetrics::dead))]),
    Figure::table(
        "Each process",
        "process",
        &[
            ("up", Reading::sum(ProcessMetrics::up)),
            ("dead", Reading::sum(ProcessMetrics::dead)),
            ("hung", Reading::most(LoopMetrics::hung)),
        ],
    )
    .worse(Worse::Down)
    .alarms(&[Alarm::above(Reading::most(LoopMetrics::hung), 0.0)]),
]);

obs_core::families! {
    group PROCESSES;

    /// The processes of one name.
    pub struct ProcessMetrics(process: ProcessName) {
        /// Processes of that name that live; 0 where the last one is dead.
        ///
        /// One that is stopped lives. It is seen by the lock of the file, which ends with its process.
        pub up: Gauge = "obs_process_up",
        /// Dead processes of that name whose files are still told apart from the totals.
        ///
        /// Their last values are shown where none of that name lives.
        pub dead: Gauge = "obs_process_dead",
        /// Processes of that name that live and whose files lack something that they recorded: there was no memory for it.
        pub incomplete: Gauge = "obs_process_incomplete",
    }
}

obs_core::families! {
    group PROCESSES;

    /// The loops that processes have watched.
    pub struct LoopMetrics(process: ProcessName, name: LoopName) {
        /// For how long a watched loop has hung: the time since its last beat, once that is beyond its time-out.
        ///
        /// 0 while it beats in time, NaN while it is not armed. A dead process hangs, too, until another takes over its loop.
        pub hung: Gauge = "obs_process_hung_seconds" { budget: 1_000 },
    }
}

obs_core::families! {
    group PROCESSES;

    /// The agent itself.
    pub struct AgentMetrics {
        /// When the agent began, in seconds since 1970.
        ///
        /// Totals of processes whose files were removed before that may be less than another agent showed: rates across it say nothing.
        pub started: Gauge = "obs_agent_start_time_seconds",
        /// Files that cannot be read: truncated, corrupt, of another edition or of another program.
        ///
        /// What was read of them before stays in the totals. Comments of the exposition say what is wrong with each.
        pub refused: Gauge = "obs_agent_refused_files",
        /// Pushes that a receiver did not take, wholly or in part.
        ///
        /// What a receiver of OTLP does not take at once is sent again, and counted each time; the log says what is lost.
        pub push_failures: By<ReceiverName, Counter> = "obs_agent_push_failures_total",
    }
}

/// The families that `obstool agent` adds to those of the processes.
#[must_use]
pub fn catalogue() -> Catalogue {
    Catalogue::of(&[
        ProcessMetrics::FAMILIES,
        LoopMetrics::FAMILIES,
        AgentMetrics::FAMILIES,
    ])
}
