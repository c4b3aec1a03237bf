//! A worker in the background, and what the tests ask of it and of its server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Value};
use stream_runtime::redis::{RedisBackend, RedisConfig};
use stream_runtime::testing::RedisServer;
use stream_runtime::{
    Advance, Consumer, ConsumerConfig, ConsumerState, ConsumerStatus, Entry, EntryId, Hold, Outcome, Runtime,
    RuntimeHandle, handler_fn,
};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::proxy::Proxy;

pub(crate) const STREAM: &str = "events";
pub(crate) const OFFSET: &str = "stream-runtime:offset:c";

/// How long anything may take on a crowded machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// No fault makes a consumer send more. Each try on a new connection is five commands, and it reads, commits and
/// asks after its offset by turns; an idle consumer with these tests' block timeout sends ten.
const CALLS_PER_SECOND: usize = 80;

/// Settings that notice soon, for the server at this port.
pub(crate) fn redis_at(port: u16) -> RedisConfig {
    redis_url(&format!("redis://127.0.0.1:{port}"))
}

pub(crate) fn redis_url(url: &str) -> RedisConfig {
    let mut config = RedisConfig::default();
    config.url = url.parse().unwrap();
    config.connect_timeout = Duration::from_millis(500);
    config.response_timeout = Duration::from_millis(500);
    config
}

/// Settings for tests in which nothing may fail, also on a crowded machine.
pub(crate) fn patient(port: u16) -> RedisConfig {
    let mut config = redis_at(port);
    config.connect_timeout = DEADLINE;
    config.response_timeout = DEADLINE;
    config
}

pub(crate) fn consumer_config() -> ConsumerConfig {
    let mut config = ConsumerConfig::default();
    config.block_timeout = Duration::from_millis(200);
    config.max_uncommitted = 8;
    config
}

/// A runtime with one consumer, whose handler records what it gets.
pub(crate) struct Worker {
    handle: RuntimeHandle,
    handled: Arc<Mutex<Vec<EntryId>>>,
    task: JoinHandle<()>,
}

impl Worker {
    pub(crate) fn start(redis: RedisConfig) -> Self {
        Self::with(redis, consumer_config())
    }

    pub(crate) fn with(redis: RedisConfig, config: ConsumerConfig) -> Self {
        Self::handling(redis, config, |_| Ok(Advance::Handled))
    }

    /// A worker whose handler ends in this way.
    pub(crate) fn handling(
        redis: RedisConfig,
        config: ConsumerConfig,
        outcome: impl Fn(&Entry) -> Outcome<Advance, Hold> + Send + Sync + 'static,
    ) -> Self {
        let handled = Arc::new(Mutex::new(Vec::new()));
        let recorder = Arc::clone(&handled);
        let handler = handler_fn(move |entry: Entry| {
            let outcome = outcome(&entry);
            if outcome.is_ok() {
                recorder.lock().unwrap().push(entry.id());
            }
            async { outcome }
        });
        let backend = RedisBackend::new(redis).unwrap();
        let runtime = Runtime::new(backend).consumer(Consumer::new("c", STREAM, handler).config(config));
        let handle = runtime.handle();
        let task = tokio::spawn(async move { runtime.run(std::future::pending()).await.unwrap() });
        Self { handle, handled, task }
    }

    pub(crate) fn status(&self) -> ConsumerStatus {
        self.handle.status().remove(0)
    }

    pub(crate) fn handled(&self) -> Vec<EntryId> {
        self.handled.lock().unwrap().clone()
    }

