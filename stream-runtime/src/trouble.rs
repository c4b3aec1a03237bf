//! What failed against the backend, told once and then ever more rarely, and how long to wait.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;

use crate::backend::{BackendError, ErrorKind};
use crate::backoff::{Backoff, Jitter};
use crate::status::{StatusCell, Work};

/// The waits after an error that may pass by itself.
const TRANSIENT: Backoff = Backoff { min: Duration::from_millis(100), max: Duration::from_secs(5) };

/// The waits after an error that passes only when somebody changes something.
const CONFIGURATION: Backoff = Backoff { min: Duration::from_secs(5), max: Duration::from_secs(30) };

pub(crate) const FAILURES: &str = "stream_runtime_failures_total";

/// The failures in a row of one kind of work.
pub(crate) struct Trouble {
    work: Work,
    status: Arc<StatusCell>,
    jitter: Jitter,
    failures: u64,
}

impl Trouble {
    pub(crate) fn new(work: Work, status: Arc<StatusCell>, jitter: Jitter) -> Self {
        Self { work, status, jitter, failures: 0 }
    }

    /// It failed: says so, and returns how long to wait before the next try.
    pub(crate) fn happened(&mut self, error: &BackendError) -> Duration {
        let backoff = match error.kind() {
            ErrorKind::Configuration => CONFIGURATION,
            ErrorKind::Transient | ErrorKind::Conflict | ErrorKind::Superseded => TRANSIENT,
        };
        let delay = backoff.delay(self.failures, &self.jitter);
        self.failures += 1;
        self.status.trouble(self.work, error);
        self.count(error);
        self.log(error, delay);
        delay
    }

    /// It works again.
    pub(crate) fn over(&mut self) {
        if self.failures == 0 {
            return;
        }
        self.status.trouble_over(self.work);
        tracing::info!(
            target: "stream_runtime",
            consumer = self.status.consumer(),
            stream = self.status.stream(),
            work = self.work.as_str(),
            failures = self.failures,
            "works again",
        );
        self.failures = 0;
    }

    fn count(&self, error: &BackendError) {
        counter!(
            FAILURES,
            "consumer" => self.status.consumer().to_owned(),
            "stream" => self.status.stream().to_owned(),
            "work" => self.work.as_str(),
            "kind" => error.kind().as_str(),
        )
        .increment(1);
    }

    /// The 1st, 2nd, 4th, 8th … failure in a row: an outage is seen and does not fill the log.
    fn log(&self, error: &BackendError, delay: Duration) {
        if !self.failures.is_power_of_two() {
            return;
        }
        let (consumer, stream, work) = (self.status.consumer(), self.status.stream(), self.work.as_str());
        let (failures, err) = (self.failures, error.to_string());
        match error.kind() {
            ErrorKind::Transient => tracing::warn!(
                target: "stream_runtime", consumer, stream, work, failures, ?delay, err,
                "backend failed; trying again",
            ),
            ErrorKind::Configuration => tracing::error!(
                target: "stream_runtime", consumer, stream, work, failures, ?delay, err,
                "backend refuses; trying again slowly, but somebody has to change something",
            ),
            ErrorKind::Conflict | ErrorKind::Superseded => tracing::error!(
                target: "stream_runtime", consumer, stream, work, failures, ?delay, err,
                "the stored offset was changed by somebody else; loading it again",
            ),
        }
    }
}
