//! The loop: takes batches from the reader, delivers each entry until it advances, and settles it.

mod hold;

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, ready};

use anyhow::anyhow;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::task::coop::consume_budget;
use tokio::time::{Duration, sleep, sleep_until};

use self::hold::{Held, Waited};
use super::reader::{Arrival, Reader};
use super::{Worker, report};
use crate::backend::{BackendError, Batch, Checkpoint, ErrorKind, Finding, OffsetStore, Source};
use crate::backoff::{Backoff, Jitter};
use crate::committer::Committer;
use crate::config::OnGap;
use crate::delivery::Delivery;
use crate::entry::Entry;
use crate::outcome::{Advance, Hold, Outcome};
use crate::shutdown::Shutdown;
use crate::stack::Stack;
use crate::status::{ConsumerState, Work};
use crate::trouble::Trouble;

/// How often the runtime looks whether a held entry still exists and the consumer is still ours.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// After so long without an entry the consumer has caught up. Less is the pause between two batches.
const QUIET: Duration = Duration::from_millis(100);

/// Why a session ends.
pub(super) enum End {
    /// Shutdown: no entry is in hand any more, or the one that is has run out of time.
    Drain,
    /// Another worker has claimed the consumer.
    Superseded(BackendError),
    /// The stored offset is not ours any more: load it again.
    Reload(BackendError),
}

impl From<BackendError> for End {
    fn from(error: BackendError) -> Self {
        match error.kind() {
            ErrorKind::Superseded => Self::Superseded(error),
            ErrorKind::Conflict | ErrorKind::Transient | ErrorKind::Configuration => Self::Reload(error),
        }
    }
}

/// One run of the loop, from a loaded checkpoint on.
pub(super) struct Session<'worker> {
    worker: &'worker Worker,
    shutdown: Shutdown,
    arrivals: mpsc::Receiver<Arrival>,
    /// Whether the reader has answered yet.
    has_read: bool,
    pub(super) committer: Committer,
    /// Answers questions while the reader blocks.
    inspector: Box<dyn Source>,
    inspect_trouble: Trouble,
    backoff: Backoff,
    jitter: Jitter,
    /// Of one task: it ends with the session.
    reader: JoinSet<()>,
}

impl<'worker> Session<'worker> {
    pub(super) fn start(worker: &'worker Worker, store: Box<dyn OffsetStore>, after: Checkpoint) -> Self {
        let config = &worker.consumer.config;
        let trouble = |work| Trouble::new(work, worker.status.clone(), worker.jitter.clone());
        let source = worker.backend.source(&worker.consumer.stream);
        let (place, arrivals) = mpsc::channel(1);
        let mut reader = JoinSet::new();
        reader.spawn(Reader::new(source, after, config, trouble(Work::Read)).run(place));
        Self {
            worker,
            shutdown: worker.shutdown.clone(),
            arrivals,
            has_read: false,
            committer: Committer::new(store, config.max_uncommitted, trouble(Work::Commit)),
            inspector: worker.backend.source(&worker.consumer.stream),
            inspect_trouble: trouble(Work::Inspect),
            backoff: config.hold_backoff.into(),
            jitter: worker.jitter.clone(),
            reader,
        }
    }

    /// Ends the reader, and gives the store back for the next session. `None` when a commit is in flight.
    pub(super) async fn into_store(mut self) -> Option<Box<dyn OffsetStore>> {
        self.reader.shutdown().await;
        self.committer.into_store()
    }

    /// Delivers entries until the session ends.
    pub(super) async fn run(&mut self, stack: &mut Stack) -> End {
        loop {
            let ended = match self.next_batch(stack).await {
                Ok(batch) => self.deliver_batch(stack, &batch).await,
                Err(end) => Err(end),
            };
            if let Err(end) = ended {
                return end;
            }
        }
    }

    /// The next entries. While there are none, commits go on.
    async fn next_batch(&mut self, stack: &Stack) -> Result<Batch, End> {
        let mut quiet = pin!(sleep(QUIET));
        loop {
            tokio::select! {
                biased;
                _ = self.shutdown.requested() => return Err(End::Drain),
                committed = self.committer.step() => self.worker.status.committed(committed?),
                arrival = self.arrivals.recv() => match arrival {
                    Some(Arrival::Batch(batch)) => {
                        self.has_read = true;
                        return Ok(batch);
                    }
                    Some(Arrival::Idle) => {
                        self.has_read = true;
                        self.turn_idle(stack);
                        // Nobody commits while nothing comes: the moment to see whether we are still the one.
                        self.committer.verify();
                    }
                    Some(Arrival::Found { finding, resume }) => self.found(finding, resume).await?,
                    None => return Err(reader_died()),
                },
                () = &mut quiet, if self.has_read && !quiet.is_elapsed() => self.turn_idle(stack),
            }
        }
    }

