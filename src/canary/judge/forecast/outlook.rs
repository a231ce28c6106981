//! Outlook of one metric: when it fails or passes if its effect stays as it is.

use super::ahead::Ahead;
use super::ahead::FOUR_OF_FIVE;
use super::ahead::Outlook;
use super::ahead::beyond_noise;
use super::ahead::settled;
use super::failures;
use super::growth::Growth;
use super::growth::implied_sum;
use crate::canary::judge::monitors::metric::Measured;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::source::MonitorKind;
use crate::stats::Harm;
use crate::stats::Margin;

/// The outlook of a metric.
pub(crate) fn outlook(
    policy: &JudgePolicy,
    metric: &Metric,
    measured: &Measured,
    ahead: Ahead,
) -> Outlook {
    let (harm_at, proof_at) = (-policy.harm_alpha(metric).ln(), -policy.alpha.ln());
    // The rate of pairs depends on the background queue, not on the share.
    if metric.source.is_shadow() {
        return Outlook::default();
    }
    let outlook = match metric.source.properties().monitor {
        MonitorKind::Failures => failures::outlook(metric, measured, ahead, harm_at, proof_at),
        MonitorKind::Values(_) => values(metric, measured, ahead, harm_at, proof_at),
        MonitorKind::Pairs => return Outlook::default(),
    };
    Outlook { enough_in: enough_in(metric, measured, ahead), ..outlook }
}

fn enough_in(metric: &Metric, measured: &Measured, ahead: Ahead) -> Option<f64> {
    let Ahead { share, samples_per_request, .. } = ahead;
    let until = |samples: u64, share: f64| {
        metric.min_samples.saturating_sub(samples) as f64 / (share * samples_per_request)
    };
    let stable = until(measured.counts.stable, 1.0 - share);
    let canary = until(measured.counts.canary, share);
    // 0 / 0: there is enough, and nothing comes.
    let nothing_lacks = measured.counts.stable.min(measured.counts.canary) >= metric.min_samples;
    if nothing_lacks { Some(0.0) } else { Some(stable.max(canary)).filter(|x| x.is_finite()) }
}

fn values(
    metric: &Metric,
    measured: &Measured,
    ahead: Ahead,
    harm_at: f64,
    proof_at: f64,
) -> Outlook {
    let samples = measured.effect.effective_samples();
    let Some((effect, standard_error)) = measured.effect.effect() else {
        return Outlook::default();
    };
    let deviation = standard_error * samples.sqrt();
    let worse = match metric.harm {
        Harm::Higher => settled(effect, standard_error),
        Harm::Lower => -settled(effect, standard_error),
        Harm::Either => settled(effect, standard_error).abs(),
    };
    let tolerated = amount(metric.tolerated, measured.stable_mean);
    let accepted = amount(metric.accepted, measured.stable_mean);
    let information = ahead.information();
    let until = |log_e: f64, distance: f64, threshold: f64| {
        let after = growth(samples, log_e, distance / deviation).reaches(threshold)?;
        Some(after / information).filter(|requests| requests.is_finite())
    };
    Outlook {
        harm_in: until(measured.harm.log_e(), worse - tolerated, harm_at),
        proof_in: until(measured.proven.log_e(), accepted - worse, proof_at),
        enough_in: None,
        smallest_detectable: (deviation > 0.0).then(|| {
            let by_then = samples + ahead.requests * information;
            // Of two directions only one half is bet on each.
            let sides = if metric.harm == Harm::Either { 2.0_f64 } else { 1.0 };
            let needed = implied_sum(by_then, harm_at + sides.ln());
            tolerated + deviation * (needed + FOUR_OF_FIVE * by_then.sqrt()) / by_then
        }),
    }
}

/// Growth from the current ln E, at a distance from the margin between two estimates: one from the effect
/// and its spread, one implied by ln E itself. The latter reflects what the bets make of the values (caps,
/// ranks, tails), and is weighted by how far it exceeds noise.
fn growth(samples: f64, log_e: f64, by_effect: f64) -> Growth {
    let sum = implied_sum(samples, log_e);
    let by_evidence = (sum / samples).clamp(-FARTHEST, FARTHEST);
    let trust = beyond_noise(samples * by_evidence * by_evidence);
    let distance = if by_effect.is_finite() {
        trust * by_evidence + (1.0 - trust) * by_effect.clamp(-FARTHEST, FARTHEST)
    } else {
        by_evidence
    };
    Growth::of_values(samples, sum, distance)
}

/// Standard deviations from a margin beyond which stakes no longer differ.
const FARTHEST: f64 = 1e6;

/// A margin in the metric's unit.
fn amount(margin: Margin, stable_mean: Option<f64>) -> f64 {
    margin.absolute + margin.relative * stable_mean.unwrap_or(0.0).abs()
}
