//! The field `player_turn_stats`: JSON, read as the original worker reads it, by Go's `encoding/json`.
//!
//! That is more lenient than serde: `null` leaves a value as it was, names match whatever their case, of a repeated
//! name the last wins, half of a surrogate pair becomes U+FFFD, and `-0` is an integer. In one thing it is stricter:
//! an array is no player.

use std::borrow::Cow;
use std::fmt;

use anyhow::ensure;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::ports::PlayerObservedStats;

/// How deep Go reads arrays and objects in one another.
const MAX_DEPTH: usize = 10_000;

/// The statistics in `json`; none where it is blank or `null`.
pub(super) fn decode(json: &str) -> anyhow::Result<Vec<PlayerObservedStats>> {
    if json.trim().is_empty() {
        return Ok(Vec::new());
    }
    check_syntax(json)?;
    let lines: Option<Vec<Line<'_>>> = serde_json::from_str(json)?;
    lines.unwrap_or_default().into_iter().map(Line::validate).collect()
}

/// Refuses what is no JSON, in parts that are not used too.
///
/// Decoding alone would let control characters pass in strings, since [`Text`] asks for them as bytes. Neither takes
/// more stack for values that nest deeper.
fn check_syntax(json: &str) -> anyhow::Result<()> {
    serde_json::from_str::<IgnoredAny>(json)?;
    ensure!(depth(json) <= MAX_DEPTH, "nested deeper than {MAX_DEPTH}");
    Ok(())
}

/// How deep arrays and objects nest in `json`, which is valid.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// What the game master writes of one player.
#[derive(Default)]
struct Line<'json> {
    user_id: Text<'json>,
    planets: Integer,
    population: Integer,
    ships_built: Integer,
}

impl Line<'_> {
    fn validate(self) -> anyhow::Result<PlayerObservedStats> {
        let stats = PlayerObservedStats {
            user_id: self.user_id.0.trim().to_owned(),
            planets: self.planets.0,
            population: self.population.0,
            ships_built: self.ships_built.0,
        };
        ensure!(!stats.user_id.is_empty(), "user_id must not be empty");
        ensure!(stats.planets >= 0, "planets must not be negative");
        ensure!(stats.population >= 0, "population must not be negative");
        ensure!(stats.ships_built >= 0, "ships_built must not be negative");
        Ok(stats)
    }
}

impl<'de> Deserialize<'de> for Line<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LineVisitor)
    }
}

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = Line<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a player's statistics")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line<'de>, A::Error> {
        let mut line = Line::default();
        while let Some(Text(name)) = map.next_key()? {
            match folded(&name).as_str() {
                "user_id" => set(&mut line.user_id, map.next_value()?),
                "planets" => set(&mut line.planets, map.next_value()?),
                "population" => set(&mut line.population, map.next_value()?),
                "ships_built" => set(&mut line.ships_built, map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(line)
    }
}

/// `null` leaves the value that was there.
fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

/// A name by which its spellings match: by Unicode's simple folding, the long `ſ` is an `s` as well.
fn folded(name: &str) -> String {
    name.replace('ſ', "s").to_ascii_lowercase()
}

/// A string, each lone half of a surrogate pair replaced by U+FFFD.
#[derive(Default)]
struct Text<'json>(Cow<'json, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As text, serde_json refuses half a pair; as bytes, it writes one as three bytes from 0xed on.
        deserializer.deserialize_bytes(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Text<'de>, E> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Text(text.into())),
            Err(_) => self.visit_bytes(bytes),
        }
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text<'de>, E> {
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            if chunk.invalid().first() == Some(&0xed) {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        Ok(Text(text.into()))
    }
}

/// An integer as it is written: no fraction, no exponent, within 64 bits.
#[derive(Default)]
struct Integer(i64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By its text, since serde_json takes `-0` for a float.
        let written = <&RawValue>::deserialize(deserializer)?.get();
        match written.parse() {
            Ok(number) => Ok(Self(number)),
            Err(_) => Err(Error::custom("expected a 64-bit integer")),
        }
    }
}

#[cfg(test)]
mod tests;
