//! The one thread that writes.
//!
//! Whatever has queued up while it wrote becomes its next transaction: a commit waits for the disk, and that wait
//! is the same for one change and for a thousand.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::anyhow;
use redb::Durability;
use tokio::sync::{mpsc, oneshot};

use super::file::File;
use super::tables::Tables;
use super::wakes::Wakes;
use crate::backend::BackendError;

/// How many changes wait at most, and how many one transaction takes at most. Callers beyond that wait.
const QUEUE: usize = 1024;

/// The handle of the thread.
pub(super) struct Writer {
    /// `None` once stopped.
    queue: Option<mpsc::Sender<Box<dyn Request>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(file: Arc<File>, wakes: Arc<Wakes>) -> Result<Self, BackendError> {
        let (queue, requests) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new()
            .name("embedded-writer".to_owned())
            .spawn(move || run(&file, &wakes, requests))
            .map_err(BackendError::transient)?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Makes a change, and returns what came of it once it is on the disk.
    ///
    /// Changes are made in the order in which they were queued, each on top of those before it. Where this future
    /// is dropped, the change may or may not be made.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        make: impl Fn(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, BackendError> {
        // Fails only where the thread panicked, as redb may on a damaged file.
        let stopped =
            || BackendError::configuration(anyhow!("the embedded backend's writer has failed: restart"));
        let (answer, answered) = oneshot::channel();
        let request = Change { make, made: None, answer };
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(Box::new(request)).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    /// Lets the thread finish what is queued, and waits for its end.
    pub(super) fn stop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // It panicked: its callers have been told.
            let _ = thread.join();
        }
    }
}

/// A change of any kind, so that one queue holds them all.
trait Request: Send {
    /// Makes the change, and keeps what came of it.
    fn make(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error>;

    /// Answers the caller: the transaction was committed, or why it was not.
    fn answer(self: Box<Self>, committed: Result<(), BackendError>);
}

struct Change<F, T> {
    make: F,
    made: Option<T>,
    answer: oneshot::Sender<Result<T, BackendError>>,
}

impl<F, T> Request for Change<F, T>
where
    F: Fn(&mut Tables<'_>) -> Result<T, redb::Error> + Send,
    T: Send,
{
    fn make(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error> {
        self.made = Some((self.make)(tables)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), BackendError>) {
        let answer = match (committed, self.made) {
            (Ok(()), Some(made)) => Ok(made),
            (Ok(()), None) => return, // committed without it: cannot be, and a dropped sender says so
            (Err(error), _) => Err(error),
        };
        // A caller that is gone wants no answer.
        let _ = self.answer.send(answer);
    }
}

/// Until every handle is gone: one transaction after another.
fn run(file: &File, wakes: &Wakes, mut queue: mpsc::Receiver<Box<dyn Request>>) {
    let mut requests = Vec::with_capacity(QUEUE);
    while queue.blocking_recv_many(&mut requests, QUEUE) > 0 {
        match commit(file, &mut requests) {
            Ok(changed) => {
                for request in requests.drain(..) {
                    request.answer(Ok(()));
                }
                for stream in changed {
                    wakes.wake(&stream);
                }
            }
            Err(error) => {
                for request in requests.drain(..) {
                    let same = BackendError::new(error.kind(), anyhow!("{error}"));
                    request.answer(Err(same));
                }
            }
        }
    }
}

/// One durable transaction of these changes. Returns the names of the streams that changed.
fn commit(file: &File, requests: &mut [Box<dyn Request>]) -> Result<Vec<String>, BackendError> {
    file.with(|database| {
        let mut transaction = database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        let mut tables = Tables::open(&transaction)?;
        for request in requests {
            request.make(&mut tables)?;
        }
        let changed = tables.finish()?;
        transaction.commit()?;
        Ok(changed)
    })
}
