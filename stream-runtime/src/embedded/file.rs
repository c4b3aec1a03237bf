//! The redb file: opened by one process, opened again after an I/O error, closed with the last handle.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use anyhow::anyhow;
use redb::{Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase};

use super::tables;
use crate::backend::{BackendError, ErrorKind};

/// How much of the file redb keeps in memory. Its default is 1 GiB; readers read forward and writers write at the
/// end, so a little serves as well.
const CACHE_BYTES: usize = 64 << 20;

/// The open file.
pub(super) struct File {
    path: PathBuf,
    /// Used under the read lock, opened and closed under the write lock: closing waits for those who use it.
    state: RwLock<State>,
}

enum State {
    Open(Database),
    /// Closed after an I/O error: redb refuses everything after one. The next use opens it again.
    Failed,
    /// Closed for good.
    Closed,
}

impl File {
    pub(super) fn open(path: &Path) -> Result<Self, BackendError> {
        Ok(Self { state: RwLock::new(State::Open(create(path)?)), path: path.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Asks a question of one snapshot of the file.
    pub(super) fn read<T>(
        &self,
        question: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, BackendError> {
        self.with(|database| question(&database.begin_read()?))
    }

    /// Uses the file, after opening it again where it failed before.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, BackendError> {
        self.open_again()?;
        let result = match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Open(database) => work(database),
            State::Failed => Err(redb::Error::PreviousIo),
            State::Closed => Err(redb::Error::DatabaseClosed),
        };
        result.map_err(|error| {
            if matches!(error, redb::Error::Io(_) | redb::Error::PreviousIo) {
                self.shut(State::Failed);
            }
            backend_error(&self.path, error)
        })
    }

    fn open_again(&self) -> Result<(), BackendError> {
        if !self.has_failed() {
            return Ok(());
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Failed) {
            *state = State::Open(reopen(&self.path)?);
        }
        Ok(())
    }

    fn has_failed(&self) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        matches!(*state, State::Failed)
    }

    /// Closes the file for good, once those who use it are done.
    pub(super) fn close(&self) {
        self.shut(State::Closed);
    }

    fn shut(&self, to: State) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, State::Closed) {
            *state = to;
        }
    }
}

/// Opens the file at `path`, created where it is missing.
fn create(path: &Path) -> Result<Database, BackendError> {
    if !path.exists() {
        make(path)?;
    }
    prepare(path, builder().create(path))
}

/// Makes a new file under another name, and gives it its own when it is whole. redb makes a file in several steps,
/// and refuses for good one that a kill has left half made.
fn make(path: &Path) -> Result<(), BackendError> {
    let failed = |error: io::Error| backend_error(path, error.into());
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let draft = draft(path);
    let made = prepare(path, builder().create(&draft)).and_then(|database| {
        drop(database);
        name(&draft, path).map_err(failed)
    });
    // Where it was renamed, it is gone already.
    let _ = fs::remove_file(&draft);
    made
}

/// Gives a file its name, unless another process was faster and may be using its own already: unlike a rename, a
/// link leaves that where it is.
fn name(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // A file system without links.
        Err(_) => fs::rename(draft, path),
    }
}

/// A name beside `path` that nobody else takes.
fn draft(path: &Path) -> PathBuf {
    let random = RandomState::new().hash_one(());
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".new-{random:016x}"));
    name.into()
}

/// Opens a file that was open before. One that is missing now is not made anew: that would lose all that was in it
/// without a word.
fn reopen(path: &Path) -> Result<Database, BackendError> {
    prepare(path, builder().open(path))
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Sees that the file is one of ours.
fn prepare(path: &Path, opened: Result<Database, DatabaseError>) -> Result<Database, BackendError> {
    let database = opened.map_err(|error| backend_error(path, error.into()))?;
    match tables::prepare(&database) {
        Ok(None) => Ok(database),
        Ok(Some(refusal)) => Err(BackendError::configuration(anyhow!("{}: {refusal}", path.display()))),
        Err(error) => Err(backend_error(path, error)),
    }
}

/// redb's error, with the file's path and, where the file is open elsewhere, the way out.
fn backend_error(path: &Path, error: redb::Error) -> BackendError {
    let kind = kind(&error);
    let text = match error {
        redb::Error::DatabaseAlreadyOpen => {
            "another process, or another backend of this one, has this file open, and only one can: \
             stop the other, or give this one a file of its own"
        }
        _ => "the embedded backend's file",
    };
    BackendError::new(kind, anyhow::Error::new(error).context(format!("{}: {text}", path.display())))
}

/// An error of the disk may pass; one of what is on it does not.
fn kind(error: &redb::Error) -> ErrorKind {
    match error {
        redb::Error::Io(error) => match error.kind() {
            io::ErrorKind::InvalidData
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Configuration,
            _ => ErrorKind::Transient,
        },
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => ErrorKind::Transient,
        _ => ErrorKind::Configuration,
    }
}
