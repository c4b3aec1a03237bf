//! Tells when all entries were handled.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Counts entries down.
#[derive(Debug)]
pub struct Progress {
    left: AtomicU64,
    finished: Notify,
}

impl Progress {
    /// Nothing handled, and so many entries to come.
    pub fn new(entries: u64) -> Self {
        Self { left: AtomicU64::new(entries), finished: Notify::new() }
    }

    /// One more entry was handled.
    pub fn one(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.finished.notify_one();
        }
    }

    /// Waits until the last entry was handled. For one waiter.
    pub async fn finished(&self) {
        self.finished.notified().await;
    }
}
