//! What the tests share.

use std::fmt::{Debug, Write};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use stream_runtime::redis::{RedisBackend, RedisConfig};
use stream_runtime::testing::RedisServer;
use stream_runtime::{BackendError, Batch, Checkpoint, EntryId, Limit, Read};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

pub(crate) const LIMIT: Limit = Limit { entries: 256, bytes: 4 << 20 };

pub(crate) fn config(url: &str) -> RedisConfig {
    let mut config = RedisConfig::default();
    config.url = url.parse().unwrap();
    config
}

pub(crate) fn backend(server: &RedisServer) -> RedisBackend {
    backend_at(server.port())
}

pub(crate) fn backend_at(port: u16) -> RedisBackend {
    RedisBackend::new(config(&format!("redis://127.0.0.1:{port}"))).unwrap()
}

/// A backend that gives up soon, for a port where nobody answers.
pub(crate) fn impatient(port: u16) -> RedisBackend {
    let mut config = config(&format!("redis://127.0.0.1:{port}"));
    config.connect_timeout = Duration::from_millis(200);
    config.response_timeout = Duration::from_millis(200);
    RedisBackend::new(config).unwrap()
}

/// Runs a command, written as on a command line.
pub(crate) async fn run(connection: &mut MultiplexedConnection, command: &str) -> redis::Value {
    let mut words = command.split_whitespace();
    let mut redis_command = redis::cmd(words.next().unwrap());
    redis_command.arg(words.collect::<Vec<_>>());
    redis_command.query_async(connection).await.unwrap_or_else(|error| panic!("{command}: {error}"))
}

pub(crate) fn at(ms: u64) -> EntryId {
    EntryId::new(ms, 0)
}

pub(crate) fn after(ms: u64) -> Checkpoint {
    Checkpoint::at(at(ms))
}

pub(crate) fn batch(read: Read) -> Batch {
    match read {
        Read::Batch(batch) => batch,
        other => panic!("no batch: {other:?}"),
    }
}

pub(crate) fn ids(batch: &Batch) -> Vec<u64> {
    batch.entries().iter().map(|entry| entry.id().ms).collect()
}

/// How often the server was sent this command.
pub(crate) async fn calls(connection: &mut MultiplexedConnection, command: &str) -> u32 {
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(connection).await.unwrap();
    let prefix = format!("cmdstat_{command}:calls=");
    let calls = stats.lines().find_map(|line| line.strip_prefix(&prefix));
    calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap())
}

/// Tries until it works: how a consumer gets over a server's restart.
pub(crate) async fn eventually<T, F: Future<Output = Result<T, BackendError>>>(
    mut work: impl FnMut() -> F,
) -> T {
    let tries = async {
        loop {
            match work().await {
                Ok(value) => return value,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), tries).await.unwrap()
}

/// Until the server says so in its `INFO clients`.
pub(crate) async fn until_info(connection: &mut MultiplexedConnection, line: &str) {
    let says_so = async {
        loop {
            let mut info = redis::cmd("INFO");
            let info: String = info.arg("clients").query_async(connection).await.unwrap();
            if info.lines().any(|found| found == line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), says_so).await.unwrap();
}

/// A server that answers each command as `answer` says; `None` leaves it without an answer.
pub(crate) async fn fake_server(
    answer: impl Fn(&[String]) -> Option<String> + Clone + Send + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(answer_all(socket, answer.clone()));
        }
    });
    port
}

async fn answer_all(mut socket: TcpStream, answer: impl Fn(&[String]) -> Option<String>) {
    let mut received = Vec::new();
    loop {
        while let Some((command, rest)) = take_command(&received) {
            received = rest;
            if let Some(reply) = answer(&command) {
                let _ = socket.write_all(reply.as_bytes()).await;
            }
        }
        match socket.read_buf(&mut received).await {
            Ok(1..) => {}
            _ => return,
        }
    }
}

/// The first command of what a client sent, an array of strings, and what comes behind it.
fn take_command(received: &[u8]) -> Option<(Vec<String>, Vec<u8>)> {
    let text = std::str::from_utf8(received).ok()?;
    let mut lines = text.split_inclusive("\r\n").filter(|line| line.ends_with("\r\n"));
    let mut used = 0;
    let mut line = || {
        let line = lines.next()?;
        used += line.len();
        Some(line.trim_end().to_owned())
    };
    let count: usize = line()?.strip_prefix('*')?.parse().ok()?;
    let mut command = Vec::new();
    for _ in 0..count {
        line()?; // the length: no test sends a line break of this kind within a word
        command.push(line()?);
    }
    Some((command, received[used..].to_vec()))
}

/// Collects what is logged on this thread until the guard is dropped.
pub(crate) fn logs() -> (Logs, tracing::subscriber::DefaultGuard) {
    let logs = Logs::default();
    let guard = tracing::subscriber::set_default(logs.clone());
    (logs, guard)
}

#[derive(Clone, Default)]
pub(crate) struct Logs(Arc<Mutex<Vec<String>>>);

impl Logs {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Subscriber for Logs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("stream_runtime") && metadata.is_event()
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}
