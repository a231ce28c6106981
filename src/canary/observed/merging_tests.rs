//! What several replicas have observed, merged, is what one would have observed.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::Rng as _;
use rand_xoshiro::rand_core::SeedableRng as _;

use super::*;
use crate::canary::observed::increment::RecordedIncrement;
use crate::canary::observed::inputs::BinTable;
use crate::canary::observed::inputs::InputBins;
use crate::canary::observed::labels::Labels;
use crate::canary::observed::labels::Outcome;
use crate::canary::observed::outputs::Means;
use crate::canary::observed::pairs::Answers;
use crate::canary::observed::pairs::Pair;
use crate::canary::observed::pairs::Pairs;
use crate::canary::observed::samples::Failure;
use crate::canary::observed::samples::Samples;
use crate::canary::observed::visits::Cells;
use crate::canary::observed::visits::VisitsIncrement;
use crate::canary::policy::metric::MetricName;
use crate::canary::traffic::prediction_id::Attribution;
use crate::canary::traffic::prediction_id::Predicted;
use crate::canary::traffic::prediction_id::PredictionId;
use crate::canary::traffic::track::Track;
use crate::stats::Layout;

const REPLICAS: usize = 3;

/// What one replica has observed.
#[derive(Clone, Default)]
struct Seen {
    samples: Samples,
    pairs: Pairs,
    groups: Vec<GroupIncrement>,
    cells: Cells,
    labels: Labels,
}

fn track(random: u64) -> Track {
    if random.is_multiple_of(4) { Track::Canary } else { Track::Stable }
}

impl Seen {
    fn increment(&self) -> Increment {
        let (weight, none) = (Weight::from_percent(25.0).unwrap(), Samples::default());
        let increment = Increment::between(weight, &none, &self.samples).unwrap();
        let mut increment = increment.with_pairs(None, Some(&self.pairs)).unwrap();
        let (stable, canary) = (&increment.stable.latency, &increment.canary.latency);
        increment.groups = GroupsIncrement::of(self.groups.clone(), stable, canary);
        increment.visits = VisitsIncrement::from(&self.cells);
        increment.losses = self.labels.waiting.clone();
        increment.outputs.errors = self.labels.waiting_errors.clone();
        increment
    }

    fn group(&mut self, group: Group, track: Track, latency: f64) {
        if group == Group::default() {
            return;
        }
        let middle = Layout::Seconds.value(Layout::Seconds.bucket(latency));
        let place = self.groups.partition_point(|it| it.group < group);
        if self.groups.get(place).is_none_or(|it| it.group != group) {
            self.groups.insert(place, GroupIncrement { group, ..GroupIncrement::default() });
        }
        let one = &mut self.groups[place];
        let values = if track == Track::Stable { &mut one.stable } else { &mut one.canary };
        add(values, &[(middle, 1)]);
    }
}

fn answers(kind: u64, numbers: &[f64]) -> Answers<'_> {
    match kind {
        0 => Answers::Probability { rows: numbers, threshold: 0.5 },
        1 => Answers::Probabilities { numbers, classes: 2 },
        _ => Answers::Score { rows: numbers },
    }
}

