//! Promises of [`Source::read`](crate::Source::read) about time: how long it waits, and what wakes it.

use std::panic::resume_unwind;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::Subject;
use super::support::{
    LIMIT, LONG, Reader, SOON, STREAM, append_numbered, at, claimed, commit, fail, ids, load, presence, soon,
    still_waits, tail, verify,
};
use crate::backend::Presence;

/// A read comes back at once where it has entries to bring, however long it may wait, and where it may not wait.
pub async fn a_read_of_what_is_there_does_not_wait<S: Subject>(subject: S) {
    let mut reader = Reader::new(&subject, STREAM);
    reader.expect_end().await;
    let added = append_numbered(&subject, STREAM, 0..3).await;
    let entries = soon("a read of what is there", reader.read(LIMIT, LONG)).await;
    assert!(!entries.is_empty(), "the read was idle although there are entries");
    let mut again = Reader::new(&subject, STREAM);
    let entries = soon("a read that may not wait", again.read(LIMIT, Duration::ZERO)).await;
    assert_eq!(entries.first().map(crate::Entry::id), Some(added[0]), "a read that may not wait");
}

/// A read that finds nothing waits until its deadline, not less and not much longer, and is idle then.
pub async fn a_read_without_entries_is_idle_at_its_deadline<S: Subject>(subject: S) {
    let last = append_numbered(&subject, STREAM, 0..1).await[0];
    let at_the_end = Reader::at(&subject, STREAM, last);
    for mut reader in [at_the_end, Reader::new(&subject, "contract:missing")] {
        for wait in [Duration::from_millis(1), Duration::from_millis(250)] {
            let begun = Instant::now();
            let entries = soon("the deadline of a read", reader.read(LIMIT, wait)).await;
            let waited = begun.elapsed();
            assert!(entries.is_empty(), "entries came that were not added: {:?}", ids(&entries));
            assert!(waited >= wait, "the read was idle after {waited:?}, before its deadline of {wait:?}");
            assert!(waited < wait + SOON / 2, "the read was idle after {waited:?}, long after {wait:?}");
        }
    }
}

/// An append wakes every read that waits for it, and no other stream's append does.
pub async fn an_append_wakes_all_waiting_reads<S: Subject>(subject: S) {
    let last = append_numbered(&subject, STREAM, 0..1).await[0];
    let mut readers: Vec<Reader> = (0..4).map(|_| Reader::at(&subject, STREAM, last)).collect();
    let mut reads: Vec<_> = readers.iter_mut().map(|reader| Box::pin(reader.read(LIMIT, LONG))).collect();
    for read in &mut reads {
        still_waits("a read at the end of the stream", read).await;
    }
    append_numbered(&subject, "contract:other", 0..2).await;
    for read in &mut reads {
        still_waits("a read, after an append to another stream,", read).await;
    }
    let added = append_numbered(&subject, STREAM, 1..2).await;
    for read in reads {
        assert_eq!(ids(&soon("an append to a waiting read", read).await), added);
    }
}

/// However an append and a read meet, the read sees the entry: no wake is lost between looking and waiting.
pub async fn no_append_falls_between_two_reads<S: Subject>(subject: S) {
    const ROUNDS: u64 = 300;
    let mut reader = Reader::new(&subject, STREAM);
    let (sender, mut arrivals) = mpsc::unbounded_channel();
    // Side by side: each append comes as the reader is about to wait.
    let reading = tokio::spawn(async move {
        while !sender.is_closed() {
            for entry in reader.next(LIMIT).await {
                let _ = sender.send(entry.id());
            }
        }
    });
    for round in 0..ROUNDS {
        let added = append_numbered(&subject, STREAM, [round]).await[0];
        match soon(&format!("entry {added} to the reader"), arrivals.recv()).await {
            Some(read) => assert_eq!(read, added, "in round {round}"),
            None => match reading.await {
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                _ => fail("the reader ended"),
            },
        }
    }
    reading.abort();
}

/// A read whose future is dropped, at whatever point, takes no entry along: the next one brings it.
pub async fn a_dropped_read_loses_nothing<S: Subject>(subject: S) {
    const ROUNDS: u64 = 60;
    let mut reader = Reader::new(&subject, STREAM);
    let (mut added, mut read) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        {
            let mut dropped = pin!(reader.read(LIMIT, LONG));
            // Dropped before, while or after the entry comes, and after waiting for less or more.
            let before = Duration::from_micros(round * 37 % 400);
            assert!(timeout(before, &mut dropped).await.is_err(), "a read without entries did not wait");
            added.extend(append_numbered(&subject, STREAM, [round]).await);
            let after = Duration::from_micros(round * 61 % 500);
            if let Ok(entries) = timeout(after, dropped).await {
                read.extend(ids(&entries));
                continue;
            }
        }
        read.extend(ids(&reader.next(LIMIT).await));
    }
    assert_eq!(read, added, "what was read, across reads that were dropped");
    reader.expect_end().await;
}

/// While a read waits, other sources and stores of the same backend answer.
pub async fn a_waiting_read_holds_up_nothing_else<S: Subject>(subject: S) {
    let last = append_numbered(&subject, STREAM, 0..1).await[0];
    let mut store = claimed(&subject, "contract").await;
    let mut reader = Reader::at(&subject, STREAM, last);
    let mut waiting = pin!(reader.read(LIMIT, LONG));
    still_waits("a read at the end of the stream", &mut waiting).await;

    assert_eq!(tail(&subject, STREAM).await, last, "the tail while a read waits");
    assert_eq!(presence(&subject, STREAM, last).await, Presence::Present, "while a read waits");
    assert_eq!(ids(&Reader::new(&subject, STREAM).next(LIMIT).await), [last], "while a read waits");
    commit(&mut store, at(1)).await;
    verify(&mut store).await;
    load(&mut store).await;

    let added = append_numbered(&subject, STREAM, 1..2).await;
    assert_eq!(ids(&soon("an append to a waiting read", waiting).await), added);
}
