//! Errors of training data, with line or column and remedy.

use thiserror::Error;

use crate::model::output::MAX_CLASS_NAME_BYTES;
use crate::model::output::MAX_CLASSES;
use crate::text::lists::quoted;
use crate::text::tables::row_limit::MAX_ROW_BYTES;

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
    /// A row does not end.
    #[error(
        "line {line}: the row has more than {} MiB; check its line ends and quotes", MAX_ROW_BYTES >> 20
    )]
    LongRow {
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
        "line {line}: the target {target} is {found}, in {rows} rows; use --skip-unlabeled to leave them out{or}"
    )]
    BlankTarget {
        /// The target.
        target: String,
        /// That it is blank, or the text that counts as missing.
        found: String,
        /// What to do if the text is a class, or nothing.
        or: &'static str,
        /// The first line.
        line: u64,
        /// The number of rows.
        rows: usize,
    },
    /// Which class is the positive one is unknown.
    #[error(
        "target {target}: it does not say which of two classes is predicted; choose the value that counts as 1 with --positive, one of {values}{rest}"
    )]
    PositiveUnknown {
        /// The target.
        target: String,
        /// Its values.
        values: String,
        /// What happens to the other values.
        rest: &'static str,
    },
    /// The target has no value.
    #[error("target {target}: every row is blank; choose another column with --target")]
    NoTarget {
        /// The target.
        target: String,
    },
    /// The target has one value.
    #[error(
        "target {target}: all {rows} rows have {value}; training needs rows of two classes, add some of the other one or choose another column with --target"
    )]
    OneValue {
        /// The target.
        target: String,
        /// The value.
        value: String,
        /// The number of rows.
        rows: usize,
    },
    /// The target has more texts than classes can be.
    #[error(
        "target {target}: {different} different values; serin learns up to {MAX_CLASSES} classes, group the rare ones or learn one against the others with --positive"
    )]
    TooManyClasses {
        /// The target.
        target: String,
        /// How many different values.
        different: String,
    },
    /// A value of the target cannot be the name of a class.
    #[error(
        "target {target}: {name} cannot be the name of a class; use one line of at most {MAX_CLASS_NAME_BYTES} bytes, without control characters"
    )]
    ClassName {
        /// The target.
        target: String,
        /// The value.
        name: String,
    },
    /// The target is a quantity.
    #[error(
        "target {target}: {different} different numbers; serin learns classes and not quantities (regression): import a regression that another library trained (serin import), or derive a column of classes from it; if the numbers are codes of up to {MAX_CLASSES} classes, use --categorical '{option}'"
    )]
    Regression {
        /// The target.
        target: String,
        /// How many different numbers.
        different: String,
        /// The name as --categorical takes it.
        option: String,
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
    /// Numbers of a column have different decimal signs.
    #[error(
        "line {line}: column {name} has {first}, and {other} in line {other_line}; write its numbers with one decimal sign, or use --categorical if the column holds words"
    )]
    TwoDecimalSigns {
        /// The column.
        name: String,
        /// The first line with one of the signs.
        line: u64,
        /// The number there.
        first: String,
        /// The first line with the other sign.
        other_line: u64,
        /// The number there.
        other: String,
    },
    /// A model takes numbers, and the column has something else.
    #[error(
        "line {line}: column {name} has {value}, in {rows} rows, but the model takes numbers; correct it, or leave it blank if it is missing"
    )]
    NotANumber {
        /// The column.
        name: String,
        /// The first line with the value.
        line: u64,
        /// Rows with it.
        rows: usize,
        /// The value.
        value: String,
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

impl DatasetError {
    /// A target of so many different numbers.
    pub(super) fn regression(target: &str, different: String) -> Self {
        Self::Regression { target: quoted(target), different, option: target.to_owned() }
    }
}
