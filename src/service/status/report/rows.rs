//! The metrics of a rollout as rows of a table.

use serde::Serialize;
use utoipa::ToSchema;

use super::axis::Multiples;
use super::axis::Numbers;
use crate::canary::Metric;
use crate::canary::judge::bayesian::Reading;
use crate::canary::judge::forecast::MetricForecast;
use crate::canary::judge::forecast::Outcome;
use crate::canary::judge::margins::Margins;
use crate::canary::judge::margins::shown;
use crate::canary::judge::sentences;
use crate::canary::judge::sentences::Comparison;
use crate::canary::judge::verdict::Classification;
use crate::canary::judge::verdict::MetricEvidence;
use crate::canary::policy::metric::Role;
use crate::canary::policy::source::MonitorKind;
use crate::canary::policy::source::Origin;
use crate::canary::policy::source::Source;
use crate::canary::policy::source::Unit;
use crate::service::status::health::HarmAtOneLook;
use crate::stats::sequential::Test;
use crate::text::durations::duration;
use crate::text::lists::quoted;
use crate::text::numbers::count;
use crate::text::numbers::number;
use crate::text::numbers::share;
use crate::text::numbers::three_digits;

/// One metric.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MetricRow {
    /// Its name.
    pub metric: String,
    /// What its failure leads to.
    pub role: Role,
    /// Whether a promotion waits until it has passed.
    pub required: bool,
    /// The conclusion.
    pub state: MetricState,
    /// What the state rests on where the other columns do not say it, for example `12 of 20 samples`.
    pub detail: Option<String>,
    /// The value of stable that the difference is from, with its unit; left out as `numbers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<String>,
    /// That of the canary, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
    /// Canary minus stable, with its unit; `unknown so far` where the samples do not tell.
    pub difference: Option<String>,
    /// Its confidence interval in the same unit, as far as the values can be: no time is below zero. Left out where it
    /// excludes nothing, or where the difference contradicts the state, which rests on other statistics.
    pub interval: Option<String>,
    /// The margin that the state rests on, by its name in the settings and in the same unit: `tolerated +5.67 %`.
    pub margin: Option<String>,
    /// The margin beyond which it fails, likewise.
    pub harm_margin: Option<String>,
    /// The margin within which it passes, likewise: `accepted +12 %`.
    pub pass_margin: Option<String>,
    /// The same in numbers; left out where the health check has found the difference, or there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
    /// The probability that it is worse than the harm margin, given a prior; it decides nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability_worse: Option<f64>,
    /// How much worse than stable it is on average, where better counts as 0, with its unit; given the prior too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_loss: Option<String>,
    /// Samples of the canary.
    pub canary_samples: u64,
    /// Samples of stable.
    pub stable_samples: u64,
}

impl Numbers {
    fn new(
        metric: &Metric,
        evidence: &MetricEvidence,
        margins: &Margins,
        (effect, interval): (f64, Option<[f64; 2]>),
    ) -> Numbers {
        let counts = &evidence.samples;
        let stable = match metric.source.properties().monitor {
            MonitorKind::Failures => {
                (counts.stable > 0).then(|| counts.stable_failures as f64 / counts.stable as f64)
            }
            MonitorKind::Quantile(_)
            | MonitorKind::Pairs
            | MonitorKind::Averages
            | MonitorKind::Shift
            | MonitorKind::Values(_) => evidence.stable_mean,
        };
        let Margins { accepted, harmful, .. } = *margins;
        let possible = |difference: f64| sentences::clipped(metric, evidence, difference);
        let (effect, interval) = (possible(effect), interval.map(|ends| ends.map(possible)));
        Numbers { stable, effect, interval, accepted, harmful, harm: metric.harm }
    }
}

/// Stands for a difference that the samples do not tell.
const UNKNOWN: &str = "unknown so far";

/// What else is known of a metric.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known<'a> {
    /// Its forecast.
    pub(super) forecast: Option<&'a MetricForecast>,
    /// Its Bayesian reading.
    pub(super) reading: Option<&'a Reading>,
    /// Whether both versions get requests.
    pub(super) is_compared: bool,
    /// What the health check finds harmful in it.
    pub(super) harm: Option<&'a HarmAtOneLook>,
    /// Whether the health check finds a difference in it that may be harm or chance.
    pub(super) may_be_harm: bool,
    /// Whether a person may promote on what is known of it.
    pub(super) is_enough: bool,
    /// Whether a person has accepted a shift of the scores.
    pub(super) shift_accepted: bool,
}

