use std::future::ready;

use tokio::time::Instant;
use tower::{ServiceExt, service_fn};

use super::super::probe;
use super::*;
use crate::entry::{Entry, EntryId};

const PLACE: &str = r#"consumer="c" stream="s" stream_entry_id=7-1"#;

/// The given redelivery of an entry that was held a second before for the first time.
fn delivery(redelivery: u64) -> Delivery {
    let mut delivery = Delivery::new("c", Entry::new("s", EntryId::new(7, 1), [("a", "1")]));
    delivery.redelivery = redelivery;
    delivery.held_since = (redelivery > 0).then(|| Instant::now() - Duration::from_secs(1));
    delivery
}

/// What is said of one delivery that ends so; the span aside.
async fn said(redelivery: u64, outcome: fn() -> Outcome) -> Vec<String> {
    probe::listen();
    let service = TraceLayer::new().layer(service_fn(|_| ready(outcome())));
    let _ = service.oneshot(delivery(redelivery)).await;
    let mut lines = probe::lines();
    let span = lines.remove(0);
    let expected = format!("DEBUG stream_runtime: span delivery {PLACE} redelivery={redelivery}");
    assert_eq!(span, expected);
    lines
}

fn hold() -> Outcome {
    let cause = anyhow::anyhow!("connection refused").context("save the game");
    Err(Hold::new(cause))
}

fn handled() -> Outcome {
    Ok(Advance::Handled)
}

fn skipped() -> Outcome {
    Ok(Advance::skip(anyhow::anyhow!("no number").context("turn")))
}

#[tokio::test]
async fn nothing_is_said_of_an_entry_that_is_handled() {
    assert_eq!(said(0, handled).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn holds_warn_at_first_and_then_ever_more_rarely() {
    let mut warned = Vec::new();
    for redelivery in 0..=70 {
        let lines = said(redelivery, hold).await;
        assert_eq!(lines.len(), 1);
        match lines[0].split_once(' ') {
            Some(("WARN", _)) => warned.push(redelivery),
            other => assert!(matches!(other, Some(("DEBUG", _))), "{lines:?}"),
        }
    }
    assert_eq!(warned, [0, 1, 2, 4, 8, 16, 32, 64]);
}

#[tokio::test(start_paused = true)]
async fn a_hold_says_what_for_how_long_and_why() {
    let rest = "redelivery=4 held_for=1s err=save the game: connection refused";
    assert_eq!(
        said(4, hold).await,
        [format!("WARN stream_runtime: entry held, it will be delivered again {PLACE} {rest}")]
    );
    let lines = said(0, || hold().map_err(|hold| hold.retry_after(Duration::from_secs(7)))).await;
    assert!(lines[0].contains("held_for=0ns retry_after=7s err="), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_skip_warns_with_the_whole_error() {
    let rest = "redelivery=0 err=turn: no number";
    assert_eq!(said(0, skipped).await, [format!("WARN stream_runtime: entry skipped {PLACE} {rest}")]);
}

#[tokio::test(start_paused = true)]
async fn a_recovery_says_how_often_and_for_how_long_the_entry_was_held() {
    let recovery =
        format!("INFO stream_runtime: entry advanced after holds {PLACE} redelivery=3 held_for=1s");
    assert_eq!(said(3, handled).await, [recovery.as_str()]);
    let lines = said(3, skipped).await;
    assert!(lines[0].starts_with("WARN stream_runtime: entry skipped "), "{lines:?}");
    assert_eq!(lines[1..], [recovery]);
}

#[tokio::test(start_paused = true)]
async fn held_for_is_in_whole_milliseconds() {
    let mut delivery = delivery(1);
    delivery.held_since = Some(Instant::now() - Duration::from_micros(12_345_678));
    assert_eq!(format!("{:?}", held_for(&delivery)), "12.345s");
}

#[tokio::test]
async fn the_handler_runs_within_the_span_whenever_it_is_polled() {
    probe::listen();
    let service = service_fn(|_| {
        assert_eq!(probe::depth(), 1);
        async {
            assert_eq!(probe::depth(), 1);
            tokio::task::yield_now().await;
            assert_eq!(probe::depth(), 1);
            handled()
        }
    });
    assert!(TraceLayer::new().layer(service).oneshot(delivery(0)).await.is_ok());
    assert_eq!(probe::depth(), 0);
}
