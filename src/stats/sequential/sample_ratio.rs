//! Sequential sample ratio test: did each track get its share of the traffic?
//!
//! `covariate_balance`: the same for the requests with each value of a covariate.

pub(crate) mod covariate_balance;

use serde::Deserialize;
use serde::Serialize;
use statrs::function::gamma::ln_gamma;

use super::bets::averages::is_random;
use super::e_process::EProcess;

/// Concentration of the alternative around the intended share, in requests. A share that is off by a
/// fifth is found within a few hundred of the canary's requests.
const CONCENTRATION: f64 = 100.0;

/// The e-value of observed against intended shares: sample-ratio mismatch.
///
/// If a canary loses requests before they are counted, the remaining ones are a biased sample, and no
/// other number can be trusted.
///
/// ```text
/// ln E = ln B(k pi + n_c, k (1 - pi) + n_s) - ln B(k pi, k (1 - pi)) - n_c ln pi - n_s ln(1 - pi)
/// ```
///
/// B is the beta function, k = 100. When the share changes, the evidence so far is kept as a
/// factor and the counts start over: a product of e-values of successive stretches is an e-value.
/// The stratified split gets its share almost exactly, so this is conservative.
///
/// Lindon and Malek (2022), "Anytime-valid inference for multinomial count data", NeurIPS 35.
///
/// ```
/// use serin::stats::sequential::SampleRatio;
///
/// let mut ratio = SampleRatio::default();
/// ratio.tick(0.1, 60, 940, 0);
/// assert!(ratio.evidence().reached(0.05));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleRatio {
    share: f64,
    canary: u64,
    stable: u64,
    /// ln E of the stretches before this share.
    before: f64,
    evidence: EProcess,
}

impl SampleRatio {
    /// Takes in the requests of one tick. Nothing is expected of a share of 0 or 1.
    ///
    /// Requests are counted when they end. Up to `under_way` more, of both tracks together, may have
    /// started since this share began. They are assumed to go where the intended share lacks requests,
    /// so the evidence is at most that of the true counts: late requests do not count as lost.
    pub fn tick(&mut self, share: f64, canary: u64, stable: u64, under_way: u64) {
        if !is_random(share) {
            return;
        }
        if share != self.share {
            self.before = self.evidence.log_e();
            (self.share, self.canary, self.stable) = (share, 0, 0);
        }
        self.canary = self.canary.saturating_add(canary);
        self.stable = self.stable.saturating_add(stable);
        let (canary, stable) = most_favorable(self.canary, self.stable, share, under_way as f64);
        let now = log_e_sample_ratio(canary, stable, share, CONCENTRATION);
        self.evidence.observe(self.before + now);
    }

    /// The evidence that the shares are not the intended ones.
    pub fn evidence(&self) -> &EProcess {
        &self.evidence
    }
}

/// The counts, with requests under way added to the track that has too few: at most its share of them.
fn most_favorable(canary: u64, stable: u64, share: f64, under_way: f64) -> (f64, f64) {
    let (canary, stable, odds) = (canary as f64, stable as f64, share / (1.0 - share));
    let added = |seen: f64, due: f64, most: f64| seen + (due - seen).clamp(0.0, most);
    if canary < stable * odds {
        (added(canary, stable * odds, share * under_way), stable)
    } else {
        (canary, added(stable, canary / odds, (1.0 - share) * under_way))
    }
}

/// ln E of one stretch of constant share.
fn log_e_sample_ratio(canary: f64, stable: f64, share: f64, concentration: f64) -> f64 {
    let (a, b) = (concentration * share, concentration * (1.0 - share));
    ln_beta(a + canary, b + stable)
        - ln_beta(a, b)
        - canary * share.ln()
        - stable * (-share).ln_1p()
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_are_those_of_the_reference() {
        // sequential.py: loge_lindon_malek(kc, ks, pi, k)
        for (canary, stable, share, concentration, expected) in [
            (3.0, 0.0, 0.1, 100.0, 0.24787877844893558),
            (20.0, 90.0, 0.1, 10.0, 1.5811785881196503),
            (50.0, 40.0, 0.5, 100.0, -0.057439756968033606),
        ] {
            let found = log_e_sample_ratio(canary, stable, share, concentration);
            assert!((found - expected).abs() < 1e-9, "{found}");
        }
    }

    #[test]
    fn requests_under_way_fill_a_gap_up_to_their_share() {
        for (canary, stable, under_way, expected) in [
            (80, 900, 0.0, (80.0, 900.0)),
            (80, 900, 100.0, (90.0, 900.0)),
            (80, 900, 1000.0, (100.0, 900.0)),
            (100, 900, 1000.0, (100.0, 900.0)),
            (100, 700, 100.0, (100.0, 790.0)),
        ] {
            let (canary, stable) = most_favorable(canary, stable, 0.1, under_way);
            assert!((canary - expected.0).abs() < 1e-9 && (stable - expected.1).abs() < 1e-9);
        }
        let mut ratio = SampleRatio::default();
        ratio.tick(0.1, 0, 900, 1000);
        assert!(ratio.evidence().largest() < 1.0, "{ratio:?}");
    }

    #[test]
    fn evidence_from_before_a_step_counts_after_it() {
        let mut ratio = SampleRatio::default();
        ratio.tick(0.1, 0, 1000, 0);
        let found = ratio.evidence().log_e();
        assert!(found > 10.0);
        ratio.tick(0.25, 0, 0, 0);
        assert!((ratio.evidence().log_e() - found).abs() < 1e-9);
        ratio.tick(0.25, 25, 75, 0);
        assert!(ratio.evidence().log_e() < found && ratio.evidence().largest() == found);
        ratio.tick(0.0, 5, 5, 0);
        ratio.tick(f64::NAN, 5, 5, 0);
        assert_eq!((ratio.canary, ratio.stable), (25, 75));
    }
}
