//! Holds: the offset stays, the same entry comes again, and what is behind waits.

use std::time::Duration;

use stream_runtime::{Consumer, ConsumerState};
use tokio::time::Instant;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn entries_are_handled_in_order_and_the_offset_follows() {
    let (backend, script) = (backlog(600), Script::new().on(3, [Do::Skip]));
    let running = start(backend.clone(), config(), script.clone());
    until("all are committed", || backend.offset("c") == Some(id(600))).await;
    assert_eq!(script.delivered(), ids(1..=600));
    let status = running.stop().await;
    assert_eq!((status.counts.handled, status.counts.skipped, status.counts.holds), (599, 1, 0));
    assert_eq!((status.state, status.offset), (ConsumerState::Stopped, Some(id(600))));
}

#[tokio::test(start_paused = true)]
async fn a_held_entry_comes_again_after_growing_waits_and_the_ones_behind_it_wait() {
    let (backend, script) = (backlog(3), Script::new().on(2, vec![Do::Hold; 12]));
    let _running = start(backend.clone(), config(), script.clone());
    until("all are handled", || script.finished().len() == 3).await;
    assert_eq!(script.finished(), ids(1..=3));

    let second: Vec<Instant> =
        script.deliveries().iter().filter(|(entry, _)| *entry == id(2)).map(|(_, at)| *at).collect();
    assert_eq!(second.len(), 13);
    for (n, pair) in second.windows(2).enumerate() {
        let wait = pair[1] - pair[0];
        let longest = Duration::from_millis(200 * 2_u64.pow(n as u32)).min(Duration::from_secs(30));
        // Paused time moves in steps of a millisecond.
        let bounds = longest / 2..=longest + Duration::from_millis(2);
        assert!(bounds.contains(&wait), "wait {n}: {wait:?} is not within {bounds:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_shows_in_the_status_until_the_entry_advances() {
    let (backend, script) = (backlog(2), Script::new().on(1, vec![Do::Hold; 5]));
    let running = start(backend.clone(), config(), script.clone());
    until("it is held three times", || script.delivered().len() == 3).await;
    let status = running.status();
    assert_eq!((status.state, status.offset), (ConsumerState::Held, None));
    assert!(status.is_ready());
    let held = status.held.unwrap();
    assert_eq!((held.id, held.deliveries, held.cause.as_str()), (id(1), 3, "scripted hold"));
    until("it advanced", || running.status().held.is_none() && backend.offset("c") == Some(id(2))).await;
    assert_eq!(running.status().counts.holds, 5);
}

#[tokio::test(start_paused = true)]
async fn the_handler_chooses_the_wait_by_retry_after() {
    let long = Duration::from_secs(300);
    let (backend, script) =
        (backlog(1), Script::new().on(1, [Do::HoldFor(long), Do::HoldFor(Duration::ZERO)]));
    let _running = start(backend.clone(), config(), script.clone());
    until("handled", || script.finished().len() == 1).await;
    let at: Vec<Instant> = script.deliveries().iter().map(|(_, at)| *at).collect();
    assert!((long..long + Duration::from_millis(5)).contains(&(at[1] - at[0])));
    // Zero would be a hot loop: the shortest backoff is the least.
    assert!(at[2] - at[1] >= Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_entry_is_passed_while_it_is_held() {
    let (backend, script) = (backlog(3), Script::new().on(2, vec![Do::Hold; 1000]));
    let running = start(backend.clone(), config(), script.clone());
    until("it is held", || running.status().held.is_some_and(|held| held.id == id(2))).await;
    assert!(backend.delete(STREAM, id(2)));
    until("the next one is committed", || backend.offset("c") == Some(id(3))).await;
    assert_eq!(script.finished(), ids([1, 3]));
    assert_eq!(running.status().counts.deleted, 1);
}

#[tokio::test(start_paused = true)]
async fn a_trimmed_entry_is_kept_and_tried_again() {
    let (backend, script) = (backlog(3), Script::new().on(2, vec![Do::Hold; 20]));
    let running = start(backend.clone(), config(), script.clone());
    until("it is held", || running.status().held.is_some_and(|held| held.id == id(2))).await;
    backend.trim(STREAM, 0);
    until("all are committed", || backend.offset("c") == Some(id(3))).await;
    assert_eq!(script.finished(), ids(1..=3));
    assert_eq!(running.status().counts.deleted, 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_a_handler_that_never_returns_are_held_and_the_worker_lives() {
    let (backend, script) = (backlog(3), Script::new().on(1, [Do::Panic]).on(2, [Do::Hang]));
    let running = start(backend.clone(), config(), script.clone());
    until("the panic is held", || running.status().held.is_some()).await;
    let held = running.status().held.unwrap();
    assert_eq!(held.id, id(1));
    assert!(held.cause.contains("scripted panic"), "{}", held.cause);
    until("the timeout is held", || running.status().held.is_some_and(|held| held.id == id(2))).await;
    let held = running.status().held.unwrap();
    assert!(held.cause.contains("30s"), "{}", held.cause);
    until("all are committed", || backend.offset("c") == Some(id(3))).await;
    assert_eq!(script.finished(), ids(1..=3));
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_holds_does_not_stop_another() {
    let backend = backlog(3);
    let (stuck, free) = (Script::new().on(1, vec![Do::Hold; 1000]), Script::new());
    let running = start_consumers(
        backend.clone(),
        [
            Consumer::new("stuck", STREAM, stuck.clone()).config(config()),
            Consumer::new("free", STREAM, free.clone()).config(config()),
        ],
    );
    until("the free one is done", || backend.offset("free") == Some(id(3))).await;
    within(Duration::from_secs(60)).await;
    assert_eq!(backend.offset("stuck"), None);
    let states: Vec<ConsumerState> = running.statuses().iter().map(|status| status.state).collect();
    assert_eq!(states, [ConsumerState::Held, ConsumerState::Idle]);
    // Backed off to 30 s: far from a hot loop.
    assert!(stuck.delivered().len() < 15, "{} deliveries in a minute", stuck.delivered().len());
}
