//! Labels of a rollout: the quality of each track for display, and its losses for the judge.
//!
//! A label counts with the weight at the time of its prediction, however late it arrives, so losses are kept
//! by weight until the judge takes them.

use serde::Deserialize;
use serde::Serialize;

use super::gaps::Any;
use super::gaps::Buckets;
use super::gaps::Gaps;
use super::gaps::Seconds;
use super::gaps::UnitInterval;
use super::outputs::ErrorIncrement;
use crate::canary::traffic::prediction_id::Attribution;
use crate::canary::traffic::prediction_id::Predicted;
use crate::canary::traffic::prediction_id::PredictionId;
use crate::canary::traffic::track::Track;
use crate::canary::traffic::weight::Weight;
use crate::stats::ClassQuality;
use crate::stats::ErrorQuality;
use crate::stats::Quality;
use crate::stats::brier;
use crate::stats::brier_of_classes;
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
    /// The same for errors of scores.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_errors: Vec<ErrorIncrement>,
    /// Quality of stable and canary where the models have many classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_classes: Option<ByTrack<ClassQuality>>,
    /// Quality of stable and canary where the models answer scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_scores: Option<ByTrack<ErrorQuality>>,
}

/// The quality of both tracks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByTrack<Q> {
    /// Of stable.
    pub stable: Q,
    /// Of the canary.
    pub canary: Q,
}

impl<Q> ByTrack<Q> {
    /// The quality of a track.
    pub fn of(&self, track: Track) -> &Q {
        match track {
            Track::Stable => &self.stable,
            Track::Canary => &self.canary,
        }
    }

    fn of_mut(&mut self, track: Track) -> &mut Q {
        match track {
            Track::Stable => &mut self.stable,
            Track::Canary => &mut self.canary,
        }
    }
}

