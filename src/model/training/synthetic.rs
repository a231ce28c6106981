//! Synthetic churn data for the default models.
//!
//! Customers of a subscription with five numbers each. The true log-odds of leaving are linear in these
//! numbers plus unobserved noise, which limits the area under the curve to about 0.8, as in real churn
//! data. `[0.5, 1.2, 0.8, 0.3, 1.1]` is an ordinary customer: half a year in, paying a fifth more than
//! most, using a little less than usual, three bills in ten late, a support call a month.

use super::random::Stream;
use crate::model::dataset::Column;
use crate::model::dataset::ColumnValues;
use crate::model::dataset::Dataset;
use crate::model::dataset::error::DatasetError;

/// Names and meanings of the features, in order.
pub const FEATURES: [(&str, &str); 5] = [
    ("tenure_years", "years since the customer signed up"),
    ("charge_ratio", "monthly charge over the median customer's"),
    ("usage_ratio", "use in the last month over the customer's own average"),
    ("late_payment_share", "share of the last ten bills paid late, 0 to 1"),
    ("support_calls", "support calls a month, average of the last quarter"),
];

/// Options of the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Churn {
    /// Number of customers.
    pub rows: usize,
    /// Random seed.
    pub seed: u64,
    /// Drift since the first data, in years: customers pay somewhat more and are more sensitive to price.
    pub years_on: f64,
}

impl Churn {
    /// The data of the default `model_v1`.
    pub fn v1(seed: u64) -> Self {
        Self { rows: 5_000, seed, years_on: 0.0 }
    }

    /// The data of the default `model_v2`: a year later, and more of it.
    pub fn v2(seed: u64) -> Self {
        Self { rows: 8_000, seed, years_on: 1.0 }
    }
}

/// Generates the data.
///
/// # Errors
///
/// [`DatasetError`] when there are too few rows for both classes.
pub fn churn(churn: &Churn) -> Result<Dataset, DatasetError> {
    let mut stream = Stream::new(churn.seed);
    let mut columns: [Vec<f64>; 5] = Default::default();
    let mut left = Vec::with_capacity(churn.rows);
    for _ in 0..churn.rows {
        let customer = customer(&mut stream, churn.years_on);
        let log_odds = log_odds(&customer, churn.years_on) + UNSEEN * stream.normal();
        left.push(stream.uniform() < 1.0 / (1.0 + (-log_odds).exp()));
        for (column, value) in columns.iter_mut().zip(customer) {
            // Four digits, as a billing system would give them.
            column.push((value * 1e4).round() / 1e4);
        }
    }
    let columns = FEATURES.iter().zip(columns).map(|((name, _), values)| Column {
        name: (*name).to_owned(),
        values: ColumnValues::Numeric(values),
    });
    let years = if churn.years_on == 1.0 { "year" } else { "years" };
    let source = format!("synthetic churn (seed {}, {} {years} on)", churn.seed, churn.years_on);
    Dataset::new(source, "churned".to_owned(), "yes".to_owned(), columns.collect(), left)
}

/// Standard deviation of the unobserved noise, in log-odds.
const UNSEEN: f64 = 0.5;

fn customer(stream: &mut Stream, years_on: f64) -> [f64; 5] {
    let tenure = stream.exponential(2.0).min(12.0);
    let charge = (1.0 + 0.05 * years_on) * (0.3 * stream.normal()).exp();
    let usage = (0.35 * stream.normal()).exp();
    // The square makes most customers punctual and few often late.
    let late = stream.uniform().powi(2);
    let calls = stream.exponential(0.8);
    [tenure, charge, usage, late, calls]
}

/// The true model: long tenure keeps customers; high prices, low use, late bills and many calls precede
/// leaving.
fn log_odds([tenure, charge, usage, late, calls]: &[f64; 5], years_on: f64) -> f64 {
    let price = 1.3 + 0.3 * years_on;
    -1.45 - 0.55 * (tenure - 2.0) + price * (charge - 1.0) - 1.4 * (usage - 1.0)
        + 1.8 * (late - 1.0 / 3.0)
        + 0.7 * (calls - 0.8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_year_is_not_several() {
        let source = |made| churn(&made).unwrap().source().to_owned();
        assert_eq!(source(Churn::v1(3)), "synthetic churn (seed 3, 0 years on)");
        assert_eq!(source(Churn::v2(4)), "synthetic churn (seed 4, 1 year on)");
    }

    #[test]
    fn about_three_in_ten_customers_leave() {
        for made in [Churn::v1(1), Churn::v2(2), Churn::v1(3), Churn::v2(4)] {
            let data = churn(&made).unwrap();
            let left = data.labels().two().unwrap().1.iter().filter(|left| **left).count();
            let rate = left as f64 / made.rows as f64;
            assert!((0.24..0.31).contains(&rate), "{made:?}: {rate}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_customers_and_another_seed_others() {
        let made = |seed| churn(&Churn { rows: 200, ..Churn::v1(seed) }).unwrap();
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
    }

    #[test]
    fn no_customer_is_too_few() {
        assert!(churn(&Churn { rows: 0, ..Churn::v1(1) }).is_err());
    }
}
