//! Judge policies from a configuration: defaults, changes, and what is refused.

use super::*;
use crate::stats::Harm;
use crate::stats::Margin;
use crate::stats::sequential::EvidenceUnit;
use crate::stats::sequential::Test;

fn policy(toml: &str) -> Result<JudgePolicy, FieldError> {
    JudgePolicy::new(&HealthPolicy::default(), &toml::from_str(toml).unwrap())
}

fn harm_alphas(policy: &JudgePolicy) -> Vec<f64> {
    policy.metrics.iter().map(|metric| policy.harm_alpha(metric)).collect()
}

#[test]
fn the_default_guards_latency_failures_score_and_log_loss() {
    let default = JudgePolicy::default();
    assert_eq!(policy(""), Ok(default.clone()));
    let roles: Vec<_> = default.metrics.iter().map(|m| (m.name.as_str(), m.role)).collect();
    let guardrails = ["latency", "failures", "score", "log_loss"].map(|it| (it, Role::Guardrail));
    assert_eq!(roles[..4], guardrails);
    assert_eq!(roles[4..], [("latency_p99", Role::Signal)]);
    // The signal has half a weight.
    let part = 0.05 / 4.5;
    assert_eq!(harm_alphas(&default), [part, part, part, part, part / 2.0]);
    // Without labels nothing waits for the log loss, and from 100 labels on its harm counts.
    let required: Vec<_> = default.metrics.iter().map(|m| (m.required, m.min_samples)).collect();
    assert_eq!(required, [(true, 20), (true, 20), (true, 20), (false, 100), (true, 20)]);
}

#[test]
fn an_expected_shift_makes_the_metrics_of_scores_advisory() {
    let health = HealthPolicy::default();
    let expected = policy("expect_shift = true").unwrap();
    assert_eq!(expected.gross_shift(), None);
    let shadowing = expected
        .of_rollout(&health, &Default::default(), PairSource::InShadow { is_required: true })
        .unwrap();
    for metric in &shadowing.metrics {
        let is_advisory = metric.role == Role::Advisory;
        let meant = metric.source.is_of_scores() || metric.name.as_str() == "shadow_latency";
        assert_eq!(is_advisory, meant, "{}", metric.name);
    }
    let kept = "expect_shift = true\n[[metrics]]\nname = \"score\"\nrole = \"guardrail\"";
    assert!(policy(kept).unwrap().gross_shift().is_some(), "a role that is given stays");
}

#[test]
fn a_wider_tolerance_moves_the_harm_with_it() {
    let of = |toml: &str| policy(toml).unwrap().metrics[2].harm_margin();
    let score = "[[metrics]]\nname = \"score\"\n";
    assert_eq!(of(score), Margin { relative: 0.5, absolute: 0.1 });
    let wide = format!("{score}tolerated = {{ relative = 0.8, absolute = 0.05 }}");
    assert_eq!(of(&wide), Margin { relative: 0.8, absolute: 0.1 });
    let given = format!("{score}harmful = {{ relative = 1, absolute = 0.3 }}");
    assert_eq!(of(&given), Margin { relative: 1.0, absolute: 0.3 });
}

#[test]
fn margins_of_scores_are_in_the_unit_of_what_the_models_answer() {
    let health = HealthPolicy::default();
    let nothing = JudgePolicyOverride::default();
    let of = |toml: &str, outputs: Outputs| {
        policy(&format!("[[metrics]]\nname = \"score\"\n{toml}"))?
            .of_outputs(outputs, &health, &nothing)
    };
    let classes = Outputs::Probabilities { classes: vec!["a".to_owned(), "b".to_owned()] };
    for (margin, field) in [
        ("tolerated = { absolute = 250 }", "metrics.score.tolerated.absolute: 250"),
        ("accepted = { absolute = 1 }", "metrics.score.accepted.absolute: 1"),
        ("harmful = { relative = 1, absolute = 2 }", "metrics.score.harmful.absolute: 2"),
    ] {
        for outputs in [Outputs::Probability, classes.clone()] {
            let error = of(margin, outputs).unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
            assert!(
                error.contains("less than 1, because the models answer probabilities"),
                "{error}"
            );
            assert!(error.ends_with("the value is from the server's settings"), "{error}");
        }
        assert!(of(margin, Outputs::Score).is_ok(), "{margin}");
    }
    let score = of("tolerated = { absolute = 250 }", Outputs::Score).unwrap().metrics[2].clone();
    assert_eq!(score.tolerated, Margin::absolute(250.0));
    assert_eq!(score.harm_margin(), Margin { relative: 0.5, absolute: 250.0 });
    // What a probability tolerates says nothing about a score.
    let wider = of("tolerated = { relative = 0.8 }", Outputs::Score).unwrap().metrics[2].clone();
    assert_eq!(wider.harm_margin(), Margin::relative(0.8));
    assert_eq!(wider.accepted, Margin::relative(0.5));
}

