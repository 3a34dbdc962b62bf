//! The families of a Redis client, and how replies move them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use obs_core::{By, Counter, Group, Histogram, Late, Outcome, Timed, Value as Name, buckets};
use redis::{InfoDict, Msg, PushInfo, PushKind, RedisResult, Value};

use crate::client::command::{Asked, Command};
use crate::client::labels::{ClientName, CommandError, Lookup, Subscription};

const CACHE: Group = Group::new("Cache").rank(Group::LIBRARY + 80);

obs_core::families! {
    group CACHE;

    /// One client of Redis.
    pub(crate) struct ClientMetrics(client: ClientName) {
        /// Time from sending a command to its reply; a pipeline and a transaction are timed as one.
        pub(crate) duration: Late<Command, Histogram> = "redis_client_command_duration_seconds" {
            buckets: buckets::LATENCY,
            budget: 1_000,
        },
        /// Time of commands that wait in the server until there is something to answer, which is as long as they ask to.
        ///
        /// `BLPOP`, `XREAD … BLOCK`, `WAIT` and their like; they are not in `redis_client_command_duration_seconds`.
        pub(crate) blocking: Late<Command, Histogram> = "redis_client_blocking_duration_seconds" {
            buckets: buckets::LATENCY,
            budget: 200,
        },
        /// Commands that ended, by how they ended, those of pipelines and transactions among them.
        pub(crate) commands: Late<Command, By<Outcome, Counter>> = "redis_client_commands_total" { budget: 4_000 },
        /// Commands that ended with an error, by what went wrong.
        pub(crate) errors: By<CommandError, Counter> = "redis_client_errors_total",
        /// Keys and fields that were looked up, by whether they were there.
        pub(crate) lookups: By<Lookup, Counter> = "redis_client_lookups_total",
        /// Messages of subscriptions that were received.
        pub(crate) messages: By<Subscription, Counter> = "redis_client_messages_total",
        /// Subscriptions whose connection ended. What is published until the next one is lost.
        pub(crate) subscriptions_lost: Counter = "redis_client_subscriptions_lost_total",
        /// Lookups of keys that were there, by all clients, as the server counts them.
        pub(crate) server_hits: Counter = "redis_server_keyspace_hits_total",
        /// Lookups of keys that were not there, by all clients, as the server counts them.
        pub(crate) server_misses: Counter = "redis_server_keyspace_misses_total",
    }
}

/// The metrics of a Redis client. Clones share them; each [`Redis`](crate::Redis) has one.
#[derive(Clone, Debug)]
pub struct RedisMetrics(Arc<Client>);

#[derive(Debug)]
struct Client {
    metrics: ClientMetrics,
    /// What each node of the server said last.
    nodes: Mutex<HashMap<String, ServerLookups>>,
}

/// A node's own counts of lookups. They start again from 0 when it is restarted.
#[derive(Clone, Copy, Debug, Default)]
struct ServerLookups {
    hits: u64,
    misses: u64,
}

impl RedisMetrics {
    /// Metrics from the recorder that is installed, under a name, which is the label `client`.
    #[must_use]
    #[track_caller]
    pub fn new(name: impl Into<Name<ClientName>>) -> Self {
        Self(Arc::new(Client {
            metrics: ClientMetrics::new(name),
            nodes: Mutex::default(),
        }))
    }

    /// Makes the series of a command exist before its first use, so that its first error is seen as an increase from 0.
    #[must_use]
    pub fn prepare(self, commands: impl IntoIterator<Item = Command>) -> Self {
        for command in commands {
            let _ = &self.0.metrics.duration[command];
            let _ = &self.0.metrics.commands[command];
        }
        self
    }

    /// Counts a message of a subscription.
    pub fn message(&self, message: &Msg) {
        let subscription = if message.from_pattern() {
            Subscription::Pattern
        } else {
            Subscription::Channel
        };
        self.0.metrics.messages[subscription].increment(1);
    }

    /// Counts a subscription whose connection ended.
    pub(crate) fn subscription_lost(&self) {
        self.0.metrics.subscriptions_lost.increment(1);
    }

    /// Counts what the server pushed, if it is a message, and the loss of the connection; for connections of RESP3, whose messages come that way.
    pub fn push(&self, push: &PushInfo) {
        let subscription = match push.kind {
            PushKind::Message => Subscription::Channel,
            PushKind::PMessage => Subscription::Pattern,
            PushKind::SMessage => Subscription::Shard,
            PushKind::Disconnection => return self.subscription_lost(),
            _ => return,
        };
        self.0.metrics.messages[subscription].increment(1);
    }

