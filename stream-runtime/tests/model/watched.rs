//! The memory backend as one worker sees it, with the model looking on at each call and each write.

mod source;

use std::future::{Future, pending, poll_fn};
use std::pin::pin;

use stream_runtime::testing::{Fault, Operation};
use stream_runtime::{Backend, BackendError, Checkpoint, EntryId, OffsetStore, Source, async_trait};
use tokio::time::{Duration, Instant, sleep};

use self::source::WatchedSource;
use crate::model::{Model, failure};
use crate::record::Record;
use crate::run::Checked;
use crate::world::{CONSUMER, World};

#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) world: World,
    pub(crate) life: usize,
}

impl Watched {
    fn check(&self, what: &'static str, number: Option<u64>, act: impl FnOnce(&mut Model) -> Checked) {
        self.world.model().check(self.life, what, number, act);
    }

    /// A request or a reply is on its way. Where a rule was broken, the world stands still.
    ///
    /// Rule 4: whatever else goes on, a reply is taken as soon as it is there.
    async fn travel(&self) {
        if self.world.is_broken() {
            pending::<()>().await;
        }
        let delay = self.world.draw_delay();
        if delay.is_zero() {
            return;
        }
        let due = Instant::now() + delay;
        sleep(delay).await;
        if due.elapsed() > Duration::from_millis(2) {
            self.check("takes a reply", None, |_| {
                Err(format!("leaves a reply lying for {:?}", due.elapsed()))
            });
        }
    }

    /// Lets an operation of the offset store run, and looks after each poll whether it wrote. On one thread nobody
    /// else can have.
    async fn writing<T>(
        &self,
        operation: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        let late = self.world.draw_late();
        let memory = &self.world.memory;
        let mut operation = pin!(operation);
        poll_fn(|cx| {
            let before = self.world.record();
            if late {
                memory.set_fault(Operation::Commit, Some(Fault::LoseReply));
            }
            let polled = operation.as_mut().poll(cx);
            if late {
                memory.set_fault(Operation::Commit, None);
            }
            match self.world.record() {
                after if after == before => {}
                Some(after) if late => {
                    memory.set_record(CONSUMER, before.as_deref());
                    self.write_later(before, after);
                }
                Some(after) => self.wrote(before.as_deref(), &after, false),
                None => {}
            }
            polled
        })
        .await
    }

    /// The request is on its way, and arrives when nobody waits for it any more.
    fn write_later(&self, before: Option<String>, after: String) {
        let (to, delay) = (self.clone(), self.world.model().chance.ms(1..=3000));
        tokio::spawn(async move {
            sleep(delay).await;
            if to.world.record() == before {
                to.world.memory.set_record(CONSUMER, Some(&after));
                to.wrote(before.as_deref(), &after, true);
            }
        });
    }

    fn wrote(&self, before: Option<&str>, after: &str, late: bool) {
        let id = Record::parse(after).and_then(|record| record.id);
        let what = if late { "wrote late" } else { "wrote" };
        self.check(what, id, |model| model.wrote(self.life, before, after, late));
    }

    fn failed(&self, error: &BackendError) {
        let (kind, record) = (error.kind(), self.world.record());
        self.check(failure(kind), None, |model| model.store_failed(self.life, kind, record.as_deref()));
    }
}

impl Backend for Watched {
    fn source(&self, stream: &str) -> Box<dyn Source> {
        let run = self.world.model().lives[self.life].runs;
        Box::new(WatchedSource::new(self.world.memory.source(stream), self.clone(), run))
    }

    fn offsets(&self, consumer: &str) -> Box<dyn OffsetStore> {
        self.check("takes an offset store", None, |model| model.lives[self.life].makes_store());
        Box::new(WatchedStore { store: self.world.memory.offsets(consumer), watched: self.clone() })
    }
}

struct WatchedStore {
    store: Box<dyn OffsetStore>,
    watched: Watched,
}

#[async_trait]
impl OffsetStore for WatchedStore {
    async fn load(&mut self) -> Result<Option<Checkpoint>, BackendError> {
        let (watched, life) = (&self.watched, self.watched.life);
        watched.check("loads", None, |model| model.calls(life).and_then(|()| model.lives[life].loads()));
        watched.travel().await;
        let loaded = watched.writing(self.store.load()).await;
        let (record, edits) = (watched.world.record(), watched.world.model().edits);
        watched.travel().await;
        match &loaded {
            Ok(checkpoint) => {
                let stored = checkpoint.as_ref().map(|checkpoint| checkpoint.id.ms);
                let record = record.as_deref().and_then(Record::parse);
                watched.check("loaded", stored, |model| model.loaded(life, stored, record, edits));
            }
            Err(error) => watched.failed(error),
        }
        loaded
    }

    async fn commit(&mut self, checkpoint: Checkpoint) -> Result<(), BackendError> {
        let (watched, life, id) = (&self.watched, self.watched.life, number(checkpoint.id));
        watched.check("commits", Some(id), |model| model.calls(life).and_then(|()| model.commits(life, id)));
        watched.travel().await;
        let committed = watched.writing(self.store.commit(checkpoint)).await;
        watched.travel().await;
        match &committed {
            Ok(()) => watched.check("committed", Some(id), |model| {
                model.lives[life].commit_done(id);
                Ok(())
            }),
            Err(error) => watched.failed(error),
        }
        committed
    }

    async fn verify(&mut self) -> Result<(), BackendError> {
        let (watched, life) = (&self.watched, self.watched.life);
        watched.check("verifies", None, |model| {
            model.calls(life).and_then(|()| model.lives[life].calls_store())
        });
        watched.travel().await;
        let verified = self.store.verify().await;
        watched.travel().await;
        match &verified {
            Ok(()) => watched.world.model().lives[life].store_answered(),
            Err(error) => watched.failed(error),
        }
        verified
    }
}

/// The number of an entry. A position between two entries is none that anybody has given.
fn number(id: EntryId) -> u64 {
    if id.seq == 0 { id.ms } else { u64::MAX }
}
