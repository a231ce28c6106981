//! Does the canary do harm by this signal, and is it proven not to? Latency, scores, custom metrics.

use serde::Deserialize;
use serde::Serialize;

use super::betting::Bet;
use super::betting::Stake;
use super::frame::Feature;
use super::frame::Frame;
use super::frame::Past;
use super::log_mean_exp;
use super::running::Running;
use super::score::Score;
use super::tracker::Tracker;
use crate::stats::layout::Layout;
use crate::stats::margin::Harm;
use crate::stats::margin::Margin;

/// The sequential judge of one signal: one e-value for harm, one for its absence.
///
/// ```text
/// Higher, Lower:  E_harm = mean of  capped value | rank | mean of the tails at p90, p95, p99
/// Either:         E_harm = mean of  capped value | rank | whole distribution (9 thresholds),
///                          each the mean of its two directions
/// E_proven        by the capped value: "worse by at least the accepted margin" is refuted
///                 (Either: the smaller of the two directions)
/// ```
///
/// `E_harm` refutes "no worse than the harmful margin" (none by default). Both may be read after
/// every tick. Values are cut to stable's recent p1 to p99 for the mean, so that one outlier cannot
/// drown the rest; the tails look at what was cut.
///
/// ```
/// use serin::stats::Harm;
/// use serin::stats::Layout;
/// use serin::stats::Margin;
/// use serin::stats::sequential::Monitor;
///
/// let accepted = Margin::relative(0.1);
/// let mut latency = Monitor::new(Layout::SECONDS, Harm::Higher, Margin::default(), accepted);
/// for _ in 0..10 {
///     latency.tick(0.1, &[(0.030, 1)], &[(0.010, 4), (0.020, 5)]);
/// }
/// assert!(latency.harm().reached(0.05));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitor {
    past: Past,
    frame: Option<Frame>,
    harmful: Vec<Comparison>,
    accepted: Vec<Comparison>,
    harm: Running,
    proven: Running,
    /// Stable's recent mean, which the effect is measured from.
    center: Center,
    effect: Score,
}

impl Monitor {
    /// A judge that has seen nothing, for values recorded with this layout.
    ///
    /// `harmful` is the margin beyond which a difference is harm, `accepted` the one within which
    /// it is none. Between the two the canary is neither taken back nor promoted.
    pub fn new(layout: Layout, harm: Harm, harmful: Margin, accepted: Margin) -> Self {
        Self {
            past: Past::new(layout),
            frame: None,
            harmful: harm_comparisons(harm, harmful),
            accepted: acceptance_comparisons(harm, accepted),
            harm: Running::default(),
            proven: Running::default(),
            center: Center::default(),
            effect: Score::default(),
        }
    }

    /// Takes in values of stable's from before the first tick, so that the first bets know what is
    /// usual. Bets nothing. Optional: without it the first 20 values of stable's are only learned.
    pub fn remember(&mut self, stable: &[(f64, u64)]) {
        let stable = self.past.in_buckets(stable);
        self.learn(&stable);
    }

    /// Takes in one tick: the canary's share, and the values of each track with their counts.
    ///
    /// The increments are those of the tracks' histograms ([`Points::as_slice`]). Raw values are
    /// taken as the middles of their buckets; those that cannot be recorded are ignored. A tick must
    /// not span a change of the share.
    ///
    /// [`Points::as_slice`]: crate::stats::Points::as_slice
    pub fn tick(&mut self, share: f64, canary: &[(f64, u64)], stable: &[(f64, u64)]) {
        let (canary, stable) = (self.past.in_buckets(canary), self.past.in_buckets(stable));
        let (canary, stable) = (canary.as_slice(), stable.as_slice());
        if let Some(frame) = &self.frame {
            for comparison in self.harmful.iter_mut().chain(&mut self.accepted) {
                comparison.tick(frame, share, canary, stable);
            }
            self.harm.observe(log_weighted(&self.harmful));
            let least = self.accepted.iter().map(Comparison::log_e).fold(f64::INFINITY, f64::min);
            self.proven.observe(least);
            if let Some(center) = self.center.mean() {
                self.effect.tick(share, center, points(canary), points(stable));
            }
        }
        // Only now, when all bets on this tick are settled, is it known.
        self.learn(stable);
    }

