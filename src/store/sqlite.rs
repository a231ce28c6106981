//! The default store: one SQLite file beside the server.
//!
//! The write-ahead log with `synchronous = FULL` makes an append durable before it is
//! acknowledged. A lock file beside the database keeps a second serin out; the operating system
//! releases it however the first one ends.

pub(crate) mod evidence;

pub(crate) mod labels;

pub(crate) mod told;

use std::collections::BTreeMap;
use std::fs::File;
use std::fs::TryLockError;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::OpenFlags;
use rusqlite::OptionalExtension;
use rusqlite::params;

use super::Checkpoint;
use super::Store;
use super::StoreError;
use crate::canary::Chunk;
use crate::canary::Entry;
use crate::canary::Event;
use crate::canary::LogRecord;
use crate::canary::LoggedTick;
use crate::canary::Monitors;

/// A store in one SQLite file.
pub struct SqliteStore {
    /// One connection: writers are rare, and SQLite allows only one of them at a time anyway.
    connection: Mutex<Connection>,
    /// Held, never read: dropping it lets the next serin in. `None` of one that only reads.
    _lock: Option<File>,
}

/// Marks the file as serin's ("srin"), so that another program's database is never written to.
const APPLICATION_ID: i64 = 0x7372_696e;

/// What each version of the tables adds to the one before. A file says how many it has.
const SCHEMAS: [&str; 4] = [FIRST_SCHEMA, evidence::SCHEMA, told::SCHEMA, labels::SCHEMA];

const FIRST_SCHEMA: &str = "
    CREATE TABLE journal (
        sequence INTEGER PRIMARY KEY,
        at       TEXT NOT NULL,
        event    TEXT NOT NULL
    ) STRICT;
    CREATE TABLE checkpoint (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        body TEXT NOT NULL
    ) STRICT;
    CREATE TABLE artifact (
        digest TEXT PRIMARY KEY,
        bytes  BLOB NOT NULL
    ) STRICT;
";

impl SqliteStore {
    /// Opens the file, and makes it if it is new.
    ///
    /// # Errors
    /// When another serin has it open, when it cannot be opened, or when it is no store.
    pub fn open(file: &Path) -> Result<SqliteStore, StoreError> {
        let path = file.display().to_string();
        let lock = lock(file, &path)?;
        let open_error = |cause: rusqlite::Error| match cause.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase) => {
                StoreError::Foreign { path: path.clone(), cause: "not an SQLite file".to_owned() }
            }
            Some(_) | None => StoreError::Open { path: path.clone(), cause: cause.to_string() },
        };
        // Without SQLITE_OPEN_URI: a file name is a file name, never an address with options.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(file, flags).map_err(open_error)?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(open_error)?;
        prepare(&mut connection)
            .map_err(open_error)?
            .map_err(|cause| StoreError::Foreign { path: path.clone(), cause })?;
        Ok(SqliteStore { connection: Mutex::new(connection), _lock: Some(lock) })
    }

    /// Opens the file to read what is in it at this moment, whether or not a serin writes to it.
    ///
    /// # Errors
    /// When it is not there, cannot be opened, is no store, or has another version's tables.
    pub fn open_to_read(file: &Path) -> Result<SqliteStore, StoreError> {
        let path = file.display().to_string();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(file, flags).and_then(|connection| {
            connection.busy_timeout(Duration::from_secs(5))?;
            // One moment for all that is read, or the evidence of a verdict could be forgotten between.
            connection.execute_batch("BEGIN")?;
            let application: i64 =
                connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
            let version: i64 =
                connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            Ok((connection, application, version))
        });
        let foreign = |cause: String| StoreError::Foreign { path: path.clone(), cause };
        let (connection, application, version) =
            opened.map_err(|cause| match cause.sqlite_error_code() {
                Some(rusqlite::ErrorCode::NotADatabase) => foreign("not an SQLite file".to_owned()),
                Some(_) | None => StoreError::Open { path: path.clone(), cause: cause.to_string() },
            })?;
        if application != APPLICATION_ID {
            return Err(foreign("another program's database".to_owned()));
        }
        if version != SCHEMAS.len() as i64 {
            let whose = "of another version; start this serin on it, or read it with the other one";
            return Err(foreign(format!("schema {version}, {whose}")));
        }
        Ok(SqliteStore { connection: Mutex::new(connection), _lock: None })
    }
}

fn lock(file: &Path, path: &str) -> Result<File, StoreError> {
    let mut name = file.as_os_str().to_owned();
    name.push(".lock");
    let open_error = |cause: std::io::Error| StoreError::Open {
        path: path.to_owned(),
        cause: cause.to_string(),
    };
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(PathBuf::from(name))
        .map_err(open_error)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(cause)) => Err(open_error(cause)),
    }
}

/// Sets the pragmas and makes the tables; the inner error says why the file is not serin's.
fn prepare(connection: &mut Connection) -> rusqlite::Result<Result<(), String>> {
    let application: i64 = connection.pragma_query_value(None, "application_id", |r| r.get(0))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |r| r.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
    if application != APPLICATION_ID && (tables > 0 || version > 0) {
        return Ok(Err("another program's database".to_owned()));
    }
    let missing = usize::try_from(version).ok().and_then(|version| SCHEMAS.get(version..));
    let Some(missing) = missing else {
        return Ok(Err(format!("schema {version}, made by a newer serin")));
    };
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |r| r.get(0))?;
    if mode != "wal" {
        return Ok(Err(format!("no write-ahead log can be kept beside it, only {mode:?}")));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    if !missing.is_empty() {
        let transaction = connection.transaction()?;
        for schema in missing {
            transaction.execute_batch(schema)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMAS.len() as i64)?;
        transaction.commit()?;
    }
    Ok(Ok(()))
}

