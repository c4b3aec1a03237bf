//! One random history: entries, workers, and everything that can happen to them; and its quiet end, in which all
//! must be made good.

use std::time::Duration;

use stream_runtime::testing::{Fault, Operation};
use stream_runtime::{ConsumerState, EntryId, ErrorKind, Finding};
use tokio::time::sleep;

use crate::chance::Chance;
use crate::record::Record;
use crate::trace::Trace;
use crate::worker::Worker;
use crate::world::{CONSUMER, STREAM, World};

/// What came of a history.
pub(crate) struct Played {
    pub(crate) trace: Trace,
    pub(crate) broken: Option<String>,
}

/// Plays the history of a seed. It depends on nothing else: one thread, paused time, and no dice but the seed's.
pub(crate) fn play(seed: u64) -> Played {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut history = History { world: World::new(Chance::new(seed)), workers: Vec::new() };
        if history.trouble().await.is_some() && history.calm().await.is_some() {
            history.end().await;
        }
        let mut model = history.world.model();
        Played { trace: std::mem::take(&mut model.trace), broken: model.broken.take() }
    })
}

struct History {
    world: World,
    workers: Vec<Worker>,
}

impl History {
    /// Random events at random times. `None` when a rule was broken.
    async fn trouble(&mut self) -> Option<()> {
        let mut chance = Chance::new(self.world.model().chance.next());
        self.append(chance.within(0..=30));
        self.workers.push(Worker::start(&self.world));
        for _ in 0..chance.within(5..=40) {
            self.pass(if chance.one_in(2) { chance.ms(0..=50) } else { chance.ms(0..=4000) }).await?;
            match chance.within(0..=99) {
                0..=29 => self.append(chance.within(1..=12)),
                30..=44 => self.put_fault(&mut chance),
                45..=59 => self.world.take_fault_off(),
                60..=69 => self.remove_entries(&mut chance),
                70..=75 => self.edit_record(&mut chance),
                76..=80 => self.find(&mut chance),
                81..=85 if self.workers.len() < 3 => self.workers.push(Worker::start(&self.world)),
                _ => self.end_worker(&mut chance).await,
            }
            self.replace_workers(&mut chance).await;
        }
        Some(())
    }

    /// Everything works again: what is there must be handled, by one worker, and the others must know.
    async fn calm(&mut self) -> Option<()> {
        while self.world.has_faults() {
            self.world.take_fault_off();
        }
        self.mend_record();
        self.world.calm_down();
        self.handle_all().await?;
        // Time enough for the last waits, and for each worker to look whether it is still the one.
        self.pass(Duration::from_secs(45)).await?;
        self.append(3);
        self.handle_all().await?;
        self.pass(Duration::from_secs(10)).await?;
        for worker in &self.workers {
            let is_owner = self.world.model().is_owner(worker.life, self.world.record().as_deref());
            let state = worker.state();
            let is_well =
                matches!(state, ConsumerState::Idle | ConsumerState::Handling | ConsumerState::Held);
            if is_owner == worker.has_given_up() || is_owner != is_well {
                return self.broken(format!("worker {}: is owner: {is_owner}, state: {state}", worker.life));
            }
        }
        Some(())
    }

    async fn end(&mut self) {
        for worker in std::mem::take(&mut self.workers) {
            worker.stop().await;
        }
    }

    /// Waits until the offset is at the end. A worker that gave up is replaced, as a supervisor would.
    async fn handle_all(&mut self) -> Option<()> {
        let deadline = self.world.model().now() + Duration::from_secs(600);
        loop {
            let mut left = Vec::new();
            for worker in std::mem::take(&mut self.workers) {
                if worker.has_given_up() { worker.stop().await } else { left.push(worker) }
            }
            self.workers = left;
            if self.workers.is_empty() {
                self.workers.push(Worker::start(&self.world));
            }
            let offset = self.world.memory.offset(CONSUMER).map_or(0, |id| id.ms);
            if self.world.model().present.last().is_none_or(|last| offset >= *last) {
                return Some(());
            }
            if self.world.model().now() > deadline {
                return self.broken(format!("ten minutes without trouble, and the offset is at {offset}"));
            }
            self.pass(Duration::from_millis(500)).await?;
        }
    }

    /// Lets time pass. `None` when a rule was broken in it.
    async fn pass(&self, time: Duration) -> Option<()> {
        sleep(time).await;
        (!self.world.is_broken()).then_some(())
    }

    fn broken(&self, said: String) -> Option<()> {
        self.world.model().broken.get_or_insert(said);
        None
    }

