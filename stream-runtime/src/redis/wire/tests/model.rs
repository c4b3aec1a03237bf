//! The same replies through the redis crate's parser.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use redis::{Value, parse_redis_value};

use super::{Found, walk};
use crate::entry::{Entry, EntryId};
use crate::redis::reply::text;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// What the redis crate makes of a reply; `None` where it is none to an `XREAD`.
fn parsed(reply: &[u8], max_bytes: usize) -> Option<(Vec<Entry>, usize, usize)> {
    let (mut entries, mut received, mut bytes) = (Vec::new(), 0, 0);
    for record in records(parse_redis_value(reply).ok()?)? {
        let (id, fields) = entry(&record)?;
        if bytes < max_bytes {
            entries.push(Entry::new("s", id, fields.iter().map(|(name, value)| (name, value))));
        }
        bytes += fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        received += 1;
    }
    Some((entries, received, bytes))
}

fn records(reply: Value) -> Option<Vec<Value>> {
    let mut streams = match reply {
        Value::Nil => return Some(Vec::new()),
        Value::Array(streams) => streams,
        Value::Map(streams) => {
            streams.into_iter().map(|(name, records)| Value::Array(vec![name, records])).collect()
        }
        _ => return None,
    };
    match (streams.pop(), streams.pop()) {
        (None, _) => Some(Vec::new()),
        (Some(Value::Array(mut stream)), None) if stream.len() == 2 => match stream.pop()? {
            Value::Nil => Some(Vec::new()),
            Value::Array(records) => Some(records),
            _ => None,
        },
        _ => None,
    }
}

fn entry(record: &Value) -> Option<(EntryId, Fields)> {
    let Value::Array(record) = record else { return None };
    let [id, Value::Array(texts)] = record.as_slice() else { return None };
    let bytes = |value: &Value| match value {
        Value::BulkString(bytes) => Some(bytes.clone()),
        _ => None,
    };
    let pair = |pair: &[Value]| match pair {
        [name, value] => Some((bytes(name)?, bytes(value)?)),
        _ => None,
    };
    Some((text(id)?.parse().ok()?, texts.chunks(2).map(pair).collect::<Option<_>>()?))
}

fn bulk(reply: &mut Vec<u8>, text: &[u8]) {
    reply.extend_from_slice(format!("${}\r\n", text.len()).as_bytes());
    reply.extend_from_slice(text);
    reply.extend_from_slice(b"\r\n");
}

fn encode(resp3: bool, entries: &[((u64, u64), Fields)]) -> Vec<u8> {
    let mut reply = if resp3 { b"%1\r\n".to_vec() } else { b"*1\r\n*2\r\n".to_vec() };
    bulk(&mut reply, b"the stream");
    reply.extend_from_slice(format!("*{}\r\n", entries.len()).as_bytes());
    for ((ms, seq), fields) in entries {
        reply.extend_from_slice(b"*2\r\n");
        bulk(&mut reply, format!("{ms}-{seq}").as_bytes());
        reply.extend_from_slice(format!("*{}\r\n", 2 * fields.len()).as_bytes());
        for (name, value) in fields {
            bulk(&mut reply, name);
            bulk(&mut reply, value);
        }
    }
    reply
}

fn replies() -> impl Strategy<Value = Vec<u8>> {
    // Texts that look like RESP now and then.
    let text = prop_oneof![
        vec(any::<u8>(), 0..20),
        Just(b"\r\n".to_vec()),
        Just(b"$-1\r\n*2\r\n".to_vec()),
        Just(vec![b'$'; 3]),
    ];
    let fields = vec((text.clone(), text), 0..5);
    let entries = vec((any::<(u64, u64)>(), fields), 0..8);
    (any::<bool>(), entries).prop_map(|(resp3, entries)| encode(resp3, &entries))
}

/// Positions in a reply, in order.
fn cuts(reply: &[u8], cuts: &[Index]) -> Vec<usize> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(reply.len() + 1)).collect();
    cuts.sort_unstable();
    cuts
}

proptest! {
    #[test]
    fn every_reply_in_any_pieces_is_what_the_redis_crate_reads(
        reply in replies(),
        pieces in vec(any::<Index>(), 0..20),
        max_bytes in 1..200_usize,
    ) {
        let found = walk(&reply, max_bytes, cuts(&reply, &pieces));
        let (entries, received, bytes) = parsed(&reply, max_bytes).unwrap();
        prop_assert_eq!(found, Ok(Found { entries, received, bytes, end: reply.len() }));
    }

    #[test]
    fn a_damaged_reply_is_refused_or_read_as_the_redis_crate_does(
        mut reply in replies(),
        damage in vec((any::<Index>(), prop_oneof![any::<u8>(), Just(b'\r'), Just(b'0'), Just(b'*'), Just(b'-')]), 1..4),
        pieces in vec(any::<Index>(), 0..5),
    ) {
        for (at, byte) in damage {
            let at = at.index(reply.len());
            reply[at] = byte;
        }
        // What is no part of the reply is passed over here, and is a value of its own there.
        prop_assume!(!matches!(reply[0], b'>' | b'|'));
        if let Ok(found) = walk(&reply, 1000, cuts(&reply, &pieces)) {
            let theirs = parsed(&reply[..found.end], 1000);
            prop_assert_eq!(theirs, Some((found.entries, found.received, found.bytes)));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b'*'), Just(b'$'), b'0'..=b'9'], 0..60)) {
        let _ = walk(&bytes, 1, 0..bytes.len());
    }
}