    fn turn_idle(&self, stack: &Stack) {
        self.worker.status.turn_to(ConsumerState::Idle);
        stack.idle();
    }

    /// The stream lost entries before they were read. All that came before the finding is settled.
    async fn found(&mut self, finding: Finding, resume: Checkpoint) -> Result<(), End> {
        report::finding(&self.worker.status, finding, resume.id);
        if finding.is_gap() && self.worker.consumer.config.on_gap == OnGap::Hold {
            return self.stop_at_gap().await;
        }
        // Committed, so that the next start does not find the same again.
        self.committer.settle(resume.id, resume.mark.as_ref());
        Ok(())
    }

    /// Handles nothing more. What was handled before is committed.
    async fn stop_at_gap(&mut self) -> Result<(), End> {
        self.worker.status.turn_to(ConsumerState::Gap);
        loop {
            tokio::select! {
                biased;
                _ = self.shutdown.requested() => return Err(End::Drain),
                committed = self.committer.step() => self.worker.status.committed(committed?),
                // Somebody may start another worker, or write an offset by hand.
                () = sleep(LOOK_EVERY) => self.committer.verify(),
            }
        }
    }

    async fn deliver_batch(&mut self, stack: &mut Stack, batch: &Batch) -> Result<(), End> {
        for entry in batch.entries() {
            // A handler that never waits must not keep its thread from all others.
            consume_budget().await;
            self.room_for_another().await?;
            self.deliver(stack, entry).await?;
            self.committer.settle(entry.id(), batch.mark());
        }
        Ok(())
    }

    /// Waits while too many handled entries are not durable, and lets the commit in flight make progress.
    async fn room_for_another(&mut self) -> Result<(), End> {
        if self.shutdown.is_requested() {
            return Err(End::Drain);
        }
        if self.committer.is_due()
            && let Poll::Ready(committed) = poll_fn(|cx| Poll::Ready(self.committer.poll_step(cx))).await
        {
            self.worker.status.committed(committed?);
        }
        while !self.committer.has_room() {
            tokio::select! {
                biased;
                _ = self.shutdown.requested() => return Err(End::Drain),
                committed = self.committer.step() => self.worker.status.committed(committed?),
            }
        }
        Ok(())
    }

    /// Delivers the entry again and again until it advances, or is deleted while it is held.
    async fn deliver(&mut self, stack: &mut Stack, entry: &Entry) -> Result<(), End> {
        let mut held: Option<Held> = None;
        loop {
            self.worker.status.delivering(entry.id());
            let delivery = self.delivery(entry, held.as_ref());
            let hold = match self.call(stack, delivery).await? {
                Ok(advance) => {
                    if held.is_some() {
                        self.worker.status.let_go();
                    }
                    self.worker.status.advanced(&advance);
                    return Ok(());
                }
                Err(hold) => hold,
            };
            let held = held.get_or_insert_with(Held::now);
            let delay = self.delay(&hold, held.deliveries);
            held.deliveries += 1;
            self.worker.status.held(entry.id(), held.deliveries, hold.to_string());
            if self.wait_held(entry.id(), delay, held).await? == Waited::Deleted {
                report::deleted(&self.worker.status, entry.id(), held.deliveries);
                stack.idle();
                return Ok(());
            }
        }
    }

    fn delivery(&self, entry: &Entry, held: Option<&Held>) -> Delivery {
        let mut delivery = Delivery::new(self.worker.consumer.name.clone(), entry.clone());
        if let Some(held) = held {
            delivery.redelivery = held.deliveries;
            delivery.held_since = Some(held.since);
        }
        delivery
    }

    /// Calls the stack once, while commits go on. At shutdown the entry in hand may finish in the time there is.
    async fn call(&mut self, stack: &mut Stack, delivery: Delivery) -> Result<Outcome<Advance, Hold>, End> {
        let id = delivery.entry.id();
        let mut delivered = pin!(stack.deliver(delivery));
        let mut out_of_time = pin!(out_of_time(&self.shutdown));
        // By hand: most are ready at once, and a `select!` would be felt.
        poll_fn(|cx| {
            if let Poll::Ready(outcome) = delivered.as_mut().poll(cx) {
                return Poll::Ready(Ok(outcome));
            }
            while let Poll::Ready(committed) = self.committer.poll_step(cx) {
                self.worker.status.committed(committed?);
            }
            ready!(out_of_time.as_mut().poll(cx));
            report::cut_off(&self.worker.status, id);
            Poll::Ready(Err(End::Drain))
        })
        .await
    }
}

/// Ends when a shutdown's time is up.
async fn out_of_time(shutdown: &Shutdown) {
    let deadline = shutdown.clone().requested().await;
    sleep_until(deadline).await;
}

fn reader_died() -> End {
    let error = anyhow!("the reader ended without being asked to; starting again from the stored offset");
    End::Reload(BackendError::new(ErrorKind::Conflict, error))
}
