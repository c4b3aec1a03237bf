//! When entries were sent and when they were handled, and a feed that sends them at a steady pace.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::stats::percentile;
use crate::wire::{Wire, encode};

/// The field with the number of an entry.
pub const NUMBER: &str = "number";

/// The times of all entries.
#[derive(Debug)]
pub struct Marks {
    epoch: Instant,
    /// For each entry: nanoseconds since the epoch when it was sent, and then how many it was under way.
    nanos: Vec<AtomicU64>,
}

impl Marks {
    /// For so many entries.
    pub fn new(entries: u64) -> Self {
        Self { epoch: Instant::now(), nanos: (0..entries).map(|_| AtomicU64::new(0)).collect() }
    }

    /// The entry of this number is about to be sent.
    fn sent(&self, number: u64) {
        self.nanos[number as usize].store(self.now(), Ordering::Relaxed);
    }

    /// The entry whose number is written here has reached the handler.
    ///
    /// # Errors
    ///
    /// It is no number of an entry.
    pub fn handled(&self, number: &[u8]) -> anyhow::Result<()> {
        let now = self.now();
        let number: usize = std::str::from_utf8(number)?.parse()?;
        let nanos = self.nanos.get(number).context("no such entry")?;
        nanos.store(now - nanos.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(())
    }

    /// The time from sent to handled below which each share (0 to 1) of the entries lies, in microseconds. To be
    /// asked when all are handled.
    pub fn micros<const N: usize>(&self, shares: [f64; N]) -> [f64; N] {
        let mut sorted: Vec<u64> = self.nanos.iter().map(|nanos| nanos.load(Ordering::Relaxed)).collect();
        sorted.sort_unstable();
        shares.map(|share| percentile(&sorted, share) as f64 / 1e3)
    }

    fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }
}

/// Starts a thread that adds all entries to the stream, one every `pace`, and waits for the server's answer to each.
pub fn feed(port: u16, stream: &str, pace: Duration, marks: Arc<Marks>) -> JoinHandle<anyhow::Result<()>> {
    let stream = stream.to_owned();
    thread::spawn(move || {
        let mut wire = Wire::connect(port)?;
        let mut command = Vec::new();
        let started = Instant::now();
        for number in 0..marks.nanos.len() as u64 {
            let due = started + pace.mul_f64(number as f64);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            command.clear();
            let text = number.to_string();
            encode(&mut command, &["XADD", &stream, "*", NUMBER, &text].map(str::as_bytes));
            marks.sent(number);
            wire.send(&command)?;
            wire.string()?;
        }
        Ok(())
    })
}