    /// Takes over what a node of the server said to `INFO stats`: for programs that ask it by other means than
    /// [`observe_server`](crate::Redis::observe_server). A server that is no cluster has one node, of any name.
    ///
    /// The first time, the counters rise by what the node has counted since it was started; from then on by what it has
    /// counted since, also across its restarts.
    pub fn server(&self, node: &str, info: &InfoDict) {
        let now = ServerLookups {
            hits: info.get("keyspace_hits").unwrap_or(0),
            misses: info.get("keyspace_misses").unwrap_or(0),
        };
        let mut nodes = self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let last = nodes.insert(node.to_owned(), now).unwrap_or_default();
        let metrics = &self.0.metrics;
        metrics.server_hits.increment(added(last.hits, now.hits));
        metrics
            .server_misses
            .increment(added(last.misses, now.misses));
    }

    pub(crate) fn one(&self, asked: Asked) -> One<'_> {
        One {
            metrics: &self.0.metrics,
            asked,
        }
    }

    /// Several commands that are sent at once; the time of the `whole` stands under its name.
    pub(crate) fn batch(&self, whole: Command, commands: impl Iterator<Item = Asked>) -> Batch<'_> {
        let mut blocks = false;
        let commands = commands.map(|asked| {
            blocks |= asked.blocks;
            asked.command
        });
        let commands = commands.collect();
        Batch {
            metrics: &self.0.metrics,
            whole: Asked {
                command: whole,
                blocks,
            },
            commands,
        }
    }
}

impl ClientMetrics {
    fn timed(&self, asked: Asked, elapsed: Duration) {
        if asked.blocks {
            self.blocking[asked.command].record(elapsed);
        } else {
            self.duration[asked.command].record(elapsed);
        }
    }

    fn failed(&self, command: Command, error: CommandError) {
        self.errors[error].increment(1);
        self.commands[command][Outcome::Error].increment(1);
    }

    /// Counts the reply to one command of several. The server's errors come as replies.
    fn replied(&self, command: Command, reply: &Value) {
        if let Value::ServerError(error) = reply {
            let error = CommandError::of_reply(error);
            if is_only_unknown(command, error) {
                self.commands[command][Outcome::Cancelled].increment(1);
            } else {
                self.failed(command, error);
            }
        } else {
            self.commands[command][Outcome::Ok].increment(1);
            self.looked_up(command, reply);
        }
    }

    fn looked_up(&self, command: Command, reply: &Value) {
        let found = command.lookups(reply);
        if found.hits > 0 {
            self.lookups[Lookup::Hit].increment(found.hits);
        }
        if found.misses > 0 {
            self.lookups[Lookup::Miss].increment(found.misses);
        }
    }
}

/// One command, to be timed.
#[derive(Debug)]
pub(crate) struct One<'a> {
    metrics: &'a ClientMetrics,
    asked: Asked,
}

impl One<'_> {
    /// Times a command whose reply says nothing but whether it succeeded.
    pub(crate) async fn run(&self, work: impl Future<Output = RedisResult<()>>) -> RedisResult<()> {
        let timer = self.start();
        let result = work.await;
        if let Err(error) = &result {
            self.metrics.errors[CommandError::of(error)].increment(1);
        }
        timer.result(result)
    }

    /// Looks at the reply, counting what was found or what went wrong.
    pub(crate) fn judge(&self, reply: &RedisResult<Value>) -> Outcome {
        let error = match reply {
            Ok(Value::ServerError(error)) => CommandError::of_reply(error),
            Err(error) => CommandError::of(error),
            Ok(value) => {
                self.metrics.looked_up(self.asked.command, value);
                return Outcome::Ok;
            }
        };
        if is_only_unknown(self.asked.command, error) {
            return Outcome::Cancelled;
        }
        self.metrics.errors[error].increment(1);
        Outcome::Error
    }
}

/// Whether the server merely did not know a script yet. It ran nothing; the client loads the script and asks again.
fn is_only_unknown(command: Command, error: CommandError) -> bool {
    command == Command::EvalSha && error == CommandError::NoScript
}

