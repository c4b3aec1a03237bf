//! The fields of an entry: names and values as bytes, in the order of the stream.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::page::Page;

/// The fields of one entry. Bytes, in the order of the stream; of a repeated name the last value counts.
///
/// Cheap to clone: it points into the page that the entry was read with.
#[derive(Clone)]
pub struct Fields {
    page: Arc<Page>,
    /// The run of spans in the page; always of even length and within it.
    spans: Range<usize>,
}

impl Fields {
    pub(super) fn new(page: Arc<Page>, spans: Range<usize>) -> Self {
        debug_assert!(spans.len().is_multiple_of(2) && spans.end <= page.span_count());
        Self { page, spans }
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
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> + ExactSizeIterator {
        (0..self.len()).map(|index| self.at(index))
    }

    /// The name and value at `index`, which must be less than [`Fields::len`].
    pub(super) fn at(&self, index: usize) -> (&[u8], &[u8]) {
        let name = self.spans.start + 2 * index;
        (self.page.text(name), self.page.text(name + 1))
    }

    /// How many fields there are, repeated names included.
    pub fn len(&self) -> usize {
        self.spans.len() / 2
    }

    /// Whether there are no fields. Redis keeps no such entry; a test can make one.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
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
