//! Whether an entry is still in its stream, and how it went where it is not.

use redis::{Cmd, Value, cmd};

use super::reply;
use crate::backend::Presence;
use crate::entry::EntryId;

/// Whether the entry is there, the stream's first id (empty: no entries), the last id ever generated, and the
/// greatest id ever deleted by `XDEL` (empty: the server is older than Redis 7 and does not know).
///
/// A script, because it must be one moment's answer, asks for no right that commits do not need, and leaves the
/// entry's body where it is.
const SCRIPT: &str = "\
local info = redis.call('XINFO', 'STREAM', KEYS[1])
local field = {}
for i = 1, #info, 2 do field[info[i]] = info[i + 1] end
local first = field['first-entry']
return {
  #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]),
  first and first[1] or '',
  field['last-generated-id'],
  field['max-deleted-entry-id'] or ''
}";

pub(super) fn command(stream: &str, id: EntryId) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(SCRIPT).arg(1).arg(stream).arg(id.to_string());
    command
}

/// What the script found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence {
    present: bool,
    first: Option<EntryId>,
    last_generated: EntryId,
    max_deleted: Option<EntryId>,
}

impl Evidence {
    pub(super) fn from_reply(reply: &Value) -> Result<Self, &'static str> {
        let Value::Array(items) = reply else {
            return Err("no array");
        };
        let [Value::Int(found), first, last_generated, max_deleted] = items.as_slice() else {
            return Err("not a number and three ids");
        };
        Ok(Self {
            present: *found > 0,
            first: optional_id(first)?,
            last_generated: reply::id(last_generated)?,
            max_deleted: optional_id(max_deleted)?,
        })
    }

    /// Says `Deleted` or `Trimmed` only where the evidence leaves nothing else: a stream that was made anew or
    /// rolled back has other entries, and proves nothing about ours.
    pub(super) fn verdict(self, id: EntryId) -> Presence {
        if self.present {
            return Presence::Present;
        }
        if self.last_generated < id {
            return Presence::Unclear;
        }
        // Trimming takes the first entries: what is missing behind the first was deleted.
        let behind_first = self.first.is_some_and(|first| first <= id);
        match self.max_deleted {
            None if behind_first => Presence::Deleted,
            Some(max) if max == id || (max > id && behind_first) => Presence::Deleted,
            Some(max) if max < id && !behind_first => Presence::Trimmed,
            _ => Presence::Unclear,
        }
    }
}

fn optional_id(value: &Value) -> Result<Option<EntryId>, &'static str> {
    match reply::text(value) {
        Some("") => Ok(None),
        _ => reply::id(value).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict on entry 5 in a stream with these ids (0: none), where 5 is not there.
    fn verdict(first: u64, last_generated: u64, max_deleted: Option<u64>) -> Presence {
        let evidence = Evidence {
            present: false,
            first: (first > 0).then(|| EntryId::new(first, 0)),
            last_generated: EntryId::new(last_generated, 0),
            max_deleted: max_deleted.map(|ms| EntryId::new(ms, 0)),
        };
        evidence.verdict(EntryId::new(5, 0))
    }

    #[test]
    fn a_verdict_needs_proof() {
        use Presence::{Deleted, Trimmed, Unclear};
        for (first, last_generated, max_deleted, expected) in [
            // Deleted itself, as the first, in the middle, as the only one.
            (6, 9, Some(5), Deleted),
            (2, 9, Some(5), Deleted),
            (0, 9, Some(5), Deleted),
            // In the middle, and a later one was deleted as well.
            (2, 9, Some(7), Deleted),
            // A later one was deleted, and ours is before the first: deleted or trimmed.
            (8, 9, Some(7), Unclear),
            (0, 9, Some(7), Unclear),
            // Before the first, and none so late was ever deleted.
            (6, 9, Some(0), Trimmed),
            (6, 9, Some(4), Trimmed),
            (0, 9, Some(0), Trimmed),
            // Behind the first, and none so late was ever deleted: not our stream.
            (2, 9, Some(0), Unclear),
            // The stream never got so far.
            (2, 4, Some(0), Unclear),
            (0, 4, Some(5), Unclear),
            // Servers that do not say what was deleted.
            (2, 9, None, Deleted),
            (6, 9, None, Unclear),
            (0, 9, None, Unclear),
            (2, 4, None, Unclear),
        ] {
            let found = verdict(first, last_generated, max_deleted);
            assert_eq!(found, expected, "{first} {last_generated} {max_deleted:?}");
        }
    }

    #[test]
    fn an_odd_reply_is_an_error() {
        for reply in ["+OK\r\n", "*0\r\n", "*4\r\n:0\r\n$0\r\n\r\n$1\r\nx\r\n$0\r\n\r\n"] {
            let reply = redis::parse_redis_value(reply.as_bytes()).unwrap();
            assert!(Evidence::from_reply(&reply).is_err(), "{reply:?}");
        }
    }
}
