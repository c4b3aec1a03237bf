//! Who waits for entries of which stream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// One [`Notify`] per stream that somebody reads.
#[derive(Default)]
pub(super) struct Wakes(Mutex<HashMap<String, Arc<Notify>>>);

impl Wakes {
    /// What is notified of each change of the stream.
    pub(super) fn of(&self, stream: &str) -> Arc<Notify> {
        let mut wakes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(wakes.entry(stream.to_owned()).or_default())
    }

    /// Wakes those who wait now.
    pub(super) fn wake(&self, stream: &str) {
        let wakes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wake) = wakes.get(stream) {
            wake.notify_waiters();
        }
    }
}
