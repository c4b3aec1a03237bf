//! What all workers of one history share: the backend, and the model that watches it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stream_runtime::testing::{Fault, MemoryBackend, Operation};

use crate::chance::Chance;
use crate::model::Model;

pub(crate) const STREAM: &str = "events";
pub(crate) const CONSUMER: &str = "c";

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) memory: MemoryBackend,
    model: Arc<Mutex<Model>>,
    /// The faults that are on.
    faults: Arc<Mutex<Vec<Operation>>>,
}

impl World {
    pub(crate) fn new(chance: Chance) -> Self {
        let model = Arc::new(Mutex::new(Model::new(chance)));
        Self { memory: MemoryBackend::new(), model, faults: Arc::default() }
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self) -> Option<String> {
        self.memory.record(CONSUMER)
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.model().broken.is_some()
    }

    /// The network: often quick, at times slow.
    pub(crate) fn draw_delay(&self) -> Duration {
        let mut model = self.model();
        if model.calm {
            return Duration::ZERO;
        }
        match model.chance.within(0..=99) {
            0..=69 => Duration::ZERO,
            70..=97 => model.chance.ms(1..=30),
            _ => model.chance.ms(100..=2500),
        }
    }

    /// Whether a write lands late: the caller is told that it failed, and then it is made after all.
    pub(crate) fn draw_late(&self) -> bool {
        let no_fault = self.faults().is_empty();
        let mut model = self.model();
        no_fault && !model.calm && model.chance.one_in(20)
    }

    pub(crate) fn put_fault(&self, operation: Operation, fault: Fault) {
        self.memory.set_fault(operation, Some(fault));
        self.faults().push(operation);
        let mut model = self.model();
        if let Fault::Error(kind) = fault {
            model.scripted.push(kind);
        }
        model.note(None, fault_name(operation, fault), None);
    }

    /// Takes off the oldest fault.
    pub(crate) fn take_fault_off(&self) {
        let mut faults = self.faults();
        if !faults.is_empty() {
            let operation = faults.remove(0);
            self.memory.set_fault(operation, None);
            self.model().note(None, "a fault is over", None);
        }
    }

    /// From now on, no delays, no bad outcomes, and no findings.
    pub(crate) fn calm_down(&self) {
        let mut model = self.model();
        model.note(None, "all is well again", None);
        (model.calm, model.finding) = (true, None);
    }

    pub(crate) fn has_faults(&self) -> bool {
        !self.faults().is_empty()
    }

    fn faults(&self) -> MutexGuard<'_, Vec<Operation>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fault_name(operation: Operation, fault: Fault) -> &'static str {
    match (operation, fault) {
        (Operation::Read, Fault::Error(_)) => "reads fail",
        (Operation::Read, Fault::Hang) => "reads hang",
        (Operation::Read, Fault::LoseReply) => "reads lose their reply",
        (Operation::Load, Fault::Error(_)) => "loads fail",
        (Operation::Load, Fault::Hang) => "loads hang",
        (Operation::Load, Fault::LoseReply) => "loads lose their reply",
        (Operation::Commit, Fault::Error(_)) => "commits fail",
        (Operation::Commit, Fault::Hang) => "commits hang",
        (Operation::Commit, Fault::LoseReply) => "commits lose their reply",
        (Operation::Inspect, Fault::Error(_)) => "inspections fail",
        (Operation::Inspect, Fault::Hang) => "inspections hang",
        (Operation::Inspect, Fault::LoseReply) => "inspections lose their reply",
    }
}
