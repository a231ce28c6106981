//! Judge policies from a configuration: defaults, changes, and what is refused.

use super::*;
use crate::stats::Harm;
use crate::stats::Margin;
use crate::stats::sequential::Test;

fn policy(toml: &str) -> Result<JudgePolicy, FieldError> {
    JudgePolicy::new(&HealthPolicy::default(), &toml::from_str(toml).unwrap())
}

fn harm_alphas(policy: &JudgePolicy) -> Vec<f64> {
    policy.metrics.iter().map(|metric| policy.harm_alpha(metric)).collect()
}

#[test]
fn the_default_guards_latency_and_failures_and_reports_the_score() {
    let default = JudgePolicy::default();
    assert_eq!(policy(""), Ok(default.clone()));
    let roles: Vec<_> = default.metrics.iter().map(|m| (m.name.as_str(), m.role)).collect();
    let expected =
        [("latency", Role::Guardrail), ("failures", Role::Guardrail), ("score", Role::Advisory)];
    assert_eq!(roles, expected);
    assert_eq!(harm_alphas(&default), [0.025, 0.025, 0.05]);
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
    assert_eq!(policy.metrics.len(), 4);
    assert_eq!(policy.metrics[0].accepted, Margin { relative: 0.2, absolute: 0.001 });
    assert_eq!(policy.metrics[0].tolerated, Margin { relative: 0.05, absolute: 0.0001 });
    let revenue = &policy.metrics[3];
    assert_eq!((revenue.source, revenue.harm), (Source::Recorded, Harm::Lower));
    let expected = [0.03, 0.01, 0.05, 0.01];
    let close = |(found, expected): (f64, f64)| (found - expected).abs() < 1e-12;
    assert!(harm_alphas(&policy).into_iter().zip(expected).all(close), "{policy:?}");
}

#[test]
fn a_loss_is_judged_by_its_mean() {
    let judged = policy("[[metrics]]\nname = \"log_loss\"\nrole = \"guardrail\"").unwrap();
    let metric = &judged.metrics[3];
    assert_eq!((metric.source, metric.harm), (Source::LogLoss, Harm::Higher));
    assert_eq!((metric.test, metric.role), (Test::Mean, Role::Guardrail));
    let recorded = "[[metrics]]\nname = \"brier\"\nsource = \"recorded\"\nharm = \"lower\"";
    assert_eq!(policy(recorded).unwrap().metrics[3].source, Source::Recorded);
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
    let shadowing = default.clone().of_rollout(&health, &given, PairSource::InShadow).unwrap();
    let [score, flips, failures, latency] = &names(&shadowing)[3..] else { panic!() };
    for (found, named) in
        [(score, "shadow_score"), (flips, "shadow_flips"), (failures, "shadow_failures")]
    {
        assert_eq!((found.0.as_str(), found.1), (named, Role::Guardrail));
    }
    assert_eq!((latency.0.as_str(), latency.1), ("shadow_latency", Role::Advisory));
    assert_eq!(harm_alphas(&shadowing)[..2], [0.01, 0.01]);
    // Configured shadow metrics apply to a rollout that shadows, and are ignored by one that does not.
    let toml = "[[metrics]]\nname = \"shadow_flips\"\nrole = \"signal\"\n\
                accepted = { absolute = 0.3 }";
    let configured = policy(toml).unwrap();
    assert_eq!(
        configured.clone().of_rollout(&health, &given, PairSource::Never),
        Ok(default.clone())
    );
    let judged = configured.of_rollout(&health, &given, PairSource::InShadow).unwrap();
    assert_eq!(names(&judged)[3], ("shadow_flips".to_owned(), Role::Signal));
    assert_eq!(judged.metrics.len(), 7);
    let given = toml::from_str(toml).unwrap();
    let named = default.changed(&health, &given).unwrap();
    let again = named.clone().of_rollout(&health, &given, PairSource::WhenAskedAgain).unwrap();
    assert_eq!(names(&again).len(), 4);
    let refused = named.of_rollout(&health, &given, PairSource::Never);
    assert_eq!(refused.unwrap_err().path, "metrics.shadow_flips");
}

#[test]
fn recorded_scores_can_replace_predicted_ones() {
    let policy = policy(
        "[[metrics]]\nname = \"score\"\nsource = \"recorded\"\nharm = \"lower\"\nrole = \"signal\"",
    )
    .unwrap();
    assert_eq!((policy.metrics.len(), policy.metrics[2].source), (3, Source::Recorded));
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
        ("[[metrics]]\nname = \"score\"\ncritical = true", "critical: true"),
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
            "[[metrics]]\nname = \"shadow_score\"\ntolerated = { absolute = 1 }",
            "tolerated.absolute: 1",
        ),
        ("promote_score = 101", "promote_score: 101"),
        ("rollback_score = 95", "rollback_score: 95"),
        (
            "[[metrics]]\nname = \"latency\"\nrole = \"advisory\"\n[[metrics]]\nname = \
             \"failures\"\nrole = \"signal\"",
            "metrics: none is a guardrail",
        ),
    ] {
        let error = policy(toml).unwrap_err().to_string();
        assert!(error.contains(named), "{toml}: {error}");
    }
    let many: String =
        (0..14).map(|i| format!("[[metrics]]\nname = \"m{i}\"\nharm = \"lower\"\n")).collect();
    assert!(policy(&many).unwrap_err().to_string().contains("17 entries"));
}
