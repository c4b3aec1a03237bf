//! Controls: each flaw of a backend breaks the promise that is about it, and the message says how.
//!
//! Under paused time: what is waited for in vain costs nothing.

use stream_runtime::testing::contract;

use crate::flawed::{Flaw, Flawed};

macro_rules! caught {
    ($($flaw:ident by $promise:ident: $words:literal,)+) => {$(
        #[allow(non_snake_case, reason = "named after the flaw")]
        #[tokio::test(start_paused = true)]
        #[should_panic(expected = $words)]
        async fn $flaw() {
            contract::$promise(Flawed::new(Flaw::$flaw)).await;
        }
    )+};
}

caught! {
    ReadsTheEntryAtItsPosition by a_read_starts_right_after_its_position: "brought 1-0 behind 1-0",
    LeavesOutTheFirstOfABatch by entries_come_in_order: "an entry after 50-0 did not come",
    TurnsBatchesRound by entries_come_in_order: "brought 49-0 behind 50-0",
    BringsTextAlone by fields_come_byte_for_byte: "and {",
    IgnoresTheLimitOfEntries by a_batch_has_at_most_the_limit_of_entries: "at most 1 were asked for",
    IgnoresTheLimitOfBytes by a_batch_ends_once_it_has_the_limit_of_bytes: "an entry came although",
    HoldsTheFirstToTheLimitOfBytes by the_first_entry_comes_whatever_its_size: "was idle long before",
    SleepsThroughAppends by an_append_wakes_all_waiting_reads: "an append to a waiting read did not come",
    IsIdleAtOnce by a_read_without_entries_is_idle_at_its_deadline: "before its deadline",
    TakesEntriesAlongWhenDropped by a_dropped_read_loses_nothing: "did not come within",
    SharesOnePosition by two_sources_of_a_stream_read_on_their_own: "did not come within",
    MixesStreams by streams_are_kept_apart: "the tail of \"s\"",
    FindsEverythingPresent by a_trimmed_entry_is_trimmed: "the presence of 1-0",
    TakesTrimmedForDeleted by a_trimmed_entry_is_trimmed: "the presence of 1-0",
    TakesDeletedForTrimmed by a_deleted_entry_is_deleted: "the presence of 3-0",
    FindsWhatNeverWasDeleted by an_entry_that_never_was_is_unclear: "the presence of 3-1",
    ForgetsTheTailWhenEmpty by the_tail_is_the_last_id_ever_added: "after the last entry was deleted",
    ReportsATrimThatWasNot by a_read_starts_right_after_its_position: "reports what did not happen",
    NeverSupersedes by a_claim_supersedes_the_ones_before: "a commit after another's claim was not refused",
    GivesTheConsumerBack by a_superseded_store_stays_superseded: "loading after another's claim was not refused",
    ForgetsTheCheckpointAtAClaim by a_claim_keeps_the_checkpoint: "claim 1 lost the checkpoint",
    LosesMarks by a_mark_comes_back_with_its_checkpoint: "by the store that wrote it",
    RefusesACommitInDoubt by a_commit_in_doubt_can_be_made_again: "a commit failed: Conflict",
    RefusesToGoBack by the_checkpoint_is_the_one_committed_last: "a commit failed: Conflict",
    CommitsWithoutAClaim by a_commit_needs_a_claim: "a commit without a claim was not refused",
    KeepsOneCheckpointForAll by consumers_do_not_see_each_other: "the first load of \"C\"",
}
