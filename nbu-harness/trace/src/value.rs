//! What is kept of an argument: a number, a text, a handle's number, or the members of a structure that matter.

use crate::encoding::{Malformed, Reader, put_bytes, put_number};

/// Structures inside structures, at most.
const MAX_DEPTH: u32 = 8;

/// What is kept of one argument, before or after the call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Value {
    /// A null pointer, or an argument of which nothing is kept (buffers, contexts, functions).
    #[default]
    Nothing,
    /// An unsigned number.
    Number(u64),
    /// A signed number.
    Signed(i64),
    /// The bytes of a C string or character array, without its NUL.
    Text(Vec<u8>),
    /// The number of a handle, from 1 in the order in which the process got them; 0 for one that nobody gave out.
    Handle(u64),
    /// Members of a structure, in the interface's order; leading sizes and reserved members are left out.
    Fields(Vec<Self>),
}

impl Value {
    /// A text.
    pub fn text(text: impl AsRef<[u8]>) -> Self {
        Self::Text(text.as_ref().to_vec())
    }

    /// The number, if it is one.
    pub const fn as_number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if it is one; bytes that are no UTF-8 are replaced.
    pub fn as_text(&self) -> Option<String> {
        match self {
            Self::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }

    /// Member `index` of a structure; nothing if there is none.
    pub fn field(&self, index: usize) -> &Self {
        match self {
            Self::Fields(fields) => fields.get(index).unwrap_or(&Self::Nothing),
            _ => &Self::Nothing,
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nothing => out.push(0),
            Self::Number(number) => {
                out.push(1);
                put_number(out, *number);
            }
            Self::Signed(number) => {
                out.push(2);
                put_number(out, zigzag(*number));
            }
            Self::Text(bytes) => {
                out.push(3);
                put_bytes(out, bytes);
            }
            Self::Handle(number) => {
                out.push(4);
                put_number(out, *number);
            }
            Self::Fields(fields) => {
                out.push(5);
                encode_all(fields, out);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>, depth: u32) -> Result<Self, Malformed> {
        Ok(match reader.byte()? {
            0 => Self::Nothing,
            1 => Self::Number(reader.number()?),
            2 => Self::Signed(unzigzag(reader.number()?)),
            3 => Self::Text(reader.bytes()?.to_vec()),
            4 => Self::Handle(reader.number()?),
            5 if depth < MAX_DEPTH => Self::Fields(decode_nested(reader, depth + 1)?),
            5 => return Err(Malformed("structures are nested too deeply")),
            _ => return Err(Malformed("a value of an unknown kind")),
        })
    }
}

/// Signed numbers with small ones, of either sign, in few bytes.
pub(crate) const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

pub(crate) const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

pub(crate) fn encode_all(values: &[Value], out: &mut Vec<u8>) {
    put_number(out, values.len() as u64);
    for value in values {
        value.encode(out);
    }
}

pub(crate) fn decode_all(reader: &mut Reader<'_>) -> Result<Vec<Value>, Malformed> {
    decode_nested(reader, 0)
}

fn decode_nested(reader: &mut Reader<'_>, depth: u32) -> Result<Vec<Value>, Malformed> {
    // Every value takes a byte, so a count beyond what is left is refused before memory is asked for.
    let count = reader.count()?;
    (0..count).map(|_| Value::decode(reader, depth)).collect()
}
