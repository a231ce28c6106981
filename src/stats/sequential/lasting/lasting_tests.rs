//! Which noise is no harm, which harm is found, and how soon, with spans of time as draws.

use super::*;
use crate::stats::Harm;
use crate::stats::Layout;
use crate::stats::Margin;
use crate::stats::sequential::FailureMargins;
use crate::stats::sequential::Monitor;
use crate::stats::sequential::Test;
use crate::stats::sequential::TrackCounts;

/// Uniform numbers from a linear congruential generator.
struct Draws(u64);

impl Draws {
    fn uniform(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    /// Latencies around 50 ms with a standard deviation of about the mean.
    fn latencies(&mut self, count: usize, factor: f64) -> Vec<(f64, u64)> {
        (0..count).map(|_| (0.035 * factor * (0.83 * self.normal()).exp(), 1)).collect()
    }
}

const TOLERATED: Margin = Margin { relative: 0.05, absolute: 0.0001 };
const ACCEPTED: Margin = Margin { relative: 0.10, absolute: 0.0002 };

/// A monitor that knows stable, and the test with spans of time as draws.
fn latency(unit: EvidenceUnit, draws: &mut Draws) -> (Monitor, LastingValues) {
    let harm = Harm::Higher;
    let mut monitor = Monitor::new(Layout::Seconds, harm, Test::Combined, TOLERATED, ACCEPTED);
    let mut past = draws.latencies(1000, 1.0);
    past.sort_by(|left, right| left.0.total_cmp(&right.0));
    monitor.remember(&past);
    let mut lasting = LastingValues::new(unit, harm, Test::Combined, TOLERATED, ACCEPTED);
    monitor.teach(&mut lasting);
    (monitor, lasting)
}

/// The second at which harm is shown at 1 %, of half an hour with these factors to the latency of the tracks.
fn found(
    unit: EvidenceUnit,
    seed: u64,
    mut factors: impl FnMut(&mut Draws, usize) -> [f64; 2],
) -> Option<usize> {
    let mut draws = Draws(seed);
    let (mut monitor, mut lasting) = latency(unit, &mut draws);
    (1..=1800).find(|&second| {
        let [stable, canary] = factors(&mut draws, second);
        let stable = draws.latencies(90, stable);
        let canary = draws.latencies(10, canary);
        monitor.compare(&mut lasting, 1.0, &canary, &stable);
        monitor.tick(0.1, &canary, &stable);
        lasting.harm.reached(0.01)
    })
}

#[test]
fn a_slow_canary_is_found_and_the_slower_the_sooner() {
    for (factor, from, to) in [(2.0, 120, 140), (1.5, 120, 300), (1.2, 120, 1500)] {
        for seed in 1..4 {
            let second = found(EvidenceUnit::Auto, seed, |_, _| [1.0, factor]);
            let is_within = second.is_some_and(|second| (from..=to).contains(&second));
            assert!(is_within, "x{factor}, seed {seed}: {second:?}");
        }
    }
    let late =
        found(EvidenceUnit::Auto, 5, |_, second| [1.0, if second > 900 { 2.0 } else { 1.0 }]);
    assert!(late.is_some_and(|second| (901..=1000).contains(&second)), "{late:?}");
}

#[test]
fn noise_of_one_track_that_lasts_is_no_harm() {
    // Stalls of a second, one a minute on each track; and latencies that wander by themselves.
    for seed in 1..6 {
        let stalled = found(EvidenceUnit::Auto, seed, |draws, _| {
            [0, 1].map(|_| if draws.uniform() < 1.0 / 60.0 { 15.0 } else { 1.0 })
        });
        assert_eq!(stalled, None, "stalls, seed {seed}");
        let mut logs = [0.0_f64; 2];
        let wandering = found(EvidenceUnit::Auto, seed, |draws, _| {
            for log in &mut logs {
                *log = 0.95 * *log + 0.0625 * draws.normal();
            }
            logs.map(f64::exp)
        });
        assert_eq!(wandering, None, "correlation 0.95, log sd 0.2, seed {seed}");
    }
    // Levels that begin far apart, by twice the mean or more, and come together within minutes.
    let apart = found(EvidenceUnit::Auto, 1, |_, second| {
        let log = 0.35 * (-(second as f64) / 80.0).exp();
        [(-log).exp(), log.exp()]
    });
    assert_eq!(apart, None);
}

#[test]
fn with_every_request_as_a_draw_the_same_stalls_are_harm() {
    let mut draws = Draws(1);
    let (mut monitor, _) = latency(EvidenceUnit::Auto, &mut draws);
    for _ in 0..1800 {
        let [stable, canary] =
            [0, 1].map(|_| if draws.uniform() < 1.0 / 60.0 { 15.0 } else { 1.0 });
        let (stable, canary) = (draws.latencies(90, stable), draws.latencies(10, canary));
        monitor.tick(0.1, &canary, &stable);
    }
    assert!(monitor.harm.reached(0.01));
}

#[test]
fn an_equal_canary_is_proven_and_a_dependent_one_waits_for_minutes() {
    let mut draws = Draws(9);
    let (mut monitor, mut lasting) = latency(EvidenceUnit::Auto, &mut draws);
    assert_eq!(lasting.shortest_span(), Some(1.0));
    let mut log = 0.0;
    for second in 0..1800 {
        if second == 1200 {
            assert!(lasting.proven.reached(0.05), "{:?}", lasting.proven);
        }
        log = if second < 1200 { 0.0 } else { 0.95 * log + 0.15 * draws.normal() };
        let stable = draws.latencies(90, 1.0);
        let canary = draws.latencies(10, f64::exp(log));
        monitor.compare(&mut lasting, 1.0, &canary, &stable);
        monitor.tick(0.1, &canary, &stable);
    }
    assert_eq!(lasting.shortest_span(), Some(60.0));
    let text = serde_json::to_string(&lasting).unwrap();
    assert_eq!(serde_json::from_str::<LastingValues>(&text).unwrap(), lasting);
}

#[test]
fn a_fixed_unit_has_spans_of_its_length() {
    for (unit, seconds) in
        [(EvidenceUnit::Tick, 1.0), (EvidenceUnit::TenSeconds, 10.0), (EvidenceUnit::Minute, 60.0)]
    {
        let (_, lasting) = latency(unit, &mut Draws(1));
        assert_eq!(lasting.shortest_span(), Some(seconds));
    }
    let found = [EvidenceUnit::Tick, EvidenceUnit::TenSeconds, EvidenceUnit::Minute]
        .map(|unit| found(unit, 3, |_, _| [1.0, 1.5]).unwrap());
    assert!(found.is_sorted() && found[0] < 60 && found[2] < 1200, "{found:?}");
}

/// The second at which more failures are shown at 1 %.
fn failing(seed: u64, mut rates: impl FnMut(&mut Draws, usize) -> [f64; 2]) -> Option<usize> {
    let mut draws = Draws(seed);
    let margins = FailureMargins { harmful_ratio: 1.0, accepted_difference: 0.01 };
    let mut lasting = LastingFailures::new(EvidenceUnit::Auto, margins);
    (1..=1800).find(|&second| {
        let rates = rates(&mut draws, second);
        let mut counts = |requests: u64, rate: f64| {
            let failures = (0..requests).filter(|_| draws.uniform() < rate).count() as u64;
            TrackCounts { requests, failures }
        };
        let (stable, canary) = (counts(90, rates[0]), counts(10, rates[1]));
        lasting.tick(1.0, canary, stable);
        lasting.harm.reached(0.01)
    })
}

#[test]
fn a_canary_that_fails_more_is_found_and_bursts_of_both_tracks_are_no_harm() {
    for seed in 1..5 {
        for (rate, at_most) in [(1.0, 60), (0.2, 90), (0.05, 400)] {
            let second = failing(seed, |_, _| [0.005, rate]);
            assert!(second.is_some_and(|second| second <= at_most), "{rate}: {second:?}");
        }
        let mut left = [0; 2];
        let bursts = failing(seed, |draws, _| {
            left.each_mut().map(|left: &mut i32| {
                *left = if draws.uniform() < 1.0 / 500.0 { 5 } else { *left - 1 };
                if *left > 0 { 0.5 } else { 0.01 }
            })
        });
        assert_eq!(bursts, None, "seed {seed}");
    }
}

#[test]
fn ticks_without_a_track_and_hostile_values_change_nothing_for_the_worse() {
    let mut draws = Draws(1);
    let (mut monitor, mut lasting) = latency(EvidenceUnit::Auto, &mut draws);
    for seconds in [0.0, 1.0, 1e9, f64::NAN] {
        for (canary, stable) in [
            (vec![], vec![(0.05, 9)]),
            (vec![(0.05, 1)], vec![]),
            (vec![(f64::NAN, 3), (f64::MAX, u64::MAX)], vec![(0.05, u64::MAX)]),
        ] {
            monitor.compare(&mut lasting, seconds, &canary, &stable);
            monitor.tick(0.1, &canary, &stable);
            assert!(lasting.harm.log_e().is_finite() && lasting.proven.log_e().is_finite());
        }
    }
}

#[test]
fn an_equal_canary_is_no_harm_in_any_direction_with_and_without_a_margin() {
    for harm in [Harm::Higher, Harm::Lower, Harm::Either] {
        for margin in [Margin::default(), TOLERATED] {
            let mut draws = Draws(11);
            let mut monitor = Monitor::new(Layout::Any, harm, Test::Combined, margin, ACCEPTED);
            let mut lasting =
                LastingValues::new(EvidenceUnit::Auto, harm, Test::Combined, margin, ACCEPTED);
            for _ in 0..600 {
                let (stable, canary) = (draws.latencies(90, 1.0), draws.latencies(10, 1.0));
                monitor.compare(&mut lasting, 1.0, &canary, &stable);
                monitor.tick(0.1, &canary, &stable);
            }
            assert!(!lasting.harm.reached(0.05), "{harm:?} {margin:?}: {:?}", lasting.harm);
        }
    }
}

#[test]
fn equal_rates_are_no_harm_whatever_the_shares() {
    let margins = FailureMargins { harmful_ratio: 1.0, accepted_difference: 0.01 };
    for (canary, stable) in [(90, 10), (50, 50), (9, 1), (10, 90)] {
        for rate in [0.001, 0.01] {
            let mut draws = Draws(5);
            let mut lasting = LastingFailures::new(EvidenceUnit::Auto, margins);
            for _ in 0..1800 {
                let [canary, stable] = [canary, stable].map(|requests| {
                    let failures = (0..requests).filter(|_| draws.uniform() < rate).count() as u64;
                    TrackCounts { requests, failures }
                });
                lasting.tick(1.0, canary, stable);
            }
            let harm = lasting.harm;
            assert!(!harm.reached(0.05), "{canary} and {stable} at {rate}: {harm:?}");
        }
    }
}

#[test]
fn a_change_of_the_share_in_a_changing_load_is_no_harm() {
    // The share rises in the middle of each minute, while the load makes all answers slower.
    let mut draws = Draws(3);
    let (mut monitor, mut lasting) = latency(EvidenceUnit::Minute, &mut draws);
    for second in 0..1800 {
        let is_later = second % 60 >= 30;
        let (canary, factor) = if is_later { (50, 2.0) } else { (10, 1.0) };
        let (stable, canary) =
            (draws.latencies(100 - canary, factor), draws.latencies(canary, factor));
        monitor.compare(&mut lasting, 1.0, &canary, &stable);
        monitor.tick(0.1, &canary, &stable);
    }
    assert!(!lasting.harm.reached(0.05), "{:?}", lasting.harm);
}
