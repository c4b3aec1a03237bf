//! Promises of [`Source::read`](crate::Source::read): what comes, in which order, and how much of it.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::Subject;
use super::support::{LIMIT, Reader, STREAM, append_numbered, ids, size};
use crate::backend::Limit;
use crate::entry::EntryId;

/// Entries come in the order in which they were added, with the ids that they got.
pub async fn entries_come_in_order<S: Subject>(subject: S) {
    let added = append_numbered(&subject, STREAM, 0..50).await;
    let mut reader = Reader::new(&subject, STREAM);
    let entries = reader.take_exactly(added.len(), LIMIT).await;
    assert_eq!(ids(&entries), added, "the order of the ids");
    for (n, entry) in entries.iter().enumerate() {
        assert_eq!(entry.fields().text("n"), Ok(Some(n.to_string().as_str())), "entry {}", entry.id());
    }
    reader.expect_end().await;
}

/// A read brings what comes after its position, and not the entry at it.
pub async fn a_read_starts_right_after_its_position<S: Subject>(subject: S) {
    let added = append_numbered(&subject, STREAM, 0..8).await;
    for (position, &id) in added.iter().enumerate() {
        let rest = &added[position + 1..];
        let mut reader = Reader::at(&subject, STREAM, id);
        let entries = reader.take_exactly(rest.len(), LIMIT).await;
        assert_eq!(ids(&entries), rest, "after {id}");
        reader.expect_end().await;
    }
}

/// A batch has at most the entries of its limit; it may have fewer.
pub async fn a_batch_has_at_most_the_limit_of_entries<S: Subject>(subject: S) {
    let added = append_numbered(&subject, STREAM, 0..40).await;
    for entries in [1, 3, 40, 1_000] {
        let mut reader = Reader::new(&subject, STREAM);
        // The reader sees to the limit of each batch.
        let read = reader.take_exactly(added.len(), Limit { entries, ..LIMIT }).await;
        assert_eq!(ids(&read), added, "by {entries} at a time");
    }
}

/// A batch ends with the entry by which its names and values have the bytes of its limit; it may end before.
pub async fn a_batch_ends_once_it_has_the_limit_of_bytes<S: Subject>(subject: S) {
    let mut added = Vec::new();
    for length in [10, 500, 90, 1_000, 1, 1, 1, 200, 3_000, 5] {
        added.push(subject.append(STREAM, &[(b"v", &vec![b'x'; length])]).await);
    }
    for bytes in [1, 100, 101, 600, 2_000, 1 << 20] {
        let mut reader = Reader::new(&subject, STREAM);
        // The reader sees to the limit of each batch.
        let read = reader.take_exactly(added.len(), Limit { entries: 256, bytes }).await;
        assert_eq!(ids(&read), added, "by {bytes} bytes at a time");
    }
}

/// The first entry comes whatever its size, also where the limit is no bytes at all.
pub async fn the_first_entry_comes_whatever_its_size<S: Subject>(subject: S) {
    let large = vec![b'x'; 1 << 20];
    for _ in 0..3 {
        subject.append(STREAM, &[(b"v", &large)]).await;
    }
    for bytes in [0, 1, 1_000] {
        let mut reader = Reader::new(&subject, STREAM);
        for _ in 0..3 {
            let batch = reader.next(Limit { entries: 256, bytes }).await;
            let sizes: Vec<usize> = batch.iter().map(size).collect();
            assert_eq!(sizes, [1 + large.len()], "with a limit of {bytes} bytes");
        }
    }
}

/// Names and values are bytes and come as they were added: empty, repeated, not UTF-8, large, many, and in order.
pub async fn fields_come_byte_for_byte<S: Subject>(subject: S) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let large = vec![0xfe; 1 << 20];
    let names: Vec<String> = (0..1_000).map(|n| format!("name {}", n % 700)).collect();
    let many: Vec<(&[u8], &[u8])> = names.iter().map(|name| (name.as_bytes(), &b"1"[..])).collect();
    let cases: [&[(&[u8], &[u8])]; 8] = [
        &[(b"name", b"value")],
        &[(b"empty", b""), (b"", b"no name"), (b"", b"")],
        &[(b"b", b"1"), (b"a", b"2"), (b"b", b"1"), (b"b", b"3"), (b"a", b"")],
        &[(&[0xff, 0x00], &[0xc3]), (b"line\r\nbreak", b"$3\r\nfoo\r\n*0\r\n\0")],
        &[(&every_byte, &every_byte)],
        &[(b"large", &large), (b"small", b"x")],
        &many,
        &[("имя".as_bytes(), "значение".as_bytes())],
    ];
    for fields in cases {
        subject.append(STREAM, fields).await;
    }
    let entries = Reader::new(&subject, STREAM).take_exactly(cases.len(), LIMIT).await;
    for (entry, fields) in entries.iter().zip(cases) {
        assert!(
            entry.fields().iter().eq(fields.iter().copied()),
            "added {:?}, and {:?} came",
            crate::Entry::new(STREAM, entry.id(), fields.iter().copied()).fields(),
            entry.fields()
        );
    }
}

/// Ten thousand entries of many sizes, added by many at once, come in order, none left out and none twice, across
/// many batches.
pub async fn ten_thousand_entries_come_in_order<S: Subject>(subject: S) {
    const WRITERS: usize = 100;
    let subject = Arc::new(subject);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let subject = Arc::clone(&subject);
        writers.spawn(async move {
            let mut added: Vec<(EntryId, String)> = Vec::new();
            for n in 0..10_000 / WRITERS {
                let text = format!("entry {n} of {writer} {:>1$}", "", n * 37 % 400);
                added.push((subject.append(STREAM, &[(b"n", text.as_bytes())]).await, text));
            }
            assert!(added.is_sorted(), "the ids of entries added one after another went back");
            added
        });
    }
    let mut added: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    added.sort();
    let mut reader = Reader::new(&*subject, STREAM);
    let entries = reader.take_exactly(added.len(), Limit { entries: 100, bytes: 16 << 10 }).await;
    for (n, (entry, (id, text))) in entries.iter().zip(added).enumerate() {
        assert_eq!(entry.id(), id, "the id of entry number {n}");
        assert_eq!(entry.fields().text("n"), Ok(Some(text.as_str())), "the entry {id}");
    }
    reader.expect_end().await;
}
