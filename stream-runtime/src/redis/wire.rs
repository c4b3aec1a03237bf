//! A connection of our own that does little but read a stream.
//!
//! What the server sends lands in one buffer; the reply is walked over while it comes in, and when it is complete the
//! buffer becomes the page that the entries point into. So nothing is copied, and nothing is allocated per field or
//! per entry.
//!
//! It speaks RESP2, which every server does, and which says all there is to say about a stream. The walk takes RESP3
//! as well: it differs in the shape of nothing and of the outermost array.

mod dial;
mod reply;
mod token;

#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind, Write};
use std::mem;
use std::sync::Arc;

use redis::{Cmd, RedisError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(super) use dial::Dialer;
use dial::Socket;
use reply::{Answer, Entries};
use token::Stop;

use crate::entry::{Entry, EntryId, PageIndex};

/// The least room that a read into the buffer has.
const LEAST_ROOM: usize = 1 << 10;

/// The most room that is made ready before anything comes.
const MOST_ROOM: usize = 1 << 20;

/// The most of an error's text that is kept.
const MOST_TEXT: usize = 1 << 10;

/// What went wrong.
pub(super) enum WireError {
    /// An error of the server's, or of the connection.
    Redis(RedisError),
    /// An answer that no server gives, in words.
    Odd(&'static str),
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        Self::Redis(error.into())
    }
}

/// One `XREAD` of one stream.
pub(super) struct Xread<'a> {
    pub(super) stream: &'a Arc<str>,
    pub(super) after: EntryId,
    pub(super) count: usize,
    /// In milliseconds; `None` does not block.
    pub(super) block: Option<u128>,
    /// Entries that begin behind so many bytes are left away.
    pub(super) max_bytes: usize,
}

/// What an `XREAD` brought.
pub(super) struct Page {
    pub(super) entries: Arc<[Entry]>,
    /// How many entries were asked for.
    pub(super) asked: usize,
    /// How many entries came, with those that were left away.
    pub(super) received: usize,
    /// The bytes of all names and values that came.
    pub(super) bytes: usize,
}

/// A connection on which one stream is read.
///
/// After an error that is not the server's, and after a call was dropped, it is of no more use: nobody knows how much
/// of a reply is still to come.
pub(super) struct Wire {
    socket: Box<dyn Socket>,
    /// What came and is not yet used.
    received: Vec<u8>,
    request: Vec<u8>,
    /// A read that was sent ahead of its time, and whose reply is still to come.
    ahead: Option<Ahead>,
    /// How large the last page was, in bytes, entries and texts: the next one will be about as large.
    last: (usize, usize, usize),
}

/// A read whose reply is still to come.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    pub(super) after: EntryId,
    pub(super) count: usize,
}

impl Wire {
    fn new(socket: Box<dyn Socket>) -> Self {
        Self { socket, received: Vec::new(), request: Vec::new(), ahead: None, last: (0, 0, 0) }
    }

    /// Sends the next read, so that the server works while what it brought before is made use of. The reply is for the
    /// next [`xread`](Self::xread), which must start at the same position, and before which nothing else may be asked.
    pub(super) async fn send_ahead(&mut self, xread: &Xread<'_>) -> Result<(), WireError> {
        self.send(xread).await?;
        self.ahead = Some(Ahead { after: xread.after, count: xread.count });
        Ok(())
    }

    /// The read that was sent ahead.
    pub(super) fn ahead(&self) -> Option<Ahead> {
        self.ahead
    }

    /// Reads the stream. Has no deadline of its own.
    pub(super) async fn xread(&mut self, xread: &Xread<'_>) -> Result<Page, WireError> {
        let asked = match self.ahead.take() {
            Some(ahead) if ahead.after == xread.after => ahead.count,
            Some(_) => return Err(WireError::Odd("a reply for another position")),
            None => {
                self.send(xread).await?;
                xread.count
            }
        };
        let (_, entries, texts) = self.last;
        let mut reply = Entries::new(PageIndex::with_capacity(entries, texts), xread.max_bytes);
        loop {
            match reply.walk(&self.received) {
                Ok(()) => return Ok(self.page(reply, asked, xread.stream)),
                Err(Stop::More) => reply.forget(&mut self.received),
                Err(stop) => return Err(self.failure(stop, reply.at)),
            }
            self.receive().await?;
        }
    }

