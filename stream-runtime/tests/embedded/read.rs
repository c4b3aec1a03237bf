//! Reading: order, limits, waiting.

use std::pin::pin;
use std::time::Duration;

use stream_runtime::{Backend, Checkpoint, EntryId, Limit, Read};
use tokio::time::{Instant, timeout};

use crate::scratch::{NO_LIMIT, Scratch, n, read, read_all};

const HOUR: Duration = Duration::from_secs(3_600);
const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn entries_come_back_as_they_were_added() {
    let scratch = Scratch::new();
    let backend = scratch.open();
    let fields: [(&[u8], &[u8]); 3] = [(b"b", b"1"), (b"a", &[0xff, 0]), (b"b", b"")];
    let id = backend.append("s", fields).await.unwrap();
    backend.append("s", [("n", "2")]).await.unwrap();
    let entries = read_all(&backend, "s").await;
    assert_eq!((entries[0].stream(), entries[0].id()), ("s", id));
    assert_eq!(entries[0].fields().iter().collect::<Vec<_>>(), fields);
    assert_eq!(n(&entries[1]), 2);
}

#[tokio::test]
async fn a_read_starts_after_its_id_and_ends_at_the_count() {
    let scratch = Scratch::new();
    let backend = scratch.open();
    for number in 0..7 {
        backend.append("s", [("n", number.to_string())]).await.unwrap();
        backend.append("t", [("n", "999")]).await.unwrap();
    }
    let limit = Limit { entries: 3, ..NO_LIMIT };
    let mut after = EntryId::ZERO;
    let mut batches = Vec::new();
    loop {
        let entries = read(&backend, "s", after, limit).await;
        let Some(last) = entries.last() else { break };
        after = last.id();
        batches.push(entries.iter().map(n).collect::<Vec<_>>());
    }
    assert_eq!(batches, [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
    assert!(read(&backend, "s", EntryId::MAX, NO_LIMIT).await.is_empty());
    assert!(read(&backend, "none", EntryId::ZERO, NO_LIMIT).await.is_empty());
}

#[tokio::test]
async fn a_read_stops_once_it_has_the_bytes_and_brings_the_first_entry_whatever_its_size() {
    let scratch = Scratch::new();
    let backend = scratch.open();
    for length in [100, 9, 9, 9] {
        backend.append("s", [("f", "x".repeat(length))]).await.unwrap();
    }
    let entries = read_all(&backend, "s").await;
    for (after, bytes, count) in [
        (EntryId::ZERO, 1, 1),
        (entries[0].id(), 10, 1),
        (entries[0].id(), 11, 2),
        (entries[0].id(), 20, 2),
        (entries[0].id(), 21, 3),
    ] {
        let limit = Limit { bytes, ..NO_LIMIT };
        let found = read(&backend, "s", after, limit).await;
        assert_eq!(found.len(), count, "{bytes} bytes after {after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_finds_nothing_waits_and_is_idle() {
    let scratch = Scratch::new();
    let backend = scratch.open();
    let start = Instant::now();
    let wait = Duration::from_secs(5);
    let read = backend.source("s").read(&Checkpoint::at(EntryId::ZERO), NO_LIMIT, wait).await;
    assert!(matches!(read, Ok(Read::Idle)));
    let waited = start.elapsed();
    assert!((wait..wait + Duration::from_millis(2)).contains(&waited), "waited {waited:?}");
}

#[tokio::test(start_paused = true)]
async fn an_append_wakes_a_reader_of_its_stream() {
    let scratch = Scratch::new();
    let backend = scratch.open();
    let mut source = backend.source("s");
    let beginning = Checkpoint::at(EntryId::ZERO);
    let mut read = pin!(source.read(&beginning, NO_LIMIT, HOUR));
    // Time moves only when all is still: the reader is waiting.
    assert!(timeout(Duration::from_secs(1), &mut read).await.is_err());
    // The writer's thread is not tokio's: paused time would run ahead while it writes.
    tokio::time::resume();
    backend.append("other", [("n", "1")]).await.unwrap();
    backend.append("s", [("n", "7")]).await.unwrap();
    match timeout(SOON, read).await.unwrap().unwrap() {
        Read::Batch(batch) => assert_eq!(n(&batch.entries()[0]), 7),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn no_wake_is_lost_between_the_look_and_the_wait() {
    let scratch = Scratch::new();
    let backend = scratch.open();
    let mut source = backend.source("s");
    let mut after = Checkpoint::at(EntryId::ZERO);
    for number in 0..500 {
        let append = backend.append("s", [("n", number.to_string())]);
        let read = timeout(SOON, source.read(&after, NO_LIMIT, HOUR));
        let (read, appended) = tokio::join!(read, append);
        appended.unwrap();
        match read.expect("the append did not wake the reader").unwrap() {
            Read::Batch(batch) => {
                assert_eq!(batch.entries().iter().map(n).collect::<Vec<_>>(), [number]);
                after = batch.end();
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_dropped_read_loses_nothing() {
    let scratch = Scratch::new();
    let backend = scratch.open();
    let mut source = backend.source("s");
    let beginning = Checkpoint::at(EntryId::ZERO);
    backend.append("s", [("n", "1")]).await.unwrap();
    for _ in 0..20 {
        // Polled once: the look is under way when it is dropped.
        let _ = timeout(Duration::ZERO, source.read(&beginning, NO_LIMIT, HOUR)).await;
    }
    let read = timeout(SOON, source.read(&beginning, NO_LIMIT, HOUR)).await.unwrap();
    assert!(matches!(read, Ok(Read::Batch(batch)) if batch.entries().len() == 1));
}
