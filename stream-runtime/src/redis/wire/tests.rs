//! The walk over replies: shapes, pieces, limits, and agreement with the redis crate's parser.

mod model;

use std::sync::Arc;

use super::reply::{Answer, Entries};
use super::token::{Stop, token};
use crate::entry::{Entry, EntryId, PageIndex};

/// What was read: the entries, how many came, the bytes of their fields, and where the reply ended.
#[derive(Debug, PartialEq)]
struct Found {
    entries: Vec<Entry>,
    received: usize,
    bytes: usize,
    end: usize,
}

/// Walks over a reply that comes in pieces which end at these positions.
fn walk(reply: &[u8], max_bytes: usize, pieces: impl IntoIterator<Item = usize>) -> Result<Found, Stop> {
    let mut walk = Entries::new(PageIndex::default(), max_bytes);
    let (mut buffer, mut fed) = (Vec::new(), 0);
    for end in pieces.into_iter().chain([reply.len()]) {
        buffer.extend_from_slice(&reply[fed..end]);
        fed = end;
        match walk.walk(&buffer) {
            Ok(()) => {
                let Entries { index, received, bytes, at, .. } = walk;
                let end = fed - (buffer.len() - at);
                return Ok(Found { entries: index.over(Arc::from("s"), buffer), received, bytes, end });
            }
            Err(Stop::More) => walk.forget(&mut buffer),
            Err(stop) => return Err(stop),
        }
    }
    Err(Stop::More)
}

/// A reply written with a blank for each line break.
fn crlf(text: &str) -> Vec<u8> {
    text.replace(' ', "\r\n").into_bytes()
}

fn read(reply: &str, max_bytes: usize) -> Result<Found, Stop> {
    walk(&crlf(reply), max_bytes, [])
}

const TWO: &str = "*2 *2 $3 1-0 *2 $1 a $2 xy *2 $3 2-0 *4 $1 a $1 1 $1 a $1 2 ";

fn two() -> [Entry; 2] {
    [
        Entry::new("s", EntryId::new(1, 0), [("a", "xy")]),
        Entry::new("s", EntryId::new(2, 0), [("a", "1"), ("a", "2")]),
    ]
}

#[test]
fn both_protocols_bring_the_same_entries() {
    for reply in [format!("*1 *2 $1 s {TWO}"), format!("%1 $1 s {TWO}")] {
        let found = read(&reply, 100).unwrap();
        assert_eq!(found.entries, two());
        assert_eq!((found.received, found.bytes, found.end), (2, 7, crlf(&reply).len()));
    }
}

#[test]
fn a_reply_may_be_split_at_every_byte() {
    let reply = crlf(&format!(">2 +invalidate *1 $1 k *1 *2 $1 s {TWO}"));
    for at in 0..reply.len() {
        assert_eq!(walk(&reply, 100, [at]).unwrap().entries, two(), "split at {at}");
        assert_eq!(walk(&reply[..at], 100, []), Err(Stop::More), "cut at {at}");
    }
    assert_eq!(walk(&reply, 100, 0..reply.len()).unwrap().entries, two());
}

#[test]
fn what_comes_behind_a_reply_is_left() {
    let reply = crlf(&format!("*1 *2 $1 s {TWO}"));
    let with_more = [&reply[..], b"*-1\r\n"].concat();
    let found = walk(&with_more, 100, []).unwrap();
    assert_eq!((found.entries.as_slice(), found.end), (&two()[..], reply.len()));
}

#[test]
fn entries_end_once_they_have_the_bytes_but_not_before_the_first() {
    for (max_bytes, expected) in [(1, 1), (2, 1), (3, 1), (4, 2)] {
        let reply = crlf(&format!("*1 *2 $1 s {TWO}"));
        for pieces in [0..0, 0..reply.len()] {
            let found = walk(&reply, max_bytes, pieces).unwrap();
            assert_eq!(found.entries, two()[..expected], "{max_bytes} bytes");
            assert_eq!((found.received, found.bytes, found.end), (2, 7, reply.len()));
        }
    }
}

