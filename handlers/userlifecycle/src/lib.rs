//! Hands the user service's lifecycle events (`user:lifecycle_events`) to the registered handler.

mod ports;

pub use ports::{UserLifecycleEvent, UserLifecycleEventType, UserLifecycleHandler};
