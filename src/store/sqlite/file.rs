//! File of an SQLite store: one server for each, found by identity, private, and noticed when it is gone.

use std::fs::File;
use std::fs::Metadata;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use crate::store::error::StoreError;

/// The file holds the key of the prediction ids, so only its owner may read it. SQLite gives its other files the same
/// permissions.
const PRIVATE: u32 = 0o600;

/// A locked database file.
pub(super) struct StoreFile {
    /// Without symbolic links: SQLite and the lock go by the same name.
    pub(super) path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    /// Whether [`lock`](Self::lock) created it.
    pub(super) is_new: bool,
    /// Held until the store is dropped; then another serin can open the file.
    _lock: File,
}

impl StoreFile {
    /// Locks the file, and creates it if it does not exist.
    pub(super) fn lock(given: &Path) -> Result<StoreFile, StoreError> {
        let shown = given.display().to_string();
        let failed =
            |cause: io::Error| StoreError::Open { path: shown.clone(), cause: cause.to_string() };
        let path = real(given).map_err(failed)?;
        let lock = match locked(&with_ending(&path, ".lock")) {
            Ok(lock) => lock,
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path: shown }),
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        };
        let is_new = match private().create_new(true).open(&path) {
            Ok(_created) => true,
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => false,
            Err(cause) => return Err(failed(cause)),
        };
        let metadata = path.metadata().map_err(failed)?;
        if metadata.is_file() && metadata.nlink() > 1 {
            let cause =
                "it has several names (hard links), so another serin could use it unnoticed";
            return Err(StoreError::Foreign { path: shown, cause: cause.to_owned() });
        }
        let identity = identity(&metadata);
        Ok(StoreFile { path, identity, is_new, _lock: lock })
    }

    /// Checks that the path still names this file.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.path.metadata() {
            Ok(found) if identity(&found) == self.identity => Ok(()),
            Ok(_) | Err(_) => Err(StoreError::Gone { path: self.path.display().to_string() }),
        }
    }

    /// Deletes it, as after a start that failed before anything was written.
    pub(super) fn delete(&self) {
        if self.check().is_ok() {
            for name in ["", "-wal", "-shm", ".lock"] {
                // What cannot be deleted is an empty store at the next start.
                let _ = std::fs::remove_file(with_ending(&self.path, name));
            }
        }
    }
}

/// Opens this file and locks it. Another process may delete it between the two; then the lock keeps out nothing, and
/// the file that has taken its place is locked.
fn locked(path: &Path) -> Result<File, TryLockError> {
    loop {
        let lock = private().truncate(false).open(path).map_err(TryLockError::Error)?;
        lock.try_lock()?;
        let held = lock.metadata().map_err(TryLockError::Error)?;
        if path.metadata().is_ok_and(|found| identity(&found) == identity(&held)) {
            return Ok(lock);
        }
    }
}

/// Device and inode.
fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

fn private() -> OpenOptions {
    let mut options = File::options();
    options.write(true).create(true).mode(PRIVATE);
    options
}

/// The path without symbolic links; of a file that does not exist, that of its folder with its name.
fn real(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(cause) if cause.kind() == ErrorKind::NotFound && !path.is_symlink() => {
            let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).canonicalize()?;
            Ok(path.file_name().map_or(folder.clone(), |name| folder.join(name)))
        }
        found => found,
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
