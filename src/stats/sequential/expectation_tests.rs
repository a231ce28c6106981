//! Every e-value has an expectation of at most 1 without a difference.
//!
//! Thousands of short, seeded runs each. A mean of e-values is dominated by its few largest, so the
//! standard error is estimated from the sample and four of them are allowed. `make calibrate` asks
//! the same of whole hours.

use rand::RngExt;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;
use crate::stats::Harm;
use crate::stats::Margin;
use crate::stats::summary::histogram::Histogram;
use crate::stats::summary::layout::Layout;

/// A generator, a run number, and the logarithms of the e-values at the end of that run.
pub(crate) fn expectation_is_at_most_one(
    name: &str,
    runs: u64,
    run: impl Fn(&mut Xoshiro256PlusPlus) -> f64,
) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    let values: Vec<f64> = (0..runs).map(|_| run(&mut rng).exp()).collect();
    let mean = values.iter().sum::<f64>() / runs as f64;
    let variance = values.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / runs as f64;
    let error = (variance / runs as f64).sqrt();
    assert!(mean <= 1.0 + 4.0 * error + 1e-9, "{name}: mean {mean}, standard error {error}");
    let reached = values.iter().filter(|e| **e >= 20.0).count() as f64 / runs as f64;
    assert!(reached <= 0.05, "{name}: {reached} of the runs end above 20");
}

#[test]
fn a_monitor_of_any_direction_under_drift_and_ramp() {
    for harm in [Harm::Higher, Harm::Lower, Harm::Either] {
        expectation_of_a_monitor(harm, Test::Combined, 3000);
    }
}

#[test]
fn a_monitor_of_any_test_under_drift_and_ramp() {
    for test in [Test::Mean, Test::Log, Test::Rank, Test::Tail, Test::Distribution] {
        for harm in [Harm::Higher, Harm::Either] {
            expectation_of_a_monitor(harm, test, 1500);
        }
    }
}

fn expectation_of_a_monitor(harm: Harm, test: Test, runs: u64) {
    expectation_is_at_most_one(&format!("{harm:?} {test:?}"), runs, |rng| {
        let none = Margin::default();
        let mut monitor = Monitor::new(Layout::Seconds, harm, test, none, none);
        for second in 0..30 {
            let share = [0.1, 0.25, 0.5][second / 10];
            let load = 0.010 * (1.0 + second as f64 / 30.0);
            let (mut canary, mut stable) =
                (Histogram::new(Layout::Seconds), Histogram::new(Layout::Seconds));
            for _ in 0..20 {
                // Exponential, so that the tail is used.
                let value = -load * (1.0 - rng.random::<f64>()).ln();
                let track = if rng.random::<f64>() < share { &mut canary } else { &mut stable };
                track.record(value);
            }
            monitor.tick(share, canary.points().as_slice(), stable.points().as_slice());
        }
        monitor.harm.log_e()
    });
}

#[test]
fn a_quantile_at_exactly_the_margin_is_neither_harm_nor_proven() {
    for (name, worse) in [("at the tolerated margin", 1.2), ("at the accepted margin", 1.5)] {
        expectation_is_at_most_one(name, 3000, |rng| {
            let margins = [Margin::relative(0.2), Margin::relative(0.5)];
            let mut monitor = QuantileMonitor::new(Layout::Seconds, 0.9, margins);
            for second in 0..30 {
                let share = [0.1, 0.25, 0.5][second / 10];
                let load = 0.010 * (1.0 + second as f64 / 30.0);
                let (mut canary, mut stable) = (Vec::new(), Vec::new());
                for _ in 0..20 {
                    let value = -load * (1.0 - rng.random::<f64>()).ln();
                    match rng.random::<f64>() < share {
                        true => canary.push((worse * value, 1)),
                        false => stable.push((value, 1)),
                    }
                }
                monitor.tick(share, &canary, &stable);
            }
            if worse < 1.3 { monitor.harm.log_e() } else { monitor.proven.log_e() }
        });
    }
}

#[test]
fn a_canary_worse_by_exactly_the_accepted_margin_is_not_proven_harmless() {
    let accepted = Margin::relative(0.1);
    expectation_is_at_most_one("margin", 3000, |rng| {
        let mut monitor = Monitor::new(
            Layout::Seconds,
            Harm::Higher,
            Test::Combined,
            Margin::default(),
            accepted,
        );
        for _ in 0..30 {
            let (mut canary, mut stable) = (Vec::new(), Vec::new());
            for _ in 0..20 {
                let value = 0.010 + 0.010 * rng.random::<f64>();
                if rng.random::<f64>() < 0.3 {
                    canary.push((value * 1.1, 1));
                } else {
                    stable.push((value, 1));
                }
            }
            monitor.tick(0.3, &canary, &stable);
        }
        monitor.proven.log_e()
    });
}

#[test]
fn failures_of_equal_and_of_just_acceptable_rate() {
    for (name, excess) in [("equal", 0.0), ("margin", 0.02)] {
        expectation_is_at_most_one(name, 4000, |rng| {
            let margins = FailureMargins { harmful_ratio: 1.0, accepted_difference: 0.02 };
            let mut monitor = FailureMonitor::new(margins);
            for _ in 0..40 {
                let (mut canary, mut stable) = (TrackCounts::default(), TrackCounts::default());
                for _ in 0..20 {
                    let is_canary = rng.random::<f64>() < 0.2;
                    let track = if is_canary { &mut canary } else { &mut stable };
                    track.requests += 1;
                    let rate = if is_canary { 0.03 + excess } else { 0.03 };
                    track.failures += u64::from(rng.random::<f64>() < rate);
                }
                monitor.tick(0.2, canary, stable);
            }
            if excess == 0.0 { monitor.harm.log_e() } else { monitor.proven.log_e() }
        });
    }
}

#[test]
fn paired_differences_of_mean_zero_and_shares_as_intended() {
    expectation_is_at_most_one("paired", 4000, |rng| {
        let mut paired = Paired::default();
        for _ in 0..50 {
            paired.tick(0.0, (0..5).map(|_| (rng.random::<f64>() - 0.5, 1)));
        }
        paired.log_e()
    });
    expectation_is_at_most_one("shares", 4000, |rng| {
        let mut ratio = SampleRatio::default();
        for second in 0..40 {
            let share = if second < 20 { 0.1 } else { 0.5 };
            let canary = (0..10).filter(|_| rng.random::<f64>() < share).count() as u64;
            ratio.tick(share, canary, 10 - canary, 0);
        }
        ratio.evidence().log_e()
    });
}
