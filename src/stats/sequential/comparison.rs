//! Comparison of one function of the values between the tracks.

use serde::Deserialize;
use serde::Serialize;

use super::bets::averages::log_mean_exp;
use super::bets::averages::log_weighted_mean_exp;
use super::bets::betting::Bet;
use super::bets::betting::Stake;
use super::groups::GroupSpread;
use super::groups::GroupValues;
use super::groups::Measured;
use super::recent_spread::RecentSpread;
use super::reference::Feature;
use super::reference::Reference;
use crate::stats::fixed_horizon::margin::Margin;

/// One function of the values, compared between the tracks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Comparison {
    feature: Feature,
    /// Subtracted from the canary's values before they are compared; the sign is that of the shift.
    margin: Margin,
    sign: f64,
    /// Its share of the mean.
    weight: f64,
    bets: Bets,
    tracker: RecentSpread,
    /// The centers of the groups of requests; `None` while there is one group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    groups: Option<Box<GroupSpread>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Bets {
    /// The canary's mean is larger.
    Up(Bet),
    /// The canary's mean is smaller.
    Down(Bet),
    /// One of the two.
    Both(Bet, Bet),
}

impl Comparison {
    /// A bet that the canary's mean of the feature is larger by more than the margin.
    pub(super) fn up(feature: Feature, weight: f64, margin: Margin) -> Self {
        Self::new(feature, Bets::Up(Bet::default()), weight, margin, 1.0)
    }

    /// A bet that it is smaller by more than the margin.
    pub(super) fn down(feature: Feature, weight: f64, margin: Margin) -> Self {
        Self::new(feature, Bets::Down(Bet::default()), weight, margin, -1.0)
    }

    /// A bet that it differs. A margin has two sides here, and each direction grants its own.
    pub(super) fn both(feature: Feature, weight: f64, margin: Margin) -> Vec<Self> {
        if margin == Margin::default() {
            let bets = Bets::Both(Bet::default(), Bet::default());
            vec![Self::new(feature, bets, weight, margin, 1.0)]
        } else {
            let half = weight / 2.0;
            vec![Self::up(feature, half, margin), Self::down(feature, half, margin)]
        }
    }

    /// The same bet with the margin toward higher values (1) or lower ones (-1).
    pub(super) fn granting_toward(self, sign: f64) -> Self {
        Self { sign, ..self }
    }

    /// The same bet, which also finds a difference that begins late.
    pub(super) fn with_fixed_share(mut self) -> Self {
        self.bets = match self.bets {
            Bets::Up(_) => Bets::Up(Bet::with_fixed_share()),
            Bets::Down(_) => Bets::Down(Bet::with_fixed_share()),
            Bets::Both(..) => Bets::Both(Bet::with_fixed_share(), Bet::with_fixed_share()),
        };
        self
    }

    fn new(feature: Feature, bets: Bets, weight: f64, margin: Margin, sign: f64) -> Self {
        let tracker = RecentSpread::default();
        Self { feature, margin, sign, weight, bets, tracker, groups: None }
    }

    pub(super) fn feature(&self) -> Feature {
        self.feature
    }

    pub(super) fn margin(&self) -> Margin {
        self.margin
    }

    pub(super) fn sign(&self) -> f64 {
        self.sign
    }

    pub(super) fn weight(&self) -> f64 {
        self.weight
    }

