//! The program as a user runs it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says so by failing")]

mod files;
mod options;
mod redis;
mod support;
