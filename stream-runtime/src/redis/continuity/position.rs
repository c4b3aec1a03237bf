//! A place in a stream, and how it is recognised again.

use std::fmt;
use std::str::FromStr;

use sha1_smol::Sha1;

use crate::entry::{Entry, EntryId};

/// What is in a stream at an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nobody has looked.
    Unknown,
    /// No entry.
    Nothing,
    /// An entry with this digest.
    Digest(u64),
}

impl Content {
    /// The first 64 bits of the SHA-1 of all names and values, as the server's script computes it.
    pub(super) fn of(entry: &Entry) -> Self {
        let mut sha1 = Sha1::new();
        for (index, (name, value)) in entry.fields().iter().enumerate() {
            if index > 0 {
                sha1.update(b"\0");
            }
            sha1.update(name);
            sha1.update(b"\0");
            sha1.update(value);
        }
        let [a, b, c, d, e, f, g, h, ..] = sha1.digest().bytes();
        Self::Digest(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

/// `?`, `-`, or the digest in hex.
impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("?"),
            Self::Nothing => f.write_str("-"),
            Self::Digest(digest) => write!(f, "{digest:016x}"),
        }
    }
}

impl FromStr for Content {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "?" => Ok(Self::Unknown),
            "-" => Ok(Self::Nothing),
            hex => u64::from_str_radix(hex, 16).map(Self::Digest).map_err(|_| ()),
        }
    }
}

/// A place in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) id: EntryId,
    /// How many entries were ever added up to and with it, where that is known.
    pub(super) count: Option<u64>,
    pub(super) content: Content,
}

impl Position {
    /// Before the first entry.
    pub(super) fn start(count: Option<u64>) -> Self {
        Self { id: EntryId::ZERO, count, content: Content::Nothing }
    }
}

/// `id:count:content`, with `?` for an unknown count.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.id)?;
        match self.count {
            Some(count) => write!(f, "{count}")?,
            None => f.write_str("?")?,
        }
        write!(f, ":{}", self.content)
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let parts: Vec<&str> = text.split(':').collect();
        let [id, count, content] = parts[..] else { return Err(()) };
        let count = if count == "?" { None } else { Some(count.parse().map_err(|_| ())?) };
        Ok(Self { id: id.parse().map_err(|_| ())?, count, content: content.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_one_that_redis_computes() {
        // redis.sha1hex('t\0t1\0u\0')
        let entry = Entry::new("s", EntryId::new(1, 0), [("t", "t1"), ("u", "")]);
        assert_eq!(Content::of(&entry).to_string(), "a06968a65dfd4afd");
    }

    #[test]
    fn positions_are_read_as_they_are_written() {
        for text in ["5-1:17:00000000000000ff", "0-0:?:-", "7-0:0:?"] {
            let position: Position = text.parse().unwrap();
            assert_eq!(position.to_string(), text);
        }
        for text in ["", "5-1", "5-1:1", "x:1:-", "5-1:x:-", "5-1:1:x", "5-1:1:-:-"] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }
}
