//! The crash suite: a worker is killed again and again, and nothing is lost.
//!
//! The worker is this program run again, as a process of its own, on a Redis server with an append-only file or on
//! the embedded file. A producer feeds it and keeps a manifest of what was acknowledged; the worker writes a record
//! of each effect, and of each commit before and after it is made; and it is killed with SIGKILL, at random moments
//! and at named points. After each kill the verifier judges by manifest, records and stored offset alone:
//!
//! - the stored offset is within what was handled without a gap, it never goes back, it is what was acknowledged
//!   last or sent after that, and each run has claimed the consumer once;
//! - each run started right after its stored offset, and went on entry by entry, in order, without a gap;
//! - no run handled more than `max_uncommitted` entries beyond the stored offset that it left behind;
//!
//! and at the end that the manifest was handled whole, first in its order. Holds, skips and merged commits are in the
//! mix; one run in twenty is ended with SIGTERM instead, and must leave nothing uncommitted.
//!
//! Controls show that the verifier can see: each breaks one promise on purpose, and must be caught.
//!
//! A killed process leaves what it wrote to the system. So this claims nothing about power loss.
//!
//! ```text
//! cargo test -p stream-runtime --test crash
//! cargo test -p stream-runtime --release --test crash -- --kills 1000 --backend redis
//! cargo test -p stream-runtime --test crash -- --help
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a check that fails panics")]

mod args;
mod journal;
mod plan;
mod process;
mod producer;
mod round;
mod sabotage;
mod site;
mod stored;
mod suite;
mod tally;
mod trap;
mod verifier;
mod watched;
mod worker;

use std::process::ExitCode;
use std::time::Instant;

use self::args::{Args, HELP};
use self::site::Server;
use self::suite::Item;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [first, orders] = words.as_slice()
        && first == self::process::WORKER
    {
        return worker::main(orders);
    }
    match Args::parse(words.into_iter()).and_then(|args| run(&args)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("crash: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let items: Vec<Item> = Item::all().into_iter().filter(|item| item.is_wanted(args)).collect();
    if args.help {
        println!("{HELP}");
    } else if args.list {
        items.iter().for_each(|item| println!("{}: test", item.name()));
    } else if items.is_empty() {
        println!("crash: nothing of this name; --list says what there is\n0 passed, 0 failed");
    } else {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        return Ok(runtime.block_on(run_items(&items, args)));
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_items(items: &[Item], args: &Args) -> ExitCode {
    println!("\ncrash: {} to run, seed {}", items.len(), args.seed);
    let server = Server::start().await;
    let started = Instant::now();
    let mut failed = 0;
    for item in items {
        match item.run(args, &server).await {
            Ok(said) => println!("{}: {said}", item.name()),
            Err(error) => {
                failed += 1;
                println!("{}: FAILED: {error:#}", item.name());
            }
        }
    }
    println!("in {:.1?}:\n{} passed, {failed} failed\n", started.elapsed(), items.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
