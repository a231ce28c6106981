//! Difference of two rates, with its interval and the test against a margin.

use crate::stats::MAX_OBSERVATIONS;
use crate::stats::distributions::normal::normal_quantile;
use crate::stats::distributions::normal::normal_tail;
use crate::stats::distributions::root::find_root;

/// The events of canary and stable: counts of events and of observations.
///
/// Tests and interval assume independent observations, and are normal approximations;
/// [`fisher_exact_greater`](super::fisher::fisher_exact_greater) is exact. They work with 0 events, and
/// with 0 against 0: the interval is then around 0, and its width says how little is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProportionDifference {
    k_canary: f64,
    n_canary: f64,
    k_stable: f64,
    n_stable: f64,
}

impl ProportionDifference {
    /// `None` means that there is nothing to compare (a side without observations), that the counts
    /// are impossible (k > n), or that there are more than 10^12 observations.
    pub fn new(k_canary: u64, n_canary: u64, k_stable: u64, n_stable: u64) -> Option<Self> {
        let observations = n_canary.checked_add(n_stable)?;
        let possible = k_canary <= n_canary && k_stable <= n_stable;
        if !possible || n_canary == 0 || n_stable == 0 || observations > MAX_OBSERVATIONS {
            return None;
        }
        let [k_canary, n_canary, k_stable, n_stable] =
            [k_canary, n_canary, k_stable, n_stable].map(|count| count as f64);
        Some(Self { k_canary, n_canary, k_stable, n_stable })
    }

    /// The expected counts at these rates, with `ratio` observations of stable's for each of the canary's.
    pub(crate) fn expected(canary_rate: f64, stable_rate: f64, ratio: f64) -> Self {
        Self {
            k_canary: canary_rate,
            n_canary: 1.0,
            k_stable: stable_rate * ratio,
            n_stable: ratio,
        }
    }

    /// The canary's rate minus stable's.
    pub fn difference(&self) -> f64 {
        // As one fraction, so that equal rates differ by exactly 0.
        (self.k_canary * self.n_stable - self.k_stable * self.n_canary)
            / (self.n_canary * self.n_stable)
    }

    /// Miettinen and Nurminen's interval: the differences that the score test does not reject.
    ///
    /// ```text
    /// | p_c - p_s - d | = z sqrt( N / (N - 1) ( q_c (1 - q_c) / n_c + q_s (1 - q_s) / n_s ) )
    /// ```
    ///
    /// where q_s, and q_c = q_s + d, are the most likely rates that differ by d. Closer to its
    /// level than Newcombe's for small samples and rare events, at the price of a search for each
    /// end. A level of 0 or less gives the difference itself; of 1 or more, or NaN, all differences.
    ///
    /// Miettinen and Nurminen (1985), Statistics in Medicine 4(2), doi:10.1002/sim.4780040211.
    ///
    /// ```
    /// use serin::stats::ProportionDifference;
    ///
    /// let errors = ProportionDifference::new(5, 50, 10, 450).unwrap();
    /// // by the definition, scipy.optimize.brentq; see scripts/reference_statistics.py
    /// let (low, high) = errors.miettinen_nurminen_interval(0.95);
    /// assert!((low - 0.018681046759910218).abs() < 1e-9);
    /// assert!((high - 0.19210007940459564).abs() < 1e-9);
    /// ```
    pub fn miettinen_nurminen_interval(&self, level: f64) -> (f64, f64) {
        if let Some(limit) = self.limit(level) {
            return limit;
        }
        let z = normal_quantile(0.5 * (1.0 - level));
        let difference = self.difference();
        let excess = |tested: f64| (self.score(tested)).abs() - z;
        // At the ends of -1 to 1 everything but the end itself is rejected.
        let low =
            if difference <= -1.0 { -1.0 } else { find_root(-1.0, difference, 1e-15, excess) };
        let high = if difference >= 1.0 { 1.0 } else { find_root(difference, 1.0, 1e-15, excess) };
        (low, high)
    }

    /// The one-sided test against a margin, by Miettinen and Nurminen's score: the probability of
    /// rates as favorable to the canary as these if its rate is larger by at least `margin`. Small
    /// values show that the canary is not worse by the margin.
    ///
    /// Farrington and Manning (1990), Statistics in Medicine 9(12), doi:10.1002/sim.4780091208,
    /// whose statistic has no factor N / (N - 1).
    pub fn p_not_worse(&self, margin: f64) -> f64 {
        normal_tail(-self.score(margin.clamp(-1.0, 1.0)))
    }

    /// The opposite one-sided test: small values show that the canary's rate is larger by more than
    /// `margin`.
    pub fn p_worse(&self, margin: f64) -> f64 {
        normal_tail(self.score(margin.clamp(-1.0, 1.0)))
    }

    /// The score statistic of the hypothesis that the rates differ by `tested`.
    fn score(&self, tested: f64) -> f64 {
        let all = self.n_canary + self.n_stable;
        let stable = self.most_likely_stable_rate(tested);
        let canary = (stable + tested).clamp(0.0, 1.0);
        let variance = all / (all - 1.0)
            * (canary * (1.0 - canary) / self.n_canary + stable * (1.0 - stable) / self.n_stable);
        let gap = self.difference() - tested;
        if gap == 0.0 { 0.0 } else { gap / variance.sqrt() }
    }

