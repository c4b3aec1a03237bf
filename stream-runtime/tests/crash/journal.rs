//! The files that the verifier trusts: append-only, one `write()` a record, each line with its checksum.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stream_runtime::EntryId;

/// What the worker writes of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The number of the run: one process of the worker.
    pub(crate) run: u64,
    /// The epoch that its claim gave it.
    pub(crate) epoch: u64,
    pub(crate) event: Event,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// The consumer is claimed; this offset was loaded, `0-0` where none is stored.
    Claimed(#[serde(with = "Id")] EntryId),
    /// The handler was called; this record is its effect.
    Delivered {
        #[serde(with = "Id")]
        id: EntryId,
        tag: String,
        /// Which call for this entry it is in this run; the first is 1.
        attempt: u32,
        verdict: Verdict,
    },
    /// A commit of this offset begins.
    Intent(#[serde(with = "Id")] EntryId),
    /// A commit of this offset was acknowledged.
    Acknowledged(#[serde(with = "Id")] EntryId),
}

/// What the producer writes of itself: its manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Produced {
    /// An entry with this tag is about to be appended.
    Sent(String),
    /// Its append was acknowledged.
    Added {
        #[serde(with = "Id")]
        id: EntryId,
        tag: String,
    },
}

/// What the handler answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Verdict {
    Handled,
    Skipped,
    Held,
}

impl Verdict {
    /// What the handler answers to its n-th call in a run for the entry with this tag: one entry in 24 is bad
    /// input, one in 120 is held, up to five times.
    pub(crate) fn of(tag: &str, attempt: u32) -> Self {
        let number = checksum(tag.as_bytes());
        match number % 120 {
            0..5 => Self::Skipped,
            5 if attempt <= number / 120 % 5 + 1 => Self::Held,
            _ => Self::Handled,
        }
    }

    /// Whether the offset may pass the entry.
    pub(crate) fn advances(self) -> bool {
        self != Self::Held
    }
}

/// How an id is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "EntryId")]
struct Id {
    ms: u64,
    seq: u64,
}

/// A file that records are added to.
pub(crate) struct Log(File);

impl Log {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().append(true).create(true).open(path).map(Self)
    }

    /// Adds a record with one `write()`: a kill leaves all of it or, torn, less.
    pub(crate) fn add(&self, record: &impl Serialize) -> io::Result<()> {
        let body = serde_json::to_string(record)?;
        let line = format!("{:08x} {body}\n", checksum(body.as_bytes()));
        let written = (&self.0).write(line.as_bytes())?;
        if written < line.len() {
            return Err(io::Error::other("a record was written in part"));
        }
        Ok(())
    }
}

/// Reads a file of records, and later what was added to it.
pub(crate) struct Tail {
    path: PathBuf,
    /// How many bytes are read.
    read: u64,
}

impl Tail {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), read: 0 }
    }

    /// The records added since the last call. A torn one at the end counts as absent, and so does the file.
    pub(crate) fn added<T: DeserializeOwned>(&mut self) -> Result<Vec<T>, String> {
        let text = self.text().map_err(|error| format!("{}: {error}", self.path.display()))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.read += whole as u64;
        let lines = text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| self.parse(line)).collect()
    }

    fn text(&self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        match File::open(&self.path) {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(self.read))?;
                file.read_to_end(&mut text)?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(text)
    }

    /// A whole line is a whole record: anything else means that the file is damaged.
    fn parse<T: DeserializeOwned>(&self, line: &[u8]) -> Result<T, String> {
        let shown = || format!("{}: damaged record {:?}", self.path.display(), String::from_utf8_lossy(line));
        let (sum, body) = line.split_at_checked(9).ok_or_else(shown)?;
        let sum = std::str::from_utf8(sum).ok().and_then(|sum| u32::from_str_radix(sum.trim_end(), 16).ok());
        if sum != Some(checksum(body)) {
            return Err(shown());
        }
        serde_json::from_slice(body).map_err(|error| format!("{}: {error}", shown()))
    }
}

/// FNV-1a with its bits mixed once more, so that the low ones are good for choices, too.
fn checksum(bytes: &[u8]) -> u32 {
    let sum = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (sum ^ (sum >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as u32
}
