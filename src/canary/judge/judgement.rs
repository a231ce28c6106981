//! From evidence to a verdict, with reasons in plain English.
//!
//! Two judges are heard. The *health check* looks once, at everything observed since the step began,
//! with Welch's and Fisher's tests: it is what a person asks. The *watch* has looked at every tick, and
//! may be asked at any time. The canary ought to go if either says so, and may be promoted if the
//! health check passes and the watch has nothing against it: no metric that acts has failed, and no
//! guardrail of recorded values or labels goes without values. Too little data is a verdict of its own: it is
//! never an error and never a pass.

use serde::Deserialize;
use serde::Serialize;

use super::health_check::Evidence;
use super::health_check::Inputs;
use super::health_check::LatencyEvidence;
use super::health_check::TrackInputs;
use super::health_check::gather;
use super::sequential::Classification;
use super::sequential::MetricEvidence;
use crate::canary::policy::Mode;
use crate::canary::policy::health::HealthPolicy;
use crate::text::durations::duration;
use crate::text::numbers::probability;

pub use super::evidence::SequentialEvidence;

/// What should become of the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Enough was seen, and nothing speaks against it.
    Promote,
    /// It does harm.
    Rollback,
    /// Not enough was seen.
    Hold,
}

/// A verdict with all that it rests on. It names the rollout, step and artifact that it judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The rollout that was judged.
    pub rollout: u64,
    /// The step of it.
    pub step: u32,
    /// The canary's artifact.
    pub digest: String,
    /// The thresholds.
    pub policy: HealthPolicy,
    /// The numbers of the health check.
    pub evidence: Evidence,
    /// Whose judgement decides: of a rollout by plan, which is judged again and again, the watch's alone.
    #[serde(default, skip_serializing_if = "Mode::is_manual")]
    pub mode: Mode,
    /// What the watch says; `None` of a judgement that was made without one.
    #[serde(default)]
    pub watch: Option<SequentialEvidence>,
    /// The conclusion.
    pub verdict: Verdict,
    /// Why, in one or more sentences.
    pub reasons: Vec<String>,
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
        watch: Option<SequentialEvidence>,
    ) -> Judgement {
        let evidence = gather(&policy, inputs);
        let (verdict, reasons) = match (mode, &watch) {
            (Mode::Manual, None) => judge(&policy, &evidence),
            (Mode::Manual, Some(watch)) => heard_both(judge(&policy, &evidence), watch),
            (Mode::Automatic, Some(watch)) => watch.verdict(),
            (Mode::Automatic, None) => {
                (Verdict::Hold, vec!["there is no evidence to judge by".to_owned()])
            }
        };
        let digest = digest.to_owned();
        Judgement { rollout, step, digest, policy, evidence, mode, watch, verdict, reasons }
    }

    /// Whether harm is shown in anything that acts, by either judge; otherwise what is missing is evidence.
    pub fn harm_is_shown(&self) -> bool {
        let failed =
            |one: &MetricEvidence| one.role.acts() && one.classification == Classification::Fail;
        let watch = self.watch.as_ref();
        self.verdict == Verdict::Rollback
            || watch.is_some_and(|watch| {
                !watch.findings().is_empty() || watch.conclusion.metrics.iter().any(failed)
            })
    }

    /// What the health check alone says, and why.
    pub fn health(&self) -> (Verdict, Vec<String>) {
        judge(&self.policy, &self.evidence)
    }

    /// The same judgement, made again from the inputs and thresholds it carries.
    pub fn recomputed(&self) -> Judgement {
        let watch = self.watch.clone().map(SequentialEvidence::recomputed);
        let Judgement { rollout, step, digest, policy, evidence, mode, .. } = self;
        Judgement::new(*rollout, *step, digest, *policy, evidence.inputs, *mode, watch)
    }
}

