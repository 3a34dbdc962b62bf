//! A Redis connection whose commands are measured.

use obs_core::{Timed, Value as Name};
use redis::aio::ConnectionLike as AsyncConnectionLike;
use redis::{
    Arg, Cmd, ConnectionLike, InfoDict, Pipeline, RedisFuture, RedisResult, ToRedisArgs, Value,
    from_redis_value,
};

use crate::client::command::{Asked, Command};
use crate::client::labels::ClientName;
use crate::client::metrics::RedisMetrics;
use crate::client::packed::Packed;

/// A Redis connection that is measured: any that is a `ConnectionLike`, async or blocking. All of `redis`' commands,
/// scripts and pipelines go through it as before.
///
/// Async ones are `MultiplexedConnection`, `ConnectionManager` and `ClusterConnection`; they are cloned as before too, and
/// the clones share their metrics.
///
/// ```
/// use redis::{AsyncCommands, Client, RedisError};
///
/// async fn price(client: &Client) -> Result<Option<f64>, RedisError> {
///     let connection = client.get_multiplexed_async_connection().await?;
///     let mut cache = obs_db::Redis::new(connection, "prices"); // once, at start-up
///     cache.get("AAPL").await
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Redis<C> {
    raw: C,
    metrics: RedisMetrics,
}

impl<C> Redis<C> {
    /// Measures a connection under a name, which is the label `client`. Connections of one name add up.
    ///
    /// Install a recorder first: handles that are made before it stay without effect.
    #[must_use]
    #[track_caller]
    pub fn new(connection: C, name: impl Into<Name<ClientName>>) -> Self {
        Self::with_metrics(connection, RedisMetrics::new(name))
    }

    /// Measures a connection by metrics that exist already, such as those of another one to the same server.
    #[must_use]
    pub fn with_metrics(connection: C, metrics: RedisMetrics) -> Self {
        Self {
            raw: connection,
            metrics,
        }
    }

    /// Its metrics, to take a connection of a pool by ([`RedisMetrics::on`]), to count messages of subscriptions and to make series exist.
    #[must_use]
    pub fn metrics(&self) -> &RedisMetrics {
        &self.metrics
    }

    /// The connection itself, for what needs one. What goes through it is not measured.
    pub fn raw(&mut self) -> &mut C {
        &mut self.raw
    }

    /// The connection itself.
    #[must_use]
    pub fn into_raw(self) -> C {
        self.raw
    }
}

/// A connection that is borrowed, such as one from a pool of bb8 or deadpool; made by [`RedisMetrics::on`].
#[derive(Debug)]
pub struct Borrowed<'c, C>(&'c mut C);

impl RedisMetrics {
    /// Measures a connection for as long as it is borrowed.
    ///
    /// ```
    /// use redis::aio::MultiplexedConnection;
    /// use redis::{AsyncCommands, RedisError};
    ///
    /// async fn price(
    ///     conn: &mut MultiplexedConnection, // what a pool gave
    ///     metrics: &obs_db::RedisMetrics,   // made once, at start-up
    /// ) -> Result<Option<f64>, RedisError> {
    ///     metrics.on(conn).get("AAPL").await
    /// }
    /// ```
    pub fn on<'c, C>(&self, connection: &'c mut C) -> Redis<Borrowed<'c, C>> {
        Redis::with_metrics(Borrowed(connection), self.clone())
    }
}

impl<C: AsyncConnectionLike> AsyncConnectionLike for Borrowed<'_, C> {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.0.req_packed_command(cmd)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.0.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.0.get_db()
    }
}

impl<C: ConnectionLike> ConnectionLike for Borrowed<'_, C> {
    fn req_packed_command(&mut self, cmd: &[u8]) -> RedisResult<Value> {
        self.0.req_packed_command(cmd)
    }

    fn req_packed_commands(
        &mut self,
        cmd: &[u8],
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        self.0.req_packed_commands(cmd, offset, count)
    }

    fn req_command(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        self.0.req_command(cmd)
    }

    fn get_db(&self) -> i64 {
        self.0.get_db()
    }

    fn supports_pipelining(&self) -> bool {
        self.0.supports_pipelining()
    }

    fn check_connection(&mut self) -> bool {
        self.0.check_connection()
    }

    fn is_open(&self) -> bool {
        self.0.is_open()
    }
}

