//! Texts and ids out of a server's replies.

use std::str;

use redis::Value;

use crate::entry::EntryId;

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

    #[test]
    fn a_field_is_found_in_both_protocols() {
        for reply in ["*4 $1 a $1 1 $1 b $1 2 ", "%2 +a $1 1 +b $1 2 "] {
            let reply = parse_redis_value(reply.replace(' ', "\r\n").as_bytes()).unwrap();
            assert_eq!(field(&reply, "b").and_then(text), Some("2"));
            assert_eq!(field(&reply, "c"), None);
        }
    }
}