#[test]
fn recorded_values_named_like_a_built_in_metric_stay_recorded_when_one_field_changes() {
    let recorded = "[[metrics]]\nname = \"score\"\nsource = \"recorded\"\nharm = \"lower\"\n\
                    role = \"guardrail\"";
    let before = policy(recorded).unwrap();
    let given = toml::from_str("[[metrics]]\nname = \"score\"\nweight = 2").unwrap();
    let after = before.changed(&HealthPolicy::default(), &given).unwrap();
    let score = |policy: &JudgePolicy| policy.metrics[2].clone();
    assert_eq!(score(&after), Metric { weight: 2.0, ..score(&before) });
    assert_eq!((score(&after).source, score(&after).harm), (Source::Recorded, Harm::Lower));
}

#[test]
fn an_override_changes_a_built_in_metric_or_adds_one() {
    let policy = policy(
        r#"
        promote_score = 80
        [[metrics]]
        name = "latency"
        weight = 3
        accepted = { relative = 0.2, absolute = 0.001 }
        [[metrics]]
        name = "revenue"
        harm = "lower"
        role = "signal"
        critical = true
        "#,
    )
    .unwrap();
    assert_eq!(policy.metrics.len(), 6);
    assert_eq!(policy.metrics[0].accepted, Margin { relative: 0.2, absolute: 0.001 });
    assert_eq!(policy.metrics[0].tolerated, Margin { relative: 0.05, absolute: 0.0001 });
    let revenue = &policy.metrics[5];
    assert_eq!((revenue.source, revenue.harm), (Source::Recorded, Harm::Lower));
    let expected = [3.0, 1.0, 1.0, 1.0, 0.5, 1.0].map(|weight| 0.05 * weight / 7.5);
    let close = |(found, expected): (f64, f64)| (found - expected).abs() < 1e-12;
    assert!(harm_alphas(&policy).into_iter().zip(expected).all(close), "{policy:?}");
}

#[test]
fn a_loss_is_judged_by_its_mean() {
    let judged = policy("[[metrics]]\nname = \"log_loss\"\nrole = \"guardrail\"").unwrap();
    let metric = &judged.metrics[3];
    assert_eq!((metric.source, metric.harm), (Source::LogLoss, Harm::Higher));
    assert_eq!((metric.test, metric.role), (Test::Mean, Role::Guardrail));
    assert!(metric.required, "a metric that is named is awaited");
    assert_eq!(metric.min_samples, 100, "what is left out stays as it is");
    let recorded = "[[metrics]]\nname = \"brier\"\nsource = \"recorded\"\nharm = \"lower\"";
    assert_eq!(policy(recorded).unwrap().metrics[5].source, Source::Recorded);
}

#[test]
fn only_a_rollout_that_shadows_is_judged_by_pairs() {
    let health = HealthPolicy::default();
    let names = |policy: &JudgePolicy| -> Vec<(String, Role)> {
        policy.metrics.iter().map(|metric| (metric.name.to_string(), metric.role)).collect()
    };
    let default = JudgePolicy::default();
    let given = JudgePolicyOverride::default();
    assert_eq!(default.clone().of_rollout(&health, &given, PairSource::Never), Ok(default.clone()));
    let shadowing = default
        .clone()
        .of_rollout(&health, &given, PairSource::InShadow { is_required: true })
        .unwrap();
    let [score, flips, failures, latency] = &names(&shadowing)[5..] else { panic!() };
    for (found, named) in
        [(score, "shadow_score"), (flips, "shadow_flips"), (failures, "shadow_failures")]
    {
        assert_eq!((found.0.as_str(), found.1), (named, Role::Guardrail));
    }
    assert_eq!((latency.0.as_str(), latency.1), ("shadow_latency", Role::Advisory));
    assert_eq!(harm_alphas(&shadowing)[..2], [0.05 / 7.5; 2]);
    // Configured shadow metrics apply to a rollout that shadows, and are ignored by one that does not.
    let toml = "[[metrics]]\nname = \"shadow_flips\"\nrole = \"signal\"\n\
                accepted = { absolute = 0.3 }";
    let configured = policy(toml).unwrap();
    assert_eq!(
        configured.clone().of_rollout(&health, &given, PairSource::Never),
        Ok(default.clone())
    );
    let judged =
        configured.of_rollout(&health, &given, PairSource::InShadow { is_required: true }).unwrap();
    assert_eq!(names(&judged)[5], ("shadow_flips".to_owned(), Role::Signal));
    assert_eq!(judged.metrics.len(), 9);
    let given = toml::from_str(toml).unwrap();
    let named = default.changed(&health, &given).unwrap();
    let again = named.clone().of_rollout(&health, &given, PairSource::WhenAskedAgain).unwrap();
    assert_eq!(names(&again).len(), 6);
    let refused = named.of_rollout(&health, &given, PairSource::Never);
    assert_eq!(refused.unwrap_err().path, "metrics.shadow_flips");
}

