//! The drain contest: fills a backlog, has contenders drain it in turns, and shows how they stand.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use stream_runtime::testing::RedisServer;

use crate::contest::{Contender, Job, Standing, measure, take_turns};
use crate::report::{Table, put, say, show, thousands};
use crate::stats::Spread;
use crate::usage::Server;
use crate::{backlog, chart, machine};

/// What a drain program can be told.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// How many entries the backlog has
    #[arg(long, default_value_t = 200_000)]
    pub entries: u64,
    /// How many entries those drain at most that wait for the server at each
    #[arg(long, default_value_t = 100_000)]
    pub slow_entries: u64,
    /// How often each contender has its turn
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Only these contenders
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// Threads of the tokio runtime; 0 runs all in one
    #[arg(long, default_value_t = 2)]
    pub threads: usize,
    /// Put the table into this file, between `<!-- name -->` and `<!-- /name -->`
    #[arg(long, requires = "name")]
    pub readme: Option<PathBuf>,
    /// The name of the table in that file
    #[arg(long)]
    pub name: Option<String>,
    /// Draw the rates into this file
    #[arg(long)]
    pub svg: Option<PathBuf>,
    /// Be this contender, on the server at --port
    #[arg(long, hide = true, requires = "port")]
    pub contend: Option<String>,
    /// The server's port
    #[arg(long, hide = true)]
    pub port: Option<u16>,
}

/// A column that compares rates with the fastest of some.
#[derive(Debug)]
pub struct Ratio {
    /// Its head.
    pub head: &'static str,
    /// The names of those to compare with.
    pub against: &'static [&'static str],
}

/// Who drains what, and how they are compared.
#[derive(Debug)]
pub struct Contest {
    /// The stream.
    pub stream: &'static str,
    /// Those who take turns.
    pub contenders: Vec<Contender>,
    /// The columns that compare them.
    pub ratios: &'static [Ratio],
}

/// Runs the contest, or the one contender that the options name.
///
/// # Errors
///
/// A contender fails.
pub fn run(contest: &Contest, options: &Options) -> anyhow::Result<()> {
    let Contest { stream, contenders, ratios } = contest;
    if let (Some(name), Some(port)) = (&options.contend, options.port) {
        let contender =
            contenders.iter().find(|contender| contender.name == name).context("no such contender")?;
        let job = Job::new(
            port,
            stream_of(contender, stream, options),
            entries(contender, options),
            options.threads,
        )?;
        show(&serde_json::to_string(&measure(contender, &job)?)?);
        return Ok(());
    }
    let wanted = |contender: &&Contender| {
        options.only.is_empty() || options.only.iter().any(|name| name == contender.name)
    };
    let contenders: Vec<Contender> = contenders.iter().filter(wanted).copied().collect();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let server = tokio.block_on(RedisServer::start());
    fill(&server, stream, &contenders, options)?;
    let standings =
        take_turns(&contenders, options.rounds, |contender| child(contender, server.port(), options))?;
    let machine = machine::describe(&mut Server::connect(server.port())?)?;
    publish(&standings, ratios, &machine, options)
}

fn entries(contender: &Contender, options: &Options) -> u64 {
    if contender.slow { options.entries.min(options.slow_entries) } else { options.entries }
}

/// Where it drains: a stream of its own for those that are slow, so that all drain whole streams.
fn stream_of(contender: &Contender, stream: &str, options: &Options) -> String {
    let entries = entries(contender, options);
    if entries < options.entries { format!("first-{entries}-of-{stream}") } else { stream.to_owned() }
}

fn fill(
    server: &RedisServer,
    stream: &str,
    contenders: &[Contender],
    options: &Options,
) -> anyhow::Result<()> {
    let mut streams: Vec<_> = contenders
        .iter()
        .map(|contender| (stream_of(contender, stream, options), entries(contender, options)))
        .collect();
    streams.sort();
    streams.dedup();
    for (stream, entries) in streams {
        say(&format!("filling {stream} with {} entries", thousands(entries as f64)));
        backlog::fill(server.port(), &stream, entries)?;
    }
    Ok(())
}

/// The arguments that make this program one contender.
fn child(contender: &Contender, port: u16, options: &Options) -> Vec<String> {
    [
        ("--contend", contender.name.to_owned()),
        ("--port", port.to_string()),
        ("--entries", options.entries.to_string()),
        ("--slow-entries", options.slow_entries.to_string()),
        ("--threads", options.threads.to_string()),
    ]
    .into_iter()
    .flat_map(|(name, value)| [name.to_owned(), value])
    .collect()
}

fn publish(standings: &[Standing], ratios: &[Ratio], machine: &str, options: &Options) -> anyhow::Result<()> {
    let text = format!("{}\n{}", table(standings, ratios), conditions(machine, options));
    show(&text);
    if let (Some(file), Some(name)) = (&options.readme, &options.name) {
        put(file, name, &text)?;
    }
    if let Some(file) = &options.svg {
        let title = format!("Entries a second, drain of {}", thousands(options.entries as f64));
        std::fs::write(file, chart::draw(&title, standings))?;
    }
    Ok(())
}

fn conditions(machine: &str, options: &Options) -> String {
    let Options { entries, slow_entries, rounds, threads, .. } = options;
    let mut text = format!(
        "Medians (min–max) of {rounds} rounds in turns; {} entries, {} for those that wait for the server at each. ",
        thousands(*entries as f64),
        thousands(*entries.min(slow_entries) as f64),
    );
    // Writing to a string cannot fail.
    let _ = write!(text, "Tokio has {threads} threads. {machine}.");
    text
}

fn table(standings: &[Standing], ratios: &[Ratio]) -> String {
    let mut heads = vec![
        "",
        "entries/s",
        "client CPU, s/million",
        "server CPU, s/million",
        "peak memory, MiB (above start)",
    ];
    heads.extend(ratios.iter().map(|ratio| ratio.head));
    let mut table = Table::new(&heads);
    for standing in standings {
        let Spread { median, min, max } = standing.rate();
        let mut cells = vec![
            standing.contender.label.to_owned(),
            format!("{} ({}–{})", thousands(median), thousands(min), thousands(max)),
            format!("{:.2}", standing.client_cpu().median),
            format!("{:.2}", standing.server_cpu().median),
            format!("{:.1} ({:.1})", standing.peak_mib().median, standing.growth_mib().median),
        ];
        cells.extend(ratios.iter().map(|ratio| ratio.cell(median, standings)));
        table.row(&cells);
    }
    table.finish()
}

impl Ratio {
    fn cell(&self, rate: f64, standings: &[Standing]) -> String {
        let others = standings.iter().filter(|standing| self.against.contains(&standing.contender.name));
        let rates = Spread::of(others.map(|standing| standing.rate().median));
        rates.map_or_else(String::new, |fastest| format!("{:.2}", rate / fastest.max))
    }
}
