//! What a handler answers: may the offset pass this entry?

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tower::BoxError;

/// What a handler says of an entry: [`Advance`], and the offset may pass it, or [`Hold`], and it is delivered
/// again.
pub type Outcome<A = Advance, H = Hold> = Result<A, H>;

/// The offset may pass the entry.
#[derive(Debug)]
#[non_exhaustive]
pub enum Advance {
    /// The entry did what it was for.
    Handled,
    /// The entry is bad input and no delivery would change that: logged, counted, and never retried.
    Skipped(anyhow::Error),
}

impl Advance {
    /// Lets an entry pass that can't be used, and says why.
    ///
    /// ```
    /// use stream_runtime::{Advance, Entry, Outcome};
    ///
    /// fn read_turn(entry: &Entry) -> Outcome {
    ///     #[derive(serde::Deserialize)]
    ///     struct Turn { turn: u32 }
    ///
    ///     let turn: Turn = match entry.decode() {
    ///         Ok(turn) => turn,
    ///         Err(error) => return Ok(Advance::skip(error)),
    ///     };
    ///     # let _ = turn.turn;
    ///     Ok(Advance::Handled)
    /// }
    /// ```
    pub fn skip(error: impl Into<anyhow::Error>) -> Self {
        Self::Skipped(error.into())
    }
}

/// The offset stays, the entries behind wait, and the same entry is delivered again after a backoff.
///
/// `?` on an [`anyhow::Error`] holds. Any other error must first pass through
/// [`anyhow::Context::context`], which is where the author says that trying again can help. So bad input can't
/// become an endless hold by accident:
///
/// ```compile_fail,E0277
/// use stream_runtime::{Advance, Entry, Outcome};
///
/// fn handle(entry: &Entry) -> Outcome {
///     let _turn: std::collections::HashMap<String, String> = entry.decode()?; // a DecodeError is no Hold
///     Ok(Advance::Handled)
/// }
/// ```
///
/// ```
/// use anyhow::Context;
/// use stream_runtime::{Advance, Outcome};
///
/// fn save() -> std::io::Result<()> {
///     # Ok(())
/// }
///
/// fn handle() -> Outcome {
///     save().context("save the game")?; // an I/O error may pass: hold
///     Ok(Advance::Handled)
/// }
/// # handle().unwrap();
/// ```
#[derive(Debug)]
pub struct Hold {
    /// Why the entry can't pass yet.
    pub cause: anyhow::Error,
    /// The least time to wait before the next delivery, instead of the backoff's own choice.
    pub retry_after: Option<Duration>,
}

impl Hold {
    /// Holds the entry for `cause`; the backoff chooses when it is delivered again.
    pub fn new(cause: impl Into<anyhow::Error>) -> Self {
        Self { cause: cause.into(), retry_after: None }
    }

    /// Asks for the next delivery no sooner than after `delay`.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// A layer's error as a hold: one that was a `Hold` comes back as it was, `retry_after` and all.
    pub fn from_layer(error: BoxError) -> Self {
        match error.downcast::<Self>() {
            Ok(hold) => *hold,
            Err(error) => Self { cause: anyhow::Error::from_boxed(error), retry_after: None },
        }
    }
}

impl From<anyhow::Error> for Hold {
    fn from(cause: anyhow::Error) -> Self {
        Self { cause, retry_after: None }
    }
}

/// The cause and what caused it, in one line.
impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.cause)
    }
}

/// So that a `Hold` can travel through tower layers whose error is a [`BoxError`].
impl Error for Hold {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_survives_a_trip_through_a_boxed_error() {
        let hold = Hold::new(anyhow::anyhow!("store down")).retry_after(Duration::from_secs(7));
        let boxed: BoxError = hold.into();
        let back = Hold::from_layer(boxed);
        assert_eq!(back.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(back.to_string(), "store down");
    }

    #[test]
    fn another_layers_error_becomes_the_cause() {
        let hold = Hold::from_layer("too many in flight".into());
        assert_eq!((hold.to_string().as_str(), hold.retry_after), ("too many in flight", None));
    }

    #[test]
    fn a_hold_shows_the_whole_chain() {
        let cause = anyhow::anyhow!("connection refused").context("save the game");
        assert_eq!(Hold::from(cause).to_string(), "save the game: connection refused");
    }
}
