//! Reads ahead of the handling: while one batch is handled, the next one waits.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::backend::{Batch, Checkpoint, Finding, Limit, Mark, Read, Source};
use crate::config::ConsumerConfig;
use crate::trouble::Trouble;

const FIRST_WAIT: Duration = Duration::from_millis(1);

/// What the reader tells the loop.
pub(super) enum Arrival {
    Batch(Batch),
    /// Nothing came for the time of a block timeout.
    Idle,
    /// The stream is not the one that was read before; the reader goes on after `resume`.
    Found {
        finding: Finding,
        resume: Checkpoint,
    },
}

pub(super) struct Reader {
    pub(super) source: Box<dyn Source>,
    /// Where the last batch ended.
    pub(super) after: Checkpoint,
    pub(super) limit: Limit,
    pub(super) wait: Duration,
    pub(super) trouble: Trouble,
}

impl Reader {
    pub(super) fn new(
        source: Box<dyn Source>,
        after: Checkpoint,
        config: &ConsumerConfig,
        trouble: Trouble,
    ) -> Self {
        let limit = Limit { entries: config.batch.entries, bytes: config.batch.bytes };
        Self { source, after, limit, wait: config.block_timeout, trouble }
    }

    /// A mark may hold the batch that it came with. While nothing comes, its text is all that is needed.
    fn let_go_of_the_page(&mut self) {
        let id = self.after.id;
        self.after.mark = self.after.mark.take().map(|mark| Mark::stored(mark.text(id)));
    }

    /// Reads until the loop is gone. The first read hardly waits: it tells whether there is a backlog. The channel has one place, and it is reserved before the read: so at most two
    /// batches are in memory, the one that is handled and the one that waits.
    pub(super) async fn run(mut self, arrivals: mpsc::Sender<Arrival>) {
        let mut wait = FIRST_WAIT.min(self.wait);
        while let Ok(place) = arrivals.reserve().await {
            let read = self.source.read(&self.after, self.limit, wait).await;
            wait = self.wait;
            match read {
                Ok(Read::Batch(batch)) => {
                    self.trouble.over();
                    self.after = batch.end();
                    place.send(Arrival::Batch(batch));
                }
                Ok(Read::Idle) => {
                    self.trouble.over();
                    self.let_go_of_the_page();
                    place.send(Arrival::Idle);
                }
                Ok(Read::Found { finding, resume }) => {
                    self.trouble.over();
                    self.after = resume.clone();
                    place.send(Arrival::Found { finding, resume });
                }
                Err(error) => {
                    drop(place);
                    sleep(self.trouble.happened(&error)).await;
                }
            }
        }
    }
}
