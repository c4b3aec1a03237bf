//! Drains a backlog with stream-runtime and with its peers, in turns.

mod apalis;
mod group;
mod ruststream;
mod sea_streamer;

use benches::drain::{Contest, Options, Ratio, run};
use benches::{loops, ours};
use clap::Parser;

/// sea-streamer takes what follows a colon in a stream's name for the number of a shard.
const STREAM: &str = "lobby_events";

const RATIOS: [Ratio; 2] = [
    Ratio { head: "of stream-runtime", against: &["ours"] },
    Ratio { head: "of the walker", against: &["walker-500", "walker-1000"] },
];

/// Drains a backlog with each contender in turns, each in a process of its own
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn main() -> anyhow::Result<()> {
    let mut contenders = loops::WALKERS.to_vec();
    contenders.push(ours::NO_OP);
    contenders.extend(ruststream::CONTENDERS);
    contenders.extend([sea_streamer::CONTENDER, apalis::CONTENDER]);
    run(&Contest { stream: STREAM, contenders, ratios: &RATIOS }, &Cli::parse().options)
}
