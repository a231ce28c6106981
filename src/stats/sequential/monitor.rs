//! Monitor of one signal (latency, scores, custom metrics): evidence of harm and of non-inferiority.

use serde::Deserialize;
use serde::Serialize;

use super::comparison::Comparison;
use super::comparison::log_weighted;
use super::confidence_sequence::Score;
use super::e_process::EProcess;
use super::groups::GroupValues;
use super::groups::Places;
use super::lasting::LastingValues;
use super::rates::quantile::QuantileMonitor;
use super::recent_mean::RecentMean;
use super::reference::Reference;
use super::reference::ReferenceWindow;
use super::test::Test;
use crate::stats::fixed_horizon::margin::Harm;
use crate::stats::fixed_horizon::margin::Margin;
use crate::stats::summary::layout::Layout;

/// The sequential test of one signal: one e-process for harm, one for non-inferiority.
///
/// ```text
/// E_harm     mean of the e-values of the functions that the Test names: by default
///            Higher, Lower:  (5 capped value + 8 rank + 3 tail) / 16
///                            tail: mean of above p90, p95, p99 (below p10, p5, p1)
///            Either:         (5 capped value + 8 rank + 3 whole distribution) / 16, each the mean
///                            of its two directions; 9 thresholds
/// E_proven   by the capped value (by the logarithm if that is the Test): "worse by at least the
///            accepted margin" is refuted (Either: the smaller of the two directions)
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
/// use serin::stats::sequential::Test;
///
/// let accepted = Margin::relative(0.1);
/// let none = Margin::default();
/// let mut latency = Monitor::new(Layout::Seconds, Harm::Higher, Test::Combined, none, accepted);
/// for _ in 0..10 {
///     latency.tick(0.1, &[(0.030, 1)], &[(0.010, 4), (0.020, 5)]);
/// }
/// assert!(latency.harm.reached(0.05));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitor {
    window: ReferenceWindow,
    reference: Option<Reference>,
    harmful: Vec<Comparison>,
    accepted: Vec<Comparison>,
    /// The evidence that the canary is worse than the harmful margin allows.
    pub harm: EProcess,
    /// The evidence that the canary is not worse by the accepted margin.
    pub proven: EProcess,
    /// Stable's recent mean, which the effect is measured from.
    center: RecentMean,
    /// The effect on the mean, to draw with its interval. The verdict comes from the e-values.
    pub effect: Score,
    /// The groups of requests; `None` while all are of group 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    groups: Option<Box<Places>>,
}

impl Monitor {
    /// A monitor without data, for values recorded with this layout.
    ///
    /// A difference beyond `harmful` is harm; a difference within `accepted` is non-inferior. If
    /// `harmful` is the smaller one, a canary between the two gathers evidence for both.
    pub fn new(layout: Layout, harm: Harm, test: Test, harmful: Margin, accepted: Margin) -> Self {
        Self {
            window: ReferenceWindow::new(layout),
            reference: None,
            harmful: test.harm(harm, harmful),
            accepted: test.acceptance(harm, accepted),
            harm: EProcess::default(),
            proven: EProcess::default(),
            center: RecentMean::default(),
            effect: Score::default(),
            groups: None,
        }
    }

    /// Takes in values of stable from before the first tick, so that the first tick can be bet on. Bets
    /// nothing. Optional: without it the first 20 values of stable only make the reference.
    pub fn remember(&mut self, stable: &[(f64, u64)]) {
        let stable = self.window.in_buckets(stable);
        self.learn(&stable);
    }

    /// A monitor of the same signal with other margins, which knows what this one has learned of stable
    /// but has bet nothing.
    pub fn restarted(&self, harm: Harm, test: Test, harmful: Margin, accepted: Margin) -> Self {
        let mut restarted = Self {
            window: self.window.clone(),
            reference: self.reference.clone(),
            center: self.center,
            ..Self::new(self.window.layout(), harm, test, harmful, accepted)
        };
        if let Some(reference) = &self.reference {
            restarted.learn_past(reference);
        }
        restarted
    }

    /// Takes in one tick: the canary's share, and the values of each track with their counts.
    ///
    /// The increments are those of the tracks' histograms ([`Points::as_slice`]). Raw values are
    /// taken as the middles of their buckets; those that cannot be recorded are ignored. A tick must
    /// not span a change of the share.
    ///
    /// [`Points::as_slice`]: crate::stats::summary::points::Points::as_slice
    pub fn tick(&mut self, share: f64, canary: &[(f64, u64)], stable: &[(f64, u64)]) {
        let (canary, stable) = (self.window.in_buckets(canary), self.window.in_buckets(stable));
        let (canary, stable) = (canary.as_slice(), stable.as_slice());
        if let Some(reference) = &self.reference {
            for comparison in self.harmful.iter_mut().chain(&mut self.accepted) {
                comparison.tick(reference, share, canary, stable);
            }
            self.observe();
            if let Some(center) = self.center.mean() {
                self.effect.tick(share, center, canary.iter().copied(), stable.iter().copied());
            }
        }
        // Only after all bets on this tick are settled.
        self.learn(stable);
    }

