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

use super::evidence::SequentialEvidence;
use super::health_check::Evidence;
use super::health_check::Inputs;
use super::health_check::gather;
use super::health_check::is_gross;
use super::health_check::judge;
use super::margins::Margins;
use super::verdict::Classification;
use super::verdict::MetricEvidence;
use super::verdict::Reason;
use super::verdict::Verdict;
use crate::canary::policy::Mode;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::policy::metric::Role;
use crate::canary::policy::source::Source;

/// A verdict with everything it rests on, for one rollout, step and artifact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
            (Mode::Manual, Some(sequential)) => combined(&policy, &evidence, sequential),
            (Mode::Automatic, Some(sequential)) => sequential.verdict(),
            (Mode::Automatic, None) => (Verdict::Hold, vec![Reason::NoEvidence]),
        };
        let digest = digest.to_owned();
        Judgement { rollout, step, digest, policy, evidence, mode, sequential, verdict, reasons }
    }

    /// Whether either judge shows harm in a metric that acts; if not, a judgement that does not pass
    /// lacks data.
    pub fn harm_detected(&self) -> bool {
        let failed =
            |one: &MetricEvidence| one.role.acts() && one.classification == Classification::Fail;
        let sequential = self.sequential.as_ref();
        self.verdict == Verdict::Rollback
            || sequential.is_some_and(|sequential| {
                !sequential.findings().is_empty()
                    || sequential.conclusion.metrics.iter().any(failed)
            })
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
        Reason::ScoreShifted | Reason::ScoreSpread | Reason::MayBeShifted => &[Source::Score],
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
pub(crate) mod tests {
    use super::*;
    use crate::canary::judge::health_check::Confirmation;
    use crate::canary::judge::health_check::TrackInputs;
    use crate::canary::judge::monitors::Monitors;
    use crate::canary::judge::sentences;
    use crate::canary::policy::judge_policy::JudgePolicy;
    use crate::stats::Moments;

    fn track(failures: u64, latencies_ms: &[f64]) -> TrackInputs {
        let latency: Moments = latencies_ms.iter().map(|ms| ms / 1e3).collect();
        TrackInputs {
            requests: latencies_ms.len() as u64 + failures,
            failures,
            latency,
            score: Moments::new(),
        }
    }

    fn inputs(stable: TrackInputs, canary: TrackInputs) -> Inputs {
        Inputs { stable, canary, ..Inputs::default() }
    }

    fn judged(stable: TrackInputs, canary: TrackInputs) -> Judgement {
        Judgement::new(
            1,
            1,
            "d",
            HealthPolicy::default(),
            inputs(stable, canary),
            Mode::Manual,
            None,
        )
    }

    fn around(mean_ms: f64, n: usize) -> Vec<f64> {
        (0..n).map(|i| mean_ms + (i % 5) as f64 * 0.1 - 0.2).collect()
    }

    #[test]
    fn a_slow_canary_is_to_be_rolled_back() {
        let judgement = judged(track(0, &around(1.0, 180)), track(0, &around(26.0, 20)));
        assert_eq!(judgement.verdict, Verdict::Rollback);
        assert_eq!(judgement.reasons, [Reason::IsSlower]);
        let why = sentences::why(&judgement);
        assert!(why.starts_with("latency: slower than tolerated: canary 26.0 ms, "), "{why}");
    }

    #[test]
    fn an_equal_canary_may_be_promoted() {
        let judgement = judged(track(0, &around(1.0, 180)), track(0, &around(1.0, 20)));
        assert_eq!(judgement.verdict, Verdict::Promote);
    }

    #[test]
    fn a_faster_canary_may_be_promoted() {
        let judgement = judged(track(0, &around(9.0, 180)), track(0, &around(1.0, 20)));
        assert_eq!(judgement.verdict, Verdict::Promote);
    }

    #[test]
    fn nineteen_samples_are_too_few() {
        let judgement = judged(track(0, &around(1.0, 180)), track(0, &around(26.0, 19)));
        assert_eq!(judgement.verdict, Verdict::Hold);
        let expected =
            "waiting for data: canary 19, stable 180 answered requests, needs 20 of each";
        assert_eq!(sentences::why(&judgement), expected);
    }

    #[test]
    fn a_difference_that_users_do_not_notice_is_not_harm() {
        // 0.08 ms on 1 ms: highly significant, more than 5 %, less than 0.1 ms.
        let judgement = judged(track(0, &around(1.0, 5000)), track(0, &around(1.08, 500)));
        assert!(judgement.evidence.latency.unwrap().p_value < 1e-6);
        assert_eq!(judgement.verdict, Verdict::Promote);
    }

    #[test]
    fn a_canary_that_fails_from_the_start_is_harm_before_it_has_latencies() {
        let judgement = judged(track(0, &around(1.0, 180)), track(20, &[]));
        assert_eq!(judgement.verdict, Verdict::Rollback);
        assert_eq!(judgement.reasons, [Reason::FailsMoreOften]);
        assert!(sentences::why(&judgement).contains("canary 20 of 20"), "{judgement:?}");
    }

    #[test]
    fn a_canary_that_fails_every_request_is_harm_without_stable_traffic() {
        let judgement = judged(track(0, &[]), track(150, &[]));
        assert_eq!(judgement.verdict, Verdict::Rollback);
        // One failure among many is not.
        let judgement = judged(track(0, &[]), track(1, &around(1.0, 150)));
        assert_eq!(judgement.verdict, Verdict::Hold);
    }

    #[test]
    fn failures_that_may_be_chance_do_not_pass() {
        let judgement = judged(track(0, &around(1.0, 24)), track(4, &around(1.0, 20)));
        assert!(judgement.evidence.failures.p_value >= 0.05);
        assert_eq!(judgement.verdict, Verdict::Hold);
        assert_eq!(judgement.reasons, [Reason::MayFailMoreOften]);
        assert!(sentences::why(&judgement).contains("canary 4 of 24"), "{judgement:?}");
    }

    #[test]
    fn a_stable_that_fails_is_not_the_canarys_harm() {
        let judgement = judged(track(90, &around(1.0, 90)), track(0, &around(1.0, 20)));
        assert_eq!(judgement.verdict, Verdict::Promote);
    }

    #[test]
    fn nothing_observed_is_neither_pass_nor_fail() {
        assert_eq!(judged(track(0, &[]), track(0, &[])).verdict, Verdict::Hold);
    }

    #[test]
    fn two_constants_are_judged_too() {
        let equal = judged(track(0, &[1.0; 50]), track(0, &[1.0; 50]));
        assert_eq!(equal.verdict, Verdict::Promote);
        let slower = judged(track(0, &[1.0; 50]), track(0, &[2.0; 50]));
        assert_eq!(slower.verdict, Verdict::Rollback);
    }

    /// The evidence after 60 seconds in which the canary was slower by this factor.
    fn sequential(factor: f64) -> SequentialEvidence {
        let policy = JudgePolicy::default();
        let mut monitors = Monitors::new(&policy, &Default::default());
        for second in 0..60 {
            monitors.tick(&crate::canary::judge::sequential::tests::second(second, factor, 0));
        }
        SequentialEvidence::new(&policy, &monitors)
    }

    #[test]
    fn either_judge_can_find_harm_and_promotion_takes_both() {
        let inputs = |ms| inputs(track(0, &around(1.0, 180)), track(0, &around(ms, 20)));
        for (canary_ms, factor, verdict) in [
            (1.0, 1.0, Verdict::Promote),
            (1.0, 2.0, Verdict::Rollback),
            (26.0, 1.0, Verdict::Rollback),
            (26.0, 2.0, Verdict::Rollback),
        ] {
            let health = HealthPolicy::default();
            let judgement = Judgement::new(
                1,
                1,
                "d",
                health,
                inputs(canary_ms),
                Mode::Manual,
                Some(sequential(factor)),
            );
            assert_eq!(judgement.verdict, verdict, "{canary_ms} {factor}");
            let at_once = if canary_ms > 1.0 { Verdict::Rollback } else { Verdict::Promote };
            assert_eq!(judgement.health().0, at_once);
            let text = serde_json::to_string(&judgement).unwrap();
            let read: Judgement = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&read.recomputed()).unwrap(), text);
        }
    }

    #[test]
    fn an_objection_of_the_sequential_judge_holds_the_promotion() {
        let revenue = crate::canary::judge::sequential::tests::revenue;
        let inputs = inputs(track(0, &around(1.0, 180)), track(0, &around(1.0, 20)));
        // (role of the revenue, its loss or nothing recorded, verdict, a word of the reason)
        for (role, loss, verdict, reason) in [
            ("signal", Some(0.0), Verdict::Promote, "no harmful difference"),
            ("signal", Some(40.0), Verdict::Hold, "revenue: -"),
            ("advisory", Some(40.0), Verdict::Promote, "no harmful difference"),
            ("guardrail", Some(40.0), Verdict::Rollback, "% below stable (tolerated "),
            ("guardrail", None, Verdict::Hold, "waiting for data"),
            ("signal", None, Verdict::Promote, "no harmful difference"),
        ] {
            let given =
                format!("[[metrics]]\nname = \"revenue\"\nharm = \"lower\"\nrole = \"{role}\"");
            let given = toml::from_str(&given).unwrap();
            let policy = JudgePolicy::new(&HealthPolicy::default(), &given).unwrap();
            let mut monitors = Monitors::new(&policy, &Default::default());
            for mut tick in revenue(60, loss.unwrap_or_default()) {
                if loss.is_none() {
                    tick.recorded.clear();
                }
                monitors.tick(&tick);
            }
            let sequential = Some(SequentialEvidence::new(&policy, &monitors));
            let judgement = Judgement::new(
                1,
                1,
                "d",
                HealthPolicy::default(),
                inputs,
                Mode::Manual,
                sequential,
            );
            let reasons = sentences::why(&judgement);
            assert_eq!(judgement.verdict, verdict, "{role} {loss:?}: {reasons}");
            assert!(reasons.contains(reason), "{role} {loss:?}: {reasons}");
            assert_eq!(judgement.recomputed(), judgement);
        }
    }

    /// The sequential judge's evidence after ten minutes of an equal canary: every guardrail has passed.
    fn proven() -> SequentialEvidence {
        let policy = JudgePolicy::default();
        let mut monitors = Monitors::new(&policy, &Default::default());
        for second in 0..600 {
            monitors.tick(&crate::canary::judge::sequential::tests::second(second, 1.0, 0));
        }
        let evidence = SequentialEvidence::new(&policy, &monitors);
        assert_eq!(evidence.conclusion.verdict, Verdict::Promote, "{:?}", evidence.conclusion);
        evidence
    }

    #[test]
    fn what_is_proven_outweighs_one_look_unless_it_shows_gross_harm() {
        let confirmed = |permutation: f64| {
            Some(Confirmation { permutation_p_value: Some(permutation), rank_p_value: Some(0.5) })
        };
        let spread = |mean: f64, n: usize| -> Vec<f64> {
            (0..n).map(|i| mean * (0.1 + 0.1 * (i % 19) as f64)).collect()
        };
        let of = |mean: f64, n: usize, failures: u64, stable: usize| {
            inputs(track(0, &spread(10.0, stable)), track(failures, &spread(mean, n)))
        };
        // (inputs, confirmation, the look alone, together)
        for (inputs, confirmation, alone, together) in [
            (of(12.0, 100, 0, 900), confirmed(0.004), Verdict::Rollback, Verdict::Promote),
            (of(10.0, 3, 0, 19), confirmed(1.0), Verdict::Hold, Verdict::Promote),
            (of(10.0, 98, 2, 900), confirmed(1.0), Verdict::Rollback, Verdict::Promote),
            // Shown at alpha/25, and beyond what is accepted.
            (of(10.0, 80, 20, 900), confirmed(1.0), Verdict::Rollback, Verdict::Rollback),
            (of(20.0, 100, 0, 900), confirmed(0.0004), Verdict::Rollback, Verdict::Rollback),
            // An entry from before there was a confirmation is judged as it was.
            (of(12.0, 100, 0, 900), None, Verdict::Rollback, Verdict::Rollback),
            (of(10.0, 3, 0, 19), None, Verdict::Hold, Verdict::Hold),
        ] {
            let inputs = Inputs { confirmation, ..inputs };
            let health = HealthPolicy::default();
            let judge =
                |evidence| Judgement::new(1, 1, "d", health, inputs, Mode::Manual, Some(evidence));
            let judgement = judge(proven());
            assert_eq!((judgement.health().0, judgement.verdict), (alone, together), "{inputs:?}");
            assert_eq!(judgement.harm_detected(), together == Verdict::Rollback);
            if together == Verdict::Promote {
                let why = sentences::why(&judgement);
                assert!(why.starts_with("every guardrail passes: "), "{why}");
                assert!(why.contains("; outweighed, because proven otherwise: "), "{why}");
            }
            // Harm by the sequential judge always counts.
            assert_eq!(judge(sequential(2.0)).verdict, Verdict::Rollback);
            let text = serde_json::to_string(&judgement).unwrap();
            assert_eq!(text.contains("confirmation"), confirmation.is_some());
            let read: Judgement = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&read.recomputed()).unwrap(), text);
        }
    }

    /// Every string of a value except its keys.
    fn strings<'a>(value: &'a serde_json::Value, found: &mut Vec<&'a str>) {
        match value {
            serde_json::Value::String(text) => found.push(text),
            serde_json::Value::Array(parts) => parts.iter().for_each(|one| strings(one, found)),
            serde_json::Value::Object(parts) => parts.values().for_each(|one| strings(one, found)),
            _ => {}
        }
    }

    /// The strings of a value in JSON that are more than one word.
    pub(crate) fn prose(value: &impl Serialize) -> Vec<String> {
        let value = serde_json::to_value(value).unwrap();
        let mut found = Vec::new();
        strings(&value, &mut found);
        assert!(!found.is_empty(), "{value:#}");
        found.into_iter().filter(|text| text.contains(' ')).map(str::to_owned).collect()
    }

    // So a changed sentence changes no journal entry, no replay and no version of the judge.
    #[test]
    fn a_judgement_holds_numbers_and_enums_and_no_prose() {
        for mode in [Mode::Manual, Mode::Automatic] {
            for (canary_ms, factor) in [(1.0, 1.0), (26.0, 1.0), (1.0, 2.0), (26.0, 2.0)] {
                let inputs = inputs(track(0, &around(1.0, 180)), track(3, &around(canary_ms, 20)));
                let health = HealthPolicy::default();
                let sequential = Some(sequential(factor));
                let judgement = Judgement::new(1, 1, "d", health, inputs, mode, sequential);
                assert_eq!(prose(&judgement), Vec::<String>::new());
                assert!(sentences::why(&judgement).contains(' '));
            }
        }
    }

    #[test]
    fn a_judgement_read_back_recomputes_to_the_bit() {
        for canary in [around(1.3, 21), around(26.0, 20), around(1.0, 3), vec![2.0; 50], vec![]] {
            let judgement = judged(track(3, &around(1.0, 180)), track(1, &canary));
            let text = serde_json::to_string(&judgement).unwrap();
            let read: Judgement = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&read.recomputed()).unwrap(), text);
        }
    }
}
