//! The request that flows through the stack.

use std::sync::Arc;

use tokio::time::Instant;

use crate::entry::Entry;

/// One delivery of an entry: the request of every layer and of the handler's service.
///
/// Cheap to clone. `attempt` counts within the stack, where the retry layer calls again; `redelivery` and
/// `held_since` count from outside, where the consumer's loop delivers a held entry again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Delivery {
    /// The entry.
    pub entry: Entry,
    /// The name of the consumer.
    pub consumer: Arc<str>,
    /// Which call of the handler this is within the delivery; the first is 1.
    pub attempt: u32,
    /// How often the entry was held before; 0 for the first delivery.
    pub redelivery: u64,
    /// When the entry was first held; `None` for the first delivery.
    pub held_since: Option<Instant>,
}

impl Delivery {
    /// The first delivery of `entry` to the consumer of this name.
    pub fn new(consumer: impl Into<Arc<str>>, entry: Entry) -> Self {
        Self { entry, consumer: consumer.into(), attempt: 1, redelivery: 0, held_since: None }
    }
}
