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
    #[error("this serin cannot read {path} ({cause}); choose another file with --store")]
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
    /// SQLite failed.
    #[error("the store failed: {0}; check the free space and the permissions of its folder")]
    Sqlite(#[source] rusqlite::Error),
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
