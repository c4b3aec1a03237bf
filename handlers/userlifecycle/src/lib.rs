//! Hands the user service's lifecycle events (`user:lifecycle_events`) to the registered handler.
//!
//! [`UserLifecycleWorker`] reads the entries; what then happens to a user is up to a [`UserLifecycleHandler`].

mod event;
mod handler;
mod ports;

pub use handler::UserLifecycleWorker;
pub use ports::{UserLifecycleEvent, UserLifecycleEventType, UserLifecycleHandler};
