//! What an operator must hear of: findings in the stream, and held entries that were deleted.

use metrics::counter;

use crate::backend::Finding;
use crate::entry::EntryId;
use crate::status::StatusCell;

/// The stream lost entries before they were read.
pub(super) fn finding(status: &StatusCell, finding: Finding, resume: EntryId) {
    let (consumer, stream) = (status.consumer(), status.stream());
    counter!(
        "stream_runtime_findings_total",
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

/// A held entry was deleted from the stream, an operator's way to skip it.
pub(super) fn deleted(status: &StatusCell, id: EntryId, deliveries: u64) {
    let (consumer, stream) = (status.consumer(), status.stream());
    counter!(
        "stream_runtime_deleted_total", "consumer" => consumer.to_owned(), "stream" => stream.to_owned(),
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
