//! Whatever an entry has in its fields, the worker comes to an outcome, and what it hands on is sound.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

#[path = "recorded/log_lines.rs"]
#[expect(dead_code, reason = "the recorded cases look at more of a line")]
mod log_lines;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::UNIX_EPOCH;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use stream_runtime::{Advance, Entry, EntryId, Handler, async_trait};
use userlifecycle::{UserLifecycleEvent, UserLifecycleHandler, UserLifecycleWorker};

use log_lines::LogLines;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

const ID: EntryId = EntryId::new(7, 3);

/// Takes every event, and none that no entry may come to.
#[derive(Default)]
struct Cascade(AtomicU32);

#[async_trait]
impl UserLifecycleHandler for Cascade {
    async fn on_event(&self, event: UserLifecycleEvent) -> anyhow::Result<()> {
        assert_eq!(event.entry_id, ID);
        assert!(!event.user_id.is_empty() && event.user_id.trim() == event.user_id, "{event:?}");
        assert!(event.occurred_at > UNIX_EPOCH, "{event:?}");
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

const NAMES: [&str; 8] = [
    "event_type",
    "user_id",
    "occurred_at_ms",
    "source",
    "actor_type",
    "actor_id",
    "reason_code",
    "trace_id",
];

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => vec(any::<u8>(), 0..60),
        2 => "\\PC{0,30}".prop_map(String::into_bytes),
        1 => "[ \t\r\n]{0,4}".prop_map(String::into_bytes),
        2 => "[-+ ]?[0-9]{0,30}".prop_map(String::into_bytes),
        1 => select(vec!["user.lifecycle.deleted", "user.lifecycle.renamed", "9223372036854775807", "[[[{"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => (1..100_000_usize).prop_map(|length| vec![b'x'; length]),
    ]
}

/// An entry that decodes.
fn event() -> impl Strategy<Value = Fields> {
    let event_type = select(vec!["user.lifecycle.deleted", "user.lifecycle.permanent_blocked"]);
    (event_type, "[a-zé]{1,9}", 1..i64::MAX, "[a-z ]{0,5}").prop_map(|(event_type, user, at, text)| {
        let known = [event_type.to_owned(), user, at.to_string()];
        let values = known.into_iter().chain(std::iter::repeat(text));
        NAMES.iter().zip(values).map(|(name, value)| (name.as_bytes().to_vec(), value.into_bytes())).collect()
    })
}

/// An entry that decodes, with one thing changed.
fn changed_event() -> impl Strategy<Value = Fields> {
    (event(), 0..5_u8, 0..NAMES.len(), any_bytes()).prop_map(|(mut fields, change, at, bytes)| {
        match change {
            0 => fields[at].1 = bytes,
            1 => fields[at].0 = bytes,
            2 => drop(fields.remove(at)),
            3 => fields.push((fields[at].0.clone(), bytes)),
            _ => fields.insert(0, (fields[at].0.clone(), bytes)),
        }
        fields
    })
}

fn any_fields() -> impl Strategy<Value = Fields> {
    let name = prop_oneof![
        3 => select(NAMES.to_vec()).prop_map(|name| name.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..20),
    ];
    vec((name, any_bytes()), 0..12)
}

/// How many entries with such fields came to what.
#[derive(Default)]
struct Tally {
    handed_on: AtomicU32,
    skipped: AtomicU32,
}

fn handle(cases: u32, fields: &impl Strategy<Value = Fields>) -> (u32, u32) {
    let log = LogLines::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let tally = Tally::default();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let run = runner.run(fields, |fields| {
        let cascade = Arc::new(Cascade::default());
        let worker = UserLifecycleWorker::new();
        worker.set_handler(Some(cascade.clone()));
        let entry = Entry::new("user:lifecycle_events", ID, fields);
        let outcome = runtime.block_on(worker.handle(&entry));
        let handed_on = cascade.0.load(Ordering::Relaxed);
        tally.handed_on.fetch_add(handed_on, Ordering::Relaxed);
        match outcome {
            // Handed on, or of an unknown type.
            Ok(Advance::Handled) => prop_assert!(handed_on <= 1),
            Ok(Advance::Skipped(error)) => {
                tally.skipped.fetch_add(1, Ordering::Relaxed);
                prop_assert_eq!(handed_on, 0, "an event was handed on, and then the entry was skipped");
                let message = format!("{error:#}");
                prop_assert!(!message.contains('\n') && message.len() < 1_000, "{:?}", message);
            }
            other => prop_assert!(false, "the handler works, and the outcome is {:?}", other),
        }
        prop_assert_eq!(log.take().len(), 1, "each entry is logged, once");
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
    (tally.handed_on.into_inner(), tally.skipped.into_inner())
}

#[test]
fn a_sound_entry_is_handed_on() {
    assert_eq!(handle(100, &event()), (100, 0));
}

#[test]
fn an_entry_with_one_thing_changed_is_handed_on_or_let_go() {
    let (handed_on, skipped) = handle(500, &changed_event());
    assert!(handed_on > 150, "only {handed_on} of 500 were handed on");
    assert!(skipped > 50, "only {skipped} of 500 were skipped");
}

#[test]
fn an_entry_of_any_bytes_comes_to_an_outcome() {
    handle(500, &any_fields());
}
