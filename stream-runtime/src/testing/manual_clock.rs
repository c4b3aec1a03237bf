//! A clock that stands still until it is moved.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::Clock;

/// A wall clock that a test sets by hand. Clones show the same time.
///
/// ```
/// use std::time::Duration;
/// use stream_runtime::testing::ManualClock;
///
/// let time = ManualClock::at_ms(1_760_000_000_000);
/// let clock = time.clock(); // for the code under test
/// let before = clock.now();
/// time.advance(Duration::from_secs(3));
/// assert_eq!(clock.now().duration_since(before).unwrap(), Duration::from_secs(3));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<SystemTime>>);

impl ManualClock {
    /// A clock that shows `ms` milliseconds since 1970.
    pub fn at_ms(ms: u64) -> Self {
        Self(Arc::new(Mutex::new(UNIX_EPOCH + Duration::from_millis(ms))))
    }

    /// The clock to give to the code under test.
    pub fn clock(&self) -> Clock {
        let time = Arc::clone(&self.0);
        Clock::new(move || *time.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets the time, also backward.
    pub fn set_ms(&self, ms: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = UNIX_EPOCH + Duration::from_millis(ms);
    }

    /// Moves the time on.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}
