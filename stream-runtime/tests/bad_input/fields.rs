//! Fields, and types decoded from them.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde::Deserialize;
use serde::de::IgnoredAny;
use stream_runtime::{DecodeError, Entry, EntryId, PageBuilder};

use crate::cases;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Names that types know, so that some decode, and any bytes.
fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => proptest::sample::select(vec!["kind", "id", "turn", "score", "ranked", "delta", "note", ""])
            .prop_map(|name| name.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..12),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        1 => any::<f64>().prop_map(|n| n.to_string().into_bytes()),
        1 => "[-+]?[0-9]{0,60}([.][0-9]{0,3})?(e[0-9]{1,9})?".prop_map(String::into_bytes),
        2 => "\\PC{0,20}".prop_map(String::into_bytes),
        1 => proptest::sample::select(vec!["true", "0", "game_finished", "null", "NaN", "[]", "{\"a\":[1]}", "\0"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => (1..4_000_usize).prop_map(|depth| b"[".repeat(depth)),
        2 => vec(any::<u8>(), 0..40),
    ]
}

fn pairs() -> impl Strategy<Value = Pairs> {
    prop_oneof![6 => vec((name(), value()), 0..12), 1 => vec((name(), value()), 30..50)]
}

fn entry(pairs: &Pairs) -> Entry {
    Entry::new("s", EntryId::new(1, 0), pairs.iter().map(|(name, value)| (name, value)))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    GameFinished,
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "decoded to see that it is")]
struct Event<'a> {
    kind: Kind,
    id: &'a str,
    turn: u32,
    score: f64,
    ranked: bool,
    delta: Option<i128>,
    note: Option<Option<char>>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "decoded to see that it is")]
struct Flat {
    turn: Option<i8>,
    #[serde(flatten)]
    rest: HashMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "decoded to see that it is")]
enum Untagged {
    Number { turn: u64 },
    Text { note: String },
    Any(HashMap<String, IgnoredAny>),
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(dead_code, reason = "decoded to see that it is")]
enum Tagged {
    GameFinished { turn: Option<u16>, nested: Option<Box<Tagged>> },
    GameStarted(HashMap<String, String>),
}

/// Counts one where it decodes, and sees that an error is one short line.
fn tally<T>(decoded: Result<T, DecodeError>) -> Result<u32, TestCaseError> {
    let Err(error) = decoded else { return Ok(1) };
    let message = error.to_string();
    prop_assert!(!message.is_empty() && message.len() < 4_000, "{}", message);
    prop_assert!(!message.contains(char::is_control), "{:?}", message);
    Ok(0)
}

/// How many of many types the entry decodes into.
fn decode_into_all(entry: &Entry) -> Result<u32, TestCaseError> {
    Ok(tally(entry.decode::<Event<'_>>())?
        + tally(entry.decode::<Flat>())?
        + tally(entry.decode::<Untagged>())?
        + tally(entry.decode::<Tagged>())?
        + tally(entry.decode::<serde_json::Value>())?
        + tally(entry.decode::<HashMap<String, Vec<u8>>>())?
        + tally(entry.decode::<HashMap<String, Kind>>())?
        + tally(entry.decode::<HashMap<u8, (u8, String)>>())?
        + tally(entry.decode::<BTreeMap<&str, Option<f32>>>())?
        + tally(entry.decode::<Vec<(String, String)>>())?
        + tally(entry.decode::<(u8, u8)>())?
        + tally(entry.decode::<Option<HashMap<String, ()>>>())?
        + tally(entry.decode::<String>())?
        + tally(entry.decode::<u64>())?
        + tally(entry.decode::<Kind>())?
        + tally(entry.decode::<()>())?
        + tally(entry.decode::<IgnoredAny>())?)
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn fields_are_the_bytes_that_were_given(pairs in pairs(), asked in name()) {
        let entry = entry(&pairs);
        let fields = entry.fields();
        prop_assert_eq!(fields.len(), pairs.len());
        prop_assert!(fields.iter().eq(pairs.iter().map(|(name, value)| (&name[..], &value[..]))));
        if let Ok(asked) = std::str::from_utf8(&asked) {
            let last = pairs.iter().rev().find(|(name, _)| name == asked.as_bytes());
            let last = last.map(|(_, value)| &value[..]);
            prop_assert_eq!(fields.get(asked), last);
            match (fields.text(asked), last.map(std::str::from_utf8)) {
                (Ok(text), expected) => prop_assert_eq!(text, expected.transpose().unwrap()),
                (Err(error), expected) => {
                    prop_assert!(expected.is_some_and(|text| text.is_err()));
                    prop_assert_eq!(error.name(), asked);
                }
            }
        }
        let shown = format!("{entry:?}");
        prop_assert!(shown.len() < 100_000);
    }

    #[test]
    fn a_page_gives_each_entry_the_fields_that_were_its_own(entries in vec(pairs(), 0..8)) {
        let mut page = PageBuilder::new("s");
        for pairs in &entries {
            page.entry(EntryId::new(1, 0), pairs.iter().map(|(name, value)| (name, value)));
        }
        let expected: Vec<Entry> = entries.iter().map(entry).collect();
        prop_assert_eq!(page.finish(), expected);
    }

    #[test]
    fn a_map_has_the_last_value_of_each_name_where_all_is_text(pairs in pairs()) {
        let last: BTreeMap<&[u8], &[u8]> = pairs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let expected: Option<BTreeMap<String, String>> =
            last.iter().map(|(name, value)| Some((text(name)?, text(value)?))).collect();
        prop_assert_eq!(entry(&pairs).decode::<BTreeMap<String, String>>().ok(), expected);
    }

    #[test]
    fn a_number_is_what_parses_as_one(value in value()) {
        let entry = entry(&vec![(b"n".to_vec(), value.clone())]);
        let number = entry.decode::<HashMap<&str, i64>>().ok().map(|map| map["n"]);
        prop_assert_eq!(number, std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok()));
    }
}

