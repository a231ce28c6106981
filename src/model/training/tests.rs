//! What training promises beyond its figures.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::dataset::Column;
use super::super::dataset::ColumnValues;
use super::super::dataset::DatasetOptions;
use super::design::Fitted;
use super::random::Stream;
use super::*;
use crate::model::artifact::card;
use crate::model::artifact::codec;
use crate::model::artifact::codec::Contents;
use crate::model::training::synthetic;

/// Forty rows, every fourth positive; the numbers are the row's, the words the caller's.
fn data(word: fn(usize) -> Option<&'static str>, number: fn(usize) -> Option<f64>) -> Dataset {
    let words = (0..40).map(word).collect();
    let numbers = (0..40).map(|row| number(row).unwrap_or(f64::NAN)).collect();
    let columns = vec![
        Column { name: "word".into(), values: ColumnValues::Categorical(words) },
        Column { name: "number".into(), values: ColumnValues::Numeric(numbers) },
    ];
    let labels = (0..40).map(|row| row % 4 == 0).collect();
    Dataset::new("rows".into(), "y".into(), "1".into(), columns, labels).unwrap()
}

fn counted(row: usize) -> Option<f64> {
    Some(row as f64)
}

/// Holds out rows 4, 9, 14 and so on.
fn fifths() -> TrainingOptions {
    TrainingOptions { holdout: Holdout::Every(5), ..TrainingOptions::default() }
}

#[test]
fn nothing_about_the_holdout_enters_the_model() {
    let word = |row| Some(if row % 5 == 4 { "held out" } else { ["a", "b"][row % 2] });
    let number = |row| Some(if row % 5 == 4 { 1e6 } else { row as f64 });
    let card = train(&data(word, number), &fifths()).unwrap().card().clone();
    let levels = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(card.features.features()[0].kind, FeatureKind::Categorical { levels });
    let FeatureKind::Numeric { mean, .. } = card.features.features()[1].kind else {
        panic!("the second column is numeric")
    };
    assert_eq!(mean, 19.0);
    assert_eq!(
        (card.trained().unwrap().training.training_rows, card.trained().unwrap().holdout.rows),
        (32, 8)
    );
}

#[test]
fn blanks_are_filled_with_the_mean_of_the_training_rows() {
    let number = |row| counted(row).filter(|_| row % 5 != 0);
    let model = train(&data(|row| Some(["a", "b"][row % 2]), number), &fifths()).unwrap().model();
    let FeatureKind::Numeric { mean, .. } = model.schema().features()[1].kind else {
        panic!("the second column is numeric")
    };
    let answer = |number| {
        let values = vec![Value::Missing, number];
        model.predict(&model.schema().row(Features::Ordered(values)).unwrap()).unwrap().score()
    };
    assert!((answer(Value::Missing) - answer(Value::Number(mean))).abs() < 1e-12);
}

#[test]
fn a_column_that_cannot_be_trained_on_is_refused_by_name() {
    let word = |row: usize| Some(["a", "b"][row % 2]);
    let cases = [
        (data(|row| (row % 5 == 4).then_some("a"), counted), "column `word`: blank in every"),
        (data(word, |row| (row % 5 == 4).then_some(1.0)), "column `number`: blank in every"),
        (data(word, |row| Some(row as f64 * 1e307)), "column `number`: the values are too large"),
        (data(|_| Some("a"), |_| Some(1.0)), "every column is constant"),
    ];
    for (data, expected) in cases {
        let message = train(&data, &fifths()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message} should contain {expected}");
    }
}

#[test]
fn a_part_without_both_classes_is_refused() {
    // Rows 0, 4, 8 and so on are positive, and 3, 7, 11 and so on are held out.
    let options = TrainingOptions { holdout: Holdout::Every(4), ..fifths() };
    let message = train(&data(|row| Some(["a", "b"][row % 2]), counted), &options).unwrap_err();
    assert!(
        message.to_string().contains("the 10 holdout rows do not contain both classes"),
        "{message}"
    );
}

#[test]
fn probes_come_from_the_schema_and_not_from_the_rows() {
    let made = synthetic::Churn { rows: 300, ..synthetic::Churn::v1(1) };
    let data = synthetic::churn(&made).unwrap();
    let artifact = train(&data, &TrainingOptions::default()).unwrap();
    let decoded = codec::decode(artifact.to_bytes()).unwrap();
    let Contents::Trained(payload) = decoded.contents else { panic!("an imported model") };
    assert_eq!(payload.probes.len(), PROBES);
    for probe in payload.probes {
        let probe = Features::Ordered(probe.values);
        assert!((0..300).all(|row| data.features(row) != probe));
    }
}

