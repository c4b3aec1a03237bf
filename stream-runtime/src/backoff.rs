//! How long to wait before the next try.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Exponential waits with jitter, from `min` to `max`.
///
/// The n-th wait is drawn from the upper half of `min * 2^n … min * 2^(n+1)`'s bound, both cut at `max`: never
/// below `min`, never above `max`, and apart from each other also when `max` is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

impl Backoff {
    /// The wait before the try after `failures` failed ones (0: the first).
    pub(crate) fn delay(&self, failures: u64, jitter: &Jitter) -> Duration {
        let doublings = u32::try_from(failures.saturating_add(1)).unwrap_or(u32::MAX);
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        let high = self.min.saturating_mul(factor).min(self.max);
        let low = (high / 2).max(self.min).min(high);
        low + (high - low).mul_f64(jitter.next())
    }
}

/// Random numbers for waits. Clones draw from one sequence, so that no two of them wait alike.
#[derive(Clone, Debug)]
pub(crate) struct Jitter(Arc<AtomicU64>);

impl Jitter {
    /// A sequence of its own, from the randomness that the standard library seeds its hash maps with.
    pub(crate) fn new() -> Self {
        Self::seeded(RandomState::new().build_hasher().finish())
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }

    /// The next number, at least 0 and below 1 (SplitMix64's upper 53 bits).
    fn next(&self) -> f64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
        let upper = (z >> 11) as f64;
        upper / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { min: Duration::from_millis(100), max: Duration::from_secs(30) };

    #[test]
    fn waits_double_within_their_bounds() {
        let jitter = Jitter::seeded(1);
        for (failures, low, high) in
            [(0, 100, 200), (1, 200, 400), (2, 400, 800), (7, 12_800, 25_600), (8, 15_000, 30_000)]
        {
            for _ in 0..100 {
                let delay = BACKOFF.delay(failures, &jitter);
                let bounds = Duration::from_millis(low)..=Duration::from_millis(high);
                assert!(bounds.contains(&delay), "{failures} failures: {delay:?} is not within {bounds:?}");
            }
        }
    }

    #[test]
    fn waits_differ_also_at_the_cap_and_between_clones() {
        let jitter = Jitter::new();
        let first = BACKOFF.delay(u64::MAX, &jitter);
        let second = BACKOFF.delay(u64::MAX, &jitter.clone());
        assert_ne!(first, second);
        assert!(first <= BACKOFF.max && second <= BACKOFF.max);
    }

    #[test]
    fn a_wait_of_equal_bounds_is_that_wait() {
        let backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(1) };
        assert_eq!(backoff.delay(3, &Jitter::new()), Duration::from_secs(1));
    }
}
