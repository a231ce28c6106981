//! What must the watch say of a shadow before a rollout goes on to users?

use super::always_valid::Classification;
use super::judge::WatchEvidence;
use super::metric::Metric;
use super::metric::Role;

impl WatchEvidence {
    /// Whether anything is judged by pairs.
    pub fn judges_a_shadow(&self) -> bool {
        self.policy.metrics.iter().any(|metric| metric.source.is_shadow())
    }

    /// What acts and has failed, in sentences.
    pub fn harms(&self) -> Vec<String> {
        self.sentences(|metric, classification| {
            metric.role.acts() && classification == Classification::Fail
        })
    }

    /// The guardrails that are judged by pairs and have not passed, in sentences.
    pub fn not_passed_in_shadow(&self) -> Vec<String> {
        self.sentences(|metric, classification| {
            metric.source.is_shadow()
                && metric.role == Role::Guardrail
                && match classification {
                    Classification::Insufficient | Classification::Inconclusive => true,
                    // What fails is among the harms.
                    Classification::Pass | Classification::Fail => false,
                }
        })
    }

    fn sentences(&self, such: impl Fn(&Metric, Classification) -> bool) -> Vec<String> {
        let evidence = self.policy.metrics.iter().zip(&self.conclusion.metrics);
        evidence
            .filter(|(metric, evidence)| such(metric, evidence.classification))
            .map(|(_, evidence)| evidence.sentence.clone())
            .collect()
    }
}

#[cfg(test)]
#[path = "shadowed_tests.rs"]
mod tests;