/// What is concluded of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricState {
    /// Shown to stay within what is accepted.
    Pass,
    /// Shown to be worse than tolerated.
    Fail,
    /// Shown to differ by more than tolerated, short of harm.
    Shifted,
    /// More data will tell.
    Waiting,
    /// Between pass and fail, and the present effect leads to neither.
    Inconclusive,
    /// Between pass and fail, and enough for a promotion by hand.
    NoHarm,
    /// No data, and none is required.
    Off,
}

/// The rows in the order in which people look for them: failing ones first, then guardrails, last what is off.
pub fn by_urgency(rows: &[MetricRow]) -> Vec<&MetricRow> {
    let mut rows: Vec<&MetricRow> = rows.iter().collect();
    rows.sort_by_key(|row| match (row.state, row.role) {
        (MetricState::Fail, _) => 0,
        (MetricState::Off, _) => 4,
        (_, Role::Guardrail) => 1,
        (_, Role::Signal) => 2,
        (_, Role::Advisory) => 3,
    });
    rows
}

impl MetricRow {
    /// The row of a metric with this evidence.
    pub(super) fn new(metric: &Metric, evidence: &MetricEvidence, known: Known<'_>) -> MetricRow {
        let row = MetricRow::without_class(metric, evidence, known);
        let Some(class) = &evidence.class else { return row };
        let detail = match row.detail {
            Some(detail) => format!("class {}: {detail}", quoted(class)),
            None => format!("class {}", quoted(class)),
        };
        MetricRow { detail: Some(detail), ..row }
    }

    fn without_class(metric: &Metric, evidence: &MetricEvidence, known: Known<'_>) -> MetricRow {
        let (evidence, margins) = &shown(metric, evidence);
        let counts = &evidence.samples;
        let (state, detail) = state(metric, evidence, known);
        let row = MetricRow {
            metric: metric.name.to_string(),
            role: metric.role,
            required: metric.required,
            state,
            detail,
            stable: None,
            canary: None,
            difference: None,
            interval: None,
            margin: None,
            harm_margin: None,
            pass_margin: None,
            numbers: None,
            probability_worse: known.reading.map(|it| it.probability_worse),
            expected_loss: known.reading.map(|it| {
                let loss = it.expected_loss;
                Comparison::new(metric, evidence, loss, None, 0.0).difference
            }),
            canary_samples: counts.canary,
            stable_samples: counts.stable,
        };
        if let (Some(harm), true) = (known.harm, evidence.classification != Classification::Fail) {
            let numbers = harm.difference.zip(harm.margin);
            // The health check compares with the plain mean.
            let stable_mean = harm.stable_mean.or(evidence.stable_mean);
            let evidence = &MetricEvidence { stable_mean, ..evidence.clone() };
            let it = numbers
                .map(|(effect, margin)| Comparison::new(metric, evidence, effect, None, margin));
            let (difference, margin) = it.map(|it| (it.difference, it.margin)).unzip();
            let margin = margin.map(|margin| format!("{} {margin}", metric.harm_margin_name()));
            let means = harm.stable_mean.zip(harm.difference);
            let value = |value: f64| value_in_words(metric, value);
            let values = means.map(|(stable, effect)| (value(stable), value(stable + effect)));
            let (stable, canary) = values.unzip();
            return MetricRow { stable, canary, difference, margin, ..row };
        }
        let Some(effect) = evidence.effect else { return row };
        let named = |name: &str, margin: f64| {
            let it = Comparison::new(metric, evidence, effect, None, margin);
            format!("{name} {}", it.margin)
        };
        let harm_margin = named(metric.harm_margin_name(), margins.harmful);
        let pass_margin = named("accepted", margins.accepted);
        let margin = match state {
            MetricState::Fail => harm_margin.clone(),
            MetricState::Shifted => named("tolerated", margins.tolerated),
            MetricState::Pass
            | MetricState::Waiting
            | MetricState::Inconclusive
            | MetricState::NoHarm
            | MetricState::Off => pass_margin.clone(),
        };
        let row =
            MetricRow { harm_margin: Some(harm_margin), pass_margin: Some(pass_margin), ..row };
        let is_by_visits = evidence.by_visits.is_some();
        let agrees = margins.agree(metric.harm, evidence, effect);
        if state == MetricState::Fail && !agrees && metric.harmful.is_some() && !is_by_visits {
            return MetricRow { detail: sentences::beyond_the_mean(evidence), ..row };
        }
        if state == MetricState::Pass && !agrees {
            // A mean difference beyond the margin would contradict the pass.
            let basis = match (metric.source.properties().monitor, metric.test) {
                _ if is_by_visits => "by earlier visits of keys",
                (MonitorKind::Quantile(_), _) => "by the requests above stable's",
                (_, Test::Rank) => "by ranks",
                _ => "without outliers",
            };
            return MetricRow { detail: Some(basis.to_owned()), ..row };
        }
        let interval = evidence.interval;
        let interval = interval.and_then(|it| margins.interval(metric.harm, evidence, effect, it));
        let it = Comparison::new(metric, evidence, effect, interval, margins.accepted);
        let numbers = Numbers::new(metric, evidence, margins, (effect, interval));
        let value = |value: f64| value_in_words(metric, value);
        // An uncertain difference may be larger than the value, and no time is below zero.
        let is_possible = numbers.effect == effect;
        let excludes_nothing = interval.is_some_and(|[low, _]| {
            let is_cut = numbers.interval.is_some_and(|[least, _]| least > low);
            Multiples::of(&numbers).is_some_and(|it| it.excludes_nothing(is_cut))
        });
        MetricRow {
            stable: numbers.stable.map(value),
            canary: numbers.stable.filter(|_| is_possible).map(|it| value(it + effect)),
            difference: Some(match is_possible && !excludes_nothing {
                true => it.difference,
                false => UNKNOWN.to_owned(),
            }),
            interval: it.interval.filter(|_| !excludes_nothing),
            numbers: Some(numbers),
            margin: Some(margin),
            ..row
        }
    }

