//! Types decoded from fields.

use super::*;
use crate::{Entry, EntryId};

fn entry<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Entry {
    Entry::new("s", EntryId::new(1, 0), fields)
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    GameStarted,
    GameFinished,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Id(String);

#[derive(Debug, Deserialize, PartialEq)]
struct Event {
    kind: Kind,
    id: Id,
    turn: u32,
    score: f64,
    ranked: bool,
    delta: Option<i64>,
    note: Option<String>,
}

#[test]
fn text_becomes_what_the_type_asks_for() {
    let entry = entry([
        ("kind", "game_finished"),
        ("id", "g-1"),
        ("turn", "12"),
        ("score", "1.5"),
        ("ranked", "1"),
        ("delta", "-3"),
        ("unrelated", "x"),
    ]);
    let event: Event = entry.decode().unwrap();
    let expected = Event {
        kind: Kind::GameFinished,
        id: Id("g-1".into()),
        turn: 12,
        score: 1.5,
        ranked: true,
        delta: Some(-3),
        note: None,
    };
    assert_eq!(event, expected);
}

#[derive(Debug, Deserialize)]
struct Turn {
    turn: u32,
}

#[test]
fn an_error_names_the_field() {
    for (value, message) in [
        ("x", "field \"turn\": \"x\": invalid digit found in string"),
        ("-1", "field \"turn\": \"-1\": invalid digit found in string"),
        ("", "field \"turn\": \"\": cannot parse integer from empty string"),
    ] {
        let error = entry([("turn", value)]).decode::<Turn>().unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.field(), Some("turn"));
    }
    let missing = entry([("other", "1")]).decode::<Turn>().unwrap_err();
    assert_eq!(missing.to_string(), "missing field `turn`");
    let unknown = entry([("kind", "nonsense")]).decode::<HashMap<String, Kind>>().unwrap_err().to_string();
    assert!(unknown.starts_with("field \"kind\": unknown variant `nonsense`"), "{unknown}");
}

#[test]
fn an_error_is_one_short_line_whatever_it_quotes() {
    let value = format!("a\nb{}", "x".repeat(10_000));
    let error = entry([("kind", &*value)]).decode::<HashMap<String, Kind>>().unwrap_err().to_string();
    assert!(error.starts_with("field \"kind\": unknown variant `a\\nbxx"), "{error}");
    assert!(error.len() < 600, "{error}");
}

#[test]
fn a_repeated_field_does_not_fail_and_the_last_counts() {
    let turn: Turn = entry([("turn", "x"), ("turn", "7"), ("turn", "12")]).decode().unwrap();
    assert_eq!(turn.turn, 12);
}

#[test]
fn bytes_that_are_not_text_fail_text_alone() {
    let entry = Entry::new("s", EntryId::new(1, 0), [(&b"a"[..], &[0xff][..]), (&[0xfe], b"x")]);
    let error = entry.decode::<HashMap<String, String>>().unwrap_err();
    assert_eq!(error.to_string(), "field \"a\": not UTF-8");
    #[derive(Deserialize)]
    struct Other {
        #[serde(default)]
        b: Option<String>,
    }
    assert_eq!(entry.decode::<Other>().unwrap().b, None);
}

#[test]
fn structure_inside_a_field_is_an_error_not_a_panic() {
    let error = entry([("a", "1")]).decode::<HashMap<String, Vec<u8>>>().unwrap_err();
    assert!(error.to_string().starts_with("field \"a\": invalid type"), "{error}");
    assert!(entry([("a", "1")]).decode::<u32>().is_err());
}
