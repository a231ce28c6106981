//! Store location: `memory:` or `sqlite:FILE`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;

use super::Store;
use super::error::StoreError;
use super::sqlite::SqliteStore;

/// Where the store is, as `--store` takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Location {
    /// Nothing survives the process.
    Memory,
    /// An SQLite file on this machine.
    Sqlite(PathBuf),
}

/// A location that cannot be parsed.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0:?} is not a store; use sqlite:FILE or memory:")]
pub struct LocationError(String);

impl Location {
    /// Whether it is a file that is not empty.
    pub fn has_contents(&self) -> bool {
        match self {
            Location::Memory => false,
            Location::Sqlite(file) => file.metadata().is_ok_and(|found| found.len() > 0),
        }
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Location, LocationError> {
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Location::Memory),
            Some(("sqlite", file))
                if !file.is_empty() && !file.contains('\0') && !file.starts_with([':', '?']) =>
            {
                Ok(Location::Sqlite(PathBuf::from(file)))
            }
            Some(_) | None => Err(LocationError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Location {
    type Error = LocationError;

    fn try_from(text: String) -> Result<Location, LocationError> {
        text.parse()
    }
}

impl From<Location> for String {
    fn from(location: Location) -> String {
        location.to_string()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Memory => f.write_str("memory:"),
            Location::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
        }
    }
}

/// Opens a store, and creates it if it does not exist.
///
/// # Errors
/// See [`StoreError`].
pub fn open(location: &Location) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(match location {
        Location::Memory => SqliteStore::in_memory()?,
        Location::Sqlite(file) => SqliteStore::open(file)?,
    }))
}

/// Opens a store to read it, even while a serin writes to it.
///
/// # Errors
/// See [`StoreError`]; also for `memory:`, which no other process can read.
pub fn open_to_read(location: &Location) -> Result<Arc<dyn Store>, StoreError> {
    match location {
        Location::Memory => Err(StoreError::Open {
            path: "memory:".to_owned(),
            cause: "no other process can read it".to_owned(),
        }),
        Location::Sqlite(file) => Ok(Arc::new(SqliteStore::open_to_read(file)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_parse_and_print() {
        for text in ["memory:", "sqlite:serin.db", "sqlite:/var/lib/serin/state.db"] {
            assert_eq!(text.parse::<Location>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_locations_are_rejected() {
        for text in [
            "",
            "memory",
            "memory:x",
            "sqlite:",
            "redis://h",
            "serin.db",
            "sqlite:a\0b",
            "sqlite::memory:",
        ] {
            assert!(text.parse::<Location>().is_err(), "{text:?} was accepted");
        }
    }
}
