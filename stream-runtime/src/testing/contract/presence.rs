//! Promises of [`Source::tail`](crate::Source::tail) and [`Source::presence`](crate::Source::presence).

use super::Subject;
use super::support::{Reader, STREAM, append_numbered, ids, presence, tail};
use crate::backend::Presence;
use crate::entry::EntryId;

/// The tail is the id of the last entry ever added, also when it was trimmed or deleted. What is added later comes
/// after it.
pub async fn the_tail_is_the_last_id_ever_added<S: Subject>(subject: S) {
    for n in 0..3 {
        let added = append_numbered(&subject, STREAM, n..n + 1).await[0];
        assert_eq!(tail(&subject, STREAM).await, added, "after an append");
    }
    let last = tail(&subject, STREAM).await;
    subject.delete(STREAM, last).await;
    assert_eq!(tail(&subject, STREAM).await, last, "after the last entry was deleted");
    subject.trim(STREAM, 0).await;
    assert_eq!(tail(&subject, STREAM).await, last, "after a trim to nothing");

    let mut latest = Reader::at(&subject, STREAM, last);
    latest.expect_end().await;
    let next = append_numbered(&subject, STREAM, 3..4).await;
    assert_eq!(ids(&latest.take_exactly(1, super::support::LIMIT).await), next, "after the tail");
}

/// An entry that is in the stream is present.
pub async fn a_present_entry_is_present<S: Subject>(subject: S) {
    let added = append_numbered(&subject, STREAM, 0..5).await;
    expect(&subject, &added, Presence::Present).await;
    subject.trim(STREAM, 2).await;
    expect(&subject, &added[3..], Presence::Present).await;
}

/// An entry that was cut off from the front is trimmed: it is not for the consumer to pass it.
pub async fn a_trimmed_entry_is_trimmed<S: Subject>(subject: S) {
    let added = append_numbered(&subject, STREAM, 0..5).await;
    subject.trim(STREAM, 2).await;
    expect(&subject, &added[..3], Presence::Trimmed).await;
    subject.trim(STREAM, 0).await;
    expect(&subject, &added, Presence::Trimmed).await;
    append_numbered(&subject, STREAM, 5..6).await;
    expect(&subject, &added, Presence::Trimmed).await;
}

/// An entry that was deleted by itself is deleted, wherever it stood; its neighbours are present. Not held to by a
/// backend that cannot [delete](Subject::delete).
pub async fn a_deleted_entry_is_deleted<S: Subject>(subject: S) {
    let added = append_numbered(&subject, STREAM, 0..7).await;
    for deleted in [2, 5, 6] {
        if !subject.delete(STREAM, added[deleted]).await {
            return;
        }
        expect(&subject, &added[deleted..=deleted], Presence::Deleted).await;
    }
    for left in [0, 1, 3, 4] {
        expect(&subject, &added[left..=left], Presence::Present).await;
    }
    // The first one, and the only one.
    subject.delete("contract:one", append_numbered(&subject, "contract:one", 0..1).await[0]).await;
    let only = tail(&subject, "contract:one").await;
    assert_eq!(presence(&subject, "contract:one", only).await, Presence::Deleted, "the only entry");
}

/// An id that the stream has not come to is neither deleted nor trimmed: the stream may be another one.
pub async fn an_entry_that_never_was_is_unclear<S: Subject>(subject: S) {
    let last = append_numbered(&subject, STREAM, 0..3).await[2];
    let beyond: Vec<EntryId> = [last.next(), Some(EntryId::MAX)].into_iter().flatten().collect();
    expect(&subject, &beyond, Presence::Unclear).await;
    subject.trim(STREAM, 0).await;
    expect(&subject, &beyond, Presence::Unclear).await;
    let missing = presence(&subject, "contract:missing", last).await;
    assert_eq!(missing, Presence::Unclear, "an entry of a stream that is missing");
}

async fn expect<S: Subject>(subject: &S, entries: &[EntryId], expected: Presence) {
    for &id in entries {
        assert_eq!(presence(subject, STREAM, id).await, expected, "the presence of {id}");
    }
}
