//! Whether the server may evict offsets.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::anyhow;
use redis::cmd;

use super::{Server, errors, reply};
use crate::backend::BackendError;

/// Said once per backend: that offsets may be evicted, or that it cannot be told.
#[derive(Default)]
pub(super) struct EvictionWarning {
    said: AtomicBool,
}

impl EvictionWarning {
    fn first_time(&self) -> bool {
        !self.said.swap(true, Ordering::Relaxed)
    }
}

/// Warns when the server may evict offsets.
///
/// An offset that is gone makes its consumer start again from the beginning. An error is left to the command
/// that the caller is about: this one is asked again the next time.
pub(super) async fn warn(server: &Server) {
    if server.eviction_warning.said.load(Ordering::Relaxed) {
        return;
    }
    match evicting_policy(server).await {
        Ok(Some(policy)) if server.eviction_warning.first_time() => tracing::warn!(
            target: "stream_runtime",
            policy,
            "the server may evict offsets: their consumers would start again; use another maxmemory-policy"
        ),
        Ok(None) => server.eviction_warning.said.store(true, Ordering::Relaxed),
        _ => {}
    }
}

/// Refuses to find the end of a stream for a consumer whose offset may be evicted: it would start at the end
/// again, and miss what came between.
pub(super) async fn refuse(server: &Server) -> Result<(), BackendError> {
    match evicting_policy(server).await? {
        None => Ok(()),
        Some(policy) => Err(BackendError::configuration(anyhow!(
            "the server may evict offsets (maxmemory-policy {policy}), so a consumer must not start at the \
             latest entry: use another policy, or start at the beginning or at an id"
        ))),
    }
}

/// The server's policy where it evicts any key; `None` where it does not or won't say.
async fn evicting_policy(server: &Server) -> Result<Option<String>, BackendError> {
    match server.connections.call(cmd("INFO").arg("memory")).await {
        Ok(reply) => {
            let info = reply::text(&reply).unwrap_or_default();
            let policy = info.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
            Ok(policy.filter(|policy| policy.starts_with("allkeys-")).map(str::to_owned))
        }
        Err(error) if errors::is_hidden(&error) => {
            if server.eviction_warning.first_time() {
                tracing::info!(target: "stream_runtime", "INFO is denied: it cannot be told whether the server may evict offsets");
            }
            Ok(None)
        }
        Err(error) => Err(server.error("ask for the eviction policy", &error)),
    }
}
