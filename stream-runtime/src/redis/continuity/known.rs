//! What is known of a stream since the last check, and its text in a checkpoint.

use std::fmt::Write;
use std::mem;
use std::str::{FromStr, SplitAsciiWhitespace};

use super::position::{Content, Position};
use crate::entry::EntryId;

/// How many older positions are remembered.
const MILESTONES: usize = 6;

/// The first word of the text.
const VERSION: &str = "1";

/// What the last check found. It changes with each check, and is shared by all checkpoints in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Where the consumer stood.
    pub(super) verified: Position,
    /// Up to here it is known how many entries were lost.
    pub(super) settled: EntryId,
    /// Of the first so many entries of the stream, some were removed before they were read.
    pub(super) unread: u64,
    /// The stream as it was then; `None` before the first check.
    pub(super) seen: Option<Seen>,
    /// Some of the positions that were verified before, from the oldest on.
    pub(super) milestones: Vec<Position>,
}

/// A stream as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its end.
    pub(super) last: Position,
    /// How many entries were removed from it.
    pub(super) removed: Option<u64>,
}

impl Known {
    /// Nothing is known but where the consumer stands.
    pub(super) fn nothing(verified: Position) -> Self {
        Self { verified, settled: verified.id, unread: 0, seen: None, milestones: Vec::new() }
    }

    /// Moves on in a stream that begins at `first`, and remembers the position left behind where an entry was.
    pub(super) fn move_to(&mut self, position: Position, first: Option<EntryId>) {
        let left = mem::replace(&mut self.verified, position);
        if left.id < position.id && matches!(left.content, Content::Digest(_)) {
            self.milestones.push(left);
        }
        if self.milestones.len() > MILESTONES {
            let oldest_is_gone = first.is_some_and(|first| self.milestones[0].id < first);
            let least = if oldest_is_gone { 0 } else { least_missed(&self.milestones, position.id) };
            self.milestones.remove(least);
        }
    }

    /// The text of a checkpoint at `at`, whose id is stored beside it.
    pub(super) fn text(&self, at: &Position) -> String {
        let mut text = format!("{VERSION} {at} {} {} {}", self.verified, self.settled, self.unread);
        // Writing to a string does not fail.
        let _ = match &self.seen {
            None => write!(text, " -"),
            Some(Seen { last, removed: None }) => write!(text, " {last}/?"),
            Some(Seen { last, removed: Some(removed) }) => write!(text, " {last}/{removed}"),
        };
        for milestone in &self.milestones {
            let _ = write!(text, " {milestone}");
        }
        text
    }

    /// Where a checkpoint stands, and what was known there.
    pub(super) fn parse(text: &str) -> Option<(Position, Self)> {
        let mut words = text.split_ascii_whitespace();
        if words.next() != Some(VERSION) {
            return None;
        }
        let at = word(&mut words)?;
        let verified = word(&mut words)?;
        let settled = word(&mut words)?;
        let unread = word(&mut words)?;
        let seen = match words.next()? {
            "-" => None,
            text => {
                let (last, removed) = text.split_once('/')?;
                let removed = if removed == "?" { None } else { Some(removed.parse().ok()?) };
                Some(Seen { last: last.parse().ok()?, removed })
            }
        };
        let milestones = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
        Some((at, Self { verified, settled, unread, seen, milestones }))
    }
}

fn word<T: FromStr>(words: &mut SplitAsciiWhitespace<'_>) -> Option<T> {
    words.next()?.parse().ok()
}

/// The milestone that is missed least: the distances grow with the age, so that after a rollback, however long, about
/// as much is read again as was lost.
fn least_missed(milestones: &[Position], now: EntryId) -> usize {
    let age = |position: &Position| now.ms.saturating_sub(position.id.ms) as f64;
    // The age of the older neighbour against that of the younger. The oldest has none: it stays.
    let gap = |index: usize| {
        let younger = milestones.get(index + 1).map_or(0.0, age);
        age(&milestones[index - 1]) / (younger + 1.0)
    };
    (1..milestones.len()).min_by(|a, b| gap(*a).total_cmp(&gap(*b))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(ms: u64) -> Position {
        Position { id: EntryId::new(ms, 0), count: Some(ms), content: Content::Digest(ms) }
    }

    #[test]
    fn what_is_known_is_read_as_it_is_written() {
        let mut known = Known::nothing(position(1));
        for removed in [None, Some(3)] {
            known.move_to(position(known.verified.id.ms + 1), None);
            for seen in [None, Some(Seen { last: position(9), removed })] {
                known.seen = seen;
                let text = known.text(&position(5));
                assert_eq!(Known::parse(&text), Some((position(5), known.clone())), "{text}");
            }
        }
    }

    #[test]
    fn what_is_not_ours_is_not_read() {
        for text in ["", "2", "1 5-0:1:-", "1 5-0:1:- 5-0:1:- 5-0 0", "2 5-0:1:- 5-0:1:- 5-0 0 -"] {
            assert_eq!(Known::parse(text), None, "{text}");
        }
        assert!(Known::parse("1 5-0:1:- 5-0:1:- 5-0 0 -").is_some());
        assert!(Known::parse("1 5-0:1:- 5-0:1:- 5-0 0 - x").is_none());
    }

    #[test]
    fn the_distances_of_the_milestones_grow_with_their_age() {
        let mut known = Known::nothing(position(1));
        for ms in 2..100_000 {
            known.move_to(position(ms), None);
        }
        let ages: Vec<u64> = known.milestones.iter().map(|old| 99_999 - old.id.ms).collect();
        assert_eq!(ages.len(), MILESTONES);
        assert!(ages.windows(2).all(|pair| pair[0] <= 100 * pair[1].max(1)), "{ages:?}");
        assert!(ages[MILESTONES - 1] < 10, "{ages:?}");
        assert!(known.text(&position(100_000)).len() < 500);
    }

    #[test]
    fn milestones_that_were_trimmed_go_first() {
        let mut known = Known::nothing(position(1));
        for ms in 2..20 {
            known.move_to(position(ms), Some(EntryId::new(ms - 2, 0)));
        }
        assert!(known.milestones[0].id.ms > 10, "{:?}", known.milestones);
    }
}
