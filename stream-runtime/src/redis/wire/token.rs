//! The tokens of RESP2 and RESP3: what stands in a server's bytes at a position.

use std::ops::Range;

/// No text and no number of values is greater: an entry of a stream has at most 1 GiB.
const MAX_LENGTH: u64 = 1 << 30;

/// No length has more digits.
const MAX_DIGITS: usize = 10;

/// No error and no other value of one line is longer.
const MAX_LINE: usize = 64 << 10;

/// One token, with positions in the bytes that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A text of any bytes.
    Text(Range<usize>),
    /// So many values follow.
    Array(usize),
    /// So many values follow, in no order.
    Set(usize),
    /// So many names and values follow, in pairs.
    Map(usize),
    /// So many values follow that are no part of the reply: a push, or attributes.
    Aside(usize),
    /// What the server has to complain of.
    Error(Range<usize>),
    Nil,
    /// A number, a simple string, or another value that nobody here asks for.
    Other,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The bytes end before the token does.
    More,
    /// No server says this.
    Odd(&'static str),
    /// An error of the server's instead of an answer; where it is in the bytes.
    Error(Range<usize>),
}

/// The token at a position, and the position behind it. Nothing is looked at twice but the token's first line, of
/// bounded length, so a text that comes in many pieces costs no more than one that comes at once.
pub(super) fn token(bytes: &[u8], at: usize) -> Result<(Token, usize), Stop> {
    let kind = *bytes.get(at).ok_or(Stop::More)?;
    let at = at + 1;
    match kind {
        b'$' => match length(bytes, at)? {
            (None, end) => Ok((Token::Nil, end)),
            (Some(length), start) => text(bytes, start, length).map(|(text, end)| (Token::Text(text), end)),
        },
        b'*' => match length(bytes, at)? {
            (None, end) => Ok((Token::Nil, end)),
            (Some(length), end) => Ok((Token::Array(length), end)),
        },
        b'%' => some_length(bytes, at).map(|(length, end)| (Token::Map(length), end)),
        b'~' => some_length(bytes, at).map(|(length, end)| (Token::Set(length), end)),
        b'>' => some_length(bytes, at).map(|(length, end)| (Token::Aside(length), end)),
        b'|' => some_length(bytes, at).map(|(length, end)| (Token::Aside(2 * length), end)),
        b'-' => line(bytes, at).map(|(text, end)| (Token::Error(text), end)),
        b'!' => long(bytes, at).map(|(text, end)| (Token::Error(text), end)),
        b'=' => long(bytes, at).map(|(_, end)| (Token::Other, end)),
        b'_' => line(bytes, at).map(|(_, end)| (Token::Nil, end)),
        b'+' | b':' | b',' | b'#' | b'(' => line(bytes, at).map(|(_, end)| (Token::Other, end)),
        _ => Err(Stop::Odd("a value of a kind that is none")),
    }
}

/// The text at a position, and the position behind it: what nearly all of a reply is made of. `None` where there is
/// no text.
#[inline]
pub(super) fn text_at(bytes: &[u8], at: usize) -> Result<Option<(Range<usize>, usize)>, Stop> {
    match bytes.get(at) {
        Some(b'$') => match length(bytes, at + 1)? {
            (Some(length), start) => text(bytes, start, length).map(Some),
            (None, _) => Ok(None),
        },
        Some(_) => Ok(None),
        None => Err(Stop::More),
    }
}

/// A length and the line's end; `None` for -1, which stands for nil.
#[inline]
fn length(bytes: &[u8], at: usize) -> Result<(Option<usize>, usize), Stop> {
    let mut length: u64 = 0;
    let mut end = at;
    loop {
        match *bytes.get(end).ok_or(Stop::More)? {
            digit @ b'0'..=b'9' if end - at < MAX_DIGITS => length = 10 * length + u64::from(digit - b'0'),
            b'\r' if end > at => break,
            b'-' if end == at => return minus_one(bytes, at),
            _ => return Err(Stop::Odd("a length that is none")),
        }
        end += 1;
    }
    let end = line_end(bytes, end)?;
    match usize::try_from(length) {
        Ok(fits) if length <= MAX_LENGTH => Ok((Some(fits), end)),
        _ => Err(Stop::Odd("a length beyond 1 GiB")),
    }
}

#[cold]
fn minus_one(bytes: &[u8], at: usize) -> Result<(Option<usize>, usize), Stop> {
    match *bytes.get(at + 1).ok_or(Stop::More)? {
        b'1' => Ok((None, line_end(bytes, at + 2)?)),
        _ => Err(Stop::Odd("a negative length")),
    }
}

/// A length where nil is none.
fn some_length(bytes: &[u8], at: usize) -> Result<(usize, usize), Stop> {
    match length(bytes, at)? {
        (Some(length), end) => Ok((length, end)),
        (None, _) => Err(Stop::Odd("a negative length")),
    }
}

/// A text after its length.
fn long(bytes: &[u8], at: usize) -> Result<(Range<usize>, usize), Stop> {
    let (length, start) = some_length(bytes, at)?;
    text(bytes, start, length)
}

#[inline]
fn text(bytes: &[u8], start: usize, length: usize) -> Result<(Range<usize>, usize), Stop> {
    let end = start + length;
    Ok((start..end, line_end(bytes, end)?))
}

/// The rest of a line.
fn line(bytes: &[u8], at: usize) -> Result<(Range<usize>, usize), Stop> {
    let rest = &bytes[at..bytes.len().min(at + MAX_LINE)];
    match rest.iter().position(|&byte| byte == b'\r') {
        Some(length) => text(bytes, at, length),
        None if rest.len() == MAX_LINE => Err(Stop::Odd("a line that does not end")),
        None => Err(Stop::More),
    }
}

/// The position behind the line break that must be at `at`.
#[inline]
fn line_end(bytes: &[u8], at: usize) -> Result<usize, Stop> {
    match bytes.get(at..) {
        Some([b'\r', b'\n', ..]) => Ok(at + 2),
        None | Some([] | [b'\r']) => Err(Stop::More),
        Some(_) => Err(Stop::Odd("a line break is missing")),
    }
}
