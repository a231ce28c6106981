//! UBJSON (draft 12) for serde: the binary form of JSON that XGBoost writes.
//!
//! A value is a marker and its bytes, numbers big-endian: `i U I l L` integers, `d D` floats, `S` and `C`
//! text, `T F Z` true, false and null, `[` and `{` containers. A container may name the type of all its
//! values (`$`) and their count (`#`). Counts are checked against the bytes that are left, so that no
//! declared length allocates memory or takes time. High-precision numbers (`H`) are refused.

use std::fmt::Display;

use serde::de::DeserializeOwned;
use serde::de::DeserializeSeed;
use serde::de::Deserializer;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde::forward_to_deserialize_any;
use thiserror::Error;

use crate::model::kinds::limits::MAX_NESTING;

/// Why a document is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum UbjsonError {
    #[error("byte {at}: {problem}")]
    Form { at: usize, problem: String },
    #[error("{0}")]
    Content(String),
}

impl serde::de::Error for UbjsonError {
    fn custom<T: Display>(message: T) -> Self {
        Self::Content(message.to_string())
    }
}

/// Reads a document that fills the bytes.
pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, UbjsonError> {
    let mut reader = Reader { bytes, at: 0, depth: 0 };
    let marker = reader.marker()?;
    let document = T::deserialize(Value { reader: &mut reader, marker })?;
    match reader.bytes.len() - reader.at {
        0 => Ok(document),
        left => Err(reader.error(format!("{left} bytes behind the document"))),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
}

impl<'a> Reader<'a> {
    fn error(&self, problem: impl Into<String>) -> UbjsonError {
        UbjsonError::Form { at: self.at, problem: problem.into() }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], UbjsonError> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| self.error("the file is cut off"))?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], UbjsonError> {
        let taken = self.take(N)?;
        <[u8; N]>::try_from(taken).map_err(|_| self.error("the file is cut off"))
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next marker that is not a filler.
    fn marker(&mut self) -> Result<u8, UbjsonError> {
        loop {
            let [marker] = self.array()?;
            if marker != b'N' {
                return Ok(marker);
            }
        }
    }

    fn integer(&mut self, marker: u8) -> Result<i64, UbjsonError> {
        Ok(match marker {
            b'i' => i64::from(i8::from_be_bytes(self.array()?)),
            b'U' => i64::from(u8::from_be_bytes(self.array()?)),
            b'I' => i64::from(i16::from_be_bytes(self.array()?)),
            b'l' => i64::from(i32::from_be_bytes(self.array()?)),
            b'L' => i64::from_be_bytes(self.array()?),
            other => return Err(self.error(format!("marker {other:#04x} is not an integer"))),
        })
    }

    fn length(&mut self) -> Result<usize, UbjsonError> {
        let marker = self.marker()?;
        let length = self.integer(marker)?;
        let left = self.bytes.len() - self.at;
        match usize::try_from(length) {
            Ok(length) if length <= left => Ok(length),
            _ => Err(self.error(format!("a length of {length} with {left} bytes left"))),
        }
    }

    fn text(&mut self) -> Result<&'a str, UbjsonError> {
        let length = self.length()?;
        let bytes = self.take(length)?;
        str::from_utf8(bytes).map_err(|_| self.error("the text is not UTF-8"))
    }

    /// What follows the opening of a container.
    fn header(&mut self, opening: u8) -> Result<Header, UbjsonError> {
        if self.depth >= MAX_NESTING {
            return Err(self.error(format!("nested more than {MAX_NESTING} deep")));
        }
        self.depth += 1;
        let mut header = Header { kind: None, count: None, end: closing(opening) };
        if self.peek() == Some(b'$') {
            self.at += 1;
            let [kind] = self.array()?;
            // A value takes at least a byte, so a count cannot outrun the file.
            if !b"iUIlLdDSC[{".contains(&kind) {
                return Err(self.error(format!("marker {kind:#04x} is not a type of values")));
            }
            header.kind = Some(kind);
            if self.peek() != Some(b'#') {
                return Err(self.error("a type of values without a count"));
            }
        }
        if self.peek() == Some(b'#') {
            self.at += 1;
            header.count = Some(self.length()?);
        }
        Ok(header)
    }

    /// Whether the container ends here; counts one value down otherwise.
    fn ends(&mut self, header: &mut Header) -> bool {
        let ends = match &mut header.count {
            Some(0) => true,
            Some(count) => {
                *count -= 1;
                false
            }
            None => {
                while self.peek() == Some(b'N') {
                    self.at += 1;
                }
                let found = self.peek() == Some(header.end);
                if found {
                    self.at += 1;
                }
                found
            }
        };
        if ends {
            self.depth -= 1;
        }
        ends
    }

    /// The marker of the next value of a container.
    fn marker_in(&mut self, header: Header) -> Result<u8, UbjsonError> {
        header.kind.map_or_else(|| self.marker(), Ok)
    }

    /// Reads past a value whose marker has been read.
    fn skip(&mut self, mut marker: u8) -> Result<(), UbjsonError> {
        let mut open: Vec<Header> = Vec::new();
        loop {
            match marker {
                b'Z' | b'T' | b'F' => {}
                b'i' | b'U' | b'C' => drop(self.take(1)?),
                b'I' => drop(self.take(2)?),
                b'l' | b'd' => drop(self.take(4)?),
                b'L' | b'D' => drop(self.take(8)?),
                b'S' => drop(self.text()?),
                b'[' | b'{' => open.push(self.header(marker)?),
                other => return Err(self.error(format!("unknown marker {other:#04x}"))),
            }
            // The next value of the innermost container that has one.
            let header = loop {
                let Some(header) = open.last_mut() else { return Ok(()) };
                if !self.ends(header) {
                    break *header;
                }
                open.pop();
            };
            if header.end == b'}' {
                self.text()?;
            }
            marker = self.marker_in(header)?;
        }
    }
}

