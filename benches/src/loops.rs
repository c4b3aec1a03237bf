//! The loops that a runtime can be measured by: the original's, the one that most people write, and two bounds.

mod bounds;
mod client;

use crate::contest::{Contender, Job};

pub(crate) use client::Reply;

/// The least that a client must do: walks replies on a plain socket, and commits once a batch.
pub const WALKERS: [Contender; 2] = [
    Contender {
        name: "walker-500",
        label: "plain socket walker, COUNT 500, a SET a batch",
        slow: false,
        prepare: forget,
        run: |job| bounds::walk(job, 500),
    },
    Contender {
        name: "walker-1000",
        label: "plain socket walker, COUNT 1000, a SET a batch",
        slow: false,
        prepare: forget,
        run: |job| bounds::walk(job, 1_000),
    },
];

/// The least that a client must do which commits each entry before the next.
pub const STRICT_BOUND: Contender = Contender {
    name: "strict-bound",
    label: "plain socket, a SET waited for per entry",
    slow: true,
    prepare: forget,
    run: bounds::strict,
};

/// The loop that most people write.
pub const CLIENT_LOOP: Contender = Contender {
    name: "redis-rs",
    label: "bare redis-rs loop, COUNT 500, a SET a batch",
    slow: false,
    prepare: forget,
    run: client::batches,
};

/// The loop of the original workers, by two clients.
pub const ORIGINALS: [Contender; 2] = [
    Contender {
        name: "original",
        label: "the original's loop by redis-rs: XREAD COUNT 1, SET, wait",
        slow: true,
        prepare: forget,
        run: client::original,
    },
    Contender {
        name: "original-socket",
        label: "the original's loop on a plain socket",
        slow: true,
        prepare: forget,
        run: bounds::original,
    },
];

/// Where the loops keep their offset.
const OFFSET_KEY: &str = "bare:offset";

fn forget(job: &Job) -> anyhow::Result<()> {
    job.forget(OFFSET_KEY)
}
