//! What an operator must hear of: findings in the stream, and held entries that were deleted.

use metrics::{Unit, counter, describe_counter};

use crate::backend::Finding;
use crate::entry::EntryId;
use crate::status::StatusCell;
use crate::trouble::FAILURES;

const FINDINGS: &str = "stream_runtime_findings_total";
const DELETED: &str = "stream_runtime_deleted_total";

/// Registers what the loop counts, beside what the metrics layer does.
pub(super) fn describe() {
    describe_counter!(
        FINDINGS,
        Unit::Count,
        "Times that a stream was found to have lost entries, by finding."
    );
    describe_counter!(DELETED, Unit::Count, "Held entries that were passed because they were deleted.");
    describe_counter!(FAILURES, Unit::Count, "Failed calls of the backend, by kind of work and of error.");
}

/// The stream lost entries before they were read.
pub(super) fn finding(status: &StatusCell, finding: Finding, resume: EntryId) {
    let (consumer, stream) = (status.consumer(), status.stream());
    counter!(
        FINDINGS,
        "consumer" => consumer.to_owned(), "stream" => stream.to_owned(), "finding" => finding.as_str(),
    )
    .increment(1);
    if !finding.is_gap() {
        tracing::info!(target: "stream_runtime", consumer, stream, resume = %resume, "{finding}");
        return;
    }
    status.gap(finding, resume);
    tracing::error!(
        target: "stream_runtime",
        consumer,
        stream,
        finding = finding.as_str(),
        resume = %resume,
        "gap in the stream: {finding}",
    );
}

/// The entry in hand did not finish in the time that a shutdown leaves.
pub(super) fn cut_off(status: &StatusCell, id: EntryId) {
    tracing::warn!(
        target: "stream_runtime",
        consumer = status.consumer(),
        stream = status.stream(),
        stream_entry_id = %id,
        "the handler did not finish within the drain timeout: the entry will be delivered again",
    );
}

/// A held entry was deleted from the stream, an operator's way to skip it.
pub(super) fn deleted(status: &StatusCell, id: EntryId, deliveries: u64) {
    let (consumer, stream) = (status.consumer(), status.stream());
    counter!(
        DELETED, "consumer" => consumer.to_owned(), "stream" => stream.to_owned(),
    )
    .increment(1);
    status.deleted();
    tracing::warn!(
        target: "stream_runtime",
        consumer,
        stream,
        stream_entry_id = %id,
        deliveries,
        "held entry was deleted from the stream: passing it",
    );
}
