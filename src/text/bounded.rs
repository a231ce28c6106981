//! Texts and lists of a file, read without reserving what a file only declares.
//!
//! Each function is the `deserialize_with` of a field.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error;
use serde::de::SeqAccess;
use serde::de::Visitor;

/// Bytes that are reserved for a list before its items are read.
const RESERVED: usize = 64 << 10;

/// A text. Of a binary file it is cut from the bytes, so that its length cannot outrun them.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_str(TextVisitor)
}

/// Bytes, which are cut from the file as a text is.
pub(crate) fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    deserializer.deserialize_bytes(BytesVisitor)
}

/// A list of at most `MOST` items.
pub(crate) fn list<'de, D, T, const MOST: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(ListVisitor::<T, MOST>(PhantomData))
}

/// A list of at most `MOST` texts.
pub(crate) fn texts<'de, D, const MOST: usize>(deserializer: D) -> Result<Vec<String>, D::Error>
where
    D: Deserializer<'de>,
{
    let texts: Vec<Text> = list::<D, Text, MOST>(deserializer)?;
    Ok(texts.into_iter().map(|text| text.0).collect())
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Text(#[serde(deserialize_with = "text")] String);

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_owned())
    }
}

struct ListVisitor<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for ListVisitor<T, MOST> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let too_long = || A::Error::custom(format_args!("a list of more than {MOST} items"));
        let declared = items.size_hint().unwrap_or(0);
        if declared > MOST {
            return Err(too_long());
        }
        let mut list = Vec::with_capacity(declared.min(RESERVED / size_of::<T>().max(1)));
        while let Some(item) = items.next_element()? {
            if list.len() == MOST {
                return Err(too_long());
            }
            list.push(item);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Document {
        #[serde(deserialize_with = "text")]
        name: String,
        #[serde(deserialize_with = "texts::<_, 2>")]
        words: Vec<String>,
        #[serde(deserialize_with = "list::<_, _, 3>")]
        numbers: Vec<u8>,
    }

    #[test]
    fn lists_end_at_their_limit_and_texts_may_have_escapes() {
        let read = |numbers: &str| {
            let json = format!(r#"{{"name":"a\n","words":["\u00e9","c"],"numbers":{numbers}}}"#);
            serde_json::from_str::<Document>(&json).map_err(|error| error.to_string())
        };
        let expected = Document {
            name: "a\n".to_owned(),
            words: vec!["é".to_owned(), "c".to_owned()],
            numbers: vec![1, 2, 3],
        };
        assert_eq!(read("[1,2,3]"), Ok(expected));
        assert!(read("[1,2,3,4]").unwrap_err().contains("a list of more than 3 items"));
        assert!(read("7").unwrap_err().contains("expected a list of at most 3 items"));
    }
}