/// Rows of three numbers with blanks, two correlated, and two categories, the second with rare levels.
fn varied(rows: usize) -> Dataset {
    let mut stream = Stream::new(5);
    let (mut numbers, mut labels) = (vec![Vec::new(); 3], Vec::new());
    let (mut plans, mut regions) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let common = stream.normal();
        let own = [common, 0.9 * common + 0.2 * stream.normal(), 100.0 * stream.exponential(1.0)];
        for (column, number) in numbers.iter_mut().zip(own) {
            column.push(if stream.uniform() < 0.1 { f64::NAN } else { number });
        }
        let plan = stream.below(4);
        plans.push(["a", "b", "c"].get(plan).copied());
        let region = (stream.exponential(1.5) as usize).min(7);
        regions.push(["n", "s", "e", "w", "ne", "nw", "se", "sw"].get(region).copied());
        let odds = own[0] - 0.5 * own[2] / 100.0 + [0.0, 1.0, -1.0, 0.5][plan] - 1.0;
        labels.push(stream.uniform() < 1.0 / (1.0 + (-odds).exp()));
    }
    let numeric = numbers.into_iter().map(ColumnValues::Numeric);
    let words =
        [plans, regions].map(|words| ColumnValues::Categorical(words.into_iter().collect()));
    let columns = numeric.chain(words).enumerate();
    let columns = columns.map(|(index, values)| Column { name: format!("c{index}"), values });
    Dataset::new("rows".into(), "y".into(), "1".into(), columns.collect(), labels).unwrap()
}

#[test]
fn both_solvers_find_the_same_coefficients() {
    for (rows, l2) in [
        (400, 1.0),
        (400, 0.1),
        (400, 1e-3),
        (400, 1e-6),
        (400, 1e6),
        (120_000, 1.0),
        (120_000, 1e-9),
    ] {
        let data = varied(rows);
        let training: Vec<usize> = (0..rows).filter(|row| row % 5 != 4).collect();
        let (schema, _) = encoding::learn_schema(&data, &training).unwrap();
        let design = Design::new(&data, &schema, &training);
        let outcomes: Vec<bool> =
            training.iter().map(|row| data.labels().two().unwrap().1[*row]).collect();
        let newton = newton::fit(&design, &outcomes, l2).unwrap().centered(&design);
        let linfa = fitting::fit_with_linfa(design.matrix(), &outcomes, l2).unwrap();
        let linfa = linfa.centered(&design);
        let of = |fitted: Fitted| [vec![fitted.intercept], fitted.coefficients].concat();
        for (index, (newton, linfa)) in of(newton).into_iter().zip(of(linfa)).enumerate() {
            let difference = (newton - linfa).abs();
            assert!(difference < 1e-6, "{rows} rows, l2 {l2}, {index}: {newton} and {linfa}");
        }
    }
}

/// The coefficients of the levels of a category that each row has one of, at the minimum, have the sum 0.
#[test]
fn the_levels_of_a_complete_category_sum_to_zero() {
    for (rows, l2) in [(400, 1.0), (400, 1e-6), (120_000, 1e-6), (250_000, 1e-9)] {
        let data = varied(rows);
        let training: Vec<usize> = (0..rows).filter(|row| row % 5 != 4).collect();
        let (schema, _) = encoding::learn_schema(&data, &training).unwrap();
        let design = Design::new(&data, &schema, &training);
        let outcomes: Vec<bool> =
            training.iter().map(|row| data.labels().two().unwrap().1[*row]).collect();
        let fitted = fitting::fit(&design, &outcomes, l2).unwrap();
        // Three numbers, three levels of `c3`, which has blanks, and the levels of `c4`.
        let sum: f64 = fitted.coefficients[6..].iter().sum();
        assert!(sum.abs() < 1e-12, "{rows} rows, l2 {l2}: {sum:e}");
        assert!(fitted.coefficients[3..6].iter().sum::<f64>().abs() > 1e-3);
    }
}

/// A term of the sum: feature and level.
type TermName = (String, Option<String>);

