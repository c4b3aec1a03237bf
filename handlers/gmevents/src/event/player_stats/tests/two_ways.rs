//! A document is decoded in one go or after a check: whichever it is, with the same result.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// Which way a document went, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Plain,
    PlainThenRefused,
    Checked,
    CheckedAndRefused,
}

/// What means something in JSON, and what is close to it.
const LETTERS: &str = "[]{}\":,\\/0179-+.eEusP \n\r\t\0\u{1}\u{1f}\u{7f}\u{85}\u{a0}éſ\u{d7ff}😀";

const WORDS: [&str; 10] =
    ["null", "true", "[]", "{}", "\"\"", "\\n", "\\u0041", "\\ud800", "\\udc00", "\\ud83d\\ude00"];

fn name() -> impl Strategy<Value = &'static str> {
    let ours = select(NAMES.to_vec());
    let spelled =
        select(vec!["USER_ID", "Planets", "uſer_id", "ſhips_built", "\\u0070lanets", "popul\\u0061tion"]);
    let others = select(vec!["more", "", "user_ıd", "planets ", "\\ud800", "pla\tnets"]);
    prop_oneof![8 => ours, 2 => spelled, 1 => others]
}

fn value() -> impl Strategy<Value = &'static str> {
    let counts = select(vec!["0", "7", "-0", "1200", "9007199254740993", "9223372036854775807", "null"]);
    let texts = select(vec!["\"u\"", "\" é \"", "\"\\u0041\"", "\"\\ud800\"", "\"a\tb\"", "\"\""]);
    let others =
        select(vec!["-1", "1.0", "1e3", "-0.0", "9223372036854775808", "true", "[7]", "{\"x\":[{}]}"]);
    prop_oneof![6 => counts, 3 => texts, 1 => others]
}

/// A player that has a user id and, for the most part, counts.
fn player() -> impl Strategy<Value = String> {
    let count =
        (select(vec!["planets", "population", "ships_built", "more"]), select(vec!["0", "7", "-0", "null"]));
    let member = prop_oneof![12 => count, 1 => (name(), value())];
    let gap = select(vec!["", "", "", "", "", " ", "\n  ", "\t"]);
    (vec(member, 0..5), gap).prop_map(|(members, gap)| {
        let members = members.iter().map(|(name, value)| format!(",{gap}\"{name}\":{gap}{value}"));
        format!("{{\"user_id\":\"user-1\"{}}}", members.collect::<String>())
    })
}

/// A document of some players, with a few pieces put in, taken out or put in another's place.
fn document() -> impl Strategy<Value = String> {
    let letters: Vec<char> = LETTERS.chars().collect();
    let piece = prop_oneof![
        2 => Just(String::new()),
        4 => select(letters).prop_map(String::from),
        1 => select(WORDS.to_vec()).prop_map(str::to_owned),
    ];
    let change = (any::<Index>(), 0..2_usize, piece);
    (vec(player(), 1..4), vec(change, 0..4)).prop_map(|(players, changes)| {
        let mut json: Vec<char> = format!("[{}]", players.join(",")).chars().collect();
        for (index, taken, piece) in changes {
            let at = index.index(json.len());
            json.splice(at..at + taken, piece.chars());
        }
        json.into_iter().collect()
    })
}

/// The players, or the whole text of the error.
fn told(decoded: anyhow::Result<Vec<PlayerObservedStats>>) -> Result<Vec<PlayerObservedStats>, String> {
    decoded.map_err(|error| format!("{error:#}"))
}

#[test]
fn a_document_comes_to_the_same_with_the_check_and_without() {
    let ways = RefCell::new(BTreeMap::new());
    let config = Config { cases: 4_000, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&document(), |json| {
        let decoded = told(decode(&json));
        prop_assert_eq!(&decoded, &told(checked(&json)), "{:?}", json);
        let way = match (plain(&json).is_some(), decoded.is_ok()) {
            (true, true) => Way::Plain,
            (true, false) => Way::PlainThenRefused,
            (false, true) => Way::Checked,
            (false, false) => Way::CheckedAndRefused,
        };
        *ways.borrow_mut().entry(way).or_insert(0) += 1;
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
    let ways = ways.into_inner();
    for way in [Way::Plain, Way::PlainThenRefused, Way::Checked, Way::CheckedAndRefused] {
        assert!(ways.get(&way) >= Some(&20), "the documents no longer go every way: {ways:?}");
    }
}

#[test]
fn the_game_masters_own_documents_are_decoded_in_one_go() {
    let player = r#"{"user_id":"user-00000001","planets":3,"population":1200,"ships_built":2}"#;
    for players in 0..=250 {
        let json = format!("[{}]", vec![player; players].join(","));
        assert!(plain(&json).is_some(), "{players} players");
    }
}
