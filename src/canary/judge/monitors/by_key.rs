//! Keys that come back: the tracks compared over all visits, where a key is the draw.
//!
//! The bets of a metric take in the first visit of each key, so they end when all users have come. Beside them, all visits
//! of the running step are compared in cells of keys, at a few looks (see [`Looks`]). Both have half of the wealth from
//! the moment the first key comes. Traffic without keys keeps all of it.

use serde::Deserialize;
use serde::Serialize;

use super::measured::Counts;
use super::measured::KeyVisits;
use super::measured::LastLook;
use crate::canary::observed::increment::Increment;
use crate::canary::observed::visits::Cell;
use crate::canary::observed::visits::Cells;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::source::Source;
use crate::canary::traffic::track::Track;
use crate::canary::traffic::weight::Weight;
use crate::stats::Harm;
use crate::stats::Margin;
use crate::stats::sequential::ClusterMeans;
use crate::stats::sequential::ClusterValues;
use crate::stats::sequential::EProcess;
use crate::stats::sequential::FailureMargins;
use crate::stats::sequential::FailureMonitor;
use crate::stats::sequential::FailureRates;
use crate::stats::sequential::KeyedEvidence;
use crate::stats::sequential::Looks;
use crate::stats::sequential::Test;
use crate::stats::sequential::TrackCounts;

/// The visits of all keys at the running share, and when they are looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyCells {
    weight: Weight,
    cells: Cells,
    looks: Looks,
    /// At earlier shares.
    before: [u64; 2],
}

impl KeyCells {
    /// No visits, before the first tick that has some.
    pub(super) fn beginning(increment: &Increment) -> KeyCells {
        KeyCells {
            weight: increment.weight,
            cells: Cells::default(),
            looks: Looks::default(),
            before: [0; 2],
        }
    }

    /// Takes in the visits of a tick. A share of the level, if there is a look now.
    pub(super) fn tick(&mut self, increment: &Increment) -> Option<f64> {
        if increment.weight != self.weight {
            // Other keys are the canary's.
            let visits = self.visits();
            for (sum, visits) in self.before.iter_mut().zip(visits) {
                *sum = sum.saturating_add(visits);
            }
            (self.weight, self.cells) = (increment.weight, Cells::default());
            self.looks.restart();
        }
        self.cells.add(&increment.visits);
        let [stable, canary] = self.visits();
        let visits = stable.min(canary);
        if visits < self.looks.next() || self.weight.is_certain() {
            return None;
        }
        if self.rates().is_none() {
            self.looks.skip(visits);
            return None;
        }
        Some(self.looks.take(visits))
    }

    /// How many visits of each track are still missing to the next look.
    pub(super) fn missing(&self) -> [u64; 2] {
        self.visits().map(|visits| self.looks.next().saturating_sub(visits))
    }

    pub(super) fn measured(&self) -> KeyVisits {
        let [now_stable, now_canary] = self.visits();
        let [stable, canary] = self.before;
        KeyVisits {
            stable: stable.saturating_add(now_stable),
            canary: canary.saturating_add(now_canary),
            at_this_share: now_stable.min(now_canary),
            next_look: self.looks.next(),
        }
    }

    fn visits(&self) -> [u64; 2] {
        [Track::Stable, Track::Canary].map(|track| self.cells.visits(track))
    }

    /// The means of these values of a cell; `granted` takes off the canary's what a margin grants.
    fn means(
        &self,
        values: fn(&Cell) -> ClusterValues,
        granted: impl Fn(ClusterValues) -> ClusterValues,
    ) -> Option<ClusterMeans> {
        let of = |track| self.cells.of(track).iter().map(values);
        let canary: Vec<_> = of(Track::Canary).map(granted).collect();
        ClusterMeans::new(self.weight.share(), &canary, &of(Track::Stable).collect::<Vec<_>>())
    }

    /// The sums over all visits of a track at the running share.
    fn all(&self, track: Track) -> Cell {
        let mut all = Cell::default();
        self.cells.of(track).iter().for_each(|cell| all.add(cell));
        all
    }

    fn rates(&self) -> Option<FailureRates> {
        let of = |track| self.cells.of(track).iter().map(Cell::failures).collect::<Vec<_>>();
        FailureRates::new(&of(Track::Canary), &of(Track::Stable))
    }
}

/// Whether all visits of keys say something of a metric: not of noise that lasts, of a tail, or of labels.
pub fn judges_all_visits(policy: &JudgePolicy, metric: &Metric) -> bool {
    let is_of_mean = matches!(metric.test, Test::Combined | Test::Log);
    let is_plain = metric.unit.is_request() && metric.harm == Harm::Higher;
    match metric.source {
        Source::Latency => is_plain && is_of_mean,
        Source::Failures => is_plain,
        Source::Score => policy.outputs.is_probability(),
        _ => false,
    }
}

