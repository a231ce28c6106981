//! Categories of a pandas frame: the line `pandas_categorical:[["a","b"],[1,2]]`.

use std::fmt;

use serde::de::DeserializeSeed;
use serde::de::Deserializer;
use serde::de::Error;
use serde::de::SeqAccess;
use serde::de::Visitor;

use crate::model::kinds::features::FeatureKind;
use crate::model::kinds::limits::MAX_CATEGORIES;
use crate::model::kinds::limits::MAX_FEATURES;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;

/// The lists in the order of the categorical columns, of [`MAX_CATEGORIES`] together; none without the line, or if it
/// is `null`.
pub(crate) fn lists(tail: &str) -> Reading<Vec<FeatureKind>> {
    let Some(text) = tail.lines().rev().find_map(|line| line.strip_prefix("pandas_categorical:"))
    else {
        return Ok(Vec::new());
    };
    let mut json = serde_json::Deserializer::from_str(text);
    let lists = json.deserialize_option(Lists).and_then(|lists| json.end().map(|()| lists));
    lists.map_err(|cause| Refusal::new("pandas_categorical", cause.to_string()))
}

struct Lists;

impl<'de> Visitor<'de> for Lists {
    type Value = Vec<FeatureKind>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lists of categories")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, some: D) -> Result<Self::Value, D::Error> {
        some.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let (mut lists, mut left) = (Vec::new(), MAX_CATEGORIES);
        while let Some(list) = items.next_element_seed(List { left: &mut left })? {
            if lists.len() == MAX_FEATURES {
                return Err(A::Error::custom(format_args!("more than {MAX_FEATURES} lists")));
            }
            lists.push(list);
        }
        Ok(lists)
    }
}

/// A list. All its categories are words (or `true` and `false`), or all are numbers.
struct List<'l> {
    /// Categories that may still be read.
    left: &'l mut usize,
}

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = FeatureKind;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<FeatureKind, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = FeatureKind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of categories")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<FeatureKind, A::Error> {
        let mut levels = Levels { words: Vec::new(), numbers: Vec::new() };
        while let Some(()) = items.next_element_seed(&mut levels)? {
            let left = self.left.checked_sub(1);
            *self.left = left.ok_or_else(|| {
                A::Error::custom(format_args!("more than {MAX_CATEGORIES} categories"))
            })?;
        }
        match levels {
            Levels { words, numbers } if words.is_empty() => Ok(FeatureKind::Numbers(numbers)),
            Levels { words, numbers } if numbers.is_empty() => Ok(FeatureKind::Words(words)),
            Levels { .. } => Err(A::Error::custom("a list mixes words and numbers")),
        }
    }
}

/// The categories of a list so far. Numbers take 8 bytes each, so that a list of them is no larger than four times its
/// text.
struct Levels {
    words: Vec<String>,
    numbers: Vec<f64>,
}

impl<'de> DeserializeSeed<'de> for &mut Levels {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Levels {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word or a number")
    }

    fn visit_str<E>(self, word: &str) -> Result<(), E> {
        self.words.push(word.to_owned());
        Ok(())
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        self.words.push(flag.to_string());
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.numbers.push(number as f64);
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.numbers.push(number as f64);
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.numbers.push(number);
        Ok(())
    }
}
