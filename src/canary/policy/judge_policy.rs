//! Judge policy: the metrics that are judged, and the thresholds of a promotion and a rollback.
//! `from_outside`: metrics of a service that another server answers.

mod from_outside;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::health::HealthPolicy;
use super::metric::MAX_METRICS;
use super::metric::Metric;
use super::metric_overrides::JudgePolicyOverride;
use super::metric_overrides::MetricOverride;
use super::segments::SegmentHarm;
use super::segments::Segments;
use super::source::Direction;
use super::source::Origin;
use super::source::Outputs;
use super::source::Role;
use super::source::Source;
use crate::stats::Harm;
use crate::stats::Margin;
use crate::stats::sequential::EvidenceUnit;
use crate::text::fields::FieldError;

/// What the sequential judge judges, and by which thresholds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JudgePolicy {
    /// The probability that a harmless canary is ever rolled back, over all metrics together. Default 0.05.
    pub alpha: f64,
    /// The metrics, each with its own name; at least one is a guardrail.
    pub metrics: Vec<Metric>,
    /// A canary whose guardrails pass is promoted from this weighted score on, of 100. Default 95.
    pub promote_score: f64,
    /// The canary is rolled back once its score can only end at or below this. Default 60.
    pub rollback_score: f64,
    /// Whether the canary is meant to score differently: then the metrics that compare scores are shown and decide
    /// nothing, unless the policy gives them a role. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expect_shift: bool,
    /// The segments that are judged on their own. Default none.
    #[serde(default, skip_serializing_if = "Segments::is_off")]
    pub segments: Segments,
    /// What the versions answer. Set at the deployment, from the models.
    #[serde(default, skip_serializing_if = "Outputs::is_probability")]
    pub outputs: Outputs,
    /// What counts as one draw in latency, failures and recorded values. `auto`, the default: a request where both models
    /// run on the request's thread; else spans of time.
    #[serde(default, skip_serializing_if = "EvidenceUnit::is_request")]
    pub unit: EvidenceUnit,
    /// Whether a canary is not promoted while the two tracks provably get different inputs. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub judge_inputs: bool,
}

/// The probability that a correct split is ever reported as a sample ratio mismatch, and the same of different inputs. Small, because every
/// rollout is tested and only a faulty set-up has a mismatch.
pub const RATIO_ALPHA: f64 = 0.001;

/// The machine counts as stalled when both tracks take more than this many times stable's usual latency.
pub const STALL_FACTOR: f64 = 3.0;

/// Where the pairs of a rollout come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairSource {
    /// The rollout shadows.
    InShadow {
        /// Whether a promotion waits for the pairs. It does not if the shadow may end without them.
        is_required: bool,
    },
    /// It does not shadow, but recent requests are kept and can be replayed to the canary. They are judged only
    /// by metrics that the deployment names.
    WhenAskedAgain,
    /// There are none.
    Never,
}

