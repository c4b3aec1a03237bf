//! What each layer allocates, beside what it costs by the last run of the bench `stack`.
//!
//! `cargo bench -p benches --bench stack && cargo run --release -p benches --bin layers -- --help`

use std::fs;
use std::path::{Path, PathBuf};

use benches::layers::{Handling, LOOP_ENTRIES, Loop, Visitor, deliver, visit};
use benches::report::{Table, put, show};
use clap::Parser;
use counting::{Counting, allocations};
use serde::Deserialize;
use stream_runtime::{Advance, Delivery, Hold};
use tokio::runtime::{Builder, Runtime};
use tower::Service;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many deliveries or drains are counted together.
const DELIVERIES: u64 = 10_000;

/// Counts allocations, layer by layer
#[derive(Parser)]
struct Cli {
    /// Where the bench `stack` left its estimates
    #[arg(long, default_value = "target/criterion")]
    estimates: PathBuf,
    /// Put the table into this file, between `<!-- stack -->` and `<!-- /stack -->`
    #[arg(long)]
    readme: Option<PathBuf>,
}

/// One row: a step, and what it allocates for each entry.
struct Count {
    name: &'static str,
    allocations: f64,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let tokio = Builder::new_current_thread().enable_all().build()?;
    let mut layers = Layers { tokio: &tokio, counts: Vec::new(), failure: None };
    visit(&mut layers);
    if let Some(failure) = layers.failure {
        return Err(failure);
    }
    let mut counts = layers.counts;
    for (name, handling) in [
        ("loop, no-op", Handling::NoOp),
        ("loop, five fields decoded", Handling::Typed),
        ("loop, gmevents", Handling::GmEvents),
    ] {
        counts.push(count_loop(name, handling, &tokio)?);
    }
    let text = table(&counts, &cli.estimates);
    show(&text);
    if let Some(file) = &cli.readme {
        put(file, "stack", &text)?;
    }
    Ok(())
}

fn count_loop(name: &'static str, handling: Handling, tokio: &Runtime) -> anyhow::Result<Count> {
    let looped = Loop::new(handling);
    tokio.block_on(looped.drain())?;
    let before = allocations();
    tokio.block_on(looped.drain())?;
    Ok(Count { name, allocations: (allocations() - before) as f64 / LOOP_ENTRIES as f64 })
}

struct Layers<'a> {
    tokio: &'a Runtime,
    counts: Vec<Count>,
    failure: Option<anyhow::Error>,
}

impl Visitor for Layers<'_> {
    fn step<S>(&mut self, name: &'static str, mut service: S)
    where
        S: Service<Delivery, Response = Advance, Error = Hold>,
    {
        let mut count = || -> anyhow::Result<u64> {
            self.tokio.block_on(deliver(&mut service, 1))?;
            let before = allocations();
            self.tokio.block_on(deliver(&mut service, 0))?;
            let setup = allocations() - before;
            self.tokio.block_on(deliver(&mut service, DELIVERIES))?;
            Ok(allocations() - before - 2 * setup)
        };
        match count() {
            Ok(total) => {
                self.counts.push(Count { name, allocations: total as f64 / DELIVERIES as f64 });
            }
            Err(error) => self.failure = Some(error.context(name)),
        }
    }
}

/// What each allocation is for. A step that is not named here allocates nothing.
fn reason(name: &str) -> &'static str {
    match name {
        "handler" => "the future of `async fn handle`",
        "box of the whole" => "the future, erased, for the loop",
        "loop, no-op" => {
            "those of the stack; what is beyond them is of a batch or of a commit, shared by the entries of it"
        }
        "loop, five fields decoded" => "as above: the fields are borrowed from the entry",
        "loop, gmevents" => "the event's strings and statistics, and a future for each port that is called",
        _ => "",
    }
}

fn table(counts: &[Count], estimates: &Path) -> String {
    let mut table = Table::new(&[
        "from the handler outwards",
        "ns, bare",
        "ns, observed",
        "allocations an entry",
        "what for",
    ]);
    for Count { name, allocations } in counts {
        let time =
            |group| nanos(estimates, group, name).map_or_else(String::new, |nanos| format!("{nanos:.0}"));
        let (bare, observed) = (time("bare"), time("observed"));
        table.row(&[*name, &bare, &observed, &format!("{allocations:.2}"), reason(name)]);
    }
    table.finish()
}

/// The median that criterion found, in ns.
fn nanos(estimates: &Path, group: &str, name: &str) -> Option<f64> {
    #[derive(Deserialize)]
    struct Estimates {
        median: Estimate,
    }
    #[derive(Deserialize)]
    struct Estimate {
        point_estimate: f64,
    }
    let text = fs::read_to_string(estimates.join(group).join(name).join("new/estimates.json")).ok()?;
    let estimates: Estimates = serde_json::from_str(&text).ok()?;
    Some(estimates.median.point_estimate)
}
