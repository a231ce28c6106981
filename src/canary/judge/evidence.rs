//! Evidence of the sequential judge: everything it has measured, and its conclusions.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::monitors::Monitors;
use super::monitors::inputs::InputsMeasured;
use super::monitors::measured::Measured;
use super::monitors::sample_ratio::RatioMeasured;
use super::monitors::segments::SegmentMeasured;
use super::monitors::stalls::Stalls;
use super::segment_scan::SegmentFinding;
use super::segment_scan::SegmentScan;
use super::sequential::SequentialVerdict;
use super::verdict::Classification;
use super::verdict::Concern;
use super::verdict::MetricEvidence;
use super::verdict::Reason;
use super::verdict::Verdict;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::Role;
use crate::canary::policy::segments::SegmentHarm;
use crate::canary::policy::source::Source;

/// Pairs that show unrelated answers: with stable's mean and spread they are found after 40 in 97 % of the cases, and
/// inverted labels after 20.
const MIN_COMPARED_PAIRS: u64 = 60;

/// Labels of each track, as many as log loss needs.
const MIN_COMPARED_LABELS: u64 = 100;

/// Whether a metric has passed, or had this many samples of each track to fail.
fn has_compared(one: &MetricEvidence, least: u64) -> bool {
    match one.classification {
        Classification::Pass => true,
        Classification::Fail | Classification::Inconclusive => one.samples.fewest() >= least,
        Classification::Insufficient => false,
    }
}

/// The evidence of the sequential judge. The conclusions follow from the numbers and the policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SequentialEvidence {
    /// The metrics and thresholds.
    pub policy: JudgePolicy,
    /// The numbers of each metric, in the order of the policy.
    pub measured: Vec<Measured>,
    /// The numbers of each segment that had a request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_segment: Vec<SegmentMeasured>,
    /// The tracks' shares of the requests.
    pub ratio: RatioMeasured,
    /// The inputs of both tracks; `None` where the policy does not ask for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<InputsMeasured>,
    /// How often the machine itself was slow.
    pub stalls: Stalls,
    /// Whether a person has accepted a shift of the scores by resuming the rollout.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shift_accepted: bool,
    /// The conclusion from the metrics.
    pub conclusion: SequentialVerdict,
    /// The conclusion from the segments; `None` where none are declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<SegmentScan>,
}

impl SequentialEvidence {
    /// The evidence of these monitors under this policy.
    pub fn new(policy: &JudgePolicy, monitors: &Monitors) -> SequentialEvidence {
        let (measured, by_segment) = (monitors.measured(), monitors.by_segment());
        SequentialEvidence {
            conclusion: SequentialVerdict::new(policy, monitors.ticks(), &measured),
            segments: SegmentScan::new(policy, &by_segment),
            policy: policy.clone(),
            shift_accepted: false,
            measured,
            by_segment,
            ratio: monitors.ratio(),
            inputs: monitors.inputs(),
            stalls: monitors.stalls(),
        }
    }

    /// The same evidence; a shift of the scores is accepted or not.
    pub fn accepting_shift(self, shift_accepted: bool) -> SequentialEvidence {
        SequentialEvidence { shift_accepted, ..self }
    }

    /// The same evidence with other numbers of the metrics.
    pub(super) fn with(&self, measured: Vec<Measured>) -> SequentialEvidence {
        let conclusion = SequentialVerdict::new(&self.policy, self.conclusion.ticks, &measured);
        SequentialEvidence { measured, conclusion, ..self.clone() }
    }

    /// The same evidence, with the conclusions drawn again from its numbers and policy.
    pub(super) fn recomputed(self) -> SequentialEvidence {
        SequentialEvidence {
            conclusion: SequentialVerdict::new(&self.policy, self.conclusion.ticks, &self.measured),
            segments: SegmentScan::new(&self.policy, &self.by_segment),
            ..self
        }
    }

    /// What should happen to the canary, and why. A finding in a segment, a sample ratio mismatch, different inputs
    /// or a shift of the scores hold what would be promoted; a finding rolls back only if the policy says so.
    pub fn verdict(&self) -> (Verdict, Vec<Reason>) {
        let findings = || self.findings().iter().map(|one| Reason::Concern(one.concern()));
        match (self.conclusion.verdict, self.policy.segments.harm) {
            (Verdict::Rollback, _) => {
                (Verdict::Rollback, std::iter::once(Reason::Metrics).chain(findings()).collect())
            }
            (_, SegmentHarm::RollBack) if !self.findings().is_empty() => {
                (Verdict::Rollback, findings().collect())
            }
            (verdict, SegmentHarm::Hold | SegmentHarm::RollBack) => {
                let concerns = self.concerns();
                if concerns.is_empty() {
                    return (verdict, vec![Reason::Metrics]);
                }
                (Verdict::Hold, concerns.into_iter().map(Reason::Concern).collect())
            }
        }
    }

    /// The objections to a promotion by hand: those of the metrics, and the concerns. Who promotes by hand accepts a
    /// shift of the scores.
    pub fn objections(&self) -> Vec<Reason> {
        let mut objections = self.metric_objections();
        let is_shift = |concern: &Concern| *concern == Concern::Shift;
        let concerns = self.concerns().into_iter().filter(|concern| !is_shift(concern));
        objections.extend(concerns.map(Reason::Concern));
        objections
    }

