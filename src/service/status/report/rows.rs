//! The metrics of a rollout as rows of a table.

use serde::Serialize;

use crate::canary::Metric;
use crate::canary::judge::forecast::MetricForecast;
use crate::canary::judge::forecast::Outcome;
use crate::canary::judge::verdict::Classification;
use crate::canary::judge::verdict::MetricEvidence;
use crate::canary::policy::metric::Role;
use crate::canary::policy::metric::Source;
use crate::stats::Harm;
use crate::stats::Margin;

/// One metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricRow {
    /// Its name.
    pub metric: String,
    /// What its failure leads to.
    pub role: Role,
    /// The conclusion.
    pub state: MetricState,
    /// What the state rests on where the other columns do not say it, for example `12 of 20 samples`.
    pub detail: Option<String>,
    /// Canary minus stable, with its unit.
    pub difference: Option<String>,
    /// Its confidence interval in the same unit. Left out where it would seem to contradict the state,
    /// which rests on other statistics.
    pub interval: Option<String>,
    /// The margin that the state rests on, in the same unit.
    pub allowed: Option<String>,
    /// Samples of the canary.
    pub canary_samples: u64,
    /// Samples of stable.
    pub stable_samples: u64,
}

/// What is concluded of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricState {
    /// Shown to stay within what is accepted.
    Pass,
    /// Shown to be worse than tolerated.
    Fail,
    /// More data will tell.
    Waiting,
    /// Between pass and fail, and the present effect leads to neither.
    Inconclusive,
    /// No data, and none is required.
    Off,
}

impl MetricState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            MetricState::Pass => "pass",
            MetricState::Fail => "fail",
            MetricState::Waiting => "waiting",
            MetricState::Inconclusive => "inconclusive",
            MetricState::Off => "off",
        }
    }
}

impl MetricRow {
    /// The row of a metric with this evidence. `is_compared`: whether both versions get requests.
    pub(super) fn new(
        metric: &Metric,
        evidence: &MetricEvidence,
        forecast: Option<&MetricForecast>,
        is_compared: bool,
    ) -> MetricRow {
        let counts = &evidence.samples;
        let seen = counts.canary.min(counts.stable);
        let (state, detail) = state(metric, evidence, forecast, is_compared);
        let row = MetricRow {
            metric: metric.name.to_string(),
            role: metric.role,
            state,
            detail,
            difference: None,
            interval: None,
            allowed: None,
            canary_samples: counts.canary,
            stable_samples: counts.stable,
        };
        let (Some(effect), true) = (evidence.effect, seen > 0) else { return row };
        let margins = Margins::new(metric, evidence);
        let margin = if state == MetricState::Fail { margins.tolerated } else { margins.accepted };
        let bounds = evidence.interval.filter(|bounds| margins.agree(metric.harm, state, *bounds));
        let unit = Unit::new(metric, evidence, margin);
        let size = bounds.iter().flatten().chain([&effect]).fold(0.0, |a: f64, b| a.max(b.abs()));
        let decimals = decimals(size / unit.size);
        let signed = |x: f64| format!("{:+.decimals$}", unit.scaled(x));
        let sign = match metric.harm {
            Harm::Higher => "+",
            Harm::Lower => "-",
            Harm::Either => "±",
        };
        let allowed = if margin == 0.0 {
            "0".to_owned()
        } else {
            let value = margin / unit.size;
            format!("{sign}{:.*} {}", decimals_of(value), value, unit.name).trim().to_owned()
        };
        MetricRow {
            difference: Some(format!("{} {}", signed(effect), unit.name).trim().to_owned()),
            interval: bounds.map(|[low, high]| {
                format!("{} .. {} {}", signed(low), signed(high), unit.name).trim().to_owned()
            }),
            allowed: Some(allowed),
            ..row
        }
    }

    /// Whether the rollout waits for this metric.
    pub fn is_open(&self) -> bool {
        self.role == Role::Guardrail
            && matches!(self.state, MetricState::Waiting | MetricState::Inconclusive)
    }
}

fn state(
    metric: &Metric,
    evidence: &MetricEvidence,
    forecast: Option<&MetricForecast>,
    is_compared: bool,
) -> (MetricState, Option<String>) {
    let counts = &evidence.samples;
    match evidence.classification {
        Classification::Pass => (MetricState::Pass, None),
        Classification::Fail => (MetricState::Fail, None),
        Classification::Inconclusive => match forecast.map(|it| it.outcome) {
            Some(Outcome::None) => (MetricState::Inconclusive, None),
            Some(Outcome::Pass | Outcome::Fail) | None => (MetricState::Waiting, None),
        },
        Classification::Insufficient if counts.canary == 0 => {
            let missing = if metric.source.is_of_labels() {
                Some("no labels")
            } else if metric.source == Source::Recorded {
                Some("nothing recorded")
            } else if !metric.source.is_shadow() && !is_compared {
                Some("no traffic to compare")
            } else {
                None
            };
            match missing {
                Some(missing) if metric.role == Role::Guardrail && is_compared => {
                    (MetricState::Waiting, Some(missing.to_owned()))
                }
                Some(missing) => (MetricState::Off, Some(missing.to_owned())),
                None => {
                    (MetricState::Waiting, Some(format!("0 of {} samples", metric.min_samples)))
                }
            }
        }
        Classification::Insufficient => {
            let seen = counts.canary.min(counts.stable);
            (MetricState::Waiting, Some(format!("{seen} of {} samples", metric.min_samples)))
        }
    }
}