#[test]
fn recorded_scores_can_replace_predicted_ones() {
    let policy = policy(
        "[[metrics]]\nname = \"score\"\nsource = \"recorded\"\nharm = \"lower\"\nrole = \"signal\"",
    )
    .unwrap();
    assert_eq!((policy.metrics.len(), policy.metrics[2].source), (5, Source::Recorded));
}

#[test]
fn an_invalid_value_is_named_with_a_remedy() {
    for (toml, named) in [
        ("[[metrics]]\nname = \"a\"", "higher"),
        ("[[metrics]]\nname = \"latency\"\n[[metrics]]\nname = \"latency\"", "twice"),
        (
            "[[metrics]]\nname = \"latency\"\nweight = 0",
            "metrics.latency.weight: 0 is out of range",
        ),
        ("[[metrics]]\nname = \"latency\"\nweight = nan", "weight: NaN is out of range"),
        ("[[metrics]]\nname = \"latency\"\nmin_samples = 1", "min_samples: 1"),
        ("[[metrics]]\nname = \"latency\"\ntolerated = { relative = -1 }", "tolerated.relative"),
        ("[[metrics]]\nname = \"score\"\naccepted = {}", "more than 0"),
        ("[[metrics]]\nname = \"score\"\nrole = \"advisory\"\ncritical = true", "critical: true"),
        ("[[metrics]]\nname = \"score\"\ntest = \"rank\"", "test: rank"),
        ("[[metrics]]\nname = \"latency\"\nharmful = { relative = 1 }", "latency.harmful"),
        (
            "[[metrics]]\nname = \"score\"\nharmful = { relative = 0.1, absolute = 0.2 }",
            "harmful.relative: 0.1",
        ),
        ("[[metrics]]\nname = \"failures\"\nharm = \"lower\"", "harm: lower"),
        ("[[metrics]]\nname = \"failures\"\ntest = \"rank\"", "test: rank"),
        ("[[metrics]]\nname = \"brier\"\nharm = \"lower\"", "harm: lower"),
        ("[[metrics]]\nname = \"failures\"\ntolerated = { absolute = 0.1 }", "a ratio"),
        (
            "[[metrics]]\nname = \"failures\"\naccepted = { relative = 0.1 }",
            "accepted: { relative = 0.1, absolute = 0 } is out of range",
        ),
        ("[[metrics]]\nname = \"shadow_score\"\naccepted = {}", "more than 0"),
        ("[[metrics]]\nname = \"shadow_flips\"\nharm = \"lower\"", "harm: lower"),
        ("[[metrics]]\nname = \"shadow_score\"\ntest = \"rank\"", "test: rank"),
        (
            "[[metrics]]\nname = \"shadow_flips\"\naccepted = { relative = 0.1 }",
            "accepted.relative: 0.1",
        ),
        (
            "[[metrics]]\nname = \"shadow_flips\"\ntolerated = { absolute = 1 }",
            "metrics.shadow_flips.tolerated.absolute: 1 is out of range; use less than 1, because it is a share of rows",
        ),
        ("promote_score = 101", "promote_score: 101"),
        ("rollback_score = 95", "rollback_score: 95"),
        (
            "expect_shift = true\n[[metrics]]\nname = \"latency\"\nrole = \"advisory\"\n\
             [[metrics]]\nname = \"failures\"\nrole = \"signal\"\n\
             [[metrics]]\nname = \"log_loss\"\nrole = \"signal\"",
            "metrics: none is a guardrail",
        ),
    ] {
        let error = policy(toml).unwrap_err().to_string();
        assert!(error.contains(named), "{toml}: {error}");
    }
    let many: String =
        (0..16).map(|i| format!("[[metrics]]\nname = \"m{i}\"\nharm = \"lower\"\n")).collect();
    assert!(policy(&many).unwrap_err().to_string().contains("21 entries"));
}