/// Subscriptions of a RESP3 connection, whose messages come through the sender it was made with; count these by
/// [`RedisMetrics::push`].
macro_rules! subscriptions {
    ($Connection:ty $(, $feature:literal)?) => {
        $(#[cfg(feature = $feature)])?
        impl Redis<$Connection> {
            /// Subscribes to channels.
            pub async fn subscribe(&mut self, channels: impl ToRedisArgs) -> RedisResult<()> {
                let command = self.metrics.one(Asked::plain(Command::Subscribe));
                command.run(self.raw.subscribe(channels)).await
            }

            /// Subscribes to the channels that match a pattern.
            pub async fn psubscribe(&mut self, patterns: impl ToRedisArgs) -> RedisResult<()> {
                let command = self.metrics.one(Asked::plain(Command::PSubscribe));
                command.run(self.raw.psubscribe(patterns)).await
            }

            /// Ends subscriptions to channels.
            pub async fn unsubscribe(&mut self, channels: impl ToRedisArgs) -> RedisResult<()> {
                let command = self.metrics.one(Asked::plain(Command::Unsubscribe));
                command.run(self.raw.unsubscribe(channels)).await
            }

            /// Ends subscriptions by a pattern.
            pub async fn punsubscribe(&mut self, patterns: impl ToRedisArgs) -> RedisResult<()> {
                let command = self.metrics.one(Asked::plain(Command::PUnsubscribe));
                command.run(self.raw.punsubscribe(patterns)).await
            }
        }
    };
}

subscriptions!(redis::aio::MultiplexedConnection);
subscriptions!(redis::aio::ConnectionManager, "connection-manager");

impl<C: AsyncConnectionLike> Redis<C> {
    /// Asks the server, or every node of a cluster, for its hits and misses: `redis_server_keyspace_hits_total` and
    /// `redis_server_keyspace_misses_total`. To be called every now and then, such as every 15 seconds by a task of its own.
    ///
    /// The question itself is not counted among the commands.
    pub async fn observe_server(&mut self) -> RedisResult<()> {
        let answer = self.raw.req_packed_command(&info()).await?;
        self.observe(answer)
    }
}

impl<C: ConnectionLike> Redis<C> {
    /// The same as `observe_server`, on a blocking connection.
    pub fn observe_server_blocking(&mut self) -> RedisResult<()> {
        let answer = self.raw.req_command(&info())?;
        self.observe(answer)
    }
}

impl<C> Redis<C> {
    fn observe(&self, answer: Value) -> RedisResult<()> {
        // A cluster answers with what each node says.
        let Value::Map(nodes) = answer else {
            let info: InfoDict = from_redis_value(answer)?;
            self.metrics.server("", &info);
            return Ok(());
        };
        for (node, answer) in nodes {
            let node: String = from_redis_value(node)?;
            let info: InfoDict = from_redis_value(answer)?;
            self.metrics.server(&node, &info);
        }
        Ok(())
    }
}

impl<C: AsyncConnectionLike + Send> AsyncConnectionLike for Redis<C> {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let command = self.metrics.one(asked(cmd));
            let timer = command.start();
            let reply = self.raw.req_packed_command(cmd).await;
            timer.finish(command.judge(&reply));
            reply
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let whole = if pipeline.is_transaction() {
                Command::Transaction
            } else {
                Command::Pipeline
            };
            let batch = self.metrics.batch(whole, pipeline.cmd_iter().map(asked));
            let timer = batch.start();
            let replies = self.raw.req_packed_commands(pipeline, offset, count).await;
            timer.finish(batch.judge(&replies));
            replies
        })
    }

    fn get_db(&self) -> i64 {
        self.raw.get_db()
    }
}

impl<C: ConnectionLike> ConnectionLike for Redis<C> {
    fn req_packed_command(&mut self, cmd: &[u8]) -> RedisResult<Value> {
        let command = self.metrics.one(Packed(cmd).first());
        let timer = command.start();
        let reply = self.raw.req_packed_command(cmd);
        timer.finish(command.judge(&reply));
        reply
    }

    fn req_packed_commands(
        &mut self,
        cmd: &[u8],
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        // A transaction is `MULTI`, its commands and `EXEC`; all replies but the one to `EXEC` are passed over.
        let (whole, skip, take) = match offset {
            0 => (Command::Pipeline, 0, count),
            offset => (Command::Transaction, 1, offset - 1),
        };
        let batch = self.metrics.batch(whole, Packed(cmd).skip(skip).take(take));
        let timer = batch.start();
        let replies = self.raw.req_packed_commands(cmd, offset, count);
        timer.finish(batch.judge(&replies));
        replies
    }

    fn req_command(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        let command = self.metrics.one(asked(cmd));
        let timer = command.start();
        let reply = self.raw.req_command(cmd);
        timer.finish(command.judge(&reply));
        reply
    }

    fn get_db(&self) -> i64 {
        self.raw.get_db()
    }

    fn supports_pipelining(&self) -> bool {
        self.raw.supports_pipelining()
    }

    fn check_connection(&mut self) -> bool {
        self.raw.check_connection()
    }

    fn is_open(&self) -> bool {
        self.raw.is_open()
    }
}

fn info() -> Cmd {
    let mut info = redis::cmd("INFO");
    info.arg("stats");
    info
}

fn asked(cmd: &Cmd) -> Asked {
    Asked::of(cmd.args_iter().map_while(|argument| match argument {
        Arg::Simple(word) => Some(word),
        // The place of a cursor, which only commands have that do not block.
        _ => None,
    }))
}
