//! The multinomial fit finds the minimum.

use linfa::traits::Fit;
use linfa_logistic::MultiLogisticRegression;
use ndarray::Array1;

use super::*;
use crate::model::dataset::Column;
use crate::model::dataset::ColumnValues;
use crate::model::dataset::Dataset;
use crate::model::training::encoding;
use crate::model::training::random::Stream;

/// Two numbers and a category with a level in every row, and three classes that depend on them.
fn made(rows: usize, outlier: Option<f64>) -> (Dataset, Vec<u8>) {
    let mut stream = Stream::new(9);
    let (mut numbers, mut words, mut classes) = (vec![Vec::new(); 2], Vec::new(), Vec::new());
    for _ in 0..rows {
        let (a, b, word) = (stream.normal(), stream.exponential(1.0), stream.below(3));
        let mut gumbel = || -(-stream.uniform().max(1e-300).ln()).ln();
        let scores = [a + gumbel(), 0.8 * b - 1.0 + gumbel(), [1.0, 0.0, -1.0][word] + gumbel()];
        let best = (0..3).max_by(|one, other| scores[*one].total_cmp(&scores[*other]));
        classes.push(best.unwrap() as u8);
        numbers[0].push(a);
        numbers[1].push(b);
        words.push(Some(["x", "y", "z"][word]));
    }
    if let Some(outlier) = outlier {
        numbers[0][0] = outlier;
    }
    let mut columns: Vec<ColumnValues> = numbers.into_iter().map(ColumnValues::Numeric).collect();
    columns.push(ColumnValues::Categorical(words.into_iter().collect()));
    let named = columns.into_iter().enumerate();
    let named = named.map(|(n, values)| Column { name: format!("c{n}"), values }).collect();
    let labels = (0..rows).map(|row| row % 2 == 0).collect();
    (Dataset::new("rows".into(), "y".into(), "1".into(), named, labels).unwrap(), classes)
}

fn fitted(data: &Dataset, classes: &[u8], count: usize, l2: f64) -> FittedClasses {
    let rows: Vec<usize> = (0..classes.len()).collect();
    let (schema, _) = encoding::learn_schema(data, &rows).unwrap();
    fit(&Design::new(data, &schema, &rows), classes, count, l2).unwrap()
}

/// The length of the cost's gradient per row, from the definition, with each row's own largest score.
fn slope(data: &Dataset, classes: &[u8], found: &FittedClasses, l2: f64) -> f64 {
    let rows: Vec<usize> = (0..classes.len()).collect();
    let (schema, _) = encoding::learn_schema(data, &rows).unwrap();
    let x = Design::new(data, &schema, &rows).matrix();
    let (count, width) = (found.intercepts.len(), x.ncols());
    let mut gradient: Vec<f64> = found.coefficients.iter().map(|weight| l2 * weight).collect();
    let mut of_intercepts = vec![0.0; count];
    for (row, outcome) in x.rows().into_iter().zip(classes) {
        let weights = found.coefficients.chunks(width).zip(&found.intercepts);
        let mut p: Vec<f64> =
            weights.map(|(w, b)| b + w.iter().zip(row).map(|(w, x)| w * x).sum::<f64>()).collect();
        to_probabilities(&mut p, 0);
        p[usize::from(*outcome)] -= 1.0;
        for (class, p) in p.iter().enumerate() {
            of_intercepts[class] += p;
            let own = gradient[class * width..][..width].iter_mut();
            own.zip(row).for_each(|(slope, x)| *slope += p * x);
        }
    }
    gradient.extend(of_intercepts);
    dot(&gradient, &gradient).sqrt() / classes.len() as f64
}

#[test]
fn the_fit_is_a_minimum_whatever_the_penalty_and_however_far_a_row_is() {
    for outlier in [None, Some(500.0)] {
        let (data, classes) = made(1_000, outlier);
        for l2 in [1e-6, 1e-3, 1.0, 100.0, 1e9] {
            let found = fitted(&data, &classes, 3, l2);
            let slope = slope(&data, &classes, &found, l2);
            assert!(slope < 1e-9, "{outlier:?}, l2 {l2}: {slope:e}");
        }
    }
}

