//! Writing a JSON object member by member.
//!
//! serde escapes the name of every member again for every answer. Answers of predictions are small and many, so theirs
//! are written with names that are literals.

use serde::Serialize;

use crate::http::problem::Kind;
use crate::http::problem::Problem;

/// A JSON object that is being written.
pub struct Object<'b> {
    bytes: &'b mut Vec<u8>,
    is_empty: bool,
}

impl<'b> Object<'b> {
    /// Begins an object at the end of these bytes.
    pub fn begin(bytes: &'b mut Vec<u8>) -> Object<'b> {
        bytes.push(b'{');
        Object { bytes, is_empty: true }
    }

    /// Ends the object.
    pub fn end(self) {
        self.bytes.push(b'}');
    }

    /// A member with this value.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn member<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Problem> {
        append(self.value_of(name), value)
    }

    /// A member with this value, if there is one.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn optional<T: Serialize>(
        &mut self,
        name: &'static str,
        value: Option<T>,
    ) -> Result<(), Problem> {
        value.map_or(Ok(()), |value| self.member(name, &value))
    }

    /// A member with this text, which has no character that JSON escapes.
    pub fn plain(&mut self, name: &'static str, text: &str) {
        debug_assert!(
            text.chars().all(|it| it >= ' ' && it != '"' && it != '\\'),
            "{text:?} is not plain"
        );
        let bytes = self.value_of(name);
        bytes.push(b'"');
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(b'"');
    }

    /// Begins a member, whose value is to be appended to the bytes.
    pub fn value_of(&mut self, name: &'static str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.is_empty) {
            self.bytes.push(b',');
        }
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b"\":");
        self.bytes
    }
}

/// Appends a value as JSON.
///
/// # Errors
/// When it cannot be written.
pub fn append<T: Serialize + ?Sized>(bytes: &mut Vec<u8>, value: &T) -> Result<(), Problem> {
    serde_json::to_writer(bytes, value).map_err(|cause| {
        Problem::new(Kind::Internal, format_args!("the answer could not be written: {cause}"))
    })
}

/// Appends an array, whose items `append` writes.
///
/// # Errors
/// The first of `append`.
pub fn array<T>(
    bytes: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut append: impl FnMut(&mut Vec<u8>, T) -> Result<(), Problem>,
) -> Result<(), Problem> {
    bytes.push(b'[');
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            bytes.push(b',');
        }
        append(bytes, item)?;
    }
    bytes.push(b']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_written_as_serde_writes_it() {
        let mut bytes = Vec::new();
        Object::begin(&mut bytes).end();
        let mut object = Object::begin(&mut bytes);
        object.member("quoted", "a\"b\u{1}").unwrap();
        object.optional("absent", None::<u8>).unwrap();
        object.optional("number", Some(0.1)).unwrap();
        object.plain("plain", "a-b_c é");
        array(object.value_of("items"), [1, 2], |bytes, item| append(bytes, &item)).unwrap();
        array(object.value_of("none"), [0; 0], |bytes, item| append(bytes, &item)).unwrap();
        object.end();
        let expected =
            r#"{}{"quoted":"a\"b\u0001","number":0.1,"plain":"a-b_c é","items":[1,2],"none":[]}"#;
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
