//! Which metrics are judged, and what does it take to promote and to roll back?

use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;

use super::metric::Metric;
use super::metric::MetricName;
use super::metric::Role;
use super::metric::Source;
use super::policy::HealthPolicy;
use crate::stats::Harm;
use crate::stats::Margin;
use crate::stats::sequential::Test;

/// What the judge that may be asked at any time decides by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgePolicy {
    /// The chance of a false rollback, ever, over all metrics together. Default 0.05.
    pub alpha: f64,
    /// The metrics, each with a name of its own; at least one is a guardrail.
    pub metrics: Vec<Metric>,
    /// From this weighted score on, of 100, a canary whose guardrails pass is promoted. Default 95.
    pub promote_score: f64,
    /// When the score can only end at or below this, the canary is rolled back. Default 60.
    pub rollback_score: f64,
}

/// A metric as it is given; what is left out has the default of its source.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GivenMetric {
    /// `latency`, `failures`, `score`, or the name that values are recorded under.
    pub name: MetricName,
    /// See [`Metric::source`]; only to judge recorded values named like a built-in metric.
    #[serde(default)]
    pub source: Option<Source>,
    /// See [`Metric::harm`]; without a default for recorded values.
    #[serde(default)]
    pub harm: Option<Harm>,
    /// See [`Metric::role`].
    #[serde(default)]
    pub role: Option<Role>,
    /// See [`Metric::tolerated`].
    #[serde(default)]
    pub tolerated: Option<GivenMargin>,
    /// See [`Metric::accepted`].
    #[serde(default)]
    pub accepted: Option<GivenMargin>,
    /// See [`Metric::weight`].
    #[serde(default)]
    pub weight: Option<f64>,
    /// See [`Metric::critical`].
    #[serde(default)]
    pub critical: Option<bool>,
    /// See [`Metric::min_samples`].
    #[serde(default)]
    pub min_samples: Option<u64>,
    /// See [`Metric::test`].
    #[serde(default)]
    pub test: Option<Test>,
}

/// A margin as it is given: what is left out is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GivenMargin {
    /// As a share of stable's value.
    pub relative: f64,
    /// In the unit of the metric: seconds for latency.
    pub absolute: f64,
}

/// The whole policy as it is given.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GivenJudgePolicy {
    /// Changes to built-in metrics, and metrics of recorded values.
    pub metrics: Vec<GivenMetric>,
    /// See [`JudgePolicy::promote_score`].
    pub promote_score: Option<f64>,
    /// See [`JudgePolicy::rollback_score`].
    pub rollback_score: Option<f64>,
}

/// The most metrics of a policy: each costs some microseconds a second and some 100 kB.
pub const MOST_METRICS: usize = 16;

/// How much of stable's latency a slowdown may be and still count as none.
const ACCEPTED_SLOWDOWN: f64 = 0.10;

/// How much the mean prediction may move and still count as the same.
const ACCEPTED_SCORE_SHIFT: f64 = 0.02;

/// How much of stable's mean a recorded metric may lose and still count as not worse.
const ACCEPTED_LOSS: f64 = 0.10;

/// A policy that cannot be.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum JudgePolicyError {
    /// A number is outside its range.
    #[error("{field} = {value} of metric {metric} is out of range; give {allowed}")]
    OutOfRange {
        /// The metric.
        metric: String,
        /// The field.
        field: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A number of the whole is outside its range.
    #[error("{field} = {value} is out of range; give {allowed}")]
    Score {
        /// The field.
        field: &'static str,
        /// What was given.
        value: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A name stands twice.
    #[error("metrics has {0} twice; give each metric one entry")]
    Twice(String),
    /// Nobody knows which difference of recorded values is harm.
    #[error(
        "metric {0} has no harm; say which difference is: higher (a cost), lower (a revenue) or \
         either"
    )]
    HarmMissing(String),
    /// There are too many.
    #[error("metrics has {0} entries, the built-in ones included; give at most {MOST_METRICS}")]
    TooMany(usize),
    /// Nothing could ever roll back.
    #[error("no metric is a guardrail, so nothing would guard users; give one the role guardrail")]
    NoGuardrail,
}

