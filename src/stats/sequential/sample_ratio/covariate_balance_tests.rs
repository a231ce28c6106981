//! Covariate balance: reference values, validity under the split that serin uses, and the time to find a difference.

use rand::RngExt;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;
use crate::stats::sequential::expectation::expectation_is_at_most_one;

#[test]
fn the_values_are_those_of_the_formula() {
    let mut balance = CovariateBalance::of(3);
    balance.tick(0.1, &[[90, 20], [80, 15], [0, 0]]);
    // scipy: the mean of exp(betaln(3 + c, 27 + s) - betaln(3, 27) - c log(.1) - s log(.9)) and of 1 for the empty bin
    assert!((balance.evidence().log_e() - REFERENCE).abs() < 1e-9, "{balance:?}");
    assert_eq!(balance.strongest(), Some(0));
}

const REFERENCE: f64 = 0.9890162622187505;

#[test]
fn each_bin_keeps_its_evidence_when_the_share_changes() {
    let mut balance = CovariateBalance::of(2);
    balance.tick(0.1, &[[50, 20], [840, 90]]);
    let found = balance.evidence().log_e();
    assert!(found > 1.0);
    balance.tick(0.5, &[[0, 0], [0, 0]]);
    assert!((balance.evidence().log_e() - found).abs() < 1e-9);
    assert_eq!((balance.counts(), balance.strongest()), (&[[0, 0]; 2][..], Some(0)));
    // The same bin again: its factors multiply, which a product of means would dilute.
    balance.tick(0.5, &[[20, 60], [60, 60]]);
    let mut later = CovariateBalance::of(2);
    later.tick(0.5, &[[20, 60], [60, 60]]);
    assert!(balance.evidence().log_e() > found + later.evidence().log_e());
}

#[test]
fn other_bins_and_impossible_shares_add_nothing() {
    let mut balance = CovariateBalance::of(2);
    for (share, added) in
        [(0.0, &[[1, 1]; 2][..]), (1.0, &[[1, 1]; 2]), (0.1, &[[1, 1]]), (0.1, &[])]
    {
        balance.tick(share, added);
        assert_eq!(balance, CovariateBalance::of(2));
    }
    balance.tick(0.1, &[[50, 20], [40, 30]]);
    let other = balance.with_bins(3);
    assert_eq!((other.counts().len(), other.evidence()), (3, balance.evidence()));
    let mut other = other;
    other.tick(0.1, &[[0, 0]; 3]);
    assert!((other.evidence().log_e() - balance.evidence().log_e()).abs() < 1e-12);
    assert_eq!(CovariateBalance::of(2).with_bins(4), CovariateBalance::of(4));
}

#[test]
fn the_expectation_under_independent_draws_is_at_most_one() {
    expectation_is_at_most_one("five covariates of four values, in a ramp", 4000, |rng| {
        let mut balance = CovariateBalance::of(20);
        for look in 0..30 {
            let share = [0.1, 0.25, 0.5][look / 10];
            let mut added = [[0, 0]; 20];
            for _ in 0..10 {
                let track = usize::from(rng.random::<f64>() < share);
                (0..5).for_each(|it| added[4 * it + rng.random_range(0..4)][track] += 1);
            }
            balance.tick(share, &added);
        }
        balance.evidence().log_e()
    });
}

/// The first look at which the evidence reaches 0.001, of 50 covariates of ten values: each look adds a stratum of 20
/// requests at 10 %, two of them the canary's. Those with the first value of the first covariate have this share.
fn first_look(rng: &mut Xoshiro256PlusPlus, share: f64, looks: usize) -> Option<usize> {
    let mut balance = CovariateBalance::of(500);
    (0..looks).find(|_| {
        let mut added = [[0; 2]; 500];
        for _ in 0..20 {
            let is_first = rng.random::<f64>() < 0.1;
            let others = (0.1 - 0.1 * share) / 0.9;
            let track = usize::from(rng.random::<f64>() < if is_first { share } else { others });
            let first = if is_first { 0 } else { rng.random_range(1..10) };
            added[first][track] += 1;
            (1..50).for_each(|it| added[10 * it + rng.random_range(0..10)][track] += 1);
        }
        balance.tick(0.1, &added);
        balance.evidence().reached(0.001)
    })
}

#[test]
fn a_doubled_share_of_a_tenth_of_the_requests_is_found_after_four_thousand() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
    let mut found: Vec<usize> =
        (0..5).map(|_| first_look(&mut rng, 0.2, 500).unwrap_or(usize::MAX)).collect();
    found.sort_unstable();
    assert!((80..300).contains(&found[2]), "{found:?}");
}
