//! Commits: the durable offset never passes an entry that has not advanced, and follows as closely as asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stream_runtime::testing::{Fault, Operation};
use stream_runtime::{Advance, ConsumerState, Entry, ErrorKind, StartAt, handler_fn};

use crate::support::*;

fn strict() -> stream_runtime::ConsumerConfig {
    let mut config = config();
    config.max_uncommitted = 1;
    config
}

#[tokio::test(start_paused = true)]
async fn strict_commits_each_entry_before_the_next_one_starts() {
    let (backend, script) = (backlog(3), Script::new());
    let _running = start(backend.clone(), strict(), script.clone());
    backend.set_fault(Operation::Commit, None);
    until("all are committed", || backend.offset("c") == Some(id(3))).await;
    assert_eq!(backend.commits(), 1 + 3, "the claim, and one commit an entry");

    let (backend, script) = (backlog(3), Script::new().on(1, [Do::Hang]));
    let _running = start(backend.clone(), strict(), script.clone());
    until("the first is in hand", || script.delivered().len() == 1).await;
    backend.set_fault(Operation::Commit, Some(Fault::Hang));
    script.release.notify_one();
    within(Duration::from_secs(60)).await;
    assert_eq!(script.delivered(), ids([1]));
    backend.set_fault(Operation::Commit, None);
    until("all are committed", || backend.offset("c") == Some(id(3))).await;
}

