use std::future::{pending, ready};
use std::time::UNIX_EPOCH;

use metrics::{Key, KeyName, Metadata, Recorder, SharedString, set_default_local_recorder};
use tower::{ServiceExt, service_fn};

use super::super::probe::Numbers;
use super::*;
use crate::entry::{Entry, EntryId};
use crate::outcome::{Hold, Outcome};

const LABELS: &str = "{consumer=c,stream=s}";

fn delivery(id: EntryId) -> Delivery {
    Delivery::new("c", Entry::new("s", id, [("a", "1")]))
}

fn layer(now_ms: u64) -> MetricsLayer {
    let now = UNIX_EPOCH + Duration::from_millis(now_ms);
    MetricsLayer::new("c", "s").clock(Clock::new(move || now))
}

fn outcome(delivery: &Delivery) -> Outcome {
    match delivery.entry.id().seq {
        0 => Ok(Advance::Handled),
        1 => Ok(Advance::skip(anyhow::anyhow!("bad"))),
        _ => Err(Hold::new(anyhow::anyhow!("store down"))),
    }
}

#[tokio::test]
async fn deliveries_are_counted_by_outcome() {
    let numbers = Numbers::default();
    let _recorder = set_default_local_recorder(&numbers);
    let mut service = layer(7).layer(service_fn(|d: Delivery| ready(outcome(&d))));
    for seq in [0, 2, 0, 1, 2, 2, 0, 0] {
        let _ = service.ready().await.unwrap().call(delivery(EntryId::new(7, seq))).await;
    }
    for (outcome, count) in [("handled", 4), ("skipped", 1), ("held", 3)] {
        let counter = format!("stream_runtime_deliveries_total{{consumer=c,stream=s,outcome={outcome}}}");
        assert_eq!(numbers.all(&counter), vec![1.0; count], "{outcome}");
    }
}

#[tokio::test(start_paused = true)]
async fn handling_time_is_from_the_call_to_the_outcome() {
    let numbers = Numbers::default();
    let _recorder = set_default_local_recorder(&numbers);
    let mut service = layer(7).layer(service_fn(|delivery: Delivery| async move {
        tokio::time::sleep(Duration::from_millis(250)).await;
        outcome(&delivery)
    }));
    for seq in 0..3 {
        let _ = service.ready().await.unwrap().call(delivery(EntryId::new(7, seq))).await;
    }
    assert_eq!(numbers.all(&format!("{HANDLING}{LABELS}")), [0.25; 3]);
}

/// A recorder behind a filter that lets no gauge through.
struct WithoutGauges<'a>(&'a Numbers);

impl Recorder for WithoutGauges<'_> {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.0.register_counter(key, metadata)
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.0.register_histogram(key, metadata)
    }
}

#[tokio::test(start_paused = true)]
async fn deliveries_are_counted_and_timed_also_where_no_gauge_is_taken() {
    let numbers = Numbers::default();
    let filtered = WithoutGauges(&numbers);
    let _recorder = set_default_local_recorder(&filtered);
    let mut service = layer(7).layer(service_fn(|d: Delivery| ready(outcome(&d))));
    let _ = service.call(delivery(EntryId::new(7, 0))).await;
    assert_eq!(numbers.all("stream_runtime_deliveries_total{consumer=c,stream=s,outcome=handled}"), [1.0]);
    assert_eq!(numbers.all(&format!("{HANDLING}{LABELS}")), [0.0]);
}

#[tokio::test(start_paused = true)]
async fn the_age_of_a_held_entry_grows_until_it_advances() {
    let numbers = Numbers::default();
    let _recorder = set_default_local_recorder(&numbers);
    let mut service = layer(7).layer(service_fn(|d: Delivery| ready(outcome(&d))));
    let mut held = delivery(EntryId::new(7, 2));
    let _ = service.call(held.clone()).await;
    held.held_since = Some(Instant::now());
    for redelivery in 1..=2 {
        tokio::time::advance(Duration::from_millis(1500)).await;
        held.redelivery = redelivery;
        let _ = service.call(held.clone()).await;
    }
    held.entry = delivery(EntryId::new(7, 0)).entry;
    let _ = service.call(held).await;
    assert_eq!(numbers.all(&format!("{HELD_AGE}{LABELS}")), [0.0, 1.5, 3.0, 0.0]);
}

#[tokio::test(start_paused = true)]
async fn lag_is_in_milliseconds_never_below_zero_and_measured_every_ten_milliseconds() {
    let numbers = Numbers::default();
    let _recorder = set_default_local_recorder(&numbers);
    let mut service = layer(10_000).layer(service_fn(|d: Delivery| ready(outcome(&d))));
    for ms in [9_750, 10_000, 10_001, 1, u64::MAX] {
        let _ = service.call(delivery(EntryId::new(ms, 0))).await;
        let _ = service.call(delivery(EntryId::new(5, 0))).await;
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    assert_eq!(numbers.all(&format!("{LAG}{LABELS}")), [250.0, 0.0, 0.0, 9_999.0, 0.0]);
}

#[tokio::test]
async fn an_idle_consumer_has_no_lag_and_holds_nothing() {
    let numbers = Numbers::default();
    let _recorder = set_default_local_recorder(&numbers);
    let layer = layer(10_000);
    let mut service = layer.layer(service_fn(|d: Delivery| ready(outcome(&d))));
    let mut held = delivery(EntryId::new(1, 2));
    held.held_since = Some(Instant::now() - Duration::from_secs(5));
    let _ = service.call(held).await;
    layer.idle();
    assert_eq!(numbers.all(&format!("{LAG}{LABELS}")), [9_999.0, 0.0]);
    let ages = numbers.all(&format!("{HELD_AGE}{LABELS}"));
    assert!(ages[0] >= 5.0 && ages[1..] == [0.0], "{ages:?}");
}

#[tokio::test]
async fn a_delivery_that_is_dropped_is_not_counted() {
    let numbers = Numbers::default();
    let _recorder = set_default_local_recorder(&numbers);
    let service = layer(7).layer(service_fn(|_: Delivery| pending::<Outcome>()));
    let dropped = tokio::time::timeout(Duration::ZERO, service.oneshot(delivery(EntryId::new(7, 0)))).await;
    assert!(dropped.is_err());
    assert_eq!(numbers.all(&format!("{HANDLING}{LABELS}")), [0.0; 0]);
    for name in numbers.names().iter().filter(|name| name.starts_with(DELIVERIES)) {
        assert_eq!(numbers.all(name), [0.0; 0], "{name}");
    }
}

#[test]
fn every_metric_is_there_from_the_start_with_its_unit() {
    let numbers = Numbers::default();
    let _recorder = set_default_local_recorder(&numbers);
    let _layer = MetricsLayer::new("c", "s");
    assert_eq!(numbers.names().len(), 6, "{:?}", numbers.names());
    for (name, unit) in [
        (DELIVERIES, Unit::Count),
        (HANDLING, Unit::Seconds),
        (HELD_AGE, Unit::Seconds),
        (LAG, Unit::Milliseconds),
    ] {
        assert_eq!(numbers.unit(name), Some(unit), "{name}");
    }
}