/// A metric that is judged by all visits of keys as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keyed {
    harm: Harm,
    /// Harmful, tolerated, accepted.
    margins: [Margin; 3],
    /// Of harm, of a shift, of the proof.
    levels: [f64; 3],
    /// Of latency: what the harmful and the accepted margin add to the logarithm of stable's latencies, in sum, and the
    /// number of latencies.
    granted: [f64; 2],
    latencies: u64,
    /// Of failures: first visits, with a share of failing users that is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    users: Option<FailureMonitor>,
    /// `None` before the first key.
    evidence: Option<[KeyedEvidence; 3]>,
    /// `None` before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_look: Option<LastLook>,
}

/// This many times the accepted share of failing requests may be the share of users who fail.
const FAILING_USERS: f64 = 5.0;

impl Keyed {
    /// `None` where they say nothing of the metric.
    pub(super) fn of(policy: &JudgePolicy, metric: &Metric) -> Option<Keyed> {
        // Where no metric holds, a shift has no level.
        let shift = if metric.holds() { policy.shift_alpha(metric) } else { 0.0 };
        judges_all_visits(policy, metric).then(|| Keyed {
            harm: metric.harm,
            margins: [metric.harm_margin(), metric.tolerated, metric.accepted],
            levels: [policy.harm_alpha(metric), shift, policy.alpha],
            granted: [0.0; 2],
            latencies: 0,
            users: (metric.source == Source::Failures).then(|| {
                let accepted_difference = (FAILING_USERS * metric.accepted.absolute).min(0.5);
                let harmful_ratio = 1.0 + metric.tolerated.relative;
                FailureMonitor::new(FailureMargins { harmful_ratio, accepted_difference })
            }),
            evidence: None,
            last_look: None,
        })
    }

    /// Learns what the margins are in logarithms, from the latencies of stable's first visits.
    fn learn(&mut self, latencies: &[(f64, u64)]) {
        let [harmful, _, accepted] = self.margins;
        for (latency, count) in latencies.iter().filter(|(latency, _)| *latency > 0.0) {
            self.latencies = self.latencies.saturating_add(*count);
            for (sum, margin) in self.granted.iter_mut().zip([harmful, accepted]) {
                let factor = 1.0 + margin.relative + margin.absolute / latency;
                *sum += *count as f64 * factor.max(f64::MIN_POSITIVE).ln();
            }
        }
    }

    /// The p-values against no more than the harmful and the tolerated margin, and against at least the accepted one.
    fn p_values(&self, source: Source, spread: Option<f64>, cells: &KeyCells) -> Option<[f64; 3]> {
        let [harmful, tolerated, accepted] = match source {
            Source::Failures => {
                let rates = cells.rates()?;
                let [_, tolerated, accepted] = self.margins;
                let more = rates.p_more(1.0 + tolerated.relative);
                let within =
                    if self.has_enough_users() { rates.p_within(accepted.absolute) } else { 1.0 };
                return Some([more, 1.0, within]);
            }
            Source::Latency => {
                let mean = |sum: f64| sum / self.latencies as f64;
                let [harmful, accepted] = self.granted.map(mean);
                [harmful, harmful, accepted]
            }
            _ => {
                let spread = spread?;
                self.margins.map(|margin| margin.of_spread(spread))
            }
        };
        let is_known = [harmful, tolerated, accepted].iter().all(|margin| margin.is_finite());
        let values = match source {
            Source::Latency => Cell::log_latencies,
            _ => Cell::scores,
        };
        let means = cells.means(values, |all| all);
        let means = means.filter(|_| is_known)?;
        let above = |margin: f64| self.above(&means, margin);
        let proven = match self.harm {
            Harm::Higher => means.p_below(accepted),
            Harm::Lower => means.p_above(-accepted),
            Harm::Either => means.p_below(accepted).max(means.p_above(-accepted)),
        };
        let proven = match source {
            // A few requests that take much longer raise the mean more than the mean of the logarithms.
            Source::Latency => proven.max(self.mean_within(cells)),
            _ => proven,
        };
        Some([above(harmful), above(tolerated), proven])
    }

    /// The p-value against "the canary's mean latency is larger by at least the accepted margin".
    fn mean_within(&self, cells: &KeyCells) -> f64 {
        let [_, _, Margin { relative, absolute }] = self.margins;
        let accepted = Margin { relative, absolute: 1e3 * absolute };
        let means = cells.means(Cell::latencies, |values| values.granted(accepted));
        means.map(|means| means.p_below(0.0)).filter(|p| !p.is_nan()).unwrap_or(1.0)
    }

