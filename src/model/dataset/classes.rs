//! What is to be predicted: one of two classes, or one of many.

use super::error::DatasetError;
use super::options::DatasetOptions;
use crate::model::output::MAX_CLASSES;
use crate::model::output::bad_class_name;
use crate::text::lists::listed;
use crate::text::lists::quoted;

/// More different numbers than this are a quantity, not classes.
const MAX_NUMERIC_CLASSES: usize = 20;

/// Decimal digits that every double holds.
const MAX_DIGITS: usize = 15;

/// The class of each row.
#[derive(Clone, Debug, PartialEq)]
pub enum Labels {
    /// One value against all others.
    Two {
        /// The value that counts as 1.
        positive: String,
        /// Whether a row has it.
        of_rows: Vec<bool>,
    },
    /// All values, three or more.
    Many(Classes),
}

/// Rows of three or more classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes {
    /// The names: numbers ascending, or words in alphabetical order.
    pub names: Vec<String>,
    /// The place of each row's class among the names.
    pub of_rows: Vec<u8>,
}

impl Labels {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        match self {
            Self::Two { of_rows, .. } => of_rows.len(),
            Self::Many(classes) => classes.of_rows.len(),
        }
    }

    /// The positive value and the outcome of each row, if there are two classes.
    pub fn two(&self) -> Option<(&str, &[bool])> {
        match self {
            Self::Two { positive, of_rows } => Some((positive, of_rows)),
            Self::Many(_) => None,
        }
    }
}

/// The names of the classes of a target with these values, in alphabetical order. Numbers are classes if there are at
/// most twenty, or if the column is asked to be categorical; 1 and 1.0 are one class.
pub(super) fn names(
    options: &DatasetOptions,
    values: &[&str],
    notes: &mut Vec<String>,
) -> Result<Vec<String>, DatasetError> {
    let target = quoted(&options.target);
    let is_categorical = options.categorical.contains(&options.target);
    let mut numbers: Vec<(f64, &str)> =
        values.iter().filter_map(|value| Some((number(value)?, *value))).collect();
    let mut names: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
    if numbers.len() == values.len() && !is_categorical {
        numbers.sort_by(|(a, one), (b, other)| a.total_cmp(b).then(one.len().cmp(&other.len())));
        numbers.dedup_by(|(later, _), (first, _)| later == first);
        if numbers.len() > MAX_NUMERIC_CLASSES {
            return Err(DatasetError::regression(&options.target, numbers.len().to_string()));
        }
        names = numbers.iter().map(|(number, text)| usual(*number, text)).collect();
        if names.len() > 2 {
            notes.push(format!(
                "target {target}: its {} numbers are learned as classes, without their order",
                names.len()
            ));
        }
    }
    if names.len() < 3 {
        let values = listed(values.iter().copied());
        return Err(DatasetError::PositiveUnknown { target, values, rest: "" });
    }
    if names.len() > MAX_CLASSES {
        let different = names.len().to_string();
        return Err(DatasetError::TooManyClasses { target, different });
    }
    if let Some(name) = bad_class_name(&names) {
        return Err(DatasetError::ClassName { target, name: quoted(name) });
    }
    for (place, name) in names.iter().enumerate() {
        let lower = name.to_lowercase();
        if let Some(twin) = names[..place].iter().find(|twin| twin.to_lowercase() == lower) {
            let (twin, name) = (quoted(twin), quoted(name));
            notes.push(format!(
                "target {target}: {twin} and {name} differ in case alone and are two classes; if they are one, write \
                 them alike"
            ));
        }
    }
    Ok(names)
}

/// A number as it is usually written, so that `1` and `1.00` in two files name one class; its text where that has more
/// digits than a number holds.
fn usual(number: f64, text: &str) -> String {
    let usual = number.to_string();
    if usual.len() > MAX_DIGITS { text.to_owned() } else { usual }
}

