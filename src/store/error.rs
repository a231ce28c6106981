//! Errors of a store.

use thiserror::Error;

/// Why a store call failed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another writer appended first.
    #[error("the journal is at revision {actual}, not {expected}; read the status and retry")]
    Conflict {
        /// The revision the writer expected.
        expected: u64,
        /// The actual revision.
        actual: u64,
    },
    /// Another process has the store open.
    #[error(
        "{path} is in use by another serin; stop that process, or use another file: \
         --store sqlite:OTHER.db"
    )]
    InUse {
        /// The database file.
        path: String,
    },
    /// The file was deleted or replaced while it was open.
    #[error(
        "{path} was deleted or replaced while serin uses it, so nothing can be saved; put the file back, or restart \
         serin"
    )]
    Gone {
        /// The database file.
        path: String,
    },
    /// The file cannot be opened.
    #[error("cannot open {path}: {cause}; check the path, the permissions and the free space")]
    Open {
        /// The database file.
        path: String,
        /// What the operating system or SQLite said.
        cause: String,
    },
    /// The file was written by another version of serin, or is not a store.
    #[error("this serin cannot read {path} ({cause}); choose another store with --store")]
    Foreign {
        /// The database file.
        path: String,
        /// What the file is instead.
        cause: String,
    },
    /// The contents cannot be read.
    #[error("cannot read {what} in the store: {cause}; restore a backup")]
    Damaged {
        /// Which part.
        what: String,
        /// Why.
        cause: String,
    },
    /// Another process of the fleet decides, and only that one may write this.
    #[error("{}; send the command again", decides(.holder.as_deref()))]
    NotLeader {
        /// Its name, process and since when; `None` if none decides at this moment.
        holder: Option<String>,
    },
    /// The database has lost entries that were saved in it.
    #[error(
        "the journal in {store} ends at entry {newest}, and this serin knows entry {known}: the database is an older \
         copy; restore the newer one, or restart serin to go on from entry {newest}"
    )]
    Shortened {
        /// The address of the database.
        store: String,
        /// The newest entry there.
        newest: u64,
        /// The newest entry that was there.
        known: u64,
    },
    /// The connection to the database is lost.
    #[error(
        "{store} does not answer: {cause}; check the database and the network; serin tries again by itself"
    )]
    Unreachable {
        /// The address of the database.
        store: String,
        /// What the operating system, the database or the driver said.
        cause: String,
    },
    /// The connection broke while an entry was written.
    #[error(
        "the connection to {store} broke while an entry was written ({cause}), so it is unknown whether it was saved; \
         serin finds out when the database answers again: read the status then"
    )]
    Unsure {
        /// The address of the database.
        store: String,
        /// Why it does not answer.
        cause: String,
    },
    /// The database refused.
    #[error("{store} failed: {cause}; check the database, its address and the permissions")]
    Database {
        /// The address of the database.
        store: String,
        /// What the database said.
        cause: String,
    },
    /// SQLite failed.
    #[error("the store failed: {0}; {remedy}", remedy = remedy(.0))]
    Sqlite(#[source] rusqlite::Error),
}

fn remedy(cause: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode::DatabaseBusy;
    use rusqlite::ErrorCode::DatabaseLocked;
    use rusqlite::ErrorCode::DiskFull;
    match cause.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => "end the program that locks its file",
        Some(DiskFull) => "make space on its disk",
        Some(_) | None => "check the free space and the permissions of its folder",
    }
}

fn decides(holder: Option<&str>) -> String {
    match holder {
        Some(holder) => format!("another serin decides now ({holder})"),
        None => "this serin does not decide any more, and another one does not yet".to_owned(),
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(cause: rusqlite::Error) -> StoreError {
        use rusqlite::ErrorCode::DatabaseCorrupt;
        use rusqlite::ErrorCode::NotADatabase;
        match cause.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => {
                let (what, cause) = ("a page".to_owned(), cause.to_string());
                StoreError::Damaged { what, cause }
            }
            Some(_) | None => StoreError::Sqlite(cause),
        }
    }
}
