//! What the lobby remembers, whichever place it is kept in.
//!
//! Every record is a small JSON document, and every change is one compare-and-set of one document: read it,
//! apply a rule, write it where nobody wrote in between. So the rules are written once, in Rust, and hold alike on
//! Redis and in a local file; a place to keep documents ([`Documents`]) only has to swap a text atomically.

#[cfg(test)]
mod contract;
pub(crate) mod embedded;
mod games;
pub(crate) mod model;
pub(crate) mod redis;
mod stats;

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow};
use async_trait::async_trait;
use gmevents::StoreError;
use model::Document;

/// The kinds of documents; each has ids of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Game,
    Stats,
    Capability,
    User,
    Demo,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Game => "game",
            Self::Stats => "stats",
            Self::Capability => "capability",
            Self::User => "user",
            Self::Demo => "demo",
        }
    }

    /// Whether [`Documents::recent`] is asked about them.
    fn is_listed(self) -> bool {
        matches!(self, Self::Game | Self::User)
    }
}

/// A place that keeps documents: texts, never empty, that are read and swapped one at a time.
#[async_trait]
pub(crate) trait Documents: Send + Sync + 'static {
    /// The document, `None` when there is none.
    async fn get(&self, kind: Kind, id: &str) -> anyhow::Result<Option<String>>;

    /// Writes `new` where the document is `expected` (`None`: where there is none), atomically, and durable when
    /// this returns.
    async fn swap(&self, kind: Kind, id: &str, expected: Option<&str>, new: &str) -> anyhow::Result<Swap>;

    /// The ids of the documents that changed last, the latest first; of kinds that are listed.
    async fn recent(&self, kind: Kind, limit: usize) -> anyhow::Result<Vec<String>>;
}

/// What came of a swap.
pub(crate) enum Swap {
    Done,
    /// Nothing was written: this is there instead.
    Found(Option<String>),
}

/// The stores behind the handlers' ports. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Stores {
    documents: Arc<dyn Documents>,
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").finish_non_exhaustive()
    }
}

impl Stores {
    pub(crate) fn new(documents: impl Documents) -> Self {
        Self { documents: Arc::new(documents) }
    }

    /// The document of this id, `None` when there is none.
    pub(crate) async fn load<D: Document>(&self, id: &str) -> Result<Option<D>, StoreError> {
        let text = self.documents.get(D::KIND, id).await;
        decode(id, text.map_err(StoreError::Unavailable)?.as_deref())
    }

    /// The documents that changed last, the latest first.
    pub(crate) async fn recent<D: Document>(&self, limit: usize) -> Result<Vec<(String, D)>, StoreError> {
        let ids = self.documents.recent(D::KIND, limit).await;
        let mut found = Vec::new();
        for id in ids.map_err(StoreError::Unavailable)? {
            if let Some(document) = self.load(&id).await? {
                found.push((id, document));
            }
        }
        Ok(found)
    }

    /// Changes a document by a rule, and says whether it did.
    ///
    /// The rule is given what is there and answers what shall be there, or `None` to leave it. It is asked again
    /// when another writer came first, so it must only compute.
    pub(crate) async fn change<D, F>(&self, id: &str, rule: F) -> Result<bool, StoreError>
    where
        D: Document,
        F: Fn(Option<D>) -> Result<Option<D>, StoreError> + Send + Sync,
    {
        let mut text = self.documents.get(D::KIND, id).await.map_err(StoreError::Unavailable)?;
        loop {
            let Some(new) = rule(decode(id, text.as_deref())?)? else {
                return Ok(false);
            };
            let new = encode(id, &new)?;
            if text.as_deref() == Some(new.as_str()) {
                return Ok(false);
            }
            let swap = self.documents.swap(D::KIND, id, text.as_deref(), &new).await;
            match swap.map_err(StoreError::Unavailable)? {
                Swap::Done => return Ok(true),
                Swap::Found(now) => text = now,
            }
        }
    }
}

/// The time, in microseconds since 1970: by it the documents that changed last are found.
fn now_micros() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

/// A document from its text. What does not parse is a fault of the store, and the error names the record.
fn decode<D: Document>(id: &str, text: Option<&str>) -> Result<Option<D>, StoreError> {
    let Some(text) = text else { return Ok(None) };
    serde_json::from_str(text)
        .with_context(|| format!("the stored {} {id:?} is invalid; correct or remove it", D::KIND.as_str()))
        .map(Some)
        .map_err(StoreError::Unavailable)
}

fn encode<D: Document>(id: &str, document: &D) -> Result<String, StoreError> {
    serde_json::to_string(document).map_err(|error| {
        StoreError::Unavailable(anyhow!(error).context(format!("write {} {id:?}", D::KIND.as_str())))
    })
}
