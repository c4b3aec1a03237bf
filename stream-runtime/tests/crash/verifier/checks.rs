//! What the verifier says of runs that are written by hand.

use stream_runtime::EntryId;

use super::{Kind, Run, Verifier};
use crate::journal::{Event, Produced, Record, Verdict};
use crate::stored::Stored;

/// Every check of this file.
pub(crate) const ALL: [(&str, fn()); 12] = [
    ("a_run_that_is_killed_and_goes_on_is_right", a_run_that_is_killed_and_goes_on_is_right),
    ("an_entry_behind_the_offset_that_was_not_handled_is_lost", an_entry_behind_the_offset_is_lost),
    ("an_entry_that_is_never_handled_is_lost_at_the_end", an_entry_never_handled_is_lost_at_the_end),
    ("an_entry_passed_over_in_a_run_is_out_of_order", an_entry_passed_over_is_out_of_order),
    ("an_entry_that_comes_twice_in_a_run_is_out_of_order", an_entry_twice_is_out_of_order),
    ("an_entry_behind_a_held_one_is_out_of_order", an_entry_behind_a_held_one_is_out_of_order),
    ("a_run_that_starts_elsewhere_is_found", a_run_that_starts_elsewhere_is_found),
    ("one_entry_beyond_the_window_is_found", one_entry_beyond_the_window_is_found),
    ("a_commit_past_what_was_handled_is_found", a_commit_past_what_was_handled_is_found),
    ("an_acknowledged_commit_that_is_not_stored_is_found", an_acknowledged_commit_not_stored_is_found),
    ("a_shutdown_that_leaves_something_is_found", a_shutdown_that_leaves_something_is_found),
    ("an_entry_that_nobody_sent_is_found", an_entry_that_nobody_sent_is_found),
];

fn id(ms: u64) -> EntryId {
    EntryId::new(ms, 0)
}

fn tag(ms: u64) -> String {
    format!("t-{ms}")
}

fn handled(ms: u64) -> Event {
    Event::Delivered { id: id(ms), tag: tag(ms), attempt: 1, verdict: Verdict::Handled }
}

fn held(ms: u64) -> Event {
    Event::Delivered { id: id(ms), tag: tag(ms), attempt: 1, verdict: Verdict::Held }
}

fn claimed(ms: u64) -> Event {
    Event::Claimed(id(ms))
}

fn commit(ms: u64) -> [Event; 2] {
    [Event::Intent(id(ms)), Event::Acknowledged(id(ms))]
}

/// A verifier that knows the entries 1 to 5.
fn verifier() -> Verifier {
    let mut verifier = Verifier::default();
    verifier.produced(
        (1..=5).flat_map(|ms| [Produced::Sent(tag(ms)), Produced::Added { id: id(ms), tag: tag(ms) }]),
    );
    verifier
}

/// Judges the run with this number, after which `stored` is stored.
fn judge(verifier: &mut Verifier, number: u64, events: &[Event], stored: u64) -> Vec<Kind> {
    judge_as(verifier, number, events, stored, false)
}

fn judge_as(verifier: &mut Verifier, number: u64, events: &[Event], stored: u64, drained: bool) -> Vec<Kind> {
    let record = |event: &Event| Record { run: number, epoch: number, event: event.clone() };
    let records: Vec<Record> = events.iter().map(record).collect();
    let stored = Stored { epoch: number, id: id(stored) };
    let run = Run { number, max_uncommitted: 2, drained, records: &records, stored };
    verifier.judge(&run).into_iter().map(|violation| violation.kind).collect()
}

/// Judges one run alone.
fn judge_one(events: impl IntoIterator<Item = Event>, stored: u64) -> Vec<Kind> {
    judge(&mut verifier(), 1, &events.into_iter().collect::<Vec<_>>(), stored)
}