    /// Stable's most likely rate if the canary's is larger by `d`.
    ///
    /// The closed form, a root of a cubic, loses its digits where two roots meet; the slope of the
    /// log-likelihood only falls, so that its zero is found without it.
    pub(crate) fn most_likely_stable_rate(&self, d: f64) -> f64 {
        let (low, high) = ((-d).max(0.0), (1.0 - d).min(1.0));
        let ratio = |count: f64, rate: f64| if count == 0.0 { 0.0 } else { count / rate };
        let slope = |stable: f64| {
            let canary = (stable + d).clamp(0.0, 1.0);
            ratio(self.k_canary, canary) + ratio(self.k_stable, stable)
                - ratio(self.n_canary - self.k_canary, 1.0 - canary)
                - ratio(self.n_stable - self.k_stable, 1.0 - stable)
        };
        if slope(low) <= 0.0 {
            low
        } else if slope(high) >= 0.0 {
            high
        } else {
            find_root(low, high, 1e-16, slope)
        }
    }

    /// The interval at a level that needs no computation.
    fn limit(&self, level: f64) -> Option<(f64, f64)> {
        if level <= 0.0 {
            Some((self.difference(), self.difference()))
        } else if level.is_nan() || level >= 1.0 {
            Some((-1.0, 1.0))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn zero_events_on_both_tracks_have_an_interval() {
        for (k_canary, k_stable) in [(0, 0), (10, 90)] {
            let nothing = ProportionDifference::new(k_canary, 10, k_stable, 90).unwrap();
            assert_eq!(nothing.difference(), 0.0);
            let (low, high) = nothing.miettinen_nurminen_interval(0.95);
            assert!(low < -0.01 && high > 0.01, "{low} {high}");
            assert!(low > -0.4 && high < 0.4, "{low} {high}");
        }
    }

    #[test]
    fn impossible_counts_have_no_answer() {
        for (k_canary, n_canary, k_stable, n_stable) in
            [(0, 0, 1, 10), (0, 10, 0, 0), (11, 10, 0, 10), (0, 1, 0, u64::MAX), (0, 1, 2, 1)]
        {
            let none = ProportionDifference::new(k_canary, n_canary, k_stable, n_stable);
            assert_eq!(none, None);
        }
    }

    #[test]
    fn levels_outside_zero_to_one_have_their_limits() {
        let errors = ProportionDifference::new(1, 10, 2, 40).unwrap();
        let interval = |level| errors.miettinen_nurminen_interval(level);
        assert_eq!(interval(0.0), (errors.difference(), errors.difference()));
        assert_eq!(interval(1.0), (-1.0, 1.0));
        assert_eq!(interval(f64::NAN), (-1.0, 1.0));
    }

    #[test]
    fn all_against_none_reaches_the_end() {
        let all = ProportionDifference::new(20, 20, 0, 180).unwrap();
        assert_eq!(all.difference(), 1.0);
        assert_eq!(all.miettinen_nurminen_interval(0.95).1, 1.0);
        assert!(all.miettinen_nurminen_interval(0.95).0 > 0.8);
    }

    proptest! {
        #[test]
        fn the_score_interval_is_where_the_score_test_turns(
            (n_canary, n_stable) in (1..300_u64, 1..300_u64),
            (canary, stable) in (0.0..1.0_f64, 0.0..1.0_f64),
        ) {
            let k_canary = (canary * n_canary as f64) as u64;
            let k_stable = (stable * n_stable as f64) as u64;
            let counts =
                ProportionDifference::new(k_canary, n_canary, k_stable, n_stable).unwrap();
            let (low, high) = counts.miettinen_nurminen_interval(0.9);
            prop_assert!(low <= counts.difference() && counts.difference() <= high);
            if high < 1.0 - 1e-9 {
                prop_assert!((counts.p_not_worse(high) - 0.05).abs() < 1e-6);
            }
            if low > -1.0 + 1e-9 {
                prop_assert!((counts.p_not_worse(low) - 0.95).abs() < 1e-6);
            }
        }

        #[test]
        fn swapping_the_tracks_mirrors_the_result(
            (n_canary, n_stable) in (1..300_u64, 1..300_u64),
            (canary, stable) in (0.0..=1.0_f64, 0.0..=1.0_f64),
        ) {
            let k_canary = (canary * n_canary as f64).round() as u64;
            let k_stable = (stable * n_stable as f64).round() as u64;
            let one = ProportionDifference::new(k_canary, n_canary, k_stable, n_stable).unwrap();
            let other = ProportionDifference::new(k_stable, n_stable, k_canary, n_canary).unwrap();
            let interval = one.miettinen_nurminen_interval(0.95);
            let mirrored = other.miettinen_nurminen_interval(0.95);
            prop_assert!((interval.0 + mirrored.1).abs() < 1e-9, "{:?} {:?}", interval, mirrored);
            prop_assert!((interval.1 + mirrored.0).abs() < 1e-9, "{:?} {:?}", interval, mirrored);
            prop_assert!((one.p_worse(0.1) + one.p_not_worse(0.1) - 1.0).abs() < 1e-12);
        }
    }
}
