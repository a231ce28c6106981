//! Inputs of both tracks: whether the requests with each value of each feature got their share.
//!
//! The split draws the track of a request whatever its inputs, so a difference means that the assignment is broken: a
//! client chose its keys by the version that answered, or a proxy sends some of its traffic to one version. Then the
//! tracks answer different questions, and nothing is promoted on their comparison.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::observed::increment::Increment;
use crate::canary::observed::inputs::BinTable;
use crate::canary::policy::judge_policy::RATIO_ALPHA;
use crate::stats::sequential::CovariateBalance;
use crate::stats::sequential::EProcess;

/// The monitor of the inputs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InputsMonitor {
    table: BinTable,
    balance: CovariateBalance,
    /// Rows of stable and of the canary.
    rows: [u64; 2],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    most: Option<InputDifference>,
}

/// The numbers of the inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InputsMeasured {
    /// Rows of stable, each of a drawn request, the first of its key.
    pub stable: u64,
    /// Rows of the canary.
    pub canary: u64,
    /// Features that are judged.
    pub features: u64,
    /// Features beyond the limit, which are not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u32,
    /// The evidence that the tracks get different inputs.
    pub evidence: EProcess,
    /// The values that differ most, when the evidence was largest; `None` while there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<InputDifference>,
}

/// Values of a feature that one track gets more often, since the share of the canary was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InputDifference {
    /// The feature.
    pub feature: String,
    /// The values in words.
    pub values: String,
    /// Stable's rows with these values.
    pub stable: u64,
    /// Of how many.
    pub stable_rows: u64,
    /// The canary's rows with these values.
    pub canary: u64,
    /// Of how many.
    pub canary_rows: u64,
}

impl InputsMonitor {
    /// Takes in one tick.
    pub(crate) fn tick(&mut self, increment: &Increment) {
        let inputs = &increment.inputs;
        if let Some(table) = inputs.table.as_ref().filter(|table| **table != self.table) {
            self.balance = self.balance.with_bins(table.bins());
            self.table = table.clone();
        }
        if increment.weight.is_certain() || inputs.counts.len() != self.table.bins() {
            return;
        }
        let of_one = self.table.features.first().map_or(0, |one| one.values.len());
        for counts in inputs.counts.iter().take(of_one) {
            for (sum, one) in self.rows.iter_mut().zip(counts) {
                *sum = sum.saturating_add(*one);
            }
        }
        let before = self.balance.evidence().largest();
        self.balance.tick(increment.weight.share(), &inputs.counts);
        if self.balance.evidence().largest() > before {
            self.most = self.strongest();
        }
    }

    /// The bins that it counts in.
    pub(crate) fn table(&self) -> &BinTable {
        &self.table
    }

    /// The numbers to judge by.
    pub(crate) fn measured(&self) -> InputsMeasured {
        let [stable, canary] = self.rows;
        InputsMeasured {
            stable,
            canary,
            features: self.table.features.len() as u64,
            left_out: self.table.left_out,
            evidence: *self.balance.evidence(),
            most: self.most.clone(),
        }
    }

    fn strongest(&self) -> Option<InputDifference> {
        let bin = self.balance.strongest()?;
        let (feature, first) = self.table.feature_of(bin)?;
        let counts = self.balance.counts();
        let [stable, canary] = *counts.get(bin)?;
        let of_feature = counts.iter().skip(first).take(feature.values.len());
        let [stable_rows, canary_rows] = of_feature.fold([0_u64; 2], |[stable, canary], one| {
            [stable.saturating_add(one[0]), canary.saturating_add(one[1])]
        });
        Some(InputDifference {
            feature: feature.feature.clone(),
            values: feature.values.get(bin - first)?.clone(),
            stable,
            stable_rows,
            canary,
            canary_rows,
        })
    }
}

impl InputsMeasured {
    /// Whether the tracks get different inputs. It stays, because the evidence never falls.
    pub fn differ(&self) -> bool {
        self.evidence.reached(RATIO_ALPHA)
    }
}

impl InputDifference {
    /// The share of these values in stable's rows.
    pub fn stable_share(&self) -> f64 {
        self.stable as f64 / self.stable_rows.max(1) as f64
    }

