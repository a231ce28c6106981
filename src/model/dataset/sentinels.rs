//! Numbers that may mean a missing value, such as -999. They get a hint, because only the user knows.
//!
//! Such a number is a usual one for the purpose, repeats, and lies far outside the rest of its column.

use std::collections::BTreeSet;

use crate::text::lists::quoted;
use crate::text::numbers::number;

/// Repeated nines, with either sign. Not 99.9 and 999.99: those are shares and prices.
const NINES: [f64; 9] =
    [99.0, 999.0, 9_999.0, 99_999.0, 999_999.0, 9_999_999.0, 99_999_999.0, 999.9, 9_999.9];

/// Negative numbers of one digit that are used alike.
const NEGATIVES: [f64; 2] = [-1.0, -9.0];

/// In fewer rows it may be a mistake, but not a habit.
const MIN_ROWS: usize = 5;

/// One row in this many has it.
const ROWS_PER_MARKER: usize = 100;

/// With fewer different numbers the rest is a scale, such as -1, 0 and 1, and no quantity.
const MIN_DIFFERENT: usize = 10;

/// Standard deviations between the number and the mean of the rest.
const FROM_MEAN: f64 = 3.0;

/// The same for a negative number where the rest has none.
const BELOW_ZERO: f64 = 2.0;

/// Standard deviations between the number and the nearest other one. A quantity that is cut off at 99 has
/// numbers right below.
const FROM_NEAREST: f64 = 1.0;

/// A hint if numbers of this column look like markers.
pub(super) fn note(name: &str, numbers: &[f64]) -> Option<String> {
    let known = || numbers.iter().copied().filter(|number| !number.is_nan());
    let mut typical: Vec<(f64, usize)> = Vec::new();
    for number in known().filter(|number| is_typical(*number)) {
        match typical.iter_mut().find(|(one, _)| *one == number) {
            Some((_, rows)) => *rows += 1,
            None => typical.push((number, 1)),
        }
    }
    typical.retain(|(_, rows)| *rows >= MIN_ROWS && rows * ROWS_PER_MARKER >= numbers.len());
    if typical.is_empty() {
        return None;
    }
    // The rest without all of them: one marker must not hide another.
    let rest = || known().filter(|number| typical.iter().all(|(one, _)| one != number));
    let different = rest().map(f64::to_bits).scan(BTreeSet::new(), |seen, bits| {
        seen.insert(bits);
        Some(seen.len())
    });
    if different.take_while(|different| *different <= MIN_DIFFERENT).max()? < MIN_DIFFERENT {
        return None;
    }
    let rows = rest().count() as f64;
    let mean = rest().sum::<f64>() / rows;
    let deviation = (rest().map(|number| (number - mean).powi(2)).sum::<f64>() / rows).sqrt();
    let (low, high) = (rest().fold(f64::INFINITY, f64::min), rest().fold(mean, f64::max));
    typical.retain(|(marker, _)| {
        let least = if *marker < 0.0 && low >= 0.0 { BELOW_ZERO } else { FROM_MEAN };
        (marker - mean).abs() >= least * deviation
            && (low - marker).max(marker - high) >= FROM_NEAREST * deviation
    });
    typical.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let rows: usize = typical.iter().map(|(_, rows)| rows).sum();
    let markers: Vec<String> = typical.iter().map(|(marker, _)| marker.to_string()).collect();
    (!markers.is_empty()).then(|| {
        format!(
            "column {}: {} in {rows} rows, far from the rest ({} to {}); if it means a missing value in every \
             column, use --missing{}{}",
            quoted(name),
            markers.join(" and "),
            self::number(low),
            self::number(high),
            // Several that begin with a sign would be taken for flags.
            if markers.len() > 1 { "=" } else { " " },
            markers.join(","),
        )
    })
}

fn is_typical(number: f64) -> bool {
    NINES.contains(&number.abs()) || NEGATIVES.contains(&number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reproducible draws between 0 and 1.
    fn draws(rows: usize) -> impl Iterator<Item = f64> {
        (0..rows).scan(42_u64, |state, _| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            Some((*state >> 11) as f64 / (1_u64 << 53) as f64)
        })
    }

    /// A normal draw, as the sum of twelve others.
    fn normal(rows: usize) -> Vec<f64> {
        let draws: Vec<f64> = draws(rows * 12).collect();
        draws.chunks(12).map(|twelve| twelve.iter().sum::<f64>() - 6.0).collect()
    }

    /// The column with a marker in every `every`-th row.
    fn marked(mut numbers: Vec<f64>, every: usize, marker: f64) -> Vec<f64> {
        numbers.iter_mut().step_by(every).for_each(|number| *number = marker);
        numbers
    }

    #[test]
    fn a_usual_marker_far_from_the_rest_gets_a_hint_with_the_flag() {
        let temperatures = || normal(2_000).into_iter().map(|z| (10.0 + 8.0 * z).round()).collect();
        let ages = || draws(2_000).map(|u| (18.0 + 60.0 * u).floor()).collect::<Vec<f64>>();
        for (numbers, every, marker) in [
            (temperatures(), 10, -999.0),
            (temperatures(), 80, 9_999.0),
            (temperatures(), 7, 999.9),
            (ages(), 20, -1.0),
            (ages(), 20, -9.0),
            // Most of the rows.
            (ages().into_iter().map(|age| age / 10.0).collect(), 1, 999.0),
        ] {
            let mut numbers = numbers;
            let kept: Vec<f64> = numbers.iter().copied().step_by(20).collect();
            numbers = marked(numbers, every, marker);
            numbers.extend(kept);
            let said = note("x", &numbers).unwrap_or_default();
            let flag = format!("use --missing {marker}");
            assert!(said.starts_with("column `x`: ") && said.ends_with(&flag), "{marker}: {said}");
        }
        let two = marked(marked(temperatures(), 10, -999.0), 15, -9_999.0);
        assert!(note("x", &two).unwrap_or_default().ends_with("--missing=-9999,-999"));
    }

    #[test]
    fn ordinary_columns_get_none() {
        let uniform = |scale: f64| draws(5_000).map(|u| (scale * u).floor()).collect::<Vec<f64>>();
        let heavy = |scale: f64| normal(5_000).into_iter().map(move |z| (scale * z.exp()).round());
        let cut = |numbers: Vec<f64>, at: f64| numbers.into_iter().map(|n| n.min(at)).collect();
        let columns: [(&str, Vec<f64>); 13] = [
            ("ages", uniform(100.0)),
            ("scores up to 99", cut(uniform(130.0), 99.0)),
            ("incomes cut at 9999", cut(heavy(3_000.0).collect(), 9_999.0)),
            ("incomes", heavy(3_000.0).collect()),
            ("counts", heavy(2.0).collect()),
            ("hours cut at 99", cut(heavy(30.0).collect(), 99.0)),
            ("a normal quantity", normal(5_000)),
            ("degrees around 0", normal(5_000).into_iter().map(|z| (2.0 * z).round()).collect()),
            (
                "a scale of three",
                draws(5_000).map(|u| (10.0 * u).floor().clamp(-1.0, 1.0)).collect(),
            ),
            ("votes, nearly all 0", marked(vec![0.0; 5_000], 50, -1.0)),
            ("months since, -1 for never", marked(uniform(72.0), 10, -1.0)),
            ("one odd row in a thousand", marked(uniform(50.0), 1_000, 999.0)),
            ("no value at all", vec![f64::NAN; 100]),
        ];
        for (what, numbers) in columns {
            assert_eq!(note("x", &numbers), None, "{what}");
        }
    }
}
