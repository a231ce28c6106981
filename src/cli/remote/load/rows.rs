//! Rows to send: of a file, or drawn at random.

use super::args::LoadArgs;
use super::drawn::Drawn;
use super::file::FileRows;
use super::row::Row;
use super::served::Served;
use crate::model::training::random::Stream;

/// An endless supply of rows.
pub(super) enum Rows {
    /// Each feature on its own, from its values in training.
    Drawn(Drawn),
    /// Those of a file.
    File(FileRows),
}

impl Rows {
    /// The rows that the flags ask for.
    ///
    /// # Errors
    /// When the file cannot be read, or does not fit the model.
    pub(super) fn of(args: &LoadArgs, served: &Served) -> anyhow::Result<Rows> {
        match &args.data {
            None => Ok(Rows::Drawn(Drawn::new(served))),
            Some(path) => {
                let labels = args.labels.as_deref();
                FileRows::read(path, labels, args.positive.as_deref(), served).map(Rows::File)
            }
        }
    }

    /// Where they come from.
    pub(super) fn in_words(&self) -> String {
        match self {
            Rows::Drawn(drawn) => drawn.in_words(),
            Rows::File(file) => file.in_words(),
        }
    }

    /// The next row.
    pub(super) fn next(&mut self, stream: &mut Stream) -> Row {
        match self {
            Rows::Drawn(drawn) => Row { features: drawn.row(stream), outcome: None },
            Rows::File(file) => file.next(stream),
        }
    }
}
