//! The field `player_turn_stats`: JSON, read as the original worker reads it, by Go's `encoding/json`.
//!
//! That is more lenient than serde: `null` leaves a value as it was, names match whatever their case, of a repeated
//! name the last wins, half of a surrogate pair becomes U+FFFD, and `-0` is an integer. In one thing it is stricter:
//! an array is no player.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use anyhow::ensure;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::ports::PlayerObservedStats;

/// How deep Go reads arrays and objects in one another.
const MAX_DEPTH: usize = 10_000;

/// What is read of a player; other names are passed over.
const NAMES: [&str; 4] = ["user_id", "planets", "population", "ships_built"];

/// The statistics in `json`; none where it is blank or `null`.
pub(super) fn decode(json: &str) -> anyhow::Result<Vec<PlayerObservedStats>> {
    if json.trim().is_empty() {
        return Ok(Vec::new());
    }
    match plain(json) {
        Some(lines) => validated(lines),
        None => checked(json),
    }
}

/// Reads, in one go, a document as the game master writes it. All others are for [`checked`], which also knows which
/// error comes first.
///
/// What is read here would pass the check and be read alike. A string read as `&str` has no escapes and no control
/// characters, and serde_json reads the rest by the same rules either way. Nor can it nest too deep: each level takes
/// a byte to open it and one to close it.
fn plain(json: &str) -> Option<Vec<Line<&str>>> {
    if json.len() > 2 * MAX_DEPTH {
        return None;
    }
    read(json).ok()
}

/// Reads any document, after the check of the whole.
fn checked(json: &str) -> anyhow::Result<Vec<PlayerObservedStats>> {
    check_syntax(json)?;
    validated(read::<Mended<'_>>(json)?)
}

fn read<'json, T: Text<'json>>(json: &'json str) -> serde_json::Result<Vec<Line<T>>> {
    Ok(serde_json::from_str::<Option<_>>(json)?.unwrap_or_default())
}

fn validated<'json, T: Text<'json>>(lines: Vec<Line<T>>) -> anyhow::Result<Vec<PlayerObservedStats>> {
    lines.into_iter().map(Line::validate).collect()
}

/// Refuses what is no JSON, in parts that are not used too.
///
/// Decoding alone would let control characters pass in strings, since [`Mended`] asks for them as bytes. Neither takes
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
struct Line<T> {
    user_id: T,
    planets: Integer,
    population: Integer,
    ships_built: Integer,
}

impl<'json, T: Text<'json>> Line<T> {
    fn validate(self) -> anyhow::Result<PlayerObservedStats> {
        let stats = PlayerObservedStats {
            user_id: self.user_id.as_ref().trim().to_owned(),
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

impl<'de, T: Text<'de>> Deserialize<'de> for Line<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LineVisitor(PhantomData))
    }
}

struct LineVisitor<T>(PhantomData<T>);

impl<'de, T: Text<'de>> Visitor<'de> for LineVisitor<T> {
    type Value = Line<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a player's statistics")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line<T>, A::Error> {
        let mut line = Line::default();
        while let Some(name) = map.next_key::<T>()? {
            match known(name.as_ref()) {
                Some("user_id") => set(&mut line.user_id, map.next_value()?),
                Some("planets") => set(&mut line.planets, map.next_value()?),
                Some("population") => set(&mut line.population, map.next_value()?),
                Some("ships_built") => set(&mut line.ships_built, map.next_value()?),
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

/// The name of ours that `name` spells. Most are spelled like it, so that is tried first.
fn known(name: &str) -> Option<&'static str> {
    let spelled_as = |known: &&str| name.chars().map(folded).eq(known.chars());
    NAMES.into_iter().find(|known| *known == name).or_else(|| NAMES.into_iter().find(spelled_as))
}

/// A letter by which its cases match: by Unicode's simple folding, the long `ſ` is an `s` as well.
fn folded(letter: char) -> char {
    if letter == 'ſ' { 's' } else { letter.to_ascii_lowercase() }
}

/// What strings are read as.
trait Text<'json>: Deserialize<'json> + Default + AsRef<str> {}

/// As it is written: a string with an escape is refused.
impl<'json> Text<'json> for &'json str {}

impl<'json> Text<'json> for Mended<'json> {}

/// A string, each lone half of a surrogate pair replaced by U+FFFD.
#[derive(Default)]
struct Mended<'json>(Cow<'json, str>);

impl AsRef<str> for Mended<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Mended<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As text, serde_json refuses half a pair; as bytes, it writes one as three bytes from 0xed on.
        deserializer.deserialize_bytes(MendedVisitor)
    }
}

struct MendedVisitor;

impl<'de> Visitor<'de> for MendedVisitor {
    type Value = Mended<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Mended<'de>, E> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Mended(text.into())),
            Err(_) => self.visit_bytes(bytes),
        }
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Mended<'de>, E> {
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            if chunk.invalid().first() == Some(&0xed) {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        Ok(Mended(text.into()))
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
