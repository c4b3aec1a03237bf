//! Wall time that a test can set.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// Where the wall time comes from: the system, or a test.
///
/// It dates things and measures lag. Waiting goes by tokio's clock, which a test can pause.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// A clock that asks `now` each time.
    ///
    /// ```
    /// use std::time::{Duration, UNIX_EPOCH};
    /// use stream_runtime::Clock;
    ///
    /// let noon = Clock::new(|| UNIX_EPOCH + Duration::from_secs(43_200));
    /// assert_eq!(noon.now(), UNIX_EPOCH + Duration::from_secs(43_200));
    /// ```
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The system's clock.
    pub fn system() -> Self {
        Self::new(SystemTime::now)
    }

    /// The time now.
    pub fn now(&self) -> SystemTime {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").finish()
    }
}
