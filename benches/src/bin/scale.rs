//! One runtime with 1, 10, 100 and 1,000 consumers, and entries of 100 B, 1 kB and 100 kB.
//!
//! `cargo run --release -p benches --bin scale -- --help`

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use benches::contest::{Job, in_own_process};
use benches::machine;
use benches::report::{Table, put, say, show, thousands};
use benches::scale::{Sample, fill, measure};
use benches::usage::Server;
use clap::Parser;
use stream_runtime::testing::RedisServer;

/// Measures one runtime with more and more consumers, each time in a process of its own
#[derive(Parser)]
struct Cli {
    /// How many consumers
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000")]
    consumers: Vec<u64>,
    /// How large an entry is, in bytes
    #[arg(long, value_delimiter = ',', default_value = "100,1000,100000")]
    sizes: Vec<usize>,
    /// How many entries there are at most, of all consumers together
    #[arg(long, default_value_t = 200_000)]
    entries: u64,
    /// How many bytes they have at most
    #[arg(long, default_value_t = 500_000_000)]
    bytes: u64,
    /// How many seconds they are watched idle
    #[arg(long, default_value_t = 20)]
    idle: u64,
    /// Threads of the tokio runtime; 0 runs all in one
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Put the table into this file, between `<!-- scale -->` and `<!-- /scale -->`
    #[arg(long)]
    readme: Option<PathBuf>,
    /// Measure on the server at this port
    #[arg(long, hide = true)]
    port: Option<u16>,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if let Some(port) = cli.port {
        let consumers = *cli.consumers.first().context("no number of consumers")?;
        let job = Job::new(port, String::new(), cli.entries, cli.threads)?;
        show(&serde_json::to_string(&measure(&job, consumers, Duration::from_secs(cli.idle))?)?);
        return Ok(());
    }
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut table = Table::new(&[
        "consumers",
        "bytes an entry",
        "entries/s",
        "MB/s",
        "client CPU, s/million",
        "connections",
        "peak memory, MiB (above start)",
        "idle, % of a core",
        "server idle, % of a core",
    ]);
    let mut machine = String::new();
    for &bytes in &cli.sizes {
        for &consumers in &cli.consumers {
            let server = tokio.block_on(RedisServer::start());
            let share = (cli.entries.min(cli.bytes / bytes as u64) / consumers).max(1);
            say(&format!("{consumers} consumers, {share} entries of {bytes} bytes each"));
            fill(server.port(), consumers, share, bytes)?;
            let entries = share * consumers;
            let sample: Sample = in_own_process(&child(&cli, server.port(), consumers, entries))?;
            table.row(&row(consumers, bytes, entries, &sample));
            machine = machine::describe(&mut Server::connect(server.port())?)?;
        }
    }
    let text = format!(
        "{}\nIdle for {} s, from 2 s after the last entry on. Tokio has {} threads. {machine}.",
        table.finish(),
        cli.idle,
        cli.threads
    );
    show(&text);
    if let Some(file) = &cli.readme {
        put(file, "scale", &text)?;
    }
    Ok(())
}

fn child(cli: &Cli, port: u16, consumers: u64, entries: u64) -> Vec<String> {
    [
        ("--port", port.to_string()),
        ("--consumers", consumers.to_string()),
        ("--entries", entries.to_string()),
        ("--idle", cli.idle.to_string()),
        ("--threads", cli.threads.to_string()),
    ]
    .into_iter()
    .flat_map(|(name, value)| [name.to_owned(), value])
    .collect()
}

fn row(consumers: u64, bytes: usize, entries: u64, sample: &Sample) -> Vec<String> {
    let rate = entries as f64 / sample.seconds;
    let mib = |kib: u64| kib as f64 / 1024.0;
    vec![
        thousands(consumers as f64),
        thousands(bytes as f64),
        thousands(rate),
        format!("{:.0}", rate * bytes as f64 / 1e6),
        format!("{:.2}", sample.client_cpu * 1e6 / entries as f64),
        thousands(sample.connections as f64),
        format!("{:.1} ({:.1})", mib(sample.peak_kib), mib(sample.peak_kib - sample.start_kib)),
        format!("{:.2}", sample.idle_client),
        format!("{:.2}", sample.idle_server),
    ]
}
