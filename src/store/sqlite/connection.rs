//! SQLite file: opening, locking and the schema.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::OpenFlags;

use super::file::StoreFile;
use crate::store::error::StoreError;

/// A store in one SQLite file, or in memory.
pub struct SqliteStore {
    /// One connection: writes are rare, and SQLite allows one writer at a time.
    pub(super) connection: Mutex<Connection>,
    /// Whether the journal has grown since the last [`settle`](Self::settle). Written under the connection's lock.
    pub(super) has_grown: AtomicBool,
    /// Dropped last, and the lock with it. `None` if read-only or in memory.
    file: Option<StoreFile>,
}

/// Marks the file as serin's ("srin"), so that serin never writes to another program's database.
const APPLICATION_ID: i64 = 0x7372_696e;

/// The version of the tables below, as the file states it. Versions 1 to 6 were never released.
const SCHEMA_VERSION: i64 = 8;

/// Ticks are stored in the order they arrive, so that a chunk is read and deleted in one stretch. Not
/// `WITHOUT ROWID`: that would give each tick of more than 1 kB a page of 4 kB.
const SCHEMA: &str = "
    CREATE TABLE journal (
        sequence INTEGER PRIMARY KEY,
        at       TEXT NOT NULL,
        event    TEXT NOT NULL,
        checksum BLOB NOT NULL
    ) STRICT;
    CREATE TABLE state (
        id       INTEGER PRIMARY KEY CHECK (id = 1),
        revision INTEGER NOT NULL,
        body     TEXT NOT NULL,
        checksum BLOB NOT NULL
    ) STRICT;
    CREATE TABLE artifact (
        digest TEXT PRIMARY KEY,
        bytes  BLOB NOT NULL
    ) STRICT;
    CREATE TABLE checkpoint (
        replica INTEGER PRIMARY KEY,
        body    TEXT NOT NULL
    ) STRICT;
    CREATE TABLE evidence_snapshot (
        replica  INTEGER NOT NULL,
        rollout  INTEGER NOT NULL,
        start    INTEGER NOT NULL,
        monitors TEXT NOT NULL,
        PRIMARY KEY (replica, rollout, start)
    ) STRICT;
    CREATE TABLE evidence_tick (
        replica   INTEGER NOT NULL,
        rollout   INTEGER NOT NULL,
        start     INTEGER NOT NULL,
        number    INTEGER NOT NULL,
        step      INTEGER NOT NULL,
        at_ms     INTEGER NOT NULL,
        increment BLOB NOT NULL,
        PRIMARY KEY (replica, rollout, start, number)
    ) STRICT;
    CREATE TABLE label (
        replica     INTEGER NOT NULL,
        rollout     INTEGER NOT NULL,
        fingerprint INTEGER NOT NULL,
        PRIMARY KEY (replica, rollout, fingerprint)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE delivered (
        target TEXT PRIMARY KEY,
        up_to  INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE secret (
        name  TEXT PRIMARY KEY,
        bytes BLOB NOT NULL
    ) STRICT;
";

impl SqliteStore {
    /// Opens the file, and creates it if it does not exist.
    ///
    /// # Errors
    /// When another serin has the file open, or when it cannot be opened or is not a store.
    pub fn open(file: &Path) -> Result<SqliteStore, StoreError> {
        let path = file.display().to_string();
        let file = StoreFile::lock(file)?;
        // Without SQLITE_OPEN_URI: a file name is never an address with options.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = connect(&file.path, flags).and_then(prepare);
        let connection = connection.map_err(|cause| cause.at(path)).inspect_err(|_| {
            if file.is_new {
                file.delete();
            }
        })?;
        // What the last process has left in the write-ahead log.
        let (connection, has_grown) = (Mutex::new(connection), true.into());
        let store = SqliteStore { connection, has_grown, file: Some(file) };
        store.settle()?;
        Ok(store)
    }

    /// A store in memory, lost when the process ends.
    ///
    /// # Errors
    /// When SQLite cannot create it.
    pub fn in_memory() -> Result<SqliteStore, StoreError> {
        let mut connection = Connection::open_in_memory()?;
        create_tables(&mut connection)?;
        Ok(SqliteStore::without_file(connection))
    }

    /// Opens the file to read its contents at this moment, even while a serin writes to it.
    ///
    /// # Errors
    /// When the file does not exist, cannot be opened, or is not a store of this version.
    pub fn open_to_read(file: &Path) -> Result<SqliteStore, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = connect(file, flags).and_then(|connection| {
            // One moment for all reads: evidence could be deleted between two of them.
            connection.execute_batch("BEGIN")?;
            match schema_of(&connection)? {
                Schema::Current => Ok(connection),
                Schema::None => Err(OpenError::Foreign("an empty database".to_owned())),
            }
        });
        let connection = connection.map_err(|cause| cause.at(file.display().to_string()))?;
        Ok(SqliteStore::without_file(connection))
    }
}

impl SqliteStore {
    fn without_file(connection: Connection) -> SqliteStore {
        SqliteStore { connection: Mutex::new(connection), has_grown: false.into(), file: None }
    }

    /// The size of the file and of its write-ahead log.
    pub(super) fn bytes(&self) -> Option<u64> {
        let path = &self.file.as_ref()?.path;
        let mut log = path.clone().into_os_string();
        log.push("-wal");
        let size = |path: &Path| std::fs::metadata(path).ok().map(|file| file.len());
        Some(size(path)? + size(Path::new(&log)).unwrap_or(0))
    }

    /// Checks that the file is still where it was opened.
    pub(super) fn check_file(&self) -> Result<(), StoreError> {
        self.file.as_ref().map_or(Ok(()), StoreFile::check)
    }

    /// Moves new entries from the write-ahead log into the file, so that a copy of the file alone is not an empty
    /// store. Where a reader is in the way, the next call moves the rest.
    pub(super) fn settle(&self) -> Result<(), StoreError> {
        self.check_file()?;
        if self.file.is_some() && self.has_grown.swap(false, Ordering::Relaxed) {
            let connection = self.connection.lock();
            let settled = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                let (is_busy, frames, moved): (bool, i64, i64) =
                    (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(!is_busy && moved == frames)
            });
            if settled != Ok(true) {
                self.has_grown.store(true, Ordering::Relaxed);
            }
            settled?;
        }
        Ok(())
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        let Some(file) = self.file.as_ref().filter(|file| file.is_new) else { return };
        let select = "SELECT count(*) FROM journal";
        let entries = self.connection.lock().query_row(select, [], |row| row.get::<_, u64>(0));
        // A start that failed leaves nothing behind.
        if entries == Ok(0) {
            file.delete();
        }
    }
}

