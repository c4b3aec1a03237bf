//! Contenders take turns, each in a process of its own, on one backlog.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use crate::report::say;
use crate::stats::Spread;
use crate::usage::{Server, cpu_seconds, peak_resident_kib, resident_kib};
use crate::{backlog, usage};

/// One way to drain a stream.
#[derive(Clone, Copy, Debug)]
pub struct Contender {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its name in tables.
    pub label: &'static str,
    /// Whether it waits for the server once an entry or more often: then it drains a shorter backlog, of the same
    /// entries, so that a round ends.
    pub slow: bool,
    /// Removes what an earlier round left. Not measured.
    pub prepare: fn(&Job) -> anyhow::Result<()>,
    /// Drains the job's stream, and sees for itself that nothing was missed.
    pub run: fn(&Job) -> anyhow::Result<()>,
}

/// What there is to drain.
#[derive(Debug)]
pub struct Job {
    /// The server's port on 127.0.0.1.
    pub port: u16,
    /// The stream.
    pub stream: String,
    /// How many entries it has, as [`backlog::fill`] made them.
    pub entries: u64,
    /// For those that are async. It outlives the contender's work, since the processor time of its threads is read
    /// behind that.
    pub runtime: Runtime,
}

impl Job {
    /// The job on this stream, with a tokio runtime of so many threads; 0 is one that runs in the caller's.
    ///
    /// # Errors
    ///
    /// The system has no threads to give.
    pub fn new(port: u16, stream: String, entries: u64, threads: usize) -> anyhow::Result<Self> {
        let runtime = match threads {
            0 => Builder::new_current_thread().enable_all().build()?,
            threads => Builder::new_multi_thread().worker_threads(threads).enable_all().build()?,
        };
        Ok(Self { port, stream, entries, runtime })
    }

    /// The server's URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The id of the last entry.
    pub fn last_id(&self) -> String {
        backlog::id(self.entries - 1)
    }

    /// Removes what is stored at `key`.
    ///
    /// # Errors
    ///
    /// The server refuses.
    pub fn forget(&self, key: &str) -> anyhow::Result<()> {
        Server::connect(self.port)?.forget(key)
    }

    /// Looks whether what is stored at `key` names the last entry.
    ///
    /// # Errors
    ///
    /// It names another, or there is nothing.
    pub fn check_offset(&self, key: &str) -> anyhow::Result<()> {
        let offset = Server::connect(self.port)?.get(key)?;
        let last = self.last_id();
        ensure!(offset.contains(&last), "the offset is {offset:?} and not at {last}");
        Ok(())
    }
}

/// What one contender took in one round.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Sample {
    /// Entries drained.
    pub entries: u64,
    /// From before the first connection until the last offset is durable.
    pub seconds: f64,
    /// Processor time of the contender.
    pub client_cpu: f64,
    /// Processor time of the server meanwhile.
    pub server_cpu: f64,
    /// Resident memory before, in KiB.
    pub start_kib: u64,
    /// The most resident memory ever, in KiB.
    pub peak_kib: u64,
}

/// Runs one contender in this process.
///
/// # Errors
///
/// It fails, or what it took can't be told.
pub fn measure(contender: &Contender, job: &Job) -> anyhow::Result<Sample> {
    (contender.prepare)(job)?;
    let mut server = Server::connect(job.port)?;
    let start_kib = resident_kib()?;
    let (server_before, client_before) = (server.cpu_seconds()?, cpu_seconds()?);
    let started = Instant::now();
    (contender.run)(job)?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(Sample {
        entries: job.entries,
        seconds,
        client_cpu: usage::cpu_seconds()? - client_before,
        server_cpu: server.cpu_seconds()? - server_before,
        start_kib,
        peak_kib: peak_resident_kib()?,
    })
}

/// All rounds of one contender.
#[derive(Debug)]
pub struct Standing {
    /// Whose.
    pub contender: Contender,
    samples: Vec<Sample>,
}

impl Standing {
    /// Entries a second.
    pub fn rate(&self) -> Spread {
        self.spread(|sample| sample.entries as f64 / sample.seconds)
    }

    /// Processor seconds of the contender for a million entries.
    pub fn client_cpu(&self) -> Spread {
        self.spread(|sample| sample.client_cpu * 1e6 / sample.entries as f64)
    }

    /// Processor seconds of the server for a million entries.
    pub fn server_cpu(&self) -> Spread {
        self.spread(|sample| sample.server_cpu * 1e6 / sample.entries as f64)
    }

    /// The most resident memory, in MiB.
    pub fn peak_mib(&self) -> Spread {
        self.spread(|sample| sample.peak_kib as f64 / 1024.0)
    }

    /// How far that is above the memory before the start, in MiB.
    pub fn growth_mib(&self) -> Spread {
        self.spread(|sample| (sample.peak_kib - sample.start_kib) as f64 / 1024.0)
    }

    fn spread(&self, value: impl Fn(&Sample) -> f64) -> Spread {
        let none = Spread { median: f64::NAN, min: f64::NAN, max: f64::NAN };
        Spread::of(self.samples.iter().map(value)).unwrap_or(none)
    }
}

/// Has the contenders take turns, A B C A B C, each in a process of its own: this program with the arguments that
/// `args` gives for it, which prints its [`Sample`] as JSON.
///
/// # Errors
///
/// A contender fails.
pub fn take_turns(
    contenders: &[Contender],
    rounds: usize,
    args: impl Fn(&Contender) -> Vec<String>,
) -> anyhow::Result<Vec<Standing>> {
    let start = |contender: &Contender| Standing { contender: *contender, samples: Vec::new() };
    let mut standings: Vec<Standing> = contenders.iter().map(start).collect();
    for round in 1..=rounds {
        for standing in &mut standings {
            let name = standing.contender.name;
            let sample: Sample =
                in_own_process(&args(&standing.contender)).with_context(|| format!("contender {name}"))?;
            say(&format!("round {round}: {name}: {:.0} a second", sample.entries as f64 / sample.seconds));
            standing.samples.push(sample);
        }
    }
    Ok(standings)
}

/// Starts this program again with these arguments, and reads what it prints as JSON.
///
/// # Errors
///
/// It fails; what it wrote on standard error has been seen.
pub fn in_own_process<T: for<'json> Deserialize<'json>>(args: &[String]) -> anyhow::Result<T> {
    let program = std::env::current_exe()?;
    let output = Command::new(program).args(args).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "ended with {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}
