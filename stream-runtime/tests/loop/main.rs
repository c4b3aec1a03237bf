//! The loop on the memory backend, under paused time: what is promised of delivery, commits, start and end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says so by failing")]

mod commits;
mod findings;
mod holds;
mod lifecycle;
mod support;