#[test]
fn models_with_threads_of_their_own_are_judged_by_spans_of_time() {
    let units = |policy: JudgePolicy| -> Vec<EvidenceUnit> {
        policy.metrics.iter().map(|metric| metric.unit).collect()
    };
    let revenue = "[[metrics]]\nname = \"revenue\"\nharm = \"lower\"";
    let of = |toml: &str, has_threads| units(policy(toml).unwrap().of_threads(has_threads));
    let [request, auto, tens] =
        [EvidenceUnit::Request, EvidenceUnit::Auto, EvidenceUnit::TenSeconds];
    assert_eq!(of(revenue, false), [request, request, request, request, request, auto]);
    assert_eq!(of(revenue, true), [auto, auto, request, request, auto, auto]);
    let given = format!("unit = \"10s\"\n{revenue}");
    for has_threads in [false, true] {
        assert_eq!(of(&given, has_threads), [tens, tens, request, request, tens, tens]);
        assert_eq!(of("unit = \"request\"", has_threads), [request; 5]);
    }
    // A policy of an earlier release names no unit and is replayed as it was judged.
    let mut old = serde_json::to_value(policy("").unwrap()).unwrap();
    old.as_object_mut().unwrap().remove("unit");
    let old: JudgePolicy = serde_json::from_value(old).unwrap();
    assert_eq!(units(old.of_threads(true)), [request; 5]);
    let error = toml::from_str::<JudgePolicyOverride>("unit = \"2s\"").unwrap_err().to_string();
    assert!(error.contains("`request`, `tick`, `10s`, `1m`, `auto`"), "{error}");
}

#[test]
fn the_tail_of_the_latency_is_a_signal_and_can_be_named_with_a_time() {
    let default = JudgePolicy::default();
    let p99 = default.metrics.iter().find(|it| it.source == Source::LatencyP99).unwrap();
    assert_eq!((p99.role, p99.required, p99.weight), (Role::Signal, true, 0.5));
    assert_eq!(p99.tolerated, Margin { relative: 0.2, absolute: 0.0001 });
    assert_eq!(p99.accepted, Margin { relative: 0.5, absolute: 0.0002 });
    assert_eq!(
        (p99.awaits(0.0), p99.awaits(1799.5), p99.awaits(1800.0)),
        (Some(1800), Some(1), None)
    );
    let wide = HealthPolicy { relative_margin: 0.8, ..HealthPolicy::default() };
    let wide = JudgePolicy::new(&wide, &JudgePolicyOverride::default()).unwrap();
    let relative = |metric: &Metric| (metric.tolerated.relative, metric.accepted.relative);
    assert_eq!(wide.metrics.last().map(relative), Some((0.8, 0.8)));

    let named = policy(
        "[[metrics]]\nname = \"slow\"\nsource = \"latency_above\"\nabove_seconds = 0.3\n\
         [[metrics]]\nname = \"latency_p95\"\n[[metrics]]\nname = \"latency_p99\"\nrole = \"guardrail\"",
    )
    .unwrap();
    let [.., p99, slow, p95] = named.metrics.as_slice() else { panic!("{named:?}") };
    assert_eq!((slow.above_seconds, slow.role), (Some(0.3), Role::Guardrail));
    assert_eq!((p95.role, p95.awaits(499.0)), (Role::Signal, Some(1)));
    assert_eq!((p99.role, p99.awaits(0.0)), (Role::Guardrail, None));
    let by_segment: Vec<&str> = named.by_segment().map(|it| it.name.as_str()).collect();
    assert_eq!(by_segment, ["latency", "failures", "score", "latency_p99", "slow"]);
    assert!(default.by_segment().all(|metric| !metric.source.is_tail()));

    for (toml, said) in [
        ("name = \"latency_above\"", "metrics.latency_above.above_seconds: missing"),
        ("name = \"latency_above\"\nabove_seconds = 0", "0 is out of range"),
        ("name = \"latency_p99\"\nabove_seconds = 0.3", "only metrics with source"),
        ("name = \"latency_p99\"\ntest = \"rank\"", "combined"),
        ("name = \"latency_p99\"\nharm = \"lower\"", "higher"),
        ("name = \"latency_p99\"\naccepted = { relative = 0.01 }", "at least 0.02"),
    ] {
        let error = policy(&format!("[[metrics]]\n{toml}")).unwrap_err().to_string();
        assert!(error.contains(said), "{toml}: {error}");
    }
}
