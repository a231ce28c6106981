//! The tests of latency and scores at one look.

use super::*;

/// The verdict on scores like these, and whether the distributions were compared; latencies are equal.
fn looked(mode: Mode, stable: &[f64], canary: &[f64]) -> (Verdict, Vec<Reason>, bool) {
    let policy = HealthPolicy::default();
    let mut samples = Samples::default();
    let latency = |place: usize| 0.010 + (place % 5) as f64 * 1e-5;
    for (place, score) in stable.iter().enumerate() {
        samples.stable.record(latency(place), &[*score]);
    }
    for (place, score) in canary.iter().enumerate() {
        samples.canary.record(latency(place), &[*score]);
    }
    let inputs = Inputs::new(&policy, mode, &samples);
    let evidence = gather(&policy, inputs);
    let (verdict, reasons) = judge(&policy, &evidence);
    (verdict, reasons, inputs.score_distribution_p_value.is_some())
}

/// Evenly spread scores of this mean and standard deviation.
fn spread(count: usize, mean: f64, deviation: f64) -> Vec<f64> {
    let step = |place: usize| (place as f64 + 0.5) / count as f64 - 0.5;
    (0..count).map(|place| mean + deviation * 12_f64.sqrt() * step(place)).collect()
}

#[test]
fn each_gross_difference_of_the_scores_is_harm_and_a_smaller_one_is_not() {
    let stable = spread(900, 0.4, 0.1);
    // 0.5 standard deviations are less than 0.1, which is the margin then.
    for (canary, verdict, reason) in [
        (spread(100, 0.4, 0.1), Verdict::Promote, Reason::ScoreIsFine),
        (spread(100, 0.46, 0.1), Verdict::Promote, Reason::ScoreIsFine),
        (spread(100, 0.6, 0.1), Verdict::Rollback, Reason::ScoreShifted),
        (spread(100, 0.2, 0.1), Verdict::Rollback, Reason::ScoreShifted),
        // Beyond the margin, and the interval reaches into it.
        (spread(20, 0.51, 0.1), Verdict::Hold, Reason::MayBeShifted),
        (vec![0.4; 100], Verdict::Rollback, Reason::ScoreSpread),
        (spread(100, 0.4, 0.024), Verdict::Rollback, Reason::ScoreSpread),
        (spread(100, 0.4, 0.026), Verdict::Promote, Reason::ScoreIsFine),
        (spread(100, 0.4, 0.22), Verdict::Rollback, Reason::ScoreSpread),
        (spread(100, 0.4, 0.19), Verdict::Promote, Reason::ScoreIsFine),
        (spread(19, 0.9, 0.1), Verdict::Hold, Reason::TooFewSamples),
    ] {
        let (found, reasons, is_compared) = looked(Mode::Manual, &stable, &canary);
        assert_eq!((found, reasons.last()), (verdict, Some(&reason)), "{canary:?}");
        assert_eq!(is_compared, reason == Reason::ScoreSpread, "{canary:?}");
    }
}

/// Latencies of 2 ms, with one in ten at 80 ms.
fn bimodal(place: usize) -> f64 {
    if place.is_multiple_of(10) { 0.080 } else { 0.002 + place as f64 * 1e-6 }
}

fn of_latency(stable: &[f64], canary: &[f64]) -> (Verdict, Evidence) {
    let policy = HealthPolicy::default();
    let mut samples = Samples::default();
    stable.iter().for_each(|seconds| samples.stable.record(*seconds, &[]));
    canary.iter().for_each(|seconds| samples.canary.record(*seconds, &[]));
    let evidence = gather(&policy, Inputs::new(&policy, Mode::Manual, &samples));
    (judge(&policy, &evidence).0, evidence)
}

#[test]
fn a_small_stable_without_the_rare_slow_requests_makes_no_slow_canary() {
    let canary: Vec<f64> = (0..180).map(bimodal).collect();
    let stable: Vec<f64> = (3..180).step_by(8).map(bimodal).collect();
    let (verdict, evidence) = of_latency(&stable, &canary);
    let latency = evidence.latency.unwrap();
    assert!(latency.p_value < 1e-4 && latency.is_beyond_margin(), "{latency:?}");
    let confirmation = evidence.inputs.confirmation.unwrap();
    assert!(confirmation.permutation_p_value.unwrap() > 0.02, "{confirmation:?}");
    assert_eq!(verdict, Verdict::Promote);
}

#[test]
fn the_typical_request_is_found_slower_where_a_tail_hides_it_from_the_mean() {
    let stable: Vec<f64> = (0..180).map(bimodal).collect();
    let canary: Vec<f64> = (0..20).map(|place| 2.0 * bimodal(place)).collect();
    let (verdict, evidence) = of_latency(&stable, &canary);
    assert!(evidence.latency.unwrap().p_value > 0.05, "{evidence:?}");
    assert_eq!(verdict, Verdict::Rollback);
}

#[test]
fn a_mean_is_found_slower_by_its_tail() {
    let stable: Vec<f64> = (0..900).map(|place| 0.010 + (place % 7) as f64 * 1e-4).collect();
    let mut canary = stable[..100].to_vec();
    canary[..12].fill(0.200);
    let (verdict, evidence) = of_latency(&stable, &canary);
    let confirmation = evidence.inputs.confirmation.unwrap();
    assert!(confirmation.rank_p_value.unwrap() > 0.0125, "{confirmation:?}");
    assert_eq!(verdict, Verdict::Rollback);
}

#[test]
fn one_row_asked_again_and_again_has_no_spread_to_lose() {
    let (verdict, ..) = looked(Mode::Manual, &[0.4; 900], &[0.41; 100]);
    assert_eq!(verdict, Verdict::Promote);
}

#[test]
fn a_small_sample_without_the_rare_values_of_stable_has_not_collapsed() {
    let mut stable = vec![0.1; 950];
    stable.extend([0.9; 50]);
    let (verdict, reasons, is_compared) = looked(Mode::Manual, &stable, &[0.1; 20]);
    assert!(is_compared && verdict == Verdict::Promote, "{reasons:?}");
}

#[test]
fn by_plan_the_distributions_are_not_compared() {
    let (_, reasons, is_compared) = looked(Mode::Automatic, &spread(900, 0.4, 0.1), &[0.4; 100]);
    assert!(!is_compared && !reasons.contains(&Reason::ScoreSpread));
}
