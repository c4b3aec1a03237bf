use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::{Future, Ready, ready};

use tokio::time::Instant;
use tower::{Service, ServiceExt, service_fn};

use super::super::probe::{self, Numbers};
use super::super::{GuardLayer, TimeoutLayer};
use super::*;
use crate::config::BackoffConfig;
use crate::entry::{Entry, EntryId};

const MIN: Duration = Duration::from_millis(10);
const MAX: Duration = Duration::from_millis(200);

fn config(retries: u32) -> RetryConfig {
    let backoff = BackoffConfig { min: MIN, max: MAX };
    RetryConfig { retries, backoff }
}

fn delivery() -> Delivery {
    Delivery::new("c", Entry::new("s", EntryId::new(1, 0), [("a", "1")]))
}

fn hold() -> Hold {
    Hold::new(anyhow::anyhow!("store down"))
}

/// Calls a service that answers by attempt; gives the outcome, and when each attempt came.
async fn run<F>(config: &RetryConfig, answer: impl Fn(u32) -> F) -> (Outcome, Vec<(u32, Duration)>)
where
    F: Future<Output = Outcome>,
{
    let (started, attempts) = (Instant::now(), RefCell::new(Vec::new()));
    let service = service_fn(|delivery: Delivery| {
        attempts.borrow_mut().push((delivery.attempt, started.elapsed()));
        answer(delivery.attempt)
    });
    let outcome = RetryLayer::new(config).layer(service).oneshot(delivery()).await;
    (outcome, attempts.into_inner())
}

fn held(_attempt: u32) -> Ready<Outcome> {
    ready(Err(hold()))
}

#[tokio::test(start_paused = true)]
async fn a_hiccup_is_tried_again_after_a_short_wait() {
    let (outcome, attempts) =
        run(&config(2), |attempt| ready(if attempt < 3 { Err(hold()) } else { Ok(Advance::Handled) })).await;
    assert!(matches!(outcome, Ok(Advance::Handled)));
    let [(1, Duration::ZERO), (2, second), (3, third)] = attempts[..] else {
        panic!("{attempts:?}");
    };
    // Tokio's timers are as fine as 1 ms.
    let slack = Duration::from_millis(1);
    assert!((MIN..=2 * MIN + slack).contains(&second), "{second:?}");
    assert!((2 * MIN..=4 * MIN + slack).contains(&(third - second)), "{third:?}");
}

#[tokio::test(start_paused = true)]
async fn the_last_hold_goes_out_when_the_retries_are_used_up() {
    for retries in [0, 1, 5] {
        let (outcome, attempts) = run(&config(retries), held).await;
        assert_eq!(outcome.unwrap_err().to_string(), "store down");
        assert_eq!(attempts.len(), 1 + usize::try_from(retries).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_skipped_entry_is_not_retried() {
    let (outcome, attempts) = run(&config(2), |_| ready(Ok(Advance::skip(anyhow::anyhow!("bad"))))).await;
    assert!(matches!(outcome, Ok(Advance::Skipped(_))));
    assert_eq!(attempts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn deliveries_of_one_layer_wait_apart() {
    let service = service_fn(|delivery: Delivery| held(delivery.attempt));
    let mut service = RetryLayer::new(&config(3)).layer(service);
    let mut waits = BTreeSet::new();
    for _ in 0..10 {
        let started = Instant::now();
        assert!(service.ready().await.unwrap().call(delivery()).await.is_err());
        waits.insert(started.elapsed());
    }
    // In milliseconds two may happen to be alike, but not all.
    assert!(waits.len() > 1, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for_up_to_a_second() {
    let asked = Duration::from_millis(700);
    let (_, attempts) = run(&config(1), |_| ready(Err(hold().retry_after(asked)))).await;
    assert_eq!(attempts, [(1, Duration::ZERO), (2, asked)]);

    let (_, attempts) = run(&config(1), |_| ready(Err(hold().retry_after(LONGEST_WAIT)))).await;
    assert_eq!(attempts, [(1, Duration::ZERO), (2, LONGEST_WAIT)]);
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_asks_for_more_than_a_second_goes_out_at_once() {
    let started = Instant::now();
    let asked = Duration::from_millis(1001);
    let (outcome, attempts) = run(&config(2), |_| ready(Err(hold().retry_after(asked)))).await;
    assert_eq!(outcome.unwrap_err().retry_after, Some(asked));
    assert_eq!((attempts.len(), started.elapsed()), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn no_wait_is_longer_than_a_second_whatever_the_backoff_says() {
    let minute = Duration::from_secs(60);
    let backoff = BackoffConfig { min: minute, max: minute };
    let (_, attempts) = run(&RetryConfig { retries: 1, backoff }, held).await;
    assert_eq!(attempts, [(1, Duration::ZERO), (2, LONGEST_WAIT)]);
}

#[tokio::test(start_paused = true)]
async fn panics_and_timeouts_are_not_retried() {
    let count = RefCell::new(0);
    let panics = service_fn(|_: Delivery| -> Ready<Outcome> {
        *count.borrow_mut() += 1;
        panic!("a bug");
    });
    let service = RetryLayer::new(&config(2)).layer(GuardLayer::new().layer(panics));
    assert!(service.oneshot(delivery()).await.unwrap_err().cause.is::<Panicked>());
    assert_eq!(count.take(), 1);

    let hangs = service_fn(|_: Delivery| {
        *count.borrow_mut() += 1;
        std::future::pending::<Outcome>()
    });
    let service = RetryLayer::new(&config(2)).layer(TimeoutLayer::new(MAX).layer(hangs));
    assert!(service.oneshot(delivery()).await.unwrap_err().cause.is::<TimedOut>());
    assert_eq!(count.take(), 1);
}

#[tokio::test(start_paused = true)]
async fn retries_are_counted_and_said_at_debug() {
    let numbers = Numbers::default();
    let _recorder = metrics::set_default_local_recorder(&numbers);
    probe::listen();
    let (_, attempts) = run(&config(2), |_| ready(Err(hold().retry_after(MAX)))).await;
    assert_eq!(attempts.len(), 3);
    assert_eq!(numbers.all("stream_runtime_retries_total{consumer=c,stream=s}"), [1.0, 1.0]);
    assert_eq!(numbers.unit(RETRIES), Some(Unit::Count));
    let line = |attempt| {
        format!(
            "DEBUG stream_runtime: attempt failed, it is retried consumer=\"c\" stream=\"s\" \
             stream_entry_id=1-0 attempt={attempt} wait=200ms err=store down"
        )
    };
    assert_eq!(probe::lines(), [line(1), line(2)]);
}
