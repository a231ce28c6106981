//! Datatypes of tensors, and their values as raw little-endian bytes.

use std::borrow::Cow;

use crate::http::protocols::cells::Cell;

/// The type of a tensor's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datatype {
    Bool,
    Signed(Width),
    Unsigned(Width),
    Fp16,
    Bf16,
    Fp32,
    Fp64,
    /// Texts in UTF-8; in binary, each follows its length in four bytes.
    Bytes,
}

/// The width of an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    W8 = 1,
    W16 = 2,
    W32 = 4,
    W64 = 8,
}

/// The names of all of them.
pub(super) const DATATYPES: [&str; 14] = [
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16",
    "BF16", "FP32", "FP64", "BYTES",
];

/// The largest integer that a 64-bit float holds like all smaller ones.
const MAX_INTEGER: f64 = 9_007_199_254_740_991.0;

impl Datatype {
    /// The type of this name.
    pub(super) fn of(name: &str) -> Option<Datatype> {
        Some(match name {
            "BOOL" => Datatype::Bool,
            "UINT8" => Datatype::Unsigned(Width::W8),
            "UINT16" => Datatype::Unsigned(Width::W16),
            "UINT32" => Datatype::Unsigned(Width::W32),
            "UINT64" => Datatype::Unsigned(Width::W64),
            "INT8" => Datatype::Signed(Width::W8),
            "INT16" => Datatype::Signed(Width::W16),
            "INT32" => Datatype::Signed(Width::W32),
            "INT64" => Datatype::Signed(Width::W64),
            "FP16" => Datatype::Fp16,
            "BF16" => Datatype::Bf16,
            "FP32" => Datatype::Fp32,
            "FP64" => Datatype::Fp64,
            "BYTES" => Datatype::Bytes,
            _ => return None,
        })
    }

    /// Bytes of a value; `None` if they differ.
    pub(super) fn width(self) -> Option<usize> {
        match self {
            Datatype::Bool => Some(1),
            Datatype::Signed(width) | Datatype::Unsigned(width) => Some(width as usize),
            Datatype::Fp16 | Datatype::Bf16 => Some(2),
            Datatype::Fp32 => Some(4),
            Datatype::Fp64 => Some(8),
            Datatype::Bytes => None,
        }
    }

    /// The integers of this type that a number holds exactly.
    fn range(self) -> Option<(f64, f64)> {
        let power = |bits: u32| 2f64.powi(bits as i32);
        match self {
            Datatype::Signed(Width::W64) => Some((-MAX_INTEGER, MAX_INTEGER)),
            Datatype::Unsigned(Width::W64) => Some((0.0, MAX_INTEGER)),
            Datatype::Signed(width) => {
                let half = power(8 * width as u32 - 1);
                Some((-half, half - 1.0))
            }
            Datatype::Unsigned(width) => Some((0.0, power(8 * width as u32) - 1.0)),
            _ => None,
        }
    }

    /// What is wrong with a value of a tensor of this type; `None`: nothing.
    pub(super) fn problem(self, cell: &Cell<'_>) -> Option<String> {
        match (self, cell) {
            (_, Cell::Missing)
            | (Datatype::Bool, Cell::Bool(_))
            | (Datatype::Bytes, Cell::Text(_))
            | (Datatype::Fp64, Cell::Number(_)) => None,
            (Datatype::Fp16 | Datatype::Bf16 | Datatype::Fp32, Cell::Number(number)) => {
                let most = if self == Datatype::Fp16 { 65_504.0 } else { f64::from(f32::MAX) };
                // In binary it is an infinity, which is refused with the place of its row.
                let is_beyond = number.is_finite() && number.abs() > most;
                is_beyond
                    .then(|| format!("{number:e} is out of range; use {:e} to {most:e}", -most))
            }
            (Datatype::Signed(_) | Datatype::Unsigned(_), Cell::Number(number)) => {
                if number.fract() != 0.0 {
                    Some(format!("{number} is not an integer"))
                } else if number.abs() > MAX_INTEGER {
                    Some(format!(
                        "an integer beyond {MAX_INTEGER}, which would be rounded; send FP64, or BYTES if it is a word"
                    ))
                } else if let Some((least, most)) = self.range()
                    && !(least..=most).contains(number)
                {
                    Some(format!("{number} is out of range; use {least} to {most}"))
                } else {
                    None
                }
            }
            (_, Cell::Number(number)) => Some(format!("{number} is a number")),
            (_, Cell::Text(_)) => Some("it is a text".to_owned()),
            (_, Cell::Bool(flag)) => Some(format!("{flag} is a boolean")),
        }
    }

