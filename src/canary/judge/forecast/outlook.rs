//! Outlook of one metric: when it fails or passes if its effect stays as it is.

use super::scale::Ahead;
use super::scale::Draw;
use super::scale::MAX_STAKE;
use super::scale::Scale;
use super::scale::best_growth;
use super::scale::spread_of_failures;
use crate::canary::judge::margins::Margins;
use crate::canary::judge::monitors::measured::Measured;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::source::MonitorKind;
use crate::stats::Harm;
use crate::stats::sequential::MAX_LOSS;
use crate::stats::sequential::RISK_RATIOS;
use crate::stats::sequential::RISK_SHARES;
use crate::stats::sequential::STAKE_SHARES;
use crate::stats::sequential::STAKE_SIZES;

/// Further requests of both tracks until something happens; `None` if that is not in sight.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outlook {
    /// Harm is shown.
    pub(super) harm_in: Option<f64>,
    /// Non-inferiority is shown.
    pub(super) proof_in: Option<f64>,
    /// Both tracks have the samples that the metric needs to pass.
    pub(super) enough_in: Option<f64>,
    /// A promotion no longer waits for the proof of a signal.
    pub(super) decidable_in: Option<f64>,
    /// The minimum detectable effect at the end of the bake.
    pub(super) smallest_detectable: Option<f64>,
}

/// The horizon of a forecast, in requests.
pub(super) const MAX: f64 = 1e12;

/// What ln E loses because the best of the eight stakes and its neighbors start with about 30 % of the wealth.
const MIXTURE_COST: f64 = 1.2;

/// The 80 % quantile of the standard normal distribution: the power of the minimum detectable effect.
const FOUR_OF_FIVE: f64 = 0.8416;

/// The expected growth of a metric's evidence.
#[derive(Clone, Copy, Debug)]
struct Growth {
    harm: Pace,
    proof: Pace,
    smallest_detectable: Option<f64>,
}

/// The growth of ln E per request, and what it loses at the start.
#[derive(Clone, Copy, Debug)]
struct Pace {
    per_request: f64,
    cost: f64,
}

/// The outlook of a metric.
pub(super) fn outlook(
    policy: &JudgePolicy,
    metric: &Metric,
    measured: &Measured,
    ahead: Ahead,
) -> Outlook {
    let (harm_at, proof_at) = (-policy.harm_alpha(metric).ln(), -policy.alpha.ln());
    let growth = match metric.source.properties().monitor {
        MonitorKind::Failures => Some(failures(metric, measured, ahead, harm_at)),
        MonitorKind::Values(_) | MonitorKind::Shift => values(metric, measured, ahead, harm_at),
        MonitorKind::Quantile(quantile) => Some(exceedances(quantile, ahead)),
        MonitorKind::Pairs | MonitorKind::Averages => None,
    };
    let enough_in = enough_in(metric, measured, ahead);
    let Some(growth) = growth else { return Outlook { enough_in, ..Outlook::default() } };
    let counts = &measured.counts;
    let requests = (counts.stable as f64 + counts.canary as f64) / ahead.samples_per_request;
    let effective = ahead.share * (1.0 - ahead.share) * ahead.visits_per_request;
    let decidable_in = measured.awaits(metric).map(|further| further as f64 / effective);
    Outlook {
        decidable_in: decidable_in.filter(|requests| requests.is_finite()),
        harm_in: reached_in(measured.harm.log_e(), growth.harm, requests, harm_at),
        proof_in: reached_in(measured.proven.log_e(), growth.proof, requests, proof_at),
        enough_in,
        smallest_detectable: growth.smallest_detectable,
    }
}

fn enough_in(metric: &Metric, measured: &Measured, ahead: Ahead) -> Option<f64> {
    let Ahead { share, visits_per_request, .. } = ahead;
    let until = |samples: u64, share: f64| {
        metric.min_samples.saturating_sub(samples) as f64 / (share * visits_per_request)
    };
    let [stable_samples, canary_samples] = measured.samples();
    let stable = until(stable_samples, 1.0 - share);
    let canary = until(canary_samples, share);
    // 0 / 0: there is enough, and nothing comes.
    let nothing_lacks = stable_samples.min(canary_samples) >= metric.min_samples;
    if nothing_lacks { Some(0.0) } else { Some(stable.max(canary)).filter(|x| x.is_finite()) }
}

