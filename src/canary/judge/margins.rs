//! Margins of a metric as differences from stable, in the unit of its values.

use super::monitors::measured::Counts;
use super::verdict::Classification;
use super::verdict::MetricEvidence;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::source::MarginKind;
use crate::canary::policy::source::Source;
use crate::stats::Harm;
use crate::stats::Margin;

/// The margins of a metric as differences from stable, in the unit of its values.
#[derive(Clone, Copy, Debug)]
pub struct Margins {
    /// A larger difference is harm.
    pub harmful: f64,
    /// A larger difference of scores holds a rollout by plan.
    pub tolerated: f64,
    /// A difference within this counts as none.
    pub accepted: f64,
}

impl Margins {
    /// The margins at stable's present mean, failure rate or spread.
    pub fn new(metric: &Metric, evidence: &MetricEvidence) -> Margins {
        let MetricEvidence { samples, stable_mean, stable_spread, .. } = evidence;
        Margins::at(metric, samples, *stable_mean, *stable_spread)
    }

    /// The margins at these numbers of stable's.
    pub(super) fn at(
        metric: &Metric,
        counts: &Counts,
        mean: Option<f64>,
        spread: Option<f64>,
    ) -> Margins {
        let reference = match metric.source.properties().margin {
            MarginKind::OfMean => mean.unwrap_or(0.0).abs(),
            MarginKind::OfFailureRate => {
                counts.stable_failures as f64 / counts.stable.max(1) as f64
            }
            MarginKind::OfSpread => spread.unwrap_or(0.0),
            MarginKind::Absolute => 0.0,
        };
        let is_of_spread = metric.source.properties().margin == MarginKind::OfSpread;
        let amount = |margin: Margin| match is_of_spread {
            true => margin.of_spread(reference),
            false => margin.relative * reference + margin.absolute,
        };
        Margins {
            harmful: amount(metric.harm_margin()),
            tolerated: amount(metric.tolerated),
            accepted: amount(metric.accepted),
        }
    }

    /// Whether a reader who compares this effect with the margins comes to the same classification. The effect is that
    /// on the mean; the classification rests on e-processes that may be of ranks or clipped values.
    pub fn agree(self, harm: Harm, evidence: &MetricEvidence, effect: f64) -> bool {
        let worse = match harm {
            Harm::Higher => effect,
            Harm::Lower => -effect,
            Harm::Either => effect.abs(),
        };
        match evidence.classification {
            _ if evidence.is_shifted => worse > self.tolerated,
            Classification::Pass => worse <= self.accepted,
            Classification::Fail => worse > self.harmful,
            Classification::Inconclusive | Classification::Insufficient => true,
        }
    }

    /// The confidence sequence of the effect with what the e-processes have decided: cut at the margin that is refuted,
    /// and extended to a margin that is not refuted yet. `None` where the effect itself contradicts the classification.
    pub fn interval(
        self,
        harm: Harm,
        evidence: &MetricEvidence,
        effect: f64,
        [low, high]: [f64; 2],
    ) -> Option<[f64; 2]> {
        if !self.agree(harm, evidence, effect) {
            return None;
        }
        let is_mirrored = match harm {
            Harm::Higher => false,
            Harm::Lower => true,
            Harm::Either => effect < 0.0,
        };
        let mirrored =
            |[low, high]: [f64; 2]| if is_mirrored { [-high, -low] } else { [low, high] };
        let [best, worst] = mirrored([low, high]);
        let is_two_sided = harm == Harm::Either;
        let beyond = |margin: f64| (!is_two_sided || best >= -margin).then_some(best.max(margin));
        let found = match evidence.classification {
            _ if evidence.is_shifted => {
                let is_pass = evidence.classification == Classification::Pass;
                let most = if is_pass { worst.min(self.accepted) } else { worst };
                [beyond(self.tolerated)?, most]
            }
            Classification::Fail => [beyond(self.harmful)?, worst],
            Classification::Pass => {
                let least = if is_two_sided { best.max(-self.accepted) } else { best };
                [least, worst.min(self.accepted)]
            }
            Classification::Inconclusive | Classification::Insufficient => {
                [best.min(self.harmful), worst.max(self.accepted)]
            }
        };
        Some(mirrored(found)).filter(|[low, high]| low <= high)
    }
}

