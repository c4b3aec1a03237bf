//! What happened, in order: what a failing seed shows, and what two runs of one seed have in common.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    at: Duration,
    /// Which worker; none for what the world did.
    life: Option<usize>,
    what: &'static str,
    number: Option<u64>,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = self.life.map_or_else(|| "world".to_owned(), |life| format!("worker {life}"));
        write!(f, "{:>12.6} {who:<9} {}", self.at.as_secs_f64(), self.what)?;
        self.number.map_or(Ok(()), |number| write!(f, " {number}"))
    }
}

#[derive(Default)]
pub(crate) struct Trace {
    pub(crate) events: Vec<Event>,
}

impl Trace {
    pub(crate) fn note(
        &mut self,
        at: Duration,
        life: Option<usize>,
        what: &'static str,
        number: Option<u64>,
    ) {
        self.events.push(Event { at, life, what, number });
    }

    /// How often each thing happened.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for event in &self.events {
            *counts.entry(event.what).or_default() += 1;
        }
        counts
    }
}
