//! How fast a backlog is drained: stream-runtime beside the loops that it replaces, and beside what a plain socket can
//! do at all.
//!
//! `cargo run --release -p benches --bin drain -- --help`

use benches::backlog::STREAM;
use benches::contest::Contender;
use benches::drain::{Contest, Options, Ratio, run};
use benches::{loops, ours};
use clap::Parser;

/// Drains a backlog with each contender in turns, each in a process of its own
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

const RATIOS: [Ratio; 5] = [
    Ratio { head: "of the walker", against: &["walker-500", "walker-1000"] },
    Ratio { head: "× redis-rs loop", against: &["redis-rs"] },
    Ratio { head: "of the strict bound", against: &["strict-bound"] },
    Ratio { head: "× original, redis-rs", against: &["original"] },
    Ratio { head: "× original, socket", against: &["original-socket"] },
];

fn main() -> anyhow::Result<()> {
    let mut contenders: Vec<Contender> = loops::WALKERS.to_vec();
    contenders.extend(ours::CONTENDERS);
    contenders.extend([loops::CLIENT_LOOP, loops::STRICT_BOUND]);
    contenders.extend(loops::ORIGINALS);
    run(&Contest { stream: STREAM, contenders, ratios: &RATIOS }, &Cli::parse().options)
}