#[test]
fn entries_that_are_left_away_take_no_memory_while_others_come() {
    let entry = format!("*2 $3 1-0 *2 $1 a $1000 {} ", "x".repeat(1000));
    let reply = crlf(&format!("*1 *2 $1 s *1000 {}", entry.repeat(1000)));
    let mut walk = Entries::new(PageIndex::default(), 1);
    let mut buffer = Vec::new();
    for piece in reply.chunks(700) {
        buffer.extend_from_slice(piece);
        match walk.walk(&buffer) {
            Ok(()) => break,
            Err(stop) => assert_eq!(stop, Stop::More),
        }
        walk.forget(&mut buffer);
        assert!(buffer.len() < 4000, "{} bytes", buffer.len());
    }
    assert_eq!((walk.received, walk.index.entries()), (1000, 1));
}

#[test]
fn nothing_has_many_shapes() {
    for reply in ["$-1 ", "*-1 ", "_ ", "*0 ", "%0 ", "*1 *2 $1 s *0 ", "*1 *2 $1 s *-1 ", "%1 $1 s *0 "] {
        let found = read(reply, 100).unwrap_or_else(|stop| panic!("{reply}: {stop:?}"));
        assert!(found.entries.is_empty() && found.received == 0, "{reply}");
        assert_eq!(found.end, crlf(reply).len(), "{reply}");
    }
}

#[test]
fn pushes_before_a_reply_are_passed_over() {
    for aside in
        [">0 ", ">3 $7 message $1 c $2 hi ", ">2 +x *2 %1 :1 ,1.5 ~1 #t ", "|1 +ttl :3 ", ">1 _ >1 _ "]
    {
        let found = read(&format!("{aside}*1 *2 $1 s {TWO}"), 100).unwrap();
        assert_eq!(found.entries, two(), "{aside}");
        let mut answer = Answer::new();
        assert_eq!(answer.walk(&crlf(&format!("{aside}+OK "))), Ok(None), "{aside}");
    }
    // However deep: no stack is used for it.
    let deep = format!(">1 {}:1 *-1 ", "*1 ".repeat(100_000));
    assert_eq!(read(&deep, 100).unwrap().received, 0);
}

#[test]
fn an_error_is_found_with_its_text() {
    for reply in ["-WRONGTYPE no|", "!12|WRONGTYPE no|", ">1|_|-WRONGTYPE no|"] {
        let reply = reply.replace('|', "\r\n").into_bytes();
        for at in 0..reply.len() {
            let Err(Stop::Error(text)) = walk(&reply, 100, [at]) else { panic!("no error: {reply:?}") };
            assert_eq!(&reply[text], b"WRONGTYPE no");
        }
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
        "*1 *-1 ",
        "*2 *2 $1 s *0 *2 $1 t *0 ",
        "%2 $1 s *0 $1 t *0 ",
        "*1 *2 :1 *0 ",
        "*1 *2 $1 s $1 x ",
        "*1 *2 $1 s *1 $1 x ",
        "*1 *2 $1 s *1 *-1 ",
        "*1 *2 $1 s *1 *1 $3 1-0 ",
        "*1 *2 $1 s *1 *2 $3 1-0 $-1 ",
        "*1 *2 $1 s *1 *2 $3 1-0 *1 $1 a ",
        "*1 *2 $1 s *1 *2 $3 1-0 *2 $1 a :1 ",
        "*1 *2 $1 s *1 *2 $3 1-0 *2 $1 a $-1 ",
        "*1 *2 $1 s *1 *2 $3 1-0 *2 $1 a -ERR ",
        "*1 *2 $1 s *1 *2 $3 x-0 *2 $1 a $1 b ",
        "*1 *2 $1 s *1 *2 :1 *2 $1 a $1 b ",
        "*1 *2 $1 s >1 _ *0 ",
    ] {
        assert!(matches!(read(reply, 100), Err(Stop::Odd(_))), "{reply}");
    }
}