fn a_run_that_is_killed_and_goes_on_is_right() {
    let mut verifier = verifier();
    let first = [claimed(0), handled(1), Event::Intent(id(1)), held(2), handled(2)];
    assert_eq!(judge(&mut verifier, 1, &first, 1), []);
    let mut second = vec![claimed(1), handled(2), handled(3), handled(4)];
    second.extend(commit(4));
    second.push(handled(5));
    assert_eq!(judge(&mut verifier, 2, &second, 4), []);
    assert!(verifier.judge_end().is_empty());
    let tally = verifier.tally();
    assert_eq!((tally.handled, tally.duplicates, tally.holds, tally.largest_window), (5, 1, 1, 1));
    assert_eq!((tally.lost, tally.out_of_order, tally.unanswered, tally.commits), (0, 0, 1, 1));
}

fn an_entry_behind_the_offset_is_lost() {
    let events = [claimed(0), handled(1), Event::Intent(id(2))];
    assert_eq!(judge_one(events, 2), [Kind::Commit, Kind::Lost]);
}

fn an_entry_never_handled_is_lost_at_the_end() {
    let mut verifier = verifier();
    let events: Vec<Event> = [claimed(0)].into_iter().chain((1..=4).map(handled)).chain(commit(4)).collect();
    assert_eq!(judge(&mut verifier, 1, &events, 4), []);
    assert_eq!(verifier.judge_end().len(), 1);
    assert_eq!(verifier.tally().lost, 1);
}

fn an_entry_passed_over_is_out_of_order() {
    assert_eq!(judge_one([claimed(0), handled(1), handled(3)], 0), [Kind::OutOfOrder]);
}

fn an_entry_twice_is_out_of_order() {
    let mut events = vec![claimed(0), handled(1), handled(1)];
    events.extend(commit(1));
    assert_eq!(judge_one(events, 1), [Kind::OutOfOrder]);
}

fn an_entry_behind_a_held_one_is_out_of_order() {
    assert_eq!(judge_one([claimed(0), held(1), handled(2)], 0), [Kind::OutOfOrder]);
}

fn a_run_that_starts_elsewhere_is_found() {
    assert_eq!(judge_one([claimed(0), handled(2)], 0), [Kind::Start]);
    assert_eq!(judge_one([claimed(1)], 0), [Kind::Start]);
    assert_eq!(judge_one([claimed(0), claimed(0)], 0), [Kind::Start]);
}

fn one_entry_beyond_the_window_is_found() {
    assert_eq!(judge_one([claimed(0), handled(1), handled(2)], 0), []);
    assert_eq!(judge_one([claimed(0), handled(1), handled(2), handled(3)], 0), [Kind::Window]);
}

fn a_commit_past_what_was_handled_is_found() {
    assert_eq!(judge_one([claimed(0), handled(1), Event::Intent(id(2))], 0), [Kind::Commit]);
}

fn an_acknowledged_commit_not_stored_is_found() {
    let events = [claimed(0), handled(1)].into_iter().chain(commit(1));
    assert_eq!(judge_one(events, 0), [Kind::Commit]);
}

fn a_shutdown_that_leaves_something_is_found() {
    let mut events = vec![claimed(0), handled(1)];
    events.extend(commit(1));
    assert_eq!(judge_as(&mut verifier(), 1, &events, 1, true), []);
    events.push(handled(2));
    assert_eq!(judge_as(&mut verifier(), 1, &events, 1, true), [Kind::Shutdown]);
}

fn an_entry_that_nobody_sent_is_found() {
    let stranger = |text: &str| Event::Delivered {
        id: id(6),
        tag: text.to_owned(),
        attempt: 1,
        verdict: Verdict::Handled,
    };
    let after_the_rest = |event: Event| {
        let all: Vec<Event> = [claimed(0)].into_iter().chain((1..=5).map(handled)).chain(commit(5)).collect();
        [all, vec![event]].concat()
    };
    assert_eq!(judge_one(after_the_rest(stranger("x")), 5), [Kind::Foreign]);
    // Sent, and never acknowledged: it may be there.
    let mut verifier = verifier();
    verifier.produced([Produced::Sent("x".to_owned())]);
    assert_eq!(judge(&mut verifier, 1, &after_the_rest(stranger("x")), 5), []);
}
