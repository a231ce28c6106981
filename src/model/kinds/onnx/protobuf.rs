//! Fields of a protobuf message, read in place.
//!
//! Nothing is copied, and no length is believed before it is compared with the bytes that are left. Groups, which
//! ONNX does not use, are refused.

use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Payload<'a> {
    /// A number of variable length.
    Number(u64),
    /// A number in single precision, which is not read.
    Four,
    /// A number in double precision, which is not read.
    Eight,
    /// A text, a message, or a packed list.
    Bytes(&'a [u8]),
}

/// The fields of a message, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

/// The fields of the message in these bytes.
pub(super) fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<(u32, Payload<'a>), &'static str> {
        let tag = u32::try_from(self.number()?).map_err(|_| "a field number is too large")?;
        let payload = match tag & 7 {
            0 => Payload::Number(self.number()?),
            1 => self.take(8).map(|_| Payload::Eight)?,
            2 => {
                let length = usize::try_from(self.number()?).map_err(|_| ENDS)?;
                Payload::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Payload::Four)?,
            _ => return Err("a field has a type that ONNX does not use"),
        };
        match tag >> 3 {
            0 => Err("a field has the number 0"),
            number => Ok((number, payload)),
        }
    }

    /// Base 128, the lowest seven bits first.
    fn number(&mut self) -> Result<u64, &'static str> {
        let mut number = 0_u64;
        for place in 0..10 {
            let (byte, rest) = self.rest.split_first().ok_or(ENDS)?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7F);
            if place == 9 && bits > 1 {
                break;
            }
            number |= bits << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a number has more than 64 bits")
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(ENDS)?;
        self.rest = rest;
        Ok(taken)
    }
}

const ENDS: &str = "it ends too early";

impl<'a> Iterator for Fields<'a> {
    type Item = Reading<(u32, Payload<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field.map_err(|problem| Refusal::new("file", format!("{problem}; export it again"))))
    }
}

/// A field has another type than ONNX gives it.
pub(super) fn mistyped(field: &str) -> Refusal {
    Refusal::new("file", format!("the field {field} is of another type; export it again"))
}

impl<'a> Payload<'a> {
    pub(super) fn bytes(self, field: &str) -> Reading<&'a [u8]> {
        match self {
            Payload::Bytes(bytes) => Ok(bytes),
            _ => Err(mistyped(field)),
        }
    }

    pub(super) fn text(self, field: &str) -> Reading<&'a str> {
        str::from_utf8(self.bytes(field)?)
            .map_err(|_| Refusal::new("file", format!("the field {field} is not UTF-8")))
    }

    pub(super) fn integer(self, field: &str) -> Reading<i64> {
        match self {
            Payload::Number(number) => Ok(number.cast_signed()),
            _ => Err(mistyped(field)),
        }
    }

    /// How many integers a field of a list adds: one, or those of a packed list.
    pub(super) fn count_integers(self, field: &str) -> Reading<usize> {
        match self {
            Payload::Number(_) => Ok(1),
            Payload::Bytes(packed) => Ok(packed.iter().filter(|byte| **byte < 0x80).count()),
            _ => Err(mistyped(field)),
        }
    }

    /// How many numbers of this many bytes a field of a list adds.
    pub(super) fn count_numbers(self, size: usize, field: &str) -> Reading<usize> {
        match self {
            Payload::Four if size == 4 => Ok(1),
            Payload::Eight if size == 8 => Ok(1),
            Payload::Bytes(packed) if packed.len().is_multiple_of(size) => Ok(packed.len() / size),
            _ => Err(mistyped(field)),
        }
    }

    /// Appends the integers that a field of a list adds.
    pub(super) fn integers(self, field: &str, list: &mut Vec<i64>) -> Reading<()> {
        match self {
            Payload::Number(number) => list.push(number.cast_signed()),
            Payload::Bytes(packed) => {
                let mut numbers = fields(packed);
                while !numbers.rest.is_empty() {
                    let number = numbers.number();
                    let number = number.map_err(|cause| Refusal::new("file", cause))?;
                    list.push(number.cast_signed());
                }
            }
            _ => return Err(mistyped(field)),
        }
        Ok(())
    }
}

/// Refuses fields that may occur once and occur again: readers differ in which one counts.
#[derive(Default)]
pub(super) struct Once(u64);

impl Once {
    pub(super) fn check(&mut self, number: u32, field: &str) -> Reading<()> {
        let bit = 1_u64 << (number & 63);
        if self.0 & bit != 0 {
            return Err(Refusal::new("file", format!("the field {field} occurs twice")));
        }
        self.0 |= bit;
        Ok(())
    }
}

/// Refuses a list that is longer than any model needs.
pub(super) fn bounded(what: &str, found: usize, limit: usize) -> Reading<()> {
    match found > limit {
        true => Err(Refusal::new("graph", format!("more than {limit} {what}"))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(message: &[u8]) -> Reading<Vec<u32>> {
        fields(message).map(|field| field.map(|(number, _)| number)).collect()
    }

    #[test]
    fn fields_of_all_types_are_read_in_order() {
        let message =
            [8, 0x96, 1, 18, 2, b'o', b'k', 0x1D, 0, 0, 0, 0, 0x21, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(all(&message), Ok(vec![1, 2, 3, 4]));
        let Some(Ok((_, Payload::Number(number)))) = fields(&message).next() else { panic!() };
        assert_eq!(number, 150);
    }

    #[test]
    fn lengths_and_numbers_that_lie_are_refused() {
        for message in [
            &[18, 5, b'x'][..],
            &[18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1],
            &[8, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
            &[8],
            &[0x80],
            &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0],
            &[0x1D, 0, 0],
            &[0, 1],
            &[0x0B, 0x0C],
        ] {
            assert!(all(message).is_err(), "{message:?}");
        }
    }

    #[test]
    fn a_list_is_read_packed_and_one_by_one() {
        let mut list = Vec::new();
        Payload::Bytes(&[1, 0x96, 1]).integers("ints", &mut list).unwrap();
        Payload::Number(7).integers("ints", &mut list).unwrap();
        assert_eq!(list, [1, 150, 7]);
        assert_eq!(Payload::Bytes(&[1, 0x96, 1]).count_integers("ints"), Ok(2));
        assert!(Payload::Bytes(&[0x96]).integers("ints", &mut list).is_err());
    }
}
