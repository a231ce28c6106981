//! Fisher's exact test: does the canary fail more often than stable?
//!
//! Errors are rare, and normal approximations are worst where it matters: at zero errors or the first
//! few. Fisher's test is exact for any counts.

use crate::stats::MAX_OBSERVATIONS;
use crate::stats::distributions::binomial::ln_binomial;

/// Fisher's exact test, one-sided: the probability of at least `k_canary` of all events falling to
/// the canary if canary and stable are equally likely to have them.
///
/// ```text
/// p = sum of P(X = x) for x >= k_c        P(X = x) = C(n_c, x) C(n_s, K - x) / C(n_c + n_s, K)
/// ```
///
/// where K = k_c + k_s events occurred among n_c + n_s observations. Assumes independent
/// observations. Conservative: it rejects less often than asked when counts are small.
///
/// `None` means that there is nothing to compare (a side without observations), that the counts
/// are impossible (k > n), or that there are more than 10^12 observations.
///
/// The time is proportional to the standard deviation of X: microseconds up to a million
/// observations, some milliseconds at 10^12.
///
/// Fisher (1935), "The logic of inductive inference", Journal of the Royal Statistical Society
/// 98(1), doi:10.2307/2342435; binomial terms after Loader (2000), see `binomial`.
///
/// ```
/// use serin::stats::fisher_exact_greater;
///
/// // scipy.stats.fisher_exact([[5, 45], [10, 440]], alternative="greater")
/// let p = fisher_exact_greater(5, 50, 10, 450).unwrap();
/// assert!((p - 0.011370948244866326).abs() < 1e-14);
/// ```
pub fn fisher_exact_greater(
    k_canary: u64,
    n_canary: u64,
    k_stable: u64,
    n_stable: u64,
) -> Option<f64> {
    let table = Table::new(k_canary, n_canary, k_stable, n_stable)?;
    Some(table.p_at_least(k_canary as f64))
}

/// Fisher's exact test, two-sided: the probability of a table that is at most as likely as this one
/// if canary and stable are equally likely to have events.
///
/// ```text
/// p = sum of P(X = x) over all x with P(X = x) <= P(X = k_c)
/// ```
///
/// Probabilities that differ by less than a ten-millionth count as equal, as in R: rounding must
/// not decide whether the mirror image of a table belongs to its tail. Everything else is as in
/// [`fisher_exact_greater`].
///
/// ```
/// use serin::stats::fisher_exact_two_sided;
///
/// // scipy.stats.fisher_exact([[8, 2], [1, 5]])
/// let p = fisher_exact_two_sided(8, 10, 1, 6).unwrap();
/// assert!((p - 0.034965034965034965).abs() < 1e-14);
/// ```
pub fn fisher_exact_two_sided(
    k_canary: u64,
    n_canary: u64,
    k_stable: u64,
    n_stable: u64,
) -> Option<f64> {
    let table = Table::new(k_canary, n_canary, k_stable, n_stable)?;
    let k = k_canary as f64;
    let mode = table.mode();
    let bound = table.probability(k) * (1.0 + 1e-7);
    if table.probability(mode) <= bound {
        return Some(1.0);
    }
    let p = if k > mode {
        let last = last_where(table.fewest() - 1.0, mode, |x| table.probability(x) <= bound);
        table.p_at_least(k) + table.p_at_most(last)
    } else {
        let last = last_where(-table.most() - 1.0, -mode, |x| table.probability(-x) <= bound);
        table.p_at_most(k) + table.p_at_least(-last)
    };
    Some(p.min(1.0))
}

