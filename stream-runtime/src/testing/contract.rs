//! The contract of a backend: what [`Backend`], [`Source`](crate::Source) and [`OffsetStore`](crate::OffsetStore)
//! promise, each promise a test that any backend can be held to.
//!
//! The memory, the embedded and the Redis backend keep it. To hold one of yours to it, say in a [`Subject`] how it
//! is made and fed, and let [`backend_contract!`](super::backend_contract) make a test of each promise:
//!
//! ```
//! use stream_runtime::testing::contract::Subject;
//! use stream_runtime::testing::{MemoryBackend, backend_contract};
//! use stream_runtime::{Backend, EntryId, async_trait};
//!
//! struct Memory(MemoryBackend);
//!
//! #[async_trait]
//! impl Subject for Memory {
//!     async fn start() -> Self {
//!         Self(MemoryBackend::new())
//!     }
//!
//!     fn backend(&self) -> &dyn Backend {
//!         &self.0
//!     }
//!
//!     async fn append(&self, stream: &str, fields: &[(&[u8], &[u8])]) -> EntryId {
//!         self.0.append(stream, fields.iter().copied())
//!     }
//!
//!     async fn trim(&self, stream: &str, max_len: usize) {
//!         self.0.trim(stream, max_len);
//!     }
//! }
//!
//! backend_contract!(Memory);
//! ```
//!
//! A promise that is not kept is a failed test of that name, and its message says what came instead. The promises
//! are the functions of this module. One alone, under conditions of your choice (paused time, a server of an older
//! version), is a call: `contract::entries_come_in_order(Memory::start().await).await`.
//!
//! Promises about time give a slow machine twenty seconds for what is to come at once.

mod claims;
mod commits;
mod presence;
mod reads;
mod streams;
mod support;
mod waits;

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;

use crate::backend::Backend;
use crate::entry::EntryId;
pub use claims::{
    a_claim_keeps_the_checkpoint, a_claim_supersedes_the_ones_before, a_commit_needs_a_claim,
    a_superseded_store_stays_superseded, of_many_claims_at_once_one_can_commit,
};
pub use commits::{
    a_commit_in_doubt_can_be_made_again, a_consumer_that_never_committed_has_no_checkpoint,
    a_mark_comes_back_with_its_checkpoint, consumers_do_not_see_each_other, many_commits_in_a_row_are_kept,
    the_checkpoint_is_the_one_committed_last, verifying_finds_the_record_written_last,
};
pub use presence::{
    a_deleted_entry_is_deleted, a_present_entry_is_present, a_trimmed_entry_is_trimmed,
    an_entry_that_never_was_is_unclear, the_tail_is_the_last_id_ever_added,
};
pub use reads::{
    a_batch_ends_once_it_has_the_limit_of_bytes, a_batch_has_at_most_the_limit_of_entries,
    a_read_starts_right_after_its_position, entries_come_in_order, fields_come_byte_for_byte,
    ten_thousand_entries_come_in_order, the_first_entry_comes_whatever_its_size,
};
pub use streams::{
    a_missing_stream_is_empty_and_may_come_later, a_reopened_backend_has_all_it_had,
    reading_goes_on_behind_a_trim, streams_are_kept_apart, two_sources_of_a_stream_read_on_their_own,
};
pub use waits::{
    a_dropped_read_loses_nothing, a_read_of_what_is_there_does_not_wait,
    a_read_without_entries_is_idle_at_its_deadline, a_waiting_read_holds_up_nothing_else,
    an_append_wakes_all_waiting_reads, no_append_falls_between_two_reads,
};

/// A backend that is held to the contract: how a test makes one, and does to it what the world does.
///
/// Every method may panic where it cannot do its work: the test then fails.
#[async_trait]
pub trait Subject: Send + Sync + Sized + 'static {
    /// A backend of its own, with nothing in it.
    async fn start() -> Self;

    /// The backend.
    fn backend(&self) -> &dyn Backend;

    /// Adds an entry to a stream, which need not exist before. Returns its id.
    async fn append(&self, stream: &str, fields: &[(&[u8], &[u8])]) -> EntryId;

    /// Removes the oldest entries of a stream, so that at most `max_len` remain.
    async fn trim(&self, stream: &str, max_len: usize);

    /// Deletes one entry by itself, as `XDEL` does. Returns whether this backend can do that; as it is, it cannot,
    /// and is not held to promises about it.
    async fn delete(&self, stream: &str, id: EntryId) -> bool {
        let _ = (stream, id);
        false
    }

    /// Closes the backend and opens it again on what it kept, as a restart does; nothing made from it is in use.
    /// Returns whether this backend can do that; as it is, it cannot, and is not held to promises about it.
    async fn reopen(&mut self) -> bool {
        false
    }
}

