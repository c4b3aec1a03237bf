//! Ids, trimming, presence.

use stream_runtime::embedded::EmbeddedBackend;
use stream_runtime::{Backend, EntryId, ErrorKind, Presence};

use crate::scratch::{Millis, Scratch, read_all};

const FIELDS: [(&str, &str); 1] = [("kind", "test")];

#[tokio::test]
async fn ids_are_the_clocks_and_never_go_back_with_it() {
    let scratch = Scratch::new();
    let millis = Millis::default();
    let backend = EmbeddedBackend::open_with_clock(scratch.file(), millis.clock()).unwrap();
    let mut ids = Vec::new();
    for ms in [0, 0, 1_000, 1_000, 999, 0, 1_001] {
        millis.set(ms);
        ids.push(backend.append("s", FIELDS).await.unwrap());
    }
    let expected = [(0, 1), (0, 2), (1_000, 0), (1_000, 1), (1_000, 2), (1_000, 3), (1_001, 0)]
        .map(|(ms, seq)| EntryId::new(ms, seq));
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn ids_go_on_after_a_reopen_and_after_trimming_all() {
    let scratch = Scratch::new();
    let millis = Millis::default();
    millis.set(5_000);
    let backend = EmbeddedBackend::open_with_clock(scratch.file(), millis.clock()).unwrap();
    assert_eq!(backend.append("s", FIELDS).await.unwrap(), EntryId::new(5_000, 0));
    assert_eq!(backend.trim("s", 0).await.unwrap(), 1);
    assert_eq!(backend.append("s", FIELDS).await.unwrap(), EntryId::new(5_000, 1));
    assert_eq!(backend.trim("s", 0).await.unwrap(), 1);
    drop(backend);

    millis.set(4_000);
    let backend = EmbeddedBackend::open_with_clock(scratch.file(), millis.clock()).unwrap();
    assert_eq!(backend.source("s").tail().await.unwrap(), EntryId::new(5_000, 1));
    assert_eq!(backend.append("s", FIELDS).await.unwrap(), EntryId::new(5_000, 2));
    assert_eq!(read_all(&backend, "s").await[0].id(), EntryId::new(5_000, 2));
}

#[tokio::test]
async fn ids_of_concurrent_appends_are_all_different_and_in_order() {
    let scratch = Scratch::new();
    let backend = scratch.open();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let backend = backend.clone();
        tasks.spawn(async move { backend.append("s", FIELDS).await.unwrap() });
    }
    let mut ids = tasks.join_all().await;
    ids.sort_unstable();
    let stored: Vec<_> = read_all(&backend, "s").await.iter().map(stream_runtime::Entry::id).collect();
    assert_eq!(stored, ids);
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "an id came twice");
}

#[tokio::test]
async fn the_end_of_all_ids_is_an_error_and_adds_nothing() {
    let scratch = Scratch::new();
    let millis = Millis::default();
    let backend = EmbeddedBackend::open_with_clock(scratch.file(), millis.clock()).unwrap();
    backend.append("s", FIELDS).await.unwrap();
    drop(backend);
    set_last_id(&scratch, u64::MAX, u64::MAX - 1);

    let backend = EmbeddedBackend::open_with_clock(scratch.file(), millis.clock()).unwrap();
    assert_eq!(backend.append("s", FIELDS).await.unwrap(), EntryId::MAX);
    let error = backend.append("s", FIELDS).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(error.to_string(), "stream \"s\" has used up all ids, nothing can follow");
    assert_eq!(read_all(&backend, "s").await.len(), 2);
    // The failure is the one stream's.
    backend.append("other", FIELDS).await.unwrap();
}

/// As if the last entry ever added to the only stream had had this id.
fn set_last_id(scratch: &Scratch, ms: u64, seq: u64) {
    let streams = redb::TableDefinition::<&str, (u64, u64, u64, u64)>::new("streams");
    let database = redb::Database::open(scratch.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(streams).unwrap().insert("s", (0, ms, seq, 1)).unwrap();
    transaction.commit().unwrap();
}

#[tokio::test]
async fn trimming_removes_the_oldest_of_one_stream() {
    let scratch = Scratch::new();
    let backend = scratch.open();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(backend.append("s", FIELDS).await.unwrap());
        backend.append("other", FIELDS).await.unwrap();
    }
    assert_eq!(backend.trim("s", 5).await.unwrap(), 0);
    assert_eq!(backend.trim("s", 2).await.unwrap(), 3);
    assert_eq!(backend.trim("none", 0).await.unwrap(), 0);
    let left: Vec<_> = read_all(&backend, "s").await.iter().map(stream_runtime::Entry::id).collect();
    assert_eq!(left, ids[3..]);
    assert_eq!(read_all(&backend, "other").await.len(), 5);
    backend.append("s", FIELDS).await.unwrap();
    assert_eq!(backend.trim("s", 1).await.unwrap(), 2);
}

#[tokio::test]
async fn presence_tells_trimmed_from_never_there() {
    let scratch = Scratch::new();
    let millis = Millis::default();
    let backend = EmbeddedBackend::open_with_clock(scratch.file(), millis.clock()).unwrap();
    let mut source = backend.source("s");
    assert_eq!(source.presence(EntryId::new(1, 0)).await.unwrap(), Presence::Unclear);
    for ms in [10, 20, 30] {
        millis.set(ms);
        backend.append("s", FIELDS).await.unwrap();
    }
    assert_eq!(source.presence(EntryId::new(10, 0)).await.unwrap(), Presence::Present);
    backend.trim("s", 2).await.unwrap();
    for (ms, presence) in
        [(10, Presence::Trimmed), (20, Presence::Present), (25, Presence::Unclear), (31, Presence::Unclear)]
    {
        let found = source.presence(EntryId::new(ms, 0)).await.unwrap();
        assert_eq!(found, presence, "{ms}-0");
    }
    backend.trim("s", 0).await.unwrap();
    assert_eq!(source.presence(EntryId::new(30, 0)).await.unwrap(), Presence::Trimmed);
    assert_eq!(source.presence(EntryId::new(31, 0)).await.unwrap(), Presence::Unclear);
}

#[tokio::test]
async fn the_tail_is_the_last_id_ever_added() {
    let scratch = Scratch::new();
    let backend = scratch.open();
    let mut source = backend.source("s");
    assert_eq!(source.tail().await.unwrap(), EntryId::ZERO);
    let id = backend.append("s", FIELDS).await.unwrap();
    backend.trim("s", 0).await.unwrap();
    assert_eq!(source.tail().await.unwrap(), id);
}
