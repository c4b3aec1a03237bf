use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use tokio::time::{Instant, sleep};
use tower::{ServiceExt, service_fn};

use super::*;
use crate::entry::{Entry, EntryId};

const SECOND: Duration = Duration::from_secs(1);

fn delivery() -> Delivery {
    Delivery::new("c", Entry::new("s", EntryId::new(1, 0), [("a", "1")]))
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_is_held_in_time_and_its_future_dropped() {
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let dropped = Arc::new(AtomicBool::new(false));
    let service = service_fn(|_: Delivery| {
        let guard = Dropped(Arc::clone(&dropped));
        async move {
            let _guard = guard;
            pending::<Outcome>().await
        }
    });
    let started = Instant::now();
    let hold = TimeoutLayer::new(SECOND).layer(service).oneshot(delivery()).await.unwrap_err();
    assert_eq!(hold.cause.downcast::<TimedOut>().unwrap().after(), SECOND);
    assert_eq!(started.elapsed(), SECOND);
    assert!(dropped.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_but_ends_in_time_answers() {
    let service = service_fn(|_: Delivery| async {
        sleep(SECOND / 2).await;
        sleep(SECOND / 4).await;
        Ok::<_, Hold>(Advance::Handled)
    });
    let outcome = TimeoutLayer::new(SECOND).layer(service).oneshot(delivery()).await;
    assert!(matches!(outcome, Ok(Advance::Handled)));
}

#[tokio::test(start_paused = true)]
async fn each_call_has_its_own_time() {
    let mut service = TimeoutLayer::new(SECOND).layer(service_fn(|_: Delivery| async {
        sleep(SECOND * 3 / 4).await;
        Ok::<_, Hold>(Advance::Handled)
    }));
    for _ in 0..3 {
        assert!(service.ready().await.unwrap().call(delivery()).await.is_ok());
    }
}

#[test]
fn a_call_that_answers_at_once_needs_no_timer() {
    // There is no tokio runtime here: arming a timer would panic.
    let mut service =
        TimeoutLayer::new(SECOND).layer(service_fn(|_: Delivery| ready(Ok::<_, Hold>(Advance::Handled))));
    let future = std::pin::pin!(service.call(delivery()));
    let polled = future.poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Ok(Advance::Handled))));
}

#[tokio::test]
async fn a_call_that_uses_up_its_budget_in_every_poll_is_ended_all_the_same() {
    let started = Instant::now();
    let service = service_fn(|_: Delivery| async {
        while started.elapsed() < 10 * SECOND {
            tokio::task::coop::consume_budget().await;
        }
        Ok::<_, Hold>(Advance::Handled)
    });
    let outcome = TimeoutLayer::new(SECOND / 200).layer(service).oneshot(delivery()).await;
    assert!(outcome.unwrap_err().cause.is::<TimedOut>());
}
