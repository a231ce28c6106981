//! Files that are training data, and files that are not.

use super::*;

fn options() -> DatasetOptions {
    DatasetOptions { target: "churn".into(), positive: "Yes".into(), drop: Vec::new() }
}

fn read_with(content: &[u8], options: &DatasetOptions) -> Result<Dataset, DatasetError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    std::fs::write(&path, content).unwrap();
    Dataset::from_csv(&path, options)
}

fn read(content: &str) -> Result<Dataset, DatasetError> {
    read_with(content.as_bytes(), &options())
}

#[test]
fn numbers_texts_and_blanks_are_distinguished() {
    let data = read("\u{feff}x, plan ,churn\r\n1,a,Yes\r\n , b ,No\r\n-2.5e1,,No\r\n").unwrap();
    assert_eq!(data.source(), "rows.csv");
    assert_eq!(data.labels(), [true, false, false]);
    let words = ["a", "b"].map(|word| Some(word.to_owned()));
    let expected = [
        ("x", ColumnValues::Numeric(vec![Some(1.0), None, Some(-25.0)])),
        ("plan", ColumnValues::Categorical([&words[..], &[None]].concat())),
    ]
    .map(|(name, values)| Column { name: name.into(), values });
    assert_eq!(data.columns(), expected);
    let row = vec![Value::Missing, Value::Text("b".into())];
    assert_eq!(data.features(1), Features::Ordered(row));
    assert!(data.warnings().is_empty());
}

#[test]
fn a_target_of_three_values_is_learned_one_against_the_rest_with_a_warning() {
    let data = read("x,churn\n1,Yes\n2,No\n3,Maybe\n").unwrap();
    assert_eq!(data.labels(), [true, false, false]);
    assert!(data.warnings()[0].contains("`Maybe`, `No` all count as 0"), "{:?}", data.warnings());
}

#[test]
fn invalid_training_data_is_refused_with_line_or_column_and_remedy() {
    let cases = [
        ("", "no rows"),
        ("x,churn\n", "no rows"),
        ("x,,churn\n1,2,Yes\n", "column 2 of the header has no name"),
        ("x,x,churn\n1,2,Yes\n", "column `x` occurs twice"),
        ("x,churn\n1,Yes\n2\n", "line 3: 1 fields, the header has 2"),
        ("x,churn\n1,Yes\n2,No,9\n", "line 3: 3 fields"),
        ("x,Churn\n1,Yes\n", "target: unknown column `churn` (did you mean `Churn`?)"),
        ("x,churn\n1,yes\n2,no\n", "never `Yes` (did you mean `yes`?); its values are `no`, `yes`"),
        ("x,churn\n1,Yes\n2,Yes\n", "all 2 rows are of class 1"),
        ("x,churn\n1,Yes\n2,\n", "line 3: the target `churn` is blank"),
        ("churn\nYes\nNo\n", "no columns are left"),
        ("x,y,churn\n,1,Yes\n ,2,No\n", "column `x`: every value is blank"),
        ("x,churn\n1,Yes\ninf,No\n", "line 3: column `x` has `inf`"),
        ("x,churn\n1,Yes\nNaN,No\n", "line 3: column `x` has `NaN`"),
        ("x,churn\n1,Yes\n1e999,No\n", "line 3: column `x` has `1e999`"),
        ("x,churn\n\"unclosed,Yes\n2,No\n", "line 2: 1 fields"),
    ];
    for (content, expected) in cases {
        let message = read(content).unwrap_err().to_string();
        assert!(message.contains(expected), "{content:?}: {message} should contain {expected}");
    }
}

#[test]
fn a_column_of_identifiers_is_refused_with_the_option_that_drops_it() {
    let mut content = String::from("id,x,churn\n");
    for row in 0..30 {
        content += &format!("customer-{row},{row},{}\n", if row % 2 == 0 { "Yes" } else { "No" });
    }
    let message = read(&content).unwrap_err().to_string();
    assert!(message.contains("column `id`: 30 different texts in 30 rows"), "{message}");
    assert!(message.contains("--drop 'id'"), "{message}");

    let drop = vec!["id".to_owned()];
    let data = read_with(content.as_bytes(), &DatasetOptions { drop, ..options() }).unwrap();
    assert_eq!(data.columns().len(), 1);
}

#[test]
fn a_text_in_a_column_of_numbers_is_reported_with_its_line() {
    let mut content = String::from("x,churn\n");
    for row in 0..20 {
        content += &format!("{row},{}\n", if row % 2 == 0 { "Yes" } else { "No" });
    }
    content += "n/a,No\n";
    let message = read(&content).unwrap_err().to_string();
    assert!(message.contains("line 22: column `x` has `n/a`"), "{message}");
    assert!(message.contains("leave unknown values blank"), "{message}");
}

#[test]
fn dropping_an_unknown_column_or_the_target_is_refused() {
    let cases = [
        (
            vec!["idd".to_owned()],
            "drop: unknown column `idd` (did you mean `id`?); the columns are `id`, `x`",
        ),
        (vec!["churn".to_owned()], "drop: `churn` is the target"),
        (vec!["id".to_owned(), "id".to_owned()], "drop: unknown column `id`"),
        (vec!["id".to_owned(), "x".to_owned()], "no columns are left"),
    ];
    for (drop, expected) in cases {
        let refused =
            read_with(b"id,x,churn\n1,1,Yes\n2,2,No\n", &DatasetOptions { drop, ..options() });
        let message = refused.unwrap_err().to_string();
        assert!(message.contains(expected), "{message} should contain {expected}");
    }
}

#[test]
fn a_file_that_is_absent_or_not_text_is_refused() {
    let absent = Dataset::from_csv(Path::new("/nowhere/rows.csv"), &options());
    assert!(absent.unwrap_err().to_string().starts_with("cannot be read"));
    let folder = Dataset::from_csv(&std::env::temp_dir(), &options());
    assert!(folder.unwrap_err().to_string().contains("cannot be read"));
    let latin = read_with(b"x,churn\n1,Yes\n\xe9,No\n", &options());
    assert!(latin.unwrap_err().to_string().contains("line 3: not UTF-8"));
}
