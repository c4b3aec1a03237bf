//! An entry's fields as the bytes of one value: each name and value after its length, 4 bytes little-endian.

use anyhow::anyhow;

use crate::backend::BackendError;

/// The bytes of a length.
const LENGTH: usize = size_of::<u32>();

/// The longest value we write: what Redis takes for one string by default, and far below what redb takes.
const MAX_VALUE: usize = 512 << 20;

/// The fields as one value.
pub(super) fn encode<N, V>(fields: impl IntoIterator<Item = (N, V)>) -> Result<Vec<u8>, BackendError>
where
    N: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    let mut value = Vec::new();
    for (name, field) in fields {
        push(&mut value, name.as_ref())?;
        push(&mut value, field.as_ref())?;
    }
    Ok(value)
}

fn push(value: &mut Vec<u8>, text: &[u8]) -> Result<(), BackendError> {
    let length = match u32::try_from(text.len()) {
        Ok(length) if text.len() <= MAX_VALUE.saturating_sub(value.len() + LENGTH) => length,
        _ => {
            return Err(BackendError::configuration(anyhow!("an entry may have at most {MAX_VALUE} bytes")));
        }
    };
    value.extend_from_slice(&length.to_le_bytes());
    value.extend_from_slice(text);
    Ok(())
}

/// The fields of a value, `None` where it is not one that [`encode`] made.
pub(super) fn decode(mut value: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut fields = Vec::new();
    while !value.is_empty() {
        fields.push((pull(&mut value)?, pull(&mut value)?));
    }
    Some(fields)
}

fn pull<'a>(value: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = value.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (text, rest) = rest.split_at_checked(length)?;
    *value = rest;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_in_order_with_repeated_and_empty_ones() {
        let fields: [(&[u8], &[u8]); 4] = [(b"b", b"1"), (b"a", b""), (b"b", &[0xff, 0]), (b"", b"x")];
        let value = encode(fields).unwrap();
        assert_eq!(decode(&value).unwrap(), fields);
        assert_eq!(decode(&encode::<&str, &str>([]).unwrap()).unwrap(), []);
    }

    #[test]
    fn a_value_cut_anywhere_within_a_field_does_not_decode() {
        let value = encode([("name", "value")]).unwrap();
        for length in 1..value.len() {
            assert_eq!(decode(&value[..length]), None, "{length} bytes");
        }
        assert_eq!(decode(&[0xff; 16]), None);
    }
}
