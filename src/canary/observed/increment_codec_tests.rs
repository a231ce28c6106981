//! Increments are read as they were written; damaged bytes are an error.

use proptest::collection::btree_map;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::canary::observed::groups::Group;
use crate::canary::observed::groups::GroupIncrement;
use crate::canary::observed::increment::Observation;
use crate::canary::observed::increment::RecordedIncrement;
use crate::canary::observed::increment::SegmentIncrement;
use crate::canary::observed::increment::TrackIncrement;
use crate::canary::observed::inputs::BinTable;
use crate::canary::observed::inputs::InputBins;
use crate::canary::observed::labels::LossIncrement;
use crate::canary::observed::labels::TrackLosses;
use crate::canary::observed::outputs::ClassDifferences;
use crate::canary::observed::outputs::ClassValues;
use crate::canary::observed::outputs::ErrorIncrement;
use crate::canary::observed::outputs::PairOutputs;
use crate::canary::observed::outputs::TrackOutputs;
use crate::canary::observed::pairs::PairsIncrement;
use crate::canary::observed::samples::Samples;
use crate::canary::observed::visits::Visited;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::segments::SegmentName;
use crate::canary::policy::segments::Word;
use crate::canary::traffic::track::Track;
use crate::canary::traffic::weight::Weight;
use crate::stats::Layout;

/// A second with 100 requests, 10 of them the canary's, with latencies from 40 to 320 ms.
fn second() -> Increment {
    let mut samples = Samples::default();
    for n in 0_u32..100 {
        let spread = f64::from(n.wrapping_mul(2_654_435_761) % 1000) / 1000.0;
        let track = if n % 10 == 0 { Track::Canary } else { Track::Stable };
        samples.of_mut(track).record(0.010 * (2.0 + 3.0 * spread).exp2(), &[spread]);
    }
    let weight = Weight::from_percent(10.0).unwrap();
    Increment::between(weight, &Samples::default(), &samples).unwrap()
}

#[test]
fn a_second_of_a_hundred_requests_takes_about_two_hundred_bytes() {
    let bytes = second().to_bytes();
    assert!((150..300).contains(&bytes.len()), "{}", bytes.len());
    assert_eq!(Increment::from_bytes(&bytes), Ok(second()));
}

#[test]
fn bytes_that_are_cut_off_or_too_long_are_an_error() {
    let bytes = second().to_bytes();
    for length in 0..bytes.len() {
        assert!(Increment::from_bytes(&bytes[..length]).is_err(), "cut off at {length}");
    }
    let error = Increment::from_bytes(&[&bytes[..], &[0]].concat()).unwrap_err().to_string();
    assert!(error.contains("1 bytes too many"), "{error}");
}

#[test]
fn every_flipped_bit_is_an_error_or_another_increment() {
    let (increment, bytes) = (second(), second().to_bytes());
    // The weight, a number of 8 bytes, is read rounded to a basis point.
    for place in 8..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1 << bit;
            assert_ne!(Increment::from_bytes(&damaged), Ok(increment.clone()));
        }
    }
}

#[test]
fn visits_of_keys_take_few_bytes_and_must_be_sound() {
    let (log_latency, score, latency) = ([1.5; 2], [0.5; 2], [2.5; 2]);
    let visited = Visited { cell: 7, visits: 3, failures: 1, log_latency, score, latency };
    let visits = VisitsIncrement { stable: Vec::new(), canary: vec![visited] };
    let bytes = Increment { visits, ..second() }.to_bytes();
    assert!(bytes.len() <= second().to_bytes().len() + 49, "{}", bytes.len());
    assert_eq!(Increment::from_bytes(&bytes).unwrap().visits.canary, [visited]);
    // Without the sums of latencies: a number, and two sums of four bytes.
    let before = Increment::from_bytes(&bytes[..bytes.len() - 9]).unwrap();
    assert_eq!(before.visits.canary, [Visited { latency: [0.0; 2], ..visited }]);
    assert!(Increment::from_bytes(&bytes[..bytes.len() - 4]).is_err());
    for unsound in [
        Visited { failures: 4, ..visited },
        Visited { score: [f32::NAN; 2], ..visited },
        Visited { log_latency: [f32::INFINITY; 2], ..visited },
        Visited { latency: [f32::NEG_INFINITY; 2], ..visited },
    ] {
        let visits = VisitsIncrement { stable: Vec::new(), canary: vec![unsound] };
        assert!(Increment::from_bytes(&Increment { visits, ..second() }.to_bytes()).is_err());
    }
}

