//! Tests of a monitor: which functions of the values are compared, and with what weight.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::comparison::Comparison;
use super::reference::Feature;
use super::reference::QUANTILES;
use crate::stats::fixed_horizon::margin::Harm;
use crate::stats::fixed_horizon::margin::Margin;

/// The test of a [`Monitor`](super::monitor::Monitor).
///
/// `Combined` finds harm of any kind; the test for one kind finds that kind a little sooner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// A weighted mean of three e-values: the capped value's (5/16), the rank's (8/16) and the tail's
    /// (3/16; where any change is harm, the whole distribution's in place of the tail's).
    #[default]
    Combined,
    /// The value cut to stable's recent p1 to p99: the mean, without its outliers.
    Mean,
    /// Its logarithm, cut likewise: ratios. Where stable has values that are not positive, as `Mean`.
    Log,
    /// The rank among stable's recent values: Mann and Whitney's question.
    Rank,
    /// Values beyond stable's p90, p95 and p99, or below its p10, p5 and p1 where lower is harm:
    /// are there more of them? Where any change is harm, both tails: more or fewer.
    Tail,
    /// Values above nine of stable's quantiles, from p1 to p99: more or fewer? Kolmogorov and
    /// Smirnov's question, which has no direction: any change is harm.
    Distribution,
}

/// The places of the tails' thresholds among `QUANTILES`.
const UPPER_TAIL: [u8; 3] = [6, 7, 8];
const LOWER_TAIL: [u8; 3] = [2, 1, 0];

impl Test {
    /// The bets against "the canary is worse by the margin at most". Their weights sum to 1. They also
    /// find harm that begins late.
    pub(super) fn harm(self, harm: Harm, margin: Margin) -> Vec<Comparison> {
        self.all(harm, margin).into_iter().map(Comparison::with_fixed_share).collect()
    }

    /// The same without finding harm that begins late.
    pub(super) fn all(self, harm: Harm, margin: Margin) -> Vec<Comparison> {
        let one = |feature| toward(harm, feature, 1.0, margin);
        match self {
            Self::Combined => {
                let ends = match harm {
                    Harm::Higher | Harm::Lower => tail(harm, 3.0 / 16.0, margin),
                    Harm::Either => distribution(3.0 / 16.0, margin),
                };
                let mut all = toward(harm, Feature::Capped, 5.0 / 16.0, margin);
                all.extend(toward(harm, Feature::Rank, 8.0 / 16.0, margin));
                all.extend(ends);
                all
            }
            Self::Mean => one(Feature::Capped),
            Self::Log => one(Feature::Log),
            Self::Rank => one(Feature::Rank),
            Self::Tail => tail(harm, 1.0, margin),
            Self::Distribution => distribution(1.0, margin),
        }
    }

    /// The bets against "the canary is worse by the margin at least": every one of them must win. They
    /// do not share: a good quarter of an hour must not outweigh a bad hour before it.
    pub(super) fn acceptance(self, harm: Harm, margin: Margin) -> Vec<Comparison> {
        let feature = match self {
            Self::Log => Feature::Log,
            Self::Combined | Self::Mean | Self::Rank | Self::Tail | Self::Distribution => {
                Feature::Capped
            }
        };
        let not_higher = Comparison::down(feature, 1.0, margin).granting_toward(1.0);
        let not_lower = Comparison::up(feature, 1.0, margin).granting_toward(-1.0);
        match harm {
            Harm::Higher => vec![not_higher],
            Harm::Lower => vec![not_lower],
            Harm::Either => vec![not_higher, not_lower],
        }
    }
}

fn toward(harm: Harm, feature: Feature, weight: f64, margin: Margin) -> Vec<Comparison> {
    match harm {
        Harm::Higher => vec![Comparison::up(feature, weight, margin)],
        Harm::Lower => vec![Comparison::down(feature, weight, margin)],
        Harm::Either => Comparison::both(feature, weight, margin),
    }
}

fn tail(harm: Harm, weight: f64, margin: Margin) -> Vec<Comparison> {
    let third = weight / 3.0;
    let more_above = |k| Comparison::up(Feature::Above(k), third, margin);
    let more_below = |k| Comparison::up(Feature::Below(k), third, margin).granting_toward(-1.0);
    let sixth = |k| Comparison::both(Feature::Above(k), weight / 6.0, margin);
    match harm {
        Harm::Higher => UPPER_TAIL.into_iter().map(more_above).collect(),
        Harm::Lower => LOWER_TAIL.into_iter().map(more_below).collect(),
        Harm::Either => LOWER_TAIL.into_iter().chain(UPPER_TAIL).flat_map(sixth).collect(),
    }
}

fn distribution(weight: f64, margin: Margin) -> Vec<Comparison> {
    let part = weight / QUANTILES.len() as f64;
    (0..QUANTILES.len() as u8)
        .flat_map(|k| Comparison::both(Feature::Above(k), part, margin))
        .collect()
}
