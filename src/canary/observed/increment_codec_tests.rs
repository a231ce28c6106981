//! Is every increment read as it was written, and nothing else?

use proptest::collection::btree_map;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::canary::observed::samples::Samples;
use crate::canary::traffic::track::Track;

/// A second with 100 requests, 10 of them the canary's, of about 50 ms and spread as widely.
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
fn a_second_of_a_hundred_requests_takes_some_two_hundred_bytes() {
    let bytes = second().to_bytes();
    assert!((150..300).contains(&bytes.len()), "{}", bytes.len());
    assert_eq!(Increment::from_bytes(&bytes), Ok(second()));
}

#[test]
fn values_that_are_no_middles_come_back_too() {
    let latency = vec![(0.0123, 1), (0.2, 0), (0.2, 3), (-1.0, 1), (1e300, u64::MAX)];
    let stable = TrackIncrement { latency, score: vec![(0.0, 1)], ..TrackIncrement::default() };
    let increment = Increment { stable, ..Increment::default() };
    assert_eq!(Increment::from_bytes(&increment.to_bytes()), Ok(increment));
}

#[test]
fn what_is_observed_by_segment_comes_back_and_without_it_nothing_is_written_of_it() {
    let mut increment = second();
    let old = increment.to_bytes();
    assert_eq!(old[0], 1);
    let (stable, canary) = (increment.stable.clone(), increment.canary.clone());
    let name =
        |value| SegmentName { key: Word::new("region").unwrap(), value: Word::new(value).unwrap() };
    increment.segments.insert(name("north"), SegmentIncrement { stable, canary });
    increment.segments.insert(name("other"), SegmentIncrement::default());
    let bytes = increment.to_bytes();
    assert_eq!((bytes[0], &bytes[1..old.len()]), (2, &old[1..]));
    assert_eq!(Increment::from_bytes(&bytes), Ok(increment));
    for place in 0..bytes.len() {
        assert!(Increment::from_bytes(&bytes[..place]).is_err(), "cut at {place}");
    }
}

#[test]
fn every_damaged_byte_and_every_other_length_is_refused_or_says_something_else() {
    let (increment, bytes) = (second(), second().to_bytes());
    for place in 0..bytes.len() {
        assert!(Increment::from_bytes(&bytes[..place]).is_err(), "cut at {place}");
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1 << bit;
            assert_ne!(Increment::from_bytes(&damaged), Ok(increment.clone()));
        }
    }
    assert_eq!(Increment::from_bytes(&[&bytes[..], &[0]].concat()), Err(CodecError::OtherEncoding));
}

#[test]
fn bytes_that_ask_for_too_much_are_refused_by_name() {
    let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    for (bytes, cause) in [
        (&[][..], "ends"),
        (&[3], "version 3"),
        (&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9, 0], "a part"),
        (&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 3, 1, 1, b' '], "a segment"),
        // No parts is version 1.
        (&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "encoded"),
        (&[1, 0xff, 0xff, 0x7f], "weight"),
        (&[&[1, 0, 0, 0], &most[..]].concat(), "ends"),
        (&[&[1, 0, 0, 0], &most[..9], &[2]].concat(), "a number"),
        (&[1, 0, 0, 0, 2, 0x80, 0x80, 0x10], "a bucket"),
        (&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, b' ', 0, 0], "a name"),
        (&[1, 0x80, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0], "encoded"),
    ] {
        let error = Increment::from_bytes(bytes).unwrap_err().to_string();
        assert!(error.contains(cause), "{bytes:?}: {error}");
    }
}

proptest! {
    #[test]
    fn whatever_can_be_observed_comes_back_to_the_bit(increment in any_increment()) {
        let bytes = increment.to_bytes();
        let read = Increment::from_bytes(&bytes).unwrap();
        prop_assert_eq!(read.to_bytes(), bytes);
        prop_assert_eq!(read, increment);
    }

    #[test]
    fn any_bytes_are_an_increment_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        let versioned = [&[WITHOUT_PARTS, 10][..], &bytes].concat();
        let with_parts = [&[WITH_PARTS, 10][..], &bytes].concat();
        for bytes in [bytes, versioned, with_parts] {
            if let Ok(increment) = Increment::from_bytes(&bytes) {
                prop_assert_eq!(increment.to_bytes(), bytes);
            }
        }
    }
}

fn any_increment() -> impl Strategy<Value = Increment> {
    let middles = |layout: Layout| {
        btree_map(0..layout.buckets(), prop_oneof![Just(1_u64), any::<u64>()], 0..40).prop_map(
            move |counts| counts.into_iter().map(|(bucket, n)| (layout.value(bucket), n)).collect(),
        )
    };
    let track = move || {
        let values = (middles(Layout::SECONDS), middles(Layout::UNIT_INTERVAL));
        (any::<u64>(), any::<u64>(), values).prop_map(|(requests, failures, (latency, score))| {
            TrackIncrement { requests, failures, latency, score }
        })
    };
    let recorded = (middles(Layout::ANY), middles(Layout::ANY))
        .prop_map(|(stable, canary)| RecordedIncrement { stable, canary });
    let name = "[a-zA-Z0-9_.-]{1,64}".prop_map(|name| MetricName::new(&name).unwrap());
    let word = || "[a-zA-Z0-9_.-]{1,64}".prop_map(|word| Word::new(&word).unwrap());
    let segment = (word(), word()).prop_map(|(key, value)| SegmentName { key, value });
    let observed =
        (track(), track()).prop_map(|(stable, canary)| SegmentIncrement { stable, canary });
    let segments = btree_map(segment, observed, 0..3);
    let of_track = move || {
        (middles(labels::LOG_LOSS), middles(labels::BRIER))
            .prop_map(|(log_loss, brier)| TrackLosses { log_loss, brier })
    };
    let losses =
        (0..=Weight::WHOLE, of_track(), of_track()).prop_map(|(weight, stable, canary)| {
            let weight = Weight::from_basis_points(weight).unwrap();
            LossIncrement { weight, stable, canary }
        });
    let differences = (middles(Layout::DIFFERENCE), middles(Layout::DIFFERENCE));
    let latencies = (middles(Layout::SECONDS), middles(Layout::SECONDS));
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
    let elsewhere = (btree_map(name, recorded, 0..4), segments, vec(losses, 0..3), pairs);
    (0..=Weight::WHOLE, track(), track(), elsewhere).prop_map(
        |(weight, stable, canary, (recorded, segments, losses, pairs))| Increment {
            weight: Weight::from_basis_points(weight).unwrap(),
            stable,
            canary,
            recorded,
            segments,
            losses,
            pairs,
        },
    )
}