    async fn send(&mut self, xread: &Xread<'_>) -> io::Result<()> {
        self.request.clear();
        xread.write_to(&mut self.request);
        self.socket.write_all(&self.request).await?;
        self.socket.flush().await
    }

    /// Runs a command that answers no more than that it worked.
    async fn run(&mut self, command: &Cmd) -> Result<(), WireError> {
        match self.answer(command).await? {
            None => Ok(()),
            Some(_) => Err(WireError::Odd("no simple answer")),
        }
    }

    /// Runs a command that answers with one text. Has no deadline of its own.
    pub(super) async fn ask(&mut self, command: &Cmd) -> Result<String, WireError> {
        self.answer(command).await?.ok_or(WireError::Odd("no text"))
    }

    async fn answer(&mut self, command: &Cmd) -> Result<Option<String>, WireError> {
        if self.ahead.is_some() {
            return Err(WireError::Odd("a reply to another command"));
        }
        self.socket.write_all(&command.get_packed_command()).await?;
        self.socket.flush().await?;
        let mut answer = Answer::new();
        let text = loop {
            match answer.walk(&self.received) {
                Ok(text) => break text,
                Err(Stop::More) => self.receive().await?,
                Err(stop) => return Err(self.failure(stop, answer.at)),
            }
        };
        let text = text.map(|text| String::from_utf8_lossy(&self.received[text]).into_owned());
        self.received.drain(..answer.at);
        Ok(text)
    }

    /// Waits for more bytes. The room for them grows with what came, never with what was announced.
    async fn receive(&mut self) -> Result<(), WireError> {
        let room = self.received.capacity() - self.received.len();
        if room == 0 {
            let (bytes, ..) = self.last;
            self.received.reserve((bytes + bytes / 8).clamp(LEAST_ROOM, MOST_ROOM));
        }
        match self.socket.read_buf(&mut self.received).await? {
            0 => Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection").into()),
            _ => Ok(()),
        }
    }

    /// Makes a page of the reply: the buffer goes with it, but for what came behind.
    fn page(&mut self, reply: Entries, asked: usize, stream: &Arc<str>) -> Page {
        let Entries { index, received, bytes, at, .. } = reply;
        if received == 0 {
            // Nobody knows how long nothing comes: the buffer is not kept.
            self.received = self.received.split_off(at);
            self.last = (0, 0, 0);
            return Page { entries: Arc::default(), asked, received, bytes };
        }
        self.last = (at, index.entries(), index.texts());
        let rest = self.received.split_off(at);
        let mut buffer = mem::replace(&mut self.received, rest);
        if buffer.capacity() / 2 > buffer.len() {
            buffer.shrink_to_fit();
        }
        Page { entries: index.over(Arc::clone(stream), buffer), asked, received, bytes }
    }

    /// The error that ended a reply.
    fn failure(&mut self, stop: Stop, at: usize) -> WireError {
        let error = match stop {
            Stop::Error(text) => server_error(&self.received[text]),
            Stop::Odd(odd) => WireError::Odd(odd),
            Stop::More => WireError::Odd("an answer that does not end"),
        };
        self.received.drain(..at);
        error
    }
}

/// An error as the redis crate reads it, so that all of them are judged alike.
fn server_error(text: &[u8]) -> WireError {
    let text = String::from_utf8_lossy(&text[..text.len().min(MOST_TEXT)]).replace(['\r', '\n'], " ");
    match redis::parse_redis_value(format!("-{text}\r\n").as_bytes()) {
        Ok(redis::Value::ServerError(error)) => WireError::Redis(error.into()),
        Ok(_) | Err(_) => WireError::Odd("an error that is none"),
    }
}

impl Xread<'_> {
    fn write_to(&self, request: &mut Vec<u8>) {
        let words = if self.block.is_some() { 8 } else { 6 };
        // Writing to a vector does not fail.
        let _ = write!(request, "*{words}\r\n$5\r\nXREAD\r\n$5\r\nCOUNT\r\n");
        push(request, &self.count.to_string());
        if let Some(block) = self.block {
            push(request, "BLOCK");
            push(request, &block.to_string());
        }
        push(request, "STREAMS");
        push(request, self.stream);
        push(request, &self.after.to_string());
    }
}

fn push(request: &mut Vec<u8>, word: &str) {
    let _ = write!(request, "${}\r\n{word}\r\n", word.len());
}
