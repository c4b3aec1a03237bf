//! The memory backend as one worker sees it, with the model looking on at each call and each write.

use std::future::{Future, poll_fn};
use std::pin::pin;

use stream_runtime::testing::{Fault, Operation};
use stream_runtime::{
    Backend, BackendError, Checkpoint, EntryId, ErrorKind, Finding, Limit, OffsetStore, Presence, Read,
    Source, async_trait,
};
use tokio::time::{Duration, sleep};

use crate::model::Model;
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
        self.world.model().store_failed(self.life, error.kind());
    }
}

impl Backend for Watched {
    fn source(&self, stream: &str) -> Box<dyn Source> {
        let run = self.world.model().lives[self.life].runs;
        Box::new(WatchedSource { source: self.world.memory.source(stream), watched: self.clone(), run })
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
        watched.world.travel().await;
        let loaded = watched.writing(self.store.load()).await;
        let record = watched.world.record();
        watched.world.travel().await;
        match &loaded {
            Ok(checkpoint) => {
                let stored = checkpoint.as_ref().map(|checkpoint| checkpoint.id.ms);
                let record = record.as_deref().and_then(Record::parse);
                watched.check("loaded", stored, |model| model.loaded(life, stored, record));
            }
            Err(error) => watched.failed(error),
        }
        loaded
    }

    async fn commit(&mut self, checkpoint: Checkpoint) -> Result<(), BackendError> {
        let (watched, life, id) = (&self.watched, self.watched.life, checkpoint.id.ms);
        watched.check("commits", Some(id), |model| model.calls(life).and_then(|()| model.commits(life, id)));
        watched.world.travel().await;
        let committed = watched.writing(self.store.commit(checkpoint)).await;
        watched.world.travel().await;
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
        watched.world.travel().await;
        let verified = self.store.verify().await;
        watched.world.travel().await;
        if let Err(error) = &verified {
            watched.failed(error);
        }
        verified
    }
}

struct WatchedSource {
    source: Box<dyn Source>,
    watched: Watched,
    /// The session that it was made in.
    run: usize,
}

impl WatchedSource {
    /// What the model checks and learns, with the session that it is about.
    fn check(
        &self,
        what: &'static str,
        number: Option<u64>,
        act: impl FnOnce(&mut crate::run::Run, &std::collections::BTreeSet<u64>) -> Checked,
    ) {
        let life = self.watched.life;
        self.watched.check(what, number, |model| {
            model.calls(life)?;
            let worker = &mut model.lives[life];
            if worker.runs != self.run {
                return Err("reads on in a session that has ended".to_owned());
            }
            worker.reads();
            let run = worker.run.as_mut().ok_or("reads before it knows from where")?;
            act(run, &model.deleted)
        });
    }

    /// What somebody asked to be found, where this reader is: never something that a real stream could not show.
    fn finding(&self, after: u64) -> Option<(Finding, u64)> {
        let mut model = self.watched.world.model();
        let finding = model.finding.take()?;
        let first = model.present.first().copied().unwrap_or(model.last + 1);
        let resume = match finding {
            Finding::Trimmed { .. } => after.max(first - 1),
            Finding::HistoryLost => model.chance.within(0..=after),
            Finding::Recreated => 0,
            _ => after,
        };
        Some((finding, resume))
    }

    async fn look(&mut self, after: &Checkpoint, limit: Limit, wait: Duration) -> Result<Read, BackendError> {
        if let Some((finding, resume)) = self.finding(after.id.ms) {
            return Ok(Read::Found { finding, resume: Checkpoint::at(EntryId::new(resume, 0)) });
        }
        self.source.read(after, limit, wait).await
    }
}

#[async_trait]
impl Source for WatchedSource {
    async fn read(&mut self, after: &Checkpoint, limit: Limit, wait: Duration) -> Result<Read, BackendError> {
        let from = after.id.ms;
        self.check("reads after", Some(from), |run, deleted| run.reads(from, deleted));
        self.watched.world.travel().await;
        let read = self.look(after, limit, wait).await;
        self.watched.world.travel().await;
        match &read {
            Ok(Read::Batch(batch)) => {
                let ids: Vec<u64> = batch.entries().iter().map(|entry| entry.id().ms).collect();
                self.check("is brought entries to", ids.last().copied(), |run, _| {
                    run.brought(&ids);
                    Ok(())
                });
            }
            Ok(Read::Found { finding, resume }) => {
                let (gap, resume) = (finding.is_gap(), resume.id.ms);
                self.check(finding.as_str(), Some(resume), |run, _| {
                    run.found(gap, resume);
                    Ok(())
                });
            }
            Ok(_) => {}
            Err(error) => self.failed("read failed", error.kind(), crate::run::Run::read_failed),
        }
        read
    }

    async fn tail(&mut self) -> Result<EntryId, BackendError> {
        let life = self.watched.life;
        self.watched.world.travel().await;
        let tail = self.source.tail().await;
        match &tail {
            Ok(id) => {
                self.watched.check("is told the tail", Some(id.ms), |model| model.asked_tail(life, id.ms));
            }
            Err(error) => self.watched.failed(error),
        }
        tail
    }

    async fn presence(&mut self, id: EntryId) -> Result<Presence, BackendError> {
        self.check("looks for", Some(id.ms), |run, _| run.looks());
        self.watched.world.travel().await;
        let presence = self.source.presence(id).await;
        self.watched.world.travel().await;
        if let Err(error) = &presence {
            self.failed("look failed", error.kind(), |run, _| run.look_failed());
        }
        presence
    }
}

impl WatchedSource {
    fn failed(&self, what: &'static str, kind: ErrorKind, learn: fn(&mut crate::run::Run, ErrorKind)) {
        self.check(what, None, |run, _| {
            learn(run, kind);
            Ok(())
        });
    }
}
