//! The judgement of a rollout step: evidence, verdict and reasons.
//!
//! Two judges contribute. The *health check* tests once, on everything observed since the step began. The
//! *sequential judge* sees every tick, and its conclusions hold however often they are read. In a manual
//! rollout either one can ask for a rollback; a promotion takes a passing health check and no objection
//! of the sequential judge (a failed metric, or a guardrail of recorded values or labels without data). What the
//! sequential judge has proven outweighs what one look found or lacked, unless that is gross harm.
//! In an automatic rollout the sequential judge decides alone. Too little data is a verdict of its own:
//! neither an error nor a pass.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::evidence::SequentialEvidence;
use super::health_check::Evidence;
use super::health_check::Inputs;
use super::health_check::gather;
use super::health_check::is_gross;
use super::health_check::judge;
use super::margins::Margins;
use super::verdict::Classification;
use super::verdict::Concern;
use super::verdict::Reason;
use super::verdict::Verdict;
use crate::canary::policy::Mode;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::policy::metric::Role;
use crate::canary::policy::source::Source;

/// A verdict with everything it rests on, for one rollout, step and artifact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Judgement {
    /// The rollout.
    pub rollout: u64,
    /// The step.
    pub step: u32,
    /// The canary's artifact.
    pub digest: String,
    /// The thresholds of the health check.
    pub policy: HealthPolicy,
    /// The evidence of the health check.
    pub evidence: Evidence,
    /// Who decides; in an automatic rollout the sequential judge alone.
    #[serde(default, skip_serializing_if = "Mode::is_manual")]
    pub mode: Mode,
    /// The evidence of the sequential judge; `None` if it had none.
    #[serde(default)]
    pub sequential: Option<SequentialEvidence>,
    /// The conclusion.
    pub verdict: Verdict,
    /// Why.
    pub reasons: Vec<Reason>,
}

impl Judgement {
    /// Judges these inputs under this policy.
    pub fn new(
        rollout: u64,
        step: u32,
        digest: &str,
        policy: HealthPolicy,
        inputs: Inputs,
        mode: Mode,
        sequential: Option<SequentialEvidence>,
    ) -> Judgement {
        let evidence = gather(&policy, inputs);
        let (verdict, reasons) = match (mode, &sequential) {
            (Mode::Manual, None) => judge(&policy, &evidence),
            // Without requests of its own the health check has nothing to look at.
            (Mode::Manual, Some(sequential)) if !sequential.policy.judges_requests() => {
                sequential.verdict()
            }
            (Mode::Manual, Some(sequential)) => combined(&policy, &evidence, sequential),
            (Mode::Automatic, Some(sequential)) => sequential.verdict(),
            (Mode::Automatic, None) => (Verdict::Hold, vec![Reason::NoEvidence]),
        };
        let digest = digest.to_owned();
        Judgement { rollout, step, digest, policy, evidence, mode, sequential, verdict, reasons }
    }

    /// Whether either judge shows harm in a metric that acts, which the score does not outweigh; if not, a judgement
    /// that does not pass lacks data.
    pub fn harm_detected(&self) -> bool {
        let sequential = self.sequential.as_ref();
        self.verdict == Verdict::Rollback
            || sequential.is_some_and(|sequential| {
                let has_failed = !sequential.harms().is_empty() && !sequential.outweighs_harm();
                has_failed || !sequential.findings().is_empty()
            })
    }

    /// Whether more evidence can make it pass: no harm is shown, and the split is not proven to be broken, which stays.
    pub fn waiting_helps(&self) -> bool {
        let concerns = self.sequential.iter().flat_map(SequentialEvidence::concerns);
        let is_lasting = |it: &Concern| matches!(it, Concern::SampleRatio | Concern::Inputs);
        !self.harm_detected() && !concerns.into_iter().any(|concern| is_lasting(&concern))
    }

    /// The verdict of the health check alone, with its reasons.
    pub fn health(&self) -> (Verdict, Vec<Reason>) {
        judge(&self.policy, &self.evidence)
    }

    /// This judgement, computed again from its own inputs and thresholds.
    pub fn recomputed(&self) -> Judgement {
        let sequential = self.sequential.clone().map(SequentialEvidence::recomputed);
        let Judgement { rollout, step, digest, policy, evidence, mode, .. } = self;
        Judgement::new(*rollout, *step, digest, *policy, evidence.inputs, *mode, sequential)
    }
}

/// The verdict of the health check once the sequential judge is heard as well.
fn combined(
    policy: &HealthPolicy,
    evidence: &Evidence,
    sequential: &SequentialEvidence,
) -> (Verdict, Vec<Reason>) {
    let (verdict, mut reasons) = judge(policy, evidence);
    let objections = sequential.objections();
    if let (Verdict::Rollback, why) = sequential.verdict() {
        if verdict != Verdict::Rollback {
            reasons.clear();
        }
        reasons.extend(why);
        (Verdict::Rollback, reasons)
    } else if verdict == Verdict::Promote && !objections.is_empty() {
        (Verdict::Hold, objections)
    } else if verdict != Verdict::Promote
        && objections.is_empty()
        && sequential.conclusion.verdict == Verdict::Promote
        && evidence.inputs.confirmation.is_some()
        && reasons.iter().all(|finding| is_outweighed(policy, evidence, sequential, finding))
    {
        let outweighed = reasons.into_iter().map(|finding| Reason::Outweighed(Box::new(finding)));
        (Verdict::Promote, std::iter::once(Reason::Metrics).chain(outweighed).collect())
    } else {
        (verdict, reasons)
    }
}

/// Whether the sequential judge has proven the opposite of what one look found or lacked, and the finding is not gross
/// harm beyond what is accepted.
fn is_outweighed(
    policy: &HealthPolicy,
    evidence: &Evidence,
    sequential: &SequentialEvidence,
    finding: &Reason,
) -> bool {
    let sources: &[Source] = match finding {
        Reason::IsSlower => &[Source::Latency],
        Reason::FailsMoreOften | Reason::MayFailMoreOften => &[Source::Failures],
        // What is proven of scores is their mean, which says nothing against another spread.
        Reason::ScoreShifted | Reason::MayBeShifted => &[Source::Score],
        Reason::TooFewSamples => &[Source::Latency, Source::Failures],
        _ => &[],
    };
    let is_proven = |source: &Source| {
        sequential.metrics().any(|(metric, one)| {
            metric.source == *source
                && metric.role == Role::Guardrail
                && one.classification == Classification::Pass
                && !is_gross(policy, evidence, finding, Margins::new(metric, one).accepted)
        })
    };
    !sources.is_empty() && sources.iter().all(is_proven)
}

#[cfg(test)]
#[path = "judgement_tests.rs"]
pub(crate) mod tests;
