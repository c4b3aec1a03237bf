//! Claims and compare-and-set over one string: the offset store of every backend of ours.
//!
//! A backend keeps one string per consumer and can swap it atomically ([`Register`]); this file says what is in
//! it and who may write it ([`Offsets`]).

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::str::FromStr;

use anyhow::anyhow;
use async_trait::async_trait;

use crate::backend::{BackendError, Checkpoint, ErrorKind, Mark, OffsetStore};
use crate::entry::EntryId;

#[cfg(test)]
mod tests;

/// One string that can be read and swapped atomically.
#[async_trait]
pub(crate) trait Register: Send {
    /// The string, `None` when there is none.
    async fn get(&mut self) -> Result<Option<String>, BackendError>;

    /// Writes `new` where the string is `expected` (`None`: where there is none) or is `new` already.
    /// Otherwise returns what is there.
    async fn swap(&mut self, expected: Option<&str>, new: &str) -> Result<Swap, BackendError>;
}

/// What came of a swap.
pub(crate) enum Swap {
    Done,
    Found(Option<String>),
}

/// The record: `1 EPOCH OWNER ID MARK`, separated by spaces. `ID` is `-` before the first commit; the mark is the
/// backend's, and may be missing.
///
/// The epoch grows with each claim. The owner is a random number of one claim's, so that two workers that claim
/// at the same moment do not take each other's record for their own. A bare id, as the original workers stored
/// it, is a record of epoch 0.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    epoch: u64,
    owner: u64,
    id: Option<EntryId>,
    mark: Option<String>,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1 {} {:016x} ", self.epoch, self.owner)?;
        match self.id {
            Some(id) => write!(f, "{id}")?,
            None => f.write_str("-")?,
        }
        self.mark.as_ref().map_or(Ok(()), |mark| write!(f, " {mark}"))
    }
}

impl FromStr for Record {
    type Err = BackendError;

    fn from_str(text: &str) -> Result<Self, BackendError> {
        let parts: Vec<&str> = text.splitn(5, ' ').collect();
        let record = match parts[..] {
            [id] => id.parse().ok().map(|id| Self { epoch: 0, owner: 0, id: Some(id), mark: None }),
            ["1", epoch, owner, id] => Self::from_parts(epoch, owner, id, None),
            ["1", epoch, owner, id, mark] => Self::from_parts(epoch, owner, id, Some(mark)),
            _ => None,
        };
        record.ok_or_else(|| {
            let shown: String = text.chars().take(80).collect();
            BackendError::configuration(anyhow!(
                "the stored offset {shown:?} is no offset; correct or remove it"
            ))
        })
    }
}

impl Record {
    fn from_parts(epoch: &str, owner: &str, id: &str, mark: Option<&str>) -> Option<Self> {
        Some(Self {
            epoch: epoch.parse().ok()?,
            owner: u64::from_str_radix(owner, 16).ok()?,
            id: if id == "-" { None } else { Some(id.parse().ok()?) },
            mark: mark.map(str::to_owned),
        })
    }

    /// Whether both were written under one claim. A failover can bring back a record of an earlier one.
    fn is_claim_of(&self, other: &Self) -> bool {
        (self.epoch, self.owner) == (other.epoch, other.owner)
    }

    fn checkpoint(&self) -> Option<Checkpoint> {
        Some(Checkpoint { id: self.id?, mark: self.mark.as_ref().map(Mark::stored) })
    }
}

fn parse(text: Option<&str>) -> Result<Option<Record>, BackendError> {
    text.map(str::parse).transpose()
}

/// The offset store over a register.
pub(crate) struct Offsets<R> {
    register: R,
    owner: u64,
    /// The record that we wrote last; `None` until the consumer is claimed.
    ours: Option<Record>,
}

impl<R: Register> Offsets<R> {
    pub(crate) fn new(register: R) -> Self {
        let owner = RandomState::new().build_hasher().finish();
        Self { register, owner, ours: None }
    }

    /// The claim that takes the place of `found`. Where our own record is gone, it goes on from what that said: its
    /// mark tells whether the stream is gone as well.
    fn claim_over(&self, found: Option<&Record>) -> Record {
        let found_epoch = found.map_or(0, |found| found.epoch);
        let last_epoch = self.ours.as_ref().map_or(found_epoch, |ours| ours.epoch.max(found_epoch));
        let last = found.or(self.ours.as_ref());
        let (id, mark) = last.map_or((None, None), |last| (last.id, last.mark.clone()));
        Record { epoch: last_epoch.saturating_add(1), owner: self.owner, id, mark }
    }

    /// What a record says that is not the one we wrote last. A newer claim supersedes us; an older record, a
    /// bare id or nothing at all is somebody's or a failover's doing, and is loaded again.
    fn judge(&self, found: Option<&Record>) -> BackendError {
        let epoch = self.ours.as_ref().map_or(0, |ours| ours.epoch);
        match found {
            Some(found) if found.owner != self.owner && found.epoch >= epoch.max(1) => BackendError::new(
                ErrorKind::Superseded,
                anyhow!(
                    "another worker has claimed this consumer: its epoch is {}, ours {epoch}",
                    found.epoch
                ),
            ),
            Some(found) => BackendError::new(
                ErrorKind::Conflict,
                anyhow!("the stored offset is not the one written last: found `{found}`"),
            ),
            None => BackendError::new(ErrorKind::Conflict, anyhow!("the stored offset is gone")),
        }
    }
}

#[async_trait]
impl<R: Register> OffsetStore for Offsets<R> {
    async fn load(&mut self) -> Result<Option<Checkpoint>, BackendError> {
        loop {
            let text = self.register.get().await?;
            let found = parse(text.as_deref())?;
            if self.ours.is_some() {
                if let Some(found) = found.as_ref().filter(|found| found.owner == self.owner) {
                    self.ours = Some(found.clone());
                    return Ok(found.checkpoint());
                }
                let error = self.judge(found.as_ref());
                if error.kind() == ErrorKind::Superseded {
                    return Err(error);
                }
            }
            let claim = self.claim_over(found.as_ref());
            // Where somebody wrote between our look and our claim, look again.
            if let Swap::Done = self.register.swap(text.as_deref(), &claim.to_string()).await? {
                let checkpoint = claim.checkpoint();
                self.ours = Some(claim);
                return Ok(checkpoint);
            }
        }
    }

    async fn commit(&mut self, checkpoint: Checkpoint) -> Result<(), BackendError> {
        let Some(mut expected) = self.ours.clone() else {
            return Err(BackendError::new(ErrorKind::Conflict, anyhow!("the consumer is not claimed yet")));
        };
        let mark = checkpoint.mark.map(|mark| mark.text(checkpoint.id));
        let new = Record { id: Some(checkpoint.id), mark, ..expected.clone() };
        loop {
            let swap = self.register.swap(Some(&expected.to_string()), &new.to_string()).await?;
            let Swap::Found(text) = swap else {
                self.ours = Some(new);
                return Ok(());
            };
            match parse(text.as_deref())? {
                // A commit that we gave up waiting for was made after all: go on from it.
                Some(found) if found.is_claim_of(&new) && expected.id < found.id && found.id < new.id => {
                    expected = found;
                }
                found => return Err(self.judge(found.as_ref())),
            }
        }
    }

    async fn verify(&mut self) -> Result<(), BackendError> {
        let text = self.register.get().await?;
        let found = parse(text.as_deref())?;
        match (&found, &self.ours) {
            (Some(found), Some(ours)) if found.is_claim_of(ours) && found.id >= ours.id => Ok(()),
            _ => Err(self.judge(found.as_ref())),
        }
    }
}
