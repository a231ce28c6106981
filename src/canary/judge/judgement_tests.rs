//! Judgements: which verdict follows from the health check and the sequential judge, and why.

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
    Judgement::new(1, 1, "d", HealthPolicy::default(), inputs(stable, canary), Mode::Manual, None)
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
    let expected = "waiting for data: canary 19, stable 180 answered requests, needs 20 of each";
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
    let why = sentences::why(&judgement);
    assert!(why.contains("canary 20 of 20") && !why.contains("clear enough"), "{why}");
    let few = judged(track(0, &around(1.0, 180)), track(6, &[]));
    assert_eq!(few.verdict, Verdict::Rollback);
    let why = sentences::why(&few);
    assert!(why.ends_with(", clear enough to count before the 20 samples of a pass"), "{why}");
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
        let given = format!("[[metrics]]\nname = \"revenue\"\nharm = \"lower\"\nrole = \"{role}\"");
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
        let judgement =
            Judgement::new(1, 1, "d", HealthPolicy::default(), inputs, Mode::Manual, sequential);
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
fn a_signal_that_passes_is_not_among_the_guardrails() {
    let policy = toml::from_str("[[metrics]]\nname = \"latency\"\nrole = \"signal\"").unwrap();
    let policy = JudgePolicy::new(&HealthPolicy::default(), &policy).unwrap();
    let mut monitors = Monitors::new(&policy, &Default::default());
    for second in 0..600 {
        monitors.tick(&crate::canary::judge::sequential::tests::second(second, 1.0, 0));
    }
    let evidence = SequentialEvidence::new(&policy, &monitors);
    let text = sentences::verdict(&policy, &evidence.conclusion);
    let (guardrails, signals) = text.split_once("; signals that pass: ").expect(&text);
    assert!(guardrails.starts_with("every guardrail passes: "), "{text}");
    assert!(!guardrails.contains("latency") && signals.contains("latency"), "{text}");
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

#[test]
fn the_sentence_on_latency_names_the_test_that_decides() {
    let confirmed = |permutation_p_value, rank_p_value| {
        Some(Confirmation { permutation_p_value, rank_p_value })
    };
    for (confirmation, verdict, said) in [
        (None, Verdict::Rollback, None),
        (
            confirmed(Some(0.0005), Some(0.0004)),
            Verdict::Rollback,
            Some("; confirmed by permutation, p = 0.0005)"),
        ),
        (
            confirmed(Some(0.08), Some(0.5)),
            Verdict::Promote,
            Some("; not confirmed by permutation, p = 0.0800)"),
        ),
        (
            confirmed(Some(0.08), Some(0.0004)),
            Verdict::Rollback,
            Some("; shown by ranks, p = 0.0004)"),
        ),
        (confirmed(None, Some(0.0004)), Verdict::Rollback, Some("; shown by ranks, p = 0.0004)")),
        (confirmed(None, Some(0.5)), Verdict::Promote, None),
    ] {
        let inputs = inputs(track(0, &around(1.0, 180)), track(0, &around(26.0, 20)));
        let inputs = Inputs { confirmation, ..inputs };
        let health = HealthPolicy::default();
        let judgement = Judgement::new(1, 1, "d", health, inputs, Mode::Manual, None);
        let why = sentences::why(&judgement);
        assert_eq!(judgement.verdict, verdict, "{why}");
        assert_eq!(why.contains("p = "), said.is_some(), "{why}");
        assert!(said.is_none_or(|said| why.contains(said)), "{why}");
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
