//! Values of tensors and columns in JSON: flat or nested, with booleans.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::Error;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use smallvec::SmallVec;

use crate::model::Features;
use crate::model::Value;
use crate::model::schema::Feature;
use crate::service::serving::live::Live;

/// A value as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Number(f64),
    Text(Cow<'a, str>),
    Bool(bool),
    Missing,
}

impl<'a> Cell<'a> {
    /// The value of this feature, which only a boolean looks up: it is 1 or 0, or the word for it that training has seen.
    pub(super) fn value_of<'f>(self, feature: impl FnOnce() -> Option<&'f Feature>) -> Value<'a> {
        match self {
            Cell::Number(number) => Value::Number(number),
            Cell::Text(text) => Value::Text(text),
            Cell::Missing => Value::Missing,
            Cell::Bool(flag) => match feature() {
                Some(feature) => feature.kind.boolean(flag),
                None => Value::Number(f64::from(u8::from(flag))),
            },
        }
    }
}

/// How many rows to make of columns with these names. The service refuses an unknown name in the first of them, and a
/// name of a megabyte must not be copied to ten thousand.
pub(super) fn rows_to_make<'n>(
    mut names: impl Iterator<Item = &'n str>,
    rows: usize,
    live: &Live,
) -> usize {
    if rows <= 1 || names.all(|name| live.intake.accepts(name)) { rows } else { 1 }
}

/// The rows of columns, each with its name.
pub(super) fn rows_of<'a>(
    columns: Vec<(Cow<'a, str>, Vec<Cell<'a>>)>,
    rows: usize,
    live: &Live,
) -> Vec<Features<'a>> {
    let joint = live.intake.layout().joint.schema();
    let rows = rows_to_make(columns.iter().map(|(name, _)| &**name), rows, live);
    if rows == 1 {
        let pair = |(name, cells): (Cow<'a, str>, Vec<Cell<'a>>)| {
            let cell = cells.into_iter().next().unwrap_or(Cell::Missing);
            let value = cell.value_of(|| joint.feature(&name));
            (name, value)
        };
        return vec![Features::Named(columns.into_iter().map(pair).collect())];
    }
    let column = |(name, cells): (Cow<'a, str>, Vec<Cell<'a>>)| {
        let feature = joint.feature(&name);
        (name, cells.into_iter().map(move |cell| cell.value_of(|| feature)))
    };
    let mut columns: Vec<_> = columns.into_iter().map(column).collect();
    let row = |_| {
        let pairs = columns
            .iter_mut()
            .map(|(name, values)| (name.clone(), values.next().unwrap_or(Value::Missing)));
        Features::Named(pairs.collect())
    };
    (0..rows).map(row).collect()
}

/// An array of values, flat or nested, in row-major order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Data<'a> {
    pub(super) cells: Vec<Cell<'a>>,
    /// The lengths of the arrays at each depth; one for a flat array.
    pub(super) lengths: SmallVec<[usize; 2]>,
}

/// The deepest nesting that is read.
const MAX_DEPTH: usize = 8;

impl<'de: 'a, 'a> Deserialize<'de> for Data<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Data<'a>, D::Error> {
        // With room for a short row: growing would take longer.
        let mut data = Data { cells: Vec::with_capacity(8), ..Data::default() };
        deserializer.deserialize_seq(ArraySeed { data: &mut data, depth: 0 })?;
        Ok(data)
    }
}

/// Reads an array at this depth.
struct ArraySeed<'d, 'a> {
    data: &'d mut Data<'a>,
    depth: usize,
}

