//! What the stack costs an entry, step by step, and what the loop around it costs.
//!
//! `cargo bench -p benches --bench stack`. Each step has all steps before it, so what one costs is its difference to
//! the one before. `bare` is without a subscriber and a recorder; `observed` is with both, and comes last, since they
//! cannot be taken off again. A loop's time is that of an entry.

#![expect(clippy::expect_used, reason = "a bench that cannot run has failed")]

use std::time::Duration;

use benches::layers::{Handling, LOOP_ENTRIES, Loop, Visitor, deliver, visit};
use benches::ours::observe;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use stream_runtime::{Advance, Delivery, Hold};
use tokio::runtime::{Builder, Runtime};
use tower::Service;

fn main() {
    let tokio = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut criterion = Criterion::default().configure_from_args();
    measure(&mut criterion, "bare", &tokio);
    let recorder = observe().expect("nobody else has installed them");
    measure(&mut criterion, "observed", &tokio);
    recorder.run_upkeep();
    criterion.final_summary();
}

fn measure(criterion: &mut Criterion, name: &str, tokio: &Runtime) {
    let mut group = criterion.benchmark_group(name);
    group.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1)).sample_size(30);
    visit(&mut Bench { group: &mut group, tokio });
    for (name, handling) in [
        ("loop, no-op", Handling::NoOp),
        ("loop, five fields decoded", Handling::Typed),
        ("loop, gmevents", Handling::GmEvents),
    ] {
        let looped = Loop::new(handling);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|entries| {
                let drains = entries.div_ceil(LOOP_ENTRIES);
                let mut time = Duration::ZERO;
                for _ in 0..drains {
                    time += tokio.block_on(looped.drain()).expect("drained");
                }
                time.mul_f64(entries as f64 / (drains * LOOP_ENTRIES) as f64)
            });
        });
    }
    group.finish();
}

struct Bench<'a, 'criterion> {
    group: &'a mut BenchmarkGroup<'criterion, WallTime>,
    tokio: &'a Runtime,
}

impl Visitor for Bench<'_, '_> {
    fn step<S>(&mut self, name: &'static str, mut service: S)
    where
        S: Service<Delivery, Response = Advance, Error = Hold>,
    {
        self.group.bench_function(name, |bencher| {
            bencher.iter_custom(|deliveries| {
                self.tokio.block_on(deliver(&mut service, deliveries)).expect("delivered")
            });
        });
    }
}