    fn append(&self, count: u64) {
        for _ in 0..count {
            let mut model = self.world.model();
            model.last += 1;
            let id = model.last;
            model.present.insert(id);
            model.note(None, "adds", Some(id));
            drop(model);
            self.world.memory.append(STREAM, [("n", id.to_string())]);
        }
    }

    fn put_fault(&self, chance: &mut Chance) {
        let operation = chance.pick(&[
            Operation::Read,
            Operation::Load,
            Operation::Commit,
            Operation::Commit,
            Operation::Inspect,
        ]);
        let kind = match chance.within(0..=9) {
            0 => ErrorKind::Superseded,
            1 => ErrorKind::Conflict,
            2..=3 => ErrorKind::Configuration,
            _ => ErrorKind::Transient,
        };
        let fault = chance.pick(&[Fault::Error(kind), Fault::Error(kind), Fault::Hang, Fault::LoseReply]);
        self.world.put_fault(operation, fault);
    }

    /// `XDEL` of a held entry or of any, or `XTRIM`.
    fn remove_entries(&self, chance: &mut Chance) {
        let mut model = self.world.model();
        let present: Vec<u64> = model.present.iter().copied().collect();
        let held =
            model.lives.iter().filter(|life| !life.ended).find_map(|life| life.run.as_ref()?.held_entry());
        if chance.one_in(4) {
            let keep = chance.within(0..=present.len() as u64) as usize;
            for id in &present[..present.len() - keep] {
                model.present.remove(id);
            }
            model.note(None, "trims to", Some(keep as u64));
            self.world.memory.trim(STREAM, keep);
            return;
        }
        let any = present.get(chance.within(0..=present.len() as u64) as usize).copied();
        let Some(id) = held.filter(|id| model.present.contains(id)).or(any) else { return };
        model.present.remove(&id);
        model.deleted.insert(id);
        model.note(None, if held == Some(id) { "deletes the held" } else { "deletes" }, Some(id));
        assert!(self.world.memory.delete(STREAM, EntryId::new(id, 0)));
    }

    /// What an operator or a failover does to the stored record.
    fn edit_record(&self, chance: &mut Chance) {
        let mut model = self.world.model();
        let (what, text) = match chance.within(0..=9) {
            0..=2 => ("the record is removed", None),
            3..=5 if !model.history.is_empty() => {
                let at = chance.within(0..=model.history.len() as u64 - 1) as usize;
                ("the record is rolled back to", Some(model.history[at].clone()))
            }
            6 => ("the record is spoiled", Some("yesterday".to_owned())),
            _ => ("the record is edited to", Some(format!("{}-0", chance.within(0..=model.last)))),
        };
        let id = text.as_deref().and_then(Record::parse).and_then(|record| record.id);
        model.wanted = model.wanted.max(id.unwrap_or(0));
        model.edits += 1;
        model.note(None, what, id);
        self.world.memory.set_record(CONSUMER, text.as_deref());
    }

    /// Somebody corrects a record that is none.
    fn mend_record(&self) {
        if self.world.record().is_some_and(|text| Record::parse(&text).is_none()) {
            let mut model = self.world.model();
            model.edits += 1;
            model.note(None, "the record is edited to", Some(0));
            drop(model);
            self.world.memory.set_record(CONSUMER, Some("0-0"));
        }
    }

    fn find(&self, chance: &mut Chance) {
        self.world.model().finding = Some(chance.pick(&[
            Finding::Trimmed { lost: 1, exact: true },
            Finding::HistoryLost,
            Finding::Recreated,
            Finding::Deleted { at_most: 1 },
        ]));
    }

    async fn end_worker(&mut self, chance: &mut Chance) {
        if self.workers.is_empty() {
            return;
        }
        let worker = self.workers.remove(chance.within(0..=self.workers.len() as u64 - 1) as usize);
        if chance.one_in(3) { worker.stop().await } else { worker.crash().await }
    }

    /// Mostly, somebody sees to it that a worker runs.
    async fn replace_workers(&mut self, chance: &mut Chance) {
        if chance.one_in(4) {
            return;
        }
        if let Some(at) = self.workers.iter().position(Worker::has_given_up) {
            self.workers.remove(at).stop().await;
        }
        if self.workers.is_empty() {
            self.workers.push(Worker::start(&self.world));
        }
        if self.world.record().as_deref() == Some("yesterday") && chance.one_in(3) {
            self.mend_record();
        }
    }
}