    /// Reads `count` values from raw bytes, which have to end with the last one.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub(super) fn read(self, bytes: &[u8], count: usize) -> Result<Vec<Cell<'_>>, String> {
        let Some(width) = self.width() else { return texts(bytes, count) };
        let wanted = count.checked_mul(width);
        if wanted != Some(bytes.len()) {
            return Err(format!(
                "binary_data_size: {} bytes for {count} values of {width} bytes; send their product",
                bytes.len()
            ));
        }
        Ok(bytes.chunks_exact(width).map(|value| self.value(value)).collect())
    }

    /// One value, which has the right number of bytes. NaN is a missing value.
    fn value<'a>(self, bytes: &[u8]) -> Cell<'a> {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        let bits = u64::from_le_bytes(whole);
        let float =
            |number: f64| if number.is_nan() { Cell::Missing } else { Cell::Number(number) };
        match self {
            Datatype::Bool => Cell::Bool(bits != 0),
            Datatype::Unsigned(_) => Cell::Number(bits as f64),
            Datatype::Signed(width) => {
                let unused = 64 - 8 * width as u32;
                Cell::Number((((bits << unused) as i64) >> unused) as f64)
            }
            Datatype::Fp16 => float(half(bits as u16)),
            Datatype::Bf16 => float(f64::from(f32::from_bits((bits as u32) << 16))),
            Datatype::Fp32 => float(f64::from(f32::from_bits(bits as u32))),
            Datatype::Fp64 => float(f64::from_bits(bits)),
            // Read by `texts`.
            Datatype::Bytes => Cell::Missing,
        }
    }
}

