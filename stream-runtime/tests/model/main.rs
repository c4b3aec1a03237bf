//! The model test: the loop, the committer and the memory backend in random histories under paused time, held
//! against a small model of the delivery rules.
//!
//! Each seed is a history: entries are added, deleted and trimmed; handlers hold, panic, hang; each operation of
//! the backend fails, hangs, loses its reply or lands late; records are rolled back, removed and edited; workers
//! are stopped, killed, started again, and started twice. At each call, each delivery and each write of the record
//! the model says whether the rules allow it. At the end all trouble is taken away, and everything must be handled.
//!
//! The rules, as the model's comments number them:
//!
//! 1. at least once, in the order of the stream, one entry at a time;
//! 2. the committed offset never passes an entry that has not advanced, and never goes back but after a finding; a
//!    commit names the record that it replaces;
//! 3. starting claims the consumer, and a worker that was superseded does nothing more;
//! 4. at most `max_uncommitted` handled entries are ahead of the durable offset;
//! 5. a held entry comes again after a wait, until it advances or is deleted;
//! 6. without a stored offset it starts as it was told, and `latest` is resolved once;
//! 7. a panic or a timeout is a hold;
//! 8. a shutdown lets the entry in hand finish in its time, commits, and ends;
//! 9. after a failure of the backend, a rest;
//! 10. while commits fail, handling pauses;
//! 11. at most two batches wait.
//!
//! `MODEL_SEEDS=100000` plays so many histories, `MODEL_SEED=17` plays one and shows what happened in it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says so by failing")]
#![allow(clippy::print_stderr, reason = "a failing seed is shown")]

mod chance;
mod handler;
mod held;
mod history;
mod life;
mod model;
mod record;
mod run;
mod trace;
mod watched;
mod worker;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::history::{Played, play};

/// How many histories are played, unless `MODEL_SEEDS` says otherwise.
const SEEDS: u64 = 3000;

/// No history takes nearly as long.
const LONGEST: Duration = Duration::from_secs(60);

/// What must have happened in them, for the test to be worth its name.
const COVERED: &[&str] = &[
    "commits fail",
    "commits hang",
    "commits lose their reply",
    "crashed",
    "gave up",
    "held with retry_after",
    "history_lost",
    "hung",
    "inspections fail",
    "loads fail",
    "panicked",
    "passed a deleted entry",
    "reads fail",
    "recreated",
    "sees it trimmed",
    "skipped",
    "store failed: configuration",
    "store failed: conflict",
    "store failed: superseded",
    "the record is rolled back to",
    "the record is spoiled",
    "trimmed",
    "wrote late",
];

#[test]
fn every_history_keeps_the_rules() {
    if let Some(seed) = number("MODEL_SEED") {
        let played = play(seed);
        show(seed, &played, usize::MAX);
        assert_eq!(played.broken, None);
        return;
    }
    let seeds = number("MODEL_SEEDS").unwrap_or(SEEDS);
    let (mut counts, mut left) = (BTreeMap::new(), (0..seeds).collect::<BTreeSet<u64>>());
    let played = play_all(seeds);
    while !left.is_empty() {
        let Ok((seed, played)) = played.recv_timeout(LONGEST) else {
            panic!("seed {} does not come to an end", left.first().unwrap());
        };
        left.remove(&seed);
        for (what, count) in played.trace.counts() {
            *counts.entry(what).or_insert(0) += count;
        }
        if let Some(broken) = &played.broken {
            show(seed, &played, 80);
            panic!("seed {seed}: {broken} (MODEL_SEED={seed} plays it again)");
        }
    }
    eprintln!("{seeds} histories: {counts:#?}");
    for what in COVERED {
        assert!(counts.contains_key(what), "nowhere in {seeds} histories: {what}");
    }
}

/// Plays on all processors. Not in a scope: a history that never ends must not keep the test from saying so.
fn play_all(seeds: u64) -> mpsc::Receiver<(u64, Played)> {
    let next = Arc::new(AtomicU64::new(0));
    let (done, played) = mpsc::channel();
    for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
        let (next, done) = (Arc::clone(&next), done.clone());
        std::thread::spawn(move || {
            while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds) {
                if done.send((seed, play(seed))).is_err() {
                    return;
                }
            }
        });
    }
    played
}

#[test]
fn a_seed_plays_the_same_history_each_time() {
    for seed in 0..50 {
        let (first, second) = (play(seed), play(seed));
        let events = first.trace.events.iter().zip(&second.trace.events);
        for (n, (one, other)) in events.enumerate() {
            assert_eq!(one, other, "seed {seed}, event {n}");
        }
        assert_eq!(first.trace.events.len(), second.trace.events.len(), "seed {seed}");
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Prints the last events of a history.
fn show(seed: u64, played: &Played, most: usize) {
    let events = &played.trace.events;
    for event in &events[events.len().saturating_sub(most)..] {
        eprintln!("{event}");
    }
    eprintln!(
        "seed {seed}: {} events: {}",
        events.len(),
        played.broken.as_deref().unwrap_or("all rules kept")
    );
}
