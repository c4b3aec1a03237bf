//! How long an entry takes from `XADD` to the handler, when the stream is drained and one comes every millisecond.
//!
//! `cargo run --release -p benches --bin latency -- --help`

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use benches::contest::{Job, in_own_process};
use benches::latency::{TAKERS, Taker};
use benches::machine;
use benches::marks::{Marks, feed};
use benches::report::{Table, put, say, show};
use benches::stats::Spread;
use benches::usage::Server;
use clap::Parser;
use stream_runtime::testing::RedisServer;

/// The shares of entries whose latency is shown.
const SHARES: [f64; 3] = [0.5, 0.99, 0.999];

/// How long a taker has to connect before the first entry comes.
const HEAD_START: Duration = Duration::from_millis(300);

/// Measures latencies in turns, each taker in a process of its own
#[derive(Parser)]
struct Cli {
    /// How many entries are sent to each in a round
    #[arg(long, default_value_t = 10_000)]
    entries: u64,
    /// How many a second
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// How often each has its turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Threads of the tokio runtime; 0 runs all in one
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Put the table into this file, between `<!-- latency -->` and `<!-- /latency -->`
    #[arg(long)]
    readme: Option<PathBuf>,
    /// Be this taker, on the server at --port and the stream --stream
    #[arg(long, hide = true, requires = "port", requires = "stream")]
    take: Option<String>,
    #[arg(long, hide = true)]
    port: Option<u16>,
    #[arg(long, hide = true)]
    stream: Option<String>,
}

/// The latencies at [`SHARES`] in one round, in microseconds.
type Sample = [f64; SHARES.len()];

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if let (Some(name), Some(port), Some(stream)) = (&cli.take, cli.port, &cli.stream) {
        let taker = TAKERS.iter().find(|taker| taker.name == name).context("no such taker")?;
        let job = Job::new(port, stream.clone(), cli.entries, cli.threads)?;
        show(&serde_json::to_string(&measure(taker, &job, cli.rate)?)?);
        return Ok(());
    }
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let server = tokio.block_on(RedisServer::start());
    let samples = take_turns(&cli, server.port())?;
    let machine = machine::describe(&mut Server::connect(server.port())?)?;
    let text = format!(
        "{}\nMedians (min–max) of {} rounds in turns, each of {} entries at {} a second. Tokio has {} threads. {machine}.",
        table(&samples),
        cli.rounds,
        cli.entries,
        cli.rate,
        cli.threads
    );
    show(&text);
    if let Some(file) = &cli.readme {
        put(file, "latency", &text)?;
    }
    Ok(())
}

fn measure(taker: &Taker, job: &Job, rate: u32) -> anyhow::Result<Sample> {
    let marks = Arc::new(Marks::new(job.entries));
    let (port, stream, fed) = (job.port, job.stream.clone(), Arc::clone(&marks));
    let feed = thread::spawn(move || {
        thread::sleep(HEAD_START);
        feed(port, &stream, Duration::from_secs(1) / rate, fed).join()
    });
    (taker.run)(job, Arc::clone(&marks))?;
    let fed = feed.join().and_then(|fed| fed);
    fed.map_err(|_| anyhow!("the feed panicked"))??;
    Ok(marks.micros(SHARES))
}

/// The samples of each taker.
fn take_turns(cli: &Cli, port: u16) -> anyhow::Result<Vec<Vec<Sample>>> {
    let mut samples = vec![Vec::new(); TAKERS.len()];
    for round in 1..=cli.rounds {
        for (taker, samples) in TAKERS.iter().zip(&mut samples) {
            let stream = format!("latency:{}:{round}", taker.name);
            let args = [
                ("--take", taker.name.to_owned()),
                ("--port", port.to_string()),
                ("--stream", stream.clone()),
                ("--entries", cli.entries.to_string()),
                ("--rate", cli.rate.to_string()),
                ("--threads", cli.threads.to_string()),
            ];
            let args: Vec<String> =
                args.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
            let mut server = Server::connect(port)?;
            server.forget(&format!("stream-runtime:offset:{}", benches::latency::CONSUMER))?;
            let sample: Sample = in_own_process(&args).with_context(|| format!("taker {}", taker.name))?;
            server.forget(&stream)?;
            say(&format!("round {round}: {}: p50 {:.0} µs, p99 {:.0} µs", taker.name, sample[0], sample[1]));
            samples.push(sample);
        }
    }
    Ok(samples)
}

fn table(samples: &[Vec<Sample>]) -> String {
    let mut table = Table::new(&["XADD to handler, µs", "p50", "p99", "p99.9"]);
    for (taker, samples) in TAKERS.iter().zip(samples) {
        let mut cells = vec![taker.label.to_owned()];
        for share in 0..SHARES.len() {
            let spread = Spread::of(samples.iter().map(|sample| sample[share]));
            cells.push(spread.map_or_else(String::new, |Spread { median, min, max }| {
                format!("{median:.0} ({min:.0}–{max:.0})")
            }));
        }
        table.row(&cells);
    }
    table.finish()
}