    /// Whether the difference is known; otherwise its estimate is not shown.
    pub fn is_known(&self) -> bool {
        self.difference.as_deref() != Some(UNKNOWN)
    }

    /// Whether the rollout waits for this metric.
    pub fn is_open(&self) -> bool {
        self.role == Role::Guardrail
            && self.required
            && matches!(self.state, MetricState::Waiting | MetricState::Inconclusive)
    }
}

/// A value of this metric with its unit.
fn value_in_words(metric: &Metric, value: f64) -> String {
    match metric.source.properties().unit {
        Unit::Seconds => duration(value),
        Unit::Share => share(value.max(0.0)),
        Unit::Number | Unit::Probability => number(three_digits(value)),
    }
}

fn state(
    metric: &Metric,
    evidence: &MetricEvidence,
    known: Known<'_>,
) -> (MetricState, Option<String>) {
    let Known { forecast, is_compared, harm, may_be_harm, is_enough, shift_accepted, .. } = known;
    let counts = &evidence.samples;
    match evidence.classification {
        Classification::Fail => (MetricState::Fail, None),
        _ if harm.is_some() => (MetricState::Fail, harm.and_then(|harm| harm.detail.clone())),
        _ if evidence.is_shifted => {
            (MetricState::Shifted, shift_accepted.then(|| "accepted".to_owned()))
        }
        Classification::Pass => (MetricState::Pass, None),
        _ if may_be_harm => (MetricState::Waiting, Some("harm or chance".to_owned())),
        Classification::Inconclusive if is_enough => (MetricState::NoHarm, None),
        Classification::Insufficient if is_enough && metric.source.is_of_requests() => {
            (MetricState::NoHarm, None)
        }
        Classification::Inconclusive => match forecast.map(|it| it.outcome) {
            // Observations come with the time, which the forecast does not know.
            Some(Outcome::None) if metric.source != Source::Prometheus => {
                (MetricState::Inconclusive, None)
            }
            Some(Outcome::Pass | Outcome::Fail | Outcome::None) | None => {
                (MetricState::Waiting, None)
            }
        },
        Classification::Insufficient if counts.canary == 0 => {
            let missing = match metric.source.properties().origin {
                Origin::Labels => Some("no labels"),
                Origin::Recorded => Some("nothing recorded"),
                Origin::Queried => Some("no data from Prometheus"),
                Origin::Requests if !is_compared => Some("no traffic to compare"),
                Origin::Requests | Origin::Shadow => None,
            };
            match missing {
                Some(missing)
                    if metric.role == Role::Guardrail && metric.required && is_compared =>
                {
                    (MetricState::Waiting, Some(missing.to_owned()))
                }
                Some(missing) => (MetricState::Off, Some(missing.to_owned())),
                None => {
                    (MetricState::Waiting, Some(format!("0 of {} samples", metric.min_samples)))
                }
            }
        }
        Classification::Insufficient => {
            let lacking = match counts.fewest() {
                seen if seen < metric.min_samples => {
                    format!("{seen} of {} samples", metric.min_samples)
                }
                _ => match evidence.awaited_samples {
                    Some(further) => format!("at most {}", count(further, "more request")),
                    None => sentences::NOTHING_COMPARED.to_owned(),
                },
            };
            (MetricState::Waiting, Some(lacking))
        }
    }
}