/// Further requests until ln E reaches the threshold, at a growth per request between two estimates: the expected
/// one, and the one so far, which also reflects what the bets make of the values (caps, ranks, tails). The
/// latter counts by how far ln E exceeds noise.
fn reached_in(log_e: f64, expected: Pace, requests: f64, threshold: f64) -> Option<f64> {
    if log_e >= threshold {
        return Some(0.0);
    }
    // Without an effect ln E ends between 0 and the logarithm of the smallest initial part, 1/64.
    let beyond_noise = if log_e < 0.0 { (log_e + 64_f64.ln()).min(0.0) } else { log_e };
    let trust = trust(2.0 * beyond_noise.abs());
    let so_far = (beyond_noise + expected.cost) / requests.max(1.0);
    let growth = trust * so_far + (1.0 - trust) * expected.per_request;
    let missing = threshold - log_e + (1.0 - trust) * expected.cost;
    (growth > 0.0).then(|| missing / growth)
}

/// Values: ln E grows by `eta d - eta^2 / 2` per effective sample at the best stake eta.
fn values(metric: &Metric, measured: &Measured, ahead: Ahead, harm_at: f64) -> Option<Growth> {
    let (effect, standard_error) = measured.effect.effect()?;
    let samples = measured.effect.effective_samples();
    let deviation = standard_error * samples.sqrt();
    let worse = match metric.harm {
        Harm::Higher => settled(effect, standard_error),
        Harm::Lower => -settled(effect, standard_error),
        Harm::Either => settled(effect, standard_error).abs(),
    };
    let Measured { counts, stable_mean, stable_spread, .. } = measured;
    let Margins { harmful, accepted, .. } =
        Margins::at(metric, counts, *stable_mean, *stable_spread);
    let per_request = ahead.samples_per_request * ahead.share * (1.0 - ahead.share);
    let scale = Scale::new(metric, measured, ahead);
    let pace = |draw: fn(&Scale) -> &Draw, distance: f64| Pace {
        per_request: match &scale {
            Some(scale) => draw(scale).growth(distance / scale.deviation),
            None => per_request * best_growth(distance / deviation, MAX_STAKE),
        },
        cost: MIXTURE_COST,
    };
    let smallest_detectable = (deviation > 0.0).then(|| {
        let by_then = samples + ahead.requests * per_request;
        // Of two directions each gets half of the bets; of scores the spread gets half before that.
        let is_of_spread = matches!(metric.source.properties().monitor, MonitorKind::Shift);
        let sides = match metric.harm {
            Harm::Either if is_of_spread => 4.0_f64,
            Harm::Either => 2.0,
            Harm::Higher | Harm::Lower => 1.0,
        };
        let stakes = STAKE_SIZES.into_iter().zip(STAKE_SHARES);
        let needed = smallest(stakes.map(|(stake, share)| {
            (harm_at + (sides / share).ln()) / stake + 0.5 * stake * by_then
        }));
        harmful + deviation * (needed + FOUR_OF_FIVE * by_then.sqrt()) / by_then
    });
    let harm = pace(|scale| &scale.harm, worse - harmful);
    let proof = pace(|scale| &scale.proof, accepted - worse);
    Some(Growth { harm, proof, smallest_detectable })
}

