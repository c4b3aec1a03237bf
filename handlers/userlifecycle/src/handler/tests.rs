use std::future::poll_fn;
use std::task::Poll;

use anyhow::anyhow;
use stream_runtime::EntryId;
use tokio::sync::Semaphore;

use super::*;

/// Takes events once it has a permit for each.
struct Gate(Semaphore);

impl Gate {
    fn with_permits(permits: usize) -> Arc<Self> {
        Arc::new(Self(Semaphore::new(permits)))
    }
}

#[async_trait]
impl UserLifecycleHandler for Gate {
    async fn on_event(&self, _event: UserLifecycleEvent) -> anyhow::Result<()> {
        self.0.acquire().await?.forget();
        Ok(())
    }
}

struct Broken;

#[async_trait]
impl UserLifecycleHandler for Broken {
    async fn on_event(&self, _event: UserLifecycleEvent) -> anyhow::Result<()> {
        Err(anyhow!("connection refused").context("block the user"))
    }
}

fn deleted() -> Entry {
    let fields = [("event_type", "user.lifecycle.deleted"), ("user_id", "u"), ("occurred_at_ms", "7")];
    Entry::new("user:lifecycle_events", EntryId::new(1, 0), fields)
}

#[tokio::test]
async fn the_handler_can_be_replaced_while_it_handles_an_event() {
    let (worker, entry) = (UserLifecycleWorker::new(), deleted());
    let (first, second) = (Gate::with_permits(0), Gate::with_permits(1));

    worker.set_handler(Some(first.clone()));
    let mut in_the_first = worker.handle(&entry);
    let polled = poll_fn(|context| Poll::Ready(in_the_first.as_mut().poll(context))).await;
    assert!(polled.is_pending());

    worker.set_handler(Some(second.clone()));
    assert!(matches!(worker.handle(&entry).await, Ok(Advance::Handled)));
    assert_eq!(second.0.available_permits(), 0);

    first.0.add_permits(1);
    assert!(matches!(in_the_first.await, Ok(Advance::Handled)));
}

#[tokio::test]
async fn without_a_handler_events_are_dropped() {
    let (worker, gate) = (UserLifecycleWorker::new(), Gate::with_permits(1));
    worker.set_handler(Some(gate.clone()));
    worker.set_handler(None);
    assert!(matches!(worker.handle(&deleted()).await, Ok(Advance::Handled)));
    assert_eq!(gate.0.available_permits(), 1);
}

#[tokio::test]
async fn a_hold_tells_what_failed_and_why() {
    let worker = UserLifecycleWorker::new();
    worker.set_handler(Some(Arc::new(Broken)));
    let hold = worker.handle(&deleted()).await.unwrap_err();
    assert_eq!(hold.to_string(), "handle user lifecycle event: block the user: connection refused");
    assert_eq!(hold.retry_after, None);
}
