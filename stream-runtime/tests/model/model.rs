//! The truth beside the runtime: what is in the stream, what has advanced, and what may be stored.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use stream_runtime::{ConsumerConfig, ErrorKind};
use tokio::time::Instant;

use crate::chance::Chance;
use crate::held::Ended;
use crate::life::Life;
use crate::record::Record;
use crate::run::{Checked, rule};
use crate::trace::Trace;

pub(crate) struct Model {
    pub(crate) chance: Chance,
    pub(crate) trace: Trace,
    /// The first rule that was broken.
    pub(crate) broken: Option<String>,
    started: Instant,
    /// Calls of the backend, and what they were for: workers, sessions and entries.
    calls: u64,
    purposes: u64,
    /// The last entry that was added; those that are there; those that `XDEL` took, `XTRIM` took the others.
    pub(crate) last: u64,
    pub(crate) present: BTreeSet<u64>,
    pub(crate) deleted: BTreeSet<u64>,
    pub(crate) advanced: BTreeSet<u64>,
    /// How often each entry was not handled.
    pub(crate) troubles: BTreeMap<u64, u64>,
    /// Up to here somebody wanted entries to be passed: by an edited record, or by where to start.
    pub(crate) wanted: u64,
    /// How often somebody edited the record, and which kinds of errors were put on operations.
    pub(crate) edits: u64,
    pub(crate) scripted: Vec<ErrorKind>,
    /// What the next read is to find.
    pub(crate) finding: Option<stream_runtime::Finding>,
    /// No more trouble: no delays, no bad outcomes.
    pub(crate) calm: bool,
    pub(crate) lives: Vec<Life>,
    /// Each record that a worker wrote.
    pub(crate) history: Vec<String>,
}

impl Model {
    pub(crate) fn new(chance: Chance) -> Self {
        Self {
            chance,
            trace: Trace::default(),
            broken: None,
            started: Instant::now(),
            calls: 0,
            purposes: 0,
            last: 0,
            present: BTreeSet::new(),
            deleted: BTreeSet::new(),
            advanced: BTreeSet::new(),
            troubles: BTreeMap::new(),
            wanted: 0,
            edits: 0,
            scripted: Vec::new(),
            finding: None,
            calm: false,
            lives: Vec::new(),
            history: Vec::new(),
        }
    }

    pub(crate) fn note(&mut self, life: Option<usize>, what: &'static str, number: Option<u64>) {
        self.trace.note(self.started.elapsed(), life, what, number);
    }

    /// Notes what a worker did, and the first rule that it broke by it.
    pub(crate) fn check(
        &mut self,
        life: usize,
        what: &'static str,
        number: Option<u64>,
        act: impl FnOnce(&mut Self) -> Checked,
    ) {
        self.note(Some(life), what, number);
        if let Err(said) = act(self) {
            self.note(Some(life), "BREAKS A RULE", None);
            self.broken.get_or_insert(format!("worker {life} {said}"));
        }
    }

    pub(crate) fn born(&mut self, config: ConsumerConfig) -> usize {
        self.purposes += 1;
        self.lives.push(Life::new(config));
        self.lives.len() - 1
    }

    /// Rules 5 and 9: no hot loop, whatever happens. Each entry has its share of calls, and each second some more.
    pub(crate) fn calls(&mut self, life: usize) -> Checked {
        self.calls += 1;
        let most = 200 + 10 * self.purposes + 40 * self.started.elapsed().as_secs();
        rule!(self.calls <= most, "is in a hot loop: {} calls of the backend", self.calls);
        self.lives[life].acts()
    }

    pub(crate) fn loaded(
        &mut self,
        life: usize,
        stored: Option<u64>,
        record: Option<Record>,
        edits: u64,
    ) -> Checked {
        let there = record.and_then(|record| record.id);
        rule!(stored == there, "loads {stored:?}, where {there:?} is stored");
        self.purposes += 1;
        self.lives[life].loaded(stored, record.map(|record| record.epoch), edits);
        if let Some(run) = self.lives[life].run.as_ref().filter(|_| stored.is_none()) {
            self.wanted = self.wanted.max(run.start());
        }
        Ok(())
    }

