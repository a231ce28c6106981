//! Categories of a feature as XGBoost writes them: the bytes of all words, or numbers.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::SeqAccess;
use serde::de::Visitor;

/// Numbers of a list. Small integers, which bytes are, take two bytes each until another number comes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    Small(Vec<i16>),
    Any(Vec<f64>),
}

impl Values {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Small(numbers) => numbers.len(),
            Self::Any(numbers) => numbers.len(),
        }
    }

    /// The numbers.
    pub(crate) fn numbers(&self) -> Vec<f64> {
        match self {
            Self::Small(numbers) => numbers.iter().copied().map(f64::from).collect(),
            Self::Any(numbers) => numbers.clone(),
        }
    }

    /// The numbers as bytes, which XGBoost writes signed or unsigned.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Small(numbers) => numbers.iter().map(|number| *number as u8).collect(),
            Self::Any(numbers) => numbers.iter().map(|number| *number as i64 as u8).collect(),
        }
    }

    fn push(&mut self, number: f64) {
        match self {
            Self::Any(numbers) => numbers.push(number),
            Self::Small(small) if f64::from(number as i16).to_bits() == number.to_bits() => {
                small.push(number as i16);
            }
            Self::Small(_) => {
                let mut numbers = self.numbers();
                numbers.push(number);
                *self = Self::Any(numbers);
            }
        }
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValuesVisitor;

        impl<'de> Visitor<'de> for ValuesVisitor {
            type Value = Values;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Values, A::Error> {
                let mut values = Values::Small(Vec::new());
                while let Some(number) = items.next_element()? {
                    values.push(number);
                }
                Ok(values)
            }
        }

        deserializer.deserialize_seq(ValuesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_numbers_are_kept_exactly() {
        let read = |json: &str| serde_json::from_str::<Values>(json).unwrap();
        assert_eq!(read("[110,-61,255]"), Values::Small(vec![110, -61, 255]));
        assert_eq!(read("[110,-61,255]").bytes(), [110, 195, 255]);
        for numbers in [vec![1.0, 40_000.0, 2.0], vec![0.5], vec![1.0, -0.0], vec![]] {
            let values = read(&serde_json::to_string(&numbers).unwrap());
            let bits = |numbers: &[f64]| numbers.iter().map(|n| n.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&values.numbers()), bits(&numbers));
        }
    }
}
