//! Real servers for tests: each in a temporary folder of its own, stopped when it is dropped, by a panic too.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use obs_core::TestRecorder;
use obs_db::{Conn, Pool};
use sqlx::Database;
use tempfile::TempDir;

/// Who may connect to `PostgreSQL`, and how: two roles that a test may create, and everybody else.
const ACCESS: &str =
    "local all banned reject\nlocal all guarded scram-sha-256\nlocal all all trust\n";

/// A `PostgreSQL` server that listens on a socket in its folder, and nowhere else.
pub(crate) struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    /// It refuses to run as root.
    user: Option<(u32, u32)>,
}

impl Postgres {
    /// Makes a new, empty server.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let user = (folder.path().metadata().expect("a folder").uid() == 0).then(unprivileged_user);
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).expect("to give the folder away");
        }
        let server = Self {
            programs: postgres_programs(),
            folder,
            user,
        };
        let options = [
            "--auth=trust",
            "--username=test",
            "--no-sync",
            "--encoding=UTF8",
            "--no-locale",
        ];
        run(server
            .command("initdb")
            .args(options)
            .arg(server.data_option()));
        fs::write(server.folder.path().join("data/pg_hba.conf"), ACCESS)
            .expect("to say who may connect");
        server.resume();
        server
    }

    /// The folder of its socket.
    pub(crate) fn socket(&self) -> &Path {
        self.folder.path()
    }

    /// How sqlx gets there.
    pub(crate) fn options(&self) -> sqlx::postgres::PgConnectOptions {
        sqlx::postgres::PgConnectOptions::new_without_pgpass()
            .socket(self.socket())
            .username("test")
            .database("postgres")
    }

    /// Ends it as a crash would: connections break, nothing is written.
    pub(crate) fn crash(&self) {
        run(self
            .command("pg_ctl")
            .args(["stop", "-m", "immediate"])
            .arg(self.data_option()));
    }

    /// Kills its first process, as the kernel does when memory runs out; the others end by themselves when they notice.
    pub(crate) fn kill(&self) {
        let file = self.folder.path().join("data/postmaster.pid");
        let file = fs::read_to_string(file).expect("it runs");
        let id = file.lines().next().expect("its process");
        let process = Path::new("/proc").join(id);
        run(Command::new("kill").args(["-KILL", id]));
        while process.exists() {
            std::thread::yield_now();
        }
    }

    /// Starts it again, and waits until it answers.
    pub(crate) fn resume(&self) {
        let socket = self.folder.path().display();
        // Durability is nothing to a test; what speeds up the start is.
        let options =
            format!("-k {socket} -c listen_addresses= -c fsync=off -c max_connections=40");
        let log = self.folder.path().join("log");
        run(self
            .command("pg_ctl")
            .args(["start", "--wait", "-o", &options, "-l"])
            .arg(log)
            .arg(self.data_option()));
    }

    fn data_option(&self) -> String {
        format!("--pgdata={}", self.folder.path().join("data").display())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.folder.path());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // One that is down already cannot be stopped, which is as good.
        let stop = ["stop", "-m", "immediate", "--silent"];
        let _ = self
            .command("pg_ctl")
            .args(stop)
            .arg(self.data_option())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// A `MariaDB` server that listens on a socket in its folder, and nowhere else.
pub(crate) struct MariaDb {
    folder: TempDir,
    process: Option<Child>,
}

