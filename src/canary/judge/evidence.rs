//! What does the watch say, with all that it says it from?

use serde::Deserialize;
use serde::Serialize;

use super::judgement::Verdict;
use super::monitor::Measured;
use super::monitors::Monitors;
use super::sample_ratio::RatioMeasured;
use super::segment_monitors::SegmentMeasured;
use super::segment_scan::SegmentFinding;
use super::segment_scan::SegmentScan;
use super::sequential::Classification;
use super::sequential::SequentialVerdict;
use super::stalls::Stalls;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Role;
use crate::canary::policy::metric::Source;
use crate::canary::policy::segments::SegmentHarm;

/// What the watch says, with all that it says it from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SequentialEvidence {
    /// The metrics and thresholds.
    pub policy: JudgePolicy,
    /// The numbers of each metric, in the order of the policy.
    pub measured: Vec<Measured>,
    /// The numbers of each segment that had a request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_segment: Vec<SegmentMeasured>,
    /// Whether all requests were counted; `None` of evidence from before that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<RatioMeasured>,
    /// How often the machine itself was slow; `None` of evidence from before that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalls: Option<Stalls>,
    /// What follows from the metrics.
    pub conclusion: SequentialVerdict,
    /// What follows from the segments; `None` where none are declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<SegmentScan>,
}

/// Something that a person should look at before the rollout goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concern {
    /// What it is called, whatever the numbers.
    pub name: String,
    /// It with the numbers.
    pub sentence: String,
}

impl SequentialEvidence {
    /// What these monitors come to under this policy.
    pub fn new(policy: &JudgePolicy, monitors: &Monitors) -> SequentialEvidence {
        let by_segment = monitors.by_segment();
        SequentialEvidence {
            conclusion: SequentialVerdict::new(policy, monitors.ticks(), &monitors.measured()),
            segments: SegmentScan::new(policy, &by_segment),
            policy: policy.clone(),
            measured: monitors.measured(),
            by_segment,
            ratio: monitors.ratio(),
            stalls: monitors.stalls(),
        }
    }

    /// The same, concluded again from the numbers and the policy it carries.
    pub(crate) fn recomputed(self) -> SequentialEvidence {
        SequentialEvidence {
            conclusion: SequentialVerdict::new(&self.policy, self.conclusion.ticks, &self.measured),
            segments: SegmentScan::new(&self.policy, &self.by_segment),
            ..self
        }
    }

    /// What should become of the canary, and why, with all that is watched: a finding in a segment and a
    /// share that is off hold what would be promoted; a finding takes back only if the policy says so.
    pub fn verdict(&self) -> (Verdict, Vec<String>) {
        let findings = || brief(self.findings().iter().map(|one| one.sentence.clone()));
        let message = self.conclusion.message.clone();
        match (self.conclusion.verdict, self.policy.segments.harm) {
            (Verdict::Rollback, _) => {
                (Verdict::Rollback, std::iter::once(message).chain(findings()).collect())
            }
            (_, SegmentHarm::RollBack) if !self.findings().is_empty() => {
                let mut reasons = vec!["the canary does harm in a segment".to_owned()];
                reasons.extend(findings());
                (Verdict::Rollback, reasons)
            }
            (verdict, SegmentHarm::Hold | SegmentHarm::RollBack) => {
                let concerns = self.concerns();
                if concerns.is_empty() {
                    return (verdict, vec![message]);
                }
                (Verdict::Hold, brief(concerns.into_iter().map(|one| one.sentence)))
            }
        }
    }

    /// What speaks against a promotion, in sentences: what the metrics say against it, and whatever a
    /// person should look at.
    pub fn objections(&self) -> Vec<String> {
        let mut objections = self.metric_objections();
        objections.extend(brief(self.concerns().into_iter().map(|one| one.sentence)));
        objections
    }

    /// What the metrics say against a promotion: harm that is shown, unless the score outweighs it, and
    /// recorded values that a guardrail waits for.
    pub(crate) fn metric_objections(&self) -> Vec<String> {
        if self.conclusion.verdict == Verdict::Promote {
            return Vec::new();
        }
        let evidence = self.policy.metrics.iter().zip(&self.conclusion.metrics);
        evidence
            .filter(|(metric, evidence)| match evidence.classification {
                Classification::Fail => metric.role.acts(),
                Classification::Insufficient => {
                    metric.role == Role::Guardrail && !Source::BUILT_IN.contains(&metric.source)
                }
                Classification::Pass | Classification::Inconclusive => false,
            })
            .map(|(_, evidence)| evidence.sentence.clone())
            .collect()
    }

    /// What a person should look at before the rollout goes on.
    pub fn concerns(&self) -> Vec<Concern> {
        let finding =
            |one: &SegmentFinding| Concern { name: one.name(), sentence: one.sentence.clone() };
        let lost = self.ratio.and_then(|ratio| ratio.sentence());
        let lost = lost.map(|sentence| Concern { name: "sample ratio".to_owned(), sentence });
        self.findings().iter().map(finding).chain(lost).collect()
    }

    /// Where harm is found.
    pub fn findings(&self) -> &[SegmentFinding] {
        self.segments.as_ref().map_or(&[], |scan| &scan.findings)
    }
}

/// The first sentences, and how many there are besides: a reason is read by people, and kept for good.
pub(crate) fn brief(sentences: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = sentences.collect();
    let more = all.len().saturating_sub(MAX_SENTENCES);
    if more > 0 {
        all.truncate(MAX_SENTENCES);
        all.push(format!("and {more} more"));
    }
    all
}

/// Nobody reads more at once; all of them stand in the evidence.
const MAX_SENTENCES: usize = 5;