/// Type and count of a container's values, where given, and the marker of its end.
#[derive(Clone, Copy)]
struct Header {
    kind: Option<u8>,
    count: Option<usize>,
    end: u8,
}

/// A value whose marker has been read.
struct Value<'r, 'a> {
    reader: &'r mut Reader<'a>,
    marker: u8,
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = UbjsonError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UbjsonError> {
        let Self { reader, marker } = self;
        match marker {
            b'Z' => visitor.visit_unit(),
            b'T' => visitor.visit_bool(true),
            b'F' => visitor.visit_bool(false),
            b'i' | b'U' | b'I' | b'l' | b'L' => visitor.visit_i64(reader.integer(marker)?),
            b'd' => visitor.visit_f32(f32::from_be_bytes(reader.array()?)),
            b'D' => visitor.visit_f64(f64::from_be_bytes(reader.array()?)),
            b'C' => visitor.visit_char(char::from(u8::from_be_bytes(reader.array()?))),
            b'S' => visitor.visit_borrowed_str(reader.text()?),
            b'[' | b'{' => {
                let header = reader.header(marker)?;
                let container = Container { reader, header };
                if marker == b'[' {
                    visitor.visit_seq(container)
                } else {
                    visitor.visit_map(container)
                }
            }
            other => Err(reader.error(format!("unknown marker {other:#04x}"))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UbjsonError> {
        if self.marker == b'Z' { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    /// Skips the value, without a call for each level of nesting.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UbjsonError> {
        self.reader.skip(self.marker)?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

fn closing(marker: u8) -> u8 {
    if marker == b'[' { b']' } else { b'}' }
}

/// The rest of a container.
struct Container<'r, 'a> {
    reader: &'r mut Reader<'a>,
    header: Header,
}

impl Container<'_, '_> {
    fn ends(&mut self) -> bool {
        self.reader.ends(&mut self.header)
    }

    fn marker(&mut self) -> Result<u8, UbjsonError> {
        self.reader.marker_in(self.header)
    }
}

impl<'de> SeqAccess<'de> for Container<'_, 'de> {
    type Error = UbjsonError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, UbjsonError> {
        if self.ends() {
            return Ok(None);
        }
        let marker = self.marker()?;
        seed.deserialize(Value { reader: self.reader, marker }).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        self.header.count
    }
}

impl<'de> MapAccess<'de> for Container<'_, 'de> {
    type Error = UbjsonError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, UbjsonError> {
        if self.ends() {
            return Ok(None);
        }
        // A key is a text without its marker.
        let key = self.reader.text()?;
        seed.deserialize(serde::de::value::BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, UbjsonError> {
        let marker = self.marker()?;
        seed.deserialize(Value { reader: self.reader, marker })
    }
}
