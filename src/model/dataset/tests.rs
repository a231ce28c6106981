//! Files that are training data, and files that are not.

use super::*;
use crate::model::schema::Feature;
use crate::model::schema::FeatureKind;
use crate::model::schema::Missing;
use crate::model::schema::Schema;
use crate::model::schema::features::Value;
use crate::text::tables::encoding::Encoding;
/// The text of a row's cell.
type Cell = fn(usize) -> String;

fn options() -> DatasetOptions {
    let positive = Some("Yes".to_owned());
    DatasetOptions { target: "churn".into(), positive, ..DatasetOptions::default() }
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
    assert_eq!(data.labels().two().unwrap().1, [true, false, false]);
    let names: Vec<&str> = data.columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["x", "plan"]);
    let rows = [
        [Value::Number(1.0), Value::Text("a".into())],
        [Value::Missing, Value::Text("b".into())],
        [Value::Number(-25.0), Value::Missing],
    ];
    for (index, row) in rows.into_iter().enumerate() {
        assert_eq!(data.features(index), Features::Ordered(row.to_vec()));
    }
    assert!(data.warnings().is_empty());
}

#[test]
fn a_target_of_three_values_is_learned_one_against_the_rest_with_a_warning() {
    let data = read("x,churn\n1,Yes\n2,No\n3,Maybe\n").unwrap();
    assert_eq!(data.labels().two().unwrap().1, [true, false, false]);
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
        (
            "x,churn\n1,Yes\n2,\n",
            "line 3: the target `churn` is blank, in 1 rows; use --skip-unlabeled",
        ),
        ("churn\nYes\nNo\n", "no columns are left"),
        ("x,y,churn\n,1,Yes\n ,2,No\n", "column `x`: every value is blank"),
        (
            "x,churn\n1,Yes\n2,No\ninf,No\n3,No\n4,No\n5,No\n6,No\n7,No\n8,No\n9,No\n",
            "line 4: column `x` has `inf`",
        ),
        (
            "x,churn\n1e999,Yes\n2,No\n3,No\n4,No\n5,No\n6,No\n7,No\n8,No\n9,No\n1,No\n",
            "line 2: column `x` has `1e999`",
        ),
        ("x,churn\n\"unclosed,Yes\n2,No\n", "line 2: 1 fields"),
        (
            "x;churn\n1,5;Yes\n2;No\n2.25;No\n0,5;No\n",
            "line 2: column `x` has `1,5`, and `2.25` in line 4; write its numbers with one",
        ),
        (
            "x,churn\n1.5,Yes\n2,No\n0.5,No\n2.25,Yes\n\"2,25\",No\n",
            "line 2: column `x` has `1.5`, and `2,25` in line 6",
        ),
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
fn a_column_with_too_many_texts_is_refused_with_its_rows() {
    let named = vec!["x".to_owned()];
    let categorical = DatasetOptions { categorical: named, ..options() };
    let cases: [(Cell, &DatasetOptions); 3] = [
        (|row| format!("{row}.5"), &categorical),
        (|row| format!("customer-{row}"), &options()),
        (|row| format!("customer-{}", row / 2), &options()),
    ];
    for (cell, options) in cases {
        let cell = |row: usize| if row < 100 { String::new() } else { cell(row) };
        let message = read_with(column(20_000, cell).as_bytes(), options).unwrap_err().to_string();
        let said = "column `x`: more than 4096 different texts in 19900 rows";
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn a_text_in_a_column_of_numbers_is_reported_with_its_line() {
    let mut content = String::from("x,churn\n");
    for row in 0..20 {
        content += &format!("{row},{}\n", if row % 2 == 0 { "Yes" } else { "No" });
    }
    content += "unknown,No\n";
    let message = read(&content).unwrap_err().to_string();
    assert!(message.contains("line 22: column `x` has `unknown`, in 1 rows"), "{message}");
    assert!(message.contains("use --missing 'unknown' if it marks missing values"), "{message}");
}

#[test]
fn dropping_an_unknown_column_or_the_target_is_refused() {
    let cases = [
        (
            vec!["idd".to_owned()],
            "drop: unknown column `idd` (did you mean `id`?); the columns are `id`, `x`",
        ),
        (vec!["churn".to_owned()], "drop: `churn` is the target"),
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
    assert!(latin.unwrap_err().to_string().contains("line 3: not UTF-8; if it is Latin-1"));
}

/// Rows `i,<cell of i>,<Yes every third time>` under the header `n,x,churn`.
fn column(rows: usize, cell: impl Fn(usize) -> String) -> String {
    let churn = |row: usize| if row.is_multiple_of(3) { "Yes" } else { "No" };
    let row = |row: usize| format!("{}.5,\"{}\",{}\n", row, cell(row), churn(row));
    (0..rows).map(row).fold("n,x,churn\n".to_owned(), |text, row| text + &row)
}

fn is_numeric(data: &Dataset) -> bool {
    matches!(data.columns()[1].values, ColumnValues::Numeric(_))
}

#[test]
fn a_row_without_an_end_is_refused_before_it_fills_the_memory() {
    let endless = |start: &'static str, byte| {
        let reader = std::io::Cursor::new(start).chain(std::io::repeat(byte));
        Dataset::from_reader(reader, "rows".into(), &options()).unwrap_err().to_string()
    };
    for (start, line) in [("", 1), ("x,churn\n1,Yes\n", 3), ("sep=;\nx;churn\n1;\"Yes\n\n", 3)] {
        let message = endless(start, b'1');
        let said =
            format!("line {line}: the row has more than 8 MiB; check its line ends and quotes");
        assert_eq!(message, said);
    }
}

#[test]
fn missing_markers_leave_numbers_numbers_however_many_there_are() {
    for marker in ["NA", "N/A", "null", "None", "nan", "?", "-"] {
        for (rows, different) in [(60, 20), (20_000, 9_000)] {
            let cell = |row: usize| match row % 7 {
                0 => marker.to_owned(),
                _ => (row % different).to_string(),
            };
            let data = read(&column(rows, cell)).unwrap();
            assert!(is_numeric(&data), "{marker}");
            assert_eq!(data.columns()[1].value(0), Value::Missing);
            assert_eq!(data.columns()[1].value(1), Value::Number(1.0));
            let rows = rows.div_ceil(7);
            let said = format!(
                "column `x`: `{marker}` counts as missing, in {rows} rows; change it with --missing-only"
            );
            assert_eq!(data.warnings()[0], said);
        }
    }
}

#[test]
fn a_named_marker_is_missing_by_its_value_and_needs_no_warning() {
    let marked = DatasetOptions {
        missing: Missing::default().and(&["-999".to_owned(), "NA".to_owned()]),
        ..options()
    };
    for (rows, different) in [(60, 20), (20_000, 9_000)] {
        let cell = |row: usize| match row % 7 {
            0 => "-999".to_owned(),
            1 => "-999.00".to_owned(),
            2 => "NA".to_owned(),
            _ => (row % different).to_string(),
        };
        let data = read_with(column(rows, cell).as_bytes(), &marked).unwrap();
        let values = (0..4).map(|row| data.columns()[1].value(row)).collect::<Vec<_>>();
        assert_eq!(values[..3], [Value::Missing, Value::Missing, Value::Missing]);
        assert_eq!(values[3], Value::Number(3.0));
        assert_eq!(data.warnings(), [""; 0]);
        assert_eq!(data.missing(), &marked.missing);
    }
    // With decimal commas, and among words.
    let commas = "x;plan;churn\n1,5;a;Yes\n-999,0;-999.0;No\n2,5;b;No\n";
    let data = read_with(commas.as_bytes(), &marked).unwrap();
    assert_eq!(data.features(1), Features::Ordered(vec![Value::Missing, Value::Missing]));
}

#[test]
fn missing_markers_can_be_chosen_and_a_dash_is_a_word_among_words() {
    let content = column(60, |row| ["12", "13", "x", "-"][row % 4].to_owned());
    let only = |texts: [&str; 2]| Missing::only(&texts.map(str::to_owned));
    let chosen = DatasetOptions { missing: only(["x", "-"]), ..options() };
    assert!(is_numeric(&read_with(content.as_bytes(), &chosen).unwrap()));
    let more = DatasetOptions { missing: Missing::default().and(&["x".to_owned()]), ..options() };
    let content = column(60, |row| ["12", "13", "x", "-", "NA"][row % 5].to_owned());
    assert!(is_numeric(&read_with(content.as_bytes(), &more).unwrap()));
    let words = read(&column(60, |row| ["a", "-"][row % 2].to_owned())).unwrap();
    assert_eq!(words.columns()[1].value(1), Value::Text("-".into()));
    let none = DatasetOptions { missing: Missing::only(&[String::new()]), ..options() };
    let content = column(60, |row| ["a", "NA", ""][row % 3].to_owned());
    let words = read_with(content.as_bytes(), &none).unwrap();
    assert_eq!(words.columns()[1].value(1), Value::Text("NA".into()));
    assert_eq!(words.columns()[1].value(2), Value::Missing);
}

#[test]
fn a_category_that_a_model_lists_stays_a_word_where_it_is_a_marker() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "plan,x\nNone,NA\nNA,1\n-999,2\n-999.0,-999\n").unwrap();
    let levels = ["-999", "None"].map(str::to_owned).to_vec();
    let plan = Feature { name: "plan".into(), kind: FeatureKind::Categorical { levels } };
    let number = Feature { name: "x".into(), kind: FeatureKind::Number };
    let schema = Schema::new(vec![plan, number])
        .unwrap()
        .with_missing(Missing::default().and(&["-999".to_owned()]));
    let options = DatasetOptions::of_schema(&schema, String::new());
    let columns = for_model::columns(file.path(), &options).unwrap();
    let values = |column: usize| (0..4).map(move |row| columns[column].value(row).into_owned());
    let [none, code] = ["None", "-999"].map(|word| Value::Text(word.into()));
    assert_eq!(values.clone()(0).collect::<Vec<_>>(), [none, Value::Missing, code, Value::Missing]);
    assert_eq!(
        values(1).collect::<Vec<_>>(),
        [Value::Missing, Value::Number(1.0), Value::Number(2.0), Value::Missing]
    );
}

#[test]
fn thousands_currencies_and_percent_signs_are_numbers_and_the_report_says_so() {
    let thousands = |n: usize| format!("{},{:03}", n / 1000, n % 1000);
    let cases: [(&str, Cell, f64); 4] = [
        ("`1,200` is read as 1200", |_| "1,200".into(), 1200.0),
        ("`$1,200.50` is read as 1200.5", |_| "$1,200.50".into(), 1200.5),
        ("`12.3%` is read as 12.3", |_| "12.3%".into(), 12.3),
        ("`-5 €` is read as -5", |_| "-5 €".into(), -5.0),
    ];
    for (said, first, expected) in cases {
        for rows in [30, 6_000] {
            let cell = |row| if row == 0 { first(row) } else { thousands(1000 + row) };
            let data = read(&column(rows, cell)).unwrap();
            assert!(is_numeric(&data));
            assert_eq!(data.columns()[1].value(0), Value::Number(expected));
            assert_eq!(data.columns()[1].value(rows - 1), Value::Number(999.0 + rows as f64));
            assert!(data.warnings().join("\n").contains(said), "{:?}", data.warnings());
        }
    }
}

#[test]
fn separators_decimal_commas_and_encodings_are_recognized() {
    let expected = read("größe,plan,churn\n1.5,a,Yes\n2.25,b,No\n").unwrap();
    let semicolon = "größe;plan;churn\n1,5;a;Yes\n2,25;b;No\n";
    let tab = "größe\tplan\tchurn\n1.5\ta\tYes\n2.25\tb\tNo\n\t\t\n\n";
    let utf_16 = |text: &str| {
        let units = text.encode_utf16().flat_map(u16::to_le_bytes);
        [vec![0xff, 0xfe], units.collect()].concat()
    };
    for bytes in [
        semicolon.as_bytes().to_vec(),
        format!("sep=;\r\n{semicolon};;\n  \n").into_bytes(),
        tab.as_bytes().to_vec(),
        utf_16(semicolon),
        utf_16(tab),
    ] {
        let data = read_with(&bytes, &options()).unwrap();
        assert_eq!(data.columns(), expected.columns());
        assert_eq!(data.labels().two().unwrap().1, expected.labels().two().unwrap().1);
    }
    let latin: Vec<u8> = semicolon.chars().map(|c| c as u8).collect();
    let chosen = DatasetOptions { encoding: Encoding::Latin1, ..options() };
    assert_eq!(read_with(&latin, &chosen).unwrap().columns(), expected.columns());
    let ragged = read("sep=;\nx;churn\n1;Yes\n2\n").unwrap_err().to_string();
    assert!(ragged.contains("line 4: 1 fields"), "{ragged}");
}

#[test]
fn an_unnamed_first_column_that_counts_the_rows_is_left_out() {
    for first in [0, 1] {
        let rows: String =
            (first..first + 9).map(|i| format!("{i},{i}.5,{}\n", ["Yes", "No"][i % 2])).collect();
        let data = read(&format!(",x,churn\n{rows}")).unwrap();
        assert_eq!(data.columns().len(), 1);
        assert!(data.warnings()[0].contains("counts the rows"), "{:?}", data.warnings());
    }
    let message = read(",x,churn\n0,1,Yes\n2,2,No\n").unwrap_err().to_string();
    assert!(message.contains("column 1 of the header has no name"), "{message}");
}

#[test]
fn codes_are_words_unless_numbers_are_asked_for() {
    let content = column(60, |row| ["01234", "1234", "00501"][row % 3].to_owned());
    let data = read(&content).unwrap();
    assert_eq!(data.columns()[1].value(0), Value::Text("01234".into()));
    assert!(data.warnings()[0].contains("codes with leading zeros"), "{:?}", data.warnings());
    let named = vec!["x".to_owned()];
    let numeric = DatasetOptions { numeric: named.clone(), ..options() };
    let data = read_with(content.as_bytes(), &numeric).unwrap();
    assert_eq!(data.columns()[1].value(2), Value::Number(501.0));

    let content = column(60, |row| (row % 5).to_string());
    let categorical = DatasetOptions { categorical: named, ..options() };
    let data = read_with(content.as_bytes(), &categorical).unwrap();
    assert_eq!(data.columns()[1].value(4), Value::Text("4".into()));
    let message = read_with(b"x,churn\n1,Yes\nb,No\n", &numeric).unwrap_err().to_string();
    assert!(
        message.contains("line 3: column `x` has `b`, in 1 rows, but --numeric asks"),
        "{message}"
    );
}

#[test]
fn a_suspicious_column_gets_a_line() {
    let cases: [(Cell, &str); 4] = [
        (|row| format!("2024-05-{:02}", row % 20 + 1), "column `x`: dates are not understood"),
        (|row| (1000 + row).to_string(), "column `x`: a different whole number in every row"),
        (|row| if row % 3 == 0 { "many".into() } else { row.to_string() }, "use --missing 'many'"),
        (
            |row| if row % 3 > 0 { "3".into() } else { ["a", "b", "c"][row % 9 / 3].into() },
            "40 of 60 values are numbers",
        ),
    ];
    for (cell, said) in cases {
        let found = match read(&column(60, cell)) {
            Ok(data) => data.warnings().join("\n"),
            Err(error) => error.to_string(),
        };
        assert!(found.contains(said), "{found} should contain {said}");
    }
    let date = |row: usize| format!("{}.{}.2024", row % 28 + 1, row / 28 + 1);
    let message = read(&column(300, date)).unwrap_err().to_string();
    assert!(message.contains("300 different dates; dates are not understood"), "{message}");
}

#[test]
fn usual_targets_need_no_positive_value_and_others_are_listed() {
    let infer = DatasetOptions { positive: None, ..options() };
    let with = |values: &[&str], options: &DatasetOptions| {
        let rows = (0..30).map(|row| format!("{}.5,{}\n", row % 7, values[row % values.len()]));
        let content = rows.fold("x,churn\n".to_owned(), |text, row| text + &row);
        read_with(content.as_bytes(), options)
    };
    for [no, yes] in [
        ["0", "1"],
        ["0.0", "1.0"],
        ["-1", "1"],
        ["no", "yes"],
        ["No", "Yes"],
        ["FALSE", "TRUE"],
        ["n", "y"],
        ["negative", "positive"],
    ] {
        let data = with(&[yes, no], &infer).unwrap();
        assert_eq!(data.labels().two().unwrap().1[..2], [true, false], "{yes}");
        assert_eq!(data.labels().two().unwrap().0, yes);
    }
    let message = with(&["a", "b"], &infer).unwrap_err().to_string();
    assert!(message.contains("which of two classes is predicted; choose the value"), "{message}");
    assert!(message.ends_with("with --positive, one of `a`, `b`"), "{message}");

    let one = DatasetOptions { positive: Some("1".into()), ..options() };
    assert_eq!(with(&["1.0", "0.0"], &one).unwrap().labels().two().unwrap().1[..2], [true, false]);
    assert_eq!(
        with(&["1", "1.0", "0"], &one).unwrap().labels().two().unwrap().1[..3],
        [true, true, false]
    );

    let message = with(&["a"], &infer).unwrap_err().to_string();
    assert!(message.contains("target `churn`: all 30 rows have `a`; training needs"), "{message}");
    for skips_unlabeled in [false, true] {
        let skip = DatasetOptions { skips_unlabeled, ..infer.clone() };
        let message = with(&[" "], &skip).unwrap_err().to_string();
        assert!(message.contains("target `churn`: every row is blank; choose"), "{message}");
    }
    let message = with(&["a", "b", "NA"], &infer).unwrap_err().to_string();
    assert!(message.contains("is `NA`, which counts as missing, in 10 rows; use"), "{message}");
    let many: [(Cell, &str); 2] = [
        (|row| format!("{row}.5"), "more than 4096 different numbers"),
        (
            |row| format!("c{row}"),
            "more than 4096 different values; serin learns up to 100 classes",
        ),
    ];
    for (cell, said) in many {
        let of_x = DatasetOptions { target: "x".into(), positive: None, ..options() };
        let message = read_with(column(6_000, cell).as_bytes(), &of_x).unwrap_err().to_string();
        assert!(message.contains(&format!("target `x`: {said}")), "{message}");
    }

    let numbers: Vec<String> = (0..30).map(|i| format!("{i}.5")).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    let message = with(&numbers, &infer).unwrap_err().to_string();
    assert!(
        message.contains("30 different numbers") && message.contains("regression"),
        "{message}"
    );
}

#[test]
fn rows_without_a_target_can_be_left_out_and_are_counted() {
    let content = "x,w,churn\n1,a,Yes\n2,b,\n3,a,No\n4,b,NA\n5,b,No\n";
    let message = read(content).unwrap_err().to_string();
    assert!(message.contains("line 3: the target `churn` is blank, in 2 rows"), "{message}");
    let skip = DatasetOptions { skips_unlabeled: true, ..options() };
    let data = read_with(content.as_bytes(), &skip).unwrap();
    assert_eq!(data.labels().two().unwrap().1, [true, false, false]);
    let row = vec![Value::Number(5.0), Value::Text("b".into())];
    assert_eq!(data.features(2), Features::Ordered(row));
    assert!(data.warnings()[0].contains("2 of 5 rows have none"), "{:?}", data.warnings());
}
