//! The monitor of a quantile on random latencies, with few values, and at its limits.

use rand::RngExt;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;
use crate::stats::summary::points::Points;

const MARGINS: [Margin; 2] = [Margin::relative(0.2), Margin::relative(0.5)];

fn p99() -> QuantileMonitor {
    QuantileMonitor::new(Layout::Seconds, 0.99, MARGINS)
}

/// Exponential latencies of 10 ms on average; p99 is 46 ms.
fn values(rng: &mut Xoshiro256PlusPlus, count: u64, slow: impl Fn(f64) -> f64) -> Points {
    let value = |_| slow(-0.010 * (1.0 - rng.random::<f64>()).ln());
    Points::from_samples(&(0..count).map(value).collect::<Vec<f64>>())
}

/// Canary requests until this is reached, at 10 % of 100 a second; at most an hour.
fn requests_until(
    seed: u64,
    slow: impl Fn(f64) -> f64,
    reached: impl Fn(&QuantileMonitor) -> bool,
) -> Option<u64> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut monitor = p99();
    (1..=3600_u64).find_map(|second| {
        let canary = values(&mut rng, 10, &slow);
        let stable = values(&mut rng, 90, |value| value);
        monitor.tick(0.1, canary.as_slice(), stable.as_slice());
        reached(&monitor).then_some(10 * second)
    })
}

fn median(mut requests: Vec<Option<u64>>) -> u64 {
    requests.sort_unstable();
    requests[requests.len() / 2].unwrap()
}

#[test]
fn an_equal_canary_is_proven_and_a_doubled_tail_is_harm_and_never_proven() {
    let seeds = || 0..15;
    let equal = |value| value;
    let proven = seeds().map(|seed| requests_until(seed, equal, |it| it.proven.reached(0.05)));
    let proven = median(proven.collect());
    assert!((300..1500).contains(&proven), "{proven}");
    let doubled = |value: f64| if value > 0.035 { 2.0 * value } else { value };
    let found = seeds().map(|seed| requests_until(seed, doubled, |it| it.harm.reached(0.01)));
    let found = median(found.collect());
    assert!(found < 1000, "{found}");
    let wrong = requests_until(7, doubled, |it| it.proven.reached(0.2));
    assert_eq!(wrong, None);
}

#[test]
fn the_difference_of_the_quantiles_is_shown_whatever_the_load() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
    let mut monitor = p99();
    assert_eq!((monitor.threshold(), monitor.difference()), (None, None));
    for second in 0..2000 {
        let load = 1.0 + f64::from(second) / 1000.0;
        let canary = values(&mut rng, 10, |value| 1.3 * load * value);
        let stable = values(&mut rng, 90, |value| load * value);
        monitor.tick(0.1, canary.as_slice(), stable.as_slice());
    }
    let ratio = monitor.difference().unwrap() / monitor.threshold().unwrap();
    assert!((ratio - 0.3).abs() < 0.06, "{ratio}");
}

#[test]
fn nothing_is_bet_before_stable_has_a_hundred_values() {
    let mut monitor = p99();
    monitor.remember(&[(0.010, 98), (0.020, 1)]);
    assert_eq!(monitor.tick(0.1, &[(1.0, 5)], &[]), None);
    monitor.remember(&[(0.010, 50)]);
    let found = monitor.tick(0.1, &[(1.0, 5), (0.010, 5)], &[(0.010, 90)]).unwrap();
    assert_eq!((found.beyond_tolerated.failures, found.canary.requests), (5, 10));
    assert!(monitor.harm.reached(0.01));
    let restarted = monitor.restarted(0.95, MARGINS);
    assert!(restarted.threshold().is_some() && restarted.harm == EProcess::default());
}

#[test]
fn values_that_do_not_vary_prove_nothing() {
    let mut monitor = p99();
    (0..300).for_each(|_| {
        monitor.tick(0.1, &[(0.010, 10)], &[(0.010, 90)]);
    });
    assert_eq!((monitor.harm.largest(), monitor.proven.largest()), (0.0, 0.0));
    assert_eq!(monitor.effect.effect().map(|(effect, _)| effect), Some(0.0));
}