    fn learn(&mut self, stable: &[(f64, u64)]) {
        self.center.learn(points(stable));
        self.past.learn(stable);
        if let Some(frame) = self.past.frame() {
            if self.frame.is_none() {
                let past = self.past.points();
                for comparison in self.harmful.iter_mut().chain(&mut self.accepted) {
                    comparison.learn_past(&frame, past.as_slice());
                }
            }
            self.frame = Some(frame);
        }
    }

    /// The evidence that the canary is worse than the harmful margin allows.
    pub fn harm(&self) -> &Running {
        &self.harm
    }

    /// The evidence that the canary is not worse by the accepted margin.
    pub fn proven(&self) -> &Running {
        &self.proven
    }

    /// The effect on the mean, to draw with its interval. The verdict comes from the e-values.
    pub fn effect(&self) -> &Score {
        &self.effect
    }

    /// The e-values that [`harm`](Self::harm) is the mean of, by name, as logarithms.
    pub fn parts(&self) -> impl Iterator<Item = (String, f64)> + '_ {
        self.harmful.iter().map(|one| (one.name(), one.log_e()))
    }
}

/// One function of the values, compared between the tracks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Comparison {
    feature: Feature,
    /// What the canary is granted before it is compared; the sign is that of the shift.
    margin: Margin,
    sign: f64,
    /// Its share of the mean.
    weight: f64,
    bets: Bets,
    tracker: Tracker,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Bets {
    /// The canary's mean is larger.
    Up(Bet),
    /// The canary's mean is smaller.
    Down(Bet),
    /// One of the two.
    Both(Bet, Bet),
}

impl Comparison {
    fn new(feature: Feature, bets: Bets, weight: f64) -> Self {
        let margin = Margin::default();
        Self { feature, margin, sign: 1.0, weight, bets, tracker: Tracker::default() }
    }

    fn granting(self, margin: Margin, sign: f64) -> Self {
        Self { margin, sign, ..self }
    }

    fn name(&self) -> String {
        let direction = match self.bets {
            Bets::Up(_) => "larger",
            Bets::Down(_) => "smaller",
            Bets::Both(..) => "different",
        };
        format!("{:?} {direction}", self.feature).to_lowercase()
    }

    fn log_e(&self) -> f64 {
        match &self.bets {
            Bets::Up(bet) | Bets::Down(bet) => bet.log_e(),
            Bets::Both(up, down) => log_mean_exp(&[up.log_e(), down.log_e()]),
        }
    }

    fn tick(&mut self, frame: &Frame, share: f64, canary: &[(f64, u64)], stable: &[(f64, u64)]) {
        let canary = self.measured(frame, canary, true);
        let stable = self.measured(frame, stable, false);
        if let Some((center, scale)) = self.tracker.center_and_scale(share) {
            let stake = Stake { share, center, scale, lowest_u: 0.0, highest_v: 1.0 };
            let up = |bet: &mut Bet| bet.tick(&stake, points(&canary), points(&stable));
            let mirrored = Stake { center: 1.0 - center, ..stake };
            let down = |bet: &mut Bet| bet.tick(&mirrored, mirror(&canary), mirror(&stable));
            match &mut self.bets {
                Bets::Up(bet) => up(bet),
                Bets::Down(bet) => down(bet),
                Bets::Both(one, other) => {
                    up(one);
                    down(other);
                }
            }
        }
        self.tracker.learn(&canary, &stable);
    }

    fn learn_past(&mut self, frame: &Frame, stable: &[(f64, u64)]) {
        let stable = self.measured(frame, stable, false);
        self.tracker.learn(&[], &stable);
    }