/// What comes of the health check's verdict when the watch is heard, too.
fn heard_both(
    at_once: (Verdict, Vec<String>),
    watch: &SequentialEvidence,
) -> (Verdict, Vec<String>) {
    let (verdict, mut reasons) = at_once;
    let objections = watch.objections();
    let (watched, message) = watch.verdict();
    if watched == Verdict::Rollback {
        if verdict != Verdict::Rollback {
            reasons.clear();
        }
        reasons.extend(message);
        (Verdict::Rollback, reasons)
    } else if verdict == Verdict::Promote && !objections.is_empty() {
        (Verdict::Hold, objections)
    } else {
        (verdict, reasons)
    }
}

/// The verdict on this evidence, and the reasons for it.
pub fn judge(policy: &HealthPolicy, evidence: &Evidence) -> (Verdict, Vec<String>) {
    let excess = evidence.inputs.canary.failure_rate() - evidence.failures.reference_rate;
    let mut harms = Vec::new();
    if is_harm(policy, evidence.failures.p_value, excess > 0.0) {
        harms.push(failure_sentence(evidence, "more than chance explains"));
    }
    if let Some(latency) = &evidence.latency
        && is_harm(policy, latency.p_value, latency.difference_seconds > latency.margin_seconds)
    {
        harms.push(latency_sentence(evidence, latency, "slower than allowed"));
    }
    if !harms.is_empty() {
        return (Verdict::Rollback, harms);
    }
    let Some(latency) = &evidence.latency else {
        return (Verdict::Hold, vec![waiting_sentence(policy, evidence)]);
    };
    if excess > policy.failure_margin {
        let suspicion = "more than allowed, and perhaps by chance; more traffic will tell";
        return (Verdict::Hold, vec![failure_sentence(evidence, suspicion)]);
    }
    let reasons = vec![
        latency_sentence(evidence, latency, "no harmful difference"),
        failure_sentence(evidence, "no harmful difference"),
    ];
    (Verdict::Promote, reasons)
}

/// A difference counts as harm when it is larger than allowed and hardly chance.
fn is_harm(policy: &HealthPolicy, p_value: f64, beyond_margin: bool) -> bool {
    p_value < policy.alpha && beyond_margin
}

fn latency_sentence(evidence: &Evidence, latency: &LatencyEvidence, conclusion: &str) -> String {
    let mean = |inputs: &TrackInputs| duration(inputs.latency.mean().unwrap_or(0.0));
    format!(
        "latency: {conclusion}: canary {}, stable {}, difference {} (interval {} to {}, allowed \
         {}), Welch p = {}",
        mean(&evidence.inputs.canary),
        mean(&evidence.inputs.stable),
        duration(latency.difference_seconds),
        duration(latency.interval_seconds.0),
        duration(latency.interval_seconds.1),
        duration(latency.margin_seconds),
        probability(latency.p_value),
    )
}

fn failure_sentence(evidence: &Evidence, conclusion: &str) -> String {
    let (stable, canary) = (&evidence.inputs.stable, &evidence.inputs.canary);
    format!(
        "failures: {conclusion}: canary {} of {}, stable {} of {}, Fisher p = {}",
        canary.failures,
        canary.requests,
        stable.failures,
        stable.requests,
        probability(evidence.failures.p_value),
    )
}

