//! The connection that one stream is read on, made when it is needed and again after it was lost.

use std::sync::Arc;
use std::time::Duration;

use redis::Cmd;

use super::wire::{Page, Wire, WireError, Xread};
use super::{Server, errors};
use crate::entry::EntryId;

/// A connection of a source's own: a blocking read blocks all that is behind it.
pub(super) struct Link {
    server: Arc<Server>,
    /// Taken out while a call is under way, so that a call that is dropped or gets no answer takes its
    /// connection along: the next one neither waits behind it nor sees its reply.
    wire: Option<Wire>,
    /// How often a connection was made.
    connections: u64,
}

impl Link {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server, wire: None, connections: 0 }
    }

    /// Connects where there is no connection. Tells how many there were so far: another number means another
    /// connection, which may lead to another server.
    pub(super) async fn connect(&mut self) -> Result<u64, WireError> {
        if self.wire.is_none() {
            self.wire = Some(self.server.connections.dial().await?);
            self.connections += 1;
        }
        Ok(self.connections)
    }

    /// How often a connection was made.
    pub(super) fn connections(&self) -> u64 {
        self.connections
    }

    /// Reads, blocking for `block`. Only on a connection that there is: a new one is to be looked at first.
    pub(super) async fn xread(&mut self, xread: &Xread<'_>, block: Duration) -> Result<Page, WireError> {
        let mut wire = self.take()?;
        let result = self.server.connections.read(&mut wire, xread, block).await;
        self.keep(wire, result)
    }

    /// Sends the next read ahead of its time. The next call is the [`xread`](Self::xread) that takes its reply: see
    /// [`stay_at`](Self::stay_at).
    pub(super) async fn send_ahead(&mut self, xread: &Xread<'_>) -> Result<(), WireError> {
        let mut wire = self.take()?;
        let result = self.server.connections.send_ahead(&mut wire, xread).await;
        self.keep(wire, result)
    }

    /// Reading goes on at `after`, by no more than `most` entries: gives the connection up where another reply is still
    /// to come. Tells whether the right one is.
    pub(super) fn stay_at(&mut self, after: EntryId, most: usize) -> bool {
        let Some(ahead) = self.wire.as_ref().and_then(Wire::ahead) else { return false };
        let is_right = ahead.after == after && ahead.count <= most;
        if !is_right {
            self.wire = None;
        }
        is_right
    }

    /// Runs a command that answers with one text, and does not block. Only on a connection that there is.
    pub(super) async fn ask(&mut self, command: &Cmd) -> Result<String, WireError> {
        let mut wire = self.take()?;
        let result = self.server.connections.ask(&mut wire, command).await;
        self.keep(wire, result)
    }

    fn take(&mut self) -> Result<Wire, WireError> {
        self.wire.take().ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotConnected).into())
    }

    fn keep<T>(&mut self, wire: Wire, result: Result<T, WireError>) -> Result<T, WireError> {
        match &result {
            Err(WireError::Odd(_)) => {}
            Err(WireError::Redis(error)) if errors::is_stale(error) => {}
            _ => self.wire = Some(wire),
        }
        result
    }
}