    pub(crate) async fn until(&self, what: &str, mut met: impl FnMut(&ConsumerStatus) -> bool) {
        let condition = async {
            while !met(&self.status()) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(DEADLINE, condition).await.is_err() {
            panic!("not within {DEADLINE:?}: {what}; handled {}: {:?}", self.handled().len(), self.status());
        }
    }

    /// Until it fails, visibly, by an error of this text.
    pub(crate) async fn fails_by(&self, text: &str) {
        self.until(&format!("it fails by {text:?}"), |status| {
            status.state == ConsumerState::Failing && last_error(status).contains(text)
        })
        .await;
        assert!(!self.status().is_ready());
    }

    /// Until it has failed so many times more.
    pub(crate) async fn fails_again(&self, mut times: u32) {
        let mut last = self.status().last_error;
        self.until("it fails again", |status| {
            if status.last_error != last {
                last = status.last_error.clone();
                times = times.saturating_sub(1);
            }
            times == 0
        })
        .await;
    }

    /// Until it has handled these, and no more: its window is full.
    pub(crate) async fn pauses_after(&self, expected: &[EntryId]) {
        self.until("its window is full", |_| self.handled().len() >= expected.len()).await;
        self.fails_again(1).await;
        assert_eq!(self.handled(), expected);
        assert!(!self.status().is_ready());
    }

    /// Until it works, and has handled and committed exactly these entries: each once, in order.
    pub(crate) async fn has_handled(&self, expected: &[EntryId]) {
        self.has_committed(expected.last().copied()).await;
        assert_eq!(self.handled(), expected);
    }

    /// The same, where entries may come again: but never before those that come before them.
    pub(crate) async fn has_handled_again(&self, expected: &[EntryId]) {
        self.has_committed(expected.last().copied()).await;
        let mut first_times = Vec::new();
        for id in self.handled() {
            if !first_times.contains(&id) {
                first_times.push(id);
            }
        }
        assert_eq!(first_times, expected);
    }

    /// Until it works, and its offset is this one.
    pub(crate) async fn has_committed(&self, offset: Option<EntryId>) {
        self.until(&format!("it is well, and its offset is {offset:?}"), |status| {
            status.offset == offset && status.is_ready()
        })
        .await;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn last_error(status: &ConsumerStatus) -> &str {
    status.last_error.as_ref().map_or("", |error| &error.message)
}

/// The time of a fault, in which a consumer keeps calm.
pub(crate) struct Fault<'proxy> {
    proxy: &'proxy Proxy,
    since: Instant,
}

impl<'proxy> Fault<'proxy> {
    pub(crate) fn begins(proxy: &'proxy Proxy) -> Self {
        Self { proxy, since: Instant::now() }
    }

    /// Goes on until it is a second old: in that time a spin is thousands of commands.
    pub(crate) async fn lasts(&self) {
        sleep_until(self.since + Duration::from_secs(1)).await;
    }

    pub(crate) fn was_calm(&self) {
        let calls = self.proxy.busiest_second(self.since);
        assert!(calls <= CALLS_PER_SECOND, "{calls} commands within a second");
    }
}

/// A server, a connection to it, and a worker behind a proxy that has handled the first twenty entries.
pub(crate) async fn caught_up() -> (RedisServer, MultiplexedConnection, Proxy, Worker) {
    caught_up_by(redis_at).await
}

/// The same, by the settings for the proxy's port.
pub(crate) async fn caught_up_by(
    settings: fn(u16) -> RedisConfig,
) -> (RedisServer, MultiplexedConnection, Proxy, Worker) {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let proxy = Proxy::to(server.port()).await;
    let worker = Worker::start(settings(proxy.port));
    add(&mut connection, 1..=20).await;
    worker.has_handled(&ids(1..=20)).await;
    (server, connection, proxy, worker)
}

pub(crate) fn ids(ms: impl IntoIterator<Item = u64>) -> Vec<EntryId> {
    ms.into_iter().map(|ms| EntryId::new(ms, 0)).collect()
}

/// A connection that waits for as long as it takes.
pub(crate) async fn connect(url: &str) -> MultiplexedConnection {
    let settings = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let client = redis::Client::open(url).unwrap();
    client.get_multiplexed_async_connection_with_config(&settings).await.unwrap()
}

/// Appends entries of these ids at once.
pub(crate) async fn add(connection: &mut MultiplexedConnection, ms: impl IntoIterator<Item = u64>) {
    let mut pipe = redis::pipe();
    for ms in ms {
        pipe.cmd("XADD").arg(STREAM).arg(format!("{ms}-0")).arg("n").arg(ms).ignore();
    }
    pipe.query_async::<()>(connection).await.unwrap();
}

/// Appends entries of these ids and runs a command, in one moment.
pub(crate) async fn add_and(
    connection: &mut MultiplexedConnection,
    ms: impl IntoIterator<Item = u64>,
    command: &str,
) {
    let mut pipe = redis::pipe();
    pipe.atomic();
    for ms in ms {
        pipe.cmd("XADD").arg(STREAM).arg(format!("{ms}-0")).arg("n").arg(ms).ignore();
    }
    pipe.add_command(parse(command)).ignore();
    pipe.query_async::<()>(connection).await.unwrap_or_else(|error| panic!("{command}: {error}"));
}

/// How often the server has run a command.
pub(crate) async fn calls(connection: &mut MultiplexedConnection, command: &str) -> u64 {
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(connection).await.unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

/// Runs a command, written as on a command line.
pub(crate) async fn run(connection: &mut MultiplexedConnection, command: &str) -> Value {
    parse(command).query_async(connection).await.unwrap_or_else(|error| panic!("{command}: {error}"))
}

fn parse(command: &str) -> redis::Cmd {
    let mut words = command.split_whitespace();
    let mut parsed = redis::cmd(words.next().unwrap());
    parsed.arg(words.map(|word| if word == "''" { "" } else { word }).collect::<Vec<_>>());
    parsed
}