/// Failures: ln E of harm grows by the gain of the best ratio; ln E of non-inferiority as for values, with a limited
/// loss.
fn failures(metric: &Metric, measured: &Measured, ahead: Ahead, harm_at: f64) -> Growth {
    let (share, counts) = (ahead.share, &measured.counts);
    let (stable, canary) = (counts.stable as f64, counts.canary as f64);
    let failed = counts.stable_failures as f64 + counts.canary_failures as f64;
    let pooled = failed / (stable + canary).max(1.0);
    let effect = measured.effect.effect().map_or(0.0, |(effect, error)| settled(effect, error));
    let canary_rate = (pooled + (1.0 - share) * effect).clamp(0.0, 1.0);
    let stable_rate = (pooled - share * effect).clamp(0.0, 1.0);
    // What a bet on this ratio of the failure rates loses per failure of either track.
    let mixed = |ratio: f64| (share * (ratio - 1.0)).ln_1p();
    let allowed = 1.0 + metric.tolerated.relative;
    let loss = |ratio: f64| mixed(allowed * ratio) - mixed(allowed);
    let harm = RISK_RATIOS.map(|ratio| {
        let failures = share * canary_rate + (1.0 - share) * stable_rate;
        share * canary_rate * ratio.ln() - failures * loss(ratio)
    });
    let accepted = metric.accepted.absolute;
    let deviation = spread_of_failures(stable_rate, stable);
    let max_stake = MAX_STAKE.min(MAX_LOSS * deviation / (1.0 - share));
    let distance = (accepted - canary_rate + stable_rate) / deviation;
    let smallest_detectable = (canary + share * ahead.requests >= 1.0).then(|| {
        let canary = canary + share * ahead.requests;
        let stable_failures = (stable + (1.0 - share) * ahead.requests) * stable_rate;
        let bets = RISK_RATIOS.into_iter().zip(RISK_SHARES);
        let needed = smallest(bets.map(|(ratio, part)| {
            (harm_at - part.ln() + stable_failures * loss(ratio)) / (ratio.ln() - loss(ratio))
        }));
        // Failure counts of both tracks are approximately Poisson.
        let odds = share / (1.0 - share);
        let (z, noise) = (FOUR_OF_FIVE, odds * odds * stable_failures);
        let expected = needed + 0.5 * z * z + z * (needed + noise + 0.25 * z * z).sqrt();
        (expected < canary).then(|| expected / canary - stable_rate)
    });
    if let Some(scale) = Scale::new(metric, measured, ahead).filter(|it| it.harm.is_of_time) {
        let pace = |draw: &Draw, distance: f64| Pace {
            per_request: draw.growth(distance / scale.deviation),
            cost: MIXTURE_COST,
        };
        let harm = pace(&scale.harm, canary_rate - allowed * stable_rate);
        let proof = pace(&scale.proof, accepted - canary_rate + stable_rate);
        return Growth { harm, proof, smallest_detectable: smallest_detectable.flatten() };
    }
    Growth {
        harm: Pace { per_request: harm.into_iter().fold(0.0, f64::max), cost: MIXTURE_COST },
        proof: Pace {
            per_request: share * (1.0 - share) * best_growth(distance, max_stake),
            // Nearly all stakes are limited, and so all are the best one.
            cost: if distance > max_stake { 0.0 } else { MIXTURE_COST },
        },
        smallest_detectable: smallest_detectable.flatten(),
    }
}

/// A quantile: the proof of an equal canary, three quarters of whose exceedances the accepted margin takes away, by the
/// bet on a ratio of 4. Harm is forecast by its growth so far alone.
fn exceedances(quantile: f64, ahead: Ahead) -> Growth {
    let (share, rate) = (ahead.share, 1.0 - quantile);
    let (stable, canary) = ((1.0 - share) * rate, share * rate / 4.0);
    let growth = stable * 4_f64.ln() - (stable + canary) * (3.0 * (1.0 - share)).ln_1p();
    let per_request = ahead.samples_per_request * growth.max(0.0);
    Growth {
        harm: Pace { per_request: 0.0, cost: MIXTURE_COST },
        proof: Pace { per_request, cost: MIXTURE_COST },
        smallest_detectable: None,
    }
}

fn smallest(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.fold(f64::INFINITY, f64::min)
}

/// The effect to extrapolate: shrunk within its own noise, unchanged far beyond it.
///
/// Most canaries do no harm. Without the shrinkage, every other forecast of the first minute would predict
/// harm from noise alone.
fn settled(effect: f64, standard_error: f64) -> f64 {
    if effect == 0.0 { 0.0 } else { effect * trust((effect / standard_error).powi(2)) }
}

/// How far to trust an estimate, by the square of its distance from 0 in standard errors: 1/2 at one
/// standard error, 4/5 at two.
fn trust(square: f64) -> f64 {
    if square.is_infinite() { 1.0 } else { square / (1.0 + square) }
}
