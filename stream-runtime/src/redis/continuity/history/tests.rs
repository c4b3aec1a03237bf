//! Each verdict by itself.

use Finding::{Deleted, HistoryLost, Recreated, Trimmed};

use super::*;

/// A stream: ids with their entries' contents, and its counters.
#[derive(Clone)]
struct Stream {
    entries: Vec<(u64, u64)>,
    added: u64,
    last: u64,
    deleted: u64,
}

/// A stream of these entries, each its id's content, of which none was removed.
fn stream(ids: impl IntoIterator<Item = u64>) -> Stream {
    let entries: Vec<_> = ids.into_iter().map(|id| (id, id)).collect();
    let last = entries.last().map_or(0, |(id, _)| *id);
    Stream { added: entries.len() as u64, entries, last, deleted: 0 }
}

impl Stream {
    /// Cuts off all before an id.
    fn trimmed(mut self, first: u64) -> Self {
        self.entries.retain(|(id, _)| *id >= first);
        self
    }

    fn deleted(mut self, deleted: u64) -> Self {
        self.entries.retain(|(id, _)| *id != deleted);
        self.deleted = self.deleted.max(deleted);
        self
    }

    /// Another entry has this id.
    fn other(mut self, id: u64) -> Self {
        self.entries.iter_mut().filter(|(found, _)| *found == id).for_each(|(_, content)| *content += 1000);
        self
    }

    fn snapshot(&self, ids: &[EntryId]) -> Snapshot {
        let digest = |id: EntryId| {
            let found = self.entries.iter().find(|(found, _)| at(*found) == id);
            found.map_or("-".to_owned(), |(id, content)| Content::of(&entry(*id, *content)).to_string())
        };
        let first = self.entries.first().map_or("-".to_owned(), |(id, _)| at(*id).to_string());
        let at_end = self.deleted == self.last && self.entries.iter().all(|(id, _)| at(*id) <= ids[0]);
        let mut answer = format!(
            "master {} {} {} {first} {} {} {}",
            self.added,
            self.entries.len(),
            at(self.last),
            at(self.deleted),
            u8::from(at_end),
            digest(at(self.last)),
        );
        for id in ids {
            answer = format!("{answer} {}", digest(*id));
        }
        Snapshot::parse(&answer, ids).unwrap()
    }
}

fn at(ms: u64) -> EntryId {
    EntryId::new(ms, 0)
}

fn entry(id: u64, content: u64) -> Entry {
    Entry::new("s", at(id), [("t", content.to_string())])
}

fn entries(ids: impl IntoIterator<Item = u64>) -> Arc<[Entry]> {
    ids.into_iter().map(|id| entry(id, id)).collect()
}

/// What a check finds, and where it goes on.
fn check(history: &mut History, stream: &Stream) -> Option<(Finding, u64)> {
    let now = stream.snapshot(&history.questions());
    let finding = match history.judge(&now) {
        Ok(finding) => finding?,
        Err(Broken(_)) => {
            let now = stream.snapshot(&history.older_positions());
            history.rewind(&now)
        }
    };
    Some((finding, history.id().ms))
}

/// A consumer that saw the stream begin, checked at entry 3, and has read 4 and 5 since.
fn reader() -> History {
    let mut history = History::of(&Checkpoint::at(EntryId::ZERO));
    history.is_missing();
    assert_eq!(check(&mut history, &stream([])), None);
    history.read(&entries(1..=3));
    assert_eq!(check(&mut history, &stream(1..=5)), None);
    history.read(&entries(4..=5));
    history
}

/// The same after a restart from its checkpoint.
fn restarted() -> History {
    let mut history = reader();
    let Checkpoint { id, mark } = history.checkpoint();
    let stored = Mark::stored(mark.unwrap().text(id));
    History::of(&Checkpoint { id, mark: Some(stored) })
}

