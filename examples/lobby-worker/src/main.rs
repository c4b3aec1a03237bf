//! The lobby worker: Galaxy's two stream handlers, run by `stream-runtime` on a local file or on Redis.
//!
//! - `cli`, `config`: what it is told; `redact` keeps passwords out of what it says.
//! - `worker`: puts it together and runs it; `place` is where everything is kept, `signals` and `idle` end it.
//! - `stores`: the lobby's records, behind the handlers' ports; `capability` and `cascade` are rules over them.
//! - `feed`: plays the services that fill the streams, through a `producer`.
//! - `summary`: what it says at the end.

mod capability;
mod cascade;
mod cli;
mod config;
mod feed;
mod idle;
mod place;
mod producer;
mod redact;
mod signals;
mod stores;
mod summary;
#[cfg(test)]
mod testing;
mod transitions;
mod worker;

use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use cli::Cli;
use summary::Summary;

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err((help, 0)) => return say(&mut stdout(), &help, 0),
        Err((error, code)) => return say(&mut stderr(), &error, code),
    };
    log_to_stderr(cli.log.clone());
    match run(cli) {
        Ok(summary) => say(&mut stdout(), &summary.to_string(), 0),
        Err(error) => say(&mut stderr(), &redact::redact(&format!("error: {error:#}\n")), 1),
    }
}

fn run(cli: Cli) -> anyhow::Result<Summary> {
    let settings = cli.settings()?;
    tokio::runtime::Runtime::new()?.block_on(worker::run(settings))
}

/// Logs for people on the standard error, so that the summary on the standard output stands alone.
fn log_to_stderr(filter: Targets) {
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal());
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

/// Writes the last words. Where nobody listens any more, there is nobody to tell.
fn say(to: &mut impl Write, text: &str, code: u8) -> ExitCode {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
    ExitCode::from(code)
}
