//! Outlook of the failure metric: when it fails or passes if both tracks keep their failure rates.
//!
//! There are four kinds of requests: of either track, answered or failed. Each multiplies the wealths of
//! both e-values by known factors, so their growth follows from four rates without approximation.

use super::ahead::Ahead;
use super::ahead::FOUR_OF_FIVE;
use super::ahead::Outlook;
use super::ahead::settled;
use super::growth::Growth;
use super::growth::bisect;
use crate::canary::judge::monitors::metric::Counts;
use crate::canary::judge::monitors::metric::Measured;
use crate::canary::policy::metric::Metric;
use crate::stats::sequential::MAX_LOSS;
use crate::stats::sequential::RISK_RATIOS;
use crate::stats::sequential::RISK_SHARES;
use crate::stats::sequential::STAKE_SHARES;
use crate::stats::sequential::STAKE_SIZES;
use crate::stats::sequential::STAKES;

/// The typical number of stable's recent requests (512 to 1,024) that set the scale of the bet.
const REMEMBERED: f64 = 768.0;

/// Requests of each kind: a count, or an expected number per request.
#[derive(Clone, Copy, Debug)]
struct Kinds {
    canary_answered: f64,
    canary_failed: f64,
    stable_answered: f64,
    stable_failed: f64,
}

/// The expected failure rates.
#[derive(Clone, Copy, Debug)]
struct Rates {
    canary: f64,
    stable: f64,
}

pub(crate) fn outlook(
    metric: &Metric,
    measured: &Measured,
    ahead: Ahead,
    harm_at: f64,
    proof_at: f64,
) -> Outlook {
    let share = ahead.share;
    let seen = Kinds::seen(&measured.counts);
    let rates = Rates::of(measured, share);
    let coming = Kinds::coming(rates, share);
    let allowed_ratio = 1.0 + metric.tolerated.relative;
    let until =
        |growth: Growth, log_e: f64, threshold: f64| growth.moved_to(log_e).reaches(threshold);
    let harm = Growth::new(RISK_SHARES, |k| harm_gains(share, allowed_ratio, k), seen, coming);
    let accepted = metric.accepted.absolute;
    let proof = Growth::new(
        STAKE_SHARES,
        |k| proof_gains(share, accepted, rates, measured.counts.stable as f64, k),
        seen,
        coming,
    );
    Outlook {
        harm_in: until(harm, measured.harm.log_e(), harm_at),
        proof_in: until(proof, measured.proven.log_e(), proof_at),
        enough_in: None,
        smallest_detectable: smallest_detectable(ahead, seen, rates, allowed_ratio, harm_at),
    }
}

impl Kinds {
    fn seen(counts: &Counts) -> Kinds {
        let failed = |failures: u64, requests: u64| failures.min(requests) as f64;
        let canary_failed = failed(counts.canary_failures, counts.canary);
        let stable_failed = failed(counts.stable_failures, counts.stable);
        Kinds {
            canary_answered: counts.canary as f64 - canary_failed,
            canary_failed,
            stable_answered: counts.stable as f64 - stable_failed,
            stable_failed,
        }
    }

    fn coming(rates: Rates, share: f64) -> Kinds {
        Kinds {
            canary_answered: share * (1.0 - rates.canary),
            canary_failed: share * rates.canary,
            stable_answered: (1.0 - share) * (1.0 - rates.stable),
            stable_failed: (1.0 - share) * rates.stable,
        }
    }

    /// The sum of the gains over these requests.
    fn total(&self, gains: Kinds) -> f64 {
        self.canary_answered * gains.canary_answered
            + self.canary_failed * gains.canary_failed
            + self.stable_answered * gains.stable_answered
            + self.stable_failed * gains.stable_failed
    }
}

impl Rates {
    /// The pooled rate, and around it the effect as far as it exceeds noise.
    fn of(measured: &Measured, share: f64) -> Rates {
        let seen = Kinds::seen(&measured.counts);
        let requests = measured.counts.canary as f64 + measured.counts.stable as f64;
        let pooled = (seen.canary_failed + seen.stable_failed) / requests.max(1.0);
        // As for values: a mixture of the plain effect and the shrunk one.
        let effect = measured.effect.effect().map_or(0.0, |(effect, error)| {
            let settled = settled(effect, error);
            let trust = if effect == 0.0 { 0.0 } else { settled / effect };
            trust * effect + (1.0 - trust) * settled
        });
        Rates {
            canary: (pooled + (1.0 - share) * effect).clamp(0.0, 1.0),
            stable: (pooled - share * effect).clamp(0.0, 1.0),
        }
    }
}

