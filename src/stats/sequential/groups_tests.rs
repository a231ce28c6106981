//! The monitor of a mix of light and heavy requests that are grouped beforehand.

use rand::RngExt;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;
use crate::stats::Harm;
use crate::stats::Layout;
use crate::stats::Margin;
use crate::stats::sequential::Monitor;
use crate::stats::sequential::Test;
use crate::stats::sequential::expectation::expectation_is_at_most_one;

fn monitor(test: Test, accepted: Margin) -> Monitor {
    Monitor::new(Layout::Seconds, Harm::Higher, test, Margin::default(), accepted)
}

/// A tick of requests that are light (group 3) or heavy (group 7), and of which a share is the canary's. The canary's
/// latencies, nearly normal around 1 and 10 ms, are changed by the factors of light and of heavy ones.
fn tick(
    rng: &mut Xoshiro256PlusPlus,
    [requests, heavy, share]: [f64; 3],
    factors: [f64; 2],
) -> [GroupValues; 2] {
    let mut tick = [3, 7].map(|group| GroupValues { group, ..GroupValues::default() });
    for _ in 0..requests as u32 {
        let is_heavy = rng.random::<f64>() < heavy;
        let spread: f64 = (0..4).map(|_| rng.random::<f64>()).sum::<f64>() / 2.0;
        let value = spread * if is_heavy { 0.010 } else { 0.001 };
        let into = &mut tick[usize::from(is_heavy)];
        match rng.random::<f64>() < share {
            true => into.canary.push((value * factors[usize::from(is_heavy)], 1)),
            false => into.stable.push((value, 1)),
        }
    }
    tick
}

fn in_one(tick: &[GroupValues]) -> [Vec<(f64, u64)>; 2] {
    let all = |of: fn(&GroupValues) -> &[(f64, u64)]| tick.iter().flat_map(of).copied().collect();
    [all(|one| &one.canary), all(|one| &one.stable)]
}

#[test]
fn harm_in_a_mix_is_found_in_half_of_the_requests_and_harm_in_one_group_as_well() {
    let cases = [
        ("10 % slower", [1.1; 2], 0.6),
        ("heavy ones 30 % slower", [1.0, 1.3], 1.05),
        ("light ones 30 % slower", [1.3, 1.0], 0.8),
    ];
    for (name, factors, most) in cases {
        let [mut together, mut apart] = [0_u32; 2];
        for seed in 0..20 {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
            let [mut one, mut other] =
                [(); 2].map(|()| monitor(Test::Combined, Margin::relative(0.1)));
            while !(one.harm.reached(0.05) && other.harm.reached(0.05)) {
                let tick = tick(&mut rng, [50.0, 0.5, 0.1], factors);
                let [canary, stable] = in_one(&tick);
                together += u32::from(!one.harm.reached(0.05));
                apart += u32::from(!other.harm.reached(0.05));
                one.tick(0.1, &canary, &stable);
                other.tick_in_groups(0.1, &tick);
                assert!(together.max(apart) < 4000, "{name}");
            }
        }
        let ratio = f64::from(apart) / f64::from(together);
        assert!(ratio < most, "{name}: {apart} ticks with groups, {together} without");
    }
}

#[test]
fn the_interval_narrows_and_an_equal_canary_is_proven_sooner() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
    let [mut one, mut other] = [(); 2].map(|()| monitor(Test::Combined, Margin::relative(0.1)));
    for _ in 0..200 {
        let tick = tick(&mut rng, [50.0, 0.5, 0.2], [1.0; 2]);
        let [canary, stable] = in_one(&tick);
        one.tick(0.2, &canary, &stable);
        other.tick_in_groups(0.2, &tick);
    }
    let [(_, wide), (effect, narrow)] = [&one, &other].map(|it| it.effect.effect().unwrap());
    assert!(narrow < 0.6 * wide && effect.abs() < 4.0 * narrow, "{effect} {narrow} {wide}");
    assert!(other.proven.largest() > 2.0 * one.proven.largest());
    assert_eq!(other.center(), one.center(), "what is relative to stable's mean stays so");
}

