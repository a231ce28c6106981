//! Metric sources: where values come from, and all that distinguishes one source from another.
//!
//! Each source is one [`Properties`] in this file. Policy, monitors, sentences, report and forecast read them and
//! do not match on the source; only the monitor does, to find the values of a tick
//! (`judge::monitors::metric`).

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::health::GROSS_SHIFT;
use super::health::HealthPolicy;
use crate::stats::Harm;
use crate::stats::Layout;
use crate::stats::Margin;
use crate::stats::sequential::Test;

pub use super::properties::Direction;
pub use super::properties::History;
pub use super::properties::MarginKind;
pub use super::properties::MonitorKind;
pub use super::properties::Origin;
pub use super::properties::Properties;
pub use super::properties::Role;
pub use super::properties::Unit;

/// What the versions of a rollout answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outputs {
    /// The probability of one of two classes.
    #[default]
    Probability,
    /// A probability for each class.
    Probabilities {
        /// The names of the classes, in order.
        classes: Vec<String>,
    },
    /// A number of any size.
    Score,
}

impl Outputs {
    /// Whether it is one probability.
    pub fn is_probability(&self) -> bool {
        *self == Outputs::Probability
    }

    /// The names of many classes.
    pub fn classes(&self) -> &[String] {
        match self {
            Outputs::Probabilities { classes } => classes,
            Outputs::Probability | Outputs::Score => &[],
        }
    }
}

/// Where the values of a metric come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Seconds per request, divided by its rows.
    Latency,
    /// The same: its 95th percentile.
    LatencyP95,
    /// The same: its 99th percentile.
    LatencyP99,
    /// The same: the share of answered requests that took longer than a given time.
    LatencyAbove,
    /// Whether a request was answered.
    Failures,
    /// The predicted probability: the mean over the rows of a request.
    Score,
    /// Values that clients record under the metric's name.
    Recorded,
    /// Values of a query that Prometheus answers: one of each track at a time.
    Prometheus,
    /// Logarithmic loss of labelled predictions, in nats.
    LogLoss,
    /// Brier score of labelled predictions.
    Brier,
    /// Squared error of labelled scores.
    SquaredError,
    /// Absolute error of labelled scores.
    AbsoluteError,
    /// Shadow: the canary's probability minus stable's for the same request.
    ShadowScore,
    /// Shadow: the share of a request's rows whose label differs.
    ShadowFlips,
    /// Shadow: whether the canary failed a request that stable had answered.
    ShadowFailures,
    /// Shadow: seconds that each version took for the same request, divided by its rows.
    ShadowLatency,
}

/// An accepted slowdown as a share of stable's latency: wide enough for an equal canary to pass within minutes.
const ACCEPTED_SLOWDOWN: f64 = 0.10;

/// The slowdown that users do not notice, and the accepted one. A canary between the two can end as either, and
/// harm has precedence.
fn slowdown(health: &HealthPolicy) -> [Margin; 2] {
    let (relative, absolute) = (health.relative_margin, health.absolute_margin_seconds);
    let accepted = Margin { relative: ACCEPTED_SLOWDOWN.max(relative), absolute: 2.0 * absolute };
    [Margin { relative, absolute }, accepted]
}

/// A mean up to 10 % worse counts as not worse.
fn loss(_: &HealthPolicy) -> [Margin; 2] {
    [Margin::default(), Margin::relative(0.10)]
}

const LATENCY: Properties = Properties {
    name: "latency",
    origin: Origin::Requests,
    monitor: MonitorKind::Values(Layout::Seconds),
    history: History::Latency,
    unit: Unit::Seconds,
    margin: MarginKind::OfMean,
    harm: Direction::Usual(Harm::Higher),
    role: Role::Guardrail,
    test: Test::Combined,
    margins: slowdown,
    harmful: None,
    decidable_after: None,
};

/// The slower tail that users do not notice, and the accepted one. An exceedance of stable's p99 is rare, so a narrow
/// margin takes long to prove: half as much again takes an equal canary about as many requests as 10 % of the mean
/// (docs/statistics.md), and a doubled p99 is beyond it.
fn slower_tail(health: &HealthPolicy) -> [Margin; 2] {
    let [tolerated, accepted] = slowdown(health);
    [
        Margin { relative: tolerated.relative.max(0.20), ..tolerated },
        Margin { relative: accepted.relative.max(0.50), ..accepted },
    ]
}

/// A signal: one request in a hundred says little of the rest, so a person decides.
const LATENCY_P99: Properties = Properties {
    name: "latency_p99",
    monitor: MonitorKind::Quantile(0.99),
    harm: Direction::Fixed(Harm::Higher),
    role: Role::Signal,
    margins: slower_tail,
    // An equal canary whose latencies are lognormal with a standard deviation equal to the mean is proven within 1,630 of
    // its requests in 90 % of the cases and within 1,910 in 95 % at a share of 10 %, within 3,000 and 3,550 at 50 %.
    decidable_after: Some(1800),
    ..LATENCY
};

