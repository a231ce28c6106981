//! When does one metric fail or pass, if its effect stays what it is?

use super::failures;
use super::growth::Growth;
use super::growth::implied_sum;
use crate::canary::judge::monitor::Measured;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::Source;
use crate::stats::Harm;
use crate::stats::Margin;

/// What is to come, of one metric.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead {
    /// The canary's share; more than 0 and less than 1.
    pub(crate) share: f64,
    /// Samples that a request brings, on the track that answers it.
    pub(crate) samples_per_request: f64,
    /// Requests of both tracks until the end of the bake.
    pub(crate) requests: f64,
}

/// After how many more requests of both tracks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outlook {
    /// Harm would be proven; `None`: not in sight.
    pub(crate) harm_in: Option<f64>,
    /// Its absence would be proven.
    pub(crate) proof_in: Option<f64>,
    /// Both tracks would have the samples that the metric needs to pass.
    pub(crate) enough_in: Option<f64>,
    /// The smallest difference that would be found as harm by the end of the bake.
    pub(crate) smallest_detectable: Option<f64>,
}

/// The distance, in standard errors, that four of five estimates do not fall short by.
pub(crate) const FOUR_OF_FIVE: f64 = 0.8416;

impl Ahead {
    /// Effective samples that a request brings.
    fn information(&self) -> f64 {
        self.samples_per_request * self.share * (1.0 - self.share)
    }
}

/// The outlook of a metric.
pub(crate) fn outlook(
    policy: &JudgePolicy,
    metric: &Metric,
    measured: &Measured,
    ahead: Ahead,
) -> Outlook {
    let (harm_at, proof_at) = (-policy.harm_alpha(metric).ln(), -policy.alpha.ln());
    let outlook = match metric.source {
        Source::Failures => failures::outlook(metric, measured, ahead, harm_at, proof_at),
        Source::Latency | Source::Score | Source::Recorded | Source::LogLoss | Source::Brier => {
            values(metric, measured, ahead, harm_at, proof_at)
        }
        // Pairs come as fast as the canary is asked in the background, which no share tells.
        Source::ShadowScore
        | Source::ShadowFlips
        | Source::ShadowFailures
        | Source::ShadowLatency => return Outlook::default(),
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

/// Growth from what ln E is now, at a distance from the margin between two guesses: the one that the
/// effect and its spread give, and the one that ln E itself gives. The latter knows what the bets
/// make of the values (caps, ranks, tails), and counts as far as it is more than noise.
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

/// More standard deviations from a margin than any stake tells apart.
const FARTHEST: f64 = 1e6;

/// The effect that is counted on: within its own noise little of it, far beyond as it is.
///
/// Most canaries do no harm. Taken as it stands, the noise of the first minute would be taken for
/// harm in every other forecast.
pub(crate) fn settled(effect: f64, standard_error: f64) -> f64 {
    let square = (effect / standard_error).powi(2);
    if effect == 0.0 { 0.0 } else { effect * beyond_noise(square) }
}

/// How far to trust an estimate, by the square of its distance from 0 in standard errors: 1/2 at one
/// standard error, 4/5 at two.
fn beyond_noise(square: f64) -> f64 {
    if square.is_infinite() { 1.0 } else { square / (1.0 + square) }
}

/// A margin in the metric's unit.
fn amount(margin: Margin, stable_mean: Option<f64>) -> f64 {
    margin.absolute + margin.relative * stable_mean.unwrap_or(0.0).abs()
}