#[test]
fn a_group_of_all_requests_takes_few_bytes_and_groups_must_be_sound() {
    let uniform = GroupsIncrement { rest: Group::of(16, None, None), others: Vec::new() };
    let bytes = Increment { groups: uniform.clone(), ..second() }.to_bytes();
    assert!(bytes.len() <= second().to_bytes().len() + 24, "{}", bytes.len());
    assert_eq!(Increment::from_bytes(&bytes).unwrap().groups, uniform);
    let value = second().stable.latency[0];
    let of = |rows: usize, stable: &[(f64, u64)]| GroupIncrement {
        group: Group::of(rows, None, None),
        stable: stable.to_vec(),
        canary: Vec::new(),
    };
    let one = &[value][..];
    for (others, is_sound) in [
        (vec![of(1, one), of(2, one)], true),
        (vec![of(2, one), of(1, one)], false),
        (vec![of(2, one), of(2, one)], false),
        (vec![of(16, one)], false),
        (vec![of(2, &[])], false),
    ] {
        let groups = GroupsIncrement { others, ..uniform.clone() };
        let increment = Increment { groups, ..second() };
        let read = Increment::from_bytes(&increment.to_bytes());
        assert_eq!(read, if is_sound { Ok(increment) } else { read.clone() });
        assert_eq!(read.is_ok(), is_sound);
    }
}

