mod two_ways;

use super::*;

/// One player's stats: user id, planets, population, ships built.
type Row = (String, i64, i64, i64);

fn rows(json: &str) -> anyhow::Result<Vec<Row>> {
    let rows = decode(json)?
        .into_iter()
        .map(|player| (player.user_id, player.planets, player.population, player.ships_built))
        .collect();
    Ok(rows)
}

fn row(user_id: &str, planets: i64, population: i64, ships_built: i64) -> Row {
    (user_id.to_owned(), planets, population, ships_built)
}

fn user_id(string: &str) -> String {
    let players =
        rows(&format!(r#"[{{"user_id":{string}}}]"#)).unwrap_or_else(|error| panic!("{string}: {error:#}"));
    players[0].0.clone()
}

#[track_caller]
fn assert_refused(documents: &[&str]) {
    for json in documents {
        assert!(rows(json).is_err(), "{json} was accepted");
    }
}

/// A player with an unknown value in which arrays nest; the document and the player are two levels more.
fn nested(levels: usize) -> String {
    let (open, close) = ("[".repeat(levels), "]".repeat(levels));
    format!(r#"[{{"user_id":"u","more":{open}{close}}}]"#)
}

#[test]
fn blank_and_null_documents_have_no_players() {
    for json in ["", " ", "\t\n", "\u{a0}\u{85}\u{3000}", "null", " null\n", "[]", "[ ]"] {
        assert_eq!(rows(json).unwrap(), [], "{json:?}");
    }
}

#[test]
fn what_is_no_array_of_objects_is_refused() {
    assert_refused(&["{}", "7", "\"x\"", "true", "[1]", "[\"u\"]", "[false]", "[[]]", r#"[["u",1,2,3]]"#]);
}

#[test]
fn a_player_without_a_user_id_is_refused() {
    assert_refused(&["[{}]", "[null]", r#"[{"user_id":"u"},null]"#, r#"[{"user_id":null}]"#]);
    assert_refused(&[r#"[{"user_id":""}]"#, r#"[{"user_id":" \u00a0"}]"#]);
}

#[test]
fn counts_that_are_absent_or_null_are_zero() {
    let players = rows(r#"[{"user_id":" u "},{"user_id":"v","planets":null,"population":2}]"#);
    assert_eq!(players.unwrap(), [row("u", 0, 0, 0), row("v", 0, 2, 0)]);
}

#[test]
fn names_match_whatever_their_case() {
    let players =
        rows(r#"[{"USER_ID":"u","PlaNets":1,"populatioN":2,"ſhipſ_built":3,"\u0050LANET\u017f":4}]"#);
    assert_eq!(players.unwrap(), [row("u", 4, 2, 3)]);
}

#[test]
fn names_that_only_look_alike_do_not_match() {
    let players =
        rows(r#"[{"user_id":"u","uſer_ıd":"v","planets ":1,"planet":2,"population\u0000":3,"\ud800":4}]"#);
    assert_eq!(players.unwrap(), [row("u", 0, 0, 0)]);
}

#[test]
fn of_a_repeated_name_the_last_value_wins_however_it_is_spelled() {
    let players = rows(r#"[{"user_id":"a","USER_ID":"b","Planets":1,"planets":2,"PLANETS":3}]"#);
    assert_eq!(players.unwrap(), [row("b", 3, 0, 0)]);
}

#[test]
fn null_leaves_the_value_that_was_there() {
    let players = rows(r#"[{"user_id":"u","planets":1,"Planets":null,"user_id":null}]"#);
    assert_eq!(players.unwrap(), [row("u", 1, 0, 0)]);
}

#[test]
fn a_value_of_the_wrong_type_is_refused_even_if_a_later_one_is_right() {
    assert_refused(&[
        r#"[{"user_id":7,"user_id":"u"}]"#,
        r#"[{"user_id":["u"],"user_id":"u"}]"#,
        r#"[{"user_id":"u","planets":"1","planets":1}]"#,
        r#"[{"user_id":"u","planets":[1]}]"#,
        r#"[{"user_id":"u","planets":{}}]"#,
        r#"[{"user_id":"u","planets":true}]"#,
    ]);
}

#[test]
fn counts_are_integers_as_they_are_written() {
    for (written, number) in [("0", 0), ("-0", 0), ("9007199254740993", 9_007_199_254_740_993), (" 7 ", 7)] {
        let players = rows(&format!(r#"[{{"user_id":"u","planets":{written}}}]"#));
        assert_eq!(players.unwrap(), [row("u", number, 0, 0)], "{written}");
    }
    for written in
        ["1.0", "-0.0", "1e3", "0e0", "1E+2", "9223372036854775808", "1e999", "-1", "+1", "01", "0x1"]
    {
        assert_refused(&[&format!(r#"[{{"user_id":"u","planets":{written}}}]"#)]);
    }
}

#[test]
fn no_count_may_be_negative() {
    for name in ["planets", "population", "ships_built"] {
        assert_refused(&[&format!(r#"[{{"user_id":"u","{name}":-1}}]"#)]);
    }
}

#[test]
fn escapes_are_read() {
    assert_eq!(user_id(r#""\u0041\/\"\\\n\ud83d\ude00z""#), "A/\"\\\n😀z");
}

#[test]
fn each_lone_half_of_a_surrogate_pair_is_replaced() {
    assert_eq!(user_id(r#""a\ud800b""#), "a\u{fffd}b");
    assert_eq!(user_id(r#""\udc00\ud800""#), "\u{fffd}\u{fffd}");
    assert_eq!(user_id(r#""\ud800\ud83d\ude00""#), "\u{fffd}😀");
    assert_eq!(user_id(r#""퟿\ud800\n\uD800\u0041é""#), "퟿\u{fffd}\n\u{fffd}Aé");
}

#[test]
fn broken_syntax_is_refused_in_parts_that_are_not_used_too() {
    assert_refused(&[
        "[",
        "not json",
        r#"[{"user_id":"u"}] x"#,
        r#"[{"user_id":"u"},]"#,
        r#"[{"user_id":"u",}]"#,
        r#"[{"user_id":"u","more":01}]"#,
        r#"[{"user_id":"u","more":"\x"}]"#,
        r#"[{"user_id":"u","more":[1,}]"#,
        "[{\"user_id\":\"a\tb\"}]",
        "[{\"user_id\":\"u\",\"more\n\":1}]",
        "\u{feff}[]",
        "\u{a0}[]",
    ]);
}

#[test]
fn unknown_values_are_passed_over() {
    let players = rows(r#"[{"more":{"user_id":"v","x":[1e999,"\ud800",{}]},"user_id":"u"}]"#);
    assert_eq!(players.unwrap(), [row("u", 0, 0, 0)]);
}

#[test]
fn values_nest_as_deep_as_go_reads_them() {
    assert_eq!(rows(&nested(9_998)).unwrap(), [row("u", 0, 0, 0)]);
    assert!(rows(&nested(9_999)).is_err());
    assert!(rows(&nested(1_000_000)).is_err());
}

#[test]
fn brackets_in_strings_do_not_nest() {
    let brackets = r#"[{\"\\["#.repeat(10_000);
    assert!(rows(&format!(r#"[{{"user_id":"{brackets}"}}]"#)).is_ok());
}