const LATENCY_P95: Properties = Properties {
    name: "latency_p95",
    monitor: MonitorKind::Quantile(0.95),
    // The same within 470 and 550, 850 and 1,000.
    decidable_after: Some(500),
    ..LATENCY_P99
};

/// A slowdown of 5 %, which is tolerated of latency, lets 17 % more requests exceed the time that one in a hundred of
/// such latencies exceeds.
const LATENCY_ABOVE: Properties = Properties {
    name: "latency_above",
    harm: Direction::Fixed(Harm::Higher),
    margins: |health| [Margin::relative(0.20), Margin::absolute(health.failure_margin)],
    ..FAILURES
};

const FAILURES: Properties = Properties {
    name: "failures",
    origin: Origin::Requests,
    monitor: MonitorKind::Failures,
    history: History::None,
    unit: Unit::Share,
    margin: MarginKind::OfFailureRate,
    harm: Direction::Fixed(Harm::Higher),
    role: Role::Guardrail,
    test: Test::Combined,
    margins: |health| [Margin::default(), Margin::absolute(health.failure_margin)],
    harmful: None,
    decidable_after: None,
};

/// A shift beyond this may be meant, so a person decides. One row asked again and again has no spread, and two
/// models of the same data differ by less than 0.05 on it.
const TOLERATED_SHIFT: Margin = Margin { relative: 0.2, absolute: 0.05 };

/// Two models trained on two samples of the same data differ in 2 to 8 % of the labels.
const TOLERATED_FLIPS: Margin = Margin::absolute(0.10);
const GROSS_FLIPS: Margin = Margin::absolute(0.20);

/// A model on inverted labels, on another month's scale or with constant scores is as fast as any other, and does
/// not fail.
const SCORE: Properties = Properties {
    name: "score",
    origin: Origin::Requests,
    monitor: MonitorKind::Shift,
    history: History::Score,
    unit: Unit::Probability,
    margin: MarginKind::OfSpread,
    harm: Direction::Usual(Harm::Either),
    role: Role::Guardrail,
    test: Test::Combined,
    margins: |_| [TOLERATED_SHIFT, GROSS_SHIFT],
    harmful: Some(GROSS_SHIFT),
    decidable_after: None,
};

const RECORDED: Properties = Properties {
    name: "recorded",
    origin: Origin::Recorded,
    monitor: MonitorKind::Values(Layout::Any),
    history: History::None,
    unit: Unit::Number,
    margin: MarginKind::OfMean,
    harm: Direction::Given,
    role: Role::Signal,
    test: Test::Combined,
    margins: loss,
    harmful: None,
    decidable_after: None,
};

/// A value is a mean, a rate or a quantile of many requests, so the values of one moment are one draw.
const PROMETHEUS: Properties = Properties {
    name: "prometheus",
    origin: Origin::Queried,
    monitor: MonitorKind::Averages,
    ..RECORDED
};

/// Judged by the mean: a model that is more confident has other ranks and tails, and may be better for it. The
/// buckets are those of durations, which distinguish losses that differ by 0.8 %, from 1e-9 to 1,000.
const LOG_LOSS: Properties = Properties {
    name: "log_loss",
    origin: Origin::Labels,
    monitor: MonitorKind::Values(Layout::Seconds),
    harm: Direction::Fixed(Harm::Higher),
    role: Role::Guardrail,
    test: Test::Mean,
    ..RECORDED
};

const BRIER: Properties = Properties {
    name: "brier",
    monitor: MonitorKind::Values(Layout::UnitInterval),
    role: Role::Signal,
    ..LOG_LOSS
};

/// The mean of squares is that of the RMSE. One large error counts for many small ones, so the capped mean is judged.
const SQUARED_ERROR: Properties =
    Properties { name: "squared_error", monitor: MonitorKind::Values(Layout::Any), ..LOG_LOSS };

const ABSOLUTE_ERROR: Properties =
    Properties { name: "absolute_error", role: Role::Signal, ..SQUARED_ERROR };

const SHADOW_SCORE: Properties = Properties {
    name: "shadow_score",
    origin: Origin::Shadow,
    monitor: MonitorKind::Pairs,
    ..SCORE
};

const SHADOW_FLIPS: Properties = Properties {
    name: "shadow_flips",
    unit: Unit::Share,
    margin: MarginKind::Absolute,
    harm: Direction::Fixed(Harm::Higher),
    margins: |_| [TOLERATED_FLIPS, GROSS_FLIPS],
    harmful: Some(GROSS_FLIPS),
    ..SHADOW_SCORE
};