    /// The share of these values in the canary's rows.
    pub fn canary_share(&self) -> f64 {
        self.canary as f64 / self.canary_rows.max(1) as f64
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::canary::observed::inputs::InputBins;
    use crate::canary::observed::inputs::InputsIncrement;
    use crate::canary::traffic::split::Split;
    use crate::canary::traffic::track::Track;
    use crate::canary::traffic::weight::Weight;

    fn table() -> BinTable {
        let of = |feature: &str, values: &[&str]| InputBins {
            feature: feature.to_owned(),
            values: values.iter().map(|it| (*it).to_owned()).collect(),
        };
        let features =
            vec![of("age", &["missing", "below 30", "above 30"]), of("vip", &["0", "1"])];
        BinTable { features, left_out: 0 }
    }

    fn tick(percent: f64, table: Option<BinTable>, counts: &[[u64; 2]]) -> Increment {
        let inputs = InputsIncrement { table, counts: counts.to_vec() };
        let weight = Weight::from_percent(percent).unwrap();
        Increment { weight, inputs, ..Increment::default() }
    }

    #[test]
    fn values_that_one_track_gets_more_often_are_named() {
        let mut monitor = InputsMonitor::default();
        // Without a table nothing is known of the bins.
        monitor.tick(&tick(50.0, None, &[[9, 9]; 5]));
        assert_eq!(monitor, InputsMonitor::default());
        monitor.tick(&tick(50.0, Some(table()), &[[0, 0], [40, 40], [60, 60], [80, 90], [20, 10]]));
        assert!(!monitor.measured().differ());
        monitor.tick(&tick(50.0, None, &[[0, 0], [50, 50], [50, 50], [99, 20], [1, 80]]));
        let measured = monitor.measured();
        assert!(measured.differ(), "{measured:?}");
        assert_eq!((measured.stable, measured.canary, measured.features), (200, 200, 2));
        let most = measured.most.unwrap();
        assert_eq!((most.feature.as_str(), most.values.as_str()), ("vip", "1"));
        assert_eq!(
            [most.stable, most.stable_rows, most.canary, most.canary_rows],
            [21, 200, 90, 200]
        );
        // It stays named at another share, and with other bins.
        monitor.tick(&tick(75.0, None, &[[0, 0], [10, 30], [10, 30], [10, 30], [10, 30]]));
        monitor.tick(&tick(75.0, Some(BinTable { left_out: 3, ..table() }), &[[0, 0]; 5]));
        let later = monitor.measured();
        assert!(later.differ() && later.left_out == 3);
        assert_eq!(later.most.unwrap().values, "1");
    }

    /// The largest evidence at any look, of five features of ten values in requests that serin's split draws.
    fn largest_evidence(percent: f64, salt: u128) -> f64 {
        const REQUESTS: u64 = 2000;
        let split = Split::new(Weight::from_percent(percent).unwrap(), salt, 1);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(salt as u64);
        let values: Vec<String> = (0..10).map(|value| value.to_string()).collect();
        let feature =
            |number: u32| InputBins { feature: number.to_string(), values: values.clone() };
        let table = BinTable { features: (0..5).map(feature).collect(), left_out: 0 };
        let (mut monitor, mut counts) = (InputsMonitor::default(), [[0; 2]; 50]);
        for request in 0..REQUESTS {
            let track = usize::from(split.assign(request) == Track::Canary);
            (0..5).for_each(|it| counts[10 * it + rng.random_range(0..10)][track] += 1);
            // Looks do not keep in step with the strata of 20 or 100 requests.
            if request % 13 == 0 {
                monitor.tick(&tick(percent, Some(table.clone()), &counts));
                counts = [[0; 2]; 50];
            }
        }
        monitor.measured().evidence.largest()
    }

    #[test]
    fn equal_inputs_under_the_split_rarely_look_different_at_any_look() {
        const RUNS: u128 = 100;
        for percent in [1.0, 10.0, 50.0] {
            let largest: Vec<f64> = (0..RUNS).map(|salt| largest_evidence(percent, salt)).collect();
            let reach = |level: f64| largest.iter().filter(|it| **it >= -level.ln()).count();
            // At most 5 of 100; more than 11 have a probability of 0.4 %.
            assert!(reach(0.05) <= 11, "{percent} %: {}", reach(0.05));
            assert_eq!(reach(RATIO_ALPHA), 0, "{percent} %");
        }
    }

    #[test]
    fn without_random_assignment_nothing_is_expected() {
        let mut monitor = InputsMonitor::default();
        (0..100).for_each(|_| monitor.tick(&tick(100.0, Some(table()), &[[0, 1]; 5])));
        let measured = monitor.measured();
        assert_eq!((measured.stable, measured.canary, measured.most), (0, 0, None));
    }
}
