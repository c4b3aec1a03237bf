//! Starting, ending, and what is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stream_runtime::testing::{Fault, MemoryBackend, Operation};
use stream_runtime::{
    Backend, BackendError, Checkpoint, Clock, Consumer, ConsumerState, EntryId, ErrorKind, Limit,
    OffsetStore, Presence, Read, Runtime, Source, async_trait,
};
use tokio::time::{Instant, sleep};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_runtime_that_starts_before_its_backend_waits_for_it() {
    let (backend, script) = (backlog(2), Script::new());
    backend.set_fault(Operation::Load, Some(Fault::Error(ErrorKind::Transient)));
    let running = start(backend.clone(), config(), script.clone());
    within(Duration::from_secs(600)).await;
    assert_eq!(running.status().state, ConsumerState::Failing);
    backend.set_fault(Operation::Load, None);
    until("all are committed", || backend.offset("c") == Some(id(2))).await;
    assert!(running.status().is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_fails_backs_off_says_so_and_heals() {
    let counting = CountingBackend::over(backlog(2));
    counting.memory.set_fault(Operation::Read, Some(Fault::Error(ErrorKind::Transient)));
    let script = Script::new();
    let running = start(counting.clone(), config(), script.clone());
    within(Duration::from_secs(60)).await;
    let reads = counting.reads.load(Ordering::Relaxed);
    assert!((10..40).contains(&reads), "{reads} reads in a minute of failures");
    assert_eq!(running.status().state, ConsumerState::Failing);
    counting.memory.set_fault(Operation::Read, None);
    until("all are committed", || counting.memory.offset("c") == Some(id(2))).await;
    assert_eq!(script.finished(), ids([1, 2]));
}

#[tokio::test(start_paused = true)]
async fn at_most_two_batches_are_held() {
    let counting = CountingBackend::over(backlog(100));
    let mut config = config();
    config.batch.entries = 10;
    let script = Script::new().on(1, [Do::Hang]);
    let _running = start(counting.clone(), config, script.clone());
    until("the first is in hand", || script.delivered().len() == 1).await;
    within(Duration::from_secs(20)).await;
    assert_eq!(counting.reads.load(Ordering::Relaxed), 2, "the batch in hand, and the one that waits");
}

#[tokio::test(start_paused = true)]
async fn shutdown_lets_the_entry_in_hand_finish_and_commits_it() {
    let (backend, script) = (backlog(5), Script::new().on(2, [Do::Take(Duration::from_secs(8))]));
    let running = start(backend.clone(), config(), script.clone());
    until("the second is in hand", || script.delivered().len() == 2).await;
    let status = running.stop().await;
    assert_eq!((backend.offset("c"), status.offset), (Some(id(2)), Some(id(2))));
    assert_eq!(script.delivered(), ids([1, 2]));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_finish_within_the_drain_timeout_is_not_committed() {
    let (backend, script) = (backlog(5), Script::new().on(2, [Do::Take(Duration::from_secs(25))]));
    let running = start(backend.clone(), config(), script.clone());
    until("the second is in hand", || script.delivered().len() == 2).await;
    let asked = Instant::now();
    running.stop().await;
    let took = asked.elapsed();
    assert!((10..11).contains(&took.as_secs()), "ended after {took:?}");
    assert_eq!((backend.offset("c"), script.finished()), (Some(id(1)), ids([1])));
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_at_once_while_an_entry_is_held_or_none_comes() {
    let (backend, script) = (backlog(2), Script::new().on(2, vec![Do::Hold; 1000]));
    let running = start(backend.clone(), config(), script.clone());
    until("it is held", || running.status().held.is_some()).await;
    let asked = Instant::now();
    running.stop().await;
    assert!(asked.elapsed() < Duration::from_millis(10));
    assert_eq!(backend.offset("c"), Some(id(1)));

    let running = start(backlog(0), config(), Script::new());
    until("it waits", || running.status().state == ConsumerState::Idle).await;
    let asked = Instant::now();
    running.stop().await;
    assert!(asked.elapsed() < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_cannot_be_made_ends_within_the_drain_timeout() {
    let (backend, script) = (backlog(2), Script::new().on(1, [Do::Hang]));
    let runtime = Runtime::new(backend.clone())
        .config(drain_timeout(Duration::from_secs(3)))
        .consumer(Consumer::new("c", STREAM, script.clone()).config(config()));
    let running = start_runtime(runtime);
    until("the first is in hand", || script.delivered().len() == 1).await;
    backend.set_fault(Operation::Commit, Some(Fault::Hang));
    script.release.notify_one();
    until("all are handled", || script.finished().len() == 2).await;
    let asked = Instant::now();
    let status = running.stop().await;
    let took = asked.elapsed();
    assert!((3..4).contains(&took.as_secs()), "ended after {took:?}");
    assert_eq!((status.offset, status.state), (None, ConsumerState::Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_runs_out_of_time_shows_what_it_did_commit() {
    let (backend, script) = (SlowCommits(backlog(2)), Script::new());
    let runtime = Runtime::new(backend.clone())
        .config(drain_timeout(Duration::from_secs(3)))
        .consumer(Consumer::new("c", STREAM, script.clone()).config(config()));
    let running = start_runtime(runtime);
    until("both are handled, the first commit under way", || script.finished().len() == 2).await;
    let status = running.stop().await;
    assert_eq!((status.offset, backend.0.offset("c")), (Some(id(1)), Some(id(1))));
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_at_most_max_uncommitted_entries_come_again() {
    let (backend, script) = (backlog(50), Script::new().on(1, [Do::Hang]));
    let mut config = config();
    config.max_uncommitted = 8;
    let running = start(backend.clone(), config.clone(), script.clone());
    until("the first is in hand", || script.delivered().len() == 1).await;
    backend.set_fault(Operation::Commit, Some(Fault::Hang));
    script.release.notify_one();
    within(Duration::from_secs(5)).await;
    running.crash().await;
    backend.set_fault(Operation::Commit, None);
    let again = Script::new();
    let _running = start(backend.clone(), config, again.clone());
    until("all are committed", || backend.offset("c") == Some(id(50))).await;
    assert_eq!((script.finished(), again.finished()), (ids(1..=8), ids(1..=50)));
}

#[tokio::test]
async fn a_configuration_that_cannot_be_right_ends_the_run_at_once() {
    let consumer = |name: &str, stream: &str| Consumer::new(name, stream, Script::new());
    let mut zero = config();
    zero.block_timeout = Duration::ZERO;
    let runtime = || Runtime::new(MemoryBackend::new());
    for (runtime, message) in [
        (runtime(), "the runtime has no consumer"),
        (
            runtime().consumer(consumer("c", "a")).consumer(consumer("c", "b")),
            "two consumers have the name \"c\": offsets are kept by name",
        ),
        (runtime().consumer(consumer("c", " ")), "consumer \"c\": the stream name is empty"),
        (runtime().consumer(consumer("", "a")), "the consumer of stream \"a\" has no name"),
        (
            runtime().consumer(consumer("c", "a").config(zero)),
            "consumer \"c\": block_timeout must not be zero",
        ),
    ] {
        let error = runtime.run(std::future::pending()).await.unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[tokio::test]
async fn a_handle_shows_consumers_that_are_added_after_it_was_taken() {
    let runtime = Runtime::new(MemoryBackend::new());
    let handle = runtime.handle();
    let runtime = runtime.consumer(Consumer::new("c", STREAM, Script::new())).clock(Clock::system());
    assert_eq!(handle.status().len(), 1);
    drop(runtime);
}

#[tokio::test(start_paused = true)]
async fn after_a_long_hold_of_the_last_entry_the_consumer_is_idle_again() {
    let (backend, script) = (backlog(1), Script::new().on(1, [Do::HoldFor(Duration::from_secs(60))]));
    let running = start(backend.clone(), config(), script.clone());
    until("it is held", || running.status().held.is_some()).await;
    within(Duration::from_secs(65)).await;
    let status = running.status();
    assert_eq!((status.state, status.lag, status.held), (ConsumerState::Idle, Duration::ZERO, None));
}

/// A backend of one's own: the memory backend, with its reads counted.
#[derive(Clone)]
struct CountingBackend {
    memory: MemoryBackend,
    reads: Arc<AtomicUsize>,
}

impl CountingBackend {
    fn over(memory: MemoryBackend) -> Self {
        Self { memory, reads: Arc::default() }
    }
}

impl Backend for CountingBackend {
    fn source(&self, stream: &str) -> Box<dyn Source> {
        Box::new(CountingSource { source: self.memory.source(stream), reads: Arc::clone(&self.reads) })
    }

    fn offsets(&self, consumer: &str) -> Box<dyn OffsetStore> {
        self.memory.offsets(consumer)
    }
}

struct CountingSource {
    source: Box<dyn Source>,
    reads: Arc<AtomicUsize>,
}

#[async_trait]
impl Source for CountingSource {
    async fn read(&mut self, after: &Checkpoint, limit: Limit, wait: Duration) -> Result<Read, BackendError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.source.read(after, limit, wait).await
    }

    async fn tail(&mut self) -> Result<EntryId, BackendError> {
        self.source.tail().await
    }

    async fn presence(&mut self, id: EntryId) -> Result<Presence, BackendError> {
        self.source.presence(id).await
    }
}

/// A backend whose commits take two seconds.
#[derive(Clone)]
struct SlowCommits(MemoryBackend);

impl Backend for SlowCommits {
    fn source(&self, stream: &str) -> Box<dyn Source> {
        self.0.source(stream)
    }

    fn offsets(&self, consumer: &str) -> Box<dyn OffsetStore> {
        Box::new(SlowStore(self.0.offsets(consumer)))
    }
}

struct SlowStore(Box<dyn OffsetStore>);

#[async_trait]
impl OffsetStore for SlowStore {
    async fn load(&mut self) -> Result<Option<Checkpoint>, BackendError> {
        self.0.load().await
    }

    async fn commit(&mut self, checkpoint: Checkpoint) -> Result<(), BackendError> {
        sleep(Duration::from_secs(2)).await;
        self.0.commit(checkpoint).await
    }

    async fn verify(&mut self) -> Result<(), BackendError> {
        self.0.verify().await
    }
}