impl JudgePolicy {
    /// The policy that these health thresholds and these changes amount to.
    ///
    /// # Errors
    /// Names the first field that cannot be.
    pub fn new(
        health: &HealthPolicy,
        given: &GivenJudgePolicy,
    ) -> Result<JudgePolicy, JudgePolicyError> {
        let (alpha, metrics) = (health.alpha, built_in(health));
        JudgePolicy { alpha, metrics, promote_score: 95.0, rollback_score: 60.0 }
            .changed(health, given)
    }

    /// This policy with these changes; what is left out stays as it is.
    ///
    /// # Errors
    /// Names the first field that cannot be.
    pub fn changed(
        &self,
        health: &HealthPolicy,
        given: &GivenJudgePolicy,
    ) -> Result<JudgePolicy, JudgePolicyError> {
        let mut metrics = self.metrics.clone();
        for (place, one) in given.metrics.iter().enumerate() {
            if given.metrics[..place].iter().any(|other| other.name == one.name) {
                return Err(JudgePolicyError::Twice(one.name.to_string()));
            }
            let source = one.source.unwrap_or_else(|| Source::of(&one.name));
            let place = metrics.iter().position(|metric| metric.name == one.name);
            let default = match place {
                Some(place) if metrics[place].source == source => metrics[place].clone(),
                Some(_) | None => default_of(source, one, health)?,
            };
            let metric = one.over(default)?;
            match place {
                Some(place) => metrics[place] = metric,
                None => metrics.push(metric),
            }
        }
        if metrics.len() > MOST_METRICS {
            return Err(JudgePolicyError::TooMany(metrics.len()));
        }
        if !metrics.iter().any(|metric| metric.role == Role::Guardrail) {
            return Err(JudgePolicyError::NoGuardrail);
        }
        let promote_score = given.promote_score.unwrap_or(self.promote_score);
        let rollback_score = given.rollback_score.unwrap_or(self.rollback_score);
        let out = |field, value, allowed| Err(JudgePolicyError::Score { field, value, allowed });
        if !(promote_score > 0.0 && promote_score <= 100.0) {
            return out("promote_score", promote_score, "more than 0 and at most 100");
        }
        if !(rollback_score >= 0.0 && rollback_score < promote_score) {
            return out("rollback_score", rollback_score, "0 or more and less than promote_score");
        }
        Ok(JudgePolicy { alpha: self.alpha, metrics, promote_score, rollback_score })
    }

    /// The level at which a metric's harm is shown: its part of alpha. Metrics that act share alpha by
    /// weight, so that any of them errs with probability alpha at most; an advisory one leads to
    /// nothing and has alpha to itself.
    pub fn harm_alpha(&self, metric: &Metric) -> f64 {
        if !metric.role.acts() {
            return self.alpha;
        }
        let acting = self.metrics.iter().filter(|metric| metric.role.acts());
        self.alpha * metric.weight / acting.map(|metric| metric.weight).sum::<f64>()
    }
}

impl Default for JudgePolicy {
    fn default() -> JudgePolicy {
        JudgePolicy {
            alpha: HealthPolicy::default().alpha,
            metrics: built_in(&HealthPolicy::default()),
            promote_score: 95.0,
            rollback_score: 60.0,
        }
    }
}

fn built_in(health: &HealthPolicy) -> Vec<Metric> {
    let absolute = health.absolute_margin_seconds;
    let relative = health.relative_margin;
    let metric = |source: Source, harm, role, tolerated, accepted| Metric {
        name: source.into(),
        source,
        harm,
        role,
        tolerated,
        accepted,
        weight: 1.0,
        critical: false,
        min_samples: health.min_samples,
        test: Test::Combined,
    };
    vec![
        metric(
            Source::Latency,
            Harm::Higher,
            Role::Guardrail,
            Margin { relative, absolute },
            // Wide enough for an equal canary to be proven within minutes, and never narrower than
            // what is tolerated, or a canary between the two would be both good and bad.
            Margin { relative: ACCEPTED_SLOWDOWN.max(relative), absolute: 2.0 * absolute },
        ),
        metric(
            Source::Failures,
            Harm::Higher,
            Role::Guardrail,
            Margin::default(),
            Margin { relative: 0.0, absolute: health.failure_margin },
        ),
        // A new model may well predict something else: that is for a person to judge.
        metric(
            Source::Score,
            Harm::Either,
            Role::Advisory,
            Margin::default(),
            Margin { relative: 0.0, absolute: ACCEPTED_SCORE_SHIFT },
        ),
    ]
}

