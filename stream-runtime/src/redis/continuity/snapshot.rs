//! What a stream is like at one moment: one read-only script, and its answer.

use std::sync::LazyLock;

use redis::{Cmd, cmd};
use sha1_smol::Sha1;

use super::position::Content;
use crate::entry::EntryId;

/// Answers in one line, for the reason that one line is quickly taken apart: the role, entries-added, length, last,
/// first and max-deleted id (`-`: the server or the stream has none), whether nothing comes after the first id
/// that was asked for (`1`, else `0`), and the digests of the last entry and of all that were asked for (`-`: no
/// such entry).
///
/// The bodies stay on the server. Whether the server is a master is asked here and not once per connection:
/// it changes while connections stay. A user who may not ask counts as one who was told so.
const SCRIPT: &str = "\
local info = redis.call('XINFO', 'STREAM', KEYS[1])
local field = {}
for i = 1, #info, 2 do field[info[i]] = info[i + 1] end
local digests = {}
local function digest(id)
  if not digests[id] then
    local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
    digests[id] = entry and string.sub(redis.sha1hex(table.concat(entry[2], '\\0')), 1, 16) or '-'
  end
  return digests[id]
end
local replication = redis.pcall('INFO', 'replication')
local role = type(replication) == 'string' and string.match(replication, 'role:(%a+)') or 'master'
local function number(n) return n and string.format('%.0f', n) or '-' end
local first, last, deleted = field['first-entry'], field['last-generated-id'], field['max-deleted-entry-id']
local at_end = deleted == last and #redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', 1) == 0
local answer = {
  role, number(field['entries-added']), number(field['length']), last, first and first[1] or '-', deleted or '-',
  at_end and '1' or '0', digest(last)
}
for i = 1, #ARGV do answer[#answer + 1] = digest(ARGV[i]) end
return table.concat(answer, ' ')";

static SCRIPT_SHA1: LazyLock<String> = LazyLock::new(|| Sha1::from(SCRIPT).digest().to_string());

/// Runs the script by its hash; `NOSCRIPT` where the server has not seen it.
pub(super) fn by_hash(stream: &str, ids: &[EntryId]) -> Cmd {
    command("EVALSHA", &SCRIPT_SHA1, stream, ids)
}

/// Runs the script, and lets the server keep it.
pub(super) fn by_text(stream: &str, ids: &[EntryId]) -> Cmd {
    command("EVAL", SCRIPT, stream, ids)
}

fn command(name: &str, script: &str, stream: &str, ids: &[EntryId]) -> Cmd {
    let mut command = cmd(name);
    command.arg(script).arg(1).arg(stream);
    for id in ids {
        command.arg(id.to_string());
    }
    command
}

/// A stream at one moment.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) is_master: bool,
    /// `None` on servers before Redis 7, which do not count.
    pub(super) counts: Option<Counts>,
    /// The last id that was ever generated.
    pub(super) last: EntryId,
    /// The first entry; `None` in an empty stream.
    pub(super) first: Option<EntryId>,
    /// Nothing comes after the first id that was asked for, for the last entries were deleted.
    pub(super) end_deleted: bool,
    /// What is at the last id and at those that were asked for.
    contents: Vec<(EntryId, Content)>,
}

/// What Redis counts since version 7.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    /// Entries that were ever added.
    pub(super) added: u64,
    /// Entries that were trimmed or deleted.
    pub(super) removed: u64,
    /// The greatest id that was ever deleted by `XDEL`.
    pub(super) max_deleted: EntryId,
}

impl Snapshot {
    /// Out of the script's answer, given the ids that were asked for.
    pub(super) fn parse(answer: &str, ids: &[EntryId]) -> Option<Self> {
        let mut words = answer.split(' ');
        let is_master = words.next()? == "master";
        let added = optional(words.next()?)?;
        let length: u64 = words.next()?.parse().ok()?;
        let last = words.next()?.parse().ok()?;
        let first = optional(words.next()?)?;
        let max_deleted = optional(words.next()?)?;
        let end_deleted = words.next()? == "1";
        let asked = std::iter::once(&last).chain(ids);
        let contents: Vec<(EntryId, Content)> =
            asked.zip(words).map(|(id, word)| Some((*id, word.parse().ok()?))).collect::<Option<_>>()?;
        let counts = match (added, max_deleted) {
            (Some(added), Some(max_deleted)) => {
                Some(Counts { added, removed: u64::checked_sub(added, length)?, max_deleted })
            }
            _ => None,
        };
        (contents.len() == ids.len() + 1).then_some(Self {
            is_master,
            counts,
            last,
            first,
            end_deleted,
            contents,
        })
    }

    /// What is at an id; `Unknown` where that was not asked.
    pub(super) fn content(&self, id: EntryId) -> Content {
        let found = self.contents.iter().find(|(asked, _)| *asked == id);
        found.map_or(Content::Unknown, |(_, content)| *content)
    }

    /// Whether all entries up to this id are gone.
    pub(super) fn is_cut_beyond(&self, id: EntryId) -> bool {
        self.first.is_none_or(|first| first > id)
    }

    /// Whether there is nothing to read after `id`, the first id that was asked for.
    pub(super) fn ends_at(&self, id: EntryId) -> bool {
        self.first.is_none() || self.last <= id || self.end_deleted
    }
}

impl Counts {
    /// Whether all that was removed came before the first entry: then that many entries came before it.
    pub(super) fn removed_come_first(&self, first: Option<EntryId>) -> bool {
        first.is_none_or(|first| self.max_deleted < first)
    }
}

/// A word, where `-` stands for none.
fn optional<T: std::str::FromStr>(word: &str) -> Option<Option<T>> {
    if word == "-" { Some(None) } else { word.parse().ok().map(Some) }
}
