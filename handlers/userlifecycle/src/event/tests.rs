use stream_runtime::EntryId;

use super::*;

const BLOCKED: &str = "user.lifecycle.permanent_blocked";

/// An event that blocks user `u` and has one field more.
fn decode_with(name: &str, value: impl AsRef<[u8]>) -> anyhow::Result<Decoded> {
    let fields: [(&str, &[u8]); 4] = [
        ("event_type", BLOCKED.as_bytes()),
        ("user_id", b"u"),
        ("occurred_at_ms", b"7"),
        (name, value.as_ref()),
    ];
    decode(&Entry::new("user:lifecycle_events", EntryId::new(1, 2), fields))
}

fn event_with(name: &str, value: &str) -> UserLifecycleEvent {
    match decode_with(name, value) {
        Ok(Decoded::Event(event)) => event,
        other => panic!("{name} = {value:?}: {other:?}"),
    }
}

#[track_caller]
fn assert_refused(name: &str, values: &[&str]) {
    for value in values {
        assert!(decode_with(name, value).is_err(), "{name} = {value:?} was accepted");
    }
}

#[test]
fn absent_details_are_empty() {
    let expected = UserLifecycleEvent {
        entry_id: EntryId::new(1, 2),
        event_type: UserLifecycleEventType::PermanentBlocked,
        user_id: "u".to_owned(),
        occurred_at: UNIX_EPOCH + Duration::from_millis(7),
        source: String::new(),
        actor_type: String::new(),
        actor_id: String::new(),
        reason_code: String::new(),
        trace_id: String::new(),
    };
    assert_eq!(event_with("unrelated", "x"), expected);
}

#[test]
fn white_space_is_trimmed_from_the_user_and_kept_elsewhere() {
    assert_eq!(event_with("user_id", " \u{a0}u v\u{85}\n").user_id, "u v");
    assert_eq!(event_with("source", " admin ").source, " admin ");
    let spaced = format!("{BLOCKED} ");
    assert_eq!(decode_with("event_type", &spaced).unwrap(), Decoded::UnknownType(spaced));
}

#[test]
fn blank_is_as_bad_as_missing() {
    for name in ["event_type", "user_id", "occurred_at_ms"] {
        assert_refused(name, &["", " ", "\t\u{3000}"]);
    }
}

#[test]
fn an_unknown_type_excuses_nothing_else() {
    let decode = |user_id: &[u8], source: &[u8]| {
        let fields: [(&str, &[u8]); 4] = [
            ("event_type", b"user.lifecycle.renamed"),
            ("user_id", user_id),
            ("occurred_at_ms", b"7"),
            ("source", source),
        ];
        decode(&Entry::new("s", EntryId::new(1, 0), fields))
    };
    assert_eq!(decode(b"u", b"x").unwrap(), Decoded::UnknownType("user.lifecycle.renamed".to_owned()));
    assert!(decode(b"", b"x").is_err());
    assert!(decode(b"u", b"\xff").is_err());
}

#[test]
fn times_are_positive_decimal_milliseconds_with_an_optional_sign() {
    for (written, ms) in [("+5", 5), ("007", 7)] {
        let occurred_at = event_with("occurred_at_ms", written).occurred_at;
        assert_eq!(occurred_at, UNIX_EPOCH + Duration::from_millis(ms));
    }
    assert_refused(
        "occurred_at_ms",
        &["0", "-0", "-1", "+", "-", " 7", "7 ", "1_0", "0x7", "7.0", "1e3", "٣", "9223372036854775808"],
    );
}

#[test]
fn the_latest_time_there_is_does_no_harm() {
    let latest = UNIX_EPOCH.checked_add(Duration::from_millis(i64::MAX.unsigned_abs()));
    match (decode_with("occurred_at_ms", i64::MAX.to_string()), latest) {
        (Ok(Decoded::Event(event)), Some(latest)) => assert_eq!(event.occurred_at, latest),
        (Err(_), None) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_field_that_is_not_utf8_is_refused_where_it_is_read() {
    for name in [
        "event_type",
        "user_id",
        "occurred_at_ms",
        "source",
        "actor_type",
        "actor_id",
        "reason_code",
        "trace_id",
    ] {
        let error = decode_with(name, b"\xff").unwrap_err().to_string();
        assert_eq!(error, format!("field {name:?}: not UTF-8"));
    }
    assert!(decode_with("unrelated", b"\xff").is_ok());
}
