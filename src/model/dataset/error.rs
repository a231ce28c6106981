//! Why a file is no training data, with its line or column and what to do.

use thiserror::Error;

/// Why a file is no training data.
#[derive(Debug, Error)]
pub enum DatasetError {
    /// The file cannot be opened or read.
    #[error("it cannot be read ({cause}); check the path and its permissions")]
    Unreadable {
        /// The system's reason.
        cause: std::io::Error,
    },
    /// The file is not text.
    #[error("line {line}: it is not UTF-8 text; save the file as UTF-8")]
    NotUtf8 {
        /// The line.
        line: u64,
    },
    /// A row with more or fewer fields than the header.
    #[error(
        "line {line}: it has {found} fields, the header has {expected}; mend or delete that line"
    )]
    Ragged {
        /// The line.
        line: u64,
        /// Fields in the line.
        found: u64,
        /// Fields in the header.
        expected: u64,
    },
    /// A column without a name.
    #[error("line 1: column {position} of the header has no name; name every column")]
    BlankHeader {
        /// Position, counted from 1.
        position: usize,
    },
    /// Two columns of one name.
    #[error("line 1: the header names column {name} twice; names must be unique")]
    DuplicateHeader {
        /// The name.
        name: String,
    },
    /// A header at most.
    #[error("there are no rows; the file needs a header and at least one row for each class")]
    NoRows,
    /// An option names a column that is not there.
    #[error("{option}: there is no column {name}{suggestion}; the columns are {names}")]
    UnknownColumn {
        /// The option.
        option: &'static str,
        /// The name given.
        name: String,
        /// " (did you mean ..?)", or nothing.
        suggestion: String,
        /// The names there are.
        names: String,
    },
    /// The target is to be dropped.
    #[error("drop: {name} is the target; drop another column or choose another target")]
    TargetDropped {
        /// The name.
        name: String,
    },
    /// A row whose outcome is not known.
    #[error(
        "line {line}: the target {target} is blank; delete the rows whose outcome is not known"
    )]
    BlankTarget {
        /// The target.
        target: String,
        /// The line.
        line: u64,
    },
    /// No row is positive.
    #[error(
        "positive: the target {target} is never {positive}{suggestion}; its values are {values}"
    )]
    PositiveAbsent {
        /// The target.
        target: String,
        /// The value asked for.
        positive: String,
        /// " (did you mean ..?)", or nothing.
        suggestion: String,
        /// The values there are.
        values: String,
    },
    /// Nothing to tell apart.
    #[error(
        "target {target}: all {rows} rows are of class {all}; training needs rows of both classes"
    )]
    OneClass {
        /// The target.
        target: String,
        /// How many rows there are.
        rows: usize,
        /// The class they all have.
        all: u8,
    },
    /// Nothing to learn from.
    #[error("no columns are left beside the target {target}; drop fewer")]
    NoFeatures {
        /// The target.
        target: String,
    },
    /// A column of blanks.
    #[error("column {name}: every value is blank; leave it out with --drop")]
    BlankColumn {
        /// The column.
        name: String,
    },
    /// A column of numbers with something else in it.
    #[error(
        "line {line}: column {name} has {value} where nearly all values are finite numbers; write a blank for a value that is not known, or mend it"
    )]
    OddNumber {
        /// The column.
        name: String,
        /// The first such line.
        line: u64,
        /// The value there.
        value: String,
    },
    /// A column of identifiers.
    #[error(
        "column {name}: {levels} different words in {rows} rows, allowed are {max} and at most half as many as rows; it identifies rows rather than describing them, leave it out with --drop '{option}'"
    )]
    TooManyLevels {
        /// The column.
        name: String,
        /// How many words.
        levels: usize,
        /// In how many rows.
        rows: usize,
        /// Maximum number of levels.
        max: usize,
        /// The name, as the option takes it.
        option: String,
    },
}
