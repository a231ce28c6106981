//! Sequential test of covariate balance: did the requests with each value get the intended share of the traffic?

use serde::Deserialize;
use serde::Serialize;

use super::log_e_sample_ratio;
use crate::stats::sequential::bets::averages::is_random;
use crate::stats::sequential::bets::averages::log_mean_exp;
use crate::stats::sequential::e_process::EProcess;

/// Concentration of the alternative around the intended share, in requests of a bin. A bin has few requests and a broken
/// split a large difference: of values between 3 and 300 this one finds a doubled share within 10 % of the earliest, at
/// intended shares of 1, 10 and 50 %.
const CONCENTRATION: f64 = 30.0;

/// The e-value of the canary's share of each bin of the requests, against the intended one.
///
/// The bins are those of one or more covariates, known before the draw; a request counts in one bin of each covariate.
///
/// ```text
/// E = mean over all bins b of E_b        E_b: the e-value of the sample ratio of the requests in b, k = 30
/// ```
///
/// Where every request is drawn to the canary with probability pi, whatever its covariates, so are those in b, and E_b is
/// an e-process; so is a mean of e-processes that watch the same requests, however they depend on each other. The number
/// of bins is fixed before the first request. When the share changes, each bin keeps its evidence as a factor and the
/// counts start over.
///
/// A split that takes a fixed number of each stratum of requests at random is covered: of the n requests of a stratum in b,
/// the canary's number is hypergeometric, E_b is convex in it (a mixture of exponentials), and the expectation of a convex
/// function is at most that of a binomial number (Hoeffding 1963, doi:10.1080/01621459.1963.10500830, theorem 4). So E is a
/// supermartingale at the ends of strata; a look within one is off by what its remaining requests return.
///
/// Lindon and Malek (2022), "Anytime-valid inference for multinomial count data", NeurIPS 35; mean of e-values: Vovk and
/// Wang (2021), doi:10.1214/20-AOS2020.
///
/// ```
/// use serin::stats::sequential::CovariateBalance;
///
/// // Two covariates of two values each. Of the requests with the first value of the first one, the canary gets half.
/// let mut balance = CovariateBalance::of(4);
/// balance.tick(0.1, &[[50, 50], [850, 50], [450, 50], [450, 50]]);
/// assert!(balance.evidence().reached(0.001));
/// assert_eq!(balance.strongest(), Some(0));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CovariateBalance {
    share: f64,
    /// Requests of stable and of the canary in each bin at this share.
    counts: Vec<[u64; 2]>,
    /// ln E of each bin before this share; empty where there was none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    before: Vec<f64>,
    evidence: EProcess,
}

impl CovariateBalance {
    /// This many bins, of all covariates together, without requests.
    pub fn of(bins: usize) -> CovariateBalance {
        CovariateBalance { counts: vec![[0, 0]; bins], ..CovariateBalance::default() }
    }

    /// Other bins, with the evidence so far as a factor of each.
    pub fn with_bins(&self, bins: usize) -> CovariateBalance {
        let before = match self.evidence == EProcess::default() {
            true => Vec::new(),
            false => vec![self.evidence.log_e(); bins],
        };
        CovariateBalance { before, evidence: self.evidence, ..CovariateBalance::of(bins) }
    }

    /// Takes in requests: stable's and the canary's in each bin. Nothing is expected of a share of 0 or 1, and counts of
    /// another number of bins are ignored.
    pub fn tick(&mut self, share: f64, added: &[[u64; 2]]) {
        if !is_random(share) || added.len() != self.counts.len() || added.is_empty() {
            return;
        }
        if share != self.share {
            // There is nothing to keep of bins without requests.
            if self.counts.iter().any(|counts| *counts != [0, 0]) {
                self.before = self.log_e_values();
            }
            self.counts.fill([0, 0]);
            self.share = share;
        }
        for (counts, added) in self.counts.iter_mut().zip(added) {
            for (sum, one) in counts.iter_mut().zip(added) {
                *sum = sum.saturating_add(*one);
            }
        }
        self.evidence.observe(log_mean_exp(&self.log_e_values()));
    }

    /// The evidence that the share of some bin is not the intended one.
    pub fn evidence(&self) -> &EProcess {
        &self.evidence
    }

    /// The bin with the strongest evidence now, if any has evidence.
    pub fn strongest(&self) -> Option<usize> {
        let values = self.log_e_values();
        let strongest = values.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        strongest.filter(|(_, log_e)| **log_e > 0.0).map(|(bin, _)| bin)
    }

    /// Requests of stable and of the canary in each bin at the current share.
    pub fn counts(&self) -> &[[u64; 2]] {
        &self.counts
    }

    /// ln E of each bin.
    fn log_e_values(&self) -> Vec<f64> {
        let before = self.before.iter().copied().chain(std::iter::repeat(0.0));
        let value = |(counts, before): (&[u64; 2], f64)| {
            let [stable, canary] = counts.map(|count| count as f64);
            match stable + canary == 0.0 {
                true => before,
                false => before + log_e_sample_ratio(canary, stable, self.share, CONCENTRATION),
            }
        };
        self.counts.iter().zip(before).map(value).collect()
    }
}

#[cfg(test)]
#[path = "covariate_balance_tests.rs"]
mod tests;
