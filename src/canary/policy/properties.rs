//! Properties of a metric source: all that distinguishes one source from another.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::health::HealthPolicy;
use crate::stats::Harm;
use crate::stats::Layout;
use crate::stats::Margin;
use crate::stats::sequential::Test;

/// What the harm of a metric leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// The effective samples in which an equal canary is usually proven; a request counts `pi (1 - pi)` at the share pi.
    /// Until then a promotion waits for the proof of a signal; from then on only its harm counts. `None`: a promotion
    /// waits for no proof of a signal.
    pub decidable_after: Option<u64>,
}

/// Who observes the values of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// serin, at each request: in every rollout and in every segment.
    Requests,
    /// Clients, who record them.
    Recorded,
    /// Another service, whose values Prometheus has: serin asks for them.
    Queried,
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
    /// Failed and answered requests of either track; or slow and fast ones.
    Failures,
    /// A quantile of the values of either track.
    Quantile(f64),
    /// Differences of pairs, from -1 to 1.
    Pairs,
    /// An average of each track at the same moments.
    Averages,
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
    /// A share of stable's mean or quantile, and an amount in the unit of the values.
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

impl Role {
    /// Whether harm leads to anything.
    pub fn acts(self) -> bool {
        match self {
            Role::Guardrail | Role::Signal => true,
            Role::Advisory => false,
        }
    }
}
