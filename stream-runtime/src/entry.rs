//! One record of a stream, as a handler sees it.

mod decode;
mod fields;
mod id;
mod page;

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

pub use decode::DecodeError;
pub use fields::{FieldError, Fields};
pub use id::{EntryId, ParseEntryIdError};
pub use page::PageBuilder;
#[cfg(feature = "redis")]
pub(crate) use page::PageIndex;

/// One record of a stream: the stream's name, its id and its fields.
///
/// Cheap to clone: it points into the page it was read with.
///
/// ```
/// use stream_runtime::{Entry, EntryId};
///
/// let entry = Entry::new("gm:lobby_events", EntryId::new(7, 0), [("kind", "game_finished"), ("turn", "12")]);
/// assert_eq!(entry.fields().get("turn"), Some(&b"12"[..]));
/// assert_eq!(entry.fields().text("kind")?, Some("game_finished"));
/// # Ok::<(), stream_runtime::FieldError>(())
/// ```
#[derive(Clone)]
pub struct Entry {
    /// With the id and the stream's name: they are the page's, which is of one stream.
    fields: Fields,
}

impl Entry {
    /// An entry of its own, as tests and backends make it. A backend that reads many at once is better off
    /// with a [`Batch`](crate::Batch).
    pub fn new<N, V>(
        stream: impl Into<Arc<str>>,
        id: EntryId,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Self
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let mut page = PageBuilder::new(stream);
        page.entry(id, fields);
        page.single()
    }

    /// The name of the stream.
    pub fn stream(&self) -> &str {
        self.fields.stream()
    }

    /// The id.
    pub fn id(&self) -> EntryId {
        self.fields.id()
    }

    /// The fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Decodes the fields into a type of your own, a struct or a map.
    ///
    /// A field's text becomes what the type asks for: a string, a number, a `bool` (`true` or `1`, `false` or
    /// `0`), an `Option` (`None` when the field is absent), a unit variant of an enum by its name, or bytes.
    /// Anything else (a list, a struct within a field) is an error, and so is an empty text for an
    /// `Option` of a number. Where serde itself buffers what it reads, for `tag`, `untagged` and `flatten`, it sees
    /// text alone: numbers there need a `deserialize_with`. JSON in a field is decoded from
    /// [`Fields::get`]. A struct may borrow from the entry (`&str`). Fields that the type does not name are passed over, and of
    /// a repeated field the last value counts.
    ///
    /// ```
    /// use serde::Deserialize;
    /// use stream_runtime::{Entry, EntryId};
    ///
    /// #[derive(Deserialize)]
    /// struct Turn<'a> {
    ///     game_id: &'a str,
    ///     turn: u32,
    ///     winner: Option<String>,
    /// }
    ///
    /// let entry = Entry::new("games", EntryId::new(7, 0), [("game_id", "g-1"), ("turn", "12")]);
    /// let turn: Turn<'_> = entry.decode()?;
    /// assert_eq!((turn.game_id, turn.turn, turn.winner), ("g-1", 12, None));
    /// # Ok::<(), stream_runtime::DecodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A field is missing, is not UTF-8 where text is needed, or does not parse; the error names it. It does not
    /// turn into a [`Hold`](crate::Hold) by `?`: an entry that does not decode will not decode the next time
    /// either, so a handler skips it (see [`Advance::skip`](crate::Advance::skip)).
    pub fn decode<'entry, T: Deserialize<'entry>>(&'entry self) -> Result<T, DecodeError> {
        decode::decode(&self.fields)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.stream(), self.id(), &self.fields) == (other.stream(), other.id(), &other.fields)
    }
}

impl Eq for Entry {}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("stream", &self.stream())
            .field("id", &format_args!("{}", self.id()))
            .field("fields", &self.fields)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_repeated_name_the_last_value_counts() {
        let entry = Entry::new("s", EntryId::new(1, 0), [("a", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!(entry.fields().get("a"), Some(&b"3"[..]));
        let all: Vec<_> = entry.fields().iter().collect();
        assert_eq!(all, [(&b"a"[..], &b"1"[..]), (b"b", b"2"), (b"a", b"3")]);
    }

    #[test]
    fn text_tells_absent_from_not_utf8() {
        let entry = Entry::new("s", EntryId::new(1, 0), [("good", &b"x"[..]), ("bad", &[0xff][..])]);
        assert_eq!(entry.fields().text("good"), Ok(Some("x")));
        assert_eq!(entry.fields().text("none"), Ok(None));
        let error = entry.fields().text("bad").unwrap_err();
        assert_eq!(error.name(), "bad");
        assert_eq!(error.to_string(), "field \"bad\": not UTF-8");
    }
}