fn default_of(
    source: Source,
    given: &GivenMetric,
    health: &HealthPolicy,
) -> Result<Metric, JudgePolicyError> {
    let built_in = built_in(health).into_iter().find(|metric| metric.source == source);
    if let Some(metric) = built_in {
        return Ok(Metric { name: given.name.clone(), ..metric });
    }
    let harm = given.harm.ok_or_else(|| JudgePolicyError::HarmMissing(given.name.to_string()))?;
    Ok(Metric {
        name: given.name.clone(),
        source,
        harm,
        role: Role::Signal,
        tolerated: Margin::default(),
        accepted: Margin { relative: ACCEPTED_LOSS, absolute: 0.0 },
        weight: 1.0,
        critical: false,
        min_samples: health.min_samples,
        test: Test::Combined,
    })
}

impl GivenMetric {
    /// The default with what is given in its place.
    fn over(&self, default: Metric) -> Result<Metric, JudgePolicyError> {
        let metric = Metric {
            name: self.name.clone(),
            source: default.source,
            harm: self.harm.unwrap_or(default.harm),
            role: self.role.unwrap_or(default.role),
            tolerated: self.tolerated.map_or(default.tolerated, Margin::from),
            accepted: self.accepted.map_or(default.accepted, Margin::from),
            weight: self.weight.unwrap_or(default.weight),
            critical: self.critical.unwrap_or(default.critical),
            min_samples: self.min_samples.unwrap_or(default.min_samples),
            test: self.test.unwrap_or(default.test),
        };
        let out = |field, value: String, allowed| {
            Err(JudgePolicyError::OutOfRange {
                metric: self.name.to_string(),
                field,
                value,
                allowed,
            })
        };
        let Metric { tolerated, accepted, weight, .. } = metric;
        let parts = [
            ("tolerated.relative", tolerated.relative),
            ("tolerated.absolute", tolerated.absolute),
            ("accepted.relative", accepted.relative),
            ("accepted.absolute", accepted.absolute),
        ];
        for (field, value) in parts {
            if !(value >= 0.0 && value.is_finite()) {
                return out(field, value.to_string(), "0 or more");
            }
        }
        if !(weight > 0.0 && weight <= 1e6) {
            return out("weight", weight.to_string(), "more than 0 and at most 1000000");
        }
        if metric.min_samples < 2 {
            return out("min_samples", metric.min_samples.to_string(), "2 or more");
        }
        if metric.critical && metric.role == Role::Advisory {
            return out("critical", "true".to_owned(), "false, or another role than advisory");
        }
        if metric.source == Source::Failures {
            if metric.harm != Harm::Higher {
                return out("harm", format!("{:?}", metric.harm).to_lowercase(), "higher");
            }
            if metric.test != Test::Combined {
                return out("test", format!("{:?}", metric.test).to_lowercase(), "combined");
            }
            if tolerated.absolute != 0.0 {
                let allowed = "0; of failures a ratio is tolerated: tolerated.relative = 0.5 is half \
                               as many again";
                return out("tolerated.absolute", tolerated.absolute.to_string(), allowed);
            }
            if accepted.relative != 0.0 || !(accepted.absolute > 0.0 && accepted.absolute < 1.0) {
                let allowed = "accepted = { absolute = 0.01 }: a share of requests, more than 0 and \
                               less than 1";
                return out("accepted", format!("{accepted:?}"), allowed);
            }
        } else if accepted.relative < tolerated.relative || accepted.absolute < tolerated.absolute {
            let allowed = "at least what is tolerated, or a canary could be both harmful and fine";
            return out("accepted", format!("{accepted:?}"), allowed);
        } else if accepted == Margin::default() {
            let allowed = "more than 0 in one of its parts: no sample proves two tracks equal";
            return out("accepted", "0".to_owned(), allowed);
        }
        Ok(metric)
    }
}