impl MariaDb {
    /// Makes a new, empty server with a database `test`.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut install = Command::new("mariadb-install-db");
        install
            .arg("--no-defaults")
            .arg(option("datadir", &folder.path().join("data")))
            .arg(option("tmpdir", folder.path()))
            .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
            .args(as_user(folder.path()));
        run(&mut install);
        let mut server = Self {
            folder,
            process: None,
        };
        server.resume();
        server
    }

    /// How sqlx gets there.
    pub(crate) fn options(&self) -> sqlx::mysql::MySqlConnectOptions {
        sqlx::mysql::MySqlConnectOptions::new()
            .socket(self.folder.path().join("socket"))
            .username("root")
    }

    /// Starts it again, and waits until it answers.
    pub(crate) fn resume(&mut self) {
        let program = ["/usr/sbin/mariadbd", "/usr/bin/mariadbd"]
            .into_iter()
            .find(|program| Path::new(program).exists())
            .expect("no mariadbd; install the Debian package `mariadb-server-core`");
        let mut command = Command::new(program);
        command
            .arg("--no-defaults")
            .arg(option("datadir", &self.folder.path().join("data")))
            .arg(option("socket", &self.folder.path().join("socket")))
            .arg(option("tmpdir", self.folder.path()))
            .arg(option("pid-file", &self.folder.path().join("pid")))
            .args(as_user(self.folder.path()))
            .args(["--skip-networking", "--innodb-flush-log-at-trx-commit=0"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().expect("to run mariadbd");
        let log = process.stderr.take().expect("its log");
        self.process = Some(process);
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let ready = lines.any(|line| line.contains("ready for connections"));
        assert!(ready, "mariadbd ended before it was ready");
        // Goes on reading, so that the server never waits for a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
    }

    /// Kills it.
    pub(crate) fn crash(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("to kill the server");
            process.wait().expect("to wait for its end");
        }
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn option(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

/// `MariaDB` refuses to run as root unless that is said.
fn as_user(folder: &Path) -> Option<&'static str> {
    let is_root = folder.metadata().expect("a folder").uid() == 0;
    is_root.then_some("--user=root")
}

/// A Redis server.
pub(crate) struct Redis {
    folder: TempDir,
    port: u16,
    options: Vec<String>,
    process: Option<Child>,
}

impl Redis {
    /// A server that listens on a socket in its folder.
    pub(crate) fn start() -> Self {
        Self::with_options(0, Vec::new())
    }

    /// One node of a cluster, which has no slots yet. It listens on free ports of the loopback.
    pub(crate) fn node() -> Self {
        // Held both at once, so that they differ; nobody else is likely to take them in the moment until Redis does.
        let [port, bus] = [free_port(), free_port()]
            .map(|listener| listener.local_addr().expect("an address").port());
        let options = format!("--bind 127.0.0.1 --cluster-enabled yes --cluster-port {bus}");
        Self::with_options(port, options.split(' ').map(str::to_owned).collect())
    }

    fn with_options(port: u16, options: Vec<String>) -> Self {
        let mut server = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            port,
            options,
            process: None,
        };
        server.resume();
        server
    }

    /// How `redis` gets there.
    pub(crate) fn url(&self) -> String {
        match self.port {
            0 => format!(
                "redis+unix://{}",
                self.folder.path().join("redis.sock").display()
            ),
            port => format!("redis://127.0.0.1:{port}"),
        }
    }

    /// Its port, and that of its cluster bus.
    pub(crate) fn ports(&self) -> (u16, u16) {
        let bus = self.options.last().and_then(|port| port.parse().ok());
        (self.port, bus.expect("a node of a cluster"))
    }

    /// Kills it.
    pub(crate) fn crash(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("to kill the server");
            process.wait().expect("to wait for its end");
        }
    }

    /// Starts it again, empty, and waits until it is ready.
    pub(crate) fn resume(&mut self) {
        let mut command = Command::new("redis-server");
        command
            .current_dir(self.folder.path())
            .args([
                "--port",
                &self.port.to_string(),
                "--unixsocket",
                "redis.sock",
                "--save",
                "",
            ])
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| {
            panic!("cannot run redis-server ({error}); install the Debian package `redis-server`")
        });
        let output = process.stdout.take().expect("its output");
        self.process = Some(process);
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let ready = lines.any(|line| line.contains("eady to accept connections"));
        assert!(ready, "redis-server ended before it was ready");
        // Goes on reading, so that the server never waits for a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Two transactions wait for each other; the server ends one of them, and the other goes on.
pub(crate) async fn deadlock<DB: Database>(
    pool: &Pool<DB>,
    resize: impl AsyncFn(&mut Conn<DB>, i32) -> sqlx::Result<()>,
) {
    let (mut one, mut two) = (pool.begin().await.unwrap(), pool.begin().await.unwrap());
    resize(&mut one, 1).await.unwrap();
    resize(&mut two, 2).await.unwrap();
    let (first, second) = tokio::join!(
        async {
            let result = resize(&mut one, 2).await;
            one.rollback().await.unwrap();
            result
        },
        async {
            let result = resize(&mut two, 1).await;
            two.rollback().await.unwrap();
            result
        }
    );
    assert!(first.is_err() != second.is_err());
}

/// A port at which nobody listens.
pub(crate) fn nobody_listens() -> u16 {
    free_port().local_addr().expect("an address").port()
}

/// Asks a pool for a connection that its server does not give: sqlx says that the pool timed out, and what is counted that it was
/// connecting.
pub(crate) async fn times_out_while_connecting<DB: Database>(raw: sqlx::Pool<DB>) {
    let test = TestRecorder::new();
    let pool = test.run(|| Pool::new(raw, "orders"));
    let error = pool.acquire().await.map(drop).unwrap_err();
    assert!(matches!(error, sqlx::Error::PoolTimedOut), "{error}");
    let timed_out = |stage| {
        let labels = [("stage", stage), ("error_type", "timeout")];
        test.counter_sum("db_pool_acquire_errors_total", &labels)
    };
    assert_eq!(timed_out("connect"), 1);
    assert_eq!(timed_out("wait"), 0);
    assert_eq!(test.counter_sum("db_pool_timeouts_total", &[]), 1);
}

fn free_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a free port")
}

/// Where the server's programs are: in the `PATH`, or where Debian puts them, which is not in the `PATH`.
fn postgres_programs() -> PathBuf {
    let has_all = |folder: &PathBuf| {
        ["initdb", "pg_ctl"]
            .iter()
            .all(|name| folder.join(name).exists())
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut packaged: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    packaged.sort();
    // What stands in the `PATH` may be a link; the programs look for their siblings beside it.
    let found = std::env::split_paths(&path).find(has_all);
    let found = found.and_then(|folder| folder.join("initdb").canonicalize().ok());
    let found = found.and_then(|program| program.parent().map(Path::to_path_buf));
    found
        .or_else(|| packaged.into_iter().rev().find(has_all))
        .expect("initdb and pg_ctl are neither in the PATH nor in /usr/lib/postgresql/*/bin; install the Debian package `postgresql`")
}

/// The user and group that Debian's package makes, or else nobody.
fn unprivileged_user() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |name: &str| {
        let mut fields = users
            .lines()
            .map(|line| line.split(':'))
            .find(|line| line.clone().next() == Some(name))?
            .skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ids("postgres")
        .or_else(|| ids("nobody"))
        .unwrap_or((65534, 65534))
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).output();
    let name = || {
        Path::new(command.get_program())
            .file_name()
            .map(OsStr::to_owned)
    };
    match output {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!("{:?}: {}", name(), String::from_utf8_lossy(&output.stderr)),
        Err(error) => panic!("{:?}: {error}", name()),
    }
}
