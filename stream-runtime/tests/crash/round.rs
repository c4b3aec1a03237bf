//! One round: a new stream, a number of kills, a judgement after each, and a last run that catches up.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use stream_runtime::EntryId;
use tokio::time::sleep;

use crate::args::Backend;
use crate::journal::{Event, Record, Tail};
use crate::plan::{Dice, Plan};
use crate::process::{End, Process};
use crate::sabotage::Control;
use crate::site::{Server, Site};
use crate::tally::Tally;
use crate::verifier::{Run, Verifier, Violation};
use crate::worker::{Orders, journal_path};

/// So many entries wait for the worker when a run starts, or come while it runs.
const BACKLOG: u64 = 1500;
/// How long the last run may take to catch up.
const CATCH_UP: Duration = Duration::from_secs(60);

pub(crate) struct Round {
    site: Site,
    dir: PathBuf,
    dice: Dice,
    control: Option<Control>,
    run: u64,
    verifier: Verifier,
    /// Kills and shutdowns; the verifier counts the rest.
    ends: Tally,
}

impl Round {
    pub(crate) fn new(
        backend: Backend,
        server: &Server,
        dir: PathBuf,
        dice: Dice,
        control: Option<Control>,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
        let site = Site::new(backend, server, &dir)?;
        Ok(Self { site, dir, dice, control, run: 0, verifier: Verifier::default(), ends: Tally::default() })
    }

    /// What was counted so far.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = self.verifier.tally();
        tally.add(&self.ends);
        tally
    }

    /// One run as the dice say, and what it did wrong.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Vec<Violation>> {
        let plan = Plan::roll(&mut self.dice, &self.ends.fired);
        let produce = BACKLOG.saturating_sub(self.verifier.backlog());
        self.run(plan, produce).await
    }

    /// The last run: handles all that is left. Then nothing may be missing.
    pub(crate) async fn finish(&mut self) -> anyhow::Result<Vec<Violation>> {
        let mut violations = self.run(Plan::catch_up(), 0).await?;
        violations.extend(self.verifier.judge_end());
        self.site.remove().await?;
        Ok(violations)
    }

    async fn run(&mut self, plan: Plan, produce: u64) -> anyhow::Result<Vec<Violation>> {
        self.run += 1;
        let orders = self.orders(plan, produce);
        let journal = journal_path(&self.dir, self.run);
        self.site.allow(produce).await;
        let mut process = Process::start(&orders)?;
        let end = process.end(plan.ending, committed(Tail::new(&journal), self.verifier.last())).await;
        let end = end.with_context(|| format!("run {}: {plan:?}", self.run))?;
        self.count(end);

        let records: Vec<Record> = Tail::new(&journal).added().map_err(|error| anyhow!(error))?;
        let (produced, stored) = self.site.after_run(self.run).await?;
        self.verifier.produced(produced);
        Ok(self.verifier.judge(&Run {
            number: self.run,
            max_uncommitted: plan.max_uncommitted,
            drained: end == End::Drained,
            records: &records,
            stored,
        }))
    }

    fn orders(&self, plan: Plan, produce: u64) -> Orders {
        Orders {
            store: self.site.store(),
            dir: self.dir.clone(),
            run: self.run,
            epoch: self.verifier.next_epoch(),
            max_uncommitted: plan.max_uncommitted,
            batch: plan.batch,
            produce,
            trap: plan.trap(),
            control: self.control,
        }
    }

    fn count(&mut self, end: End) {
        match end {
            End::Drained => self.ends.shutdowns += 1,
            End::Killed(point) => {
                self.ends.kills += 1;
                if let Some(point) = point {
                    *self.ends.fired.entry(point).or_default() += 1;
                }
            }
        }
    }
}

/// Waits until the worker has committed the entry, as its journal says.
async fn committed(mut journal: Tail, last: EntryId) -> anyhow::Result<()> {
    let deadline = Instant::now() + CATCH_UP;
    let mut committed = EntryId::ZERO;
    while committed < last {
        if Instant::now() > deadline {
            bail!("the worker has not caught up in {CATCH_UP:?}: at {committed}, the last entry is {last}");
        }
        sleep(Duration::from_millis(5)).await;
        for record in journal.added::<Record>().map_err(|error| anyhow!(error))? {
            if let Event::Claimed(id) | Event::Acknowledged(id) = record.event {
                committed = id;
            }
        }
    }
    Ok(())
}
