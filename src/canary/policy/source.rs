//! Metric sources: where values come from, and all that distinguishes one source from another.
//!
//! Each source is one [`Properties`] in this file. Policy, monitors, sentences, report and forecast read them and
//! do not match on the source; only the monitor does, to find the values of a tick
//! (`judge::monitors::metric`).

use serde::Deserialize;
use serde::Serialize;

use super::health::GROSS_SHIFT;
use super::health::HealthPolicy;
use crate::stats::Harm;
use crate::stats::Layout;
use crate::stats::Margin;
use crate::stats::sequential::Test;

/// What the versions of a rollout answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Seconds per request, divided by its rows.
    Latency,
    /// Whether a request was answered.
    Failures,
    /// The predicted probability: the mean over the rows of a request.
    Score,
    /// Values that clients record under the metric's name.
    Recorded,
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

/// What the harm of a metric leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Harm rolls back.
    Guardrail,
    /// Harm lowers the score, which holds the rollout.
    Signal,
    /// Harm is reported and decides nothing.
    Advisory,
}

/// The properties of a source.
#[derive(Clone, Copy, Debug)]
pub struct Properties {
    /// The name of the source, and of its metric unless a policy names it otherwise.
    pub name: &'static str,
    /// Who observes the values.
    pub origin: Origin,
    /// What judges them.
    pub monitor: MonitorKind,
    /// What the monitor learns before the first tick.
    pub history: History,
    /// How values are written.
    pub unit: Unit,
    /// What the parts of a margin mean.
    pub margin: MarginKind,
    /// Which difference is harm.
    pub harm: Direction,
    /// The role unless a policy changes it.
    pub role: Role,
    /// The test unless a policy changes it.
    pub test: Test,
    /// The tolerated and the accepted margin unless a policy changes them.
    pub margins: fn(&HealthPolicy) -> [Margin; 2],
    /// A difference beyond this is harm, and one beyond the tolerated margin only holds. `None`: a difference
    /// beyond the tolerated margin is harm.
    pub harmful: Option<Margin>,
}

/// Who observes the values of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// serin, at each request: in every rollout and in every segment.
    Requests,
    /// Clients, who record them.
    Recorded,
    /// Clients, who report the outcomes of predictions.
    Labels,
    /// serin, from pairs: both versions' answers to the same request. Only while the rollout shadows.
    Shadow,
}

/// The sequential monitor of a source.
#[derive(Clone, Copy, Debug)]
pub enum MonitorKind {
    /// Values of either track, in the buckets of a layout.
    Values(Layout),
    /// Values of either track from 0 to 1, whose unit is the spread of stable's.
    Shift,
    /// Failed and answered requests of either track.
    Failures,
    /// Differences of pairs, from -1 to 1.
    Pairs,
}

/// What a monitor learns from stable's requests before the rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// Nothing.
    None,
    /// Stable's latencies.
    Latency,
    /// Stable's scores.
    Score,
}

/// How the values of a source are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// As a duration; a difference in percent of stable's mean.
    Seconds,
    /// As a number; a difference in percent of stable's mean.
    Number,
    /// As a probability; a difference likewise, because a percentage of a probability misleads.
    Probability,
    /// As a share of the requests; a difference in percentage points.
    Share,
}

/// What the relative and the absolute part of a margin mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarginKind {
    /// A share of stable's mean, and an amount in the unit of the values.
    OfMean,
    /// Tolerated is a ratio of the failure rates, accepted a difference of them: neither has the other part.
    OfFailureRate,
    /// Standard deviations of stable's scores, and an amount: the larger of the two.
    OfSpread,
    /// An amount alone.
    Absolute,
}

/// Which difference is harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// This one.
    Fixed(Harm),
    /// This one, unless a policy names another.
    Usual(Harm),
    /// Each policy has to name it.
    Given,
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
    pub const ALL: [Source; 12] = [
        Source::Latency,
        Source::Failures,
        Source::Score,
        Source::Recorded,
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
            Source::Failures => &FAILURES,
            Source::Score => &SCORE,
            Source::Recorded => &RECORDED,
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
            | Source::Failures
            | Source::Score
            | Source::Recorded
            | Source::ShadowScore
            | Source::ShadowFailures
            | Source::ShadowLatency => true,
        }
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

impl Role {
    /// Whether harm leads to anything.
    pub fn acts(self) -> bool {
        match self {
            Role::Guardrail | Role::Signal => true,
            Role::Advisory => false,
        }
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
