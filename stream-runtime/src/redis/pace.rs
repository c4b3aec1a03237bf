//! How many entries to ask for, so that a batch has about as many bytes as it may.

use crate::backend::Limit;

/// `XREAD` knows a number of entries and no number of bytes, so the number follows the entries seen.
///
/// It starts at 16 and doubles with each batch that came full, so that the first batches of a stream of giants
/// stay small. Where entries suddenly grow, one batch may have more bytes than it should; the next has not.
pub(super) struct Pace {
    entries: usize,
    /// Rises at once with larger entries, and falls slowly.
    bytes_per_entry: usize,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { entries: 16, bytes_per_entry: 1 }
    }

    /// How many entries to ask for; at least one.
    pub(super) fn count(&self, limit: Limit) -> usize {
        let fitting = limit.bytes / self.bytes_per_entry;
        self.entries.min(fitting).min(limit.entries).max(1)
    }

    /// Takes account of a batch, of which `asked` entries were asked for.
    pub(super) fn learn(&mut self, asked: usize, entries: usize, bytes: usize) {
        let seen = (bytes / entries.max(1)).max(1);
        self.bytes_per_entry = if seen > self.bytes_per_entry {
            seen
        } else {
            (self.bytes_per_entry - (self.bytes_per_entry - seen) / 4).max(1)
        };
        if entries >= asked {
            self.entries = asked.saturating_mul(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { entries: 256, bytes: 1 << 20 };

    /// Reads a stream of entries of `size` bytes that never ends, and returns the counts asked for.
    fn counts(pace: &mut Pace, size: usize, reads: usize) -> Vec<usize> {
        let read = |_| {
            let count = pace.count(LIMIT);
            pace.learn(count, count, count * size);
            count
        };
        (0..reads).map(read).collect()
    }

    #[test]
    fn small_entries_are_soon_read_by_the_full_count() {
        let mut pace = Pace::new();
        assert_eq!(counts(&mut pace, 300, 6), [16, 32, 64, 128, 256, 256]);
    }

    #[test]
    fn large_entries_are_read_by_the_bytes() {
        let mut pace = Pace::new();
        assert_eq!(counts(&mut pace, 100 << 10, 3), [16, 10, 10]);
        assert_eq!(counts(&mut Pace::new(), 3 << 20, 3), [16, 1, 1]);
    }

    #[test]
    fn the_count_grows_again_when_entries_shrink() {
        let mut pace = Pace::new();
        counts(&mut pace, 1 << 20, 3);
        let counts = counts(&mut pace, 100, 60);
        assert_eq!(counts.last(), Some(&256), "{counts:?}");
    }

    #[test]
    fn a_stream_that_trickles_keeps_the_count() {
        let mut pace = Pace::new();
        pace.learn(16, 1, 300);
        assert_eq!(pace.count(LIMIT), 16);
    }
}
