//! Promises of [`OffsetStore`](crate::OffsetStore) about what is committed, and what comes back.

use std::time::Duration;

use tokio::time::timeout;

use super::Subject;
use super::support::{at, claimed, commit, fail, load, loaded_id, verify};
use crate::backend::{Checkpoint, Mark};
use crate::entry::EntryId;

const CONSUMER: &str = "contract";

/// A consumer that never committed has no checkpoint, however often it is claimed and loaded.
pub async fn a_consumer_that_never_committed_has_no_checkpoint<S: Subject>(subject: S) {
    for _ in 0..3 {
        let mut store = subject.backend().offsets(CONSUMER);
        for _ in 0..2 {
            assert_eq!(loaded_id(&mut store).await, None, "before the first commit");
            verify(&mut store).await;
        }
    }
}

/// The checkpoint is the one committed last, whatever its id: an earlier one than before, as after a finding, and
/// the first and last ids there are.
pub async fn the_checkpoint_is_the_one_committed_last<S: Subject>(subject: S) {
    let mut store = claimed(&subject, CONSUMER).await;
    for id in [EntryId::new(5, 1), EntryId::new(5, 2), EntryId::new(3, 0), EntryId::ZERO, EntryId::MAX] {
        commit(&mut store, Checkpoint::at(id)).await;
        assert_eq!(loaded_id(&mut store).await, Some(id), "by the store that committed it");
    }
    let mut next = subject.backend().offsets(CONSUMER);
    assert_eq!(loaded_id(&mut next).await, Some(EntryId::MAX), "by the next store");
}

/// A store's own record verifies, after a claim, a load and a commit, and verifying changes nothing.
pub async fn verifying_finds_the_record_written_last<S: Subject>(subject: S) {
    let mut store = claimed(&subject, CONSUMER).await;
    verify(&mut store).await;
    for n in 1..=3 {
        commit(&mut store, at(n)).await;
        for _ in 0..2 {
            verify(&mut store).await;
        }
        assert_eq!(loaded_id(&mut store).await, Some(EntryId::new(n, 0)), "after verifying");
        verify(&mut store).await;
    }
}

/// A commit that may or may not have been made, since its future was dropped, can be made again, the same one or a
/// later one.
pub async fn a_commit_in_doubt_can_be_made_again<S: Subject>(subject: S) {
    let mut store = claimed(&subject, CONSUMER).await;
    for n in (1..200).step_by(3) {
        let patience = Duration::from_micros(n * 37 % 300);
        let _ = timeout(patience, store.commit(at(n))).await;
        let again = if n % 2 == 0 { n } else { n + 1 };
        if n % 5 == 0 {
            let _ = timeout(Duration::ZERO, store.commit(at(again))).await;
        }
        commit(&mut store, at(again)).await;
        commit(&mut store, at(again)).await;
        verify(&mut store).await;
        assert_eq!(loaded_id(&mut store).await, Some(EntryId::new(again, 0)), "after a commit in doubt");
    }
}

/// A mark, one line of text, is stored with its checkpoint as it is for that id, and comes back with it; a
/// checkpoint without one comes back without one.
pub async fn a_mark_comes_back_with_its_checkpoint<S: Subject>(subject: S) {
    let mut store = claimed(&subject, CONSUMER).await;
    let long = "x".repeat(5_000);
    for (n, text) in (1..).zip(["1", " two  words ", "- 7-0 \"'\\", "метка", &long]) {
        let id = EntryId::new(n, 0);
        let written = text.to_owned();
        let mark = Mark::new(move |id| format!("{written}@{id}"));
        commit(&mut store, Checkpoint { id, mark: Some(mark) }).await;
        for store in [&mut store, &mut subject.backend().offsets(&format!("{CONSUMER}:other"))] {
            load(store).await;
        }
        let expected = format!("{text}@{id}");
        assert_eq!(loaded_mark(&mut store).await.as_deref(), Some(&*expected), "by the store that wrote it");
        store = subject.backend().offsets(CONSUMER);
        assert_eq!(loaded_mark(&mut store).await.as_deref(), Some(&*expected), "by the next store");
    }
    commit(&mut store, at(99)).await;
    assert_eq!(loaded_mark(&mut store).await, None, "a checkpoint without a mark came back with one");
}

/// Consumers have nothing to do with each other, however alike their names are.
pub async fn consumers_do_not_see_each_other<S: Subject>(subject: S) {
    let names = ["c", "C", "c ", "cc", "c:c", "c/c", "c*", "{c}", "потребитель"];
    let mut stores = Vec::new();
    for (n, name) in (1..).zip(names) {
        let mut store = subject.backend().offsets(name);
        assert_eq!(loaded_id(&mut store).await, None, "the first load of {name:?}");
        commit(&mut store, at(n)).await;
        stores.push(store);
    }
    for ((n, name), mut store) in (1..).zip(names).zip(stores) {
        verify(&mut store).await;
        assert_eq!(loaded_id(&mut store).await, Some(EntryId::new(n, 0)), "the checkpoint of {name:?}");
    }
}

/// A thousand commits in a row are all made.
pub async fn many_commits_in_a_row_are_kept<S: Subject>(subject: S) {
    let mut store = claimed(&subject, CONSUMER).await;
    for n in 1..=1_000 {
        commit(&mut store, at(n)).await;
        if n % 100 == 0 {
            let mut next = subject.backend().offsets(CONSUMER);
            assert_eq!(loaded_id(&mut next).await, Some(EntryId::new(n, 0)), "after {n} commits");
            store = next;
        }
    }
}

async fn loaded_mark(store: &mut Box<dyn crate::OffsetStore>) -> Option<String> {
    match load(store).await {
        Some(checkpoint) => checkpoint.mark.map(|mark| mark.text(checkpoint.id)),
        None => fail("the checkpoint is gone"),
    }
}