/// The margins of a metric in its unit, as differences from stable.
struct Margins {
    tolerated: f64,
    accepted: f64,
}

impl Margins {
    fn new(metric: &Metric, evidence: &MetricEvidence) -> Margins {
        let counts = &evidence.samples;
        let usual = match metric.source {
            Source::Failures => counts.stable_failures as f64 / counts.stable.max(1) as f64,
            Source::ShadowScore => evidence.stable_spread.unwrap_or(0.0),
            Source::Latency
            | Source::Score
            | Source::Recorded
            | Source::LogLoss
            | Source::Brier
            | Source::ShadowFlips
            | Source::ShadowFailures
            | Source::ShadowLatency => evidence.stable_mean.unwrap_or(0.0).abs(),
        };
        let amount = |margin: Margin| margin.relative * usual + margin.absolute;
        Margins { tolerated: amount(metric.tolerated), accepted: amount(metric.accepted) }
    }

    /// Whether a reader who compares the interval with the margins comes to the same state. The interval is
    /// that of the mean; the state rests on e-processes that may be of ranks or clipped values.
    fn agree(&self, harm: Harm, state: MetricState, [low, high]: [f64; 2]) -> bool {
        let (worst, best) = match harm {
            Harm::Higher => (high, low),
            Harm::Lower => (-low, -high),
            Harm::Either => (high.max(-low), low.max(-high)),
        };
        match state {
            MetricState::Pass => worst <= self.accepted,
            MetricState::Fail => best > self.tolerated,
            MetricState::Waiting | MetricState::Inconclusive | MetricState::Off => {
                worst > self.accepted && best <= self.tolerated
            }
        }
    }
}

/// The unit of a row: the same for difference, interval and margin.
struct Unit {
    /// One of it, in the metric's unit.
    size: f64,
    name: &'static str,
    /// The bounds of the metric, in its unit.
    most: f64,
}

impl Unit {
    fn new(metric: &Metric, evidence: &MetricEvidence, margin: f64) -> Unit {
        let plain = |name| Unit { size: 1.0, name, most: f64::INFINITY };
        let effect = evidence.effect.unwrap_or(0.0).abs();
        // Beyond tenfold a percentage is harder to read than the difference.
        let mean = evidence.stable_mean.filter(|mean| *mean > 0.0);
        let mean = mean.filter(|mean| effect.max(margin) < 10.0 * mean);
        match (metric.source, mean) {
            (Source::Failures | Source::ShadowFlips | Source::ShadowFailures, _) => {
                Unit { size: 0.01, name: "pt", most: 1.0 }
            }
            (Source::ShadowScore, _) => match evidence.stable_spread.filter(|sd| *sd > 0.0) {
                Some(spread) => Unit { size: spread, ..plain("sd") },
                None => plain(""),
            },
            (Source::Score, _) => plain(""),
            (_, Some(mean)) => Unit { size: mean / 100.0, ..plain("%") },
            (source, None) if source.is_in_seconds() => match effect.max(margin) {
                s if s >= 1.0 => plain("s"),
                s if s >= 1e-3 => Unit { size: 1e-3, ..plain("ms") },
                s if s >= 1e-6 => Unit { size: 1e-6, ..plain("µs") },
                _ => Unit { size: 1e-9, ..plain("ns") },
            },
            (_, None) => plain(""),
        }
    }

    fn scaled(&self, value: f64) -> f64 {
        value.clamp(-self.most, self.most) / self.size
    }
}

/// Decimals that give three significant digits, four decimals at most.
fn decimals(size: f64) -> usize {
    match size {
        s if s >= 99.95 => 0,
        s if s >= 9.995 => 1,
        s if s >= 0.9995 => 2,
        s if s >= 0.09995 => 3,
        _ => 4,
    }
}

/// The same without zeros at the end: a margin is usually a round number.
fn decimals_of(value: f64) -> usize {
    let most = decimals(value.abs());
    let is_exact = |places: &usize| {
        let unit = 10_f64.powi(*places as i32);
        ((value * unit).round() / unit - value).abs() < 1e-9 * value.abs()
    };
    (0..most).find(is_exact).unwrap_or(most)
}
