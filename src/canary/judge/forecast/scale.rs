//! Scale of a metric's bets: what one draw is, and how fast bets grow with it.

use crate::canary::judge::monitors::measured::Measured;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::source::MonitorKind;
use crate::stats::Harm;
use crate::stats::sequential::EvidenceUnit;
use crate::stats::sequential::MAX_LOSS;
use crate::stats::sequential::STAKE_SIZES;
use crate::stats::sequential::STAKES;

/// The traffic to come, for one metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    /// The canary's share, between 0 and 1, exclusive.
    pub(super) share: f64,
    /// Samples per request.
    pub(super) samples_per_request: f64,
    /// The same, counting every visit of a key where all of them are judged.
    pub(super) visits_per_request: f64,
    /// Requests of both tracks until the end of the bake.
    pub(super) requests: f64,
    /// Requests of both tracks per second.
    pub(super) per_second: f64,
}

pub(super) const MAX_STAKE: f64 = STAKE_SIZES[STAKES - 1];

/// The typical number of stable's recent requests (512 to 1,024) that set the scale of a bet on failures.
const REMEMBERED: f64 = 768.0;

/// What one draw of a metric's bets is: a sample, or a span of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// The standard deviation of one sample.
    pub(super) deviation: f64,
    /// The variance of a draw against what the bets take it for.
    pub(super) variance: f64,
    pub(super) harm: Draw,
    pub(super) proof: Draw,
}

/// The draws of one bet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw {
    /// Draws so far.
    pub(super) seen: f64,
    /// Draws per request of both tracks.
    pub(super) per_request: f64,
    /// How many standard deviations of a draw a difference of one standard deviation of a sample is.
    pub(super) of_request: f64,
    pub(super) is_of_time: bool,
    /// What is taken off each draw.
    pub(super) correction: f64,
    pub(super) stakes: [f64; STAKES],
}

/// What is taken off the outcome of a span of time, and the largest stake on it (`stats::sequential::lasting`).
const SPAN_CORRECTION: f64 = 0.03;
const MAX_SPAN_STAKE: f64 = 0.29;

/// Seconds of the spans that show harm in `auto`, each with the share of stable's mean that it asks for in addition.
const HARM_SPANS: [(f64, f64); 3] = [(1.0, 0.25), (10.0, 0.20), (LONGEST_SPAN, 0.0)];

/// Seconds of the spans that prove the absence of harm in `auto`, and of those that are left if all others pause.
const PROOF_SPAN: f64 = 10.0;
const LONGEST_SPAN: f64 = 60.0;

impl Scale {
    /// `None` while the spread of values is unknown.
    pub(super) fn new(metric: &Metric, measured: &Measured, ahead: Ahead) -> Option<Scale> {
        let Ahead { share, samples_per_request, per_second, .. } = ahead;
        let counts = &measured.counts;
        let effective = samples_per_request * share * (1.0 - share);
        let of_requests = |deviation: f64, variance: f64, max_stake: f64| {
            let draw = |is_proof: bool| Draw {
                seen: measured.effect.effective_samples(),
                per_request: effective,
                of_request: 1.0,
                is_of_time: false,
                correction: 0.0,
                stakes: STAKE_SIZES
                    .map(|stake| if is_proof { stake.min(max_stake) } else { stake }),
            };
            Scale { deviation, variance, harm: draw(false), proof: draw(true) }
        };
        let scale = match metric.source.properties().monitor {
            MonitorKind::Failures => {
                let rate = |failures: u64, requests: u64| {
                    (failures as f64 + 0.5) / (requests as f64 + 50.0)
                };
                let stable = rate(counts.stable_failures, counts.stable);
                let canary = rate(counts.canary_failures, counts.canary);
                let own = counts.stable_failures as f64 / (counts.stable as f64).max(1.0);
                let deviation = spread_of_failures(own, counts.stable as f64);
                let of = |rate: f64| rate * (1.0 - rate);
                let variance = share * of(stable) + (1.0 - share) * of(canary);
                let max_stake = MAX_LOSS * deviation / (1.0 - share);
                of_requests(deviation, (variance / deviation.powi(2)).max(0.01), max_stake)
            }
            MonitorKind::Quantile(_) => return None,
            // Observations come with the time and not with requests.
            MonitorKind::Averages => return None,
            MonitorKind::Values(_) | MonitorKind::Shift | MonitorKind::Pairs => {
                let (_, standard_error) = measured.effect.effect()?;
                let deviation = standard_error * measured.effect.effective_samples().sqrt();
                of_requests(deviation, 1.0, MAX_STAKE)
            }
        };
        if !(scale.deviation > 0.0 && scale.deviation.is_finite()) {
            return None;
        }
        if measured.by_request.is_none() || !(per_second > 0.0 && per_second.is_finite()) {
            return Some(scale);
        }
        let requests = (counts.stable as f64 + counts.canary as f64) / samples_per_request;
        let shortest = measured.span_seconds.unwrap_or(LONGEST_SPAN);
        let spans = |seconds: f64| Draw {
            seen: requests / (per_second * seconds),
            per_request: 1.0 / (per_second * seconds),
            of_request: (effective * per_second * seconds).sqrt(),
            is_of_time: true,
            correction: SPAN_CORRECTION,
            stakes: STAKE_SIZES.map(|stake| stake.min(MAX_SPAN_STAKE)),
        };
        let is_auto = metric.unit == EvidenceUnit::Auto;
        let proof = if is_auto { shortest.max(PROOF_SPAN) } else { shortest };
        // Short spans ask for a larger difference. The one that grows fastest at the present effect counts.
        let worse = measured.effect.effect().map_or(0.0, |(effect, _)| match metric.harm {
            Harm::Higher => effect,
            Harm::Lower => -effect,
            Harm::Either => effect.abs(),
        });
        let mean = measured.stable_mean.map_or(0.0, f64::abs);
        let harm = HARM_SPANS
            .iter()
            .filter(|(seconds, _)| is_auto && *seconds >= shortest)
            .map(|(seconds, allowance)| {
                let lost = allowance * mean / scale.deviation;
                let draw = spans(*seconds);
                Draw { correction: draw.correction + lost * draw.of_request, ..draw }
            })
            .max_by(|one, other| {
                let growth = |draw: &Draw| draw.growth(worse / scale.deviation);
                growth(one).total_cmp(&growth(other))
            });
        let harm = harm.unwrap_or_else(|| spans(shortest));
        Some(Scale { harm, proof: spans(proof), ..scale })
    }
}

impl Draw {
    /// The growth of ln E per request at a distance from the margin, in standard deviations of a sample.
    pub(super) fn growth(&self, distance: f64) -> f64 {
        let max_stake = self.stakes[STAKES - 1];
        self.per_request * best_growth(distance * self.of_request - self.correction, max_stake)
    }
}

/// The standard deviation that bets on failures assume at this rate of stable's.
pub(super) fn spread_of_failures(rate: f64, stable: f64) -> f64 {
    let variance = rate * (1.0 - rate);
    variance.max(0.25 / (stable.min(REMEMBERED) + 1.0)).sqrt()
}

/// The growth of ln E per effective sample at a distance from the margin, in standard deviations.
pub(super) fn best_growth(distance: f64, max_stake: f64) -> f64 {
    // Farther away the limited loss of a bet keeps it from growing faster.
    let distance = distance.clamp(0.0, 3.0);
    let stake = distance.min(max_stake);
    stake * distance - 0.5 * stake * stake
}