impl JudgePolicy {
    /// The policy of these health thresholds with these changes.
    ///
    /// # Errors
    /// Names the first field that is out of range.
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
    /// Names the first field that is out of range.
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
            let source = one.source.or(before).unwrap_or_else(|| Source::of(one.name.as_str()));
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
        let expect_shift = given.expect_shift.unwrap_or(self.expect_shift);
        let is_new = expect_shift && !self.expect_shift;
        metrics.iter_mut().filter(|metric| is_new && !given.has_role(metric)).for_each(expected);
        self.keep_judged(&mut metrics, health, given);
        guarded(&metrics)?;
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
        let alpha = self.alpha;
        let outputs = self.outputs.clone();
        let unit = given.unit.unwrap_or(self.unit);
        if unit != EvidenceUnit::Auto {
            // `auto` is decided at the deployment, by the models.
            let noisy = metrics.iter_mut().filter(|it| it.source.has_own_noise());
            noisy.for_each(|it| it.unit = unit);
        }
        Ok(JudgePolicy {
            alpha,
            metrics,
            promote_score,
            rollback_score,
            expect_shift,
            segments,
            outputs,
            unit,
            judge_inputs: given.judge_inputs.unwrap_or(self.judge_inputs),
        })
    }

    /// The policy of one rollout. A rollout that shadows is also judged by its pairs. One that does not is not,
    /// even if the configuration names metrics of pairs, because it would wait for them forever.
    ///
    /// # Errors
    /// When the deployment itself names a metric that gets no values, or no guardrail is left.
    pub fn of_rollout(
        mut self,
        health: &HealthPolicy,
        given: &JudgePolicyOverride,
        pairs: PairSource,
    ) -> Result<JudgePolicy, FieldError> {
        let is_given = |metric: &&Metric| given.metrics.iter().any(|it| it.name == metric.name);
        let mut in_pairs = self.metrics.iter().filter(|metric| metric.source.is_shadow());
        let named = in_pairs.find(is_given).map(|metric| metric.name.to_string());
        match (pairs, named) {
            // Pairs are of requests that serin answers.
            (PairSource::InShadow { .. }, None) if !self.judges_requests() => return Ok(self),
            (PairSource::InShadow { is_required }, _) => {
                let is_new = |metric: &Metric| {
                    let is_same =
                        |other: &Metric| other.name == metric.name || other.source == metric.source;
                    !self.metrics.iter().any(is_same)
                };
                let mut added: Vec<Metric> =
                    defaults(Origin::Shadow, health).into_iter().filter(is_new).collect();
                added.iter_mut().filter(|_| self.expect_shift).for_each(expected);
                added.iter_mut().for_each(|metric| metric.required = is_required);
                self.metrics.extend(added);
                return Ok(self);
            }
            (PairSource::WhenAskedAgain, Some(_)) => return Ok(self),
            (PairSource::Never, Some(named)) => {
                return Err(FieldError::new(
                    format!("metrics.{named}"),
                    "judged in shadow, but this rollout does not shadow; set shadow_percent, or give a step a \
                     shadow (or keep recent requests: [recent_requests] in serin.toml)",
                ));
            }
            (PairSource::WhenAskedAgain | PairSource::Never, None) => {}
        }
        self.metrics.retain(|metric| !metric.source.is_shadow());
        guarded(&self.metrics)?;
        Ok(self)
    }

    /// The policy for versions that answer this. Metrics that have no values then are left out; the built-in loss of
    /// scores is the squared error, and the margins of scores are in the spread of stable's alone, because a number of
    /// any size has no other unit.
    ///
    /// # Errors
    /// When the deployment itself names a metric that gets no values, or no guardrail is left.
    pub fn of_outputs(
        mut self,
        outputs: Outputs,
        health: &HealthPolicy,
        given: &JudgePolicyOverride,
    ) -> Result<JudgePolicy, FieldError> {
        let is_given = |metric: &Metric| given.metrics.iter().any(|it| it.name == metric.name);
        let mut absent = self.metrics.iter().filter(|metric| !metric.source.is_of(&outputs));
        if let Some(metric) = absent.find(|metric| is_given(metric)) {
            let (what, instead) = match outputs {
                Outputs::Score => ("of classes, and the models answer scores", "squared_error"),
                Outputs::Probability | Outputs::Probabilities { .. } => {
                    ("of scores, and the models answer probabilities", "log_loss or brier")
                }
            };
            let message = format!("{what}; leave it out, or use {instead}");
            return Err(FieldError::new(format!("metrics.{}", metric.name), message));
        }
        self.check_margins(&outputs).map_err(|mut error| {
            let names =
                |one: &MetricOverride| error.path.starts_with(&format!("metrics.{}.", one.name));
            if !given.metrics.iter().any(names) {
                error.message.push_str("; the value is from the server's settings");
            }
            error
        })?;
        let has_loss = self.metrics.iter().any(|it| it.source == Source::LogLoss && !it.required);
        self.metrics.retain(|metric| metric.source.is_of(&outputs));
        if outputs == Outputs::Score {
            let has_error = self.metrics.iter().any(|it| it.source == Source::SquaredError);
            if has_loss && !has_error && self.metrics.len() < MAX_METRICS {
                self.metrics.push(built_in_loss(Source::SquaredError, health));
            }
            for metric in self.metrics.iter_mut().filter(|metric| metric.source.is_of_scores()) {
                let default = Metric::new(metric.source, metric.harm, health);
                let relative = |margin: Margin, default: Margin| match margin == default {
                    true => Margin::relative(margin.relative),
                    false => margin,
                };
                metric.tolerated = relative(metric.tolerated, default.tolerated);
                metric.accepted = relative(metric.accepted, default.accepted);
                // A wider tolerance has moved one part of it at most.
                let tolerated = metric.tolerated.absolute;
                let of_default = |(harmful, default): (Margin, Margin)| {
                    let is_default = harmful.absolute == default.absolute && harmful.relative > 0.0;
                    let absolute = if is_default { tolerated } else { harmful.absolute };
                    Margin { absolute, ..harmful }
                };
                metric.harmful = metric.harmful.zip(default.harmful).map(of_default);
            }
        }
        guarded(&self.metrics)?;
        Ok(JudgePolicy { outputs, ..self })
    }

    /// Refuses margins of scores that are too large for what the versions answer: probabilities differ by less than 1.
    ///
    /// # Errors
    /// Names the first of them.
    pub fn check_margins(&self, outputs: &Outputs) -> Result<(), FieldError> {
        match outputs {
            Outputs::Score => Ok(()),
            Outputs::Probability | Outputs::Probabilities { .. } => {
                let mut metrics = self.metrics.iter().filter(|it| it.source.is_of_scores());
                metrics.try_for_each(|metric| {
                    metric.check_margins("less than 1, because the models answer probabilities")
                })
            }
        }
    }

    /// The policy for models that run on the request's thread, or on threads of their own. A model with its own threads
    /// can have noise of its own that lasts, and so can what clients record of other processes.
    pub fn of_threads(mut self, has_threads: bool) -> JudgePolicy {
        if self.unit == EvidenceUnit::Auto {
            for metric in &mut self.metrics {
                let is_recorded = metric.source == Source::Recorded;
                metric.unit = match is_recorded || (has_threads && metric.source.has_own_noise()) {
                    true => EvidenceUnit::Auto,
                    false => EvidenceUnit::Request,
                };
            }
        }
        self
    }

    /// The level at which a metric fails: its part of alpha. The metrics that act share alpha by weight, so that
    /// the probability of any false failure is at most alpha. An advisory metric decides nothing and is tested
    /// at alpha.
    pub fn harm_alpha(&self, metric: &Metric) -> f64 {
        if !metric.role.acts() {
            return self.alpha;
        }
        let alpha = if self.segments_roll_back() { self.alpha / 2.0 } else { self.alpha };
        let acting = self.metrics.iter().filter(|metric| metric.role.acts());
        alpha * metric.weight / acting.map(|metric| metric.weight).sum::<f64>()
    }

    /// The level for holding on a shift: the metric's part of alpha, by weight, among those that can hold. Holds are in
    /// addition to rollbacks: a harmless canary is held with a probability of at most alpha.
    pub fn shift_alpha(&self, metric: &Metric) -> f64 {
        let holding = self.metrics.iter().filter(|metric| metric.holds());
        let all = holding.map(|metric| metric.weight).sum::<f64>();
        self.alpha * metric.weight / all
    }

    /// The shift of the scores that is harm to the health check; `None` unless the score is a guardrail.
    pub fn gross_shift(&self) -> Option<Margin> {
        // The health check compares one probability; outputs of other kinds are judged by the sequential judge alone.
        let mut metrics = self.metrics.iter().filter(|_| self.outputs.is_probability());
        metrics.find(|it| it.source == Source::Score && it.role == Role::Guardrail)?.harmful
    }

    /// The policy of a server that accepts no labels: without metrics of labels that are not required.
    pub fn without_optional_labels(mut self) -> JudgePolicy {
        self.metrics.retain(|metric| metric.required || !metric.source.is_of_labels());
        self
    }

    /// The metrics that are judged by segment: those that act and that serin observes at each request. Of the latency's
    /// tail only guardrails: a segment has few requests, and each further metric costs the others power.
    pub fn by_segment(&self) -> impl Iterator<Item = &Metric> {
        // The samples of a segment have one probability.
        let has_scores = self.outputs.is_probability();
        let is_judged = move |metric: &&Metric| {
            let has_values = has_scores || metric.source != Source::Score;
            let acts = match metric.source.is_tail() {
                true => metric.role == Role::Guardrail,
                false => metric.role.acts(),
            };
            acts && metric.source.is_of_requests() && has_values
        };
        self.metrics.iter().filter(is_judged)
    }

    /// The probability of ever having a finding in a segment if the canary harms none. Half of alpha where a
    /// finding rolls back: the probability of any false rollback stays at most alpha.
    pub fn segment_alpha(&self) -> f64 {
        if self.segments_roll_back() { self.alpha / 2.0 } else { self.alpha }
    }

    fn segments_roll_back(&self) -> bool {
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
            expect_shift: false,
            segments: Segments::default(),
            outputs: Outputs::default(),
            unit: EvidenceUnit::Auto,
            judge_inputs: false,
        }
    }
}