    /// The signs of the differences that win.
    pub(super) fn directions(&self) -> &'static [f64] {
        match self.bets {
            Bets::Up(_) => &[1.0],
            Bets::Down(_) => &[-1.0],
            Bets::Both(..) => &[1.0, -1.0],
        }
    }

    pub(super) fn log_e(&self) -> f64 {
        match &self.bets {
            Bets::Up(bet) | Bets::Down(bet) => bet.log_e(),
            Bets::Both(up, down) => log_mean_exp(&[up.log_e(), down.log_e()]),
        }
    }

    pub(super) fn tick(
        &mut self,
        reference: &Reference,
        share: f64,
        canary: &[(f64, u64)],
        stable: &[(f64, u64)],
    ) {
        let canary = self.measured(reference, canary, true);
        let stable = self.measured(reference, stable, false);
        if let Some((center, scale)) = self.tracker.center_and_scale(share) {
            let stake = Stake { share, center, scale, lowest_u: 0.0, highest_v: 1.0 };
            let (plain, mirror) = (|x: f64| x, |x: f64| 1.0 - x);
            let up =
                |bet: &mut Bet| bet.tick(&stake, points(&canary, plain), points(&stable, plain));
            let mirrored = Stake { center: mirror(center), ..stake };
            let down = |bet: &mut Bet| {
                bet.tick(&mirrored, points(&canary, mirror), points(&stable, mirror))
            };
            match &mut self.bets {
                Bets::Up(bet) => up(bet),
                Bets::Down(bet) => down(bet),
                Bets::Both(one, other) => {
                    up(one);
                    down(other);
                }
            }
        }
        self.tracker.learn(&canary, &stable);
    }

    /// Takes in a tick with several groups of requests, given by their places.
    pub(super) fn tick_in_groups(
        &mut self,
        reference: &Reference,
        share: f64,
        groups: &[(usize, GroupValues)],
    ) {
        let measured = |(place, values): &(usize, GroupValues)| Measured {
            place: *place,
            canary: self.measured(reference, &values.canary, true),
            stable: self.measured(reference, &values.stable, false),
        };
        let tick: Vec<Measured> = groups.iter().map(measured).collect();
        let begun = || Box::new(GroupSpread::after(&self.tracker));
        let spread = self.groups.get_or_insert_with(begun);
        if let Some(centers) = spread.centers(&self.tracker, share) {
            let [low, high] = centers.ends();
            // Upward, and with 1 - u and 1 - v downward.
            let bet = |bet: &mut Bet, sign: f64| {
                let [canary, stable] = [sign * (1.0 - share), -sign * share];
                let outcomes = tick.iter().flat_map(|one| {
                    let center = centers.of(one.place);
                    let of_canary = points(&one.canary, move |u| canary * (u - center));
                    of_canary.chain(points(&one.stable, move |v| stable * (v - center)))
                });
                let [lowest, highest] =
                    if sign > 0.0 { [low, high] } else { [1.0 - high, 1.0 - low] };
                let worst = ((1.0 - share) * highest).max(share * (1.0 - lowest));
                bet.tick_centered((share, centers.scale, worst), outcomes);
            };
            match &mut self.bets {
                Bets::Up(one) => bet(one, 1.0),
                Bets::Down(one) => bet(one, -1.0),
                Bets::Both(up, down) => {
                    bet(up, 1.0);
                    bet(down, -1.0);
                }
            }
        }
        let all = |of: fn(&Measured) -> &[(f64, u64)]| -> Vec<(f64, u64)> {
            tick.iter().flat_map(|one| of(one).iter().copied()).collect()
        };
        self.tracker.learn(&all(|one| &one.canary), &all(|one| &one.stable));
        spread.learn(&self.tracker, &tick);
    }

    pub(super) fn learn_past(&mut self, reference: &Reference, stable: &[(f64, u64)]) {
        let stable = self.measured(reference, stable, false);
        self.tracker.learn(&[], &stable);
    }

    /// The function of every value; for an indicator only the counts of 0 and 1.
    fn measured(
        &self,
        reference: &Reference,
        values: &[(f64, u64)],
        is_granted: bool,
    ) -> Vec<(f64, u64)> {
        if is_granted && self.margin != Margin::default() {
            let granted = |value| self.margin.unshift(value, self.sign);
            let shifted: Vec<(f64, u64)> = points(values, granted).collect();
            reference.measure_all(self.feature, &shifted)
        } else {
            reference.measure_all(self.feature, values)
        }
    }
}

/// ln of the weighted mean of the e-values; the weights sum to 1.
pub(super) fn log_weighted(comparisons: &[Comparison]) -> f64 {
    let logs: Vec<f64> = comparisons.iter().map(Comparison::log_e).collect();
    log_weighted_mean_exp(&logs, comparisons.iter().map(|one| one.weight))
}

fn points(values: &[(f64, u64)], map: impl Fn(f64) -> f64) -> impl Iterator<Item = (f64, u64)> {
    values.iter().map(move |(value, count)| (map(*value), *count))
}
