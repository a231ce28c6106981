//! Zip archives with stored entries, as skops writes them.
//!
//! Source: PKWARE's APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16. Refused: compression (so no archive grows
//! while it is read), encryption, zip64, and names other than `schema.json`, `<digits>.npy` and `<uuid>.bin`.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::model::kinds::limits::MAX_BYTES;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;
use crate::model::kinds::refusal::excerpt;

const END_OF_DIRECTORY: &[u8] = b"PK\x05\x06";
const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
/// Length of the end record without its comment, which is at most 65,535 bytes long.
const END_BYTES: usize = 22;

/// The entries of an archive by name. Contents stay where they are in the file.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    entries: BTreeMap<&'a str, &'a [u8]>,
    /// Bytes of arrays that may still be read.
    budget: Cell<usize>,
}

/// Each array is read once or twice. Any number of objects may name one, so without a limit a small file could take
/// hours.
const READS_PER_BYTE: usize = 16;

/// Whether a file looks like a zip archive.
pub(crate) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(LOCAL_HEADER)
}

impl<'a> Archive<'a> {
    /// Reads the directory.
    pub(crate) fn read(bytes: &'a [u8]) -> Reading<Self> {
        let size = bytes.len();
        if size > MAX_BYTES {
            return Err(refusal(format!("{size} bytes, at most {MAX_BYTES} are read")));
        }
        let end = end_of_directory(bytes).ok_or_else(|| refusal("no end record: it is cut off"))?;
        let count = number(end, 10, 2).unwrap_or(0);
        let mut directory = number(end, 16, 4)
            .and_then(|start| bytes.get(start..))
            .ok_or_else(|| refusal("the directory is not in the file (zip64 is not read)"))?;
        let mut entries = BTreeMap::new();
        let mut total = 0_usize;
        for _ in 0..count {
            let (entry, length) = Entry::read(directory)?;
            total = total.saturating_add(entry.size);
            if total > size {
                return Err(refusal("its entries are larger than the file"));
            }
            if entries.insert(entry.name, entry.content(bytes)?).is_some() {
                return Err(refusal(format!("two entries named {}", excerpt(entry.name))));
            }
            directory = directory.get(length..).unwrap_or_default();
        }
        Ok(Self { entries, budget: Cell::new(size.saturating_mul(READS_PER_BYTE)) })
    }

    /// Takes the bytes of an array from the budget.
    pub(crate) fn spend(&self, bytes: usize) -> Reading<()> {
        let left = self.budget.get().checked_sub(bytes);
        self.budget.set(left.ok_or_else(|| refusal("its objects name the same arrays too often"))?);
        Ok(())
    }

    /// The bytes of an entry.
    pub(crate) fn entry(&self, name: &str) -> Reading<&'a [u8]> {
        let entry = self.entries.get(name).copied();
        entry.ok_or_else(|| refusal(format!("{} is missing", excerpt(name))))
    }
}

struct Entry<'a> {
    name: &'a str,
    size: usize,
    offset: usize,
}

impl<'a> Entry<'a> {
    /// The first entry of a directory, and its length there.
    fn read(directory: &'a [u8]) -> Reading<(Self, usize)> {
        let cut = || refusal("the directory is cut off");
        if !directory.starts_with(ENTRY) {
            return Err(cut());
        }
        let field = |at, width| number(directory, at, width).ok_or_else(cut);
        let (flags, method) = (field(8, 2)?, field(10, 2)?);
        let (packed, size) = (field(20, 4)?, field(24, 4)?);
        let (name, extra, comment) = (field(28, 2)?, field(30, 2)?, field(32, 2)?);
        let offset = field(42, 4)?;
        let text = directory.get(46..46 + name).ok_or_else(cut)?;
        let text = str::from_utf8(text).ok().filter(|name| is_allowed(name));
        let text = text.ok_or_else(|| refusal("an entry has a name that skops does not write"))?;
        if flags & 1 != 0 {
            return Err(refusal(format!("{text} is encrypted")));
        }
        if method != 0 || packed != size {
            let problem = "is compressed; save it with skops.io.dump(model, file), which stores";
            return Err(refusal(format!("{text} {problem}")));
        }
        Ok((Self { name: text, size, offset }, 46 + name + extra + comment))
    }

    fn content(&self, bytes: &'a [u8]) -> Reading<&'a [u8]> {
        let content = || {
            let local = bytes.get(self.offset..).filter(|local| local.starts_with(LOCAL_HEADER))?;
            let start = 30 + number(local, 26, 2)? + number(local, 28, 2)?;
            local.get(start..start.checked_add(self.size)?)
        };
        content().ok_or_else(|| refusal(format!("{} is not where the directory says", self.name)))
    }
}

/// `schema.json`, `<digits>.npy`, `<uuid>.bin`.
fn is_allowed(name: &str) -> bool {
    let digits = |stem: &str| !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_digit());
    let uuid =
        |stem: &str| !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    name == "schema.json"
        || name.strip_suffix(".npy").is_some_and(digits)
        || name.strip_suffix(".bin").is_some_and(uuid)
}

fn end_of_directory(bytes: &[u8]) -> Option<&[u8]> {
    let last = bytes.len().checked_sub(END_BYTES)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    (first..=last).rev().filter_map(|at| bytes.get(at..)).find(|end| {
        let comment = number(end, 20, 2);
        end.starts_with(END_OF_DIRECTORY) && comment == Some(end.len() - END_BYTES)
    })
}

/// A little-endian number.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let digits = bytes.get(at..at.checked_add(width)?)?;
    Some(digits.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

fn refusal(problem: impl Into<String>) -> Refusal {
    Refusal::new("archive", problem)
}
