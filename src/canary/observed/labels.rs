//! Labels of a rollout: the quality of each track for display, and its losses for the judge.
//!
//! A label counts with the weight at the time of its prediction, however late it arrives, so losses are kept
//! by weight until the judge takes them.

use serde::Deserialize;
use serde::Serialize;

use super::gaps::Buckets;
use super::gaps::Gaps;
use super::gaps::Seconds;
use super::gaps::UnitInterval;
use crate::canary::traffic::prediction_id::Attribution;
use crate::canary::traffic::prediction_id::PredictionId;
use crate::canary::traffic::track::Track;
use crate::canary::traffic::weight::Weight;
use crate::stats::Quality;
use crate::stats::brier;
use crate::stats::log_loss;

/// Labels of one rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// Quality of stable.
    pub stable: Quality,
    /// Quality of the canary.
    pub canary: Quality,
    /// Labels that count for neither track.
    pub excluded: u64,
    /// Losses that the judge has not taken yet, by ascending weight.
    pub waiting: Vec<LossIncrement>,
}

/// Losses of predictions made at one weight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossIncrement {
    /// The canary's share of traffic when the predictions were made.
    pub weight: Weight,
    /// Stable.
    pub stable: TrackLosses,
    /// The canary.
    pub canary: TrackLosses,
}

/// Losses of one track with their counts; each is the middle of its bucket, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackLosses {
    /// Logarithmic losses, in nats. The buckets of durations have a relative error of at most 0.4 % from 1e-9 to 1,000.
    #[serde(with = "Gaps::<Seconds>")]
    pub log_loss: Vec<(f64, u64)>,
    /// Brier scores.
    #[serde(with = "Gaps::<UnitInterval>")]
    pub brier: Vec<(f64, u64)>,
}

impl Labels {
    /// The quality of a track.
    pub fn of(&self, track: Track) -> &Quality {
        match track {
            Track::Stable => &self.stable,
            Track::Canary => &self.canary,
        }
    }

    /// Takes in a label; whether it counts for a track. Its loss waits for the judge if `is_judged` and the
    /// prediction's track was assigned at random.
    pub fn record(&mut self, id: &PredictionId, outcome: bool, is_judged: bool) -> bool {
        let score = f64::from(id.score);
        match id.attribution {
            Attribution::Excluded => {
                self.excluded = self.excluded.saturating_add(1);
                return false;
            }
            Attribution::Judged | Attribution::Reported => {}
        }
        let quality = match id.track {
            Track::Stable => &mut self.stable,
            Track::Canary => &mut self.canary,
        };
        quality.record(score, outcome);
        if is_judged && id.attribution == Attribution::Judged && !id.weight.is_certain() {
            let losses = self.waiting_at(id.weight).of_mut(id.track);
            add::<Seconds>(&mut losses.log_loss, log_loss(score, outcome));
            add::<UnitInterval>(&mut losses.brier, brier(score, outcome));
        }
        true
    }

    /// Whether its buckets are those of the current layout.
    pub fn is_sound(&self) -> bool {
        self.stable.is_sound() && self.canary.is_sound()
    }

    fn waiting_at(&mut self, weight: Weight) -> &mut LossIncrement {
        let place = self.waiting.partition_point(|one| one.weight < weight);
        if self.waiting.get(place).is_none_or(|one| one.weight != weight) {
            self.waiting.insert(place, LossIncrement { weight, ..LossIncrement::default() });
        }
        &mut self.waiting[place]
    }
}

impl LossIncrement {
    fn of_mut(&mut self, track: Track) -> &mut TrackLosses {
        match track {
            Track::Stable => &mut self.stable,
            Track::Canary => &mut self.canary,
        }
    }
}

/// Adds a value to ascending middles of buckets.
fn add<L: Buckets>(values: &mut Vec<(f64, u64)>, value: f64) {
    let middle = L::LAYOUT.value(L::LAYOUT.bucket(value));
    let place = values.partition_point(|(other, _)| *other < middle);
    match values.get_mut(place).filter(|(other, _)| *other == middle) {
        Some((_, count)) => *count = count.saturating_add(1),
        None => values.insert(place, (middle, 1)),
    }
}

#[cfg(test)]
mod tests {
    use rand_xoshiro::SplitMix64;
    use rand_xoshiro::rand_core::Rng as _;
    use rand_xoshiro::rand_core::SeedableRng as _;

    use super::*;
    use crate::canary::judge::monitors::Monitors;
    use crate::canary::observed::increment::Increment;
    use crate::canary::policy::health::HealthPolicy;
    use crate::canary::policy::judge_policy::JudgePolicy;

