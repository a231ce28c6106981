//! Counting the inputs of training.

use super::InputHistogram;
use super::Inputs;
use super::MAX_INPUTS;
use super::MAX_WORDS;
use crate::model::dataset::Column;
use crate::model::dataset::ColumnValues;
use crate::model::dataset::words::Words;

/// Bins of equal shares.
const QUANTILES: usize = 10;

impl Inputs {
    /// The inputs in these rows of columns, which are in the order of the schema.
    pub(crate) fn of_columns(columns: &[Column], rows: &[usize]) -> Self {
        let columns = columns.iter().take(MAX_INPUTS);
        let features = columns.map(|column| match &column.values {
            ColumnValues::Numeric(numbers) => {
                of_numbers(rows.iter().filter_map(|row| numbers.get(*row).copied()))
            }
            ColumnValues::Categorical(words) => of_words(words, rows),
        });
        Self { rows: rows.len() as u64, features: features.collect() }
    }
}

/// The histogram of numbers; NaN is missing. Bins end at the deciles. A value that more than a tenth of the rows have
/// gets a bin of its own, and so does everything below the smallest and above the largest.
fn of_numbers(numbers: impl Iterator<Item = f64>) -> InputHistogram {
    let (mut known, mut missing) = (Vec::new(), 0);
    for number in numbers {
        match number.is_nan() {
            true => missing += 1,
            false => known.push(number),
        }
    }
    known.sort_by(f64::total_cmp);
    let mut edges = Vec::new();
    if let (Some(least), Some(largest)) = (known.first(), known.last()) {
        edges.extend([least.next_down(), *largest]);
    }
    for part in 1..QUANTILES {
        let place = (part * known.len()).div_ceil(QUANTILES).saturating_sub(1);
        let Some(value) = known.get(place) else { continue };
        let rows = known.partition_point(|it| it <= value) - known.partition_point(|it| it < value);
        if rows * QUANTILES > known.len() {
            edges.push(value.next_down());
        }
        edges.push(*value);
    }
    edges.retain(|edge| edge.is_finite());
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    let mut histogram = InputHistogram { missing, ..InputHistogram::of_edges(edges) };
    for number in &known {
        let bin = histogram.edges.partition_point(|edge| edge < number);
        histogram.counts[bin] += 1;
    }
    histogram
}

/// The histogram of words: the most frequent ones, and the others together.
fn of_words(words: &Words, rows: &[usize]) -> InputHistogram {
    let (mut counts, mut missing) = (vec![0_u64; words.texts().len()], 0);
    for row in rows {
        match words.code(*row) {
            Some(code) => counts[code] += 1,
            None => missing += 1,
        }
    }
    let mut frequent: Vec<usize> = (0..counts.len()).filter(|code| counts[*code] > 0).collect();
    frequent.sort_by_key(|code| (std::cmp::Reverse(counts[*code]), *code));
    frequent.truncate(MAX_WORDS);
    frequent.sort_unstable();
    let own = frequent.iter().map(|code| words.texts()[*code].clone()).collect();
    let others =
        counts.iter().sum::<u64>() - frequent.iter().map(|code| counts[*code]).sum::<u64>();
    let mut histogram = InputHistogram { missing, ..InputHistogram::of_words(own) };
    histogram.counts = frequent.iter().map(|code| counts[*code]).chain([others]).collect();
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted_by_deciles() {
        let histogram = of_numbers((1..=100).map(f64::from).chain([f64::NAN, f64::NAN]));
        assert_eq!(histogram.missing, 2);
        let [least, rest @ ..] = &histogram.edges[..] else { panic!() };
        assert_eq!(*least, 1.0_f64.next_down());
        // numpy.quantile(range(1, 101), arange(1, 11) / 10, method="inverted_cdf")
        assert_eq!(rest, [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0]);
        assert_eq!(histogram.counts, [0, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 0]);
    }

    #[test]
    fn frequent_values_have_bins_of_their_own() {
        // Half of the rows have 0, as amounts often do.
        let histogram = of_numbers((1..=50).map(f64::from).chain([0.0; 50]));
        let zero = histogram.edges.iter().position(|edge| *edge == 0.0).unwrap();
        assert_eq!((histogram.counts[zero], histogram.counts[zero - 1]), (50, 0));
        let constant = of_numbers([7.0; 30].into_iter());
        assert_eq!(constant.edges, [7.0_f64.next_down(), 7.0]);
        assert_eq!(constant.counts, [0, 30, 0]);
        let none = of_numbers([f64::NAN; 3].into_iter());
        assert_eq!((none.missing, none.edges.len(), none.counts), (3, 0, vec![0]));
        let extreme = of_numbers([f64::MIN, f64::MAX].into_iter());
        assert!(extreme.edges.iter().all(|edge| edge.is_finite()), "{extreme:?}");
        assert_eq!(extreme.counts.iter().sum::<u64>(), 2);
        let both = of_numbers([0.0, -0.0, 1.0, 1.0].into_iter());
        assert!(both.edges.windows(2).all(|pair| pair[0] < pair[1]), "{both:?}");
    }

    #[test]
    fn rare_words_are_counted_together() {
        let texts: Vec<String> = (0..30).map(|word| format!("w{word:02}")).collect();
        let rows = (0..30).flat_map(|word| vec![Some(texts[word].as_str()); word + 1]);
        let words: Words = rows.chain([None]).collect();
        let all: Vec<usize> = (0..words.rows()).collect();
        let histogram = of_words(&words, &all);
        assert_eq!(histogram.words.len(), MAX_WORDS);
        assert_eq!((histogram.words[0].as_str(), histogram.counts[0]), ("w10", 11));
        // 1 + 2 + ... + 10
        assert_eq!((histogram.counts.last(), histogram.missing), (Some(&55), 1));
    }
}
