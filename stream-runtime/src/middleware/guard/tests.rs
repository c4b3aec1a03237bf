use std::future::{Ready, pending, ready};
use std::pin::pin;
use std::task::Waker;
use std::time::Duration;

use tower::{ServiceExt, service_fn};

use super::*;
use crate::entry::{Entry, EntryId};

fn delivery() -> Delivery {
    Delivery::new("c", Entry::new("s", EntryId::new(1, 0), [("a", "1")]))
}

/// Is ready as its list says, last first, and then always; every call is handled.
struct Scripted(Vec<fn() -> Readiness>);

type Readiness = Poll<Result<(), BoxError>>;

impl Service<Delivery> for Scripted {
    type Response = Advance;
    type Error = BoxError;
    type Future = Ready<Result<Advance, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Readiness {
        self.0.pop().map_or(Poll::Ready(Ok(())), |answer| answer())
    }

    fn call(&mut self, _: Delivery) -> Self::Future {
        ready(Ok(Advance::Handled))
    }
}

fn panicked(outcome: Outcome) -> String {
    outcome.unwrap_err().cause.downcast::<Panicked>().unwrap().message().to_owned()
}

#[tokio::test]
async fn what_went_well_goes_through() {
    let service = GuardLayer::new().layer(Scripted(vec![]));
    assert!(matches!(service.oneshot(delivery()).await, Ok(Advance::Handled)));
}

#[tokio::test]
async fn an_error_becomes_a_hold_and_a_hold_stays_as_it_was() {
    let service = service_fn(|_: Delivery| ready(Err::<Advance, BoxError>("too many in flight".into())));
    let hold = GuardLayer::new().layer(service).oneshot(delivery()).await.unwrap_err();
    assert_eq!(hold.to_string(), "too many in flight");

    let service = service_fn(|_: Delivery| {
        let hold = Hold::new(anyhow::anyhow!("store down")).retry_after(Duration::from_secs(7));
        ready(Err::<Advance, BoxError>(hold.into()))
    });
    let hold = GuardLayer::new().layer(service).oneshot(delivery()).await.unwrap_err();
    assert_eq!(hold.to_string(), "store down");
    assert_eq!(hold.retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn a_panic_in_call_is_held() {
    let service = service_fn(|delivery: Delivery| -> Ready<Outcome> { panic!("no {}", delivery.consumer) });
    let outcome = GuardLayer::new().layer(service).oneshot(delivery()).await;
    assert_eq!(panicked(outcome), "no c");
}

#[tokio::test]
async fn a_panic_in_the_future_is_held_also_after_it_has_waited() {
    let service = service_fn(|delivery: Delivery| async move {
        tokio::task::yield_now().await;
        assert_eq!(delivery.attempt, 7, "half-way");
        Ok::<_, Hold>(Advance::Handled)
    });
    let outcome = GuardLayer::new().layer(service).oneshot(delivery()).await;
    assert!(panicked(outcome).contains("half-way"));
}

#[test]
fn a_panic_of_a_future_that_is_dropped_half_way_does_not_come_out() {
    struct PanicsOnDrop;
    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("dropped half-way");
        }
    }

    let service = service_fn(|_: Delivery| {
        let bomb = PanicsOnDrop;
        async move {
            let _bomb = bomb;
            pending::<Outcome>().await
        }
    });
    let mut future = Box::pin(GuardLayer::new().layer(service).call(delivery()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut cx).is_pending());
    drop(future);
}

#[tokio::test]
async fn a_panic_without_text_is_held_too() {
    let service = service_fn(|_: Delivery| -> Ready<Outcome> { std::panic::panic_any(7) });
    let outcome = GuardLayer::new().layer(service).oneshot(delivery()).await;
    assert_eq!(panicked(outcome), "the panic's payload is no text");
}

#[tokio::test]
async fn a_failed_poll_ready_is_the_answer_of_the_next_call_and_of_that_alone() {
    let mut service = GuardLayer::new()
        .layer(Scripted(vec![|| panic!("not ready, ever"), || Poll::Ready(Err("circuit open".into()))]));
    let hold = service.ready().await.unwrap().call(delivery()).await.unwrap_err();
    assert_eq!(hold.to_string(), "circuit open");

    let outcome = service.ready().await.unwrap().call(delivery()).await;
    assert_eq!(panicked(outcome), "not ready, ever");

    let outcome = service.ready().await.unwrap().call(delivery()).await;
    assert!(matches!(outcome, Ok(Advance::Handled)));
}

#[tokio::test]
async fn a_kept_failure_is_not_asked_for_twice_and_not_cloned() {
    #[derive(Clone)]
    struct FailsOnce(bool);

    impl Service<Delivery> for FailsOnce {
        type Response = Advance;
        type Error = BoxError;
        type Future = Ready<Result<Advance, BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Readiness {
            match std::mem::replace(&mut self.0, true) {
                true => Poll::Ready(Ok(())),
                false => Poll::Ready(Err("failed once".into())),
            }
        }

        fn call(&mut self, _: Delivery) -> Self::Future {
            ready(Ok(Advance::Handled))
        }
    }

    let mut service = GuardLayer::new().layer(FailsOnce(false));
    service.ready().await.unwrap();
    service.ready().await.unwrap();
    let clone = service.clone();
    assert!(service.call(delivery()).await.is_err());
    assert!(clone.oneshot(delivery()).await.is_ok());
}

#[test]
fn what_is_not_ready_yet_is_waited_for() {
    let mut cx = Context::from_waker(Waker::noop());
    let mut service = GuardLayer::new().layer(Scripted(vec![|| Poll::Pending]));
    assert!(service.poll_ready(&mut cx).is_pending());
    assert!(service.poll_ready(&mut cx).is_ready());

    let mut service = GuardLayer::new().layer(service_fn(|_: Delivery| pending::<Outcome>()));
    assert!(pin!(service.call(delivery())).poll(&mut cx).is_pending());
}