#[test]
fn inputs_are_read_back_and_must_be_those_of_their_bins() {
    let values = vec!["missing".to_owned(), "0".to_owned(), "above 0".to_owned()];
    let features = vec![InputBins { feature: "age".to_owned(), values }];
    let table = Some(BinTable { features, left_out: 0 });
    let counts = vec![[1, 0], [90, 7], [400, 60]];
    for (table, counts, is_sound) in [
        (table.clone(), counts.clone(), true),
        (None, counts.clone(), true),
        (table.clone(), counts[1..].to_vec(), false),
        (table, Vec::new(), false),
        (None, vec![[0, 0]; 1001], false),
    ] {
        let increment = Increment { inputs: InputsIncrement { table, counts }, ..second() };
        let bytes = increment.to_bytes();
        let read = Increment::from_bytes(&bytes);
        assert_eq!(read, if is_sound { Ok(increment) } else { read.clone() });
        assert_eq!(read.is_ok(), is_sound);
        assert!(Increment::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    }
}

#[test]
fn numbers_out_of_range_and_lengths_without_content_are_errors() {
    const HUGE: [u8; 10] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let weight = 10.0_f64.to_le_bytes();
    for (rest, case) in [
        (&[0, 0][..], "no latencies"),
        (&[&[0, 0], &HUGE[..]].concat(), "2^64 - 1 latencies"),
        (&[&[0, 0, 1], &HUGE[..]].concat(), "a bucket out of range"),
        (&[0, 0, 1, 1], "a value without its count"),
        (&[&HUGE[..9], &[2]].concat(), "a number of 65 bits"),
        (&[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, b' ', 0, 0, 0, 0, 0, 0, 0, 0, 0], "a name with a space"),
    ] {
        let bytes = [&weight[..], rest].concat();
        assert!(Increment::from_bytes(&bytes).is_err(), "{case}");
    }
    let empty = [&weight[..], &[0; 16]].concat();
    assert!(Increment::from_bytes(&empty).unwrap().is_empty());
    let weight = 101.0_f64.to_le_bytes();
    assert!(Increment::from_bytes(&[&weight[..], &[0; 16]].concat()).is_err());
}

proptest! {
    #[test]
    fn every_increment_is_read_back_to_the_bit(increment in any_increment()) {
        prop_assert_eq!(Increment::from_bytes(&increment.to_bytes()).unwrap(), increment);
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let after_weight = [&10.0_f64.to_le_bytes()[..], &bytes].concat();
        for bytes in [bytes, after_weight] {
            if let Ok(increment) = Increment::from_bytes(&bytes) {
                prop_assert!(Increment::from_bytes(&increment.to_bytes()).is_ok());
            }
        }
    }
}

/// Whether the value is the middle of a bucket.
fn is_middle(layout: Layout, value: f64) -> bool {
    layout.value(layout.bucket(value)).to_bits() == value.to_bits()
}

#[test]
fn the_middle_of_every_bucket_that_can_be_observed_is_in_that_bucket() {
    for (layout, outside) in
        [(Layout::Seconds, 0), (Layout::Any, 0), (Layout::UnitInterval, 2), (Layout::Difference, 2)]
    {
        let others = (0..layout.buckets()).filter(|one| !is_middle(layout, layout.value(*one)));
        assert_eq!(others.count(), outside, "{layout:?}");
    }
}

fn any_increment() -> impl Strategy<Value = Increment> {
    let middles = |layout: Layout| {
        btree_map(0..layout.buckets(), prop_oneof![Just(1_u64), any::<u64>()], 0..40).prop_map(
            move |counts| {
                let values = counts.into_iter().map(|(bucket, n)| (layout.value(bucket), n));
                // The buckets outside 0 to 1 stay empty: scores are checked before they are counted.
                values.filter(|(value, _)| is_middle(layout, *value)).collect()
            },
        )
    };
    let track = move || {
        let values = (middles(Layout::Seconds), middles(Layout::UnitInterval));
        (any::<u64>(), any::<u64>(), values).prop_map(|(requests, failures, (latency, score))| {
            TrackIncrement { requests, failures, latency, score }
        })
    };
    let recorded = (middles(Layout::Any), middles(Layout::Any))
        .prop_map(|(stable, canary)| RecordedIncrement { stable, canary });
    let name = "[a-zA-Z0-9_.-]{1,64}".prop_map(|name| MetricName::new(&name).unwrap());
    let word = || "[a-zA-Z0-9_.-]{1,64}".prop_map(|word| Word::new(&word).unwrap());
    let segment = (word(), word()).prop_map(|(key, value)| SegmentName { key, value });
    let observed =
        (track(), track()).prop_map(|(stable, canary)| SegmentIncrement { stable, canary });
    let segments = btree_map(segment, observed, 0..3);
    let of_track = move || {
        (middles(Layout::Seconds), middles(Layout::UnitInterval))
            .prop_map(|(log_loss, brier)| TrackLosses { log_loss, brier })
    };
    let losses =
        (0..=Weight::WHOLE, of_track(), of_track()).prop_map(|(weight, stable, canary)| {
            let weight = Weight::from_basis_points(weight).unwrap();
            LossIncrement { weight, stable, canary }
        });
    let differences = (middles(Layout::Difference), middles(Layout::Difference));
    let latencies = (middles(Layout::Seconds), middles(Layout::Seconds));
    let pairs = (any::<u64>(), differences, latencies).prop_map(
        |(failures, (differences, flips), (stable_latency, canary_latency))| PairsIncrement {
            failures,
            differences,
            flips,
            stable_latency,
            canary_latency,
        },
    );
    let pairs = prop_oneof![Just(PairsIncrement::default()), pairs];
    let outputs_of = move || {
        let classes = vec(middles(Layout::UnitInterval).prop_map(ClassValues), 0..4);
        (classes, middles(Layout::Any)).prop_map(|(classes, score)| TrackOutputs { classes, score })
    };
    let classes = vec(middles(Layout::Difference).prop_map(ClassDifferences), 0..4);
    let of_pairs = (classes, middles(Layout::Any));
    let errors = (0..=Weight::WHOLE, middles(Layout::Any), middles(Layout::Any)).prop_map(
        |(weight, stable, canary)| {
            let weight = Weight::from_basis_points(weight).unwrap();
            ErrorIncrement { weight, stable, canary }
        },
    );
    let outputs = (outputs_of(), outputs_of(), of_pairs, vec(errors, 0..3)).prop_map(
        |(stable, canary, (classes, score), errors)| {
            let pairs = PairOutputs { classes, score };
            OutputsIncrement { stable, canary, pairs, errors }
        },
    );
    let outputs = prop_oneof![Just(OutputsIncrement::default()), outputs];
    let millis = prop_oneof![Just(0), 1..=u32::MAX];
    let visited = || {
        let sums = || [-1e9_f32..1e9, 0.0_f32..1e9];
        (any::<u8>(), any::<u64>(), any::<u32>(), sums(), sums(), sums()).prop_map(
            |(cell, visits, failures, log_latency, score, latency)| {
                let failures = u64::from(failures).min(visits);
                Visited { cell, visits, failures, log_latency, score, latency }
            },
        )
    };
    let visits = (vec(visited(), 0..3), vec(visited(), 0..3))
        .prop_map(|(stable, canary)| VisitsIncrement { stable, canary });
    let recorded = btree_map(name, recorded, 0..4);
    let one = (middles(Layout::Seconds), middles(Layout::Seconds));
    let groups = (0..9_u16, btree_map(9..u16::MAX, one, 0..3)).prop_map(|(rest, others)| {
        let one = |(group, (stable, canary))| GroupIncrement {
            group: Group::numbered(group),
            stable,
            canary,
        };
        let others = others.into_iter().map(one);
        let others = others.filter(|it| !it.stable.is_empty() || !it.canary.is_empty()).collect();
        GroupsIncrement { rest: Group::numbered(rest), others }
    });
    let bins = vec(("[a-z ]{0,20}", vec(".{0,20}", 1..4)), 1..3);
    let inputs = (bins, any::<bool>(), 0..3_u32, any::<[u64; 2]>()).prop_map(
        |(features, is_new, left_out, counts)| {
            let one = |(feature, values)| InputBins { feature, values };
            let table = BinTable { features: features.into_iter().map(one).collect(), left_out };
            let counts = vec![counts; table.bins()];
            InputsIncrement { table: is_new.then_some(table), counts }
        },
    );
    let inputs = prop_oneof![Just(InputsIncrement::default()), inputs];
    let metric = "[a-z]{1,9}".prop_map(|name| MetricName::new(&name).unwrap());
    let observation =
        (metric, -1e9..1e9_f64, any::<f32>().prop_filter("finite", |it| it.is_finite()));
    let observation = observation.prop_map(|(metric, stable, canary)| Observation {
        metric,
        stable,
        canary: f64::from(canary),
    });
    let groups = prop_oneof![Just(GroupsIncrement::default()), groups];
    let of_keys = (visits, groups, inputs, vec(observation, 0..3));
    let elsewhere = (recorded, segments, vec(losses, 0..3), pairs, outputs, millis, of_keys);
    (0..=Weight::WHOLE, track(), track(), elsewhere).prop_map(
        |(weight, stable, canary, (recorded, segments, losses, pairs, outputs, millis, last))| {
            let (visits, groups, inputs, queried) = last;
            Increment {
                queried,
                inputs,
                groups,
                outputs,
                millis,
                visits,
                weight: Weight::from_basis_points(weight).unwrap(),
                stable,
                canary,
                recorded,
                segments,
                losses,
                pairs,
            }
        },
    )
}