impl From<GivenMargin> for Margin {
    fn from(given: GivenMargin) -> Margin {
        Margin { relative: given.relative, absolute: given.absolute }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(toml: &str) -> Result<JudgePolicy, JudgePolicyError> {
        JudgePolicy::new(&HealthPolicy::default(), &toml::from_str(toml).unwrap())
    }

    fn harm_alphas(policy: &JudgePolicy) -> Vec<f64> {
        policy.metrics.iter().map(|metric| policy.harm_alpha(metric)).collect()
    }

    #[test]
    fn the_default_guards_latency_and_failures_and_watches_the_score() {
        let default = JudgePolicy::default();
        assert_eq!(policy(""), Ok(default.clone()));
        let roles: Vec<_> = default.metrics.iter().map(|m| (m.name.as_str(), m.role)).collect();
        let expected = [
            ("latency", Role::Guardrail),
            ("failures", Role::Guardrail),
            ("score", Role::Advisory),
        ];
        assert_eq!(roles, expected);
        assert_eq!(harm_alphas(&default), [0.025, 0.025, 0.05]);
    }

    #[test]
    fn what_is_given_changes_the_built_in_metric_or_adds_one() {
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
    fn recorded_scores_can_be_judged_in_place_of_predicted_ones() {
        let policy = policy(
            "[[metrics]]\nname = \"score\"\nsource = \"recorded\"\nharm = \"lower\"\nrole = \"signal\"",
        )
        .unwrap();
        assert_eq!((policy.metrics.len(), policy.metrics[2].source), (3, Source::Recorded));
    }

    #[test]
    fn what_cannot_be_is_named_with_a_remedy() {
        for (toml, named) in [
            ("[[metrics]]\nname = \"a\"", "higher"),
            ("[[metrics]]\nname = \"latency\"\n[[metrics]]\nname = \"latency\"", "twice"),
            ("[[metrics]]\nname = \"latency\"\nweight = 0", "weight = 0 of metric latency"),
            ("[[metrics]]\nname = \"latency\"\nweight = nan", "weight = NaN"),
            ("[[metrics]]\nname = \"latency\"\nmin_samples = 1", "min_samples = 1"),
            (
                "[[metrics]]\nname = \"latency\"\ntolerated = { relative = -1 }",
                "tolerated.relative",
            ),
            ("[[metrics]]\nname = \"latency\"\naccepted = { relative = 0.01 }", "at least what"),
            ("[[metrics]]\nname = \"score\"\naccepted = {}", "more than 0"),
            ("[[metrics]]\nname = \"score\"\ncritical = true", "critical = true"),
            ("[[metrics]]\nname = \"failures\"\nharm = \"lower\"", "harm = lower"),
            ("[[metrics]]\nname = \"failures\"\ntest = \"rank\"", "test = rank"),
            ("[[metrics]]\nname = \"failures\"\ntolerated = { absolute = 0.1 }", "a ratio"),
            ("[[metrics]]\nname = \"failures\"\naccepted = { relative = 0.1 }", "accepted"),
            ("promote_score = 101", "promote_score = 101"),
            ("rollback_score = 95", "rollback_score = 95"),
            (
                "[[metrics]]\nname = \"latency\"\nrole = \"advisory\"\n[[metrics]]\nname = \
                 \"failures\"\nrole = \"signal\"",
                "no metric is a guardrail",
            ),
        ] {
            let error = policy(toml).unwrap_err().to_string();
            assert!(error.contains(named), "{toml}: {error}");
        }
        let many: String =
            (0..14).map(|i| format!("[[metrics]]\nname = \"m{i}\"\nharm = \"lower\"\n")).collect();
        assert_eq!(policy(&many), Err(JudgePolicyError::TooMany(17)));
    }
}