/// Why a file cannot be opened as a store.
enum OpenError {
    Sqlite(rusqlite::Error),
    Foreign(String),
}

impl From<rusqlite::Error> for OpenError {
    fn from(cause: rusqlite::Error) -> OpenError {
        OpenError::Sqlite(cause)
    }
}

impl OpenError {
    fn at(self, path: String) -> StoreError {
        match self {
            OpenError::Sqlite(cause)
                if cause.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) =>
            {
                StoreError::Foreign { path, cause: "not an SQLite file".to_owned() }
            }
            OpenError::Sqlite(cause) => StoreError::Open { path, cause: cause.to_string() },
            OpenError::Foreign(cause) => StoreError::Foreign { path, cause },
        }
    }
}

fn connect(file: &Path, flags: OpenFlags) -> Result<Connection, OpenError> {
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

/// The tables a file has.
enum Schema {
    /// None: a new file.
    None,
    /// Those of this version.
    Current,
}

fn schema_of(connection: &Connection) -> Result<Schema, OpenError> {
    let application: i64 = connection.pragma_query_value(None, "application_id", |r| r.get(0))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |r| r.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
    match (application, version) {
        (APPLICATION_ID, SCHEMA_VERSION) => Ok(Schema::Current),
        (APPLICATION_ID, newer) if newer > SCHEMA_VERSION => {
            Err(OpenError::Foreign(format!("schema {newer}, written by a newer serin")))
        }
        (APPLICATION_ID, older) => {
            Err(OpenError::Foreign(format!("schema {older}, written by an older serin")))
        }
        (_, 0) if tables == 0 => Ok(Schema::None),
        (_, _) => Err(OpenError::Foreign("another program's database".to_owned())),
    }
}

/// Sets the pragmas, and creates the tables in a new file.
fn prepare(mut connection: Connection) -> Result<Connection, OpenError> {
    let schema = schema_of(&connection)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |r| r.get(0))?;
    if mode != "wal" {
        let cause = format!("its file system allows no write-ahead log, only {mode:?}");
        return Err(OpenError::Foreign(cause));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    match schema {
        Schema::Current => {}
        Schema::None => create_tables(&mut connection)?,
    }
    Ok(connection)
}

fn create_tables(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

#[cfg(test)]
impl Default for SqliteStore {
    fn default() -> SqliteStore {
        SqliteStore::in_memory().unwrap()
    }
}
