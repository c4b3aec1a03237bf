//! Many consumers in one runtime: how they drain, and what they take when there is nothing to do.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use stream_runtime::{Consumer, Runtime};
use tokio::time::sleep;

use crate::contest::Job;
use crate::ours::{self, NoOp};
use crate::progress::Progress;
use crate::usage::{Server, cpu_seconds, peak_resident_kib, resident_kib};
use crate::wire::{Wire, encode};

/// How long after the last entry it is quiet.
const SETTLE: Duration = Duration::from_secs(2);

/// How many entries are sent before their replies are taken; fewer where they are large.
const CHUNK: usize = 100;

/// What so many consumers took.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Sample {
    /// From before the first connection until the last entry was handled.
    pub seconds: f64,
    /// Processor time until then.
    pub client_cpu: f64,
    /// Connections to the server.
    pub connections: u64,
    /// Resident memory before, in KiB.
    pub start_kib: u64,
    /// The most resident memory ever, in KiB.
    pub peak_kib: u64,
    /// Percent of one core while there was nothing to do.
    pub idle_client: f64,
    /// The same of the server.
    pub idle_server: f64,
}

/// The stream of the consumer of this number.
fn stream(number: u64) -> String {
    format!("scale:{number}")
}

/// Gives each consumer's stream so many entries of one field of so many bytes.
///
/// # Errors
///
/// The server refuses.
pub fn fill(port: u16, consumers: u64, entries: u64, bytes: usize) -> anyhow::Result<()> {
    let mut wire = Wire::connect(port)?;
    let body = vec![b'x'; bytes];
    let numbers: Vec<u64> = (0..consumers * entries).collect();
    let mut commands = Vec::new();
    for chunk in numbers.chunks(CHUNK) {
        commands.clear();
        for number in chunk {
            let stream = stream(number % consumers);
            encode(&mut commands, &[b"XADD", stream.as_bytes(), b"*", b"body", &body]);
        }
        wire.send(&commands)?;
        for _ in chunk {
            wire.string()?;
        }
    }
    Ok(())
}

/// Runs so many consumers, of which each has its share of the job's entries, then leaves them idle.
///
/// # Errors
///
/// Not all entries were handled, or what was taken can't be told.
pub fn measure(job: &Job, consumers: u64, idle: Duration) -> anyhow::Result<Sample> {
    let start_kib = resident_kib()?;
    let recorder = ours::observe()?;
    let progress = Arc::new(Progress::new(job.entries));
    let mut runtime = Runtime::new(ours::backend(job.port)?);
    for number in 0..consumers {
        let handler = NoOp(Arc::clone(&progress));
        runtime = runtime.consumer(Consumer::new(format!("consumer-{number}"), stream(number), handler));
    }
    let handle = runtime.handle();
    let sample = Mutex::new(None);
    job.runtime.spawn(ours::keep_up(recorder));
    let observe = async {
        let observed = observe(job, &progress, start_kib, idle).await;
        *sample.lock().unwrap_or_else(PoisonError::into_inner) = Some(observed);
    };
    job.runtime.block_on(runtime.run(observe))?;
    let handled: u64 = handle.status().iter().map(|status| status.counts.handled).sum();
    ensure!(handled == job.entries, "{handled} of {} entries were handled", job.entries);
    sample.into_inner().unwrap_or_else(PoisonError::into_inner).context("nothing was observed")?
}

/// What the runtime takes, while it runs.
async fn observe(job: &Job, progress: &Progress, start_kib: u64, idle: Duration) -> anyhow::Result<Sample> {
    let mut server = Server::connect(job.port)?;
    let (client_before, started) = (cpu_seconds()?, Instant::now());
    progress.finished().await;
    let seconds = started.elapsed().as_secs_f64();
    let client_cpu = cpu_seconds()? - client_before;
    sleep(SETTLE).await;
    // One of them asks.
    let connections = server.info("clients", "connected_clients")?.parse::<u64>()? - 1;
    let (client, other, quiet) = (cpu_seconds()?, server.cpu_seconds()?, Instant::now());
    sleep(idle).await;
    let quiet = quiet.elapsed().as_secs_f64();
    Ok(Sample {
        seconds,
        client_cpu,
        connections,
        start_kib,
        peak_kib: peak_resident_kib()?,
        idle_client: (cpu_seconds()? - client) / quiet * 100.0,
        idle_server: (server.cpu_seconds()? - other) / quiet * 100.0,
    })
}
