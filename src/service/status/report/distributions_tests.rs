//! The curves of known samples.

use super::*;
use crate::canary::Track;
use crate::canary::observed::outputs::Means;

const PROBABILITY: OutputKind = OutputKind::Probability { threshold: 0.5 };

fn samples(values: &[(Track, f64, f64)]) -> Samples {
    let mut samples = Samples::default();
    for (track, latency, score) in values {
        samples.of_mut(*track).record(*latency, &[*score]);
    }
    samples
}

fn many() -> Samples {
    let one = |n: u32| {
        [Track::Stable, Track::Canary].map(|track| {
            let slower = if track == Track::Canary { 2.0 } else { 1.0 };
            (track, slower * f64::from(n) * 1e-4, f64::from(n % 100) / 100.0 + 0.005)
        })
    };
    samples(&(1..=1000).flat_map(one).collect::<Vec<_>>())
}

#[test]
fn shares_rise_along_a_round_axis_to_nearly_all() {
    let latency = Distributions::new(&many(), &PROBABILITY).latency.unwrap();
    let [low, high] = latency.ends;
    // From 0.5 ms to 0.199 s without 0.5 % at each end.
    assert!((low - 5e-4).abs() < 1e-12 && (high - 0.2).abs() < 1e-12, "{low} {high}");
    for track in &latency.tracks {
        assert_eq!(track.points.len(), POINTS);
        assert!(track.points.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1));
        assert!(track.points.last().unwrap().1 > 0.99 && track.points[0].1 < 0.01);
    }
    let [stable, canary] = latency.tracks.map(|track| track.quantiles[0].unwrap());
    assert!((stable - 0.05).abs() < 4e-4 && (canary - 0.1).abs() < 8e-4, "{stable} {canary}");
}

#[test]
fn a_quantile_has_values_beyond_it() {
    let one = |n: u32| [(Track::Stable, f64::from(n) * 1e-3, 0.5), (Track::Canary, 1e-3, 0.5)];
    let few = samples(&(1..=500).flat_map(one).collect::<Vec<_>>());
    let latency = Distributions::new(&few, &PROBABILITY).latency.unwrap();
    let [p50, p95, p99] = latency.tracks[0].quantiles;
    assert!(p50.is_some() && p95.is_some() && p99.is_none());
}

#[test]
fn nothing_is_compared_before_both_have_answered() {
    let one = samples(&[(Track::Stable, 0.01, 0.5)]);
    let found = Distributions::new(&one, &PROBABILITY);
    assert_eq!((found.answered, found.latency), ([1, 0], None));
    assert_eq!(found.scores, Scores::None);
}

#[test]
fn equal_and_zero_latencies_have_an_axis() {
    for seconds in [0.0, 1e-3, 0.02] {
        let same = samples(&[(Track::Stable, seconds, 0.5), (Track::Canary, seconds, 0.5)]);
        let [low, high] = Distributions::new(&same, &PROBABILITY).latency.unwrap().ends;
        assert!(low > 0.0 && high > low, "{seconds}: {low} to {high}");
    }
}

#[test]
fn a_histogram_has_all_probabilities() {
    let Scores::Histogram(found) = Distributions::new(&many(), &PROBABILITY).scores else {
        panic!("no histogram")
    };
    assert_eq!((found.ends, found.are_probabilities), ([0.0, 1.0], true));
    for track in &found.tracks {
        assert_eq!(track.len(), BINS);
        assert!(track.iter().all(|share| (share - 0.05).abs() < 1e-9), "{track:?}");
    }
}

#[test]
fn small_probabilities_have_a_shorter_axis() {
    let rare = samples(&[(Track::Stable, 0.01, 0.004), (Track::Canary, 0.01, 0.03)]);
    let Scores::Histogram(found) = Distributions::new(&rare, &PROBABILITY).scores else {
        panic!("no histogram")
    };
    assert_eq!(found.ends, [0.0, 0.05]);
    assert_eq!(found.tracks.map(|track| track.iter().sum::<f64>()), [1.0, 1.0]);
}

#[test]
fn scores_of_any_size_are_between_round_ends() {
    let mut samples = Samples::default();
    for n in -50..=50 {
        for track in [Track::Stable, Track::Canary] {
            samples.of_mut(track).record_means(0.01, Means::Score(f64::from(n) * 7.0));
        }
    }
    let Scores::Histogram(found) = Distributions::new(&samples, &OutputKind::Score).scores else {
        panic!("no histogram")
    };
    assert!(!found.are_probabilities && found.ends == [-400.0, 400.0], "{:?}", found.ends);
    let [stable, _] = &found.tracks;
    assert_eq!(stable.len(), 16);
    assert!((stable.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{stable:?}");
    let constant = {
        let mut samples = Samples::default();
        for track in [Track::Stable, Track::Canary] {
            samples.of_mut(track).record_means(0.01, Means::Score(-3.0));
        }
        samples
    };
    let Scores::Histogram(found) = Distributions::new(&constant, &OutputKind::Score).scores else {
        panic!("no histogram")
    };
    assert_eq!(found.tracks[0].iter().sum::<f64>(), 1.0, "{found:?}");
}

#[test]
fn classes_have_their_means() {
    let mut samples = Samples::default();
    for track in [Track::Stable, Track::Canary] {
        samples.of_mut(track).record_means(0.01, Means::Probabilities(&[0.25, 0.75]));
    }
    let classes = ["no", "yes"].map(str::to_owned).to_vec();
    let kind = OutputKind::Probabilities { classes };
    let expected = vec![("no".to_owned(), [0.25, 0.25]), ("yes".to_owned(), [0.75, 0.75])];
    assert_eq!(Distributions::new(&samples, &kind).scores, Scores::Classes(expected));
}

#[test]
fn ticks_are_round_and_few() {
    let near = |found: &[f64], expected: &[f64]| {
        found.len() == expected.len()
            && found.iter().zip(expected).all(|(one, other)| (one / other - 1.0).abs() < 1e-9)
    };
    let few = ticks([5e-4, 0.01]);
    assert!(near(&few, &[5e-4, 1e-3, 2e-3, 5e-3, 0.01]), "{few:?}");
    let many = ticks([2e-5, 0.1]);
    assert!(near(&many, &[2e-5, 2e-4, 2e-3, 0.02]), "{many:?}");
    assert!(ticks([1e-9, 1000.0]).len() <= 6);
}
