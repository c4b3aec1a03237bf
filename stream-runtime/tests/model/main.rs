//! The model test: the loop, the committer and the memory backend in random histories under paused time, held
//! against a small model of the delivery rules.
//!
//! Each seed is a history: entries are added, deleted and trimmed; handlers hold, panic, hang; each operation of
//! the backend fails, hangs, loses its reply or lands late; records are rolled back, removed and edited; workers
//! are stopped, killed, started again, and started twice. At each call, each delivery and each write of the record
//! the model says whether the rules allow it. At the end all trouble is taken away, and everything must be handled.
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

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::history::{Played, play};

/// How many histories are played, unless `MODEL_SEEDS` says otherwise.
const SEEDS: u64 = 3000;

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
    let (next, counts, failed) = (AtomicU64::new(0), Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
    let play_some = || {
        while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds) {
            let played = play(seed);
            for (what, count) in played.trace.counts() {
                *counts.lock().unwrap().entry(what).or_insert(0) += count;
            }
            if played.broken.is_some() {
                failed.lock().unwrap().push((seed, played));
                next.store(seeds, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(play_some);
        }
    });
    let failed = failed.into_inner().unwrap();
    if let Some((seed, played)) = failed.iter().min_by_key(|(seed, _)| *seed) {
        show(*seed, played, 80);
        panic!("seed {seed}: {} (MODEL_SEED={seed} plays it again)", played.broken.as_deref().unwrap());
    }
    let counts = counts.into_inner().unwrap();
    eprintln!("{seeds} histories: {counts:#?}");
    for what in COVERED {
        assert!(counts.contains_key(what), "nowhere in {seeds} histories: {what}");
    }
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
