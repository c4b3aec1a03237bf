//! Stands between a worker and a server, and is the bad network or the bad server that a test needs.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// What becomes of one command.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// It goes to the server, and the server's reply comes back.
    Pass,
    /// It goes nowhere, and this is the reply.
    Say(String),
    /// It goes to the server, half the reply comes back, and then the connection is reset.
    HalfThenReset,
    /// It goes to the server, half the reply comes back, and then nothing more.
    HalfThenSilence,
}

type Rule = Box<dyn FnMut(&[String]) -> Act + Send>;

/// A proxy that takes one command at a time of each connection.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    target: Mutex<u16>,
    /// Nothing passes, in either direction, and nobody is told.
    dark: watch::Sender<bool>,
    rule: Mutex<Option<Rule>>,
    calls: Mutex<Vec<Instant>>,
    connections: AtomicUsize,
}

impl Proxy {
    /// A proxy to the server at this port.
    pub(crate) async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            dark: watch::Sender::new(false),
            rule: Mutex::new(None),
            calls: Mutex::default(),
            connections: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { port, shared, accepting }
    }

    /// Leads new connections to another server.
    pub(crate) fn lead_to(&self, target: u16) {
        *self.shared.target.lock().unwrap() = target;
    }

    /// A black hole, or not. What was sent meanwhile arrives late, as with a network that was only cut.
    pub(crate) fn dark(&self, dark: bool) {
        self.shared.dark.send_replace(dark);
    }

    /// What becomes of commands from now on.
    pub(crate) fn rule(&self, rule: impl FnMut(&[String]) -> Act + Send + 'static) {
        *self.shared.rule.lock().unwrap() = Some(Box::new(rule));
    }

    /// All commands pass again.
    pub(crate) fn pass(&self) {
        *self.shared.rule.lock().unwrap() = None;
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// How many commands came within the busiest second since then.
    pub(crate) fn busiest_second(&self, since: Instant) -> usize {
        let calls = self.shared.calls.lock().unwrap();
        let calls: Vec<_> = calls.iter().filter(|at| **at >= since).collect();
        let within_a_second = |start: usize| {
            calls[start..].iter().take_while(|at| ***at < *calls[start] + Duration::from_secs(1)).count()
        };
        (0..calls.len()).map(within_a_second).max().unwrap_or(0)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    async fn light(&self) {
        // The sender is ours, so it is there.
        let _ = self.dark.subscribe().wait_for(|dark| !dark).await;
    }

    fn act(&self, command: &[String]) -> Act {
        self.calls.lock().unwrap().push(Instant::now());
        self.rule.lock().unwrap().as_mut().map_or(Act::Pass, |rule| rule(command))
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // An error ends the connection, as its own side did.
            let _ = serve(client, &shared).await;
        });
    }
}

async fn serve(client: TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    shared.light().await;
    let target = *shared.target.lock().unwrap();
    let mut server = BufReader::new(TcpStream::connect(("127.0.0.1", target)).await?);
    server.get_ref().set_nodelay(true)?;
    let mut client = BufReader::new(client);
    loop {
        let (bytes, command) = read_command(&mut client).await?;
        shared.light().await;
        let act = shared.act(&command);
        let reply = match &act {
            Act::Say(reply) => reply.clone().into_bytes(),
            _ => {
                server.write_all(&bytes).await?;
                read_reply(&mut server).await?
            }
        };
        shared.light().await;
        match act {
            Act::Pass | Act::Say(_) => client.write_all(&reply).await?,
            Act::HalfThenReset => {
                client.write_all(&reply[..reply.len() / 2]).await?;
                // Without a word: a linger time of zero sends a reset where a close would say goodbye.
                return client.get_ref().set_zero_linger();
            }
            Act::HalfThenSilence => {
                client.write_all(&reply[..reply.len() / 2]).await?;
                return std::future::pending().await;
            }
        }
    }
}

/// A client's command: its bytes, and its words.
async fn read_command(client: &mut BufReader<TcpStream>) -> io::Result<(Vec<u8>, Vec<String>)> {
    let mut bytes = Vec::new();
    let count = read_header(client, &mut bytes).await?;
    let mut words = Vec::new();
    for _ in 0..count {
        let length = read_header(client, &mut bytes).await? as usize;
        let start = bytes.len();
        bytes.resize(start + length + 2, 0);
        client.read_exact(&mut bytes[start..]).await?;
        words.push(String::from_utf8_lossy(&bytes[start..start + length]).into_owned());
    }
    Ok((bytes, words))
}

/// A server's reply, whole, in RESP2.
async fn read_reply(server: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut missing = 1;
    while missing > 0 {
        let start = bytes.len();
        let number = read_header(server, &mut bytes).await.or_else(|error| match error.kind() {
            io::ErrorKind::InvalidData => Ok(0),
            _ => Err(error),
        })?;
        missing -= 1;
        match bytes[start] {
            b'*' => missing += number.max(0),
            b'$' if number >= 0 => {
                let start = bytes.len();
                bytes.resize(start + number as usize + 2, 0);
                server.read_exact(&mut bytes[start..]).await?;
            }
            _ => {}
        }
    }
    Ok(bytes)
}

/// A line, and the number in it behind its first byte; `InvalidData` where there is none.
async fn read_header(from: &mut BufReader<TcpStream>, bytes: &mut Vec<u8>) -> io::Result<i64> {
    let start = bytes.len();
    if from.read_until(b'\n', bytes).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = String::from_utf8_lossy(&bytes[start..]);
    line.trim_end().get(1..).and_then(|number| number.parse().ok()).ok_or(io::ErrorKind::InvalidData.into())
}
