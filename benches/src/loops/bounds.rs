//! Loops on a plain socket that do nothing beyond the protocol.

use std::hint::black_box;

use anyhow::ensure;

use super::OFFSET_KEY;
use crate::contest::Job;
use crate::wire::{Visitor, Wire, encode};

/// One `SET` a batch, sent together with the next `XREAD`, so that it costs no round trip of its own.
pub(super) fn walk(job: &Job, count: usize) -> anyhow::Result<()> {
    let mut wire = Wire::connect(job.port)?;
    let mut last = LastId::default();
    let mut commands = Vec::new();
    let mut left = job.entries;
    xread(&mut commands, job, &last, count);
    wire.send(&commands)?;
    while left > 0 {
        left -= entries(&mut wire, &mut last)?;
        commands.clear();
        set(&mut commands, &last);
        if left > 0 {
            xread(&mut commands, job, &last, count);
        }
        wire.send(&commands)?;
        wire.ok()?;
    }
    job.check_offset(OFFSET_KEY)
}

/// Reads in batches, and waits for one `SET` per entry.
pub(super) fn strict(job: &Job) -> anyhow::Result<()> {
    let mut wire = Wire::connect(job.port)?;
    let mut page = Page::default();
    let mut commands = Vec::new();
    let mut left = job.entries;
    while left > 0 {
        commands.clear();
        xread(&mut commands, job, &page.last(), 500);
        wire.send(&commands)?;
        page.0.clear();
        left -= wire.entries(&mut page)?;
        ensure!(!page.0.is_empty(), "the stream ends too early");
        for id in &page.0 {
            commands.clear();
            set(&mut commands, id);
            wire.send(&commands)?;
            wire.ok()?;
        }
    }
    job.check_offset(OFFSET_KEY)
}

/// What the original does: one entry, one `SET`, each waited for.
pub(super) fn original(job: &Job) -> anyhow::Result<()> {
    let mut wire = Wire::connect(job.port)?;
    let mut last = LastId::default();
    let mut command = Vec::new();
    for _ in 0..job.entries {
        command.clear();
        xread(&mut command, job, &last, 1);
        wire.send(&command)?;
        entries(&mut wire, &mut last)?;
        command.clear();
        set(&mut command, &last);
        wire.send(&command)?;
        wire.ok()?;
    }
    job.check_offset(OFFSET_KEY)
}

fn entries(wire: &mut Wire, last: &mut LastId) -> anyhow::Result<u64> {
    let entries = wire.entries(last)?;
    ensure!(entries > 0, "the stream ends too early");
    Ok(entries)
}

fn xread(out: &mut Vec<u8>, job: &Job, after: &LastId, count: usize) {
    let count = count.to_string();
    encode(out, &[b"XREAD", b"COUNT", count.as_bytes(), b"STREAMS", job.stream.as_bytes(), after.bytes()]);
}

fn set(out: &mut Vec<u8>, id: &LastId) {
    encode(out, &[b"SET", OFFSET_KEY.as_bytes(), id.bytes()]);
}

/// Keeps the last id, and looks at the fields no further than that they are there.
#[derive(Clone, Default)]
struct LastId(Vec<u8>);

impl LastId {
    fn bytes(&self) -> &[u8] {
        if self.0.is_empty() { b"0" } else { &self.0 }
    }
}

impl Visitor for LastId {
    fn id(&mut self, id: &[u8]) {
        self.0.clear();
        self.0.extend_from_slice(id);
    }

    fn field(&mut self, bytes: &[u8]) {
        black_box(bytes);
    }
}

/// Keeps the ids of one reply.
#[derive(Default)]
struct Page(Vec<LastId>);

impl Page {
    fn last(&self) -> LastId {
        self.0.last().cloned().unwrap_or_default()
    }
}

impl Visitor for Page {
    fn id(&mut self, id: &[u8]) {
        self.0.push(LastId(id.to_vec()));
    }

    fn field(&mut self, bytes: &[u8]) {
        black_box(bytes);
    }
}
