//! Whatever comes as an entry or as an id, nothing panics, and what is wrong is an error.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod fields;
mod ids;

use proptest::test_runner::Config;

/// So many cases, and no file of old failures: a failure prints the case, which then becomes a test of its own.
fn cases(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}
