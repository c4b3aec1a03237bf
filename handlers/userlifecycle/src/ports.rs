//! What the worker hands on, and to whom.

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use stream_runtime::EntryId;

/// What happens to a user whose account changed. Registered with the worker, and replaceable while it runs.
#[async_trait]
pub trait UserLifecycleHandler: Send + Sync + 'static {
    /// Acts on the event. It may come again: act once. An error holds the event: it is tried again.
    async fn on_event(&self, event: UserLifecycleEvent) -> anyhow::Result<()>;
}

/// A change in a user's account, as the user service tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLifecycleEvent {
    /// The entry that told it.
    pub entry_id: EntryId,
    /// What happened.
    pub event_type: UserLifecycleEventType,
    /// The user; not empty, no white space around it.
    pub user_id: String,
    /// When it happened, to the millisecond.
    pub occurred_at: SystemTime,
    /// Which service said so; empty when not told, as the four below.
    pub source: String,
    /// What kind of actor did it.
    pub actor_type: String,
    /// Which actor did it.
    pub actor_id: String,
    /// Why.
    pub reason_code: String,
    /// The trace that it belongs to.
    pub trace_id: String,
}

/// The lifecycle events that are handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UserLifecycleEventType {
    /// `user.lifecycle.permanent_blocked`
    PermanentBlocked,
    /// `user.lifecycle.deleted`
    Deleted,
}

impl UserLifecycleEventType {
    /// The type of this name, `None` for one that is not known.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "user.lifecycle.permanent_blocked" => Some(Self::PermanentBlocked),
            "user.lifecycle.deleted" => Some(Self::Deleted),
            _ => None,
        }
    }

    /// The name of the type in the stream and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PermanentBlocked => "user.lifecycle.permanent_blocked",
            Self::Deleted => "user.lifecycle.deleted",
        }
    }
}

impl fmt::Display for UserLifecycleEventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
