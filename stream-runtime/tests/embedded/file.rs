//! The file: who may open it, and what is refused.

use std::fs;
use std::thread;
use std::time::Duration;

use redb::TableDefinition;
use stream_runtime::embedded::EmbeddedBackend;
use stream_runtime::{Backend, BackendError, Checkpoint, EntryId, ErrorKind};
use tokio::time::timeout;

use crate::scratch::{NO_LIMIT, Scratch, read_all};

fn refusal(scratch: &Scratch) -> BackendError {
    EmbeddedBackend::open(scratch.file()).expect_err("the file was opened")
}

/// Writes a number into a table of this name, past the backend.
fn write_with_redb(scratch: &Scratch, table: &str, number: u32) {
    fs::create_dir_all(scratch.file().parent().unwrap()).unwrap();
    let database = redb::Database::create(scratch.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    let table = TableDefinition::<(), u32>::new(table);
    transaction.open_table(table).unwrap().insert((), number).unwrap();
    transaction.commit().unwrap();
}

#[tokio::test]
async fn the_second_to_open_the_file_is_told_what_to_do() {
    let scratch = Scratch::new();
    let backend = scratch.open();
    let clone = backend.clone();
    drop(backend);
    let error = refusal(&scratch);
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let text = error.to_string();
    let expected = format!("{}: another process", scratch.file().display());
    assert!(text.starts_with(&expected) && text.contains("stop the other"), "{text}");
    drop(clone);
    scratch.open();
}

/// A process may be killed while it makes the file, and redb refuses for good one that is half made.
#[test]
fn a_new_file_is_whole_when_it_appears() {
    for _ in 0..10 {
        let scratch = Scratch::new();
        let path = scratch.file();
        let watcher = thread::spawn(move || {
            loop {
                if let Ok(start) = fs::read(&path) {
                    return start.starts_with(b"redb");
                }
            }
        });
        let backend = scratch.open();
        assert!(watcher.join().unwrap(), "the file was there before it was whole");
        let others = fs::read_dir(scratch.file().parent().unwrap()).unwrap().count() - 1;
        assert_eq!(others, 0, "something else was left beside it");
        drop(backend);
    }
}

#[tokio::test]
async fn sources_and_offset_stores_keep_the_file_open() {
    let scratch = Scratch::new();
    let backend = scratch.open();
    let source = backend.source("s");
    let offsets = backend.offsets("c");
    drop(backend);
    assert_eq!(refusal(&scratch).kind(), ErrorKind::Configuration);
    drop(source);
    assert_eq!(refusal(&scratch).kind(), ErrorKind::Configuration);
    drop(offsets);
    scratch.open();
}

#[tokio::test]
async fn the_file_is_free_as_soon_as_the_last_handle_is_dropped() {
    let scratch = Scratch::new();
    let body = "x".repeat(20_000_000);
    scratch.open().append("s", [("body", &body)]).await.unwrap();
    let beginning = Checkpoint::at(EntryId::ZERO);
    for _ in 0..5 {
        let backend = scratch.open();
        let mut source = backend.source("s");
        // An append and a read that are under way when nobody waits for them any more.
        let append = backend.append("other", [("n", "1")]);
        let _ = timeout(Duration::ZERO, append).await;
        let read = source.read(&beginning, NO_LIMIT, Duration::MAX);
        let _ = timeout(Duration::ZERO, read).await;
    }
}

#[tokio::test]
async fn a_later_format_is_refused_by_its_number() {
    let scratch = Scratch::new();
    drop(scratch.open());
    write_with_redb(&scratch, "stream_runtime_format", 2);
    let error = refusal(&scratch);
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("the file has format 2"), "{error}");
}

#[tokio::test]
async fn a_file_of_something_else_is_refused_and_left_as_it_is() {
    let scratch = Scratch::new();
    write_with_redb(&scratch, "games", 1);
    let error = refusal(&scratch);
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("something other than streams"), "{error}");

    let text = b"not a database, and longer than any header that one might have".repeat(100);
    fs::write(scratch.file(), &text).unwrap();
    let error = refusal(&scratch);
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert!(error.to_string().contains("streams.redb"), "{error}");
    assert_eq!(fs::read(scratch.file()).unwrap(), text);
}

#[tokio::test]
async fn a_path_that_is_a_directory_is_a_matter_of_configuration() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.file()).unwrap();
    assert_eq!(refusal(&scratch).kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn a_damaged_entry_is_an_error_that_names_it() {
    let scratch = Scratch::new();
    let backend = scratch.open();
    let id = backend.append("s", [("n", "1")]).await.unwrap();
    drop(backend);
    let entries = TableDefinition::<(u64, u64, u64), &[u8]>::new("entries");
    let database = redb::Database::open(scratch.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    let key = (0, id.ms, id.seq);
    transaction.open_table(entries).unwrap().insert(key, &[9, 9, 9][..]).unwrap();
    transaction.commit().unwrap();
    drop(database);

    let backend = scratch.open();
    let mut source = backend.source("s");
    let error = source.read(&Checkpoint::at(EntryId::ZERO), NO_LIMIT, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let text = format!("entry {id} of stream \"s\" is damaged");
    assert!(error.to_string().contains(&text), "{error}");
    assert_eq!(read_all(&backend, "other").await, []);
}