/// The number in 16 bits: sign, 5 bits of exponent, 10 of fraction (IEEE 754 binary16).
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff) / 1024.0);
    let magnitude = match (exponent, fraction) {
        (0, fraction) => fraction * 2f64.powi(-14),
        (0x1f, 0.0) => f64::INFINITY,
        (0x1f, _) => f64::NAN,
        (exponent, fraction) => (1.0 + fraction) * 2f64.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

fn texts(mut bytes: &[u8], count: usize) -> Result<Vec<Cell<'_>>, String> {
    let mut cells = Vec::with_capacity(count.min(bytes.len() / 4));
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let Some((text, rest)) = rest.split_at_checked(length) else {
            return Err(format!(
                "value {}: a length of {length} bytes, and {} follow; send the length in four bytes and then the text",
                cells.len(),
                rest.len()
            ));
        };
        let text = str::from_utf8(text);
        let text = text.map_err(|_| format!("value {}: not UTF-8; send UTF-8", cells.len()))?;
        cells.push(Cell::Text(Cow::Borrowed(text)));
        bytes = rest;
    }
    match (cells.len(), bytes.len()) {
        (found, 0) if found == count => Ok(cells),
        (found, 0) => Err(format!("{found} texts in its bytes, and the shape has {count}")),
        (_, left) => Err(format!("{left} bytes after its last text; send nothing after it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(datatype: &str, bytes: &[u8]) -> Vec<f64> {
        let datatype = Datatype::of(datatype).unwrap();
        let cells = datatype.read(bytes, bytes.len() / datatype.width().unwrap()).unwrap();
        let number = |cell: Cell<'_>| match cell {
            Cell::Number(number) => number,
            Cell::Bool(flag) => f64::from(u8::from(flag)),
            Cell::Missing => f64::NAN,
            Cell::Text(text) => panic!("{text}"),
        };
        cells.into_iter().map(number).collect()
    }

    #[test]
    fn every_name_is_that_of_another_type() {
        let types = DATATYPES.map(|name| Datatype::of(name).unwrap());
        for (place, datatype) in types.iter().enumerate() {
            assert!(!types[..place].contains(datatype), "{}", DATATYPES[place]);
        }
        assert_eq!(Datatype::of("fp64"), None);
    }

    #[test]
    fn values_are_little_endian() {
        assert_eq!(numbers("FP32", &1.5f32.to_le_bytes()), [1.5]);
        assert_eq!(numbers("FP64", &(-0.1f64).to_le_bytes()), [-0.1]);
        assert_eq!(numbers("INT16", &(-2i16).to_le_bytes()), [-2.0]);
        assert_eq!(numbers("INT64", &i64::MIN.to_le_bytes()), [i64::MIN as f64]);
        assert_eq!(numbers("INT8", &[255, 127]), [-1.0, 127.0]);
        assert_eq!(numbers("UINT8", &[255, 127]), [255.0, 127.0]);
        assert_eq!(numbers("UINT64", &u64::MAX.to_le_bytes()), [u64::MAX as f64]);
        assert_eq!(numbers("BOOL", &[0, 1]), [0.0, 1.0]);
        assert_eq!(numbers("BF16", &[0x80, 0x3f]), [1.0]);
        assert!(numbers("FP32", &f32::NAN.to_le_bytes())[0].is_nan());
    }

    #[test]
    fn half_precision_has_every_kind_of_number() {
        // numpy.float16(x).tobytes()
        for (bits, number) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_953_125),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x7bff, 65_504.0),
            (0x7c00, f64::INFINITY),
            (0x8000, 0.0),
        ] {
            assert_eq!(half(bits), number, "{bits:x}");
        }
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn texts_follow_their_lengths() {
        let bytes = b"\x03\0\0\0Yes\x03\0\0\0n\xc3\xa9\0\0\0\0";
        let words = ["Yes", "n\u{e9}", ""].map(|word| Cell::Text(word.into()));
        assert_eq!(Datatype::Bytes.read(bytes, 3).unwrap(), words);
        for (bytes, expected) in [
            (&bytes[..14], "2 texts in its bytes, and the shape has 3"),
            (&bytes[..16], "2 bytes after its last text"),
            (&b"\xff\xff\xff\xffYes"[..], "value 0: a length of 4294967295 bytes, and 3 follow"),
            (&b"\x01\0\0\0\xff"[..], "value 0: not UTF-8"),
        ] {
            let refused = Datatype::Bytes.read(bytes, 3).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
    }

    #[test]
    fn integers_that_a_float_would_round_are_refused() {
        let problem = |name: &str, number: f64| {
            Datatype::of(name).unwrap().problem(&Cell::Number(number)).is_some()
        };
        assert!(!problem("INT64", MAX_INTEGER) && problem("INT64", -MAX_INTEGER - 1.0));
        assert!(problem("UINT64", u64::MAX as f64) && problem("UINT8", -1.0));
        for (name, least, most) in [
            ("INT8", -128.0, 127.0),
            ("UINT8", 0.0, 255.0),
            ("INT32", -2147483648.0, 2147483647.0),
            ("FP16", -65504.0, 65504.0),
        ] {
            assert!(!problem(name, least) && !problem(name, most), "{name}");
            assert!(problem(name, least - 1.0) && problem(name, most + 1.0), "{name}");
        }
        assert!(problem("INT32", 0.5) && !problem("FP32", 0.5) && problem("BYTES", 0.5));
    }
}