impl Timed for One<'_> {
    fn ended(&self, outcome: Outcome, elapsed: Duration) {
        self.metrics.timed(self.asked, elapsed);
        self.metrics.commands[self.asked.command][outcome].increment(1);
    }
}

/// The commands of a pipeline or transaction, to be timed as one.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    metrics: &'a ClientMetrics,
    whole: Asked,
    commands: Vec<Command>,
}

impl Batch<'_> {
    /// Looks at the replies, counting each by what it says.
    pub(crate) fn judge(&self, replies: &RedisResult<Vec<Value>>) -> Outcome {
        let is_transaction = self.whole.command == Command::Transaction;
        match replies.as_deref() {
            Err(error) => self.failed(CommandError::of(error)),
            Ok([Value::ServerError(error)]) if is_transaction => {
                self.failed(CommandError::of_reply(error))
            }
            // A key that was watched has changed: nothing was run.
            Ok([Value::Nil]) if is_transaction => Outcome::Cancelled,
            Ok([Value::Array(replies)]) if is_transaction => self.replied(replies),
            Ok(replies) => self.replied(replies),
        }
    }

    /// All of them failed by the same error; the commands themselves are counted at the end.
    fn failed(&self, error: CommandError) -> Outcome {
        self.metrics.errors[error].increment(self.commands.len() as u64);
        Outcome::Error
    }

    fn replied(&self, replies: &[Value]) -> Outcome {
        let mut replies = replies.iter();
        for command in &self.commands {
            match replies.next() {
                Some(reply) => self.metrics.replied(*command, reply),
                None => self.metrics.failed(*command, CommandError::Client),
            }
        }
        Outcome::Ok
    }
}

impl Timed for Batch<'_> {
    fn ended(&self, outcome: Outcome, elapsed: Duration) {
        self.metrics.timed(self.whole, elapsed);
        // Where there were replies, each has been counted by what it said.
        if outcome != Outcome::Ok {
            for command in &self.commands {
                self.metrics.commands[*command][outcome].increment(1);
            }
        }
    }
}

/// How much a node has counted since it was last asked. One that counts less than before was restarted in between.
fn added(last: u64, now: u64) -> u64 {
    now.checked_sub(last).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use obs_core::TestRecorder;

    use super::*;

    const CLIENT: (&str, &str) = ("client", "cache");

    fn commands(test: &TestRecorder, command: &str, outcome: &str) -> Option<u64> {
        let labels = [CLIENT, ("command", command), ("outcome", outcome)];
        test.counter("redis_client_commands_total", &labels)
    }

    #[test]
    fn a_prepared_command_has_its_errors_at_nought() {
        let test = TestRecorder::new();
        let _metrics = test.run(|| RedisMetrics::new("cache").prepare([Command::Get]));
        assert_eq!(commands(&test, "get", "error"), Some(0));
        assert_eq!(commands(&test, "set", "error"), None);
    }

    #[test]
    fn an_aborted_transaction_has_cancelled_commands() {
        let test = TestRecorder::new();
        test.run(|| {
            let metrics = RedisMetrics::new("cache");
            let both = [Command::Get, Command::Set].map(Asked::plain);
            let batch = metrics.batch(Command::Transaction, both.into_iter());
            let timer = batch.start();
            timer.finish(batch.judge(&Ok(vec![Value::Nil])));
        });
        assert_eq!(commands(&test, "get", "cancelled"), Some(1));
        assert_eq!(commands(&test, "set", "cancelled"), Some(1));
        assert_eq!(commands(&test, "transaction", "cancelled"), None);
    }

    #[test]
    fn a_server_that_restarts_goes_on_being_counted() {
        let test = TestRecorder::new();
        let metrics = test.run(|| RedisMetrics::new("cache"));
        let hits = || test.counter("redis_server_keyspace_hits_total", &[CLIENT]);
        let said = |hits, misses| {
            InfoDict::new(&format!(
                "keyspace_hits:{hits}\r\nkeyspace_misses:{misses}\r\n"
            ))
        };
        metrics.server("a", &said(10, 1));
        metrics.server("b", &said(5, 0));
        assert_eq!(hits(), Some(15));
        metrics.server("a", &said(12, 1));
        assert_eq!(hits(), Some(17));
        metrics.server("a", &said(3, 1));
        assert_eq!(hits(), Some(20));
        let misses = test.counter("redis_server_keyspace_misses_total", &[CLIENT]);
        assert_eq!(misses, Some(1));
    }
}
