use std::future::ready;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tower::layer::layer_fn;
use tower::service_fn;

use super::*;
use crate::entry::{Entry, EntryId};
use crate::handler::handler_fn;
use crate::middleware::{Panicked, TimedOut};

fn delivery() -> Delivery {
    Delivery::new("c", Entry::new("s", EntryId::new(1, 0), [("a", "1")]))
}

fn build(recipe: &Recipe) -> Stack {
    let config = ConsumerConfig::default();
    recipe.build(&"c".into(), &"s".into(), &config, &Clock::system(), &Jitter::new())
}

/// A layer that writes down its name when it is called and what it got back.
fn note(
    log: &Arc<Mutex<Vec<String>>>,
    name: &'static str,
) -> impl Layer<Boxed, Service = Boxed> + Send + Sync + use<> {
    let log = Arc::clone(log);
    layer_fn(move |inner: Boxed| {
        let log = Arc::clone(&log);
        let noted = inner.then(move |outcome: Outcome| {
            let answer = outcome.as_ref().map_or_else(ToString::to_string, |_| "advance".to_owned());
            log.lock().unwrap().push(format!("{name}: {answer}"));
            ready(outcome)
        });
        Boxed::new(noted)
    })
}

#[tokio::test]
async fn a_delivery_reaches_the_handler_and_its_outcome_comes_back() {
    let mut stack = build(&Recipe::new(handler_fn(|_| async { Ok(Advance::Handled) })));
    assert!(matches!(stack.deliver(delivery()).await, Ok(Advance::Handled)));
    assert!(matches!(stack.deliver(delivery()).await, Ok(Advance::Handled)));
    stack.idle();
}

#[tokio::test(start_paused = true)]
async fn the_last_layer_added_is_outermost_and_sees_a_delivery_once_whatever_is_retried() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let mut recipe = Recipe::new(handler_fn(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Err(Hold::new(anyhow::anyhow!("store down"))) }
    }));
    let log = Arc::default();
    recipe.layer(note(&log, "first"));
    recipe.layer(note(&log, "last"));
    assert!(build(&recipe).deliver(delivery()).await.is_err());
    assert_eq!(calls.load(Ordering::Relaxed), 3, "a call and two retries");
    assert_eq!(*log.lock().unwrap(), ["first: store down", "last: store down"]);
}

#[tokio::test]
async fn an_error_of_a_users_layer_is_a_hold_also_to_the_layer_outside_it() {
    let mut recipe = Recipe::new(handler_fn(|_| async { Ok(Advance::Handled) }));
    recipe.layer(layer_fn(|_inner: Boxed| {
        service_fn(|_: Delivery| ready(Err::<Advance, BoxError>("circuit open".into())))
    }));
    let log = Arc::default();
    recipe.layer(note(&log, "outside"));
    let hold = build(&recipe).deliver(delivery()).await.unwrap_err();
    assert_eq!(hold.to_string(), "circuit open");
    assert_eq!(*log.lock().unwrap(), ["outside: circuit open"]);
}

#[tokio::test]
async fn a_panic_of_a_users_layer_is_held_and_the_stack_goes_on() {
    let mut recipe = Recipe::new(handler_fn(|_| async { Ok(Advance::Handled) }));
    let mut first = true;
    let panics_once = Mutex::new(move || std::mem::take(&mut first));
    let panics_once = Arc::new(panics_once);
    recipe.layer(layer_fn(move |inner: Boxed| {
        let panics_once = Arc::clone(&panics_once);
        inner.map_request(move |delivery: Delivery| {
            assert!(!panics_once.lock().unwrap()(), "a bug in a layer");
            delivery
        })
    }));
    let mut stack = build(&recipe);
    let hold = stack.deliver(delivery()).await.unwrap_err();
    assert!(hold.cause.is::<Panicked>(), "{hold}");
    assert!(stack.deliver(delivery()).await.is_ok());
}

#[tokio::test]
async fn a_panic_of_the_handler_is_a_hold_to_the_users_layers() {
    let mut recipe = Recipe::new(handler_fn(|entry: Entry| async move {
        assert_eq!(entry.fields().len(), 0, "a bug");
        Ok(Advance::Handled)
    }));
    let log = Arc::default();
    recipe.layer(note(&log, "layer"));
    let hold = build(&recipe).deliver(delivery()).await.unwrap_err();
    assert!(hold.cause.is::<Panicked>());
    assert!(log.lock().unwrap()[0].starts_with("layer: panicked: "), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_the_handlers_timeout_and_a_timeout_is_final() {
    let attempts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&attempts);
    let mut stack = build(&Recipe::new(handler_fn(move |_| {
        let attempt = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::time::sleep(Duration::from_secs(20 + 20 * u64::from(attempt))).await;
            Err(Hold::new(anyhow::anyhow!("slow")))
        }
    })));
    let started = Instant::now();
    let hold = stack.deliver(delivery()).await.unwrap_err();
    assert!(hold.cause.is::<TimedOut>(), "{hold}");
    assert_eq!(attempts.load(Ordering::Relaxed), 2);
    // 20 s, a short wait, and 30 s of the 40 that the second attempt would take.
    assert!((50..51).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_recipe_builds_as_often_as_it_is_asked() {
    let log = Arc::default();
    let mut recipe = Recipe::new(handler_fn(|_| async { Ok(Advance::Handled) }));
    recipe.layer(note(&log, "layer"));
    for _ in 0..2 {
        assert!(build(&recipe).deliver(delivery()).await.is_ok());
    }
    assert_eq!(log.lock().unwrap().len(), 2);
}
