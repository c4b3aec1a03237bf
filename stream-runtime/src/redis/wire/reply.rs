//! Walks over a reply while it comes in, and remembers how far it got.

use std::ops::Range;

use super::token::{Stop, Token, text_at, token};
use crate::entry::{EntryId, PageIndex};

/// The entries of an `XREAD` of one stream, noted where they are in the bytes.
///
/// Nothing is `nil`, or a stream with no entries; RESP3 makes a map of the streams. Entries behind `max_bytes` are
/// counted and not noted; the first is noted whatever its size.
pub(super) struct Entries {
    pub(super) index: PageIndex,
    /// How many entries came, with those that were left away.
    pub(super) received: usize,
    /// The bytes of all names and values that came.
    pub(super) bytes: usize,
    max_bytes: usize,
    /// Where the next token is.
    pub(super) at: usize,
    /// Behind the last entry that is noted.
    noted_to: usize,
    expect: Expect,
    /// The entries to come, with the one that is under way.
    entries_left: usize,
    /// The names and values of the entry under way that are to come.
    texts_left: usize,
    id: EntryId,
    /// Whether the entry under way is noted.
    noted: bool,
}

/// What the next token is to be.
#[derive(Clone, Copy)]
enum Expect {
    /// Values that are no part of the reply.
    Aside(Skip),
    Streams,
    Stream,
    StreamName,
    Entries,
    Entry,
    Id,
    Fields,
    Text,
    Nothing,
}

impl Entries {
    pub(super) fn new(index: PageIndex, max_bytes: usize) -> Self {
        Self {
            index,
            received: 0,
            bytes: 0,
            max_bytes,
            at: 0,
            noted_to: 0,
            expect: Expect::Streams,
            entries_left: 0,
            texts_left: 0,
            id: EntryId::ZERO,
            noted: true,
        }
    }

    /// Goes on through the bytes of the reply, which are all that came so far, until its end.
    pub(super) fn walk(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        loop {
            self.expect = match self.expect {
                Expect::Text => self.texts(bytes)?,
                Expect::Entry => self.entry(bytes)?,
                Expect::Id => self.id(bytes)?,
                Expect::Fields => self.fields(bytes)?,
                Expect::Nothing => return Ok(()),
                _ => self.head(bytes)?,
            };
        }
    }

