//! On what was measured.

use std::fs;
use std::thread::available_parallelism;

use crate::usage::Server;

/// The machine and the server in a few words.
///
/// # Errors
///
/// The server does not say its version.
pub fn describe(server: &mut Server) -> anyhow::Result<String> {
    let cores = available_parallelism()?;
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unnamed processor", |(_, model)| model);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let redis = server.info("server", "redis_version")?;
    Ok(format!(
        "{cores} cores of {model}, Linux {}, Redis {redis}; client and server on this machine",
        kernel.split('-').next().unwrap_or_default().trim()
    ))
}