fn waiting_sentence(policy: &HealthPolicy, evidence: &Evidence) -> String {
    format!(
        "too few samples to judge: canary {} (and {} failures), stable {}, each needs {} and both need \
         traffic",
        evidence.inputs.canary.latency.count(),
        evidence.inputs.canary.failures,
        evidence.inputs.stable.latency.count(),
        policy.min_samples,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::judge::monitors::Monitors;
    use crate::canary::policy::judge_policy::JudgePolicy;
    use crate::stats::Moments;

    fn track(failures: u64, latencies_ms: &[f64]) -> TrackInputs {
        let latency: Moments = latencies_ms.iter().map(|ms| ms / 1e3).collect();
        TrackInputs { requests: latencies_ms.len() as u64 + failures, failures, latency }
    }

    fn judged(stable: TrackInputs, canary: TrackInputs) -> Judgement {
        Judgement::new(
            1,
            1,
            "d",
            HealthPolicy::default(),
            Inputs { stable, canary },
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
        assert!(judgement.reasons[0].contains("slower than allowed"), "{:?}", judgement.reasons);
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
        assert!(judgement.reasons[0].contains("canary 19"), "{:?}", judgement.reasons);
    }

    #[test]
    fn a_difference_that_nobody_feels_is_no_harm() {
        // 0.08 ms on 1 ms: highly significant, more than 5 %, less than 0.1 ms.
        let judgement = judged(track(0, &around(1.0, 5000)), track(0, &around(1.08, 500)));
        assert!(judgement.evidence.latency.unwrap().p_value < 1e-6);
        assert_eq!(judgement.verdict, Verdict::Promote);
    }

    #[test]
    fn a_canary_that_fails_from_the_start_is_harm_before_it_has_latencies() {
        let judgement = judged(track(0, &around(1.0, 180)), track(20, &[]));
        assert_eq!(judgement.verdict, Verdict::Rollback);
        assert!(judgement.reasons[0].contains("canary 20 of 20"), "{:?}", judgement.reasons);
    }

    #[test]
    fn a_canary_that_fails_everybody_is_harm_without_a_stable_to_compare_with() {
        let judgement = judged(track(0, &[]), track(150, &[]));
        assert_eq!(judgement.verdict, Verdict::Rollback);
        // And one failure among many is none.
        let judgement = judged(track(0, &[]), track(1, &around(1.0, 150)));
        assert_eq!(judgement.verdict, Verdict::Hold);
    }

    #[test]
    fn failures_that_may_be_chance_are_no_pass() {
        let judgement = judged(track(0, &around(1.0, 24)), track(4, &around(1.0, 20)));
        assert!(judgement.evidence.failures.p_value >= 0.05);
        assert_eq!(judgement.verdict, Verdict::Hold);
        assert!(judgement.reasons[0].contains("canary 4 of 24"), "{:?}", judgement.reasons);
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

    /// What the watch says after some seconds in which the canary was slower by this factor.
    fn watch(factor: f64) -> SequentialEvidence {
        let policy = JudgePolicy::default();
        let mut monitors = Monitors::new(&policy, &Default::default());
        for second in 0..60 {
            monitors.tick(&crate::canary::judge::sequential::tests::second(second, factor, 0));
        }
        SequentialEvidence::new(&policy, &monitors)
    }

    #[test]
    fn either_judge_can_find_harm_and_promotion_takes_both() {
        let inputs =
            |ms| Inputs { stable: track(0, &around(1.0, 180)), canary: track(0, &around(ms, 20)) };
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
                Some(watch(factor)),
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
    fn what_speaks_against_a_canary_at_any_time_holds_its_promotion() {
        let revenue = crate::canary::judge::sequential::tests::revenue;
        let inputs =
            Inputs { stable: track(0, &around(1.0, 180)), canary: track(0, &around(1.0, 20)) };
        // (role of the revenue, its loss or nothing recorded, verdict, a word of the reason)
        for (role, loss, verdict, reason) in [
            ("signal", Some(0.0), Verdict::Promote, "no harmful difference"),
            ("signal", Some(40.0), Verdict::Hold, "revenue: mean -"),
            ("advisory", Some(40.0), Verdict::Promote, "no harmful difference"),
            ("guardrail", Some(40.0), Verdict::Rollback, "revenue: mean -"),
            ("guardrail", None, Verdict::Hold, "too few samples"),
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
            let watch = Some(SequentialEvidence::new(&policy, &monitors));
            let judgement =
                Judgement::new(1, 1, "d", HealthPolicy::default(), inputs, Mode::Manual, watch);
            let reasons = judgement.reasons.join("; ");
            assert_eq!(judgement.verdict, verdict, "{role} {loss:?}: {reasons}");
            assert!(reasons.contains(reason), "{role} {loss:?}: {reasons}");
            assert_eq!(judgement.recomputed(), judgement);
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
