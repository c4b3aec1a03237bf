//! What a process took: processor time and memory, by what the kernel and the server say.

use std::fs;

use anyhow::Context;

use crate::wire::{Wire, encode};

/// Processor time of this process so far in seconds, all its living threads together.
///
/// By `schedstat`, which counts nanoseconds where `stat` counts hundredths of a second. Threads that have ended are
/// not in it, so ask while those that did the work are still there.
///
/// # Errors
///
/// The kernel does not tell.
pub fn cpu_seconds() -> anyhow::Result<f64> {
    let mut nanos = 0;
    for task in fs::read_dir("/proc/self/task")? {
        // A thread may end between the two reads.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let first = text.split(' ').next().unwrap_or_default();
        nanos += first.parse::<u64>().with_context(|| format!("schedstat {text:?}"))?;
    }
    Ok(nanos as f64 / 1e9)
}

/// Resident memory of this process now, in KiB.
///
/// # Errors
///
/// The kernel does not tell.
pub fn resident_kib() -> anyhow::Result<u64> {
    status_kib("VmRSS:")
}

/// The most that the resident memory of this process ever was, in KiB.
///
/// # Errors
///
/// The kernel does not tell.
pub fn peak_resident_kib() -> anyhow::Result<u64> {
    status_kib("VmHWM:")
}

fn status_kib(name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context(name.to_owned())?;
    Ok(line.trim_end_matches("kB").trim().parse()?)
}

/// A connection to ask the server about itself.
#[derive(Debug)]
pub struct Server(Wire);

impl Server {
    /// Connects to the server on this port.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub fn connect(port: u16) -> anyhow::Result<Self> {
        Ok(Self(Wire::connect(port)?))
    }

    /// Processor time of the server so far, in seconds.
    ///
    /// # Errors
    ///
    /// It does not tell.
    pub fn cpu_seconds(&mut self) -> anyhow::Result<f64> {
        let user: f64 = self.info("cpu", "used_cpu_user")?.parse()?;
        let system: f64 = self.info("cpu", "used_cpu_sys")?.parse()?;
        Ok(user + system)
    }

    /// One line of a section of `INFO`.
    ///
    /// # Errors
    ///
    /// There is no such line.
    pub fn info(&mut self, section: &str, name: &str) -> anyhow::Result<String> {
        let info = self.ask(&["INFO", section])?;
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(value.with_context(|| format!("no {name} in INFO {section}"))?.trim().to_owned())
    }

    /// What is stored at this key.
    ///
    /// # Errors
    ///
    /// There is nothing.
    pub fn get(&mut self, key: &str) -> anyhow::Result<String> {
        self.ask(&["GET", key]).with_context(|| format!("GET {key}"))
    }

    /// Removes what is stored at this key.
    ///
    /// # Errors
    ///
    /// The server refuses.
    pub fn forget(&mut self, key: &str) -> anyhow::Result<()> {
        self.ask(&["EVAL", "redis.call('DEL', KEYS[1]) return ''", "1", key]).map(drop)
    }

    /// Runs a command that answers a string.
    ///
    /// # Errors
    ///
    /// It answers something else.
    pub fn ask(&mut self, args: &[&str]) -> anyhow::Result<String> {
        let mut command = Vec::new();
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        encode(&mut command, &args);
        self.0.send(&command)?;
        Ok(String::from_utf8_lossy(self.0.string()?).into_owned())
    }
}
