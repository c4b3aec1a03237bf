//! A plain socket and the least of RESP2 that the bare loops need: the floor that a runtime can be measured by.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, bail, ensure};

/// Room for a reply of 500 entries; grows when one value is larger.
const BUFFER: usize = 256 << 10;

/// A connection that blocks.
#[derive(Debug)]
pub struct Wire {
    socket: TcpStream,
    buffer: Vec<u8>,
    /// What was received and not yet walked is `buffer[start..end]`.
    start: usize,
    end: usize,
}

/// What a walk over entries meets, in order.
pub trait Visitor {
    /// The id of the next entry.
    fn id(&mut self, id: &[u8]);

    /// The next name or value of that entry.
    fn field(&mut self, bytes: &[u8]);
}

impl Wire {
    /// Connects to the server on this port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub fn connect(port: u16) -> io::Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, buffer: vec![0; BUFFER], start: 0, end: 0 })
    }

    /// Sends commands, as [`encode`] made them.
    ///
    /// # Errors
    ///
    /// The connection is lost.
    pub fn send(&mut self, commands: &[u8]) -> io::Result<()> {
        self.socket.write_all(commands)
    }

    /// Takes the reply `+OK`.
    ///
    /// # Errors
    ///
    /// The reply is another, or the connection is lost.
    pub fn ok(&mut self) -> anyhow::Result<()> {
        let line = self.line()?;
        ensure!(line == b"+OK", "expected +OK, got {:?}", String::from_utf8_lossy(line));
        Ok(())
    }

    /// Takes the reply of a command that answers one string.
    ///
    /// # Errors
    ///
    /// The reply is another, or the connection is lost.
    pub fn string(&mut self) -> anyhow::Result<&[u8]> {
        let length = self.header(b'$')?.context("expected a string, got nothing")?;
        self.bytes(length)
    }

    /// Walks the reply of an `XREAD` of one stream, and counts its entries.
    ///
    /// # Errors
    ///
    /// The reply is no such one, or the connection is lost.
    pub fn entries(&mut self, visitor: &mut impl Visitor) -> anyhow::Result<u64> {
        let Some(streams) = self.header(b'*')? else { return Ok(0) };
        ensure!(streams == 1, "expected one stream, got {streams}");
        self.expect_array(2)?;
        self.string()?;
        let entries = self.header(b'*')?.context("expected entries")?;
        for _ in 0..entries {
            self.expect_array(2)?;
            visitor.id(self.string()?);
            let fields = self.header(b'*')?.context("expected fields")?;
            for _ in 0..fields {
                visitor.field(self.string()?);
            }
        }
        Ok(entries as u64)
    }

    fn expect_array(&mut self, length: usize) -> anyhow::Result<()> {
        let found = self.header(b'*')?;
        ensure!(found == Some(length), "expected an array of {length}, got {found:?}");
        Ok(())
    }

    /// The length in the next line, which starts with `kind`; `None` for a null.
    fn header(&mut self, kind: u8) -> anyhow::Result<Option<usize>> {
        let line = self.line()?;
        match line {
            [first, b'-', ..] if *first == kind => Ok(None),
            [first, digits @ ..] if *first == kind => {
                Ok(Some(digits.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))))
            }
            other => bail!("expected {:?}, got {:?}", char::from(kind), String::from_utf8_lossy(other)),
        }
    }

    /// The next line, without its end.
    fn line(&mut self) -> io::Result<&[u8]> {
        let mut looked_at = 0;
        loop {
            let unread = &self.buffer[self.start + looked_at..self.end];
            if let Some(at) = unread.iter().position(|byte| *byte == b'\n') {
                let line = self.start..self.start + looked_at + at - 1;
                self.start = line.end + 2;
                return Ok(&self.buffer[line]);
            }
            looked_at = self.end - self.start;
            self.receive()?;
        }
    }

    /// The next `length` bytes, and past the end of line behind them.
    fn bytes(&mut self, length: usize) -> anyhow::Result<&[u8]> {
        while self.end - self.start < length + 2 {
            self.receive()?;
        }
        let start = self.start;
        self.start += length + 2;
        Ok(&self.buffer[start..start + length])
    }

    /// Receives more, behind what is not yet walked.
    fn receive(&mut self) -> io::Result<()> {
        if self.end == self.buffer.len() || self.start == self.end {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(2 * self.buffer.len(), 0);
        }
        match self.socket.read(&mut self.buffer[self.end..])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            received => {
                self.end += received;
                Ok(())
            }
        }
    }
}

/// Appends one command to `out`.
pub fn encode(out: &mut Vec<u8>, args: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[derive(Default)]
    struct Seen(Vec<String>);

    impl Visitor for Seen {
        fn id(&mut self, id: &[u8]) {
            self.0.push(format!("id {}", String::from_utf8_lossy(id)));
        }

        fn field(&mut self, bytes: &[u8]) {
            self.0.push(String::from_utf8_lossy(bytes).into_owned());
        }
    }

    #[test]
    fn a_reply_that_comes_byte_by_byte_is_walked_whole() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.set_nodelay(true).unwrap();
            let reply: &[u8] =
                b"+OK\r\n*1\r\n*2\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$4\r\n1\r\n2\r\n\
                                 *2\r\n$3\r\n2-0\r\n*2\r\n$1\r\na\r\n$0\r\n\r\n*-1\r\n";
            for byte in reply {
                socket.write_all(&[*byte]).unwrap();
            }
        });
        let mut wire = Wire::connect(port).unwrap();
        let mut seen = Seen::default();
        wire.ok().unwrap();
        assert_eq!(wire.entries(&mut seen).unwrap(), 2);
        assert_eq!(seen.0, ["id 1-0", "a", "1\r\n2", "id 2-0", "a", ""]);
        assert_eq!(wire.entries(&mut seen).unwrap(), 0);
        server.join().unwrap();
    }
}
