//! What a worker does when its server or its network fails: the whole runtime on the Redis backend, with a
//! handler that records what it gets, behind a proxy that counts.
//!
//! Each test asserts that the fault is seen in the status, that the worker never sends more commands a second
//! than a bound, and that without a restart all entries are handled, once and in order, and committed.
//!
//! | fault | test |
//! | --- | --- |
//! | connection refused | `network::a_refused_connection_is_tried_again_until_the_server_is_back` |
//! | reset in mid-reply | `network::a_reset_in_the_middle_of_a_reply_loses_nothing` |
//! | half a reply, then silence | `network::half_a_reply_and_then_silence_is_given_up_and_loses_nothing` |
//! | a black hole | `network::a_black_hole_is_noticed_and_what_arrives_late_from_it_does_no_harm` |
//! | a black hole between a commit and its answer | `network::a_black_hole_between_commit_and_answer_repeats_no_entry` |
//! | CLIENT KILL | `network::killed_connections_are_made_again` |
//! | too many clients, with a password and without | `server::a_server_with_too_many_clients_is_waited_for` |
//! | LOADING | `server::a_server_that_loads_its_data_is_waited_for` |
//! | READONLY and a replica promoted | `server::a_replica_is_read_until_the_window_is_full_and_goes_on_when_it_is_promoted` |
//! | UNBLOCKED, and the connection closed | `server::a_read_that_is_unblocked_because_its_master_became_a_replica_starts_again` |
//! | CLIENT PAUSE | `server::a_pause_of_the_server_is_given_up_and_waited_out` |
//! | OOM, Redis 7 and later | `writes::a_server_out_of_memory_still_takes_commits` |
//! | OOM, before Redis 7 | `writes::commits_refused_for_want_of_memory_pause_handling_while_reads_work` |
//! | NOREPLICAS | `writes::commits_refused_for_want_of_replicas_pause_handling_while_reads_work` |
//! | WRONGTYPE, the stream | `refusals::a_stream_of_another_type_is_waited_for` |
//! | WRONGTYPE, the offset | `refusals::an_offset_of_another_type_is_waited_for` |
//! | NOPERM by an ACL revoked at run time | `refusals::a_right_that_is_revoked_at_run_time_is_waited_for` |
//! | the same, met by the commit's script | `refusals::a_right_that_only_the_commits_script_needs_is_waited_for` |
//! | NOAUTH | `refusals::a_password_that_is_suddenly_needed_is_waited_for` |
//! | a password changed | `refusals::a_password_that_was_changed_is_waited_for_and_in_no_error` |
//! | an offset that is no id | `refusals::a_stored_offset_that_is_no_id_is_waited_for_at_start` |
//! | an offset that becomes none | `refusals::a_stored_offset_that_becomes_no_id_is_waited_for_and_not_written_over` |
//! | DEL of the stream while blocked on it | `stream::a_stream_deleted_while_it_is_waited_for_is_read_when_it_is_back` |
//! | an empty reply that is no timeout | `stream::empty_replies_that_are_no_timeouts_are_no_errors_and_no_spin` |
//! | a 64 MiB entry | `stream::an_entry_of_64_mib_is_handled_between_small_ones` |
//! | 100,000 fields in one entry | `stream::an_entry_of_100_000_fields_is_handled_between_small_ones` |
//! | ids at u64's end | `stream::the_last_ids_there_are_are_handled_and_the_worker_then_waits` |
//! | a server older than 7.0 | `stream::a_server_older_than_7_is_read_and_committed_to` |
//! | each transient code of the table, at a read and at a commit | `table::whatever_may_pass_by_itself_is_tried_again_and_passes` |
//! | each configuration code, likewise | `table::whatever_somebody_has_to_change_is_tried_slowly_and_passes` |
//! | TLS: private, wrong, expired, of another name | `tls` in `tests/redis` |
//!
//! The table of what each error means is in `src/redis/errors.rs`. Beside the faults, `memory` measures a worker
//! over large backlogs, `rights` holds the smallest ACL to be enough and the smallest, and `secrets` looks for
//! passwords in all that a worker writes.
//!
//! What somebody has to change is tried again after five seconds or more, so these tests mostly wait: with
//! `RUST_TEST_THREADS=12` all of them take 20 seconds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a child process speaks to its parent")]

mod child;
mod memory;
mod network;
mod proxy;
mod refusals;
mod rights;
mod secrets;
mod server;
mod stream;
mod support;
mod table;
mod writes;