#[test]
fn linfa_finds_the_same_coefficients_where_no_row_is_far_from_the_others() {
    let (data, classes) = made(1_000, None);
    let rows: Vec<usize> = (0..1_000).collect();
    let (schema, _) = encoding::learn_schema(&data, &rows).unwrap();
    let x = Design::new(&data, &schema, &rows).matrix();
    let targets: Array1<usize> = classes.iter().map(|class| usize::from(*class)).collect();
    let linfa = MultiLogisticRegression::default().alpha(1.0).gradient_tolerance(1e-7);
    let linfa = linfa.max_iterations(5_000).fit(&linfa::Dataset::new(x, targets)).unwrap();
    let found = fitted(&data, &classes, 3, 1.0);
    for (one, other) in found.coefficients.iter().zip(linfa.params().t()) {
        assert!((one - other).abs() < 1e-6, "{one} {other}");
    }
}

#[test]
fn weights_of_all_classes_and_of_a_complete_category_have_the_mean_zero() {
    let (data, classes) = made(2_000, None);
    let found = fitted(&data, &classes, 3, 1e-6);
    let width = found.coefficients.len() / 3;
    assert!(found.intercepts.iter().sum::<f64>().abs() < 1e-12);
    for column in 0..width {
        let of_column = found.coefficients.iter().skip(column).step_by(width);
        assert!(of_column.sum::<f64>().abs() < 1e-12);
    }
    for of_class in found.coefficients.chunks(width) {
        assert!(of_class[2..].iter().sum::<f64>().abs() < 1e-12, "{of_class:?}");
    }
}

#[test]
fn separable_classes_and_duplicate_columns_have_finite_coefficients() {
    let column = |name: &str| Column {
        name: name.into(),
        values: ColumnValues::Numeric((0..90).map(f64::from).collect()),
    };
    let labels = (0..90).map(|row| row < 45).collect();
    let columns = vec![column("a"), column("b")];
    let data = Dataset::new("rows".into(), "y".into(), "1".into(), columns, labels).unwrap();
    let classes: Vec<u8> = (0..90).map(|row| row / 30).collect();
    for l2 in [1e-6, 1e-3, 1.0, 1e9] {
        let found = fitted(&data, &classes, 3, l2);
        assert!(slope(&data, &classes, &found, l2) < 1e-6, "l2 {l2}: {found:?}");
        let scale = found.coefficients.iter().fold(1.0_f64, |most, w| most.max(w.abs()));
        for pair in found.coefficients.chunks(2) {
            assert!((pair[0] - pair[1]).abs() < 1e-6 * scale, "l2 {l2}: {found:?}");
        }
    }
}

#[test]
fn a_hundred_classes_are_fitted() {
    let column = Column {
        name: "a".into(),
        values: ColumnValues::Numeric((0..2_000).map(|row| f64::from(row % 100)).collect()),
    };
    let labels = (0..2_000).map(|row| row % 2 == 0).collect();
    let data = Dataset::new("rows".into(), "y".into(), "1".into(), vec![column], labels);
    let data = data.unwrap();
    let classes: Vec<u8> = (0..2_000).map(|row| (row % 100) as u8).collect();
    let found = fitted(&data, &classes, 100, 1.0);
    assert_eq!((found.intercepts.len(), found.coefficients.len()), (100, 100));
    assert!(slope(&data, &classes, &found, 1.0) < 1e-9);
    let weights = &found.coefficients;
    assert!(weights.windows(2).all(|pair| pair[0] < pair[1]), "{weights:?}");
}

#[test]
fn too_many_coefficients_are_refused_before_the_fit() {
    let words: Vec<String> = (0..6_000).map(|row| format!("w{row}")).collect();
    let words = words.iter().map(|word| Some(word.as_str())).collect();
    let columns = vec![Column { name: "a".into(), values: ColumnValues::Categorical(words) }];
    let labels = (0..6_000).map(|row| row % 2 == 0).collect();
    let data = Dataset::new("rows".into(), "y".into(), "1".into(), columns, labels).unwrap();
    let rows: Vec<usize> = (0..6_000).collect();
    let (schema, _) = encoding::learn_schema(&data, &rows).unwrap();
    let classes: Vec<u8> = (0..6_000).map(|row| (row % 100) as u8).collect();
    let refused = fit(&Design::new(&data, &schema, &rows), &classes, 100, 1.0).unwrap_err();
    let message = refused.to_string();
    assert!(message.contains("6000 coefficients") && message.contains("100 classes"), "{message}");
}