#[test]
fn every_change_of_a_stream_has_its_verdict() {
    let trimmed = |lost| Trimmed { lost, exact: true };
    let one_added = Stream { added: 6, last: 6, ..stream(1..=5) };
    for (what, stream, expected) in [
        ("nothing", stream(1..=5), None),
        ("entries were added", stream(1..=9), None),
        ("only what was read was trimmed", stream(1..=9).trimmed(6), None),
        ("all was trimmed, and all was read", stream(1..=5).trimmed(6), None),
        ("unread entries were trimmed", stream(1..=9).trimmed(8), Some((trimmed(2), 5))),
        ("all was trimmed", stream(1..=9).trimmed(10), Some((trimmed(4), 5))),
        ("a read entry was deleted", stream(1..=9).deleted(5), None),
        ("unread entries were deleted at the end", one_added.deleted(6), Some((Deleted { at_most: 1 }, 5))),
        (
            "deleted and trimmed",
            stream(1..=9).deleted(8).trimmed(10),
            Some((Trimmed { lost: 4, exact: false }, 5)),
        ),
        ("made anew, from the beginning", stream(1..=2).other(1).other(2), Some((Recreated, 0))),
        ("made anew, later", stream(20..=23), Some((Recreated, 0))),
        ("made anew, later and longer", stream(20..=29), Some((Recreated, 0))),
        ("made anew, and empty", stream([]), Some((Recreated, 0))),
        ("the last entries are gone", stream(1..=4), Some((HistoryLost, 3))),
        ("the last entries are gone, others came", stream([1, 2, 3, 6, 7, 8]), Some((HistoryLost, 3))),
        ("the last entry is another", stream(1..=5).other(5), Some((HistoryLost, 3))),
        ("all but the first entries are gone", stream([1, 2, 6, 7, 8]), Some((Recreated, 0))),
    ] {
        assert_eq!(check(&mut reader(), &stream), expected, "{what}");
        assert_eq!(check(&mut restarted(), &stream), expected, "{what}, after a restart");
    }
}

#[test]
fn trimming_that_overtook_a_part_of_the_last_read_is_counted() {
    // Of 1 to 9, 6 and 7 were trimmed before they were read, and then 8.
    let mut history = reader();
    history.read(&entries(8..=9));
    assert_eq!(check(&mut history, &stream(1..=9).trimmed(9)), Some((Trimmed { lost: 2, exact: true }, 9)));
    assert_eq!(check(&mut history, &stream(1..=12).trimmed(11)), Some((Trimmed { lost: 1, exact: true }, 9)));
}

#[test]
fn entries_deleted_where_none_was_trimmed_are_no_gap() {
    let mut history = History::of(&Checkpoint::at(EntryId::ZERO));
    assert_eq!(check(&mut history, &stream(1..=2)), None);
    history.read(&entries(1..=2));
    assert_eq!(check(&mut history, &stream(1..=3).deleted(3)), Some((Deleted { at_most: 1 }, 2)));
    let both = stream(1..=4).deleted(3).deleted(4);
    assert_eq!(check(&mut history, &both), Some((Deleted { at_most: 1 }, 2)));
    let trimmed = stream(1..=6).deleted(3).deleted(4).trimmed(7);
    assert_eq!(check(&mut history, &trimmed), Some((Trimmed { lost: 2, exact: true }, 2)));
}

#[test]
fn what_cannot_be_counted_yet_is_counted_later() {
    let mut history = reader();
    let trimmed = stream(1..=9).deleted(8).trimmed(7);
    assert_eq!(check(&mut history, &trimmed), None);
    history.read(&entries([7, 9]));
    assert_eq!(check(&mut history, &trimmed), Some((Trimmed { lost: 2, exact: false }, 9)));
}

#[test]
fn a_stream_that_lost_unread_entries_before_is_read_again_where_they_may_be_back() {
    let mut history = reader();
    let before = stream(1..=9);
    assert_eq!(check(&mut history, &before.clone().trimmed(8)), Some((Trimmed { lost: 2, exact: true }, 5)));
    history.read(&entries(8..=9));
    assert_eq!(check(&mut history, &before.clone().trimmed(8)), None);
    // 6 and 7 are there again: entry 9 is as well, but going on from there would pass them.
    assert_eq!(check(&mut history, &before), Some((Recreated, 0)));
}

