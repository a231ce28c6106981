//! Lasting differences of values: latency, and values that clients record.

use serde::Deserialize;
use serde::Serialize;

use super::EvidenceUnit;
use super::purse::Law;
use super::series::FIRST;
use super::series::FIRST_OF_HARM;
use super::series::Purpose;
use super::series::Series;
use super::series::lengths;
use crate::stats::fixed_horizon::margin::Harm;
use crate::stats::fixed_horizon::margin::Margin;
use crate::stats::sequential::EProcess;
use crate::stats::sequential::Test;
use crate::stats::sequential::comparison::Comparison;
use crate::stats::sequential::log_weighted_mean_exp;
use crate::stats::sequential::reference::Feature;
use crate::stats::sequential::reference::Reference;

/// The sequential test of one signal with spans of time as draws.
///
/// ```text
/// E_harm     the functions of the Test, weighted as there; of each, by EvidenceUnit:
///            tick, 10s, 1m   spans of that length, against the harmful margin
///            auto            0.4 E(1 s, margin and 25 %) + 0.3 E(10 s, margin and 20 %) + 0.3 E(60 s, margin)
/// E_proven   as in Monitor; auto: (E(10 s) + E(60 s)) / 2, against the accepted margin
/// ```
///
/// `auto` proves after 25 compared seconds and acts on harm after 120. Spans do not bet while their differences depend on each other, and give up
/// what they had won. The further 25 % and 20 % of 1 s and 10 s cover noise that lasts for minutes and is too small to
/// be seen as dependence: a difference within it is found by the spans of a minute.
///
/// # Assumptions
/// The difference of a span, given those before, has an expectation of at most the margin, and a variance that the
/// spans before it show. That fails where the noise of a track lasts longer than a minute and is larger than the
/// margin; then even minutes depend on each other, and pause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastingValues {
    harmful: Vec<Part>,
    accepted: Vec<Part>,
    /// The evidence that the canary is worse than the harmful margin allows.
    pub harm: EProcess,
    /// The evidence that the canary is not worse by the accepted margin.
    pub proven: EProcess,
}

/// One function of the values, in one direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    feature: Feature,
    /// 1 for a bet that the canary's mean is larger, -1 for smaller.
    direction: f64,
    /// The margin that each span grants, and the sign of the shift.
    margins: Vec<Margin>,
    sign: f64,
    weight: f64,
    series: Series,
}

impl LastingValues {
    /// A test without data; the arguments are those of [`Monitor`](crate::stats::sequential::Monitor).
    pub fn new(
        unit: EvidenceUnit,
        harm: Harm,
        test: Test,
        harmful: Margin,
        accepted: Margin,
    ) -> LastingValues {
        let parts = |comparisons: Vec<Comparison>, purpose| -> Vec<Part> {
            comparisons.iter().flat_map(|one| Part::of(unit, one, purpose)).collect()
        };
        LastingValues {
            harmful: parts(test.all(harm, harmful), Purpose::Harm),
            accepted: parts(test.acceptance(harm, accepted), Purpose::Proof),
            harm: EProcess::default(),
            proven: EProcess::default(),
        }
    }

    /// Learns values of stable from before the first tick.
    pub(crate) fn remember(&mut self, reference: &Reference, stable: &[(f64, u64)]) {
        for part in self.harmful.iter_mut().chain(&mut self.accepted) {
            let measured = part.measured(reference, stable);
            part.series.remember(&measured);
        }
    }

    /// Takes in a tick of this many seconds.
    pub(crate) fn tick(
        &mut self,
        reference: &Reference,
        seconds: f64,
        canary: &[(f64, u64)],
        stable: &[(f64, u64)],
    ) {
        for part in self.harmful.iter_mut().chain(&mut self.accepted) {
            part.tick(reference, seconds, canary, stable);
        }
        // Some functions show a dependence sooner than others.
        let parts = || self.harmful.iter().chain(&self.accepted);
        let dependence = parts().map(|part| part.series.dependence()).fold(0.0, f64::max);
        for part in self.harmful.iter_mut().chain(&mut self.accepted) {
            part.series.pause(dependence);
        }
        let harmful = self.harmful.iter().map(|part| part.series.log_e(FIRST_OF_HARM));
        let logs: Vec<f64> = harmful.collect();
        self.harm
            .observe(log_weighted_mean_exp(&logs, self.harmful.iter().map(|part| part.weight)));
        let proofs = self.accepted.iter().map(|part| part.series.log_e(FIRST));
        self.proven.observe(proofs.fold(f64::INFINITY, f64::min));
    }

    /// The shortest span that bets now, in seconds.
    pub fn shortest_span(&self) -> Option<f64> {
        self.harmful.iter().filter_map(|part| part.series.shortest()).reduce(f64::max)
    }
}

impl Part {
    fn of(unit: EvidenceUnit, comparison: &Comparison, purpose: Purpose) -> Vec<Part> {
        let margin = comparison.margin();
        let granted = |allowance: f64| Margin {
            relative: (1.0 + margin.relative.max(0.0)) * (1.0 + allowance) - 1.0,
            ..margin
        };
        let directions = comparison.directions();
        let weight = comparison.weight() / directions.len().max(1) as f64;
        let spans = lengths(unit, purpose);
        let law = match comparison.feature() {
            Feature::Capped | Feature::Rank | Feature::Log => Law::Even,
            Feature::Above(_) | Feature::Below(_) => Law::Any,
        };
        directions
            .iter()
            .map(|&direction| Part {
                feature: comparison.feature(),
                direction,
                margins: spans.iter().map(|(_, _, allowance)| granted(*allowance)).collect(),
                // A comparison in both directions has no margin of its own; each direction grants its allowance.
                sign: if directions.len() > 1 { direction } else { comparison.sign() },
                weight,
                series: Series::new(unit, purpose, law),
            })
            .collect()
    }

    fn measured(&self, reference: &Reference, values: &[(f64, u64)]) -> Vec<(f64, u64)> {
        let values = reference.measure_all(self.feature, values);
        values.into_iter().map(|(x, count)| (self.direction * x, count)).collect()
    }

    fn tick(
        &mut self,
        reference: &Reference,
        seconds: f64,
        canary: &[(f64, u64)],
        stable: &[(f64, u64)],
    ) {
        let granted = |margin: &Margin| -> Vec<(f64, u64)> {
            let unshifted =
                |&(value, count): &(f64, u64)| (margin.unshift(value, self.sign), count);
            self.measured(reference, &canary.iter().map(unshifted).collect::<Vec<_>>())
        };
        let granted: Vec<Vec<(f64, u64)>> = self.margins.iter().map(granted).collect();
        let (plain, stable) = (self.measured(reference, canary), self.measured(reference, stable));
        self.series.tick(seconds, &plain, &granted, &stable);
    }
}