impl Store for SqliteStore {
    fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let connection = self.connection.lock();
        let mut statement = connection.prepare_cached(
            "SELECT sequence, at, event FROM journal WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        )?;
        // SQLite's integers have a sign. No journal is so long that this makes a difference.
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![after, limit], |row| {
            Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })?;
        rows.map(|row| {
            let (sequence, at, event) = row?;
            let damaged = |cause: String| StoreError::Damaged {
                what: format!("journal entry {sequence}"),
                cause,
            };
            Ok(Entry {
                sequence,
                at: at.parse().map_err(|e: jiff::Error| damaged(e.to_string()))?,
                event: serde_json::from_str(&event).map_err(|e| damaged(e.to_string()))?,
            })
        })
        .collect()
    }

    fn newest_sequence(&self) -> Result<u64, StoreError> {
        Ok(newest_sequence(&self.connection.lock())?)
    }

    fn append(&self, expected: u64, at: Timestamp, event: &Event) -> Result<Entry, StoreError> {
        let text = json("an event", event)?;
        let mut connection = self.connection.lock();
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let actual = newest_sequence(&transaction)?;
        if actual != expected {
            return Err(StoreError::Conflict { expected, actual });
        }
        let sequence = expected + 1;
        transaction.execute(
            "INSERT INTO journal (sequence, at, event) VALUES (?1, ?2, ?3)",
            params![sequence, at.to_string(), text],
        )?;
        transaction.commit()?;
        Ok(Entry { sequence, at, event: event.clone() })
    }

    fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        let text: Option<String> = self
            .connection
            .lock()
            .query_row("SELECT body FROM checkpoint", [], |row| row.get(0))
            .optional()?;
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(|cause| {
            StoreError::Damaged { what: "a checkpoint".to_owned(), cause: cause.to_string() }
        })
    }

    fn save_checkpoint(
        &self,
        checkpoint: &Checkpoint,
        grown: &[LogRecord],
    ) -> Result<(), StoreError> {
        let text = json("a checkpoint", checkpoint)?;
        let mut connection = self.connection.lock();
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute(
            "INSERT INTO checkpoint (only, body) VALUES (1, ?1)
             ON CONFLICT (only) DO UPDATE SET body = excluded.body",
            params![text],
        )?;
        evidence::grow(&transaction, checkpoint.rollout, grown)?;
        labels::grow(&transaction, checkpoint.rollout, &checkpoint.new_labels)?;
        transaction.commit()?;
        Ok(())
    }

    fn chunks(&self) -> Result<Vec<Chunk>, StoreError> {
        evidence::chunks(&self.connection.lock())
    }

    fn base(&self, chunk: Chunk) -> Result<Option<Monitors>, StoreError> {
        evidence::base(&self.connection.lock(), chunk)
    }

    fn ticks(&self, chunk: Chunk) -> Result<Vec<LoggedTick>, StoreError> {
        evidence::ticks(&self.connection.lock(), chunk)
    }

    fn forget_chunks(&self, chunks: &[Chunk]) -> Result<(), StoreError> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction()?;
        for chunk in chunks {
            evidence::forget(&transaction, *chunk)?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn told(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        told::all(&self.connection.lock())
    }

    fn save_told(&self, target: &str, up_to: u64) -> Result<(), StoreError> {
        told::save(&self.connection.lock(), target, up_to)
    }

    fn labels(&self, rollout: u64) -> Result<Vec<u64>, StoreError> {
        labels::labels(&self.connection.lock(), rollout)
    }

    fn kept(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let connection = self.connection.lock();
        let select = "SELECT bytes FROM kept WHERE name = ?1";
        Ok(connection.query_row(select, [name], |row| row.get(0)).optional()?)
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.connection
            .lock()
            .execute("INSERT OR REPLACE INTO kept VALUES (?1, ?2)", params![name, bytes])?;
        Ok(())
    }

    fn artifact(&self, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .connection
            .lock()
            .query_row("SELECT bytes FROM artifact WHERE digest = ?1", params![digest], |row| {
                row.get(0)
            })
            .optional()?)
    }

    fn save_artifact(&self, digest: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.connection.lock().execute(
            "INSERT INTO artifact (digest, bytes) VALUES (?1, ?2) ON CONFLICT (digest) DO NOTHING",
            params![digest, bytes],
        )?;
        Ok(())
    }

    fn retain_artifacts(&self, digests: &[&str]) -> Result<(), StoreError> {
        let kept = json("a list of digests", &digests)?;
        self.connection.lock().execute(
            "DELETE FROM artifact WHERE digest NOT IN (SELECT value FROM json_each(?1))",
            params![kept],
        )?;
        Ok(())
    }
}

fn newest_sequence(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT coalesce(max(sequence), 0) FROM journal", [], |row| row.get(0))
}

fn json<T: serde::Serialize>(what: &str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|cause| StoreError::Damaged { what: what.to_owned(), cause: cause.to_string() })
}
