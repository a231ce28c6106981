//! Store location: `memory:`, `sqlite:FILE` or `postgres://USER@HOST/DATABASE`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;

use super::Steady;
use super::Store;
use super::error::StoreError;
use super::postgres::PostgresStore;
use super::postgres::PostgresUrl;
use super::postgres::UrlError;
use super::postgres::without_password;
use super::replica::host;
use super::sqlite::SqliteStore;

/// Where the store is, as `--store` takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Location {
    /// Nothing survives the process.
    Memory,
    /// An SQLite file on this machine.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(Box<PostgresUrl>),
}

/// A location that cannot be parsed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LocationError {
    /// It names none of the kinds of stores.
    #[error("{0:?} is not a store; use sqlite:FILE, postgres://USER@HOST/DATABASE or memory:")]
    Unknown(String),
    /// A part of the address is wrong.
    #[error("{address:?}: {cause}")]
    Postgres {
        /// The address without its password.
        address: String,
        /// Which part, and what is allowed.
        cause: UrlError,
    },
}

impl Location {
    /// Whether it is a file that is not empty.
    pub fn has_contents(&self) -> bool {
        match self {
            // A database is not a copy of a file that could be incomplete.
            Location::Memory | Location::Postgres(_) => false,
            Location::Sqlite(file) => file.metadata().is_ok_and(|found| found.len() > 0),
        }
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Location, LocationError> {
        if PostgresUrl::is_meant_by(text) {
            let wrong = |cause| LocationError::Postgres { address: without_password(text), cause };
            return text.parse().map(|url| Location::Postgres(Box::new(url))).map_err(wrong);
        }
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Location::Memory),
            Some(("sqlite", file))
                if !file.is_empty() && !file.contains('\0') && !file.starts_with([':', '?']) =>
            {
                Ok(Location::Sqlite(PathBuf::from(file)))
            }
            Some(_) | None => Err(LocationError::Unknown(without_password(text))),
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
            Location::Postgres(url) => write!(f, "{url}"),
        }
    }
}

/// Opens a store, and creates it if it does not exist.
///
/// # Errors
/// See [`StoreError`].
pub fn open(location: &Location, steady: Steady) -> Result<Arc<dyn Store>, StoreError> {
    open_as(host(), location, steady)
}

/// The same for a replica with this name.
///
/// # Errors
/// See [`StoreError`].
pub fn open_as(
    name: String,
    location: &Location,
    steady: Steady,
) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(match location {
        Location::Memory => SqliteStore::in_memory()?,
        Location::Sqlite(file) => SqliteStore::open(file)?,
        Location::Postgres(url) => {
            return Ok(Arc::new(PostgresStore::open_as(name, url, steady)?));
        }
    }))
}

/// Opens a store to read it, even while a serin writes to it.
///
/// # Errors
/// See [`StoreError`]; also for `memory:`, which no other process can read.
pub fn open_to_read(location: &Location, steady: Steady) -> Result<Arc<dyn Store>, StoreError> {
    match location {
        Location::Memory => Err(StoreError::Open {
            path: "memory:".to_owned(),
            cause: "no other process can read it".to_owned(),
        }),
        Location::Sqlite(file) => Ok(Arc::new(SqliteStore::open_to_read(file)?)),
        Location::Postgres(url) => Ok(Arc::new(PostgresStore::open_to_read(url, steady)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_parse_and_print() {
        for text in [
            "memory:",
            "sqlite:serin.db",
            "sqlite:/var/lib/serin/state.db",
            "postgres://me@db:5433/models?schema=fraud",
        ] {
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
            "postgres:db",
            "postgre://me:secret@db/d",
            "postgres://me:secret@db",
            "postgres://me:secret@db/d?schema=A",
        ] {
            let error = text.parse::<Location>().unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
