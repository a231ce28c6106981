//! What do labels say of each track? Its quality, to be shown, and its losses, for the judge.
//!
//! A label belongs to the share that drew its prediction, however late it comes, so losses are kept by
//! share until the judge takes them.

use serde::Deserialize;
use serde::Serialize;

use crate::canary::traffic::prediction_id::Attribution;
use crate::canary::traffic::prediction_id::PredictionId;
use crate::canary::traffic::track::Track;
use crate::canary::traffic::weight::Weight;
use crate::stats::Layout;
use crate::stats::Quality;
use crate::stats::brier;
use crate::stats::log_loss;

/// What the labels of one rollout say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// Of the trusted version.
    pub stable: Quality,
    /// Of the version on trial.
    pub canary: Quality,
    /// Labels that count for neither.
    pub apart: u64,
    /// What the judge has not taken yet, by ascending share.
    pub waiting: Vec<LossIncrement>,
}

/// The losses of predictions that were drawn at one share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossIncrement {
    /// The canary's share of traffic when the predictions were made.
    pub weight: Weight,
    /// Of the trusted version.
    pub stable: TrackLosses,
    /// Of the version on trial.
    pub canary: TrackLosses,
}

/// The losses of one track, ascending, with their counts, each as the middle of its bucket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackLosses {
    /// Logarithmic losses, in nats.
    pub log_loss: Vec<(f64, u64)>,
    /// Brier scores.
    pub brier: Vec<(f64, u64)>,
}

/// The buckets of logarithmic losses: those of durations, which tell apart what differs by 0.8 %, from a
/// billionth to a thousand.
pub const LOG_LOSS: Layout = Layout::SECONDS;
/// The buckets of Brier scores.
pub const BRIER: Layout = Layout::UNIT_INTERVAL;

impl Labels {
    /// What is known of a track.
    pub fn of(&self, track: Track) -> &Quality {
        match track {
            Track::Stable => &self.stable,
            Track::Canary => &self.canary,
        }
    }

    /// Takes in a label. It waits for the judge if `is_judged` and the prediction's own coin was one.
    /// Whether it counts for a track.
    pub fn record(&mut self, id: &PredictionId, outcome: bool, is_judged: bool) -> bool {
        let score = f64::from(id.score);
        match id.attribution {
            Attribution::Excluded => {
                self.apart = self.apart.saturating_add(1);
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
            add(&mut losses.log_loss, LOG_LOSS, log_loss(score, outcome));
            add(&mut losses.brier, BRIER, brier(score, outcome));
        }
        true
    }

    /// Whether it was made with the buckets that are used now.
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

/// Adds a value to ascending middles of buckets: no more of them than the layout has buckets.
fn add(values: &mut Vec<(f64, u64)>, layout: Layout, value: f64) {
    let middle = layout.value(layout.bucket(value));
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

    /// Labels that come up to 40 ticks late, over two changes of the share, judged each tick; the canary's
    /// predictions are wrong so much more often. Whether the log-loss, and the Brier score, ever fails.
    fn fails(seed: u64, more_often: f64) -> [bool; 2] {
        let mut random = SplitMix64::seed_from_u64(seed);
        let mut uniform = || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let given = "[[metrics]]\nname = \"log_loss\"\n[[metrics]]\nname = \"brier\"";
        let given = toml::from_str(given).unwrap();
        let mut policy = JudgePolicy::new(&HealthPolicy::default(), &given).unwrap();
        // These two alone: the others would see nothing, and take their time.
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
                let wrong = is_canary && uniform() < more_often;
                let outcome = (uniform() < score) != wrong;
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
    fn late_labels_over_changes_of_the_share_raise_false_alarms_as_rarely_as_alpha_allows() {
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
        // Of 200, at alpha 0.05, 10 at most are expected; 19 or more happen by chance once in 200 times.
        assert!(alarms.iter().all(|alarms| *alarms < 19), "{alarms:?} of 200");
        assert!(found.iter().all(|found| *found >= 18), "{found:?} of 20");
    }

    fn id(basis_points: u16, track: Track, attribution: Attribution) -> PredictionId {
        let weight = Weight::from_basis_points(basis_points).unwrap();
        let (rollout, step, second, number, score) = (1, 1, 0, 0, 0.75);
        PredictionId { rollout, step, weight, track, attribution, second, number, score }
    }

    #[test]
    fn a_label_waits_at_the_share_of_its_prediction() {
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
    fn what_no_coin_chose_is_shown_and_not_judged_and_what_stands_apart_is_neither() {
        let mut labels = Labels::default();
        assert!(labels.record(&id(1000, Track::Canary, Attribution::Reported), true, true));
        assert!(labels.record(&id(10_000, Track::Canary, Attribution::Judged), true, true));
        assert!(labels.record(&id(1000, Track::Canary, Attribution::Judged), false, false));
        assert!(!labels.record(&id(1000, Track::Stable, Attribution::Excluded), true, true));
        assert_eq!((labels.canary.count(), labels.stable.count(), labels.apart), (3, 0, 1));
        assert!(labels.waiting.is_empty());
    }
}
