//! Hands each event to whoever is registered for it.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use stream_runtime::{Advance, Entry, Handler, Hold, Outcome, async_trait};

use crate::event::{self, Decoded};
use crate::ports::{UserLifecycleEvent, UserLifecycleHandler};

/// Logs one line about an entry, with the fields that dashboards look for on each.
macro_rules! log {
    ($level:ident, $entry:expr, $($rest:tt)+) => {
        tracing::$level!(
            worker = "lobby.userlifecycle",
            stream = $entry.stream(),
            stream_entry_id = %$entry.id(),
            $($rest)+
        )
    };
}

/// Hands the user service's lifecycle events to the registered [`UserLifecycleHandler`].
///
/// An event that the handler fails on is held. An entry that does not decode is skipped. An event of an unknown
/// type is logged and let go, and so is every event while no handler is registered.
///
/// The handler can be replaced while a consumer runs: give the consumer a clone of the `Arc` and keep the other.
///
/// ```
/// use std::sync::Arc;
/// use stream_runtime::async_trait;
/// use userlifecycle::{UserLifecycleEvent, UserLifecycleHandler, UserLifecycleWorker};
///
/// struct Cascade;
///
/// #[async_trait]
/// impl UserLifecycleHandler for Cascade {
///     async fn on_event(&self, event: UserLifecycleEvent) -> anyhow::Result<()> {
///         println!("{} is {}", event.user_id, event.event_type);
///         Ok(())
///     }
/// }
///
/// let worker = Arc::new(UserLifecycleWorker::new());
/// worker.set_handler(Some(Arc::new(Cascade)));
/// ```
#[derive(Default)]
pub struct UserLifecycleWorker {
    registered: RwLock<Option<Arc<dyn UserLifecycleHandler>>>,
}

impl UserLifecycleWorker {
    /// A worker without a handler: it drops events until there is one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers `handler` in place of the one before, from the next event on; `None` registers none.
    pub fn set_handler(&self, handler: Option<Arc<dyn UserLifecycleHandler>>) {
        *self.registered.write().unwrap_or_else(PoisonError::into_inner) = handler;
    }

    fn registered(&self) -> Option<Arc<dyn UserLifecycleHandler>> {
        self.registered.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Handler for UserLifecycleWorker {
    async fn handle(&self, entry: &Entry) -> Outcome<Advance, Hold> {
        match event::decode(entry) {
            Ok(Decoded::Event(event)) => self.hand_on(entry, event).await,
            Ok(Decoded::UnknownType(event_type)) => {
                log!(info, entry, event_type, "unknown user lifecycle event type");
                Ok(Advance::Handled)
            }
            Err(error) => {
                log!(warn, entry, err = format_args!("{error:#}"), "decode user lifecycle event");
                Ok(Advance::skip(error))
            }
        }
    }
}

impl UserLifecycleWorker {
    async fn hand_on(&self, entry: &Entry, event: UserLifecycleEvent) -> Outcome {
        let Some(handler) = self.registered() else {
            log!(warn, entry, "no user lifecycle handler registered; entry dropped");
            return Ok(Advance::Handled);
        };
        let (event_type, user_id) = (event.event_type.as_str(), event.user_id.clone());
        if let Err(error) = handler.on_event(event).await {
            log!(
                warn,
                entry,
                event_type,
                user_id,
                err = format_args!("{error:#}"),
                "handle user lifecycle event"
            );
            return Err(error.context("handle user lifecycle event").into());
        }
        log!(info, entry, event_type, user_id, "user lifecycle event processed");
        Ok(Advance::Handled)
    }
}

impl fmt::Debug for UserLifecycleWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserLifecycleWorker").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