    /// Takes entries that are left away out of the bytes: their memory is needed for those to come.
    pub(super) fn forget(&mut self, bytes: &mut Vec<u8>) {
        if !self.noted && self.noted_to < self.at {
            bytes.drain(self.noted_to..self.at);
            self.at = self.noted_to;
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<Token, Stop> {
        let (token, end) = token(bytes, self.at)?;
        self.at = end;
        Ok(token)
    }

    /// All that comes before the first entry.
    fn head(&mut self, bytes: &[u8]) -> Result<Expect, Stop> {
        if let Expect::Aside(skip) = &mut self.expect {
            skip.walk(bytes, &mut self.at)?;
            return Ok(Expect::Streams);
        }
        let token = self.take(bytes)?;
        match (self.expect, token) {
            (Expect::Streams, Token::Aside(values)) => Ok(Expect::Aside(Skip::values(values))),
            (Expect::Streams, Token::Error(text)) => Err(Stop::Error(text)),
            (Expect::Streams, Token::Nil | Token::Array(0) | Token::Map(0)) => Ok(Expect::Nothing),
            (Expect::Streams, Token::Array(1)) => Ok(Expect::Stream),
            (Expect::Streams, Token::Map(1)) | (Expect::Stream, Token::Array(2)) => Ok(Expect::StreamName),
            (Expect::Streams, Token::Array(_) | Token::Map(_)) => Err(Stop::Odd("not one stream")),
            (Expect::Streams, _) => Err(Stop::Odd("no streams")),
            (Expect::StreamName, Token::Text(_)) => Ok(Expect::Entries),
            (Expect::Entries, Token::Nil | Token::Array(0)) => Ok(Expect::Nothing),
            (Expect::Entries, Token::Array(entries)) => {
                self.entries_left = entries;
                Ok(Expect::Entry)
            }
            (Expect::Entries, _) => Err(Stop::Odd("entries that are no array")),
            _ => Err(Stop::Odd("a stream that is not a name with entries")),
        }
    }

    fn entry(&mut self, bytes: &[u8]) -> Result<Expect, Stop> {
        match self.take(bytes)? {
            Token::Array(2) => Ok(Expect::Id),
            _ => Err(Stop::Odd("an entry that is not an id with fields")),
        }
    }

    fn id(&mut self, bytes: &[u8]) -> Result<Expect, Stop> {
        let (text, end) = text_at(bytes, self.at)?.ok_or(Stop::Odd("an entry without an id"))?;
        self.at = end;
        self.id = EntryId::from_bytes(&bytes[text]).ok_or(Stop::Odd("an entry id that is none"))?;
        Ok(Expect::Fields)
    }

    fn fields(&mut self, bytes: &[u8]) -> Result<Expect, Stop> {
        match self.take(bytes)? {
            Token::Array(texts) if texts.is_multiple_of(2) => {
                self.texts_left = texts;
                self.noted = self.received == 0 || self.bytes < self.max_bytes;
                Ok(Expect::Text)
            }
            Token::Array(_) => Err(Stop::Odd("a field without a value")),
            _ => Err(Stop::Odd("an entry that is not an id with fields")),
        }
    }

    fn texts(&mut self, bytes: &[u8]) -> Result<Expect, Stop> {
        while self.texts_left > 0 {
            let (text, end) = text_at(bytes, self.at)?.ok_or(Stop::Odd("a field that is no string"))?;
            self.at = end;
            self.texts_left -= 1;
            self.bytes += text.len();
            if self.noted {
                self.index.text(text);
            }
        }
        if self.noted {
            self.index.end(self.id);
            self.noted_to = self.at;
        }
        self.received += 1;
        self.entries_left -= 1;
        Ok(if self.entries_left == 0 { Expect::Nothing } else { Expect::Entry })
    }
}

/// Values to pass over. They may hold others, to any depth: it takes no more than to count them.
#[derive(Clone, Copy)]
pub(super) struct Skip {
    left: usize,
}

impl Skip {
    pub(super) fn values(left: usize) -> Self {
        Self { left }
    }

    pub(super) fn walk(&mut self, bytes: &[u8], at: &mut usize) -> Result<(), Stop> {
        while self.left > 0 {
            let (token, end) = token(bytes, *at)?;
            let (is_one, brings) = match token {
                Token::Array(values) | Token::Set(values) => (1, values),
                Token::Map(pairs) => (1, 2 * pairs),
                Token::Aside(values) => (0, values),
                Token::Text(_) | Token::Error(_) | Token::Nil | Token::Other => (1, 0),
            };
            self.left = (self.left - is_one).checked_add(brings).ok_or(Stop::Odd("too many values"))?;
            *at = end;
        }
        Ok(())
    }
}

/// The answer to a command that says one text, or nothing but that it worked.
pub(super) struct Answer {
    /// Where the next token is.
    pub(super) at: usize,
    aside: Skip,
}

impl Answer {
    pub(super) fn new() -> Self {
        Self { at: 0, aside: Skip::values(0) }
    }

    /// Goes on through the bytes of the answer, which are all that came so far, until its end. Where the text is, if
    /// there is one.
    pub(super) fn walk(&mut self, bytes: &[u8]) -> Result<Option<Range<usize>>, Stop> {
        loop {
            self.aside.walk(bytes, &mut self.at)?;
            let (token, end) = token(bytes, self.at)?;
            self.at = end;
            match token {
                Token::Other => return Ok(None),
                Token::Text(text) => return Ok(Some(text)),
                Token::Error(text) => return Err(Stop::Error(text)),
                Token::Aside(values) => self.aside = Skip::values(values),
                _ => return Err(Stop::Odd("no simple answer")),
            }
        }
    }
}