/// The evidence of a metric with the numbers that its classification rests on, and the margins to compare them with, for
/// sentences and tables.
///
/// Where all visits of keys decided, samples, effect and margins are those of the last look over them, without an
/// interval. The effect on latency is then by the ratio of the geometric means, as a share of stable's recent mean.
pub fn shown(metric: &Metric, evidence: &MetricEvidence) -> (MetricEvidence, Margins) {
    let Some(look) = &evidence.by_visits else {
        return (evidence.clone(), Margins::new(metric, evidence));
    };
    let unit = match metric.source {
        Source::Latency => evidence.stable_mean,
        _ => Some(1.0),
    };
    let [harmful, tolerated, accepted] = look.margins.map(|margin| margin * unit.unwrap_or(0.0));
    let effect = unit.map(|unit| unit * look.difference);
    let (samples, interval) = (look.counts, None);
    let evidence = MetricEvidence { samples, effect, interval, ..evidence.clone() };
    (evidence, Margins { harmful, tolerated, accepted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::judge::monitors::Monitors;
    use crate::canary::judge::sequential::SequentialVerdict;
    use crate::canary::observed::samples::TrackSamples;
    use crate::canary::policy::judge_policy::JudgePolicy;

    const MARGINS: Margins = Margins { harmful: 5.0, tolerated: 2.0, accepted: 10.0 };

    fn evidence(classification: Classification, is_shifted: bool) -> MetricEvidence {
        let policy = JudgePolicy::default();
        let monitors = Monitors::new(&policy, &TrackSamples::default());
        let verdict = SequentialVerdict::new(&policy, 0, &monitors.measured());
        let evidence = verdict.metrics[0].clone();
        MetricEvidence { classification, is_shifted, ..evidence }
    }

    #[test]
    fn an_interval_ends_where_the_classification_does() {
        use Classification::Fail;
        use Classification::Inconclusive;
        use Classification::Pass;
        for (harm, classification, is_shifted, effect, given, shown) in [
            (Harm::Higher, Fail, false, 8.0, [-1.0, 17.0], Some([5.0, 17.0])),
            (Harm::Higher, Fail, false, 8.0, [6.0, 10.0], Some([6.0, 10.0])),
            (Harm::Higher, Fail, false, 1.0, [-6.0, 8.0], None),
            (Harm::Higher, Pass, false, 1.0, [-9.0, 11.0], Some([-9.0, 10.0])),
            (Harm::Higher, Pass, false, 11.0, [1.0, 21.0], None),
            (Harm::Higher, Inconclusive, false, 7.0, [6.0, 8.0], Some([5.0, 10.0])),
            (Harm::Higher, Inconclusive, false, 7.0, [-6.0, 20.0], Some([-6.0, 20.0])),
            (Harm::Lower, Fail, false, -8.0, [-17.0, 1.0], Some([-17.0, -5.0])),
            (Harm::Lower, Pass, false, 1.0, [-13.0, 15.0], Some([-10.0, 15.0])),
            (Harm::Either, Fail, false, -8.0, [-17.0, 1.0], Some([-17.0, -5.0])),
            (Harm::Either, Fail, false, 8.0, [-6.0, 22.0], None),
            (Harm::Either, Pass, false, -1.0, [-12.0, 14.0], Some([-10.0, 10.0])),
            (Harm::Either, Pass, true, 4.0, [-1.0, 13.0], Some([2.0, 10.0])),
            (Harm::Either, Inconclusive, false, -3.0, [-4.0, -2.0], Some([-10.0, -2.0])),
        ] {
            let evidence = evidence(classification, is_shifted);
            let found = MARGINS.interval(harm, &evidence, effect, given);
            assert_eq!(found, shown, "{harm:?} {classification:?} {effect} {given:?}");
        }
    }
}
