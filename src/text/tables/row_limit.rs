//! Limit of the length of a row, so that a file without line ends, or with an unclosed quote, does not fill the
//! memory.

use std::cell::Cell;
use std::io;
use std::io::Read;
use std::rc::Rc;

use thiserror::Error;

/// Maximum length of a row in bytes: far beyond any table, far below the memory.
pub const MAX_ROW_BYTES: usize = 8 << 20;

/// A row is longer than [`MAX_ROW_BYTES`].
#[derive(Debug, Error)]
#[error("a row has more than {} MiB", MAX_ROW_BYTES >> 20)]
pub struct RowTooLong;

impl RowTooLong {
    /// Whether this is why reading failed.
    pub fn caused(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|cause| cause.is::<RowTooLong>())
    }
}

/// Says where rows begin.
pub struct RowStart(Rc<Cell<usize>>);

impl RowStart {
    /// The next row begins about here, give or take what a reader buffers.
    pub fn next(&self) {
        self.0.set(MAX_ROW_BYTES);
    }
}

/// A source that fails in a row that is too long.
pub struct LimitedRows<R> {
    source: R,
    left: Rc<Cell<usize>>,
}

impl<R: Read> LimitedRows<R> {
    /// The source with the limit, and what to call at each row.
    pub fn new(source: R) -> (Self, RowStart) {
        let left = Rc::new(Cell::new(MAX_ROW_BYTES));
        (Self { source, left: left.clone() }, RowStart(left))
    }
}

impl<R: Read> Read for LimitedRows<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        let left = self.left.get().checked_sub(count);
        self.left.set(left.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, RowTooLong))?);
        Ok(count)
    }
}
