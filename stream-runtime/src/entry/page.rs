//! The bytes of many entries in one buffer, and where in it each of them is.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::{Entry, EntryId, Fields};

/// Names and values of many entries of one stream, somewhere in one buffer.
///
/// A [`Source`](crate::Source) makes a page of what one read brought, and each entry is a place in it.
pub(super) struct Page {
    stream: Arc<str>,
    bytes: Vec<u8>,
    index: PageIndex,
}

impl Page {
    pub(super) fn stream(&self) -> &str {
        &self.stream
    }

    pub(super) fn entries(&self) -> usize {
        self.index.entries()
    }

    /// The id of an entry, which must be less than [`Page::entries`].
    pub(super) fn id(&self, entry: usize) -> EntryId {
        self.index.ends[entry].0
    }

    /// Where the names and values of an entry are, in turns. The entry must be less than [`Page::entries`].
    pub(super) fn spans(&self, entry: usize) -> &[Range<usize>] {
        let start = if entry == 0 { 0 } else { self.index.ends[entry - 1].1 };
        &self.index.spans[start..self.index.ends[entry].1]
    }

    /// The name or value at a span of an entry's.
    pub(super) fn text(&self, span: &Range<usize>) -> &[u8] {
        &self.bytes[span.clone()]
    }
}

/// Where in a buffer the entries are, noted while the buffer is still being filled.
#[derive(Default)]
pub(crate) struct PageIndex {
    /// A name's range, then its value's, then the next name's …
    spans: Vec<Range<usize>>,
    /// Each entry's id and where its spans end; they start where those of the entry before it end.
    ends: Vec<(EntryId, usize)>,
}

impl PageIndex {
    /// An index with room for so many entries and names and values.
    #[cfg(feature = "redis")]
    pub(crate) fn with_capacity(entries: usize, texts: usize) -> Self {
        Self { spans: Vec::with_capacity(texts), ends: Vec::with_capacity(entries) }
    }

    /// Notes the next name or value of the entry that is being read.
    pub(crate) fn text(&mut self, span: Range<usize>) {
        self.spans.push(span);
    }

    /// Ends the entry that is being read. Its names and values are pairs.
    pub(crate) fn end(&mut self, id: EntryId) {
        self.ends.push((id, self.spans.len()));
    }

    /// How many entries there are.
    pub(crate) fn entries(&self) -> usize {
        self.ends.len()
    }

    /// How many names and values there are.
    #[cfg(feature = "redis")]
    pub(crate) fn texts(&self) -> usize {
        self.spans.len()
    }

    /// The entries, in the order in which they were noted. All spans are within `bytes`.
    pub(crate) fn over<C: FromIterator<Entry>>(self, stream: Arc<str>, bytes: Vec<u8>) -> C {
        let entries = self.entries();
        let page = Arc::new(Page { stream, bytes, index: self });
        (0..entries).map(|entry| Entry { fields: Fields::new(Arc::clone(&page), entry) }).collect()
    }
}

/// Collects the entries of one read into one page.
///
/// ```
/// use stream_runtime::{EntryId, PageBuilder};
///
/// let mut page = PageBuilder::new("gm:lobby_events");
/// page.entry(EntryId::new(1, 0), [("kind", "game_started")]);
/// page.entry(EntryId::new(2, 0), [("kind", "game_finished")]);
/// let entries = page.finish();
/// assert_eq!(entries[1].fields().get("kind"), Some(&b"game_finished"[..]));
/// ```
pub struct PageBuilder {
    stream: Arc<str>,
    bytes: Vec<u8>,
    index: PageIndex,
}

impl PageBuilder {
    /// An empty page of entries of `stream`.
    pub fn new(stream: impl Into<Arc<str>>) -> Self {
        Self { stream: stream.into(), bytes: Vec::new(), index: PageIndex::default() }
    }

    /// Adds the next entry.
    pub fn entry<N, V>(&mut self, id: EntryId, fields: impl IntoIterator<Item = (N, V)>)
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        for (name, value) in fields {
            self.text(name.as_ref());
            self.text(value.as_ref());
        }
        self.index.end(id);
    }

    fn text(&mut self, text: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text);
        self.index.text(start..self.bytes.len());
    }

    /// The only entry that was added.
    pub(super) fn single(self) -> Entry {
        let page = Page { stream: self.stream, bytes: self.bytes, index: self.index };
        Entry { fields: Fields::new(Arc::new(page), 0) }
    }

    /// The entries, in the order in which they were added.
    pub fn finish(self) -> Vec<Entry> {
        self.index.over(self.stream, self.bytes)
    }
}

impl fmt::Debug for PageBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageBuilder").field("entries", &self.index.entries()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_gives_each_entry_its_own_fields() {
        let mut page = PageBuilder::new("s");
        page.entry(EntryId::new(1, 0), [("a", "1"), ("b", "2")]);
        page.entry(EntryId::new(2, 0), std::iter::empty::<(&str, &str)>());
        page.entry(EntryId::new(3, 0), [("c", "3")]);
        let entries = page.finish();
        assert_eq!(entries[0], Entry::new("s", EntryId::new(1, 0), [("a", "1"), ("b", "2")]));
        assert!(entries[1].fields().is_empty());
        assert_eq!(entries[2], Entry::new("s", EntryId::new(3, 0), [("c", "3")]));
    }
}
