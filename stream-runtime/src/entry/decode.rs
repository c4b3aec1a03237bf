//! Fields into types, by serde.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::{self, Display};

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};

use super::Fields;

pub(super) fn decode<'de, T: Deserialize<'de>>(fields: &'de Fields) -> Result<T, DecodeError> {
    T::deserialize(FieldsDeserializer { fields })
}

/// Why an entry does not decode into a type, with the field's name where it is one field's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    field: Option<String>,
    message: String,
}

impl DecodeError {
    /// The field at fault, where it is one that the entry has. A missing field is named in the text.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    fn in_field(mut self, name: &[u8]) -> Self {
        self.field.get_or_insert_with(|| String::from_utf8_lossy(name).into_owned());
        self
    }
}

impl Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "field {:?}: {}", shorten(field), self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: Display>(message: T) -> Self {
        Self { field: None, message: one_line(&message.to_string()) }
    }
}

/// A message as a log takes it: it may quote what the entry has, line breaks and megabytes too.
fn one_line(message: &str) -> String {
    const LONGEST: usize = 512;
    let mut line = String::new();
    for char in message.chars().take(LONGEST) {
        if char.is_control() { line.extend(char.escape_default()) } else { line.push(char) }
    }
    if message.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}

/// The whole entry: a map from names to values.
struct FieldsDeserializer<'de> {
    fields: &'de Fields,
}

impl<'de> Deserializer<'de> for FieldsDeserializer<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_map(FieldsAccess::new(self.fields.iter()))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

/// Entries of up to so many fields are looked through for a name; for more, an index is made.
const FEW_FIELDS: usize = 32;

struct FieldsAccess<'de, Rest> {
    /// The fields to come.
    rest: Rest,
    /// The field whose name was asked for.
    current: Option<(&'de [u8], &'de [u8])>,
    /// How many fields are behind the last one of each name.
    behind: Option<HashMap<&'de [u8], usize>>,
}

impl<'de, Rest> FieldsAccess<'de, Rest>
where
    Rest: ExactSizeIterator<Item = (&'de [u8], &'de [u8])> + Clone,
{
    fn new(rest: Rest) -> Self {
        let count = rest.len();
        let index = || rest.clone().enumerate().map(|(at, (name, _))| (name, count - at - 1)).collect();
        let behind = (count > FEW_FIELDS).then(index);
        Self { rest, current: None, behind }
    }

    /// Whether a name comes again later: its last value is the one that counts, and serde refuses a name twice.
    fn comes_again(&self, name: &[u8]) -> bool {
        match &self.behind {
            Some(behind) => behind.get(name).is_some_and(|&behind| behind < self.rest.len()),
            None => self.rest.clone().any(|(later, _)| later == name),
        }
    }
}

impl<'de, Rest> MapAccess<'de> for FieldsAccess<'de, Rest>
where
    Rest: ExactSizeIterator<Item = (&'de [u8], &'de [u8])> + Clone,
{
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        loop {
            self.current = self.rest.next();
            let Some((name, _)) = self.current else { return Ok(None) };
            if !self.comes_again(name) {
                let key = seed.deserialize(ValueDeserializer { value: name });
                return key.map(Some).map_err(|error| error.in_field(name));
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        let Some((name, value)) = self.current.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(ValueDeserializer { value }).map_err(|error| error.in_field(name))
    }
}

/// One value: text that becomes what is asked for.
#[derive(Clone, Copy)]
struct ValueDeserializer<'de> {
    value: &'de [u8],
}

impl<'de> ValueDeserializer<'de> {
    fn text(self) -> Result<&'de str, DecodeError> {
        std::str::from_utf8(self.value).map_err(|_| de::Error::custom("not UTF-8"))
    }
}

macro_rules! parse {
    ($($method:ident => $visit:ident: $type:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            let text = self.text()?;
            match text.parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                Err(error) => Err(de::Error::custom(format_args!("{:?}: {error}", shorten(text)))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for ValueDeserializer<'de> {
    type Error = DecodeError;

    parse! {
        deserialize_i8 => visit_i8: i8,
        deserialize_i16 => visit_i16: i16,
        deserialize_i32 => visit_i32: i32,
        deserialize_i64 => visit_i64: i64,
        deserialize_i128 => visit_i128: i128,
        deserialize_u8 => visit_u8: u8,
        deserialize_u16 => visit_u16: u16,
        deserialize_u32 => visit_u32: u32,
        deserialize_u64 => visit_u64: u64,
        deserialize_u128 => visit_u128: u128,
        deserialize_f32 => visit_f32: f32,
        deserialize_f64 => visit_f64: f64,
        deserialize_char => visit_char: char,
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.value {
            b"true" | b"1" => visitor.visit_bool(true),
            b"false" | b"0" => visitor.visit_bool(false),
            _ => Err(de::Error::custom(format_args!(
                "{:?}: expected `true`, `false`, `1` or `0`",
                shorten(&String::from_utf8_lossy(self.value))
            ))),
        }
    }

    /// A type that takes anything: text where it is text, bytes where it is not.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match std::str::from_utf8(self.value) {
            Ok(text) => visitor.visit_borrowed_str(text),
            Err(_) => visitor.visit_borrowed_bytes(self.value),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_borrowed_bytes(self.value)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_enum(self.text()?.into_deserializer())
    }

    /// Names of fields: one that is not UTF-8 is no field of the type, and is passed over like any other.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        unit unit_struct seq tuple tuple_struct map struct
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