const SHADOW_FAILURES: Properties = Properties {
    name: "shadow_failures",
    margins: |health| {
        let tolerated = health.failure_margin;
        // Twice as many, and less than all of them.
        let accepted = (2.0 * tolerated).min(0.5 * (1.0 + tolerated));
        [Margin::absolute(tolerated), Margin::absolute(accepted)]
    },
    harmful: None,
    ..SHADOW_FLIPS
};

/// Advisory: in shadow the canary answers under other conditions than stable.
const SHADOW_LATENCY: Properties = Properties {
    name: "shadow_latency",
    origin: Origin::Shadow,
    history: History::None,
    harm: Direction::Fixed(Harm::Higher),
    role: Role::Advisory,
    ..LATENCY
};

impl Source {
    /// All sources, in the order in which they are shown.
    pub const ALL: [Source; 16] = [
        Source::Latency,
        Source::LatencyP95,
        Source::LatencyP99,
        Source::LatencyAbove,
        Source::Failures,
        Source::Score,
        Source::Recorded,
        Source::Prometheus,
        Source::LogLoss,
        Source::Brier,
        Source::SquaredError,
        Source::AbsoluteError,
        Source::ShadowScore,
        Source::ShadowFlips,
        Source::ShadowFailures,
        Source::ShadowLatency,
    ];

    /// Its properties.
    pub const fn properties(self) -> &'static Properties {
        match self {
            Source::Latency => &LATENCY,
            Source::LatencyP95 => &LATENCY_P95,
            Source::LatencyP99 => &LATENCY_P99,
            Source::LatencyAbove => &LATENCY_ABOVE,
            Source::Failures => &FAILURES,
            Source::Score => &SCORE,
            Source::Recorded => &RECORDED,
            Source::Prometheus => &PROMETHEUS,
            Source::LogLoss => &LOG_LOSS,
            Source::Brier => &BRIER,
            Source::SquaredError => &SQUARED_ERROR,
            Source::AbsoluteError => &ABSOLUTE_ERROR,
            Source::ShadowScore => &SHADOW_SCORE,
            Source::ShadowFlips => &SHADOW_FLIPS,
            Source::ShadowFailures => &SHADOW_FAILURES,
            Source::ShadowLatency => &SHADOW_LATENCY,
        }
    }

    /// The source of a metric of this name, unless a policy names the source.
    pub fn of(name: &str) -> Source {
        let named = |source: &Source| source.properties().name == name;
        Source::ALL.into_iter().find(named).unwrap_or(Source::Recorded)
    }

    /// The sources of this origin.
    pub fn from_origin(origin: Origin) -> impl Iterator<Item = Source> {
        Source::ALL.into_iter().filter(move |source| source.properties().origin == origin)
    }

    /// Whether serin observes it at each request.
    pub fn is_of_requests(self) -> bool {
        self.properties().origin == Origin::Requests
    }

    /// Whether its values come from outside: clients record them, or Prometheus is asked.
    pub fn is_from_outside(self) -> bool {
        matches!(self.properties().origin, Origin::Recorded | Origin::Queried)
    }

    /// Whether it needs labels.
    pub fn is_of_labels(self) -> bool {
        self.properties().origin == Origin::Labels
    }

    /// Whether it has values where the versions answer this.
    pub fn is_of(self, outputs: &Outputs) -> bool {
        match self {
            Source::LogLoss | Source::Brier | Source::ShadowFlips => *outputs != Outputs::Score,
            Source::SquaredError | Source::AbsoluteError => *outputs == Outputs::Score,
            Source::Latency
            | Source::LatencyP95
            | Source::LatencyP99
            | Source::LatencyAbove
            | Source::Failures
            | Source::Score
            | Source::Recorded
            | Source::Prometheus
            | Source::ShadowScore
            | Source::ShadowFailures
            | Source::ShadowLatency => true,
        }
    }

    /// Whether it is of the latency's tail.
    pub fn is_tail(self) -> bool {
        matches!(self, Source::LatencyP95 | Source::LatencyP99 | Source::LatencyAbove)
    }

    /// Whether a track can have noise of its own in it that lasts longer than a request.
    pub fn has_own_noise(self) -> bool {
        self.is_tail() || matches!(self, Source::Latency | Source::Failures | Source::Recorded)
    }

    /// Whether it compares the scores of the two versions.
    pub fn is_of_scores(self) -> bool {
        self.properties().harmful.is_some()
    }

    /// Whether its values are shares of a request's rows or requests, whatever the models answer.
    pub fn has_share_of_rows(self) -> bool {
        self.properties().margin == MarginKind::Absolute
    }

    /// Whether its values are pairs of a shadow.
    pub fn is_shadow(self) -> bool {
        self.properties().origin == Origin::Shadow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_found_by_its_name_and_serialized_under_it() {
        for source in Source::ALL {
            let name = source.properties().name;
            assert_eq!(Source::of(name), source);
            assert_eq!(serde_json::to_value(source).unwrap(), name);
        }
        assert_eq!(Source::of("revenue"), Source::Recorded);
    }
}