impl<'de: 'a, 'a> Visitor<'de> for ArraySeed<'_, 'a> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array of values, flat or nested")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let ArraySeed { data, depth } = self;
        if depth == MAX_DEPTH {
            return Err(A::Error::custom(format_args!("arrays nested deeper than {MAX_DEPTH}")));
        }
        let mut count = 0;
        let mut scalars = None;
        while let Some(cell) = seq.next_element_seed(ItemSeed { data: &mut *data, depth })? {
            let is_scalar = cell.is_some();
            if *scalars.get_or_insert(is_scalar) != is_scalar {
                return Err(A::Error::custom(
                    "values and arrays are mixed; nest all of them alike",
                ));
            }
            data.cells.extend(cell);
            count += 1;
        }
        // The first array that ends at a depth has those below it behind it.
        while data.lengths.len() <= depth {
            data.lengths.push(usize::MAX);
        }
        let length = &mut data.lengths[depth];
        if *length != usize::MAX && *length != count {
            return Err(A::Error::custom(format_args!(
                "nested arrays of {length} and of {count} items; make them equally long"
            )));
        }
        *length = count;
        Ok(())
    }
}

/// Reads a value, or an array one level deeper, which is `None`.
struct ItemSeed<'d, 'a> {
    data: &'d mut Data<'a>,
    depth: usize,
}

impl<'de: 'a, 'a> DeserializeSeed<'de> for ItemSeed<'_, 'a> {
    type Value = Option<Cell<'a>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for ItemSeed<'_, 'a> {
    type Value = Option<Cell<'a>>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a number, a string, a boolean or null")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Cell::Number(number)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Cell::Number(number as f64)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Cell::Number(number as f64)))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Some(Cell::Bool(flag)))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cell::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cell::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Some(Cell::Missing))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        ArraySeed { data: self.data, depth: self.depth + 1 }.visit_seq(seq)?;
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Err(A::Error::custom(
            "an object is not a value; send a number, a string, a boolean or null",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::FeatureKind;

    fn read(json: &str) -> Result<Data<'_>, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn nested_arrays_are_read_in_row_major_order_with_their_lengths() {
        let numbers = |json| {
            let data = read(json).unwrap();
            let number = |cell: &Cell<'_>| match cell {
                Cell::Number(number) => *number,
                other => panic!("{other:?}"),
            };
            (data.cells.iter().map(number).collect::<Vec<_>>(), data.lengths)
        };
        assert_eq!(numbers("[1, 2, 3]"), (vec![1.0, 2.0, 3.0], SmallVec::from_slice(&[3])));
        assert_eq!(numbers("[[1, 2], [3, 4], [5, 6]]").1[..], [3, 2]);
        assert_eq!(numbers("[[[1], [2]]]"), (vec![1.0, 2.0], SmallVec::from_slice(&[1, 2, 1])));
        assert_eq!(numbers("[]"), (vec![], SmallVec::from_slice(&[0])));
        assert_eq!(numbers("[[], []]").1[..], [2, 0]);
    }

    #[test]
    fn arrays_that_are_not_alike_are_refused() {
        for (json, expected) in [
            ("[[1, 2], [3]]", "nested arrays of 2 and of 1 items"),
            ("[[1, 2], 3]", "values and arrays are mixed"),
            ("[1, [2]]", "values and arrays are mixed"),
            ("[{}]", "an object is not a value"),
            ("7", "expected an array of values"),
            ("[[[[[[[[[1]]]]]]]]]", "nested deeper than 8"),
        ] {
            let refused = read(json).unwrap_err();
            assert!(refused.contains(expected), "{json}: {refused}");
        }
    }

    #[test]
    fn a_boolean_is_the_word_that_training_has_seen_or_a_number() {
        let words = |levels: [&str; 2]| Feature {
            name: "f".into(),
            kind: FeatureKind::Categorical { levels: levels.map(str::to_owned).to_vec() },
        };
        let number = Feature { name: "n".into(), kind: FeatureKind::Number };
        for (feature, value) in [
            (Some(&words(["False", "True"])), Value::Text("True".into())),
            (Some(&words(["false", "true"])), Value::Text("true".into())),
            (Some(&words(["no", "yes"])), Value::Text("True".into())),
            (Some(&number), Value::Number(1.0)),
            (None, Value::Number(1.0)),
        ] {
            assert_eq!(Cell::Bool(true).value_of(|| feature), value);
        }
    }
}