#[test]
fn older_entries_that_are_back_are_not_read_again() {
    let mut history = reader();
    assert_eq!(check(&mut history, &stream(1..=9).trimmed(5)), None);
    assert_eq!(check(&mut history, &stream(1..=6).trimmed(2)), Some((HistoryLost, 5)));
    history.read(&entries(6..=6));
    assert_eq!(check(&mut history, &stream(1..=6).trimmed(2)), None);
}

#[test]
fn a_start_at_the_beginning_misses_nothing_that_was_gone_before() {
    let mut history = History::of(&Checkpoint::at(EntryId::ZERO));
    assert_eq!(check(&mut history, &stream(1..=9).trimmed(8)), None);
    assert_eq!(check(&mut history, &stream(1..=9).trimmed(9)), Some((Trimmed { lost: 1, exact: true }, 0)));
}

#[test]
fn a_bare_id_loads_and_its_place_is_learned() {
    let bare = || History::of(&Checkpoint::at(at(5)));
    // Nobody knows whether any came between 5 and 8.
    let cut = stream(1..=9).trimmed(8);
    assert!(bare().is_unsure(&cut.snapshot(&[at(5)])));
    assert_eq!(check(&mut bare(), &cut), None);
    assert_eq!(check(&mut bare(), &stream(1..=4)), Some((Recreated, 0)));
    for start in [stream(1..=5), stream(1..=9).trimmed(5), stream(1..=5).trimmed(6)] {
        let mut history = bare();
        assert!(!history.is_unsure(&start.snapshot(&[at(5)])));
        assert_eq!(check(&mut history, &start), None);
        assert_eq!(
            check(&mut history, &stream(1..=9).trimmed(8)),
            Some((Trimmed { lost: 2, exact: true }, 5))
        );
    }
    // In the middle, the place is not known before the end is reached.
    let mut history = bare();
    assert_eq!(check(&mut history, &stream(1..=9)), None);
    assert_eq!(check(&mut history, &stream(1..=9).trimmed(8)), Some((Trimmed { lost: 7, exact: false }, 5)));
}

#[test]
fn a_checkpoint_within_a_batch_stands_at_its_entry() {
    let mut history = reader();
    let mark = history.read(&entries([6, 8, 9])).unwrap();
    let stored = Mark::stored(mark.text(at(8)));
    let loaded = History::of(&Checkpoint { id: at(8), mark: Some(stored) });
    let expected = Position { id: at(8), count: Some(7), content: Content::of(&entry(8, 8)) };
    assert_eq!(loaded.at, expected);
    assert_eq!(loaded.known, history.known);
}

#[test]
fn a_mark_of_another_entry_or_none_of_ours_is_passed_over() {
    let stored = |text: &str| History::of(&Checkpoint { id: at(5), mark: Some(Mark::stored(text)) }).at;
    let bare = Position { id: at(5), count: None, content: Content::Unknown };
    let text = reader().known.text(&Position { id: at(4), ..bare });
    assert_eq!(stored(&text), bare);
    assert_eq!(stored("whatever"), bare);
}

#[test]
fn a_server_that_does_not_count_is_judged_by_ids_and_contents() {
    let uncounted = |stream: Stream, ids: &[EntryId]| {
        let mut now = stream.snapshot(ids);
        now.counts = None;
        now
    };
    for (stream, is_broken) in [
        (stream(1..=9), false),
        (stream(1..=9).trimmed(8), false),
        (stream(1..=5).other(5), true),
        (stream(1..=4), true),
    ] {
        let mut history = reader();
        let now = uncounted(stream, &history.questions());
        assert_eq!(history.judge(&now).is_err(), is_broken);
    }
}