impl Growth {
    fn new(
        shares: [f64; STAKES],
        gains: impl Fn(usize) -> Kinds,
        seen: Kinds,
        coming: Kinds,
    ) -> Growth {
        let mut growth = Growth { shares, now: [0.0; STAKES], gain: [0.0; STAKES] };
        for k in 0..STAKES {
            let gains = gains(k);
            growth.now[k] = seen.total(gains);
            growth.gain[k] = coming.total(gains);
        }
        growth
    }
}

/// Gains of the logarithm of wealth k against "fails no more often than the ratio allows".
fn harm_gains(share: f64, allowed_ratio: f64, k: usize) -> Kinds {
    let mixed = |ratio: f64| (share * (ratio - 1.0)).ln_1p();
    let either = mixed(allowed_ratio * RISK_RATIOS[k]) - mixed(allowed_ratio);
    Kinds {
        canary_answered: 0.0,
        canary_failed: RISK_RATIOS[k].ln() - either,
        stable_answered: 0.0,
        stable_failed: -either,
    }
}

/// The same against "fails more often by at least the accepted difference": a bet on 1 if the canary
/// answered, and on 1 minus the accepted difference if stable did.
fn proof_gains(share: f64, accepted: f64, rates: Rates, remembered: f64, k: usize) -> Kinds {
    let highest = 1.0 - accepted;
    let mean = highest - rates.stable;
    let center = (mean + (1.0 - share) * (1.0 - rates.canary - mean)).clamp(0.0, 1.0);
    let variance = rates.stable * (1.0 - rates.stable);
    let scale = variance.max(0.25 / (remembered.min(REMEMBERED) + 1.0)).sqrt();
    let worst = ((1.0 - share) * center).max(share * (highest - center));
    let stake = (STAKE_SIZES[k] / scale).min(MAX_LOSS / worst.max(1e-12));
    let gain = |x: f64| (stake * x).max(-MAX_LOSS).ln_1p();
    Kinds {
        canary_answered: gain((1.0 - share) * (1.0 - center)),
        canary_failed: gain(-(1.0 - share) * center),
        stable_answered: gain(-share * (highest - center)),
        stable_failed: gain(share * (accepted + center)),
    }
}

/// The minimum detectable increase of the failure rate at the end of the bake.
fn smallest_detectable(
    ahead: Ahead,
    seen: Kinds,
    rates: Rates,
    allowed_ratio: f64,
    harm_at: f64,
) -> Option<f64> {
    let share = ahead.share;
    let canary = seen.canary_answered + seen.canary_failed + share * ahead.requests;
    let stable = seen.stable_answered + seen.stable_failed + (1.0 - share) * ahead.requests;
    if canary < 1.0 {
        return None;
    }
    let stable_failed = stable * rates.stable;
    let log_e = |canary_failed: f64| {
        let failed =
            Kinds { canary_answered: 0.0, canary_failed, stable_answered: 0.0, stable_failed };
        Growth::new(RISK_SHARES, |k| harm_gains(share, allowed_ratio, k), failed, failed).after(0.0)
    };
    if log_e(canary) < harm_at {
        return None;
    }
    let needed = bisect(0.0, canary, |failed| log_e(failed) < harm_at);
    // Failure counts of both tracks are approximately Poisson.
    let odds = share / (1.0 - share);
    let expected = bisect(0.0, canary, |failed| {
        failed - FOUR_OF_FIVE * (failed + odds * odds * stable_failed).sqrt() < needed
    });
    Some(expected / canary - rates.stable).filter(|_| expected < canary)
}

/// ln E of harm from the counts alone, at a constant share.
#[cfg(test)]
pub(crate) fn log_e_of_harm(counts: &Counts, share: f64, allowed_ratio: f64) -> f64 {
    let seen = Kinds::seen(counts);
    Growth::new(RISK_SHARES, |k| harm_gains(share, allowed_ratio, k), seen, seen).after(0.0)
}
