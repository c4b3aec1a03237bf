//! What the user service says in one entry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, ensure};
use stream_runtime::{Entry, FieldError, Fields};

use crate::ports::{UserLifecycleEvent, UserLifecycleEventType};

/// What a sound entry tells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// An event to hand on.
    Event(UserLifecycleEvent),
    /// An event of a type, this one, that is not handed on.
    UnknownType(String),
}

/// What `entry` tells. An error means that it is bad input, for good; that its type is unknown excuses nothing else.
pub(crate) fn decode(entry: &Entry) -> anyhow::Result<Decoded> {
    let fields = entry.fields();
    let event_type = required(fields, "event_type")?;
    let user_id = required(fields, "user_id")?.trim().to_owned();
    let occurred_at = time(required(fields, "occurred_at_ms")?).context("invalid occurred_at_ms")?;
    let source = optional(fields, "source")?;
    let actor_type = optional(fields, "actor_type")?;
    let actor_id = optional(fields, "actor_id")?;
    let reason_code = optional(fields, "reason_code")?;
    let trace_id = optional(fields, "trace_id")?;

    let Some(event_type) = UserLifecycleEventType::from_name(event_type) else {
        return Ok(Decoded::UnknownType(event_type.to_owned()));
    };
    Ok(Decoded::Event(UserLifecycleEvent {
        entry_id: entry.id(),
        event_type,
        user_id,
        occurred_at,
        source,
        actor_type,
        actor_id,
        reason_code,
        trace_id,
    }))
}

/// The text of a field that must be there and not blank.
fn required<'a>(fields: &'a Fields, name: &str) -> anyhow::Result<&'a str> {
    let text = fields.text(name)?.unwrap_or_default();
    ensure!(!text.trim().is_empty(), "missing {name}");
    Ok(text)
}

/// The text of a field, empty if it is absent.
fn optional(fields: &Fields, name: &str) -> Result<String, FieldError> {
    Ok(fields.text(name)?.unwrap_or_default().to_owned())
}

/// The time that is `ms` milliseconds after 1970.
fn time(ms: &str) -> anyhow::Result<SystemTime> {
    let ms: i64 = ms.parse()?;
    ensure!(ms > 0, "must be positive");
    let since_epoch = Duration::from_millis(ms.unsigned_abs());
    UNIX_EPOCH.checked_add(since_epoch).ok_or_else(|| anyhow!("out of range"))
}

#[cfg(test)]
mod tests;
