//! Which functions of the values are compared, and with what weight?

use serde::Deserialize;
use serde::Serialize;

use super::comparison::Comparison;
use super::frame::Feature;
use super::frame::QUANTILES;
use crate::stats::margin::Harm;
use crate::stats::margin::Margin;

/// What a [`Monitor`](super::Monitor) asks of the values.
///
/// Whoever does not know what the harm will look like asks for all at once; whoever knows finds it
/// a little sooner by asking for that alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// A weighted mean of four e-values: the capped value's (11/32), the rank's (11/32), the head's
    /// (2/32) and the tail's (8/32). The head are the values below stable's p10 and p25, or above its p90 and
    /// p75 where lower is harm: are there fewer of them? Nothing is faster than its fastest path, so a
    /// small slowdown empties that end. Where any change is harm: the capped value's (12/32), the
    /// rank's (12/32) and the whole distribution's (8/32).
    #[default]
    Combined,
    /// The value cut to stable's recent p1 to p99: the mean, without its outliers.
    Mean,
    /// Its logarithm, cut likewise: ratios. Where stable has values that are not positive, as `Mean`.
    Log,
    /// The rank among stable's recent values: Mann and Whitney's question.
    Rank,
    /// Values beyond stable's p90, p95 and p99, or below its p10, p5 and p1 where lower is harm:
    /// are there more of them? Where any change is harm, both ends: more or fewer.
    Tail,
    /// Values above nine of stable's quantiles, from p1 to p99: more or fewer? Kolmogorov and
    /// Smirnov's question, which has no direction: any change is harm.
    Distribution,
}

/// The places among `QUANTILES` of the tails' thresholds and of the heads', which lie on the other side.
const UPPER_TAIL: [u8; 3] = [6, 7, 8];
const LOWER_TAIL: [u8; 3] = [2, 1, 0];
const LOWER_HEAD: [u8; 2] = [2, 3];
const UPPER_HEAD: [u8; 2] = [6, 5];

impl Test {
    /// The bets against "the canary is worse by the margin at most". Their weights sum to 1. They
    /// notice harm that begins late, too.
    pub(super) fn harm(self, harm: Harm, margin: Margin) -> Vec<Comparison> {
        self.all(harm, margin).into_iter().map(Comparison::vigilant).collect()
    }

    fn all(self, harm: Harm, margin: Margin) -> Vec<Comparison> {
        let one = |feature| toward(harm, feature, 1.0, margin);
        match self {
            Self::Combined => {
                let (each, ends) = match harm {
                    Harm::Higher | Harm::Lower => {
                        let mut ends = head(harm, 2.0 / 32.0, margin);
                        ends.extend(tail(harm, 8.0 / 32.0, margin));
                        (11.0 / 32.0, ends)
                    }
                    Harm::Either => (12.0 / 32.0, distribution(8.0 / 32.0, margin)),
                };
                let mut all = toward(harm, Feature::Capped, each, margin);
                all.extend(toward(harm, Feature::Rank, each, margin));
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
    match harm {
        Harm::Higher => more_above(&UPPER_TAIL, weight, margin),
        Harm::Lower => more_below(&LOWER_TAIL, weight, margin),
        Harm::Either => {
            let ends = LOWER_TAIL.into_iter().chain(UPPER_TAIL);
            ends.flat_map(|k| Comparison::both(Feature::Above(k), weight / 6.0, margin)).collect()
        }
    }
}

/// Fewer values at the good end is more beyond it.
fn head(harm: Harm, weight: f64, margin: Margin) -> Vec<Comparison> {
    match harm {
        Harm::Higher => more_above(&LOWER_HEAD, weight, margin),
        Harm::Lower => more_below(&UPPER_HEAD, weight, margin),
        Harm::Either => Vec::new(),
    }
}

fn more_above(thresholds: &[u8], weight: f64, margin: Margin) -> Vec<Comparison> {
    let part = weight / thresholds.len() as f64;
    thresholds.iter().map(|k| Comparison::up(Feature::Above(*k), part, margin)).collect()
}

fn more_below(thresholds: &[u8], weight: f64, margin: Margin) -> Vec<Comparison> {
    let part = weight / thresholds.len() as f64;
    let one = |k: &u8| Comparison::up(Feature::Below(*k), part, margin).granting_toward(-1.0);
    thresholds.iter().map(one).collect()
}

fn distribution(weight: f64, margin: Margin) -> Vec<Comparison> {
    let part = weight / QUANTILES.len() as f64;
    (0..QUANTILES.len() as u8)
        .flat_map(|k| Comparison::both(Feature::Above(k), part, margin))
        .collect()
}
