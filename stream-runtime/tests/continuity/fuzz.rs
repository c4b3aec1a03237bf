//! Random histories of one stream and one source on a real server.
//!
//! `CONTINUITY_HISTORIES` is the number of histories of each suite, `CONTINUITY_SEED` the first seed.

use std::thread;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value, cmd};
use stream_runtime::redis::{RedisBackend, RedisConfig};
use stream_runtime::testing::RedisServer;
use stream_runtime::{Backend, Checkpoint, Entry, EntryId, Limit, Mark, Read, Source};

use crate::random::Random;
use crate::suites::{Op, SUITES, Suite};
use crate::tally::{Story, Tag, Tally};

#[tokio::test]
async fn no_history_of_a_stream_leaves_a_hole_or_a_silent_loss() {
    let server = RedisServer::start().await;
    let number = |name: &str, default| {
        std::env::var(name)
            .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: no number")))
    };
    let histories = number("CONTINUITY_HISTORIES", 2000);
    let first = number("CONTINUITY_SEED", 0);
    let mut wrong = Vec::new();
    for suite in &SUITES {
        let url = server.url();
        let run = move || run_suite(&url, suite, first, histories);
        let tally = tokio::task::spawn_blocking(run).await.unwrap();
        println!("{:30} {tally}", suite.name);
        if !tally.examples.is_empty() {
            wrong.push(format!("{}: {:#?}", suite.name, tally.examples));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Two threads: one thinks while the server works for the other.
fn run_suite(url: &str, suite: &'static Suite, first: u64, histories: u64) -> Tally {
    const THREADS: u64 = 2;
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let url = url.to_owned();
            thread::spawn(move || {
                run_seeds(&url, suite, (first + thread..first + histories).step_by(THREADS as usize))
            })
        })
        .collect();
    let mut tally = Tally::default();
    for thread in threads {
        tally.merge(thread.join().unwrap());
    }
    tally
}

/// Time stands still but where a history moves it: so each read is preceded by a check.
fn run_seeds(url: &str, suite: &Suite, seeds: impl Iterator<Item = u64>) -> Tally {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        // While a blocking task runs, tokio does not move the clock by itself.
        let (done, until_done) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || until_done.recv());
        let mut config = RedisConfig::default();
        config.url = url.parse().unwrap();
        let backend = RedisBackend::new(config).unwrap();
        let client = redis::Client::open(url).unwrap();
        let settings = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&settings).await.unwrap();
        let mut tally = Tally::default();
        for seed in seeds {
            let mut history = History::new(connection.clone(), &backend, suite, seed);
            history.run(suite).await;
            tally.add(seed, &history.story);
        }
        drop(done);
        tally
    })
}

struct History<'a> {
    connection: MultiplexedConnection,
    backend: &'a RedisBackend,
    random: Random,
    key: String,
    /// The clock that ids come from.
    ms: u64,
    next_tag: Tag,
    dumps: Vec<(Value, u64)>,
    source: Box<dyn Source>,
    after: Checkpoint,
    /// What the last read brought, and the mark of checkpoints in it.
    last: Option<(Vec<Entry>, Checkpoint)>,
    story: Story,
}

impl<'a> History<'a> {
    fn new(connection: MultiplexedConnection, backend: &'a RedisBackend, suite: &Suite, seed: u64) -> Self {
        let key = format!("{}:{seed}", suite.name);
        Self {
            connection,
            backend,
            random: Random::new(seed),
            source: backend.source(&key),
            key,
            ms: 1000,
            next_tag: 1,
            dumps: Vec::new(),
            after: Checkpoint::at(EntryId::ZERO),
            last: None,
            story: Story::default(),
        }
    }

    async fn run(&mut self, suite: &Suite) {
        // The consumer is there first: what came before it is not its loss.
        self.read_once(1).await;
        let mut ops = suite.ops.to_vec();
        if self.random.chance() {
            ops.push((Op::Restart, 3));
        }
        for _ in 0..self.random.range(10, 60) {
            let op = self.random.weighted(&ops);
            self.story.trace.push(op);
            self.step(op).await;
        }
        while self.read_once(10_000).await {}
        self.story.alive = self.alive().await.into_iter().map(|(_, tag)| tag).collect();
        self.story.is_missing =
            self.run_command(cmd("EXISTS").arg(&self.key)).await.unwrap() == Value::Int(0);
        self.run_command(cmd("DEL").arg(&self.key)).await.unwrap();
    }