/// A promise that takes longer has not been kept.
const LONGEST: Duration = Duration::from_secs(180);

/// Runs one promise on a new backend and a runtime of its own. The tests of
/// [`backend_contract!`](super::backend_contract) do this.
///
/// # Panics
///
/// The promise is not kept.
pub fn hold<S: Subject, F: Future<Output = ()>>(name: &str, promise: impl FnOnce(S) -> F) {
    // Of two threads, so that what is to be safe side by side is done side by side.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.unwrap_or_else(|error| support::fail(&format!("no runtime for a test: {error}")));
    let test = async { promise(S::start().await).await };
    if runtime.block_on(async { tokio::time::timeout(LONGEST, test).await }).is_err() {
        support::fail(&format!("`{name}` was not kept within {LONGEST:?}"));
    }
}

/// Makes a test of each promise of the [contract](crate::testing::contract), for the
/// [`Subject`](crate::testing::contract::Subject) of this name.
///
/// For more subjects than one in a file, put each in a module: `mod memory { backend_contract!(super::Memory); }`.
#[macro_export]
macro_rules! backend_contract {
    ($subject:ty) => {
        $crate::backend_contract! { $subject:
            entries_come_in_order
            a_read_starts_right_after_its_position
            a_batch_has_at_most_the_limit_of_entries
            a_batch_ends_once_it_has_the_limit_of_bytes
            the_first_entry_comes_whatever_its_size
            fields_come_byte_for_byte
            ten_thousand_entries_come_in_order

            a_read_of_what_is_there_does_not_wait
            a_read_without_entries_is_idle_at_its_deadline
            an_append_wakes_all_waiting_reads
            no_append_falls_between_two_reads
            a_dropped_read_loses_nothing
            a_waiting_read_holds_up_nothing_else

            a_missing_stream_is_empty_and_may_come_later
            streams_are_kept_apart
            two_sources_of_a_stream_read_on_their_own
            reading_goes_on_behind_a_trim
            a_reopened_backend_has_all_it_had

            the_tail_is_the_last_id_ever_added
            a_present_entry_is_present
            a_trimmed_entry_is_trimmed
            a_deleted_entry_is_deleted
            an_entry_that_never_was_is_unclear

            a_claim_keeps_the_checkpoint
            a_claim_supersedes_the_ones_before
            a_superseded_store_stays_superseded
            of_many_claims_at_once_one_can_commit
            a_commit_needs_a_claim

            a_consumer_that_never_committed_has_no_checkpoint
            the_checkpoint_is_the_one_committed_last
            verifying_finds_the_record_written_last
            a_commit_in_doubt_can_be_made_again
            a_mark_comes_back_with_its_checkpoint
            consumers_do_not_see_each_other
            many_commits_in_a_row_are_kept
        }
    };
    ($subject:ty: $($promise:ident)+) => {$(
        #[test]
        fn $promise() {
            $crate::testing::contract::hold(
                stringify!($promise),
                $crate::testing::contract::$promise::<$subject>,
            );
        }
    )+};
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_promise_becomes_a_test() {
        let tests: Vec<&str> = include_str!("contract.rs")
            .lines()
            .skip_while(|line| !line.contains("{ $subject:"))
            .skip(1)
            .take_while(|line| line.trim() != "}")
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let files = [
            include_str!("contract/reads.rs"),
            include_str!("contract/waits.rs"),
            include_str!("contract/streams.rs"),
            include_str!("contract/presence.rs"),
            include_str!("contract/claims.rs"),
            include_str!("contract/commits.rs"),
        ];
        let promises: Vec<&str> = files
            .iter()
            .flat_map(|file| file.lines())
            .filter_map(|line| line.strip_prefix("pub async fn ")?.split('<').next())
            .collect();
        assert_eq!(tests, promises);
    }
}
