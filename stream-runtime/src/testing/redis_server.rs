//! A private redis-server.

use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How many ports are tried.
const TRIES: usize = 10;

/// A private `redis-server` (or `valkey-server`) on a free port of 127.0.0.1, with a directory of its own. It
/// is killed, and its directory removed, when this is dropped.
///
/// The environment variable `REDIS_SERVER` may name the program; otherwise the first of the two that is
/// installed is taken. A server that is kept in a `static` is never dropped, and outlives the test.
///
/// ```no_run
/// use stream_runtime::redis::{RedisBackend, RedisConfig};
/// use stream_runtime::testing::RedisServer;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let server = RedisServer::start().await;
/// let mut config = RedisConfig::default();
/// config.url = server.url().parse()?;
/// let backend = RedisBackend::new(config)?;
/// # let _ = backend;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RedisServer {
    /// `None` while it is stopped.
    process: Option<Process>,
    program: OsString,
    args: Vec<String>,
    port: u16,
    dir: Dir,
}

impl RedisServer {
    /// Starts a server that keeps nothing on disk, and waits until it answers.
    ///
    /// # Panics
    ///
    /// No server is installed, or it does not start.
    pub async fn start() -> Self {
        Self::with_args::<&str>([]).await
    }

    /// Starts a server whose writes are on disk before they are acknowledged, so that they outlive
    /// [`stop`](Self::stop).
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start) does.
    pub async fn durable() -> Self {
        Self::with_args(["--appendonly", "yes", "--appendfsync", "always"]).await
    }

    /// Starts a server with more arguments, as on its command line (`--maxmemory`, `1mb`). `{port}` within an
    /// argument stands for the server's port.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start) does.
    pub async fn with_args<A: Into<String>>(args: impl IntoIterator<Item = A>) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        run_blocking(|| Self::launch(args)).await
    }

    /// Its URL, `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its working directory, where it keeps its data.
    pub fn dir(&self) -> &Path {
        &self.dir.0
    }

    /// Ends the server as a crash does, at once. Does nothing when it is stopped.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Stops the server where it runs, and starts it again: the same port, the same data as far as it was on
    /// disk.
    ///
    /// # Panics
    ///
    /// It does not start: another program may have taken its port.
    pub async fn restart(&mut self) {
        self.stop();
        let (program, args, port) = (self.program.clone(), self.args.clone(), self.port);
        let dir = self.dir.0.clone();
        let process = run_blocking(move || Process::start(&program, &args, port, &dir)).await;
        let process = process
            .unwrap_or_else(|log| fail(&format!("the server did not start again: {}", last_words(&log))));
        self.process = Some(process);
    }

    /// A connection to it, for what a test wants to do or see.
    ///
    /// # Panics
    ///
    /// It does not answer.
    #[cfg(feature = "redis")]
    pub async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let settings = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(START_TIMEOUT))
            .set_response_timeout(Some(START_TIMEOUT));
        let connect = async {
            redis::Client::open(self.url())?.get_multiplexed_async_connection_with_config(&settings).await
        };
        match connect.await {
            Ok(connection) => connection,
            Err(error) => fail(&format!("the server at {} does not answer: {error}", self.url())),
        }
    }

    fn launch(args: Vec<String>) -> Self {
        let program = program();
        let dir = Dir::create().unwrap_or_else(|error| fail(&format!("no directory for a server: {error}")));
        let mut log = String::new();
        for _ in 0..TRIES {
            // Another program may take the port before the server does: then there is another try.
            let port = free_port();
            match Process::start(&program, &args, port, &dir.0) {
                Ok(process) => {
                    return Self { process: Some(process), program, args, port, dir };
                }
                Err(text) if text.contains("in use") => log = text,
                Err(text) => fail(&format!("the server did not start: {}", last_words(&text))),
            }
        }
        fail(&format!("the server found no free port: {}", last_words(&log)))
    }
}

/// A running server; killed when dropped.
#[derive(Debug)]
struct Process(Child);

impl Process {
    /// Starts a server and waits until it answers; what it wrote where it does not.
    fn start(program: &OsString, args: &[String], port: u16, dir: &Path) -> Result<Self, String> {
        let log = dir.join("log");
        let output = File::create(&log).map_err(|error| error.to_string())?;
        let errors = output.try_clone().map_err(|error| error.to_string())?;
        let child = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir", "."])
            .args(["--save", "", "--daemonize", "no"])
            .args(args.iter().map(|arg| arg.replace("{port}", &port.to_string())))
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn();
        let mut process = match child {
            Ok(child) => Self(child),
            Err(error) => return Err(format!("{}: {error}", program.display())),
        };
        process.wait_until_ready(&log)?;
        Ok(process)
    }

    /// Waits for the line that the server writes when its port is open and its data loaded. The port itself
    /// would not tell: another server may have it.
    fn wait_until_ready(&mut self, log: &Path) -> Result<(), String> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let exited = self.0.try_wait().map_err(|error| error.to_string())?.is_some();
            let text = fs::read_to_string(log).unwrap_or_default();
            if exited || Instant::now() > deadline {
                return Err(text);
            }
            if text.contains("eady to accept connections") {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory, removed when dropped.
#[derive(Debug)]
struct Dir(PathBuf);

impl Dir {
    fn create() -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("stream-runtime-redis-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                // Left by a process of the same number that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The server's program.
fn program() -> OsString {
    if let Some(program) = std::env::var_os("REDIS_SERVER") {
        return program;
    }
    let names = ["redis-server", "valkey-server"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    names
        .iter()
        .find(|name| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
        .map_or_else(
            || fail("no redis-server or valkey-server: install one (apt-get install redis-server) or name it in REDIS_SERVER"),
            OsString::from,
        )
}

/// A port that was free a moment ago, below those that the system gives to connections: while a server is
/// stopped, none of them takes its port.
fn free_port() -> u16 {
    loop {
        let random = RandomState::new().hash_one(());
        let port = 10_000 + (random % 20_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The end of a log, in one line.
fn last_words(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(2)..].join(": ")
}

/// Away from the runtime's threads, and by the system's clock: tokio's may be paused.
async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => fail(&error.to_string()),
        },
    }
}

#[expect(clippy::panic, reason = "a test without its server has failed")]
fn fail(reason: &str) -> ! {
    panic!("{reason}")
}