/// The largest whole number above `low` and below `high` up to which the condition holds; `low`
/// where it holds for none. The condition must not become true again once it is false.
fn last_where(low: f64, high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (low, high);
    while high - low > 1.0 {
        let middle = (0.5 * (low + high)).floor();
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// A two-by-two table given its margins: how many of the events fall to the canary is
/// hypergeometric.
struct Table {
    canary: f64,
    stable: f64,
    events: f64,
}

impl Table {
    /// `None` for an empty side, impossible counts, or too many.
    fn new(k_canary: u64, n_canary: u64, k_stable: u64, n_stable: u64) -> Option<Self> {
        let observations = n_canary.checked_add(n_stable)?;
        let possible = k_canary <= n_canary && k_stable <= n_stable;
        if !possible || n_canary == 0 || n_stable == 0 || observations > MAX_OBSERVATIONS {
            return None;
        }
        let events = (k_canary + k_stable) as f64;
        Some(Self { canary: n_canary as f64, stable: n_stable as f64, events })
    }

    /// P(X >= k). The tail away from the mode is summed, because its terms only fall.
    fn p_at_least(&self, k: f64) -> f64 {
        let p = if k > self.mode() { self.upper_tail(k) } else { 1.0 - self.lower_tail(k - 1.0) };
        p.clamp(0.0, 1.0)
    }

    /// P(X <= k), the same seen from stable's side of the table.
    fn p_at_most(&self, k: f64) -> f64 {
        self.mirrored().p_at_least(self.events - k)
    }

    /// The fewest and the most events that can fall to the canary.
    fn fewest(&self) -> f64 {
        (self.events - self.stable).max(0.0)
    }

    fn most(&self) -> f64 {
        self.events.min(self.canary)
    }

    fn mirrored(&self) -> Self {
        Self { canary: self.stable, stable: self.canary, events: self.events }
    }

    fn mode(&self) -> f64 {
        ((self.events + 1.0) * (self.canary + 1.0) / (self.canary + self.stable + 2.0)).floor()
    }

    /// P(X >= k) for k above the mode.
    fn upper_tail(&self, k: f64) -> f64 {
        if k > self.most() {
            return 0.0;
        }
        sum_of_falling_terms(self.probability(k), k, self.most(), |x| {
            (self.events - x) * (self.canary - x)
                / ((x + 1.0) * (self.stable - self.events + x + 1.0))
        })
    }

    /// P(X <= k) for k below the mode: the same sum seen from stable's side of the table.
    fn lower_tail(&self, k: f64) -> f64 {
        self.mirrored().upper_tail(self.events - k)
    }

    /// P(X = x): three binomial terms of the same probability, whose powers cancel.
    fn probability(&self, x: f64) -> f64 {
        let all = self.canary + self.stable;
        let (p, q) = (self.events / all, (all - self.events) / all);
        let ln_canary = ln_binomial(x, self.canary, p, q);
        let ln_stable = ln_binomial(self.events - x, self.stable, p, q);
        (ln_canary + ln_stable - ln_binomial(self.events, all, p, q)).exp()
    }
}

/// Sums `first` and the terms after it, each `ratio(x)` times the one at `x`, until they no longer
/// count.
fn sum_of_falling_terms(first: f64, from: f64, to: f64, ratio: impl Fn(f64) -> f64) -> f64 {
    let mut x = from;
    let mut term = first;
    let mut sum = first;
    while x < to {
        let ratio = ratio(x);
        term *= ratio;
        sum += term;
        // The ratios fall too, so that what remains is at most a geometric series.
        if term * ratio <= 1e-17 * sum * (1.0 - ratio) {
            break;
        }
        x += 1.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition in plain arithmetic, for tables small enough for it.
    fn by_definition(k_canary: u64, n_canary: u64, k_stable: u64, n_stable: u64) -> f64 {
        let choose =
            |n: u64, k: u64| -> f64 { (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product() };
        let events = k_canary + k_stable;
        (k_canary..=events.min(n_canary))
            .filter(|x| events - x <= n_stable)
            .map(|x| choose(n_canary, x) * choose(n_stable, events - x))
            .sum::<f64>()
            / choose(n_canary + n_stable, events)
    }

    proptest! {
        #[test]
        fn small_tables_agree_with_the_definition(
            (n_canary, n_stable) in (1..40_u64, 1..40_u64),
            (canary, stable) in (0.0..=1.0_f64, 0.0..=1.0_f64),
        ) {
            let k_canary = (canary * n_canary as f64).round() as u64;
            let k_stable = (stable * n_stable as f64).round() as u64;
            let found = fisher_exact_greater(k_canary, n_canary, k_stable, n_stable).unwrap();
            let expected = by_definition(k_canary, n_canary, k_stable, n_stable);
            prop_assert!((found / expected - 1.0).abs() < 1e-11, "{found}, not {expected}");
        }
    }

    #[test]
    fn both_sides_of_small_tables_agree_with_the_definition() {
        for (n_canary, n_stable) in [(1, 1), (5, 5), (7, 9), (3, 20), (10, 6)] {
            for (k_canary, k_stable) in
                (0..=n_canary).flat_map(|k| (0..=n_stable).map(move |l| (k, l)))
            {
                let events = k_canary + k_stable;
                let at_least = |k| by_definition(k, n_canary, events - k, n_stable);
                let most = events.min(n_canary);
                let exactly = |k: u64| at_least(k) - if k < most { at_least(k + 1) } else { 0.0 };
                let tables = events.saturating_sub(n_stable)..=most;
                let bound = exactly(k_canary) + 1e-9;
                let expected: f64 = tables.map(exactly).filter(|p| *p <= bound).sum();
                let found = fisher_exact_two_sided(k_canary, n_canary, k_stable, n_stable).unwrap();
                assert!((found - expected).abs() < 1e-9, "{k_canary} {k_stable}: {found}");
            }
        }
    }

    #[test]
    fn impossible_or_empty_tables_have_no_answer() {
        assert_eq!(fisher_exact_greater(0, 0, 1, 10), None);
        assert_eq!(fisher_exact_greater(0, 10, 0, 0), None);
        assert_eq!(fisher_exact_greater(11, 10, 0, 10), None);
        assert_eq!(fisher_exact_greater(1, 10, 11, 10), None);
        assert_eq!(fisher_exact_greater(1, u64::MAX, 1, 10), None);
        assert_eq!(fisher_exact_greater(1, u64::MAX / 2, 1, 10), None);
    }

    #[test]
    fn zero_events_or_only_events_have_p_value_one() {
        assert_eq!(fisher_exact_greater(0, 10, 0, 90), Some(1.0));
        assert_eq!(fisher_exact_greater(10, 10, 90, 90), Some(1.0));
        assert_eq!(fisher_exact_greater(0, 40, 5, 360), Some(1.0));
        assert_eq!(fisher_exact_two_sided(0, 10, 0, 90), Some(1.0));
    }

    #[test]
    fn the_largest_tables_take_milliseconds() {
        let n = MAX_OBSERVATIONS / 2;
        let near_the_mode = fisher_exact_greater(n / 2, n, n / 2, n).unwrap();
        assert!((near_the_mode - 0.5).abs() < 1e-5, "{near_the_mode}");
        assert_eq!(fisher_exact_greater(n, n, 0, n), Some(0.0));
        assert_eq!(fisher_exact_two_sided(n, n, 0, n), Some(0.0));
        let two_sided = fisher_exact_two_sided(n / 2 + 1_000_000, n, n / 2, n).unwrap();
        // The normal limit: z = 1e6 / sqrt(n / 2) with n / 2 the variance of the difference.
        assert!((two_sided - 0.045_500).abs() < 1e-5, "{two_sided}");
    }
}
