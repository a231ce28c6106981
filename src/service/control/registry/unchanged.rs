//! Whether a file is still the same.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// Identity, size and time of change (ctime) of a file that was listed. Only the system sets the time of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unchanged {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) bytes: u64,
    pub(super) changed: (i64, i64),
}

impl From<Metadata> for Unchanged {
    fn from(file: Metadata) -> Unchanged {
        Unchanged {
            device: file.dev(),
            inode: file.ino(),
            bytes: file.size(),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}