/// A text as a finite number.
pub(super) fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Whether two texts are one number.
pub(super) fn same_number(one: &str, other: &str) -> bool {
    number(one).is_some_and(|one| number(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::model::dataset::Dataset;

    fn options() -> DatasetOptions {
        DatasetOptions { target: "tier".to_owned(), ..DatasetOptions::default() }
    }

    /// Thirty rows or more whose target takes these values in turn.
    fn read_with(values: &[&str], options: &DatasetOptions) -> Result<Dataset, DatasetError> {
        let quote = |value: &str| format!("\"{value}\"");
        let rows = 0..values.len().max(30);
        let rows = rows.map(|row| format!("{}.5,{}\n", row % 7, quote(values[row % values.len()])));
        let content = rows.fold("x,tier\n".to_owned(), |text, row| text + &row);
        Dataset::from_reader(Cursor::new(content), "rows.csv".to_owned(), options)
    }

    fn read(values: &[&str]) -> Result<Dataset, DatasetError> {
        read_with(values, &options())
    }

    fn classes(data: &Dataset) -> &Classes {
        match data.labels() {
            Labels::Many(classes) => classes,
            Labels::Two { .. } => panic!("two classes"),
        }
    }

    #[test]
    fn numbers_are_named_in_their_usual_form() {
        let data = read(&["1.00", "9.0", "1e1", "-0.50", "12345678901234567"]).unwrap();
        assert_eq!(classes(&data).names, ["-0.5", "1", "9", "10", "12345678901234567"]);
        assert_eq!(classes(&data).of_rows[..5], [1, 2, 3, 0, 4]);
    }

    #[test]
    fn all_values_of_a_target_are_its_classes() {
        let data = read(&["silver", "basic", "gold"]).unwrap();
        assert_eq!(classes(&data).names, ["basic", "gold", "silver"]);
        assert_eq!(classes(&data).of_rows[..4], [2, 0, 1, 2]);
        assert!(data.warnings().is_empty(), "{:?}", data.warnings());
        // A usual pair and a third value.
        let data = read(&["Yes", "No", "Maybe"]).unwrap();
        assert_eq!(classes(&data).names, ["Maybe", "No", "Yes"]);
        // With a positive value it is one against the others.
        let one = DatasetOptions { positive: Some("gold".to_owned()), ..options() };
        let data = read_with(&["silver", "basic", "gold"], &one).unwrap();
        let (positive, of_rows) = data.labels().two().unwrap();
        assert_eq!((positive, &of_rows[..3]), ("gold", &[false, false, true][..]));
    }

    #[test]
    fn few_numbers_are_classes_in_their_order_and_many_are_a_quantity() {
        let data = read(&["10", "9", "1.0", "1"]).unwrap();
        assert_eq!(classes(&data).names, ["1", "9", "10"]);
        assert_eq!(classes(&data).of_rows[..4], [2, 1, 0, 0]);
        let [note] = data.warnings() else { panic!("{:?}", data.warnings()) };
        assert!(
            note.contains("its 3 numbers are learned as classes, without their order"),
            "{note}"
        );

        let numbers: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let message = read(&numbers).unwrap_err().to_string();
        for said in [
            "target `tier`: 30 different numbers; serin learns classes and not quantities (regression)",
            "import a regression that another library trained (serin import)",
            "use --categorical 'tier'",
        ] {
            assert!(message.contains(said), "{message}");
        }
        let codes = DatasetOptions { categorical: vec!["tier".to_owned()], ..options() };
        assert_eq!(classes(&read_with(&numbers, &codes).unwrap()).names.len(), 30);
    }

    #[test]
    fn a_hundred_classes_are_taken_and_more_are_refused() {
        let names = |count: usize| (0..count).map(|n| format!("c{n:03}")).collect::<Vec<String>>();
        let of = |names: &[String]| read(&names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(classes(&of(&names(100)).unwrap()).names, names(100));
        let message = of(&names(101)).unwrap_err().to_string();
        assert!(
            message.contains("101 different values; serin learns up to 100 classes"),
            "{message}"
        );
        assert!(
            message.contains("group the rare ones or learn one against the others"),
            "{message}"
        );
    }

    #[test]
    fn what_is_not_the_name_of_a_class_is_refused() {
        let long = "x".repeat(65);
        for (bad, shown) in [("a\u{7}b", "`a\\u{7}b`"), ("a\nb", "`a\\nb`"), (&long, "`xxx")] {
            let message = read(&["basic", "gold", bad]).unwrap_err().to_string();
            assert!(message.contains(shown), "{message}");
            assert!(message.contains("one line of at most 64 bytes"), "{message}");
        }
    }

    #[test]
    fn a_missing_class_is_refused_or_left_out() {
        let message = read(&["a", "b", "c", ""]).unwrap_err().to_string();
        assert!(
            message.contains("the target `tier` is blank, in 7 rows; use --skip-un"),
            "{message}"
        );
        let message = read(&["Mild", "Severe", "None"]).unwrap_err().to_string();
        assert!(message.contains("`None`, which counts as missing, in 10 rows"), "{message}");
        assert!(message.ends_with("or --missing-only '' if it is a class"), "{message}");
        let skip = DatasetOptions { skips_unlabeled: true, ..options() };
        let data = read_with(&["a", "b", "c", ""], &skip).unwrap();
        assert_eq!(data.labels().rows(), 23);
        assert_eq!(classes(&data).of_rows[..6], [0, 1, 2, 0, 1, 2]);
        assert!(data.warnings()[0].contains("7 of 30 rows have none"), "{:?}", data.warnings());
    }

    #[test]
    fn classes_that_differ_in_case_alone_get_a_line() {
        let data = read(&["gold", "Gold", "basic"]).unwrap();
        let [note] = data.warnings() else { panic!("{:?}", data.warnings()) };
        assert!(note.contains("`Gold` and `gold` differ in case alone"), "{note}");
    }
}
