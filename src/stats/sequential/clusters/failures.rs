//! Failure rates of two tracks whose requests come from keys.
//!
//! ```text
//! d      = max(1, R_c / f_c, (R_c + R_s) / (f_c + f_s))     R = sum ( (f - p n) / (1 - n/N) )^2 over the cells
//! more   : P(X >= f_c / d),  X ~ Binomial((f_c + f_s) / d, N_c phi / (N_c phi + N_s))
//! within : t = (p_c - p_s - a) / sqrt( max(R_c / N_c^2, p_0 (1 - p_0) / N_c) + R_s / N_s^2 ),   p_0 = p_s + a
//! ```
//!
//! with f failures in n requests of a cell, N requests and the rate p of a track. The design effect d is by how much
//! failures vary more than those of independent requests, because they come from few keys; each cell's residual is
//! divided by what its own weight hides of it (HC3). As long as there are few failures, their variance is that of the
//! hypothesis that is tested: without any, "fails more often by 1 % at least" takes 900 requests to refute at 0.001.
//!
//! Assumes, besides what `means` does, that a canary without any failure does not have them all in keys that have not
//! come.

use super::MIN_CLUSTERS;
use super::means::degrees_of_freedom;
use crate::stats::distributions::incomplete_beta::incomplete_beta;
use crate::stats::distributions::student_t::student_t_tail;

/// The requests and failures of the keys in one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterFailures {
    /// Requests.
    pub requests: u64,
    /// Requests that failed.
    pub failures: u64,
}

/// The failures of each track with their uncertainty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FailureRates {
    canary: Rate,
    stable: Rate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Rate {
    requests: f64,
    failures: f64,
    residual: f64,
    df: f64,
}

impl FailureRates {
    /// Compares the cells of two tracks; `None` with fewer than [`MIN_CLUSTERS`] visited cells on either.
    pub fn new(canary: &[ClusterFailures], stable: &[ClusterFailures]) -> Option<FailureRates> {
        Some(FailureRates { canary: Rate::new(canary)?, stable: Rate::new(stable)? })
    }

    /// The p-value against "the canary fails at most `ratio` times as often as stable".
    pub fn p_more(&self, ratio: f64) -> f64 {
        let FailureRates { canary, stable } = self;
        if canary.failures <= 0.0 {
            return 1.0;
        }
        let all = canary.failures + stable.failures;
        let together = (canary.residual + stable.residual) / all;
        let design = (canary.residual / canary.failures).max(together).max(1.0);
        let (own, others) = (canary.failures / design, stable.failures / design);
        let (expected, rest) = (canary.requests * ratio, stable.requests);
        let share = expected / (expected + rest);
        incomplete_beta(own, others + 1.0, share, rest / (expected + rest))
    }

    /// The p-value against "the canary's rate exceeds stable's by `accepted` at least".
    pub fn p_within(&self, accepted: f64) -> f64 {
        let FailureRates { canary, stable } = self;
        let limit = (stable.rate() + accepted).clamp(0.0, 1.0);
        let tested = limit * (1.0 - limit) / canary.requests;
        let [own, other] = [canary, stable].map(|it| it.residual / (it.requests * it.requests));
        let own = own.max(tested);
        let variance = own + other;
        if variance <= 0.0 {
            return 1.0;
        }
        let df = variance * variance / (own * own / canary.df + other * other / stable.df);
        student_t_tail((limit - canary.rate()) / variance.sqrt(), df.max(1.0))
    }
}

impl Rate {
    fn new(cells: &[ClusterFailures]) -> Option<Rate> {
        let visited = || cells.iter().filter(|cell| cell.requests > 0);
        if visited().count() < MIN_CLUSTERS {
            return None;
        }
        let requests = visited().map(|cell| cell.requests as f64).sum::<f64>();
        let failures = visited().map(|cell| cell.failures as f64).sum::<f64>();
        let share = |cell: &ClusterFailures| cell.requests as f64 / requests;
        let residual = |cell: &ClusterFailures| {
            (cell.failures as f64 - failures * share(cell)) / (1.0 - share(cell))
        };
        Some(Rate {
            requests,
            failures,
            residual: visited().map(|cell| residual(cell).powi(2)).sum(),
            df: degrees_of_freedom(visited().map(share)),
        })
    }

    fn rate(&self) -> f64 {
        self.failures / self.requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(number: u64, requests: u64, failing: &[(usize, u64)]) -> Vec<ClusterFailures> {
        let mut cells: Vec<_> =
            (0..number).map(|_| ClusterFailures { requests, failures: 0 }).collect();
        failing.iter().for_each(|(cell, failures)| cells[*cell].failures = *failures);
        cells
    }

    fn rates(canary: &[ClusterFailures], stable: &[ClusterFailures]) -> FailureRates {
        FailureRates::new(canary, stable).unwrap()
    }

    #[test]
    fn failures_of_different_keys_count_each_and_those_of_one_key_once() {
        let stable = cells(90, 100, &[]);
        let spread: Vec<(usize, u64)> = (0..6).map(|cell| (cell, 1)).collect();
        let of_many = rates(&cells(10, 100, &spread), &stable);
        assert!(of_many.p_more(1.0) < 2e-6, "{}", of_many.p_more(1.0));
        let of_one = rates(&cells(10, 100, &[(0, 60)]), &stable);
        assert!(of_one.p_more(1.0) > 0.09, "{}", of_one.p_more(1.0));
        let many_failing: Vec<(usize, u64)> = (0..90).map(|cell| (cell, 1)).collect();
        let ten: Vec<(usize, u64)> = (0..10).map(|cell| (cell, 1)).collect();
        assert!(rates(&cells(10, 100, &ten), &cells(90, 100, &many_failing)).p_more(1.0) > 0.3);
    }

    #[test]
    fn a_canary_without_failures_is_proven_by_enough_requests() {
        let stable = cells(200, 50, &[]);
        assert!(rates(&cells(30, 5, &[]), &stable).p_within(0.01) > 0.05);
        assert!(rates(&cells(30, 100, &[]), &stable).p_within(0.01) < 1e-4);
        assert_eq!(rates(&cells(30, 100, &[]), &stable).p_more(1.0), 1.0);
        assert_eq!(FailureRates::new(&cells(7, 100, &[]), &stable), None);
        let failing: Vec<(usize, u64)> = (0..30).map(|cell| (cell, 1)).collect();
        let at_limit = rates(&cells(30, 100, &failing), &stable).p_within(0.01);
        assert!((0.4..0.6).contains(&at_limit), "{at_limit}");
    }
}
