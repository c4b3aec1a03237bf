//! Documents in one local file, a redb database.
//!
//! redb's calls wait for the disk, so each runs on a thread for blocking work, one at a time. A write is on the disk
//! when its call returns. After an error of the disk redb refuses everything until the file is opened again, so
//! after any error the next call opens it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, anyhow};
use async_trait::async_trait;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Documents, Kind, Swap};

/// By kind and id: when it last changed, in microseconds since 1970, and the text.
const DOCUMENTS: TableDefinition<'static, (&str, &str), (u64, &str)> = TableDefinition::new("documents");

/// The documents of a file. A second process that opens it is refused.
#[derive(Clone, Debug)]
pub(crate) struct EmbeddedDocuments {
    file: Arc<File>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    /// `None` after an error.
    database: Mutex<Option<Database>>,
}

impl EmbeddedDocuments {
    /// Opens the file, or creates it. Blocks.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let database = Mutex::new(Some(open(path)?));
        let file = File { path: path.to_owned(), database };
        Ok(Self { file: Arc::new(file) })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let file = Arc::clone(&self.file);
        let done = tokio::task::spawn_blocking(move || file.with(work)).await;
        done.context("the store's thread failed")?
    }
}

impl File {
    fn with<T>(&self, work: impl FnOnce(&Database) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let mut slot = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let database = match slot.take() {
            Some(database) => database,
            None => open(&self.path)?,
        };
        let done = work(&database)?;
        *slot = Some(database);
        Ok(done)
    }
}

fn open(path: &Path) -> anyhow::Result<Database> {
    let database = Database::create(path).map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => {
            anyhow!("{} is in use by another process; stop that one or use another --data", path.display())
        }
        error => anyhow!(error).context(format!("open {}", path.display())),
    })?;
    let write = database.begin_write()?;
    write.open_table(DOCUMENTS)?;
    write.commit()?;
    Ok(database)
}

#[async_trait]
impl Documents for EmbeddedDocuments {
    async fn get(&self, kind: Kind, id: &str) -> anyhow::Result<Option<String>> {
        let id = id.to_owned();
        self.blocking(move |database| {
            let table = database.begin_read()?.open_table(DOCUMENTS)?;
            let found = table.get((kind.as_str(), id.as_str()))?;
            Ok(found.map(|found| found.value().1.to_owned()))
        })
        .await
        .context("read the lobby's file")
    }

    async fn swap(&self, kind: Kind, id: &str, expected: Option<&str>, new: &str) -> anyhow::Result<Swap> {
        let (id, new) = (id.to_owned(), new.to_owned());
        let expected = expected.map(str::to_owned);
        self.blocking(move |database| {
            let write = database.begin_write()?;
            let mut table = write.open_table(DOCUMENTS)?;
            let key = (kind.as_str(), id.as_str());
            let found = table.get(key)?.map(|found| found.value().1.to_owned());
            if found != expected {
                return Ok(Swap::Found(found));
            }
            table.insert(key, (super::now_micros(), new.as_str()))?;
            drop(table);
            write.commit()?;
            Ok(Swap::Done)
        })
        .await
        .context("write the lobby's file")
    }

    async fn recent(&self, kind: Kind, limit: usize) -> anyhow::Result<Vec<String>> {
        self.blocking(move |database| {
            let table = database.begin_read()?.open_table(DOCUMENTS)?;
            let mut found = Vec::new();
            for row in table.range((kind.as_str(), "")..)? {
                let (key, value) = row?;
                let (of_kind, id) = key.value();
                if of_kind != kind.as_str() {
                    break;
                }
                found.push((value.value().0, id.to_owned()));
            }
            found.sort_unstable_by(|one, other| other.cmp(one));
            Ok(found.into_iter().take(limit).map(|(_, id)| id).collect())
        })
        .await
        .context("read the lobby's file")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[tokio::test]
    async fn after_an_error_the_file_is_opened_again() {
        let dir = TempDir::new();
        let documents = EmbeddedDocuments::open(&dir.path().join("lobby.redb")).unwrap();
        documents.swap(Kind::Game, "g", None, "kept").await.unwrap();
        let failed = documents.blocking(|_| -> anyhow::Result<()> { Err(anyhow!("disk full")) }).await;
        assert_eq!(failed.unwrap_err().to_string(), "disk full");
        assert!(documents.file.database.lock().unwrap().is_none(), "it was closed");
        assert_eq!(documents.get(Kind::Game, "g").await.unwrap().as_deref(), Some("kept"));
    }
}
