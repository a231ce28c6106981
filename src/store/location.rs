//! Where is the store? Parses `memory:` and `sqlite:FILE`, and opens what they name.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use super::Store;
use super::StoreError;
use super::memory::MemoryStore;
use super::sqlite::SqliteStore;

/// A store's address, as `--store` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Nothing survives the process.
    Memory,
    /// An SQLite file on this machine.
    Sqlite(PathBuf),
}

/// An address that names no store.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0:?} names no store; give sqlite:FILE or memory:")]
pub struct LocationError(String);

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

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Memory => f.write_str("memory:"),
            Location::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
        }
    }
}

/// Opens the store at this address, and makes it if it is new.
///
/// # Errors
/// See [`StoreError`].
pub fn open(location: &Location) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match location {
        Location::Memory => Arc::new(MemoryStore::default()),
        Location::Sqlite(file) => Arc::new(SqliteStore::open(file)?),
    })
}

/// Opens the store at this address to read it, beside a serin that may be writing to it.
///
/// # Errors
/// See [`StoreError`]; also when nothing is kept there.
pub fn open_to_read(location: &Location) -> Result<Arc<dyn Store>, StoreError> {
    match location {
        Location::Memory => Err(StoreError::Open {
            path: "memory:".to_owned(),
            cause: "it is gone with its process".to_owned(),
        }),
        Location::Sqlite(file) => Ok(Arc::new(SqliteStore::open_to_read(file)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_they_are_written() {
        for text in ["memory:", "sqlite:serin.db", "sqlite:/var/lib/serin/state.db"] {
            assert_eq!(text.parse::<Location>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_names_no_store_is_refused() {
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
