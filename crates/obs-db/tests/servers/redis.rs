//! Redis connections to a real server, async and blocking, and what happens when that goes wrong.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{FutureExt, StreamExt};
use obs_core::TestRecorder;
use obs_db::Redis;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{AsyncCommands, Client, Commands, ErrorKind, ServerErrorKind, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CLIENT: (&str, &str) = ("client", "prices");

struct Cache {
    test: TestRecorder,
    client: Client,
    server: crate::common::Redis,
}

impl Cache {
    fn start() -> Self {
        let server = crate::common::Redis::start();
        Self {
            test: TestRecorder::new(),
            client: Client::open(server.url()).unwrap(),
            server,
        }
    }

    async fn connect(&self) -> Redis<MultiplexedConnection> {
        let connection = self
            .client
            .get_multiplexed_async_connection()
            .await
            .unwrap();
        self.test.run(|| Redis::new(connection, "prices"))
    }

    fn commands(&self, command: &str, outcome: &str) -> u64 {
        let labels = [CLIENT, ("command", command), ("outcome", outcome)];
        self.test
            .counter("redis_client_commands_total", &labels)
            .unwrap_or(0)
    }

    fn all_commands(&self) -> u64 {
        self.test.counter_sum("redis_client_commands_total", &[])
    }

    fn errors(&self, kind: &str) -> u64 {
        let labels = [CLIENT, ("error_type", kind)];
        self.test
            .counter("redis_client_errors_total", &labels)
            .unwrap()
    }

    fn lookups(&self) -> (u64, u64) {
        let result = |result| {
            let labels = [CLIENT, ("result", result)];
            self.test
                .counter("redis_client_lookups_total", &labels)
                .unwrap()
        };
        (result("hit"), result("miss"))
    }

    fn durations(&self, command: &str) -> usize {
        let labels = [CLIENT, ("command", command)];
        let samples = self
            .test
            .samples("redis_client_command_duration_seconds", &labels);
        samples.map_or(0, |samples| samples.len())
    }

    /// Every command that failed is counted by what went wrong.
    fn check_sums(&self, issued: u64) {
        assert_eq!(self.all_commands(), issued);
        let failed = self
            .test
            .counter_sum("redis_client_commands_total", &[("outcome", "error")]);
        assert_eq!(
            self.test.counter_sum("redis_client_errors_total", &[]),
            failed
        );
    }
}

#[tokio::test]
async fn commands_are_counted_by_name_and_lookups_by_result() {
    let cache = Cache::start();
    let mut redis = cache.connect().await;

    let () = redis.set("AAPL", 1).await.unwrap();
    assert_eq!(redis.get("AAPL").await, Ok(Some(1)));
    assert_eq!(redis.get("MSFT").await, Ok(None::<i64>));
    let many: Vec<Option<i64>> = redis.mget(&["AAPL", "MSFT", "GOOG"]).await.unwrap();
    assert_eq!(many, [Some(1), None, None]);
    let () = redis.hset("h", "a", 1).await.unwrap();
    let _: Option<i64> = redis.hget("h", "a").await.unwrap();
    let _: Vec<Option<i64>> = redis.hmget("h", &["a", "b"]).await.unwrap();
    let _: Option<i64> = redis.get_del("AAPL").await.unwrap();
    let _: Vec<String> = redis.hgetall("none").await.unwrap();
    let _: Value = redis::cmd("OBJECT")
        .arg("HELP")
        .query_async(&mut redis)
        .await
        .unwrap();

    assert_eq!(cache.commands("set", "ok"), 1);
    assert_eq!(cache.commands("get", "ok"), 2);
    assert_eq!(cache.commands("mget", "ok"), 1);
    assert_eq!(cache.commands("other", "ok"), 1);
    // get 1:1, mget 1:2, hget 1:0, hmget 1:1, getdel 1:0, hgetall 0:1.
    assert_eq!(cache.lookups(), (5, 5));
    assert_eq!(cache.durations("get"), 2);
    cache.check_sums(10);
}

#[tokio::test]
async fn pipelines_and_transactions_are_counted_by_command_and_timed_as_one() {
    let cache = Cache::start();
    let mut redis = cache.connect().await;

    let values: (i64, Option<i64>) = redis::pipe()
        .set("a", 1)
        .ignore()
        .get("a")
        .get("b")
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(values, (1, None));
    let values: (i64, i64) = redis::pipe()
        .atomic()
        .incr("a", 1)
        .get("a")
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(values, (2, 2));

    assert_eq!(cache.commands("set", "ok"), 1);
    assert_eq!(cache.commands("get", "ok"), 3);
    assert_eq!(cache.commands("incrby", "ok"), 1);
    assert_eq!(cache.lookups(), (2, 1));
    assert_eq!(cache.durations("pipeline"), 1);
    assert_eq!(cache.durations("transaction"), 1);
    assert_eq!(cache.durations("get"), 0);
    cache.check_sums(5);

    // One of a pipeline may fail while the others go on, in a transaction too.
    let mixed = || {
        let mut mixed = redis::pipe();
        mixed.lpush("a", 1).get("a");
        mixed
    };
    mixed().query_async::<()>(&mut redis).await.unwrap_err();
    mixed()
        .atomic()
        .query_async::<()>(&mut redis)
        .await
        .unwrap_err();
    assert_eq!(cache.commands("lpush", "error"), 2);
    assert_eq!(cache.commands("get", "ok"), 5);
    assert_eq!(cache.errors("wrong_type"), 2);

    // What does not even reach the queue fails all of it.
    let mut wrong = redis::pipe();
    wrong.atomic().cmd("NO.SUCH").get("a");
    wrong.query_async::<()>(&mut redis).await.unwrap_err();
    assert_eq!(cache.commands("other", "error"), 1);
    assert_eq!(cache.commands("get", "error"), 1);
    cache.check_sums(11);
}

#[tokio::test]
async fn a_transaction_whose_key_was_touched_is_cancelled() {
    let cache = Cache::start();
    let (mut one, mut two) = (cache.connect().await, cache.connect().await);
    let () = redis::cmd("WATCH")
        .arg("a")
        .query_async(&mut one)
        .await
        .unwrap();
    let () = two.set("a", 1).await.unwrap();
    let aborted: Option<(i64,)> = redis::pipe()
        .atomic()
        .incr("a", 1)
        .query_async(&mut one)
        .await
        .unwrap();
    assert_eq!(aborted, None);
    assert_eq!(cache.commands("incrby", "cancelled"), 1);
    cache.check_sums(3);
}

#[tokio::test]
async fn errors_that_come_as_replies_are_errors() {
    let cache = Cache::start();
    let mut redis = cache.connect().await;
    let () = redis.lpush("list", 1).await.unwrap();
    let wrong: Result<i64, _> = redis.get("list").await;
    wrong.unwrap_err();
    let missing: Result<(), _> = redis::cmd("EVALSHA")
        .arg("0".repeat(40))
        .arg(0)
        .query_async(&mut redis)
        .await;
    assert_eq!(
        missing.unwrap_err().kind(),
        ErrorKind::Server(ServerErrorKind::NoScript)
    );

    assert_eq!(cache.commands("get", "error"), 1);
    assert_eq!(cache.errors("wrong_type"), 1);
    // The server ran nothing: a client loads the script then, and asks again.
    assert_eq!(cache.errors("no_script"), 0);
    assert_eq!(cache.commands("evalsha", "cancelled"), 1);
    // Nothing was looked up.
    assert_eq!(cache.lookups(), (0, 0));
    cache.check_sums(3);
}

#[tokio::test]
async fn a_command_that_nobody_awaits_any_more_is_cancelled() {
    let cache = Cache::start();
    let mut redis = cache.connect().await;
    let waits = redis.blpop::<_, Value>("nothing", 60.0);
    let waited = tokio::time::timeout(std::time::Duration::from_millis(20), waits).await;
    assert!(waited.is_err());
    assert_eq!(cache.commands("blpop", "cancelled"), 1);
    let waited = cache.test.samples(
        "redis_client_blocking_duration_seconds",
        &[CLIENT, ("command", "blpop")],
    );
    assert_eq!(waited.unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_that_dies_and_comes_back() {
    let mut cache = Cache::start();
    let config = ConnectionManagerConfig::new().set_number_of_retries(0);
    let manager = ConnectionManager::new_with_config(cache.client.clone(), config)
        .await
        .unwrap();
    let mut redis = cache.test.run(|| Redis::new(manager, "prices"));
    let () = redis.set("a", 1).await.unwrap();

    cache.server.crash();
    redis.get::<_, Option<i64>>("a").await.unwrap_err();
    assert_eq!(cache.commands("get", "error"), 1);
    assert_eq!(cache.errors("connection"), 1);

    cache.server.resume();
    let mut issued = 2;
    // The manager reconnects in the background; until then, commands fail.
    loop {
        issued += 1;
        if redis.get::<_, Option<i64>>("a").await.is_ok() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(cache.commands("get", "ok"), 1);
    assert_eq!(cache.lookups(), (0, 1));
    cache.check_sums(issued);
}

/// Killed and revived twice while eight tasks ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_revived_under_load() {
    let mut cache = Cache::start();
    let config = ConnectionManagerConfig::new().set_number_of_retries(0);
    let manager = ConnectionManager::new_with_config(cache.client.clone(), config)
        .await
        .unwrap();
    let redis = cache.test.run(|| Redis::new(manager, "prices"));
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8_u64 {
        let (mut redis, stop) = (redis.clone(), Arc::clone(&stop));
        tasks.spawn(async move {
            let (mut asked, mut failed) = (0_u64, 0_u64);
            while !stop.load(Ordering::Relaxed) {
                asked += 1;
                let answer = redis.incr::<_, _, u64>(format!("n{task}"), 1).await;
                failed += u64::from(answer.is_err());
                // A command that cannot even be sent fails without waiting for anything.
                tokio::task::yield_now().await;
            }
            (asked, failed)
        });
    }
    let more = async |cache: &Cache, outcome: &str, by: u64| {
        let (goal, mut last) = (cache.commands("incrby", outcome) + by, 0);
        while last < goal {
            let now = cache.commands("incrby", outcome);
            assert!(now >= last, "{outcome} fell to {now}");
            last = now;
            tokio::task::yield_now().await;
        }
    };
    for _ in 0..2 {
        more(&cache, "ok", 200).await;
        cache.server.crash();
        more(&cache, "error", 16).await;
        tokio::task::block_in_place(|| cache.server.resume());
    }
    more(&cache, "ok", 200).await;
    stop.store(true, Ordering::Relaxed);
    let (mut asked, mut failed) = (0, 0);
    for (more, lost) in tasks.join_all().await {
        (asked, failed) = (asked + more, failed + lost);
    }
    assert_eq!(cache.commands("incrby", "error"), failed);
    assert_eq!(cache.errors("connection"), failed);
    cache.check_sums(asked);
    println!(
        "{asked} commands while Redis was killed and revived twice: {failed} failed, all of them as `connection`"
    );
}

/// A connection of somebody else's, which panics when it is asked for a key.
struct Theirs;

impl redis::aio::ConnectionLike for Theirs {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a redis::Cmd) -> redis::RedisFuture<'a, Value> {
        let is_get = cmd.get_packed_command().starts_with(b"*2\r\n$3\r\nGET");
        Box::pin(async move {
            if is_get {
                std::panic::panic_any(7);
            }
            Ok(Value::Okay)
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        _: &'a redis::Pipeline,
        _: usize,
        _: usize,
    ) -> redis::RedisFuture<'a, Vec<Value>> {
        std::panic::panic_any(7)
    }

    fn get_db(&self) -> i64 {
        0
    }
}

#[tokio::test]
async fn a_panic_of_the_connection_passes_through_and_the_next_command_is_counted() {
    let test = TestRecorder::new();
    let mut redis = test.run(|| Redis::new(Theirs, "prices"));
    let caught = AssertUnwindSafe(redis.get::<_, Value>("a")).catch_unwind();
    assert_eq!(caught.await.unwrap_err().downcast_ref(), Some(&7));
    let mut both = redis::pipe();
    let both = both.set("a", 1).get("a");
    let caught = AssertUnwindSafe(both.query_async::<Value>(&mut redis)).catch_unwind();
    assert_eq!(caught.await.unwrap_err().downcast_ref(), Some(&7));
    let () = redis.set("a", 1).await.unwrap();

    let commands = |command, outcome| {
        let labels = [CLIENT, ("command", command), ("outcome", outcome)];
        test.counter("redis_client_commands_total", &labels)
    };
    assert_eq!(commands("get", "panicked"), Some(2));
    assert_eq!(commands("set", "panicked"), Some(1));
    assert_eq!(commands("set", "ok"), Some(1));
    assert_eq!(test.counter_sum("redis_client_commands_total", &[]), 4);
}

#[test]
fn a_blocking_connection_is_counted_the_same() {
    let cache = Cache::start();
    let connection = cache.client.get_connection().unwrap();
    let mut redis = cache.test.run(|| Redis::new(connection, "prices"));

    let () = redis.set("a", 1).unwrap();
    assert_eq!(redis.get("a"), Ok(Some(1)));
    assert_eq!(redis.get("b"), Ok(None::<i64>));
    let (one, two): (i64, i64) = redis::pipe()
        .get("a")
        .incr("a", 1)
        .query(&mut redis)
        .unwrap();
    assert_eq!((one, two), (1, 2));
    let mut both = redis::pipe();
    let (two, three): (i64, i64) = both
        .atomic()
        .get("a")
        .incr("a", 1)
        .query(&mut redis)
        .unwrap();
    assert_eq!((two, three), (2, 3));
    let wrong: Result<(), _> = redis.lpush("a", 1);
    wrong.unwrap_err();
    let packed = redis::cmd("GET").arg("a").get_packed_command();
    redis::ConnectionLike::req_packed_command(&mut redis, &packed).unwrap();
    redis.observe_server_blocking().unwrap();

    assert_eq!(cache.commands("get", "ok"), 5);
    assert_eq!(cache.commands("incrby", "ok"), 2);
    assert_eq!(cache.errors("wrong_type"), 1);
    assert_eq!(cache.lookups(), (4, 1));
    assert_eq!(cache.durations("pipeline"), 1);
    assert_eq!(cache.durations("transaction"), 1);
    cache.check_sums(9);
    let hits = cache
        .test
        .counter("redis_server_keyspace_hits_total", &[CLIENT]);
    assert!(hits.is_some_and(|hits| hits >= 4), "{hits:?}");
}

#[tokio::test]
async fn the_server_is_asked_for_its_own_counts() {
    let cache = Cache::start();
    let mut redis = cache.connect().await;
    let () = redis.set("a", 1).await.unwrap();
    for key in ["a", "a", "b"] {
        let _: Option<i64> = redis.get(key).await.unwrap();
    }
    redis.observe_server().await.unwrap();
    redis.observe_server().await.unwrap();
    let counter = |name| cache.test.counter(name, &[CLIENT]);
    assert_eq!(counter("redis_server_keyspace_hits_total"), Some(2));
    assert_eq!(counter("redis_server_keyspace_misses_total"), Some(1));
    // Asking is nobody's command.
    cache.check_sums(4);
}

#[tokio::test]
async fn messages_of_subscriptions_are_counted() {
    let cache = Cache::start();
    let mut redis = cache.connect().await;
    let mut subscriber = cache.client.get_async_pubsub().await.unwrap();
    subscriber.subscribe("fills").await.unwrap();
    subscriber.psubscribe("quotes.*").await.unwrap();
    let mut messages = redis.metrics().messages(subscriber.on_message());
    for channel in ["fills", "quotes.AAPL", "quotes.MSFT"] {
        let _: i64 = redis.publish(channel, 1).await.unwrap();
        messages.next().await.unwrap();
    }
    let received = |kind| {
        let labels = [CLIENT, ("subscription", kind)];
        cache.test.counter("redis_client_messages_total", &labels)
    };
    assert_eq!(received("channel"), Some(1));
    assert_eq!(received("pattern"), Some(2));
    assert_eq!(cache.commands("publish", "ok"), 3);

    // Somebody kills the subscriber's connection: the stream ends, and that is counted.
    let lost = || {
        cache
            .test
            .counter("redis_client_subscriptions_lost_total", &[CLIENT])
    };
    assert_eq!(lost(), Some(0));
    let killed: i64 = redis::cmd("CLIENT")
        .arg(&["KILL", "TYPE", "pubsub"])
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(killed, 1);
    assert!(messages.next().await.is_none());
    assert!(messages.next().await.is_none());
    assert_eq!(lost(), Some(1));
}

/// A consumer that waits in the server is no slow command; and redis-rs#1924: the client's own timeout ends a blocking command.
#[tokio::test]
async fn commands_that_wait_in_the_server_are_timed_apart() {
    let cache = Cache::start();
    let mut redis = cache.connect().await;
    let times = |family, command| {
        let labels = [CLIENT, ("command", command)];
        cache.test.samples(family, &labels).map(|times| times.len())
    };
    let (slow, blocking) = (
        "redis_client_command_duration_seconds",
        "redis_client_blocking_duration_seconds",
    );

    let none: Option<(String, i64)> = redis.blpop("queue", 0.01).await.unwrap();
    assert_eq!(none, None);
    let _: Value = redis::cmd("XREAD")
        .arg(&["BLOCK", "1", "STREAMS", "fills", "$"])
        .query_async(&mut redis)
        .await
        .unwrap();
    let _: Value = redis::cmd("XREAD")
        .arg(&["STREAMS", "fills", "0"])
        .query_async(&mut redis)
        .await
        .unwrap();
    let _: Vec<Value> = redis::pipe()
        .cmd("LPUSH")
        .arg("queue")
        .arg(1)
        .cmd("BRPOP")
        .arg("queue")
        .arg(1)
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(times(blocking, "blpop"), Some(1));
    assert_eq!(times(slow, "blpop"), None);
    assert_eq!(times(blocking, "xread"), Some(1));
    assert_eq!(times(slow, "xread"), Some(1));
    assert_eq!(times(blocking, "pipeline"), Some(1));
    assert_eq!(times(slow, "pipeline"), None);
    cache.check_sums(5);

    // As the default of 500 ms does, less patiently.
    let config = redis::AsyncConnectionConfig::new()
        .set_response_timeout(Some(std::time::Duration::from_millis(20)));
    let hasty = cache
        .client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .unwrap();
    let mut hasty = Redis::with_metrics(hasty, redis.metrics().clone());
    let late: redis::RedisResult<Value> = hasty.blpop("nothing", 60.0).await;
    assert!(late.unwrap_err().is_timeout());
    assert_eq!(cache.errors("timeout"), 1);
}

#[tokio::test]
async fn the_first_use_of_a_script_is_no_error() {
    let cache = Cache::start();
    let mut redis = cache.connect().await;
    let script = redis::Script::new("return 1");
    for _ in 0..2 {
        let one: i64 = script.invoke_async(&mut redis).await.unwrap();
        assert_eq!(one, 1);
    }
    assert_eq!(cache.commands("evalsha", "cancelled"), 1);
    assert_eq!(cache.commands("evalsha", "ok"), 2);
    assert_eq!(cache.commands("evalsha", "error"), 0);
    assert_eq!(cache.test.counter_sum("redis_client_errors_total", &[]), 0);
}

/// As a pool of bb8 or deadpool lends one.
#[tokio::test]
async fn a_borrowed_connection_is_measured() {
    let cache = Cache::start();
    let metrics = cache.connect().await.metrics().clone();
    let mut lent = cache
        .client
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    let () = metrics.on(&mut lent).set("AAPL", 1).await.unwrap();
    let price: i64 = metrics.on(&mut lent).get("AAPL").await.unwrap();
    assert_eq!(price, 1);
    assert_eq!(cache.commands("get", "ok"), 1);
    assert_eq!(cache.lookups(), (1, 0));
}

#[tokio::test]
async fn subscriptions_of_resp3_go_through_the_wrapper() {
    let cache = Cache::start();
    let (sender, mut pushed) = tokio::sync::mpsc::unbounded_channel();
    let config = redis::AsyncConnectionConfig::new().set_push_sender(sender);
    let url = format!("{}?protocol=resp3", cache.server.url());
    let connection = Client::open(url)
        .unwrap()
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .unwrap();
    let mut subscriber = cache.test.run(|| Redis::new(connection, "prices"));
    subscriber.subscribe("fills").await.unwrap();
    let mut publisher = cache.connect().await;
    let _: i64 = publisher.publish("fills", 1).await.unwrap();
    let received = || {
        let labels = [CLIENT, ("subscription", "channel")];
        cache.test.counter("redis_client_messages_total", &labels)
    };
    while received() == Some(0) {
        let push = pushed.recv().await.unwrap();
        subscriber.metrics().push(&push);
    }
    assert_eq!(cache.commands("subscribe", "ok"), 1);

    let _: i64 = redis::cmd("CLIENT")
        .arg(&["KILL", "TYPE", "pubsub"])
        .query_async(&mut publisher)
        .await
        .unwrap();
    let lost = || {
        cache
            .test
            .counter("redis_client_subscriptions_lost_total", &[CLIENT])
    };
    while lost() == Some(0) {
        let push = pushed.recv().await.unwrap();
        subscriber.metrics().push(&push);
    }
}

#[tokio::test]
async fn a_server_that_is_loading_says_so() {
    // A server that answers one thing only: no real one is loading for long enough to be caught at it.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}/?protocol=resp2", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut asked = [0; 1024];
        while let Ok(1..) = socket.read(&mut asked).await {
            let loading = b"-LOADING Redis is loading the dataset in memory\r\n";
            // The client asks for one thing at a time here, but introduces itself by two at once.
            let commands = asked.split(|byte| *byte == b'*').count() - 1;
            asked.fill(0);
            socket.write_all(&loading.repeat(commands)).await.unwrap();
        }
    });
    let test = TestRecorder::new();
    let connection = Client::open(url)
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    let mut redis = test.run(|| Redis::new(connection, "prices"));
    let loading: Result<(), _> = redis.get("a").await;
    assert_eq!(
        loading.unwrap_err().kind(),
        ErrorKind::Server(ServerErrorKind::BusyLoading)
    );
    assert_eq!(
        test.counter(
            "redis_client_errors_total",
            &[CLIENT, ("error_type", "loading")]
        ),
        Some(1)
    );
    server.abort();
}
