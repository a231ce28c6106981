//! False rollbacks and detection time of the sequential judge in simulated hours.
//!
//! The quick version of `make calibrate`: fewer replications of the same hours, and bounds that only a broken
//! judge misses.

use serin::simulation::Outcome;
use serin::simulation::Scenario;
use serin::simulation::study;
use serin::simulation::study::Quantiles;
use serin::simulation::study::Study;

#[path = "../benches/calibrate/cases.rs"]
mod cases;

const HOURS: u32 = 60;

/// With a true rate of 5 %, more than 9 of 60 have a probability of 0.1 %.
const MAX_FALSE_ROLLBACKS: usize = 9;

#[test]
fn healthy_canaries_under_a_changing_load_are_rarely_rolled_back() {
    let mut cases = cases::healthy();
    cases.retain(|(name, _)| name.contains("lognormal, sd = mean"));
    assert_eq!(cases.len(), 2, "a case of this latency is gone: steady, and restless");
    for (name, scenario) in &cases {
        let outcomes = replicate(scenario, 9000);
        let rollbacks = study::count(&outcomes, |outcome| outcome.rollback);
        assert!(
            rollbacks <= MAX_FALSE_ROLLBACKS,
            "{name}: {rollbacks} of {HOURS} were rolled back"
        );
        let promotions = study::count(&outcomes, |outcome| outcome.promotion);
        assert!(promotions >= 50, "{name}: {promotions} of {HOURS} were promoted");
        let Quantiles { median, p95 } = study::seconds(&outcomes, |outcome| outcome.promotion);
        assert!(median < Some(1800) && median <= p95.or(Some(3600)), "{name}: {median:?} {p95:?}");
    }
}

#[test]
fn noise_of_one_track_that_lasts_rarely_rolls_back_a_model_with_threads_of_its_own() {
    let cases = cases::own_noise();
    for name in ["stalls of 1 s, one a minute; 10 %", "error bursts, 50 % for 5 s; 10 %"] {
        let found = cases.iter().find(|(one, _)| one == name);
        let Some((_, scenario)) = found else { panic!("the case {name} is gone") };
        let by_request =
            Scenario { policy: serin::canary::JudgePolicy::default(), ..scenario.clone() };
        let [by_span, by_request] = [scenario, &by_request]
            .map(|one| study::count(&replicate(one, 9003), |outcome| outcome.rollback));
        assert!(by_span <= MAX_FALSE_ROLLBACKS, "{name}: {by_span} of {HOURS} were rolled back");
        assert!(by_request >= 50, "{name}: with every request as a draw {by_request} of {HOURS}");
    }
}

#[test]
fn a_doubled_p99_at_an_equal_mean_is_rarely_promotable_before_it_is_rolled_back() {
    let cases = cases::tails();
    let of = |name: &str| {
        let found = cases.iter().find(|(one, _, _)| one == name);
        let Some((_, scenario, _)) = found else { panic!("the case {name} is gone") };
        outcomes(scenario, 9004, 100)
    };
    let doubled = of("p99 doubled, lognormal, sd = mean; 10 %");
    let promoted = study::count(&doubled, |outcome| outcome.promotion);
    assert!(promoted <= 5, "{promoted} of 100 were promotable");
    let equal = of("equal, lognormal, sd = mean; 10 %");
    let promoted = study::count(&equal, |outcome| outcome.promotion);
    assert!(promoted >= 80, "{promoted} of 100 healthy ones were promotable within ten minutes");
    let rollbacks = study::count(&equal, |outcome| outcome.rollback);
    // With a true rate of 5 %, more than 12 of 100 have a probability of 0.1 %.
    assert!(rollbacks <= 12, "{rollbacks} of 100 healthy ones were rolled back");
}

#[test]
fn sticky_keys_are_judged_by_their_first_request() {
    let cases = cases::strained();
    let found =
        cases.iter().find(|(name, _)| name.starts_with("sticky keys, first request of each bet"));
    let Some((_, scenario)) = found else { panic!("the case of sticky keys is gone") };
    let outcomes = replicate(scenario, 9001);
    let rollbacks = study::count(&outcomes, |outcome| outcome.rollback);
    assert!(rollbacks <= MAX_FALSE_ROLLBACKS, "{rollbacks} were rolled back");
}

#[test]
fn harmful_canaries_are_found_within_twice_the_known_number_of_samples() {
    for regression in cases::regressions() {
        let outcomes = replicate(&regression.scenario, 9002);
        let rollbacks = study::canary_requests(&outcomes, |outcome| outcome.rollback);
        let median = rollbacks.median;
        let most = 2 * u64::from(regression.target.0) + 20;
        let name = regression.name;
        assert!(median.is_some_and(|median| median <= most), "{name}: {median:?}, at most {most}");
        if let Some(oracle) = regression.oracle {
            assert!(median < Some(3 * u64::from(oracle)), "{name}: {median:?}, oracle {oracle}");
        }
    }
}

fn replicate(scenario: &Scenario, seed: u32) -> Vec<Outcome> {
    outcomes(scenario, seed, HOURS)
}

fn outcomes(scenario: &Scenario, seed: u32, replications: u32) -> Vec<Outcome> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Study { replications, seed, threads }.outcomes(scenario, || ())
}