/// From this many labels of each track on log loss counts: the first ones may be of special cases.
const MIN_LABELS: u64 = 100;

/// The metrics of every rollout. Without labels the log loss is absent, and no promotion waits for it: a proof takes
/// thousands of labels.
fn built_in(health: &HealthPolicy) -> Vec<Metric> {
    let mut metrics = defaults(Origin::Requests, health);
    metrics.retain(|metric| !metric.source.is_tail());
    metrics.push(built_in_loss(Source::LogLoss, health));
    let tail = Metric::new(Source::LatencyP99, Harm::Higher, health);
    metrics.push(Metric { weight: TAIL_WEIGHT, ..tail });
    metrics
}

/// Alone it leaves the score below the 95 of a promotion until ten other metrics have passed, and it takes a ninth of
/// alpha from the four guardrails, which costs them 3 % of their evidence.
const TAIL_WEIGHT: f64 = 0.5;

fn built_in_loss(source: Source, health: &HealthPolicy) -> Metric {
    let loss = Metric::new(source, Harm::Higher, health);
    Metric { min_samples: MIN_LABELS, required: false, ..loss }
}

/// A metric of a canary that is meant to score differently.
fn expected(metric: &mut Metric) {
    if metric.source.is_of_scores() {
        metric.role = Role::Advisory;
    }
}

