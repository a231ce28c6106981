//! Constants of an ONNX file: the declared size must be that of the data.

use crate::model::kinds::onnx::protobuf::Once;
use crate::model::kinds::onnx::protobuf::Payload;
use crate::model::kinds::onnx::protobuf::bounded;
use crate::model::kinds::onnx::protobuf::fields;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;
use crate::model::kinds::refusal::excerpt;

/// Integers of a constant that are read: axes and shapes have a few.
const MAX_INTEGERS: u64 = 64;

/// Dimensions of a tensor.
pub(super) const MAX_RANK: usize = 8;

/// A constant.
#[derive(Clone, Debug, Default)]
pub(super) struct Tensor<'a> {
    pub(super) name: &'a str,
    pub(super) dimensions: Vec<u64>,
    /// The values, if they are a few integers.
    pub(super) integers: Option<Vec<i64>>,
    message: &'a [u8],
}

/// What the data of a tensor says.
#[derive(Default)]
struct Data<'a> {
    raw: Option<&'a [u8]>,
    /// How many values each of the typed lists has, in the order of their fields.
    counts: [usize; 6],
}

/// Numbers of element types.
pub(super) const FLOAT: i64 = 1;
pub(super) const INT32: i64 = 6;
pub(super) const INT64: i64 = 7;
pub(super) const STRING: i64 = 8;
pub(super) const DOUBLE: i64 = 11;

/// Places of the typed lists in [`Data::counts`].
const FLOATS: usize = 0;
const INT32S: usize = 1;
const STRINGS: usize = 2;
const INT64S: usize = 3;
const DOUBLES: usize = 4;
const UINT64S: usize = 5;

impl<'a> Tensor<'a> {
    pub(super) fn read(message: &'a [u8]) -> Reading<Self> {
        let (mut once, mut tensor, mut kind) = (Once::default(), Self::default(), 0);
        let (mut dimensions, mut data) = (Vec::new(), Data::default());
        tensor.message = message;
        for field in fields(message) {
            let (number, payload) = field?;
            match number {
                1 => {
                    let rank = dimensions.len() + payload.count_integers("dims")?;
                    bounded("dimensions", rank, MAX_RANK)?;
                    payload.integers("dims", &mut dimensions)?;
                }
                2 => {
                    once.check(number, "data_type")?;
                    kind = payload.integer("data_type")?;
                }
                4 => data.counts[FLOATS] += payload.count_numbers(4, "float_data")?,
                5 => data.counts[INT32S] += payload.count_integers("int32_data")?,
                6 => {
                    payload.bytes("string_data")?;
                    data.counts[STRINGS] += 1;
                }
                7 => data.counts[INT64S] += payload.count_integers("int64_data")?,
                8 => {
                    once.check(number, "name")?;
                    tensor.name = payload.text("name")?;
                }
                9 => {
                    once.check(number, "raw_data")?;
                    data.raw = Some(payload.bytes("raw_data")?);
                }
                10 => data.counts[DOUBLES] += payload.count_numbers(8, "double_data")?,
                11 => data.counts[UINT64S] += payload.count_integers("uint64_data")?,
                3 | 13 => return Err(tensor.refused(EXTERNAL)),
                14 if payload.integer("data_location")? != 0 => {
                    return Err(tensor.refused(EXTERNAL));
                }
                _ => {}
            }
        }
        let sizes = dimensions.iter().map(|size| u64::try_from(*size));
        tensor.dimensions = sizes
            .collect::<Result<_, _>>()
            .map_err(|_| tensor.refused("it has a negative dimension"))?;
        tensor.check(kind, &data)?;
        tensor.integers = tensor.few_integers(kind, &data)?;
        Ok(tensor)
    }

    fn refused(&self, problem: &str) -> Refusal {
        Refusal::new(format!("tensor `{}`", excerpt(self.name)), problem)
    }

    /// How many values the dimensions make; `None` beyond all files.
    pub(super) fn values(&self) -> Option<u64> {
        self.dimensions.iter().try_fold(1_u64, |values, size| values.checked_mul(*size))
    }

    /// Compares the declared size with that of the data.
    fn check(&self, kind: i64, data: &Data<'_>) -> Reading<()> {
        let (size, list) = match kind {
            FLOAT => (4, FLOATS),
            INT32 => (4, INT32S),
            // uint8, int8 and bool.
            2 | 3 | 9 => (1, INT32S),
            INT64 => (8, INT64S),
            STRING => (0, STRINGS),
            DOUBLE => (8, DOUBLES),
            // uint32 and uint64.
            12 => (4, UINT64S),
            13 => (8, UINT64S),
            _ => {
                let problem = format!(
                    "values of type {kind}; serin runs float, double, int32, int64, uint, int8, bool and string"
                );
                return Err(self.refused(&problem));
            }
        };
        let declared = self.values().ok_or_else(|| self.refused("its size is out of range"))?;
        let found = match data.raw {
            Some(_) if size == 0 => return Err(self.refused("its strings are not a list")),
            Some(raw) if data.counts.iter().all(|count| *count == 0) => {
                if !raw.len().is_multiple_of(size) {
                    return Err(self.refused("its data ends within a value"));
                }
                raw.len() / size
            }
            Some(_) => return Err(self.refused("its data is there twice")),
            None => data.counts[list],
        };
        let others = data.counts.iter().sum::<usize>() - data.counts[list];
        if declared != found as u64 || others > 0 {
            let problem = format!("its dimensions make {declared} values, its data has {found}");
            return Err(self.refused(&problem));
        }
        Ok(())
    }

    fn few_integers(&self, kind: i64, data: &Data<'_>) -> Reading<Option<Vec<i64>>> {
        if !matches!(kind, INT32 | INT64) || self.values().is_none_or(|it| it > MAX_INTEGERS) {
            return Ok(None);
        }
        if let Some(raw) = data.raw {
            let value = |bytes: &[u8]| match kind {
                INT32 => bytes.try_into().map(i32::from_le_bytes).map_or(0, i64::from),
                _ => bytes.try_into().map_or(0, i64::from_le_bytes),
            };
            let size = if kind == INT32 { 4 } else { 8 };
            return Ok(Some(raw.chunks_exact(size).map(value).collect()));
        }
        let mut list = Vec::new();
        for field in fields(self.message) {
            if let (5 | 7, payload) = field? {
                payload.integers("int64_data", &mut list)?;
            }
        }
        Ok(Some(list))
    }

    /// The words of a constant of strings.
    pub(super) fn words(&self) -> Reading<Vec<&'a str>> {
        let words = fields(self.message).filter_map(|field| match field {
            Ok((6, payload)) => Some(Payload::text(payload, "string_data")),
            _ => None,
        });
        words.collect()
    }
}

const EXTERNAL: &str = "its data is in another file; export the model as one file";