/// What happened after a prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// Of two classes: whether the positive one occurred.
    Positive(bool),
    /// Of many classes: which one occurred.
    Class(usize),
    /// Of a score: the number that occurred.
    Value(f64),
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
    /// prediction's track was assigned at random. An outcome of another kind than the prediction counts for none.
    pub fn record(&mut self, id: &PredictionId, outcome: Outcome, is_judged: bool) -> bool {
        let is_judged =
            is_judged && id.attribution == Attribution::Judged && !id.weight.is_certain();
        match (id.attribution, &id.predicted, outcome) {
            (
                Attribution::Judged | Attribution::Reported,
                Predicted::Probability(score),
                Outcome::Positive(outcome),
            ) => {
                let score = f64::from(*score);
                let quality = match id.track {
                    Track::Stable => &mut self.stable,
                    Track::Canary => &mut self.canary,
                };
                quality.record(score, outcome);
                if is_judged {
                    self.lose(id, log_loss(score, outcome), brier(score, outcome));
                }
                true
            }
            (
                Attribution::Judged | Attribution::Reported,
                Predicted::Classes(classes),
                Outcome::Class(outcome),
            ) if outcome < classes.len() => {
                let classes: Vec<f64> = classes.iter().copied().map(f64::from).collect();
                self.of_classes.get_or_insert_default().of_mut(id.track).record(&classes, outcome);
                if is_judged {
                    // Halved, because the buckets go from 0 to 1 and the score to 2; the judge doubles it again.
                    let brier = 0.5 * brier_of_classes(&classes, outcome);
                    self.lose(id, log_loss(classes[outcome], true), brier);
                }
                true
            }
            (
                Attribution::Judged | Attribution::Reported,
                Predicted::Score(score),
                Outcome::Value(value),
            ) => {
                self.of_scores.get_or_insert_default().of_mut(id.track).record(*score, value);
                if is_judged {
                    self.err(id, (score - value).abs());
                }
                true
            }
            (Attribution::Judged | Attribution::Reported | Attribution::Excluded, _, _) => {
                self.excluded = self.excluded.saturating_add(1);
                false
            }
        }
    }

    fn lose(&mut self, id: &PredictionId, log_loss: f64, brier: f64) {
        let losses = self.waiting_at(id.weight).of_mut(id.track);
        add::<Seconds>(&mut losses.log_loss, log_loss);
        add::<UnitInterval>(&mut losses.brier, brier);
    }

    fn err(&mut self, id: &PredictionId, error: f64) {
        let place = self.waiting_errors.partition_point(|one| one.weight < id.weight);
        if self.waiting_errors.get(place).is_none_or(|one| one.weight != id.weight) {
            let new = ErrorIncrement { weight: id.weight, ..ErrorIncrement::default() };
            self.waiting_errors.insert(place, new);
        }
        let ErrorIncrement { stable, canary, .. } = &mut self.waiting_errors[place];
        let errors = match id.track {
            Track::Stable => stable,
            Track::Canary => canary,
        };
        add::<Any>(errors, error);
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
        policy.metrics.retain(|metric| metric.source.is_of_labels());
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
                one.predicted = Predicted::Probability(score as f32);
                due[tick + (uniform() * 40.0) as usize].push((one, outcome));
            }
        }
        for now in due {
            for (id, outcome) in now {
                labels.record(&id, Outcome::Positive(outcome), true);
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
        let (rollout, step, second, number) = (1, 1, 0, 0);
        let predicted = Predicted::Probability(0.75);
        PredictionId { rollout, step, weight, track, attribution, second, number, predicted }
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
            assert!(labels.record(
                &id(share, track, Attribution::Judged),
                Outcome::Positive(true),
                true
            ));
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
        assert!(labels.record(
            &id(1000, Track::Canary, Attribution::Reported),
            Outcome::Positive(true),
            true
        ));
        assert!(labels.record(
            &id(10_000, Track::Canary, Attribution::Judged),
            Outcome::Positive(true),
            true
        ));
        assert!(labels.record(
            &id(1000, Track::Canary, Attribution::Judged),
            Outcome::Positive(false),
            false
        ));
        assert!(!labels.record(
            &id(1000, Track::Stable, Attribution::Excluded),
            Outcome::Positive(true),
            true
        ));
        assert_eq!((labels.canary.count(), labels.stable.count(), labels.excluded), (3, 0, 1));
        assert!(labels.waiting.is_empty());
    }

    #[test]
    fn labels_of_many_classes_and_of_scores_have_their_own_losses() {
        let mut labels = Labels::default();
        let predicted =
            |predicted| PredictionId { predicted, ..id(1000, Track::Canary, Attribution::Judged) };
        let classes = predicted(Predicted::Classes(vec![0.25, 0.25, 0.5]));
        assert!(labels.record(&classes, Outcome::Class(2), true));
        assert!(labels.record(&classes, Outcome::Class(0), true));
        let quality = labels.of_classes.unwrap().canary;
        assert_eq!((quality.count(), quality.accuracy()), (2, Some(0.5)));
        // 1/16 + 1/16 + 1/4, and 9/16 + 1/16 + 1/4.
        assert!((quality.mean_brier().unwrap() - 0.625).abs() < 1e-12);
        assert!((quality.mean_log_loss().unwrap() - 1.5 * 2.0_f64.ln()).abs() < 1e-12);
        let halved: f64 =
            labels.waiting[0].canary.brier.iter().map(|(value, n)| value * *n as f64).sum();
        assert!((2.0 * halved - 1.25).abs() < 0.003, "{halved}");
        let score = predicted(Predicted::Score(1e6));
        assert!(labels.record(&score, Outcome::Value(1.1e6), true));
        assert_eq!(labels.of_scores.unwrap().canary.mae(), Some(1e5));
        assert!((labels.waiting_errors[0].canary[0].0 - 1e5).abs() < 1e3);
        // Outcomes of another kind, and a class that there is not.
        assert!(!labels.record(&score, Outcome::Positive(true), true));
        assert!(!labels.record(&classes, Outcome::Class(3), true));
        assert!(!labels.record(&classes, Outcome::Value(0.5), true));
        assert_eq!(labels.excluded, 3);
        let text = serde_json::to_string(&labels).unwrap();
        assert_eq!(serde_json::from_str::<Labels>(&text).unwrap(), labels);
    }
}
