//! What happens in the lobby when a user's account is blocked or deleted.

use anyhow::bail;
use async_trait::async_trait;
use userlifecycle::{UserLifecycleEvent, UserLifecycleEventType, UserLifecycleHandler};

use crate::stores::Stores;
use crate::stores::model::{User, UserMark, to_ms};

/// Marks the user, once, by `occurred_at`: of two events the later in that time stays, whichever comes first, and
/// a replay changes nothing. Of two of one millisecond the first to come stays.
#[async_trait]
impl UserLifecycleHandler for Stores {
    async fn on_event(&self, event: UserLifecycleEvent) -> anyhow::Result<()> {
        let mark = match event.event_type {
            UserLifecycleEventType::PermanentBlocked => UserMark::Blocked,
            UserLifecycleEventType::Deleted => UserMark::Deleted,
            other => bail!("the lobby does not know what to do on {other}"),
        };
        let new = User {
            mark,
            occurred_at_ms: to_ms(event.occurred_at),
            entry_id: event.entry_id.to_string(),
            reason_code: event.reason_code,
        };
        self.change(&event.user_id, |user: Option<User>| {
            let newer = user.is_none_or(|user| user.occurred_at_ms < new.occurred_at_ms);
            Ok(newer.then(|| new.clone()))
        })
        .await?;
        Ok(())
    }
}
