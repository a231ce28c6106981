//! Errors of training data, with line or column and remedy.

use thiserror::Error;

/// Why a file is not training data.
#[derive(Debug, Error)]
pub enum DatasetError {
    /// The file cannot be opened or read.
    #[error("cannot be read ({cause}); check the path and its permissions")]
    Unreadable {
        /// The system's reason.
        cause: std::io::Error,
    },
    /// The file is not text.
    #[error(
        "line {line}: not UTF-8; if it is Latin-1 or Windows-1252 use --encoding latin1, otherwise save the file as UTF-8"
    )]
    NotUtf8 {
        /// The line.
        line: u64,
    },
    /// A row has more or fewer fields than the header.
    #[error("line {line}: {found} fields, the header has {expected}; fix or delete the line")]
    Ragged {
        /// The line.
        line: u64,
        /// Fields in the line.
        found: u64,
        /// Fields in the header.
        expected: u64,
    },
    /// A column has no name.
    #[error(
        "line 1: column {position} of the header has no name; name every column (only a first column that counts the rows may have none)"
    )]
    BlankHeader {
        /// Position, counted from 1.
        position: usize,
    },
    /// Two columns have the same name.
    #[error("line 1: column {name} occurs twice; use unique names")]
    DuplicateHeader {
        /// The name.
        name: String,
    },
    /// The file has no rows.
    #[error("no rows; the file needs a header and at least one row of each class")]
    NoRows,
    /// An option names an unknown column.
    #[error("{option}: unknown column {name}{suggestion}; the columns are {names}")]
    UnknownColumn {
        /// The option.
        option: &'static str,
        /// The name given.
        name: String,
        /// " (did you mean ..?)", or nothing.
        suggestion: String,
        /// The names of the columns.
        names: String,
    },
    /// The target is dropped.
    #[error("drop: {name} is the target; drop another column or choose another target")]
    TargetDropped {
        /// The name.
        name: String,
    },
    /// The target of some rows is missing.
    #[error(
        "line {line}: the target {target} is {found}, in {rows} rows; use --skip-unlabeled to train on the others"
    )]
    BlankTarget {
        /// The target.
        target: String,
        /// `blank`, or the text that counts as missing.
        found: String,
        /// The first line.
        line: u64,
        /// The number of rows.
        rows: usize,
    },
    /// Which class is the positive one is unknown.
    #[error(
        "target {target}: serin tells two classes apart; choose the value that counts as 1 with --positive, one of {values}{rest}"
    )]
    PositiveUnknown {
        /// The target.
        target: String,
        /// Its values.
        values: String,
        /// What happens to the other values.
        rest: &'static str,
    },
    /// The target is a quantity.
    #[error(
        "target {target}: {different} different numbers; serin tells two classes apart and does not predict numbers (regression), derive a column with two values from it"
    )]
    Regression {
        /// The target.
        target: String,
        /// How many different numbers.
        different: String,
    },
    /// Both kinds are asked for.
    #[error("column {name}: --numeric and --categorical exclude each other; use one of them")]
    TwoKinds {
        /// The column.
        name: String,
    },
    /// The positive value does not occur.
    #[error(
        "positive: the target {target} is never {positive}{suggestion}; its values are {values}"
    )]
    PositiveAbsent {
        /// The target.
        target: String,
        /// The positive value.
        positive: String,
        /// " (did you mean ..?)", or nothing.
        suggestion: String,
        /// The values of the target.
        values: String,
    },
    /// The target has one class.
    #[error(
        "target {target}: all {rows} rows are of class {all}; training needs rows of both classes"
    )]
    OneClass {
        /// The target.
        target: String,
        /// The number of rows.
        rows: usize,
        /// Their class.
        all: u8,
    },
    /// No feature is left.
    #[error("no columns are left except the target {target}; drop fewer")]
    NoFeatures {
        /// The target.
        target: String,
    },
    /// A column is empty.
    #[error("column {name}: every value is blank; exclude it with --drop")]
    BlankColumn {
        /// The column.
        name: String,
    },
    /// A numeric column has a value that is not a finite number.
    #[error(
        "line {line}: column {name} has {value}, in {rows} rows, but {among}; use --missing '{option}' if it marks missing values, --categorical if the column holds words, or fix the value"
    )]
    OddNumber {
        /// The column.
        name: String,
        /// The first line with such a value.
        line: u64,
        /// Rows with this value.
        rows: usize,
        /// The value.
        value: String,
        /// Why the column is numeric.
        among: &'static str,
        /// The value as --missing takes it.
        option: String,
    },
    /// A column of dates has too many different ones for categories.
    #[error(
        "column {name}: {levels} different dates; dates are not understood, derive numbers from them, such as an age in days, or exclude it with --drop '{option}'"
    )]
    Dates {
        /// The column.
        name: String,
        /// The number of dates.
        levels: String,
        /// The name as --drop takes it.
        option: String,
    },
    /// A column contains identifiers.
    #[error(
        "column {name}: {levels} different texts in {rows} rows, the maximum is {max} and half the rows; it looks like an identifier, exclude it with --drop '{option}'"
    )]
    TooManyLevels {
        /// The column.
        name: String,
        /// The number of levels.
        levels: String,
        /// The number of rows.
        rows: usize,
        /// Maximum number of levels.
        max: usize,
        /// The name as --drop takes it.
        option: String,
    },
}
