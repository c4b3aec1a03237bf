//! Commits overlap handling: one in flight, and the newest offset goes next.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};

use tokio::time::{Instant, Sleep, sleep, timeout_at};

use crate::backend::{BackendError, Checkpoint, Mark, OffsetStore};
use crate::entry::EntryId;
use crate::trouble::Trouble;

/// Makes the offset durable behind the handling.
///
/// A plain struct, polled where the loop waits anyway. It owns the offset store, which is lent to the commit in
/// flight and comes back with its result.
pub(crate) struct Committer {
    store: Option<Box<dyn OffsetStore>>,
    in_flight: Option<InFlight>,
    news: Option<Arc<News>>,
    /// The newest checkpoint that is settled and not yet on its way.
    next: Option<Checkpoint>,
    /// Entries settled since the last checkpoint that is durable.
    uncommitted: usize,
    max_uncommitted: usize,
    verify_due: bool,
    trouble: Trouble,
    /// After a failure: until when not to try again.
    pause: Option<Pin<Box<Sleep>>>,
}

/// Wakes the loop, and remembers that it did.
struct News {
    came: AtomicBool,
    task: Waker,
}

impl News {
    /// A waker of this task that has not yet been used.
    fn awaited(news: &mut Option<Arc<Self>>, task: &Waker) -> Waker {
        let news = match news {
            Some(news) if news.task.will_wake(task) => {
                news.came.store(false, Ordering::Release);
                news
            }
            news => news.insert(Arc::new(Self { came: AtomicBool::new(false), task: task.clone() })),
        };
        Waker::from(Arc::clone(news))
    }
}

impl Wake for News {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.came.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

type Operation = Pin<Box<dyn Future<Output = (Box<dyn OffsetStore>, Result<(), BackendError>)> + Send>>;

struct InFlight {
    operation: Operation,
    /// The checkpoint that is being committed; `None` for a verification.
    checkpoint: Option<Checkpoint>,
    /// How many settled entries become durable by it.
    entries: usize,
}

impl Committer {
    pub(crate) fn new(store: Box<dyn OffsetStore>, max_uncommitted: usize, trouble: Trouble) -> Self {
        Self {
            store: Some(store),
            in_flight: None,
            news: None,
            next: None,
            uncommitted: 0,
            max_uncommitted,
            verify_due: false,
            trouble,
            pause: None,
        }
    }

    /// The entry with this id has advanced; `mark` is that of its batch.
    pub(crate) fn settle(&mut self, id: EntryId, mark: Option<&Mark>) {
        match &mut self.next {
            // All but the first of a batch: nothing to count references of.
            Some(next) if next.has_mark(mark) => next.id = id,
            next => *next = Some(Checkpoint { id, mark: mark.cloned() }),
        }
        self.uncommitted += 1;
    }

    /// Whether a step may bring something: a commit to start, or news of the one in flight. To look at it for each
    /// entry would cost as much as a handler that does little.
    pub(crate) fn is_due(&self) -> bool {
        self.in_flight.is_none() || self.news.as_ref().is_none_or(|news| news.came.load(Ordering::Acquire))
    }

    /// Whether another entry may be handled before a commit is done.
    pub(crate) fn has_room(&self) -> bool {
        self.uncommitted < self.max_uncommitted
    }

    /// Asks to check, when nothing is to be committed, that the consumer is still ours.
    pub(crate) fn verify(&mut self) {
        self.verify_due = true;
    }

    /// Works until a commit is durable, and returns its offset. Pending as long as there is nothing to commit.
    ///
    /// Cancel-safe: dropping the future loses nothing, the next call goes on.
    ///
    /// # Errors
    ///
    /// Only a [conflict](crate::ErrorKind::Conflict) or that the consumer is
    /// [superseded](crate::ErrorKind::Superseded); other errors are reported, and tried again after a backoff.
    pub(crate) async fn step(&mut self) -> Result<EntryId, BackendError> {
        poll_fn(|cx| self.poll_step(cx)).await
    }

    /// Commits all that is settled, trying again until `deadline`, and tells of each offset that is durable.
    ///
    /// # Errors
    ///
    /// What could not be made durable: `None` in time, or an error of [`step`](Self::step).
    pub(crate) async fn flush(
        &mut self,
        deadline: Instant,
        committed: impl Fn(EntryId),
    ) -> Result<(), Option<BackendError>> {
        self.verify_due = false;
        self.pause = None;
        while self.uncommitted > 0 {
            match timeout_at(deadline, self.step()).await {
                Ok(Ok(id)) => committed(id),
                Ok(Err(error)) => return Err(Some(error)),
                Err(_) => return Err(None),
            }
        }
        Ok(())
    }

    /// How many entries are handled and not yet durable.
    pub(crate) fn uncommitted(&self) -> usize {
        self.uncommitted
    }

    /// The store again. `None` while a commit is in flight: its answer would be lost.
    pub(crate) fn into_store(self) -> Option<Box<dyn OffsetStore>> {
        self.store
    }

    /// One step, for a caller that polls by itself.
    pub(crate) fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<EntryId, BackendError>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            if self.in_flight.is_none() {
                self.in_flight = self.start();
            }
            let Some(in_flight) = &mut self.in_flight else { return Poll::Pending };
            let waker = News::awaited(&mut self.news, cx.waker());
            let (store, result) = ready!(in_flight.operation.as_mut().poll(&mut Context::from_waker(&waker)));
            self.store = Some(store);
            let Some(done) = self.in_flight.take() else { continue };
            if let Poll::Ready(finished) = self.finish(done, result) {
                return Poll::Ready(finished);
            }
        }
    }

    /// Puts the newest checkpoint on its way, or the verification that is due.
    fn start(&mut self) -> Option<InFlight> {
        if self.next.is_none() && !self.verify_due {
            return None;
        }
        let mut store = self.store.take()?;
        self.verify_due = false;
        let Some(checkpoint) = self.next.take() else {
            let operation = Box::pin(async move {
                let result = store.verify().await;
                (store, result)
            });
            return Some(InFlight { operation, checkpoint: None, entries: 0 });
        };
        let committed = checkpoint.clone();
        let operation = Box::pin(async move {
            let result = store.commit(committed).await;
            (store, result)
        });
        Some(InFlight { operation, checkpoint: Some(checkpoint), entries: self.uncommitted })
    }

    fn finish(
        &mut self,
        done: InFlight,
        result: Result<(), BackendError>,
    ) -> Poll<Result<EntryId, BackendError>> {
        match result {
            Ok(()) => {
                self.trouble.over();
                self.uncommitted -= done.entries;
                match done.checkpoint {
                    Some(checkpoint) => Poll::Ready(Ok(checkpoint.id)),
                    None => Poll::Pending,
                }
            }
            Err(error) if error.kind().can_be_retried() => {
                // The newest checkpoint covers the one that failed.
                self.verify_due |= done.checkpoint.is_none();
                self.next = self.next.take().or(done.checkpoint);
                self.pause = Some(Box::pin(sleep(self.trouble.happened(&error))));
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}