/// The weights of a fit to all rows but every fifth, by name; the intercept has no name.
fn weights(
    data: &Dataset,
    outcome: impl Fn(bool) -> bool,
    fit: impl Fn(&Design<'_>, &[bool]) -> Fitted,
) -> BTreeMap<TermName, f64> {
    let rows = split(data.labels().two().unwrap().1, Holdout::Every(5), 0).training;
    let (schema, _) = encoding::learn_schema(data, &rows).unwrap();
    let design = Design::new(data, &schema, &rows);
    let outcomes: Vec<bool> =
        rows.iter().map(|row| outcome(data.labels().two().unwrap().1[*row])).collect();
    let fitted = fit(&design, &outcomes).centered(&design);
    let terms = card::coefficients(&schema, &fitted.coefficients).into_iter();
    let terms = terms.map(|term| ((term.feature, term.level), term.weight));
    terms.chain([((String::new(), None), fitted.intercept)]).collect()
}

fn assert_same(found: &BTreeMap<TermName, f64>, expected: &BTreeMap<TermName, f64>) {
    assert!(found.keys().eq(expected.keys()), "{found:?} {expected:?}");
    for (name, found) in found {
        assert!((found - expected[name]).abs() < 1e-6, "{name:?}: {found}, {}", expected[name]);
    }
}

#[test]
fn swapped_classes_flip_every_sign_and_permuted_columns_change_nothing() {
    let data = varied(2_000);
    let columns: Vec<Column> = data.columns().iter().rev().cloned().collect();
    let labels = data.labels().two().unwrap().1.to_vec();
    let reversed = Dataset::new("rows".into(), "y".into(), "1".into(), columns, labels).unwrap();
    let newton = |design: &Design<'_>, rows: &[bool]| newton::fit(design, rows, 1e-3).unwrap();
    let linfa = |design: &Design<'_>, rows: &[bool]| {
        fitting::fit_with_linfa(design.matrix(), rows, 1e-3).unwrap()
    };
    for fit in [&newton as &dyn Fn(&Design<'_>, &[bool]) -> Fitted, &linfa] {
        let expected = weights(&data, |outcome| outcome, fit);
        let mut swapped = weights(&data, |outcome| !outcome, fit);
        swapped.values_mut().for_each(|weight| *weight = -*weight);
        assert_same(&swapped, &expected);
        assert_same(&weights(&reversed, |outcome| outcome, fit), &expected);
    }
}

/// What `scripts/reference_training.py` writes.
#[derive(serde::Deserialize)]
struct Reference {
    terms: Vec<TermName>,
    fits: Vec<ReferenceFit>,
}

#[derive(serde::Deserialize)]
struct ReferenceFit {
    l2: f64,
    intercept: f64,
    coefficients: Vec<f64>,
}

#[test]
fn newton_finds_the_coefficients_of_scikit_learn() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let text = std::fs::read_to_string(folder.join("training.json")).unwrap();
    let Reference { terms, fits } = serde_json::from_str(&text).unwrap();
    let options = DatasetOptions { target: "churned".into(), ..DatasetOptions::default() };
    let data = Dataset::from_csv(&folder.join("training.csv"), &options).unwrap();
    assert!(fits.iter().any(|fit| fit.l2 < 1e-3));
    for ReferenceFit { l2, intercept, coefficients } in fits {
        let expected = terms.iter().cloned().zip(coefficients);
        let expected = expected.chain([((String::new(), None), intercept)]).collect();
        let newton = |design: &Design<'_>, rows: &[bool]| newton::fit(design, rows, l2).unwrap();
        assert_same(&weights(&data, |outcome| outcome, newton), &expected);
    }
}

#[test]
fn newton_fits_separable_classes_and_duplicate_columns() {
    let labels: Vec<bool> = (0..60).map(|row| row >= 30).collect();
    let column = |name: &str| Column {
        name: name.into(),
        values: ColumnValues::Numeric((0..60).map(f64::from).collect()),
    };
    let columns = vec![column("a"), column("b")];
    let data = Dataset::new("rows".into(), "y".into(), "1".into(), columns, labels).unwrap();
    let rows: Vec<usize> = (0..60).collect();
    let (schema, _) = encoding::learn_schema(&data, &rows).unwrap();
    let design = Design::new(&data, &schema, &rows);
    for l2 in [1e-6, 1e-3, 1.0, 1e9] {
        let fitted = newton::fit(&design, data.labels().two().unwrap().1, l2).unwrap();
        let [a, b] = fitted.coefficients[..] else { panic!("two columns") };
        assert!(a > 0.0 && (a - b).abs() < 1e-6 * a.max(1.0), "l2 {l2}: {a} {b}");
    }
}

#[test]
fn a_column_that_varies_by_rounding_alone_is_constant() {
    let number = |row: usize| Some(if row.is_multiple_of(2) { 0.3 } else { 0.1 + 0.2 });
    let card = train(&data(|row| Some(["a", "b"][row % 2]), number), &fifths()).unwrap();
    let card = card.card();
    assert!(
        card.trained()
            .unwrap()
            .training
            .warnings
            .iter()
            .any(|warning| warning.contains("without effect: `number`"))
    );
    assert_eq!(
        card.features.features()[1].kind,
        FeatureKind::Numeric { mean: 0.3, scale: 1.0 },
        "standardizing by a rounding error would make 0.31 extreme"
    );
    // Whole numbers are exact, also large ones that differ little.
    let number = |row: usize| Some(1e15 + (row % 4) as f64);
    let artifact = train(&data(|row| Some(["a", "b"][row % 2]), number), &fifths()).unwrap();
    let text = artifact.card().trained().unwrap().training.warnings.join(" ");
    assert!(!text.contains("without effect"), "{text}");
}

#[test]
fn a_column_that_predicts_the_target_alone_gets_a_line() {
    let leak = |row: usize| Some(if row.is_multiple_of(4) { "left" } else { "stayed" });
    let number = |row: usize| Some(if row.is_multiple_of(4) { 7.0 } else { 3.5 });
    let artifact = train(&data(leak, number), &fifths()).unwrap();
    let warnings = artifact.card().trained().unwrap().training.warnings.join("\n");
    for name in ["word", "number"] {
        assert!(warnings.contains(&format!("column `{name}`: alone it predicts")), "{warnings}");
    }
    let artifact = train(&data(|row| Some(["a", "b"][row % 2]), counted), &fifths()).unwrap();
    let warnings = artifact.card().trained().unwrap().training.warnings.join("\n");
    assert!(!warnings.contains("alone"), "{warnings}");
}
