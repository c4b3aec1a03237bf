//! Random histories of one stream and one source on a real server.
//!
//! `CONTINUITY_HISTORIES` is the number of histories of each suite, `CONTINUITY_SEED` the first seed.

use std::thread;
use std::time::Duration;

use stream_runtime::redis::{RedisBackend, RedisConfig};
use stream_runtime::testing::RedisServer;
use stream_runtime::{Backend, Batch, Checkpoint, Entry, EntryId, Limit, Mark, Read, Source};

use crate::suites::{Op, SUITES, Suite};
use crate::tally::{Tag, Tally};
use crate::world::World;

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

/// Time stands still but where a history moves it: so most reads are preceded by a check.
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
            let key = format!("{}:{seed}", suite.name);
            let mut history =
                History::new(World::new(connection.clone(), key, seed), &backend, suite.replaces());
            history.run(suite).await;
            tally.add(seed, &history.world.story);
        }
        drop(done);
        tally
    })
}

struct History<'a> {
    backend: &'a RedisBackend,
    world: World,
    source: Box<dyn Source>,
    after: Checkpoint,
    /// What the last read brought, and the mark of checkpoints in it.
    last: Option<Batch>,
    /// The stream may be replaced by another.
    is_replaced: bool,
}

impl<'a> History<'a> {
    fn new(world: World, backend: &'a RedisBackend, is_replaced: bool) -> Self {
        let source = backend.source(&world.key);
        Self { backend, world, source, after: Checkpoint::at(EntryId::ZERO), last: None, is_replaced }
    }

    async fn run(&mut self, suite: &Suite) {
        // The consumer is there first: what came before it is not its loss.
        self.read(1).await;
        let ops = suite.ops_with_restarts(&mut self.world.random);
        for _ in 0..self.world.random.range(10, 60) {
            let op = self.world.random.weighted(&ops);
            self.world.story.trace.push(op);
            match op {
                Op::Read => {
                    let count = self.world.random.range(1, 5);
                    self.read(count as usize).await;
                }
                Op::Restart => self.restart(),
                op => self.world.step(op).await,
            }
        }
        while self.read(10_000).await {}
        self.world.end().await;
    }

    /// One read, and mostly the check before it. Whether there may be more.
    async fn read(&mut self, count: usize) -> bool {
        let limit = Limit { entries: count, bytes: 1 << 20 };
        loop {
            // Where time stands still no check is made, and what was read ahead is taken. That is for streams that are
            // never replaced: of another in their place, a check is to tell before the next read.
            if self.is_replaced || self.world.random.range(1, 3) > 1 {
                let seen = self.world.alive().await;
                self.world.story.seen.extend(seen.into_iter().map(|(_, tag)| tag));
                tokio::time::advance(Duration::from_secs(60)).await;
            }
            let read = self.source.read(&self.after, limit, Duration::ZERO).await.unwrap();
            match read {
                Read::Found { finding, resume } => {
                    self.after = resume;
                    self.last = None;
                    self.world.story.findings.push(finding);
                    assert!(self.world.story.findings.len() < 1000, "findings without end");
                }
                Read::Batch(batch) => {
                    self.world.story.handled.extend(batch.entries().iter().map(tag_of));
                    self.after = batch.end();
                    self.last = Some(batch);
                    return true;
                }
                _ => return false,
            }
        }
    }

    /// What comes after the checkpoint counts as not handled.
    fn restart(&mut self) {
        let mut checkpoint = self.after.clone();
        if let Some(batch) = self.last.take() {
            let entries = batch.entries();
            let committed = self.world.random.range(1, entries.len() as u64) as usize;
            for entry in &entries[committed..] {
                self.world.story.handled.remove(&tag_of(entry));
            }
            checkpoint = batch.checkpoint(&entries[committed - 1]);
        }
        // Before the first commit there is nothing to start again from.
        let Some(mark) = checkpoint.mark else { return };
        let stored = Mark::stored(mark.text(checkpoint.id));
        self.after = Checkpoint { id: checkpoint.id, mark: Some(stored) };
        self.source = self.backend.source(&self.world.key);
    }
}

fn tag_of(entry: &Entry) -> Tag {
    entry.fields().text("t").unwrap().unwrap().parse().unwrap()
}
