//! The fields of an entry: names and values as bytes, in the order of the stream.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::EntryId;
use super::page::Page;

/// The fields of one entry. Bytes, in the order of the stream; of a repeated name the last value counts.
///
/// Cheap to clone: it points into the page that the entry was read with.
#[derive(Clone)]
pub struct Fields {
    page: Arc<Page>,
    /// Which entry of the page; always one that it has.
    entry: usize,
}

impl Fields {
    pub(super) fn new(page: Arc<Page>, entry: usize) -> Self {
        debug_assert!(entry < page.entries());
        Self { page, entry }
    }

    /// The id of the entry.
    pub(super) fn id(&self) -> EntryId {
        self.page.id(self.entry)
    }

    /// The name of the stream that the page was read from.
    pub(super) fn stream(&self) -> &str {
        self.page.stream()
    }

    /// The value of the field `name`, or `None` when the entry has no such field.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().rev().find(|(found, _)| *found == name.as_bytes()).map(|(_, value)| value)
    }

    /// The value of the field `name` as text, or `None` when the entry has no such field.
    ///
    /// # Errors
    ///
    /// The value is not UTF-8.
    pub fn text(&self, name: &str) -> Result<Option<&str>, FieldError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match std::str::from_utf8(value) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(FieldError { name: name.to_owned() }),
        }
    }

    /// All names and values in order, repeated names included.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> + ExactSizeIterator + Clone {
        let pairs = self.page.spans(self.entry).chunks_exact(2);
        pairs.map(|pair| (self.page.text(&pair[0]), self.page.text(&pair[1])))
    }

    /// How many fields there are, repeated names included.
    pub fn len(&self) -> usize {
        self.page.spans(self.entry).len() / 2
    }

    /// Whether there are no fields. Redis keeps no such entry; a test can make one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Names and values, lossy where they are not UTF-8 and cut at 256 bytes: a log line must stay one.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn short(bytes: &[u8]) -> String {
            String::from_utf8_lossy(&bytes[..bytes.len().min(256)]).into_owned()
        }
        f.debug_map().entries(self.iter().map(|(name, value)| (short(name), short(value)))).finish()
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Fields {}

/// A field whose value is not UTF-8 where text is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    name: String,
}

impl FieldError {
    /// The field's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "field {:?}: not UTF-8", self.name)
    }
}

impl Error for FieldError {}