    /// Whether few enough users can fail always: visits say nothing of users who have not come.
    fn has_enough_users(&self) -> bool {
        let [_, _, level] = self.levels;
        self.users.as_ref().is_some_and(|users| users.proven.reached(0.5 * level))
    }

    /// Takes in the failures of a tick's first visits.
    pub(super) fn tick_users(&mut self, share: f64, canary: TrackCounts, stable: TrackCounts) {
        if let Some(users) = &mut self.users {
            users.tick(share, canary, stable);
        }
    }

    fn above(&self, means: &ClusterMeans, margin: f64) -> f64 {
        match self.harm {
            Harm::Higher => means.p_above(margin),
            Harm::Lower => means.p_below(-margin),
            Harm::Either => 2.0 * means.p_above(margin).min(means.p_below(-margin)),
        }
    }

    /// Begins with the first key, before its visit is bet on: with the evidence of harm, of a shift and of the proof.
    pub(super) fn begin(&mut self, firsts: [EProcess; 3]) {
        let begun = || firsts.map(|one| KeyedEvidence::beginning(&one));
        self.evidence.get_or_insert_with(begun);
    }

    /// Takes in a tick after it was bet on: the same evidence, the spread of stable's scores, and a look that has this
    /// share of the levels.
    pub(super) fn tick(
        &mut self,
        source: Source,
        (firsts, spread): ([EProcess; 3], Option<f64>),
        increment: &Increment,
        cells: &KeyCells,
        look: Option<f64>,
    ) {
        if source == Source::Latency {
            self.learn(&increment.stable.latency);
        }
        let found = look.zip(look.and_then(|_| self.p_values(source, spread, cells)));
        let levels = self.levels;
        for (place, (one, first)) in self.evidence.iter_mut().flatten().zip(&firsts).enumerate() {
            if let Some((share, p)) = found {
                one.look(p[place], share, levels[place]);
            }
            one.observe(first);
        }
        if look.is_some() {
            self.last_look = self.looked(source, spread, cells).or(self.last_look);
        }
        if let Some((last, evidence)) = self.last_look.as_mut().zip(self.evidence) {
            let both = evidence.iter().zip(&firsts).zip(levels);
            for (decided, ((one, first), level)) in last.decided.iter_mut().zip(both) {
                *decided = one.evidence.reached(level) && !first.reached(level);
            }
        }
    }

    /// What all visits say of this source now; `None` where it is not a number.
    fn looked(&self, source: Source, spread: Option<f64>, cells: &KeyCells) -> Option<LastLook> {
        let [stable, canary] = [Track::Stable, Track::Canary].map(|track| cells.all(track));
        let answered = |all: &Cell| all.visits.saturating_sub(all.failures);
        let mean = |all: &Cell, [sum, _]: [f64; 2]| sum / answered(all) as f64;
        let (difference, margins) = match source {
            Source::Failures => {
                let rate = |all: &Cell| all.failures as f64 / all.visits as f64;
                let at_rate = |margin: Margin| margin.relative * rate(&stable) + margin.absolute;
                (rate(&canary) - rate(&stable), self.margins.map(at_rate))
            }
            Source::Latency => {
                let [stable, canary] = [stable, canary].map(|all| mean(&all, all.log_latency));
                let [harmful, accepted] =
                    self.granted.map(|sum| (sum / self.latencies as f64).exp_m1());
                ((canary - stable).exp_m1(), [harmful, harmful, accepted])
            }
            _ => {
                let spread = spread?;
                let [stable, canary] = [stable, canary].map(|all| mean(&all, all.score));
                (canary - stable, self.margins.map(|margin| margin.of_spread(spread)))
            }
        };
        let counts = match source {
            Source::Failures => Counts {
                stable: stable.visits,
                canary: canary.visits,
                stable_failures: stable.failures,
                canary_failures: canary.failures,
            },
            _ => {
                Counts { stable: answered(&stable), canary: answered(&canary), ..Counts::default() }
            }
        };
        let is_known = difference.is_finite() && margins.iter().all(|margin| margin.is_finite());
        is_known.then_some(LastLook { counts, difference, margins, decided: [false; 3] })
    }

    /// The evidence of harm, of a shift and of the proof, of first and of all visits together; `None` before the first
    /// key.
    pub(super) fn evidence(&self) -> Option<[EProcess; 3]> {
        self.evidence.map(|all| all.map(|one| one.evidence))
    }

    /// What the last look over all visits saw; `None` before the first.
    pub(super) fn last_look(&self) -> Option<LastLook> {
        self.last_look
    }

    pub(super) fn has_begun(&self) -> bool {
        self.evidence.is_some()
    }
}

#[cfg(test)]
#[path = "by_key_tests.rs"]
mod tests;
