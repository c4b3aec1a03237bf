//! What the layers' tests listen with: a subscriber and a recorder of this thread.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, Once};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Listens to this thread. One subscriber for the whole process, because tracing remembers for each place in the
/// code whether anybody listens, and threads that do not would make it forget those that do.
pub(super) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Listener).unwrap());
    LINES.take();
}

/// What was said on this thread since it was asked last: `LEVEL target: message field=value …`, and spans as
/// `LEVEL target: span name field=value …`.
pub(super) fn lines() -> Vec<String> {
    LINES.take()
}

/// How many spans this thread is in.
pub(super) fn depth() -> u32 {
    DEPTH.get()
}

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("stream_runtime")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line::new(span.metadata());
        let _ = write!(line.message, "span {}", span.metadata().name());
        span.record(&mut line);
        line.say();
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::new(event.metadata());
        event.record(&mut line);
        line.say();
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {
        DEPTH.set(DEPTH.get() + 1);
    }

    fn exit(&self, _: &Id) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

struct Line {
    head: String,
    message: String,
    fields: String,
}

impl Line {
    fn new(metadata: &tracing::Metadata<'_>) -> Self {
        Self {
            head: format!("{} {}", metadata.level(), metadata.target()),
            message: String::new(),
            fields: String::new(),
        }
    }

    fn say(self) {
        let Self { head, message, fields } = self;
        LINES.with_borrow_mut(|lines| lines.push(format!("{head}: {message}{fields}")));
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

/// A recorder that remembers every metric by its name and labels.
#[derive(Default)]
pub(super) struct Numbers {
    metrics: Mutex<BTreeMap<String, Arc<Number>>>,
    described: Mutex<BTreeMap<String, Option<Unit>>>,
}

impl Numbers {
    /// What `name{label=value,…}` has been given: increments of a counter, what a gauge was set to, what a
    /// histogram recorded.
    pub(super) fn all(&self, metric: &str) -> Vec<f64> {
        let metrics = self.metrics.lock().unwrap();
        let number = metrics.get(metric).unwrap_or_else(|| panic!("no {metric} in {:?}", metrics.keys()));
        number.0.lock().unwrap().clone()
    }

    /// The names of all metrics, with labels.
    pub(super) fn names(&self) -> Vec<String> {
        self.metrics.lock().unwrap().keys().cloned().collect()
    }

    /// The unit that a metric was described with.
    pub(super) fn unit(&self, name: &str) -> Option<Unit> {
        self.described.lock().unwrap().get(name).copied().flatten()
    }

    fn number(&self, key: &Key) -> Arc<Number> {
        let labels: Vec<_> = key.labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        Arc::clone(self.metrics.lock().unwrap().entry(name).or_default())
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>) {
        let name = name.as_str().to_owned();
        self.described.lock().unwrap().insert(name, unit);
    }
}

impl Recorder for Numbers {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.number(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.number(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.number(key))
    }
}

#[derive(Default)]
struct Number(Mutex<Vec<f64>>);

impl Number {
    fn push(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }
}

impl CounterFn for Number {
    fn increment(&self, value: u64) {
        self.push(u32::try_from(value).unwrap().into());
    }

    fn absolute(&self, _: u64) {
        unreachable!("the layers only count up");
    }
}

impl GaugeFn for Number {
    fn increment(&self, _: f64) {
        unreachable!("the layers only set gauges");
    }

    fn decrement(&self, _: f64) {
        unreachable!("the layers only set gauges");
    }

    fn set(&self, value: f64) {
        self.push(value);
    }
}

impl HistogramFn for Number {
    fn record(&self, value: f64) {
        self.push(value);
    }
}