    async fn step(&mut self, op: Op) {
        let key = self.key.clone();
        match op {
            Op::Add => self.add(None).await,
            Op::AddTrim => {
                let length = self.random.range(1, 8);
                self.add(Some(length)).await;
            }
            Op::Trim => {
                let length = self.random.range(0, 6);
                self.run_command(cmd("XTRIM").arg(key).arg("MAXLEN").arg(length)).await.unwrap();
            }
            Op::MinId => {
                let ms = self.ms - self.random.range(0, 6);
                self.run_command(cmd("XTRIM").arg(key).arg("MINID").arg(ms)).await.unwrap();
            }
            Op::Xdel => {
                let alive = self.alive().await;
                if let Some((id, tag)) = self.random.one_of(&alive).cloned() {
                    self.run_command(cmd("XDEL").arg(key).arg(id)).await.unwrap();
                    self.story.deleted.insert(tag);
                }
            }
            Op::Del | Op::ClockBack => {
                self.run_command(cmd("DEL").arg(key)).await.unwrap();
                self.story.rewrites += 1;
                self.dumps.clear();
                if op == Op::ClockBack {
                    self.ms = (self.ms - self.random.range(1, 20)).max(1000);
                }
            }
            Op::Dump => {
                let dump = self.run_command(cmd("DUMP").arg(key)).await.unwrap();
                if dump != Value::Nil {
                    self.dumps.push((dump, self.ms));
                }
            }
            Op::Restore => self.restore().await,
            Op::Read => {
                let count = self.random.range(1, 5);
                self.read_once(count as usize).await;
            }
            Op::Restart => self.restart(),
        }
    }

    async fn add(&mut self, max_length: Option<u64>) {
        for _ in 0..self.random.range(1, 6) {
            self.ms += 1;
            let tag = self.next_tag;
            self.next_tag += 1;
            // After a rollback the clock may be behind the stream.
            if self.xadd(max_length, tag).await.is_err() {
                self.ms += 50;
                if self.xadd(max_length, tag).await.is_err() {
                    continue;
                }
            }
            self.story.added.insert(tag);
        }
    }

    async fn xadd(&mut self, max_length: Option<u64>, tag: Tag) -> Result<Value, RedisError> {
        let mut command = cmd("XADD");
        command.arg(&self.key);
        if let Some(length) = max_length {
            command.arg("MAXLEN").arg(length);
        }
        command.arg(format!("{}-1", self.ms)).arg("t").arg(tag);
        self.run_command(&command).await
    }

    /// One of the last three copies takes the stream's place; sometimes the clock goes back with it.
    async fn restore(&mut self) {
        let copies = self.dumps.len();
        if copies == 0 {
            return;
        }
        let index = self.random.range(copies.saturating_sub(3) as u64, copies as u64 - 1) as usize;
        self.dumps.truncate(index + 1);
        let (dump, ms) = self.dumps[index].clone();
        let Value::BulkString(dump) = dump else { panic!("no dump: {dump:?}") };
        let key = self.key.clone();
        self.run_command(cmd("RESTORE").arg(key).arg(0).arg(dump).arg("REPLACE")).await.unwrap();
        self.story.rewrites += 1;
        if self.random.chance() {
            self.ms = ms + self.random.range(0, 3);
        }
    }

    /// One read, and the check before it. Whether there may be more.
    async fn read_once(&mut self, count: usize) -> bool {
        let limit = Limit { entries: count, bytes: 1 << 20 };
        loop {
            let seen: Vec<Tag> = self.alive().await.into_iter().map(|(_, tag)| tag).collect();
            tokio::time::advance(Duration::from_secs(60)).await;
            let read = self.source.read(&self.after, limit, Duration::ZERO).await.unwrap();
            self.story.seen.extend(seen);
            match read {
                Read::Found { finding, resume } => {
                    self.after = resume;
                    self.last = None;
                    self.story.findings.push(finding);
                    assert!(self.story.findings.len() < 1000, "findings without end");
                }
                Read::Batch(batch) => {
                    self.story.handled.extend(batch.entries().iter().map(tag_of));
                    self.after = batch.end();
                    self.last = Some((batch.entries().to_vec(), batch.end()));
                    return true;
                }
                _ => return false,
            }
        }
    }

    /// What is after the checkpoint counts as not handled.
    fn restart(&mut self) {
        let mut checkpoint = self.after.clone();
        if let Some((entries, end)) = self.last.take() {
            let committed = self.random.range(1, entries.len() as u64) as usize;
            for entry in &entries[committed..] {
                self.story.handled.remove(&tag_of(entry));
            }
            checkpoint = Checkpoint { id: entries[committed - 1].id(), mark: end.mark };
        }
        let Some(mark) = checkpoint.mark else { return };
        let text = mark.text(checkpoint.id);
        self.after = Checkpoint { id: checkpoint.id, mark: Some(Mark::stored(text)) };
        self.source = self.backend.source(&self.key);
    }

    async fn alive(&mut self) -> Vec<(String, Tag)> {
        let reply = self.run_command(cmd("XRANGE").arg(&self.key.clone()).arg("-").arg("+")).await.unwrap();
        let entries: Vec<(String, Vec<(String, Tag)>)> = redis::from_redis_value(reply).unwrap();
        entries.into_iter().map(|(id, fields)| (id, fields[0].1)).collect()
    }

    async fn run_command(&mut self, command: &redis::Cmd) -> Result<Value, RedisError> {
        command.query_async(&mut self.connection).await
    }
}

fn tag_of(entry: &Entry) -> Tag {
    entry.fields().text("t").unwrap().unwrap().parse().unwrap()
}
