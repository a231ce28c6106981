//! Bet on rare events (errors, fallbacks, label flips), informative from the first event on.

use serde::Deserialize;
use serde::Serialize;

use super::averages::is_random;
use super::wealth::STAKES;
use super::wealth::Wealth;

/// The risk ratios bet on, in units of phi0: from a slight harm to a model that always fails.
pub const RISK_RATIOS: [f64; STAKES] = [1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0];

/// The share of each: most for risks that call for a rollback, least for a quarter more. Multiples of
/// 1/64 sum to 1 to the bit.
pub const RISK_SHARES: [f64; STAKES] = [
    1.0 / 64.0,
    10.0 / 64.0,
    15.0 / 64.0,
    6.0 / 64.0,
    10.0 / 64.0,
    10.0 / 64.0,
    6.0 / 64.0,
    6.0 / 64.0,
];

/// A bet on which track the events belong to.
///
/// Given an event, it is the canary's with probability `pi phi / (pi phi + 1 - pi)` under risk
/// ratio phi, however rare events are. So the rate need not be known, and a baseline without a single
/// error is not a problem.
///
/// ```text
/// ln wealth_phi += e_c ln(phi / phi0) - (e_c + e_s) [ ln(pi phi + 1 - pi) - ln(pi phi0 + 1 - pi) ]
/// E = sum of w_phi wealth_phi
/// phi / phi0 = 1.25  1.5  2  3  5  10  30  100
/// 64 w_phi   =    1   10 15  6 10  10   6    6
/// ```
///
/// `e_c`, `e_s` are the events of the tick on canary and stable, `pi` the canary's share. `phi0` is
/// 1 for "no worse at all", 1 + margin for "worse by the margin at most". For an absolute margin bet
/// on the 0/1 value by [`Bet`](super::betting::Bet). Exact, at any rate, where each request went to the canary with
/// probability pi independently; conservative where strata of alike requests are routed.
///
/// The two-sample case of Lindon and Malek (2022), "Anytime-valid inference for multinomial count
/// data", NeurIPS 35; see also Turner, Ly and Grünwald (2024), Journal of Statistical Planning and
/// Inference 230, doi:10.1016/j.jspi.2023.106116.
///
/// ```
/// use serin::stats::sequential::Events;
///
/// let mut errors = Events::new(1.0);
/// // Two errors of the canary at 10 % of the traffic, none of stable's.
/// errors.tick(0.1, 2, 0);
/// assert!(errors.log_e() > 20_f64.ln());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    allowed_ratio: f64,
    wealth: Wealth,
}

impl Events {
    /// A bet against a risk ratio of at most `allowed_ratio`, the phi0 above.
    ///
    /// A ratio that is not positive and finite is taken as 1.
    pub fn new(allowed_ratio: f64) -> Self {
        let usable = (1e-6..=1e6).contains(&allowed_ratio);
        Self { allowed_ratio: if usable { allowed_ratio } else { 1.0 }, wealth: Wealth::default() }
    }

    /// A bet that also finds a risk that rises late: see [`Bet::with_fixed_share`].
    ///
    /// [`Bet::with_fixed_share`]: super::betting::Bet::with_fixed_share
    pub fn with_fixed_share(allowed_ratio: f64) -> Self {
        Self { wealth: Wealth::with_fixed_share(), ..Self::new(allowed_ratio) }
    }

    /// Bets on the events of one tick.
    pub fn tick(&mut self, share: f64, canary: u64, stable: u64) {
        if !is_random(share) || (canary == 0 && stable == 0) {
            return;
        }
        let events = canary.saturating_add(stable);
        let (canary, all) = (canary as f64, canary as f64 + stable as f64);
        let mixed = |ratio: f64| (share * (ratio - 1.0)).ln_1p();
        for (log, ratio) in self.wealth.logs.iter_mut().zip(RISK_RATIOS) {
            let excess = mixed(self.allowed_ratio * ratio) - mixed(self.allowed_ratio);
            *log += canary * ratio.ln() - all * excess;
        }
        self.wealth.share(&RISK_SHARES, events);
    }

    /// ln E.
    pub fn log_e(&self) -> f64 {
        self.wealth.log_e(&RISK_SHARES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_that_always_fails_is_found_by_its_second_request() {
        let mut errors = Events::new(1.0);
        errors.tick(0.1, 1, 0);
        assert!(errors.log_e() < 20_f64.ln());
        errors.tick(0.1, 1, 0);
        assert!(errors.log_e() > 20_f64.ln());
    }

    // One event: the canary's with probability pi phi0 / (pi phi0 + 1 - pi) under the worst of H0.
    #[test]
    fn the_expectation_at_the_edge_of_the_null_is_one() {
        for (share, ratio) in [(0.001, 1.0), (0.1, 1.0), (0.1, 1.5), (0.5, 3.0), (0.999, 0.5)] {
            let e = |canary, stable| {
                let mut events = Events::new(ratio);
                events.tick(share, canary, stable);
                events.log_e().exp()
            };
            let canary = share * ratio / (share * ratio + 1.0 - share);
            let expectation = canary * e(1, 0) + (1.0 - canary) * e(0, 1);
            assert!((expectation - 1.0).abs() < 1e-12, "{share} {ratio}");
        }
    }

    #[test]
    fn without_events_or_randomization_nothing_changes() {
        let fresh = Events::new(1.0);
        let mut events = fresh;
        for (share, canary, stable) in [(0.1, 0, 0), (0.0, 5, 5), (1.0, 5, 0), (f64::NAN, 1, 1)] {
            events.tick(share, canary, stable);
            assert_eq!(events, fresh);
        }
        events.tick(0.1, u64::MAX, u64::MAX);
        events.tick(1e-9, u64::MAX, 0);
        assert!(events.log_e().is_finite());
        assert_eq!(Events::new(f64::NAN), Events::new(1.0));
    }
}
