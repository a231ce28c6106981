//! The `instances` of a prediction: at most 10,000 rows, counted while they are read.

use std::fmt;
use std::fmt::Display;

use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::Error as _;
use serde::de::IgnoredAny;
use serde::de::SeqAccess;
use serde::de::Visitor;

use crate::model::Features;
use crate::model::schema::features::RowSeed;

/// Maximum number of rows: a larger answer could not be buffered for every slow reader.
pub(crate) const MAX_ROWS: usize = 10_000;

/// Why a request has too few or too many rows.
pub(crate) fn out_of_range(count: impl Display) -> String {
    format!("{count} rows; send 1 to {MAX_ROWS} per request")
}

/// Reads 1 to 10,000 rows, the first with this seed.
pub(crate) struct InstancesSeed<'s>(pub(crate) RowSeed<'s>);

impl<'de> DeserializeSeed<'de> for InstancesSeed<'_> {
    type Value = Vec<Features<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for InstancesSeed<'_> {
    type Value = Vec<Features<'de>>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let out_of_range = |count: &dyn Display| A::Error::custom(out_of_range(count));
        let mut rows: Vec<Features<'de>> = Vec::new();
        while rows.len() < MAX_ROWS {
            // Rows are alike, so a row is as long as the one before it.
            let seed = rows.last().map_or(self.0, |row| self.0.like(row));
            match seq.next_element_seed(seed)? {
                Some(row) => rows.push(row),
                None if rows.is_empty() => return Err(out_of_range(&0)),
                None => return Ok(rows),
            }
        }
        match seq.next_element::<IgnoredAny>()? {
            Some(_) => Err(out_of_range(&format_args!("more than {MAX_ROWS}"))),
            None => Ok(rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_while_they_are_read() {
        let rows = |count: usize| {
            let body = format!("[{}]", vec!["{}"; count].join(","));
            let mut json = serde_json::Deserializer::from_str(&body);
            InstancesSeed(RowSeed::default()).deserialize(&mut json).map(|rows| rows.len())
        };
        assert_eq!(rows(1).unwrap(), 1);
        assert_eq!(rows(MAX_ROWS).unwrap(), MAX_ROWS);
        assert!(rows(0).unwrap_err().to_string().contains("0 rows; send 1 to 10000"));
        let many = rows(300_000).unwrap_err();
        assert!(many.to_string().contains("more than 10000 rows; send 1 to 10000"), "{many}");
        // Stopped at row 10,001, not at the end of the body.
        assert_eq!(many.column(), 1 + 3 * (MAX_ROWS + 1), "{many}");
    }
}
