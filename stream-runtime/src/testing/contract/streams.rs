//! Promises about streams as a whole: one that is not there, many, trimmed, and there again after a restart.

use std::pin::pin;

use super::Subject;
use super::support::{
    LIMIT, LONG, Reader, STREAM, append_numbered, claimed, commit, fail, ids, load, presence, soon,
    still_waits, tail,
};
use crate::backend::{Checkpoint, Mark, Presence};
use crate::entry::EntryId;

/// A stream that nobody has made is no error: it is empty, its tail is `0-0`, a reader can wait for it, and reading
/// does not make it.
pub async fn a_missing_stream_is_empty_and_may_come_later<S: Subject>(subject: S) {
    assert_eq!(tail(&subject, STREAM).await, EntryId::ZERO, "the tail of a missing stream");
    let unclear = presence(&subject, STREAM, EntryId::new(1, 0)).await;
    assert_eq!(unclear, Presence::Unclear, "an entry of a missing stream");

    let mut reader = Reader::new(&subject, STREAM);
    reader.expect_end().await;
    assert_eq!(tail(&subject, STREAM).await, EntryId::ZERO, "the tail of a stream that was only read");

    let mut waiting = pin!(reader.read(LIMIT, LONG));
    still_waits("a read of a missing stream", &mut waiting).await;
    let added = append_numbered(&subject, STREAM, 0..1).await;
    assert_eq!(ids(&soon("the first entry of a new stream", waiting).await), added);
}

/// Streams have nothing to do with each other, however alike their names are.
pub async fn streams_are_kept_apart<S: Subject>(subject: S) {
    let names = ["s", "S", "s ", "ss", "s:s", "s/s", "s*", "{s}", "поток", "s\u{0}"];
    let mut added = Vec::new();
    for (n, name) in (0..).zip(names) {
        added.push(append_numbered(&subject, name, n..n + 2).await);
    }
    subject.trim("ss", 0).await;
    for (name, added) in names.into_iter().zip(added) {
        assert_eq!(tail(&subject, name).await, added[1], "the tail of {name:?}");
        let left = if name == "ss" { &[] } else { &added[..] };
        let mut reader = Reader::new(&subject, name);
        reader.expect_trim();
        assert_eq!(ids(&reader.take_exactly(left.len(), LIMIT).await), left, "the entries of {name:?}");
        reader.expect_end().await;
    }
}

/// Each source of a stream reads from its own position, and takes nothing from another.
pub async fn two_sources_of_a_stream_read_on_their_own<S: Subject>(subject: S) {
    let added = append_numbered(&subject, STREAM, 0..20).await;
    let (mut slow, mut fast) = (Reader::new(&subject, STREAM), Reader::new(&subject, STREAM));
    let one = crate::Limit { entries: 1, ..LIMIT };
    let mut first = slow.take_exactly(1, one).await;
    assert_eq!(ids(&fast.take_exactly(20, LIMIT).await), added, "the source that read on");
    first.extend(slow.take_exactly(19, one).await);
    assert_eq!(ids(&first), added, "the source that waited");
}

/// Where entries were trimmed before they were read, reading goes on with the first that is there, after a finding
/// that says so or without one; where all were, with the next one added, which comes after them.
pub async fn reading_goes_on_behind_a_trim<S: Subject>(subject: S) {
    let added = append_numbered(&subject, STREAM, 0..10).await;
    subject.trim(STREAM, 4).await;
    for after in [EntryId::ZERO, added[0], added[5], added[7]] {
        let mut reader = Reader::at(&subject, STREAM, after);
        reader.expect_trim();
        let left: Vec<_> = added[6..].iter().copied().filter(|&id| id > after).collect();
        assert_eq!(ids(&reader.take_exactly(left.len(), LIMIT).await), left, "after {after}");
    }
    subject.trim(STREAM, 0).await;
    let mut reader = Reader::at(&subject, STREAM, added[7]);
    reader.expect_trim();
    reader.expect_end().await;
    let next = append_numbered(&subject, STREAM, 10..11).await[0];
    assert!(
        next > added[9],
        "an entry added after a trim to nothing got the id {next}, which is not greater"
    );
    assert_eq!(ids(&reader.take_exactly(1, LIMIT).await), [next], "after a trim to nothing");
}

/// What was added and committed is there after a restart, and ids go on. Not held to by a backend that cannot be
/// [reopened](Subject::reopen).
pub async fn a_reopened_backend_has_all_it_had<S: Subject>(mut subject: S) {
    let added = append_numbered(&subject, STREAM, 0..10).await;
    subject.trim(STREAM, 4).await;
    append_numbered(&subject, "contract:other", 0..3).await;
    subject.trim("contract:other", 0).await;
    let other_tail = tail(&subject, "contract:other").await;
    let mut store = claimed(&subject, "contract").await;
    let mark = Mark::stored("a mark");
    commit(&mut store, Checkpoint { id: added[5], mark: Some(mark) }).await;
    drop(store);

    if !subject.reopen().await {
        return;
    }
    let mut reader = Reader::at(&subject, STREAM, added[5]);
    // The entry at its position is trimmed itself: without a mark, none knows that nothing after it is.
    reader.expect_trim();
    assert_eq!(ids(&reader.take_exactly(4, LIMIT).await), added[6..], "the entries");
    assert_eq!(tail(&subject, STREAM).await, added[9], "the tail");
    assert_eq!(tail(&subject, "contract:other").await, other_tail, "the tail of an empty stream");
    assert_eq!(presence(&subject, STREAM, added[5]).await, Presence::Trimmed, "a trimmed entry");

    let mut store = subject.backend().offsets("contract");
    let Some(checkpoint) = load(&mut store).await else {
        fail("the checkpoint is gone");
    };
    assert_eq!(checkpoint.id, added[5], "the checkpoint");
    assert_eq!(checkpoint.mark.map(|mark| mark.text(added[5])).as_deref(), Some("a mark"), "its mark");

    let next = append_numbered(&subject, STREAM, 10..11).await[0];
    assert!(next > added[9], "an entry added after a restart got the id {next}, which is not greater");
    assert_eq!(ids(&reader.take_exactly(1, LIMIT).await), [next], "after a restart");
}