    /// The function of every value; of an indicator only how often it is 0 and 1.
    fn measured(&self, frame: &Frame, values: &[(f64, u64)], is_granted: bool) -> Vec<(f64, u64)> {
        if is_granted && self.margin != Margin::default() {
            let shifted: Vec<(f64, u64)> = points(values)
                .map(|(value, count)| (self.margin.unshift(value, self.sign), count))
                .collect();
            frame.measure_all(self.feature, &shifted)
        } else {
            frame.measure_all(self.feature, values)
        }
    }
}

/// Stable's recent mean in the unit of its values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Center {
    count: f64,
    mean: f64,
}

impl Center {
    fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then_some(self.mean)
    }

    fn learn(&mut self, stable: impl Iterator<Item = (f64, u64)>) {
        for (value, count) in stable {
            self.count += count as f64;
            self.mean += (value - self.mean) * (count as f64 / self.count.max(1.0));
        }
        // As the tracker: the mean of the last thousand or so.
        self.count = self.count.min(1024.0);
    }
}

fn harm_comparisons(harm: Harm, margin: Margin) -> Vec<Comparison> {
    let one = Bet::default;
    let third = 1.0 / 3.0;
    let compare = |feature, bets, weight| Comparison::new(feature, bets, weight);
    match harm {
        Harm::Higher => {
            let tail = |k| compare(Feature::Above(k), Bets::Up(one()), third / 3.0);
            [
                compare(Feature::Capped, Bets::Up(one()), third),
                compare(Feature::Rank, Bets::Up(one()), third),
            ]
            .into_iter()
            .chain([6, 7, 8].map(tail))
            .map(|comparison| comparison.granting(margin, 1.0))
            .collect()
        }
        Harm::Lower => {
            let tail = |k| compare(Feature::Below(k), Bets::Up(one()), third / 3.0);
            [
                compare(Feature::Capped, Bets::Down(one()), third),
                compare(Feature::Rank, Bets::Down(one()), third),
            ]
            .into_iter()
            .chain([2, 1, 0].map(tail))
            .map(|comparison| comparison.granting(margin, -1.0))
            .collect()
        }
        // A margin has two sides here, and each direction grants its own.
        Harm::Either => {
            let up = |feature, weight| {
                compare(feature, Bets::Up(one()), weight / 2.0).granting(margin, 1.0)
            };
            let down = |feature, weight| {
                compare(feature, Bets::Down(one()), weight / 2.0).granting(margin, -1.0)
            };
            let both = |feature, weight| {
                if margin == Margin::default() {
                    vec![compare(feature, Bets::Both(one(), one()), weight)]
                } else {
                    vec![up(feature, weight), down(feature, weight)]
                }
            };
            let thresholds = (0..9).flat_map(|k| both(Feature::Above(k), third / 9.0));
            [both(Feature::Capped, third), both(Feature::Rank, third)]
                .into_iter()
                .flatten()
                .chain(thresholds)
                .collect()
        }
    }
}

fn acceptance_comparisons(harm: Harm, margin: Margin) -> Vec<Comparison> {
    let not_higher = Comparison::new(Feature::Capped, Bets::Down(Bet::default()), 1.0);
    let not_lower = Comparison::new(Feature::Capped, Bets::Up(Bet::default()), 1.0);
    let (not_higher, not_lower) =
        (not_higher.granting(margin, 1.0), not_lower.granting(margin, -1.0));
    match harm {
        Harm::Higher => vec![not_higher],
        Harm::Lower => vec![not_lower],
        Harm::Either => vec![not_higher, not_lower],
    }
}

/// ln of the weighted mean of the e-values; the weights sum to 1.
fn log_weighted(comparisons: &[Comparison]) -> f64 {
    let logs: Vec<f64> = comparisons
        .iter()
        .map(|one| one.log_e() + (one.weight * comparisons.len() as f64).ln())
        .collect();
    log_mean_exp(&logs)
}

fn points(values: &[(f64, u64)]) -> impl Iterator<Item = (f64, u64)> + '_ {
    values.iter().copied()
}

fn mirror(values: &[(f64, u64)]) -> impl Iterator<Item = (f64, u64)> + '_ {
    values.iter().map(|(value, count)| (1.0 - value, *count))
}

#[cfg(test)]
#[path = "monitor_tests.rs"]
mod tests;
