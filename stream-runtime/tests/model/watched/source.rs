//! Reads and looks, with the model looking on.

use std::collections::BTreeSet;

use stream_runtime::{
    BackendError, Checkpoint, EntryId, Finding, Limit, Presence, Read, Source, async_trait,
};
use tokio::time::Duration;

use super::{Watched, number};
use crate::held::InHand;
use crate::run::{Checked, Run};

pub(super) struct WatchedSource {
    source: Box<dyn Source>,
    watched: Watched,
    /// The session that it was made in.
    run: usize,
}

impl WatchedSource {
    pub(super) fn new(source: Box<dyn Source>, watched: Watched, run: usize) -> Self {
        Self { source, watched, run }
    }

    /// What the model checks and learns, with the session that it is about.
    fn check(
        &self,
        what: &'static str,
        number: Option<u64>,
        act: impl FnOnce(&mut Run, &BTreeSet<u64>) -> Checked,
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
        if let Some((finding, resume)) = self.finding(number(after.id)) {
            return Ok(Read::Found { finding, resume: Checkpoint::at(EntryId::new(resume, 0)) });
        }
        self.source.read(after, limit, wait).await
    }
}

#[async_trait]
impl Source for WatchedSource {
    async fn read(&mut self, after: &Checkpoint, limit: Limit, wait: Duration) -> Result<Read, BackendError> {
        let from = number(after.id);
        self.check("reads after", Some(from), |run, deleted| run.reads(from, deleted));
        self.watched.travel().await;
        let read = self.look(after, limit, wait).await;
        self.watched.travel().await;
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
            Err(error) => self.check("read failed", None, |run, _| {
                run.read_failed(error.kind());
                Ok(())
            }),
        }
        read
    }

    async fn tail(&mut self) -> Result<EntryId, BackendError> {
        let life = self.watched.life;
        self.watched.travel().await;
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
        self.check("looks for", Some(id.ms), |run, _| run.in_hand.as_mut().map_or(Ok(()), InHand::looks));
        self.watched.travel().await;
        let presence = self.source.presence(id).await;
        self.watched.travel().await;
        let what = match &presence {
            Ok(Presence::Present) => "sees it there",
            Ok(Presence::Deleted) => "sees it deleted",
            Ok(Presence::Trimmed) => "sees it trimmed",
            Ok(Presence::Unclear) => "sees that it is gone",
            Err(_) => "cannot look",
        };
        self.check(what, Some(id.ms), |run, _| {
            if let Some(in_hand) = &mut run.in_hand {
                in_hand.is_told(&presence);
            }
            Ok(())
        });
        presence
    }
}
