//! Which metrics are judged, and what does it take to promote and to roll back?

use serde::Deserialize;
use serde::Serialize;

use super::health::HealthPolicy;
use super::metric::MAX_METRICS;
use super::metric::Metric;
use super::metric::Role;
use super::metric::Source;
use super::metric_overrides::JudgePolicyOverride;
use super::metric_overrides::MetricOverride;
use super::metric_overrides::harm_missing;
use super::metric_overrides::no_guardrail;
use super::segments::SegmentHarm;
use super::segments::Segments;
use crate::stats::Harm;
use crate::stats::Margin;
use crate::stats::sequential::Test;
use crate::text::fields::FieldError;

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
    /// The segments that are judged on their own. Default none.
    #[serde(default, skip_serializing_if = "Segments::is_off")]
    pub segments: Segments,
}

/// The chance that a share which is as intended is ever called off. Small, because it is asked of every
/// rollout, and nothing but a fault of the set-up makes it so.
pub const RATIO_ALPHA: f64 = 0.001;

/// Beyond so many times stable's usual latency, on both tracks at once, the machine counts as stalled.
pub const STALL_FACTOR: f64 = 3.0;

/// How much of stable's latency a slowdown may be and still count as none.
const ACCEPTED_SLOWDOWN: f64 = 0.10;

/// How much the mean prediction may move and still count as the same.
const ACCEPTED_SCORE_SHIFT: f64 = 0.02;

/// In shadow: how many spreads of stable's scores the mean answer may move and still be no harm, and how
/// far beside. A retrained model moves by less than a tenth of a spread; 0.5 is another model.
const TOLERATED_SHIFT: Margin = Margin { relative: 0.2, absolute: 0.01 };

/// How far it may have moved and still count as the same.
const ACCEPTED_SHIFT: Margin = Margin { relative: 0.3, absolute: 0.02 };

/// In shadow: the share of labels that may differ. Of two models trained on two samples of the same data
/// some 2 to 8 % do.
const TOLERATED_FLIPS: f64 = 0.10;

/// The share that still counts as the same.
const ACCEPTED_FLIPS: f64 = 0.15;

/// How much of stable's mean a recorded metric, or a loss of labelled predictions, may be worse and still
/// count as not worse.
const ACCEPTED_LOSS: f64 = 0.10;

impl JudgePolicy {
    /// The policy that these health thresholds and these changes amount to.
    ///
    /// # Errors
    /// Names the first field that cannot be.
    pub fn new(
        health: &HealthPolicy,
        given: &JudgePolicyOverride,
    ) -> Result<JudgePolicy, FieldError> {
        let (alpha, metrics) = (health.alpha, built_in(health));
        JudgePolicy { alpha, metrics, ..JudgePolicy::default() }.changed(health, given)
    }

    /// This policy with these changes; what is left out stays as it is.
    ///
    /// # Errors
    /// Names the first field that cannot be.
    pub fn changed(
        &self,
        health: &HealthPolicy,
        given: &JudgePolicyOverride,
    ) -> Result<JudgePolicy, FieldError> {
        if given.metrics.len() > MAX_METRICS {
            return Err(too_many(given.metrics.len()));
        }
        let mut metrics = self.metrics.clone();
        for (place, one) in given.metrics.iter().enumerate() {
            if given.metrics[..place].iter().any(|other| other.name == one.name) {
                return Err(FieldError::new(
                    "metrics",
                    format!("{} appears twice; give each metric one entry", one.name),
                ));
            }
            let place = metrics.iter().position(|metric| metric.name == one.name);
            let before = place.map(|place| metrics[place].source);
            let source = one.source.or(before).unwrap_or_else(|| Source::of(&one.name));
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
        if metrics.len() > MAX_METRICS {
            return Err(too_many(metrics.len()));
        }
        if !metrics.iter().any(|metric| metric.role == Role::Guardrail) {
            return Err(no_guardrail());
        }
        let promote_score = given.promote_score.unwrap_or(self.promote_score);
        let rollback_score = given.rollback_score.unwrap_or(self.rollback_score);
        let out = |field: &str, value: f64, allowed: &str| {
            Err(FieldError::out_of_range(field, value, allowed))
        };
        if !(promote_score > 0.0 && promote_score <= 100.0) {
            return out("promote_score", promote_score, "more than 0 and at most 100");
        }
        if !(rollback_score >= 0.0 && rollback_score < promote_score) {
            return out("rollback_score", rollback_score, "0 or more and less than promote_score");
        }
        let harm = given.segment_harm.unwrap_or(self.segments.harm);
        let segments = Segments { harm, ..self.segments.clone() };
        Ok(JudgePolicy { alpha: self.alpha, metrics, promote_score, rollback_score, segments })
    }

    /// The level at which a metric's harm is shown: its part of alpha. Metrics that act share alpha by
    /// weight, so that any of them errs with probability alpha at most; an advisory one leads to
    /// nothing and has alpha to itself.
    pub fn harm_alpha(&self, metric: &Metric) -> f64 {
        if !metric.role.acts() {
            return self.alpha;
        }
        let alpha = if self.segments_take_back() { self.alpha / 2.0 } else { self.alpha };
        let acting = self.metrics.iter().filter(|metric| metric.role.acts());
        alpha * metric.weight / acting.map(|metric| metric.weight).sum::<f64>()
    }
}

impl JudgePolicy {
    /// The metrics that are judged by segment: those that act, of what serin observes itself.
    pub fn by_segment(&self) -> impl Iterator<Item = &Metric> {
        let is_observed = |metric: &&Metric| Source::BUILT_IN.contains(&metric.source);
        self.metrics.iter().filter(|metric| metric.role.acts()).filter(is_observed)
    }