    /// Takes in one tick whose requests are of several groups, each group once. What group a request is of must have been
    /// known before it was assigned to a track.
    ///
    /// Each group is compared with its own center, so that a mix of light and heavy requests makes no noise. What is
    /// tested stays the same: the canary's mean over all requests of the tick. With one group it is [`tick`](Self::tick).
    pub fn tick_in_groups(&mut self, share: f64, groups: &[GroupValues]) {
        let is_plain = groups.iter().all(|one| one.group == 0) && self.groups.is_none();
        let mut places = self.groups.take().unwrap_or_default();
        let in_buckets = |one: &GroupValues| {
            let canary = self.window.in_buckets(&one.canary);
            let stable = self.window.in_buckets(&one.stable);
            (places.place(one.group), GroupValues { group: one.group, canary, stable })
        };
        let groups: Vec<(usize, GroupValues)> = groups.iter().map(in_buckets).collect();
        let all = |of: fn(&GroupValues) -> &[(f64, u64)]| -> Vec<(f64, u64)> {
            groups.iter().flat_map(|(_, one)| of(one).iter().copied()).collect()
        };
        let stable = all(|one| &one.stable);
        if !places.are_several() {
            self.tick(share, &all(|one| &one.canary), &stable);
        } else {
            if let Some(reference) = &self.reference {
                for comparison in self.harmful.iter_mut().chain(&mut self.accepted) {
                    comparison.tick_in_groups(reference, share, &groups);
                }
                self.observe();
                for (place, GroupValues { canary, stable, .. }) in &groups {
                    if let Some(center) = places.mean(*place).or(self.center.mean()) {
                        let (canary, stable) = (canary.iter().copied(), stable.iter().copied());
                        self.effect.tick(share, center, canary, stable);
                    }
                }
            }
            self.learn(&stable);
        }
        for (place, GroupValues { stable, .. }) in &groups {
            places.learn(*place, stable);
        }
        self.groups = (!is_plain).then_some(places);
    }

    /// Whether it has seen another group than 0.
    pub fn has_groups(&self) -> bool {
        self.groups.is_some()
    }

    fn observe(&mut self) {
        self.harm.observe(log_weighted(&self.harmful));
        let least = self.accepted.iter().map(Comparison::log_e).fold(f64::INFINITY, f64::min);
        self.proven.observe(least);
    }

    fn learn(&mut self, stable: &[(f64, u64)]) {
        self.center.learn(stable);
        self.window.learn(stable);
        if let Some(reference) = self.window.reference() {
            if self.reference.is_none() {
                self.learn_past(&reference);
            }
            self.reference = Some(reference);
        }
    }

    fn learn_past(&mut self, reference: &Reference) {
        let past = self.window.points();
        for comparison in self.harmful.iter_mut().chain(&mut self.accepted) {
            comparison.learn_past(reference, past.as_slice());
        }
    }

    /// Takes the same tick in for a test with spans of time as draws. To be called before [`tick`](Self::tick), so that
    /// the values are measured with what was known before.
    pub fn compare(
        &self,
        lasting: &mut LastingValues,
        seconds: f64,
        canary: &[(f64, u64)],
        stable: &[(f64, u64)],
    ) {
        let (canary, stable) = (self.window.in_buckets(canary), self.window.in_buckets(stable));
        if let Some(reference) = &self.reference {
            lasting.tick(reference, seconds, &canary, &stable);
        }
    }

    /// Lets a test with spans of time as draws know the values of stable from before the first tick.
    pub fn teach(&self, lasting: &mut LastingValues) {
        if let Some(reference) = &self.reference {
            lasting.remember(reference, self.window.points().as_slice());
        }
    }

    /// A monitor of a quantile of the same signal, which knows what this one has learned of stable but has bet nothing.
    pub fn of_quantile(&self, quantile: f64, margins: [Margin; 2]) -> QuantileMonitor {
        QuantileMonitor::of_past(&self.window, quantile, margins)
    }

    /// The layout of the values.
    pub fn layout(&self) -> Layout {
        self.window.layout()
    }

    /// Stable's recent mean, in the unit of the values: what a relative effect is relative to.
    /// `None` before stable's first value.
    pub fn center(&self) -> Option<f64> {
        self.center.mean()
    }
}

#[cfg(test)]
#[path = "monitor_tests.rs"]
mod tests;