    /// The metrics of scores that differ by more than is tolerated, short of harm.
    pub fn shifted(&self) -> impl Iterator<Item = (&Metric, &MetricEvidence)> {
        self.metrics().filter(|(_, evidence)| evidence.is_shifted)
    }

    /// Whether scores are judged, but too few answers were compared with stable's answer to the same request or with
    /// their label. Mean and spread of the scores cannot show every wrong model: with balanced classes, inverted labels
    /// change neither.
    pub fn lacks_compared_answers(&self) -> bool {
        let acting = || self.metrics().filter(|(metric, _)| metric.role.acts());
        let judges_scores = acting().any(|(metric, _)| metric.source == Source::Score);
        let has_labels = acting().any(|(metric, one)| {
            metric.source.is_of_labels() && has_compared(one, MIN_COMPARED_LABELS)
        });
        judges_scores && !has_labels && !self.has_compared_pairs()
    }

    /// How many pairs were compared in the rollout.
    pub fn pairs(&self) -> u64 {
        let in_shadow = self.metrics().filter(|(metric, _)| metric.source.is_shadow());
        in_shadow.map(|(_, one)| one.samples.canary).max().unwrap_or(0)
    }

    /// Whether enough pairs were compared to show a model whose answers have nothing to do with stable's.
    pub fn has_compared_pairs(&self) -> bool {
        self.metrics().any(|(metric, one)| {
            let is_meant = metric.source.is_shadow() && metric.source.is_of_scores();
            is_meant && metric.role.acts() && has_compared(one, MIN_COMPARED_PAIRS)
        })
    }

    /// The metrics that object to a promotion: those with shown harm, unless the score outweighs it, guardrails that
    /// wait for recorded values or labels, and scores of many classes or of any size that have not passed.
    pub(crate) fn metric_objections(&self) -> Vec<Reason> {
        if self.conclusion.verdict == Verdict::Promote {
            return Vec::new();
        }
        // The health check compares latency and failures, and scores that are one probability.
        let is_seen_at_one_look = |metric: &Metric| {
            let is_compared =
                metric.source != Source::Score || self.policy.outputs.is_probability();
            metric.source.is_of_requests() && is_compared
        };
        let must_pass = |metric: &Metric| metric.role == Role::Guardrail && metric.required;
        let objects = |metric: &Metric, one: &MetricEvidence| match one.classification {
            Classification::Fail => metric.role.acts(),
            Classification::Inconclusive if one.is_suspected => metric.role.acts(),
            Classification::Insufficient => must_pass(metric) && !is_seen_at_one_look(metric),
            Classification::Inconclusive => {
                must_pass(metric) && metric.source == Source::Score && !is_seen_at_one_look(metric)
            }
            Classification::Pass => false,
        };
        self.metrics_where(objects)
    }

    /// The metrics that act and have failed.
    pub fn harms(&self) -> Vec<Reason> {
        self.metrics_where(|metric, one| {
            metric.role.acts() && one.classification == Classification::Fail
        })
    }

    /// Whether metrics that act have failed, and the score outweighs them.
    pub fn outweighs_harm(&self) -> bool {
        self.conclusion.verdict == Verdict::Promote && !self.harms().is_empty()
    }

    /// The guardrails in shadow that have neither passed nor failed yet.
    pub fn open_in_shadow(&self) -> impl Iterator<Item = (&Metric, &MetricEvidence)> {
        self.metrics().filter(|(metric, evidence)| {
            metric.source.is_shadow()
                && metric.role == Role::Guardrail
                && match evidence.classification {
                    Classification::Insufficient | Classification::Inconclusive => true,
                    // A failed one is among the harms.
                    Classification::Pass | Classification::Fail => false,
                }
        })
    }

    /// The same as reasons.
    pub fn not_passed_in_shadow(&self) -> Vec<Reason> {
        self.open_in_shadow().map(|(metric, _)| Reason::Metric(metric.name.clone())).collect()
    }

    fn metrics_where(&self, is_meant: impl Fn(&Metric, &MetricEvidence) -> bool) -> Vec<Reason> {
        self.metrics()
            .filter(|(metric, evidence)| is_meant(metric, evidence))
            .map(|(metric, _)| Reason::Metric(metric.name.clone()))
            .collect()
    }

    /// Each metric of the policy with its evidence.
    pub fn metrics(&self) -> impl Iterator<Item = (&Metric, &MetricEvidence)> {
        self.policy.metrics.iter().zip(&self.conclusion.metrics)
    }

    /// What a person should look at before the rollout continues.
    pub fn concerns(&self) -> Vec<Concern> {
        let lost = self.ratio.is_off().then_some(Concern::SampleRatio);
        let differ = self.inputs.as_ref().is_some_and(InputsMeasured::differ);
        let inputs = differ.then_some(Concern::Inputs);
        let is_shifted = !self.shift_accepted && self.shifted().next().is_some();
        let shift = is_shifted.then_some(Concern::Shift);
        let findings = self.findings().iter().map(SegmentFinding::concern);
        findings.chain(lost).chain(inputs).chain(shift).collect()
    }

    /// Segments with harm.
    pub fn findings(&self) -> &[SegmentFinding] {
        self.segments.as_ref().map_or(&[], |scan| &scan.findings)
    }
}
