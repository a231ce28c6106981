//! JSON as Python writes it: a bare `NaN` means a missing value, and becomes `null`.
//!
//! JSON has no NaN, but the clients of other servers send it. Only a body that is not JSON is looked at again.

use std::cell::OnceCell;

use serde::de::DeserializeSeed;

use super::body;
use crate::http::problem::Kind;
use crate::http::problem::Problem;

/// [`body::parse_with`] that reads `NaN` as `null`. The copy without it is kept in `repaired`.
///
/// # Errors
/// As [`body::parse_with`]; an infinity is named with its place.
pub(crate) fn parse_with<'a, S: DeserializeSeed<'a> + Copy>(
    seed: S,
    bytes: &'a [u8],
    example: &str,
    repaired: &'a OnceCell<Vec<u8>>,
) -> Result<S::Value, Problem> {
    let problem = match body::parse_with(seed, bytes, example) {
        Err(problem) if problem.kind() == Kind::InvalidJson => problem,
        outcome => return outcome,
    };
    if repaired.get().is_none() {
        match without_nan(bytes)? {
            Some(copy) => repaired.get_or_init(|| copy),
            None => return Err(problem),
        };
    }
    body::parse_with(seed, repaired.get().map_or(bytes, Vec::as_slice), example)
}

/// A copy with `null` for each bare `NaN`; `None` if there is none.
///
/// # Errors
/// Names the place of the first bare `Infinity`.
fn without_nan(bytes: &[u8]) -> Result<Option<Vec<u8>>, Problem> {
    let mut copy: Option<Vec<u8>> = None;
    let (mut in_string, mut copied, mut at) = (false, 0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'N' if !in_string && bytes[at..].starts_with(b"NaN") => {
                let copy = copy.get_or_insert_with(|| Vec::with_capacity(bytes.len() + 64));
                copy.extend_from_slice(&bytes[copied..at]);
                copy.extend_from_slice(b"null");
                at += 2;
                copied = at + 1;
            }
            b'I' if !in_string && bytes[at..].starts_with(b"Infinity") => {
                return Err(infinity(&bytes[..at]));
            }
            _ => {}
        }
        at += 1;
    }
    if let Some(copy) = &mut copy {
        copy.extend_from_slice(&bytes[copied..]);
    }
    Ok(copy)
}

#[cold]
fn infinity(before: &[u8]) -> Problem {
    let (line, column) = body::place_after(before);
    Problem::new(
        Kind::InvalidJson,
        format_args!(
            "invalid body: Infinity at line {line} column {column} is not a finite number; send a finite one, or null \
             or NaN for a missing value"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_nan_becomes_null_and_nothing_else_does() {
        for (body, expected) in [
            (r#"[NaN]"#, Some("[null]")),
            (r#"{"a":NaN,"b":[1,NaN , "NaN"]}"#, Some(r#"{"a":null,"b":[1,null , "NaN"]}"#)),
            (r#"["NaN", "a\"NaN", "\\", NaN]"#, Some(r#"["NaN", "a\"NaN", "\\", null]"#)),
            (r#"["NaN"]"#, None),
            (r#"[nan, N, Na"#, None),
            (r#"["\"#, None),
            ("", None),
        ] {
            let copy = without_nan(body.as_bytes()).unwrap();
            assert_eq!(copy.as_deref(), expected.map(str::as_bytes), "{body}");
        }
    }

    #[test]
    fn an_infinity_is_refused_with_its_place() {
        for body in ["{\n \"a\": [1, Infinity]}", "{\n\"a\": [NaN, -Infinity]}"] {
            let refused = without_nan(body.as_bytes()).unwrap_err().to_string();
            assert!(refused.contains("line 2 column"), "{refused}");
        }
        assert!(without_nan(br#"["Infinity"]"#).unwrap().is_none());
    }
}
