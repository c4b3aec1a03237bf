//! Findings: a stream that lost entries is reported, and the consumer goes on or stops, as it was told.

use std::time::Duration;

use stream_runtime::{ConsumerState, Finding, OnGap};

use crate::support::*;

const TRIMMED: Finding = Finding::Trimmed { lost: 7, exact: true };

#[tokio::test(start_paused = true)]
async fn a_gap_is_reported_and_handling_goes_on() {
    let (backend, script) = (backlog(2), Script::new());
    let running = start(backend.clone(), config(), script.clone());
    until("caught up", || backend.offset("c") == Some(id(2))).await;
    backend.find(STREAM, TRIMMED, id(2));
    backend.append(STREAM, [("n", "3")]);
    until("went on", || backend.offset("c") == Some(id(3))).await;
    let status = running.status();
    let gap = status.last_gap.unwrap();
    assert_eq!((gap.finding, gap.resume, status.counts.gaps), (TRIMMED, id(2), 1));
    assert_eq!(script.delivered(), ids(1..=3));
}

#[tokio::test(start_paused = true)]
async fn lost_history_goes_back_and_delivers_again_from_there() {
    let (backend, script) = (backlog(5), Script::new());
    let running = start(backend.clone(), config(), script.clone());
    until("caught up", || backend.offset("c") == Some(id(5))).await;
    backend.find(STREAM, Finding::HistoryLost, id(3));
    until("delivered again", || script.delivered().len() == 7).await;
    assert_eq!(script.delivered(), ids([1, 2, 3, 4, 5, 4, 5]));
    until("and committed again", || backend.offset("c") == Some(id(5))).await;
    assert!(running.status().is_ready());
}

#[tokio::test(start_paused = true)]
async fn on_gap_hold_stops_there_with_everything_before_it_committed() {
    let (backend, script) = (backlog(2), Script::new());
    let mut config = config();
    config.on_gap = OnGap::Hold;
    let running = start(backend.clone(), config, script.clone());
    until("caught up", || backend.offset("c") == Some(id(2))).await;
    backend.find(STREAM, TRIMMED, id(2));
    backend.append(STREAM, [("n", "3")]);
    until("stopped", || running.status().state == ConsumerState::Gap).await;
    within(Duration::from_secs(600)).await;
    assert!(!running.status().is_ready());
    assert_eq!((script.delivered(), backend.offset("c")), (ids([1, 2]), Some(id(2))));
    assert_eq!(running.stop().await.state, ConsumerState::Stopped);
}

#[tokio::test(start_paused = true)]
async fn entries_that_somebody_deleted_are_no_gap() {
    let (backend, script) = (backlog(2), Script::new());
    let mut config = config();
    config.on_gap = OnGap::Hold;
    let running = start(backend.clone(), config, script.clone());
    until("caught up", || backend.offset("c") == Some(id(2))).await;
    backend.find(STREAM, Finding::Deleted { at_most: 1 }, id(2));
    backend.append(STREAM, [("n", "3")]);
    until("went on", || backend.offset("c") == Some(id(3))).await;
    assert_eq!((running.status().counts.gaps, running.status().last_gap), (0, None));
}
