use stream_runtime::{Entry, EntryId};

use super::*;

fn decode(fields: &[(&str, &[u8])]) -> anyhow::Result<GmEvent> {
    let entry = Entry::new("gm:lobby_events", EntryId::new(1, 0), fields.iter().copied());
    GmEvent::decode(entry.fields())
}

/// An update of game `g` that has one field more.
fn decode_with(name: &str, value: impl AsRef<[u8]>) -> anyhow::Result<GmEvent> {
    decode(&[("kind", b"runtime_snapshot_update"), ("game_id", b"g"), (name, value.as_ref())])
}

#[test]
fn absent_fields_are_as_good_as_empty_ones() {
    let event = decode_with("unrelated", "").unwrap();
    assert_eq!(event, decode_with("current_turn", "").unwrap());
    assert_eq!(event, decode_with("finished_at_ms", "").unwrap());
    assert_eq!(event.snapshot, RuntimeSnapshot::default());
    assert_eq!((event.player_stats, event.finished_at), (Vec::new(), None));
}

#[test]
fn of_a_repeated_field_the_last_counts() {
    let kinds: [(&str, &[u8]); 3] = [("kind", b"nonsense"), ("game_id", b"g"), ("kind", b"game_finished")];
    assert_eq!(decode(&kinds).unwrap().kind, Kind::GameFinished);
}

#[test]
fn white_space_around_a_game_id_is_refused_even_where_it_is_no_ascii() {
    for id in [" g", "g\n", "\u{85}g", "g\u{a0}", "g\u{2003}", "\u{3000}"] {
        assert!(decode_with("game_id", id).is_err(), "{id:?} was accepted");
    }
    for id in ["g g", "\u{feff}g", "g\u{200b}"] {
        assert_eq!(decode_with("game_id", id).unwrap().game_id.as_str(), id);
    }
}

#[test]
fn turns_are_decimal_with_an_optional_sign() {
    for (turn, number) in [("+5", 5), ("-0", 0), ("007", 7), ("9223372036854775807", i64::MAX)] {
        assert_eq!(decode_with("current_turn", turn).unwrap().snapshot.current_turn, number);
    }
    for turn in ["+", "-", "+-1", "-1", "1_000", "0x10", " 3", "1.0", "1e3", "٣", "9223372036854775808"] {
        assert!(decode_with("current_turn", turn).is_err(), "{turn:?} was accepted");
    }
}

#[test]
fn a_time_of_finish_is_a_positive_number_of_milliseconds() {
    let finished_at = |ms: &str| decode_with("finished_at_ms", ms).map(|event| event.finished_at);
    assert_eq!(finished_at("1").unwrap(), Some(UNIX_EPOCH + Duration::from_millis(1)));
    for ms in ["0", "-0", "-1", "1.5", " ", "9223372036854775808"] {
        assert!(finished_at(ms).is_err(), "{ms:?} was accepted");
    }
}

#[test]
fn the_latest_time_of_finish_there_is_does_no_harm() {
    let latest = Duration::from_millis(i64::MAX.unsigned_abs());
    match decode_with("finished_at_ms", i64::MAX.to_string()) {
        Ok(event) => assert_eq!(event.finished_at, UNIX_EPOCH.checked_add(latest)),
        Err(error) => assert_eq!(error.to_string(), "invalid finished_at_ms"),
    }
}

#[test]
fn a_field_that_is_not_utf8_is_refused_where_it_is_read() {
    for name in [
        "kind",
        "game_id",
        "current_turn",
        "runtime_status",
        "engine_health_summary",
        "player_turn_stats",
        "finished_at_ms",
    ] {
        let error = format!("{:#}", decode_with(name, b"\xff").unwrap_err());
        assert_eq!(error, format!("field {name:?}: not UTF-8"));
    }
    assert!(decode_with("unrelated", b"\xff").is_ok());
}

#[test]
fn an_error_names_the_field() {
    for (name, value) in [("current_turn", "-1"), ("player_turn_stats", "["), ("finished_at_ms", "soon")] {
        let error = decode_with(name, value).unwrap_err().to_string();
        assert_eq!(error, format!("invalid {name}"));
    }
}