    /// Labels that arrive up to 40 ticks late, over two changes of weight, judged at each tick. `wrong` is the
    /// share of the canary's predictions that are inverted. Whether log-loss and Brier score ever fail.
    fn fails(seed: u64, wrong: f64) -> [bool; 2] {
        let mut random = SplitMix64::seed_from_u64(seed);
        let mut uniform = || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let metrics = "[[metrics]]\nname = \"log_loss\"\n[[metrics]]\nname = \"brier\"";
        let metrics = toml::from_str(metrics).unwrap();
        let mut policy = JudgePolicy::new(&HealthPolicy::default(), &metrics).unwrap();
        // The default metrics would see no data and only take time.
        policy.metrics.drain(..3);
        let mut monitors = Monitors::new(&policy, &Default::default());
        let mut due: Vec<Vec<(PredictionId, bool)>> = vec![Vec::new(); 140];
        let mut labels = Labels::default();
        for tick in 0..100 {
            let share = [1000, 2500, 5000][tick / 34];
            for _ in 0..30 {
                let is_canary = uniform() < f64::from(share) / 10_000.0;
                let track = if is_canary { Track::Canary } else { Track::Stable };
                let score = uniform();
                let is_inverted = is_canary && uniform() < wrong;
                let outcome = (uniform() < score) != is_inverted;
                let mut one = id(share, track, Attribution::Judged);
                one.score = score as f32;
                due[tick + (uniform() * 40.0) as usize].push((one, outcome));
            }
        }
        for now in due {
            for (id, outcome) in now {
                labels.record(&id, outcome, true);
            }
            let losses = std::mem::take(&mut labels.waiting);
            monitors.tick(&Increment { losses, ..Increment::default() });
        }
        let measured = monitors.measured();
        [0, 1].map(|metric| measured[metric].harm.reached(0.05))
    }

    #[test]
    fn late_labels_over_changes_of_weight_raise_no_more_false_alarms_than_alpha() {
        let mut alarms = [0; 2];
        let mut found = [0; 2];
        for seed in 0..200 {
            for (sum, failed) in alarms.iter_mut().zip(fails(seed, 0.0)) {
                *sum += u32::from(failed);
            }
            if seed < 20 {
                for (sum, failed) in found.iter_mut().zip(fails(seed, 0.5)) {
                    *sum += u32::from(failed);
                }
            }
        }
        // At alpha 0.05 at most 10 of 200 are expected; 19 or more happen by chance once in 200 times.
        assert!(alarms.iter().all(|alarms| *alarms < 19), "{alarms:?} of 200");
        assert!(found.iter().all(|found| *found >= 18), "{found:?} of 20");
    }

    fn id(basis_points: u16, track: Track, attribution: Attribution) -> PredictionId {
        let weight = Weight::from_basis_points(basis_points).unwrap();
        let (rollout, step, second, number, score) = (1, 1, 0, 0, 0.75);
        PredictionId { rollout, step, weight, track, attribution, second, number, score }
    }

    #[test]
    fn a_label_waits_at_the_weight_of_its_prediction() {
        let mut labels = Labels::default();
        for (share, track) in [
            (5000, Track::Canary),
            (1000, Track::Stable),
            (5000, Track::Canary),
            (5000, Track::Stable),
        ] {
            assert!(labels.record(&id(share, track, Attribution::Judged), true, true));
        }
        let shares: Vec<u16> = labels.waiting.iter().map(|it| it.weight.basis_points()).collect();
        assert_eq!(shares, [1000, 5000]);
        let at_half = &labels.waiting[1];
        assert_eq!((at_half.canary.brier[0].1, at_half.stable.log_loss[0].1), (2, 1));
        assert!((at_half.canary.brier[0].0 - 0.0625).abs() < 0.0005);
        assert!((at_half.canary.log_loss[0].0 - 0.2877).abs() < 0.002);
        assert_eq!((labels.stable.count(), labels.canary.count()), (2, 2));
    }

    #[test]
    fn labels_without_random_assignment_are_shown_but_not_judged() {
        let mut labels = Labels::default();
        assert!(labels.record(&id(1000, Track::Canary, Attribution::Reported), true, true));
        assert!(labels.record(&id(10_000, Track::Canary, Attribution::Judged), true, true));
        assert!(labels.record(&id(1000, Track::Canary, Attribution::Judged), false, false));
        assert!(!labels.record(&id(1000, Track::Stable, Attribution::Excluded), true, true));
        assert_eq!((labels.canary.count(), labels.stable.count(), labels.excluded), (3, 0, 1));
        assert!(labels.waiting.is_empty());
    }
}