    pub(crate) fn asked_tail(&mut self, life: usize, tail: u64) -> Checked {
        self.wanted = self.wanted.max(tail);
        self.lives[life].asked_tail(tail)
    }

    pub(crate) fn commits(&mut self, life: usize, id: u64) -> Checked {
        let life = &mut self.lives[life];
        life.calls_store()?;
        let is_opening = life.is_opening();
        let Some(run) = life.run.as_mut() else { return Err(format!("commits {id} before it loaded")) };
        if is_opening {
            rule!(id == run.start(), "commits {id} first, where it starts at {}", run.start());
            return Ok(());
        }
        run.commits(id, &self.deleted)
    }

    /// Rules 2 and 3, at each change of the record by a worker. A write that lands late, when the worker has long
    /// given it up, may be of an earlier session.
    pub(crate) fn wrote(&mut self, life: usize, before: Option<&str>, after: &str, late: bool) -> Checked {
        self.history.push(after.to_owned());
        let Some(new) = Record::parse(after) else { return Err(format!("writes {after:?}")) };
        let old = match before.map(Record::parse) {
            Some(None) => return Err("writes over what is no offset".to_owned()),
            old => old.flatten(),
        };
        let same_claim = old.is_some_and(|old| (old.epoch, old.owner) == (new.epoch, new.owner));
        if !same_claim {
            return self.lives[life].claims(old, new);
        }
        rule!(self.lives[life].owns(new), "writes over another worker's claim");
        let (from, to) = (old.and_then(|old| old.id).unwrap_or(0), new.id.unwrap_or(0));
        let worker = &self.lives[life];
        let run = worker.run.as_ref();
        let starts = worker.is_opening() && run.is_some_and(|run| to == run.start());
        let forward = run.is_some_and(|run| run.is_forward(from, to));
        rule!(late || starts || forward, "commits {to} over {from}: that is backward");
        self.nothing_is_passed_over(to)
    }

    /// Rule 2, without regard to sessions: each entry up to the offset has advanced once, unless it is gone from
    /// the stream or somebody wanted it to be passed.
    fn nothing_is_passed_over(&self, offset: u64) -> Checked {
        let lost = self.present.range(self.wanted + 1..).take_while(|id| **id <= offset);
        let lost: Vec<u64> = lost.filter(|id| !self.advanced.contains(id)).copied().collect();
        rule!(lost.is_empty(), "passes over {lost:?} with its offset {offset}");
        Ok(())
    }

    pub(crate) fn begins(&mut self, life: usize, id: u64) -> Checked {
        self.lives[life].begins(id, &self.deleted)
    }

    pub(crate) fn ended(&mut self, life: usize, id: u64, how: Ended) -> Checked {
        if how == Ended::Advanced {
            self.lives[life].acts()?;
            self.advanced.insert(id);
            self.purposes += 1;
        }
        self.lives[life].ended(id, how)
    }

    /// Rules 2 and 3: a record in which nobody else has meddled is no conflict, also after a reply was lost.
    pub(crate) fn store_failed(&mut self, life: usize, kind: ErrorKind, record: Option<&str>) -> Checked {
        let owned = self.is_owner(life, record);
        let life = &mut self.lives[life];
        life.store_failed(kind);
        let meddled = !owned || self.edits > life.edits_seen || self.scripted.contains(&kind);
        let went_back = life.run.as_ref().is_some_and(|run| run.went_back);
        match kind {
            ErrorKind::Conflict => rule!(meddled || went_back, "has a conflict with itself"),
            ErrorKind::Superseded => rule!(meddled, "is superseded by itself"),
            ErrorKind::Transient | ErrorKind::Configuration => {}
        }
        Ok(())
    }

    /// Whether the record is this worker's.
    pub(crate) fn is_owner(&self, life: usize, record: Option<&str>) -> bool {
        record.and_then(Record::parse).is_some_and(|record| self.lives[life].owns(record))
    }

    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// What a failure of the offset store is called in the trace.
pub(crate) fn failure(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Transient => "store failed: transient",
        ErrorKind::Configuration => "store failed: configuration",
        ErrorKind::Conflict => "store failed: conflict",
        ErrorKind::Superseded => "store failed: superseded",
    }
}