#[test]
fn one_group_whatever_its_number_is_no_group() {
    for group in [0, 5] {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(9);
        let [mut one, mut other] = [(); 2].map(|()| monitor(Test::Combined, Margin::relative(0.1)));
        for _ in 0..40 {
            let tick = tick(&mut rng, [30.0, 0.3, 0.3], [1.05; 2]);
            let [canary, stable] = in_one(&tick);
            one.tick(0.3, &canary, &stable);
            other.tick_in_groups(0.3, &[GroupValues { group, canary, stable }]);
        }
        assert_eq!((one.harm, one.proven, one.effect), (other.harm, other.proven, other.effect));
        assert_eq!(other.has_groups(), group != 0);
        if group == 0 {
            assert_eq!(one, other);
        }
    }
}

#[test]
fn without_a_difference_no_evidence_is_expected_whatever_the_mix_does() {
    expectation_is_at_most_one("a mix that changes, under drift and ramp", 3000, |rng| {
        let mut monitor = monitor(Test::Combined, Margin::default());
        for second in 0..30 {
            let share = [0.1, 0.25, 0.5][second / 10];
            let load = 1.0 + second as f64 / 15.0;
            let mut tick = tick(rng, [20.0, 0.1 + second as f64 / 40.0, share], [1.0; 2]).to_vec();
            // Groups that appear late, and more of them than have a center of their own.
            for one in &mut tick {
                one.group += if second > 20 { second as u16 } else { 0 };
                let values = one.canary.iter_mut().chain(&mut one.stable);
                values.for_each(|(value, _)| *value *= load);
            }
            monitor.tick_in_groups(share, &tick);
        }
        monitor.harm.log_e()
    });
}

#[test]
fn what_is_tested_is_the_mean_of_all_requests_whatever_the_groups() {
    // Light requests take as much longer as heavy ones take less.
    expectation_is_at_most_one("an equal mean of unequal groups", 3000, |rng| {
        let mut monitor = monitor(Test::Mean, Margin::default());
        // The frame and the centers, from stable alone.
        monitor.tick_in_groups(0.3, &tick(rng, [200.0, 0.5, 0.0], [1.0; 2]));
        for _ in 0..40 {
            // As many heavy as light ones: each pair is one tick's.
            let mut pairs = tick(rng, [0.0; 3], [1.0; 2]);
            for place in 0..10 {
                for (is_heavy, into) in [false, true].into_iter().zip(&mut pairs) {
                    let value =
                        0.002 + 0.004 * f64::from(u8::from(is_heavy)) + 1e-4 * f64::from(place);
                    match rng.random::<f64>() < 0.3 {
                        true => into.canary.push((value + if is_heavy { -8e-4 } else { 8e-4 }, 1)),
                        false => into.stable.push((value, 1)),
                    }
                }
            }
            monitor.tick_in_groups(0.3, &pairs);
        }
        monitor.harm.log_e()
    });
}

#[test]
fn a_canary_at_exactly_the_accepted_margin_is_not_proven() {
    expectation_is_at_most_one("margin", 3000, |rng| {
        let mut monitor = monitor(Test::Combined, Margin::relative(0.1));
        for _ in 0..30 {
            let tick = tick(rng, [20.0, 0.4, 0.3], [1.1; 2]);
            monitor.tick_in_groups(0.3, &tick);
        }
        monitor.proven.log_e()
    });
}

#[test]
fn a_monitor_with_groups_is_read_back_as_written() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut monitor = monitor(Test::Combined, Margin::relative(0.1));
    for _ in 0..20 {
        monitor.tick_in_groups(0.3, &tick(&mut rng, [30.0, 0.3, 0.3], [1.0; 2]));
    }
    let text = serde_json::to_string(&monitor).unwrap();
    assert!(text.contains("residual"));
    assert_eq!(serde_json::from_str::<Monitor>(&text).unwrap(), monitor);
}
