//! The position of an entry in its stream.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The id of an entry: milliseconds and a sequence number, ordered as Redis orders them.
///
/// It is written `ms-seq`, both unsigned 64-bit numbers; `ms` alone stands for `ms-0`, as
/// [Redis reads it](https://redis.io/docs/latest/develop/data-types/streams/#entry-ids).
///
/// ```
/// use stream_runtime::EntryId;
///
/// let id: EntryId = "1526919030474-55".parse()?;
/// assert_eq!((id.ms, id.seq), (1526919030474, 55));
/// assert_eq!("7".parse::<EntryId>()?, EntryId::new(7, 0));
/// assert!(id < EntryId::new(1526919030475, 0));
/// assert_eq!(id.to_string(), "1526919030474-55");
/// # Ok::<(), stream_runtime::ParseEntryIdError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// The first half: by default the milliseconds since 1970 of the server's clock.
    pub ms: u64,
    /// The second half: tells entries of one millisecond apart.
    pub seq: u64,
}

impl EntryId {
    /// `0-0`: before every entry. No entry can have this id.
    pub const ZERO: Self = Self::new(0, 0);

    /// The greatest id there is.
    pub const MAX: Self = Self::new(u64::MAX, u64::MAX);

    /// The id `ms-seq`.
    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// The smallest id after this one, or `None` after [`EntryId::MAX`].
    pub fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self::new(self.ms, seq)),
            None => self.ms.checked_add(1).map(|ms| Self::new(ms, 0)),
        }
    }

    /// The id that bytes spell, as [`str::parse`] reads it; `None` where they spell none.
    pub(crate) fn from_bytes(text: &[u8]) -> Option<Self> {
        let dash = text.iter().position(|&byte| byte == b'-');
        let (ms, seq) = dash.map_or((text, &b"0"[..]), |dash| (&text[..dash], &text[dash + 1..]));
        Some(Self { ms: number(ms)?, seq: number(seq)? })
    }

    /// How long before `now` the entry was added, by its id.
    ///
    /// Two clocks are compared, the server's and ours: the result is never negative, and ids that were
    /// given explicitly and mean no time saturate.
    pub fn age(self, now: SystemTime) -> Duration {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        now.saturating_sub(Duration::from_millis(self.ms))
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

impl FromStr for EntryId {
    type Err = ParseEntryIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(text.as_bytes())
            .ok_or_else(|| ParseEntryIdError { text: text.chars().take(64).collect() })
    }
}

/// A number in decimal digits, at least one and no more than fit, maybe after a plus, as Redis reads it.
fn number(text: &[u8]) -> Option<u64> {
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    let add = |number: u64, digit: &u8| {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 { None } else { number.checked_mul(10)?.checked_add(digit.into()) }
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add) }
}

/// A text that is no entry id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseEntryIdError {
    /// What was to be an id, its first 64 characters.
    text: String,
}

impl fmt::Display for ParseEntryIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no entry id: expected `ms` or `ms-seq`, two unsigned 64-bit numbers", self.text)
    }
}

impl Error for ParseEntryIdError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_parse_and_display_as_redis_writes_them() {
        for (text, id) in [
            ("0-0", EntryId::ZERO),
            ("5", EntryId::new(5, 0)),
            ("5-7", EntryId::new(5, 7)),
            ("18446744073709551615-18446744073709551615", EntryId::MAX),
        ] {
            assert_eq!(text.parse(), Ok(id), "{text}");
        }
        assert_eq!(EntryId::MAX.to_string(), "18446744073709551615-18446744073709551615");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "-",
            "-1",
            "1-",
            "1-2-3",
            " 1-2",
            "1-2 ",
            "a-1",
            "18446744073709551616-0",
            "$",
            "1.5",
            "++1",
            "+",
        ] {
            assert!(text.parse::<EntryId>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn ids_order_by_time_and_then_by_sequence() {
        assert!(EntryId::new(1, u64::MAX) < EntryId::new(2, 0));
        assert!(EntryId::new(2, 9) < EntryId::new(2, 10));
    }

    #[test]
    fn the_next_id_carries_over_and_ends() {
        assert_eq!(EntryId::new(1, 1).next(), Some(EntryId::new(1, 2)));
        assert_eq!(EntryId::new(1, u64::MAX).next(), Some(EntryId::new(2, 0)));
        assert_eq!(EntryId::MAX.next(), None);
    }

    #[test]
    fn age_is_clamped_at_zero_and_saturates() {
        let now = UNIX_EPOCH + Duration::from_millis(1_000);
        assert_eq!(EntryId::new(400, 0).age(now), Duration::from_millis(600));
        assert_eq!(EntryId::new(5_000, 0).age(now), Duration::ZERO);
        assert_eq!(EntryId::MAX.age(now), Duration::ZERO);
    }
}