#[tokio::test(start_paused = true)]
async fn handling_goes_on_to_max_uncommitted_while_a_commit_hangs_and_then_commits_merge() {
    let (backend, script) = (backlog(100), Script::new().on(1, [Do::Hang]));
    let mut config = config();
    config.max_uncommitted = 10;
    let _running = start(backend.clone(), config, script.clone());
    until("the first is in hand", || script.delivered().len() == 1).await;
    backend.set_fault(Operation::Commit, Some(Fault::Hang));
    script.release.notify_one();
    within(Duration::from_secs(60)).await;
    assert_eq!(script.delivered(), ids(1..=10));
    assert_eq!(backend.offset("c"), None);
    let before = backend.commits();
    backend.set_fault(Operation::Commit, None);
    until("all are committed", || backend.offset("c") == Some(id(100))).await;
    assert!(backend.commits() - before < 100, "{} commits for 100 entries", backend.commits() - before);
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_commit_is_noticed_before_the_next_entry_though_no_handler_waits() {
    let (backend, seen) = (backlog(6), Arc::new(Mutex::new(Vec::new())));
    let (store, offsets) = (backend.clone(), Arc::clone(&seen));
    let handler = handler_fn(move |entry: Entry| {
        match entry.id().ms {
            1 => store.set_fault(Operation::Commit, Some(Fault::Hang)),
            3 => store.set_fault(Operation::Commit, None),
            _ => {}
        }
        offsets.lock().unwrap().push(store.offset("c"));
        async { Ok(Advance::Handled) }
    });
    let _running = start(backend.clone(), config(), handler);
    until("all are committed", || backend.offset("c") == Some(id(6))).await;
    assert_eq!(seen.lock().unwrap()[..4], [None, None, None, Some(id(1))]);
}

#[tokio::test(start_paused = true)]
async fn while_commits_fail_handling_pauses_and_heals_without_a_restart() {
    let (backend, script) = (backlog(20), Script::new().on(1, [Do::Hang]));
    let mut config = config();
    config.max_uncommitted = 5;
    let running = start(backend.clone(), config, script.clone());
    until("the first is in hand", || script.delivered().len() == 1).await;
    backend.set_fault(Operation::Commit, Some(Fault::Error(ErrorKind::Transient)));
    script.release.notify_one();
    within(Duration::from_secs(60)).await;
    assert_eq!(script.delivered(), ids(1..=5));
    let status = running.status();
    assert_eq!(status.state, ConsumerState::Failing);
    assert!(!status.is_ready());
    assert!(status.last_error.unwrap().message.contains("scripted fault"));
    backend.set_fault(Operation::Commit, None);
    until("all are committed", || backend.offset("c") == Some(id(20))).await;
    assert_eq!(script.finished(), ids(1..=20));
    until("it is well", || running.status().is_ready()).await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_was_lost_is_recognised_as_done() {
    let (backend, script) = (backlog(3), Script::new().on(1, [Do::Hang]));
    let running = start(backend.clone(), strict(), script.clone());
    until("the first is in hand", || script.delivered().len() == 1).await;
    backend.set_fault(Operation::Commit, Some(Fault::LoseReply));
    script.release.notify_one();
    until("the commit is made", || backend.offset("c") == Some(id(1))).await;
    within(Duration::from_secs(1)).await;
    assert_eq!(script.delivered(), ids([1]), "as far as the worker knows, it is not committed");
    backend.set_fault(Operation::Commit, None);
    until("all are committed", || backend.offset("c") == Some(id(3))).await;
    assert_eq!(script.finished(), ids(1..=3));
    assert_eq!(running.stop().await.counts.handled, 3);
}

#[tokio::test(start_paused = true)]
async fn a_second_worker_supersedes_the_first_which_stops_and_does_not_claim_again() {
    let backend = backlog(2);
    let (old, new) = (Script::new(), Script::new());
    let first = start(backend.clone(), config(), old.clone());
    until("the first caught up", || backend.offset("c") == Some(id(2))).await;
    let second = start(backend.clone(), config(), new.clone());
    until("the first noticed, with nothing to commit", || first.status().state == ConsumerState::Superseded)
        .await;
    assert!(!first.status().is_ready());
    backend.append(STREAM, [("n", "3")]);
    until("the second handled the next one", || backend.offset("c") == Some(id(3))).await;
    within(Duration::from_secs(600)).await;
    assert_eq!((old.delivered(), new.delivered()), (ids([1, 2]), ids([3])));
    assert_eq!(second.status().state, ConsumerState::Idle);
    assert_eq!(first.stop().await.state, ConsumerState::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_superseded_worker_stops_in_the_middle_and_its_commit_is_refused() {
    let backend = backlog(3);
    let old = Script::new().on(1, [Do::Hang]);
    let first = start(backend.clone(), strict(), old.clone());
    until("the first is in hand", || old.delivered().len() == 1).await;
    let second = start(backend.clone(), strict(), Script::new());
    until("the second is through", || backend.offset("c") == Some(id(3))).await;
    old.release.notify_one();
    until("the first noticed", || first.status().state == ConsumerState::Superseded).await;
    assert_eq!(backend.offset("c"), Some(id(3)), "the offset never goes back");
    assert_eq!(old.delivered(), ids([1]));
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_was_rolled_back_is_loaded_again_and_handling_goes_on_from_it() {
    let (backend, script) = (backlog(5), Script::new());
    let running = start(backend.clone(), config(), script.clone());
    until("caught up", || backend.offset("c") == Some(id(5))).await;
    backend.set_record("c", Some("3-0"));
    until("it went on from there", || backend.offset("c") == Some(id(5))).await;
    assert_eq!(script.delivered(), ids([1, 2, 3, 4, 5, 4, 5]));
    assert!(running.status().is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_vanished_is_written_again_from_what_is_known() {
    let (backend, script) = (backlog(5), Script::new());
    let _running = start(backend.clone(), config(), script.clone());
    until("caught up", || backend.offset("c") == Some(id(5))).await;
    backend.set_record("c", None);
    until("it is there again", || backend.offset("c") == Some(id(5))).await;
    backend.append(STREAM, [("n", "6")]);
    until("the next one is committed", || backend.offset("c") == Some(id(6))).await;
    assert_eq!(script.delivered(), ids(1..=6));
}

#[tokio::test(start_paused = true)]
async fn a_stored_offset_that_is_no_id_is_loud_and_heals_when_it_is_corrected() {
    let (backend, script) = (backlog(3), Script::new());
    backend.set_record("c", Some("yesterday"));
    let running = start(backend.clone(), config(), script.clone());
    within(Duration::from_secs(120)).await;
    let status = running.status();
    assert_eq!((status.state, script.delivered()), (ConsumerState::Failing, vec![]));
    let message = status.last_error.unwrap().message;
    assert!(message.contains("\"yesterday\" is no offset"), "{message}");
    assert_eq!(backend.record("c").as_deref(), Some("yesterday"), "nothing is written over it");
    backend.set_record("c", Some("2-0"));
    until("it went on from there", || backend.offset("c") == Some(id(3))).await;
    assert_eq!(script.delivered(), ids([3]));
}

#[tokio::test(start_paused = true)]
async fn latest_starts_behind_what_is_there_and_is_decided_only_once() {
    let backend = backlog(3);
    let mut config = config();
    config.start = StartAt::Latest;
    let first = Script::new();
    let running = start(backend.clone(), config.clone(), first.clone());
    until("it is committed at once", || backend.offset("c") == Some(id(3))).await;
    running.crash().await;
    backend.append(STREAM, [("n", "4")]);
    let second = Script::new();
    let _running = start(backend.clone(), config, second.clone());
    until("what came meanwhile is handled", || backend.offset("c") == Some(id(4))).await;
    assert_eq!((first.delivered(), second.delivered()), (vec![], ids([4])));
}

#[tokio::test(start_paused = true)]
async fn latest_stays_what_it_was_found_to_be_while_its_commit_fails() {
    let (backend, script) = (backlog(3), Script::new());
    let mut config = config();
    config.start = StartAt::Latest;
    backend.set_fault(Operation::Inspect, Some(Fault::Hang));
    let _running = start(backend.clone(), config, script.clone());
    until("it is claimed", || backend.record("c").is_some()).await;
    backend.set_fault(Operation::Commit, Some(Fault::Error(ErrorKind::Transient)));
    backend.set_fault(Operation::Inspect, None);
    within(Duration::from_secs(60)).await;
    backend.append(STREAM, [("n", "4")]);
    within(Duration::from_secs(60)).await;
    backend.set_fault(Operation::Commit, None);
    until("what came meanwhile is handled", || backend.offset("c") == Some(id(4))).await;
    assert_eq!(script.delivered(), ids([4]));
}

#[tokio::test(start_paused = true)]
async fn latest_of_an_empty_stream_is_known_also_when_its_record_vanishes() {
    let (backend, script) = (backlog(0), Script::new().on(1, [Do::Hang]));
    let mut config = config();
    config.start = StartAt::Latest;
    let running = start(backend.clone(), config, script.clone());
    until("it is committed at once", || backend.offset("c") == Some(id(0))).await;
    backend.append(STREAM, [("n", "1")]);
    until("the first is in hand", || script.delivered().len() == 1).await;
    backend.set_record("c", None);
    script.release.notify_one();
    until("it is committed, after all", || backend.offset("c") == Some(id(1))).await;
    assert_eq!(script.delivered(), ids([1, 1]), "not taken for an entry before the latest one");
    assert_eq!(running.status().offset, Some(id(1)));
}

#[tokio::test(start_paused = true)]
async fn a_given_id_starts_after_it_and_a_stored_offset_comes_first() {
    let backend = backlog(5);
    let mut config = config();
    config.start = StartAt::After(id(3));
    let script = Script::new();
    let running = start(backend.clone(), config, script.clone());
    until("caught up", || backend.offset("c") == Some(id(5))).await;
    assert_eq!(script.delivered(), ids([4, 5]));
    running.stop().await;
    let mut config = crate::support::config();
    config.start = StartAt::After(id(1));
    let again = Script::new();
    let _running = start(backend.clone(), config, again.clone());
    within(Duration::from_secs(60)).await;
    assert_eq!(again.delivered(), vec![]);
}