    /// The chance that there is ever a finding in a segment if the canary harms nobody. Where a finding takes
    /// back, half of alpha, so that any false rollback has the chance alpha at most, as without segments.
    pub fn segment_alpha(&self) -> f64 {
        if self.segments_take_back() { self.alpha / 2.0 } else { self.alpha }
    }

    fn segments_take_back(&self) -> bool {
        match self.segments.harm {
            SegmentHarm::Hold => false,
            SegmentHarm::RollBack => !self.segments.is_off(),
        }
    }
}

impl Default for JudgePolicy {
    fn default() -> JudgePolicy {
        JudgePolicy {
            alpha: HealthPolicy::default().alpha,
            metrics: built_in(&HealthPolicy::default()),
            promote_score: 95.0,
            rollback_score: 60.0,
            segments: Segments::default(),
        }
    }
}

/// A metric as it is unless a policy says otherwise.
fn metric(
    source: Source,
    harm: Harm,
    role: Role,
    [tolerated, accepted]: [Margin; 2],
    health: &HealthPolicy,
) -> Metric {
    Metric {
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
    }
}

fn built_in(health: &HealthPolicy) -> Vec<Metric> {
    let absolute = health.absolute_margin_seconds;
    let relative = health.relative_margin;
    let metric = |source, harm, role, tolerated, accepted| {
        metric(source, harm, role, [tolerated, accepted], health)
    };
    vec![
        metric(
            Source::Latency,
            Harm::Higher,
            Role::Guardrail,
            Margin { relative, absolute },
            // Wide enough for an equal canary to be proven within minutes. One between the two margins
            // is on its way to both, and harm has the last word.
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

/// What a rollout that shadows is judged by beside. Latency is reported and leads to nothing, because the
/// canary does not answer in shadow under the conditions under which stable does.
pub(crate) fn in_shadow(health: &HealthPolicy) -> Vec<Metric> {
    let absolute = Margin::absolute;
    let failures = health.failure_margin;
    let latency = health.absolute_margin_seconds;
    let relative = health.relative_margin;
    let slowdown = Margin { relative, absolute: latency };
    let accepted_slowdown =
        Margin { relative: ACCEPTED_SLOWDOWN.max(relative), absolute: 2.0 * latency };
    let metric = |source, harm, role, tolerated, accepted| {
        metric(source, harm, role, [tolerated, accepted], health)
    };
    let (higher, guardrail) = (Harm::Higher, Role::Guardrail);
    vec![
        metric(Source::ShadowScore, Harm::Either, guardrail, TOLERATED_SHIFT, ACCEPTED_SHIFT),
        metric(
            Source::ShadowFlips,
            higher,
            guardrail,
            absolute(TOLERATED_FLIPS),
            absolute(ACCEPTED_FLIPS),
        ),
        metric(
            Source::ShadowFailures,
            higher,
            guardrail,
            absolute(failures),
            absolute((2.0 * failures).min(0.5 * (1.0 + failures))),
        ),
        metric(Source::ShadowLatency, higher, Role::Advisory, slowdown, accepted_slowdown),
    ]
}

fn too_many(count: usize) -> FieldError {
    let message = format!("{count} entries, the built-in ones included; use at most {MAX_METRICS}");
    FieldError::new("metrics", message)
}

fn default_of(
    source: Source,
    given: &MetricOverride,
    health: &HealthPolicy,
) -> Result<Metric, FieldError> {
    let mut observed = built_in(health).into_iter().chain(in_shadow(health));
    let built_in = observed.find(|metric| metric.source == source);
    if let Some(metric) = built_in {
        return Ok(Metric { name: given.name.clone(), ..metric });
    }
    let margins = [Margin::default(), Margin { relative: ACCEPTED_LOSS, absolute: 0.0 }];
    let signal = |harm| {
        let metric = metric(source, harm, Role::Signal, margins, health);
        Metric { name: given.name.clone(), ..metric }
    };
    if source.is_of_labels() {
        // Only the mean of a loss says which model is better: one that is surer of itself has other
        // ranks and tails, and may be better for it.
        return Ok(Metric { test: Test::Mean, ..signal(Harm::Higher) });
    }
    let harm = given.harm.ok_or_else(|| harm_missing(&given.name))?;
    Ok(signal(harm))
}

#[cfg(test)]
#[path = "judge_policy_tests.rs"]
mod tests;
