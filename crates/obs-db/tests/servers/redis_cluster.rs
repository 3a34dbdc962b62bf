//! A Redis cluster of three nodes.

use obs_core::TestRecorder;
use obs_db::Redis;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{AsyncCommands, Client, ErrorKind, ServerErrorKind};

const CLIENT: (&str, &str) = ("client", "prices");
const SLOTS: u16 = 16384;

struct Cluster {
    nodes: Vec<crate::common::Redis>,
}

impl Cluster {
    /// Three nodes with a third of the slots each, that have agreed on it.
    fn start() -> Self {
        let nodes: Vec<_> = (0..3).map(|_| crate::common::Redis::node()).collect();
        let first = nodes[0].ports();
        let mut connections: Vec<_> = nodes
            .iter()
            .map(|node| Client::open(node.url()).unwrap().get_connection().unwrap())
            .collect();
        for (n, connection) in connections.iter_mut().enumerate() {
            let (n, third) = (u16::try_from(n).unwrap(), SLOTS / 3);
            let last = if n == 2 {
                SLOTS - 1
            } else {
                (n + 1) * third - 1
            };
            let mut slots = redis::cmd("CLUSTER");
            slots
                .arg("ADDSLOTSRANGE")
                .arg(n * third)
                .arg(last)
                .exec(connection)
                .unwrap();
            // Equal epochs would be sorted out by the nodes themselves, but that takes seconds.
            let mut epoch = redis::cmd("CLUSTER");
            epoch
                .arg("SET-CONFIG-EPOCH")
                .arg(n + 1)
                .exec(connection)
                .unwrap();
        }
        for connection in &mut connections[1..] {
            let mut meet = redis::cmd("CLUSTER");
            meet.arg("MEET")
                .arg("127.0.0.1")
                .arg(first.0)
                .arg(first.1)
                .exec(connection)
                .unwrap();
        }
        for connection in &mut connections {
            // There is no event to wait for: the nodes gossip.
            loop {
                let info: String = redis::cmd("CLUSTER").arg("INFO").query(connection).unwrap();
                if info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3") {
                    break;
                }
                std::thread::yield_now();
            }
        }
        Self { nodes }
    }

    async fn connect(&self) -> ClusterConnection {
        let urls: Vec<_> = self.nodes.iter().map(crate::common::Redis::url).collect();
        ClusterClient::new(urls)
            .unwrap()
            .get_async_connection()
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn commands_go_to_all_nodes_and_add_up() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let connection = cluster.connect().await;
    let test = TestRecorder::new();
    let mut redis = test.run(|| Redis::new(connection, "prices"));

    for n in 0..100 {
        let () = redis.set(format!("key{n}"), n).await.unwrap();
        let value: Option<i64> = redis.get(format!("key{n}")).await.unwrap();
        assert_eq!(value, Some(n));
    }
    let all: Vec<Option<i64>> = redis.mget(&["key1", "key2", "key3", "none"]).await.unwrap();
    assert_eq!(all, [Some(1), Some(2), Some(3), None]);
    let mut pipeline = redis::pipe();
    let (one, none): (i64, Option<i64>) = pipeline
        .get("{tag}1")
        .get("{tag}2")
        .query_async(&mut redis)
        .await
        .map(|(a, b): (Option<i64>, _)| (a.unwrap_or(1), b))
        .unwrap();
    assert_eq!((one, none), (1, None));

    let commands = |command| {
        let labels = [CLIENT, ("command", command), ("outcome", "ok")];
        test.counter("redis_client_commands_total", &labels)
    };
    assert_eq!(commands("set"), Some(100));
    assert_eq!(commands("get"), Some(102));
    assert_eq!(commands("mget"), Some(1));
    let lookups =
        |result| test.counter("redis_client_lookups_total", &[CLIENT, ("result", result)]);
    assert_eq!(lookups("hit"), Some(103));
    assert_eq!(lookups("miss"), Some(3));

    // The nodes' own counts, over all three.
    redis.observe_server().await.unwrap();
    let server = |name| test.counter(name, &[CLIENT]);
    assert_eq!(server("redis_server_keyspace_hits_total"), Some(103));
    assert_eq!(server("redis_server_keyspace_misses_total"), Some(3));

    // A client that knows nothing of the cluster is sent elsewhere for two keys of three.
    let alone = Client::open(cluster.nodes[0].url()).unwrap();
    let alone = alone.get_multiplexed_async_connection().await.unwrap();
    let mut alone = test.run(|| Redis::new(alone, "alone"));
    let mut moved = 0;
    for n in 0..100 {
        let reply: Result<Option<i64>, _> = alone.get(format!("key{n}")).await;
        match reply {
            Ok(value) => assert_eq!(value, Some(n)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::Moved));
                moved += 1;
            }
        }
    }
    assert!(moved > 0);
    let redirects = [("client", "alone"), ("error_type", "redirect")];
    assert_eq!(
        test.counter("redis_client_errors_total", &redirects),
        Some(moved)
    );
}
