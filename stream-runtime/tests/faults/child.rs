//! This test binary, run again as a process of its own.

use std::env;
use std::process::{Command, Output};

const IS_CHILD: &str = "STREAM_RUNTIME_TEST_CHILD";

/// Whether this is such a process.
pub(crate) fn is_child() -> bool {
    env::var_os(IS_CHILD).is_some()
}

/// Runs the test of this name alone, to its end, in another process, with this in its environment.
pub(crate) async fn run_again(test: &str, environment: &[(&str, String)]) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(IS_CHILD, "1")
        .envs(environment.iter().map(|(name, value)| (name, value)));
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}