/// The metrics of an origin, without changes.
fn defaults(origin: Origin, health: &HealthPolicy) -> Vec<Metric> {
    let metric = |source: Source| match source.properties().harm {
        Direction::Fixed(harm) | Direction::Usual(harm) => Some(Metric::new(source, harm, health)),
        Direction::Given => None,
    };
    Source::from_origin(origin).filter_map(metric).collect()
}

/// The metric that these changes start from.
fn default_of(
    source: Source,
    given: &MetricOverride,
    health: &HealthPolicy,
) -> Result<Metric, FieldError> {
    let harm = match source.properties().harm {
        Direction::Fixed(harm) | Direction::Usual(harm) => harm,
        Direction::Given => given.required_harm()?,
    };
    Ok(Metric { name: given.name.clone(), ..Metric::new(source, harm, health) })
}

fn guarded(metrics: &[Metric]) -> Result<(), FieldError> {
    if metrics.iter().any(|metric| metric.role == Role::Guardrail) {
        return Ok(());
    }
    let message = "none is a guardrail, so nothing protects users; give one the role guardrail";
    Err(FieldError::new("metrics", message))
}

fn too_many(count: usize) -> FieldError {
    let message = format!("{count} entries, the built-in ones included; use at most {MAX_METRICS}");
    FieldError::new("metrics", message)
}

#[cfg(test)]
#[path = "judge_policy_tests.rs"]
mod tests;