/// Requests of which each goes to the first and to one of the others.
fn observed(seed: u64, requests: u64, kind: u64) -> (Seen, Vec<Seen>) {
    let mut random = SplitMix64::seed_from_u64(seed);
    let (mut one, mut all) = (Seen::default(), vec![Seen::default(); REPLICAS]);
    for n in 0..requests {
        let (bits, unit) = (random.next_u64(), (random.next_u64() >> 11) as f64 / 2.0_f64.powi(53));
        let (track, latency, replica) = (track(bits), 0.001 + 0.1 * unit, bits as usize % REPLICAS);
        let group = Group::of([1, 4, 30][(bits >> 8) as usize % 3], None, None);
        let id = PredictionId {
            rollout: 1,
            step: 1,
            weight: Weight::from_percent([10.0, 25.0][(bits >> 16) as usize % 2]).unwrap(),
            track,
            attribution: Attribution::Judged,
            second: 0,
            number: n,
            predicted: match kind {
                0 => Predicted::Probability(unit as f32),
                1 => Predicted::Classes(vec![unit as f32, 1.0 - unit as f32]),
                _ => Predicted::Score(1e3 * unit),
            },
        };
        for seen in [&mut one, &mut all[replica]] {
            let samples = seen.samples.of_mut(track);
            if n % 17 == 0 {
                samples.record_failure(Failure::Error);
                continue;
            }
            match kind {
                0 => samples.record(latency, &[unit]),
                1 => samples.record_means(latency, Means::Probabilities(&[unit, 1.0 - unit])),
                _ => samples.record_means(latency, Means::Score(1e3 * unit)),
            }
            seen.group(group, track, latency);
            // Powers of two, so that their sums are not rounded.
            let cell = seen.cells.of_mut(track, bits as u8).unwrap();
            cell.visits += 1;
            cell.latency[0] += 0.25;
            let outcome = match kind {
                0 => Outcome::Positive(bits & 1 == 0),
                1 => Outcome::Class(bits as usize & 1),
                _ => Outcome::Value(1e3 * unit + 5.0),
            };
            seen.labels.record(&id, outcome, true);
            let (stable, canary) = ([unit, 1.0 - unit], [1.0 - unit, unit]);
            seen.pairs.record(&Pair {
                stable: answers(kind, &stable),
                canary: answers(kind, &canary),
                stable_seconds: latency,
                canary_seconds: 2.0 * latency,
            });
        }
    }
    (one, all)
}

#[test]
fn replicas_merge_to_what_one_would_have_observed() {
    for (seed, kind) in [(1, 0), (2, 1), (3, 2), (4, 0)] {
        let (one, all) = observed(seed, 700, kind);
        let mut merged = all[0].increment();
        all[1..].iter().for_each(|seen| merged.merge(seen.increment()));
        assert_eq!(merged, one.increment(), "kind {kind}");
        assert_eq!(Increment::from_bytes(&merged.to_bytes()), Ok(merged.clone()));
        let mut reversed = all[2].increment();
        all[..2].iter().rev().for_each(|seen| reversed.merge(seen.increment()));
        assert_eq!(reversed, merged, "the order makes no difference");
    }
}

#[test]
fn an_idle_replica_adds_nothing() {
    let (_, all) = observed(5, 100, 0);
    let (increment, mut merged) = (all[0].increment(), all[0].increment());
    merged.merge(Increment { weight: increment.weight, ..Increment::default() });
    assert_eq!(merged, increment);
    let mut empty = Increment { weight: increment.weight, ..Increment::default() };
    empty.merge(increment.clone());
    assert_eq!(empty, increment);
}

#[test]
fn recorded_values_and_segments_add_up_by_name() {
    let of = |name: &str, value: f64| {
        let mut increment = Increment::default();
        let recorded = RecordedIncrement { stable: vec![(value, 2)], canary: vec![(value, 1)] };
        increment.recorded.insert(MetricName::new(name).unwrap(), recorded);
        increment
    };
    let mut merged = of("queue", 1.0);
    merged.merge(of("queue", 2.0));
    merged.merge(of("cache", 1.0));
    let names: Vec<String> = merged.recorded.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["cache", "queue"]);
    assert_eq!(merged.recorded[&MetricName::new("queue").unwrap()].stable, [(1.0, 2), (2.0, 2)]);
}

#[test]
fn inputs_in_other_bins_are_left_out() {
    let bins = |feature: &str| InputBins {
        feature: feature.into(),
        values: vec!["low".into(), "high".into()],
    };
    let table = |feature| Some(BinTable { features: vec![bins(feature)], left_out: 0 });
    let of = |table, counts: &[[u64; 2]]| Increment {
        inputs: InputsIncrement { table, counts: counts.to_vec() },
        ..Increment::default()
    };
    let mut merged = of(None, &[[1, 2], [3, 4]]);
    merged.merge(of(table("tenure"), &[[10, 20], [30, 40]]));
    assert_eq!(merged.inputs.counts, [[11, 22], [33, 44]]);
    assert_eq!(merged.inputs.table, table("tenure"));
    merged.merge(of(table("age"), &[[100, 0], [0, 0]]));
    merged.merge(of(None, &[[100, 0]]));
    assert_eq!(merged.inputs.counts, [[11, 22], [33, 44]]);
}
