//! Entries, texts and ids out of a server's replies.

use std::str;
use std::sync::Arc;

use redis::Value;

use crate::entry::{Entry, EntryId, PageBuilder};

/// What an `XREAD` of one stream brought.
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    /// How many entries came, with those that were left away.
    pub(super) received: usize,
    /// The bytes of all names and values that came.
    pub(super) bytes: usize,
}

/// The entries of an `XREAD` of one stream, until they have `max_bytes`; the first in any case. What is wrong with
/// the reply, in words, where it is none.
///
/// Nothing is `nil`, or a stream with no entries; RESP3 makes a map of the streams.
pub(super) fn page(stream: &Arc<str>, reply: &Value, max_bytes: usize) -> Result<Page, &'static str> {
    let records = records(reply)?;
    let mut builder = PageBuilder::new(Arc::clone(stream));
    let mut bytes = 0;
    for (index, record) in records.iter().enumerate() {
        let Value::Array(record) = record else {
            return Err("an entry that is no array");
        };
        let [entry_id, Value::Array(fields)] = record.as_slice() else {
            return Err("an entry that is not an id with fields");
        };
        let fits = index == 0 || bytes < max_bytes;
        bytes += size(fields)?;
        if fits {
            builder.entry(id(entry_id)?, fields.chunks_exact(2).map(|pair| (raw(&pair[0]), raw(&pair[1]))));
        }
    }
    Ok(Page { entries: builder.finish(), received: records.len(), bytes })
}

/// The entries of the one stream that was asked for.
fn records(reply: &Value) -> Result<&[Value], &'static str> {
    let records = match reply {
        Value::Nil => return Ok(&[]),
        Value::Array(streams) => match streams.as_slice() {
            [] => return Ok(&[]),
            [Value::Array(stream)] => match stream.as_slice() {
                [_, records] => records,
                _ => return Err("a stream that is not a name with entries"),
            },
            _ => return Err("not one stream"),
        },
        Value::Map(streams) => match streams.as_slice() {
            [] => return Ok(&[]),
            [(_, records)] => records,
            _ => return Err("not one stream"),
        },
        _ => return Err("no streams"),
    };
    match records {
        Value::Nil => Ok(&[]),
        Value::Array(records) => Ok(records),
        _ => Err("entries that are no array"),
    }
}

/// How many bytes names and values have; checks that they are pairs of bytes.
fn size(fields: &[Value]) -> Result<usize, &'static str> {
    if !fields.len().is_multiple_of(2) {
        return Err("a field without a value");
    }
    let mut bytes = 0;
    for field in fields {
        match field {
            Value::BulkString(text) => bytes += text.len(),
            _ => return Err("a field that is no string"),
        }
    }
    Ok(bytes)
}

/// The bytes of what [`size`] has checked.
fn raw(field: &Value) -> &[u8] {
    match field {
        Value::BulkString(text) => text,
        _ => &[],
    }
}

/// A text, however the protocol wraps it.
pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

/// An entry's id.
pub(super) fn id(value: &Value) -> Result<EntryId, &'static str> {
    text(value).and_then(|text| text.parse().ok()).ok_or("an entry id that is none")
}

/// The value of a name in a reply of names and values: an array in RESP2, a map in RESP3.
pub(super) fn field<'reply>(reply: &'reply Value, name: &str) -> Option<&'reply Value> {
    match reply {
        Value::Array(items) => {
            items.chunks_exact(2).find(|pair| text(&pair[0]) == Some(name)).map(|pair| &pair[1])
        }
        Value::Map(pairs) => {
            pairs.iter().find(|(found, _)| text(found) == Some(name)).map(|(_, value)| value)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use redis::parse_redis_value;

    use super::*;

    fn read(reply: &str, max_bytes: usize) -> Result<Page, &'static str> {
        let reply = parse_redis_value(reply.replace(' ', "\r\n").as_bytes()).unwrap();
        page(&Arc::from("s"), &reply, max_bytes)
    }

    const TWO: &str = "*2 *2 $3 1-0 *2 $1 a $2 xy *2 $3 2-0 *4 $1 a $1 1 $1 a $1 2 ";

    #[test]
    fn both_protocols_bring_the_same_entries() {
        let resp2 = read(&format!("*1 *2 $1 s {TWO}"), 100).unwrap();
        let resp3 = read(&format!("%1 $1 s {TWO}"), 100).unwrap();
        let expected = [
            Entry::new("s", EntryId::new(1, 0), [("a", "xy")]),
            Entry::new("s", EntryId::new(2, 0), [("a", "1"), ("a", "2")]),
        ];
        assert_eq!(resp2.entries, expected);
        assert_eq!(resp3.entries, expected);
        assert_eq!((resp2.received, resp2.bytes), (2, 7));
    }

    #[test]
    fn entries_end_once_they_have_the_bytes_but_not_before_the_first() {
        let page = read(&format!("*1 *2 $1 s {TWO}"), 3).unwrap();
        assert_eq!((page.entries.len(), page.received, page.bytes), (1, 2, 7));
        let page = read(&format!("*1 *2 $1 s {TWO}"), 1).unwrap();
        assert_eq!(page.entries.len(), 1);
    }

    #[test]
    fn nothing_has_many_shapes() {
        for reply in ["$-1 ", "*-1 ", "_ ", "*0 ", "%0 ", "*1 *2 $1 s *0 ", "*1 *2 $1 s *-1 ", "%1 $1 s *0 "]
        {
            let page = read(reply, 100).unwrap_or_else(|error| panic!("{reply}: {error}"));
            assert!(page.entries.is_empty(), "{reply}");
        }
    }

    #[test]
    fn what_is_no_reply_to_xread_is_an_error() {
        for reply in [
            "+OK ",
            ":1 ",
            "$1 s ",
            "*1 $1 s ",
            "*1 *1 $1 s ",
            "*2 *2 $1 s *0 *2 $1 t *0 ",
            "*1 *2 $1 s $1 x ",
            "*1 *2 $1 s *1 $1 x ",
            "*1 *2 $1 s *1 *1 $3 1-0 ",
            "*1 *2 $1 s *1 *2 $3 1-0 $-1 ",
            "*1 *2 $1 s *1 *2 $3 1-0 *1 $1 a ",
            "*1 *2 $1 s *1 *2 $3 1-0 *2 $1 a :1 ",
            "*1 *2 $1 s *1 *2 $3 x-0 *2 $1 a $1 b ",
            "*1 *2 $1 s *1 *2 :1 *2 $1 a $1 b ",
        ] {
            assert!(read(reply, 100).is_err(), "{reply}");
        }
    }

    #[test]
    fn a_field_is_found_in_both_protocols() {
        for reply in ["*4 $1 a $1 1 $1 b $1 2 ", "%2 +a $1 1 +b $1 2 "] {
            let reply = parse_redis_value(reply.replace(' ', "\r\n").as_bytes()).unwrap();
            assert_eq!(field(&reply, "b").and_then(text), Some("2"));
            assert_eq!(field(&reply, "c"), None);
        }
    }
}