#[test]
fn any_fields_decode_or_fail_with_an_error() {
    let decoded = Cell::new(0);
    let run = TestRunner::new(cases(500)).run(&pairs(), |pairs| {
        decoded.set(decoded.get() + decode_into_all(&entry(&pairs))?);
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
    // Two of the types take anything.
    assert!(decoded.get() > 5 * 500 / 2, "only {} of {} decoded", decoded.get(), 17 * 500);
}

/// An event that decodes, with one thing changed.
fn nearly_an_event() -> impl Strategy<Value = Pairs> {
    let event = (any::<u32>(), -1e9..1e9_f64, any::<bool>(), any::<i128>()).prop_map(
        |(turn, score, ranked, delta)| {
            let texts = [
                ("kind", "game_finished".to_owned()),
                ("id", "g-1".to_owned()),
                ("turn", turn.to_string()),
                ("score", score.to_string()),
                ("ranked", ranked.to_string()),
                ("delta", delta.to_string()),
                ("note", "x".to_owned()),
            ];
            texts.map(|(name, text)| (name.as_bytes().to_vec(), text.into_bytes())).to_vec()
        },
    );
    (event, 0..7_usize, 0..5_u8, name(), value()).prop_map(|(mut event, at, change, name, value)| {
        match change {
            0 => event[at].1 = value,
            1 => event[at].0 = name,
            2 => drop(event.remove(at)),
            3 => event.insert(at, (event[at].0.clone(), value)),
            _ => event.push((event[at].0.clone(), value)),
        }
        event
    })
}

#[test]
fn an_event_with_one_thing_changed_decodes_or_fails_with_an_error() {
    let decoded = Cell::new(0);
    let run = TestRunner::new(cases(500)).run(&nearly_an_event(), |pairs| {
        let entry = entry(&pairs);
        decoded.set(decoded.get() + tally(entry.decode::<Event<'_>>())?);
        decode_into_all(&entry).map(drop)
    });
    run.unwrap_or_else(|error| panic!("{error}"));
    let decoded = decoded.get();
    assert!((100..450).contains(&decoded), "{decoded} of 500 decoded: the cases no longer go both ways");
}

/// At a cost that grows no faster than the fields: by the square it would take minutes.
#[test]
fn an_entry_of_a_hundred_thousand_fields_decodes() {
    let field = |n: u32| (format!("name {}", n % 70_000).into_bytes(), (n / 70_000).to_string().into_bytes());
    let pairs: Pairs = (0..100_000).map(field).collect();
    let decoded: HashMap<String, u32> = entry(&pairs).decode().unwrap();
    assert_eq!(decoded.len(), 70_000);
    assert_eq!((decoded["name 29999"], decoded["name 30000"]), (1, 0));
}