#[test]
fn hostile_lengths_are_refused_before_anything_is_made_of_them() {
    for length in [
        "-2",
        "-9223372036854775808",
        "1073741825",
        "4294967296",
        "9223372036854775807",
        "18446744073709551616",
        "99999999999999999999999999999999",
        "00000000000000000001",
        "",
        "-",
        "--1",
        "-11",
        "+1",
        "1a",
        " 1",
        "1\n",
        "0x10",
        "1.0",
        "?",
    ] {
        for kind in ["$", "*", "%", ">", "|", "~", "!", "="] {
            let found = token(format!("{kind}{length}\r\n").as_bytes(), 0);
            assert!(matches!(found, Err(Stop::Odd(_))), "{kind}{length}: {found:?}");
        }
    }
    for text in ["$1\rx", "$3\r\nabcd\r\n", "$3\r\nabc\rx", "_x\rx", "+a\rb\r\n", "?", "\r\n", "nonsense"] {
        assert!(matches!(token(text.as_bytes(), 0), Err(Stop::Odd(_))), "{text:?}");
    }
    // The greatest of all: it is believed, and waited for.
    for reply in
        ["*1 *2 $1 s *1073741824 ", "*1 *2 $1 s *1 *2 $3 1-0 *1073741824 ", ">1073741824 *1073741824 "]
    {
        assert_eq!(read(reply, 100), Err(Stop::More));
    }
    assert_eq!(token(b"$1073741824\r\nab", 0), Err(Stop::More));
}

#[test]
fn a_line_that_does_not_end_is_given_up() {
    for kind in [b'+', b'-', b':', b'_'] {
        let mut line = vec![kind];
        line.resize(64 << 10, b'x');
        assert_eq!(token(&line, 0), Err(Stop::More));
        line.push(b'x');
        assert!(matches!(token(&line, 0), Err(Stop::Odd(_))));
    }
}

#[test]
fn ids_go_to_the_end_of_their_numbers() {
    let max = "18446744073709551615";
    let found = read(&format!("*1 *2 $1 s *1 *2 $41 {max}-{max} *2 $1 a $1 b "), 100).unwrap();
    assert_eq!(found.entries[0].id(), EntryId::MAX);
    let beyond = "18446744073709551616";
    let found = read(&format!("*1 *2 $1 s *1 *2 $41 {max}-{beyond} *2 $1 a $1 b "), 100);
    assert!(matches!(found, Err(Stop::Odd(_))));
}

#[test]
fn an_entry_of_a_hundred_thousand_fields_keeps_them_in_order() {
    let fields: String = (0..100_000).map(|n| format!("$5 {n:05} $1 v ")).collect();
    let reply = crlf(&format!("*1 *2 $1 s *1 *2 $3 1-0 *200000 {fields}"));
    let found = walk(&reply, 1, (0..reply.len()).step_by(1000)).unwrap();
    let fields = found.entries[0].fields();
    assert_eq!((fields.len(), found.bytes), (100_000, 600_000));
    assert!(fields.iter().enumerate().all(|(n, (name, _))| name == format!("{n:05}").as_bytes()));
}

#[test]
fn an_entry_of_64_mib_in_many_pieces_is_looked_at_once() {
    let body = "x".repeat(64 << 20);
    let reply = crlf(&format!("*1 *2 $1 s *1 *2 $3 1-0 *2 $4 body ${} {body} ", body.len()));
    let mut walk = Entries::new(PageIndex::default(), 1);
    let started = std::time::Instant::now();
    // Each piece is a look at the whole that came so far: sixty-five thousand are too many for more than the head.
    for end in (0..reply.len()).step_by(1 << 10) {
        assert_eq!(walk.walk(&reply[..end]), Err(Stop::More));
    }
    assert_eq!(walk.walk(&reply), Ok(()));
    assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(walk.bytes, 4 + (64 << 20));
}
