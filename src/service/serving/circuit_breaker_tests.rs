//! Circuit breaker: when it opens, probes, closes and trips.

use super::*;
use crate::canary::policy::plan::WINDOW;

const SECOND: Duration = Duration::from_secs(1);

fn status(state: BreakerState, consecutive_failures: u32, opened: u64) -> BreakerStatus {
    BreakerStatus { state, consecutive_failures, opened, trip_reason: None }
}

/// One that never opens, with these triggers.
fn tripping(triggers: Triggers) -> CircuitBreaker {
    let policy = BreakerPolicy { failures: 0, probe_every: SECOND };
    CircuitBreaker::new(policy, Some(triggers), Arc::default())
}

fn breaker(failures: u32) -> CircuitBreaker {
    CircuitBreaker::new(BreakerPolicy { failures, probe_every: SECOND }, None, Arc::default())
}

/// What the breaker does to requests a tenth of a second apart that end like this: `.` answered,
/// `x` failed, `-` not asked.
fn lived_through(breaker: &CircuitBreaker, outcomes: &str) -> String {
    let outcome = |(n, outcome): (u32, char)| {
        let now = SECOND + n * SECOND / 10;
        if !breaker.admits(|| now) {
            return '-';
        }
        if outcome == 'x' {
            breaker.failed(Failure::Error, || now);
        } else {
            breaker.answered(0.0);
        }
        outcome
    };
    (0..).zip(outcomes.chars()).map(outcome).collect()
}

#[test]
fn only_consecutive_failures_open_it() {
    let breaker = breaker(3);
    assert_eq!(lived_through(&breaker, "xx.xx.x.xx."), "xx.xx.x.xx.");
    assert_eq!(breaker.status(), status(BreakerState::Closed, 0, 0));
    assert_eq!(lived_through(&breaker, "xxxxxx"), "xxx---");
    assert_eq!(breaker.status(), status(BreakerState::Open, 3, 1));
}

#[test]
fn one_probe_per_interval_is_sent_until_one_is_answered() {
    let breaker = breaker(2);
    // Opens at 0.1 s: probes at 1.1 and 2.1 s.
    let seen = lived_through(&breaker, "xxxxxxxxxxxxxxxxxxxxx....");
    assert_eq!(seen, "xx---------x---------....");
    assert_eq!(breaker.status(), status(BreakerState::Closed, 0, 1));
}

#[test]
fn only_one_of_many_concurrent_requests_probes() {
    let breaker = breaker(1);
    breaker.failed(Failure::Error, || SECOND);
    let probes: usize = std::thread::scope(|scope| {
        let asking = || (0..1000).filter(|_| breaker.admits(|| 2 * SECOND)).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(asking)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(probes, 1);
}

#[test]
fn a_closed_breaker_does_not_read_the_clock() {
    let breaker = breaker(5);
    assert!(breaker.admits(|| unreachable!("the clock was read")));
    breaker.failed(Failure::Error, || unreachable!("the clock was read"));
    breaker.answered(0.0);
    assert!(breaker.admits(|| unreachable!("the clock was read")));
}

fn tripped_by(consecutive: u32, in_window: u32, outcomes: &str) -> Option<usize> {
    let triggers = Triggers {
        consecutive_failures: consecutive,
        failures_in_window: in_window,
        p99_ceiling: None,
    };
    let breaker = tripping(triggers);
    for (n, outcome) in outcomes.chars().enumerate() {
        if outcome == 'x' {
            breaker.failed_in_shadow()
        } else {
            breaker.answered(60.0)
        }
        if breaker.trip_reason().is_some() {
            return Some(n + 1);
        }
    }
    None
}

#[test]
fn consecutive_failures_and_failures_in_the_window_trip_it() {
    assert_eq!(tripped_by(3, 0, "xx.xx.xxx"), Some(9));
    assert_eq!(tripped_by(0, 4, "x.x...x..x"), Some(10));
    assert_eq!(tripped_by(0, 0, &"x".repeat(200)), None);
    assert_eq!(tripped_by(64, 0, &"x".repeat(200)), Some(64));
    // What is longer ago than the window is forgotten.
    let apart = format!("x{}x", ".".repeat(63));
    assert_eq!(tripped_by(0, 2, &apart), None);
    let close = format!("x{}x", ".".repeat(62));
    assert_eq!(tripped_by(0, 2, &close), Some(64));
}

/// A breaker that opens after five failures and trips after ten, and what stable did: `x` failed, `.` answered.
fn next_to(stable: &str) -> CircuitBreaker {
    let policy = BreakerPolicy { failures: 5, probe_every: SECOND };
    let breaker = CircuitBreaker::new(policy, Some(Triggers::default()), Arc::default());
    for outcome in stable.chars() {
        if outcome == 'x' { breaker.stable_failed() } else { breaker.stable_answered(0.0) }
    }
    breaker
}

#[test]
fn kept_requests_trip_the_breaker_only_while_stable_never_fails() {
    let dead = next_to("");
    assert_eq!(lived_through(&dead, "xxxxx-----"), "xxxxx-----");
    (0..5).for_each(|_| dead.failed(Failure::BreakerOpen, || SECOND));
    assert_eq!(dead.trip_reason(), Some(TripReason::Failures { failed: 10, in_a_row: 10 }));
    let breaker = next_to("x..........");
    assert_eq!(lived_through(&breaker, "xxxxx"), "xxxxx");
    for _ in 0..100 {
        breaker.failed(Failure::BreakerOpen, || unreachable!("the clock was read"));
    }
    assert_eq!(breaker.status(), status(BreakerState::Open, 5, 1));
    // Five failed probes make ten failures in a row.
    lived_through(&breaker, &"x".repeat(60));
    assert_eq!(breaker.trip_reason(), Some(TripReason::Failures { failed: 10, in_a_row: 10 }));
}

#[test]
fn failures_that_stable_shares_neither_open_nor_trip_it() {
    let shared = next_to(&"x..".repeat(22));
    assert_eq!(lived_through(&shared, &"x".repeat(40)), "x".repeat(40));
    assert_eq!(shared.status(), status(BreakerState::Closed, 40, 0));
    // Stable recovers, the canary does not.
    for _ in 0..WINDOW {
        shared.stable_answered(0.0);
    }
    lived_through(&shared, "x");
    assert_eq!(shared.status().state, BreakerState::Tripped);
    // A third of stable's requests fail, and all of the canary's: 22 of 64 against 45.
    let worse = next_to(&"x..".repeat(22));
    lived_through(&worse, &"x".repeat(45));
    assert_eq!(worse.status().state, BreakerState::Tripped);
}

#[test]
fn an_outage_of_both_that_has_ended_does_not_trip_it() {
    let triggers = Triggers { p99_ceiling: Some(Duration::from_millis(20)), ..Triggers::default() };
    for is_slow in [false, true] {
        let breaker = tripping(triggers);
        // Nine requests of stable for each of the canary's, so that stable's window is over sooner.
        for round in 0..400 {
            let is_bad = (100..200).contains(&round);
            let seconds = if is_bad && is_slow { 0.5 } else { 0.001 };
            for _ in 0..9 {
                match is_bad && !is_slow {
                    true => breaker.stable_failed(),
                    false => breaker.stable_answered(seconds),
                }
            }
            // One of twenty fails at any time.
            match !is_slow && (is_bad || round % 20 == 0) {
                true => breaker.failed_in_shadow(),
                false => breaker.answered(seconds),
            }
            assert_eq!(breaker.trip_reason(), None, "{is_slow} {round}");
        }
        // The canary alone.
        (0..40).for_each(|_| match is_slow {
            true => breaker.answered(0.5),
            false => breaker.failed_in_shadow(),
        });
        assert!(breaker.trip_reason().is_some());
    }
}

#[test]
fn failures_that_are_likely_at_stables_rate_do_not_trip_it() {
    let tripped_after = |of_stable: usize, canary: &str| {
        let answered = ".".repeat(64 - of_stable);
        let breaker = next_to(&format!("{}{answered}", "x".repeat(of_stable)));
        canary.chars().position(|outcome| {
            if outcome == 'x' {
                breaker.failed_in_shadow()
            } else {
                breaker.answered(0.0)
            }
            breaker.trip_reason().is_some()
        })
    };
    let all = "x".repeat(64);
    let half = "x.".repeat(64);
    // Ten in a row, or 32 of 64.
    for of_stable in [0, 1, 3] {
        assert_eq!(tripped_after(of_stable, &all), Some(9), "{of_stable}");
        assert_eq!(tripped_after(of_stable, &half), Some(62), "{of_stable}");
    }
    for (of_stable, needed) in [(6, 13), (13, 27), (20, 41)] {
        assert_eq!(tripped_after(of_stable, &all), Some(needed - 1), "{of_stable}");
    }
    assert_eq!(tripped_after(6, &half), Some(62));
    assert_eq!(tripped_after(13, &half), None);
}

#[test]
fn slow_answers_that_stable_shares_do_not_trip_it() {
    let triggers = Triggers { p99_ceiling: Some(Duration::from_millis(20)), ..Triggers::default() };
    let breaker = tripping(triggers);
    for _ in 0..10 {
        breaker.stable_answered(0.5);
    }
    breaker.stable_answered(0.0);
    for _ in 0..20 {
        breaker.answered(0.5);
    }
    assert_eq!(breaker.trip_reason(), None);
    breaker.answered(0.5);
    assert!(matches!(breaker.trip_reason(), Some(TripReason::SlowAnswers { slow: 21, .. })));
}

/// Records answers of this latency until a ceiling of 20 ms trips the breaker. Returns their number and the reason.
fn slowed(latencies_ms: impl Iterator<Item = u32>) -> Option<(usize, String)> {
    let ceiling = Some(Duration::from_millis(20));
    let breaker = tripping(Triggers { p99_ceiling: ceiling, ..Triggers::default() });
    for (n, latency) in latencies_ms.enumerate() {
        breaker.answered(f64::from(latency) / 1e3);
        if let Some(reason) = breaker.trip_reason() {
            assert_eq!(breaker.wakeup.signals(), 1, "the controller was not woken");
            return Some((n + 1, reason.to_string()));
        }
    }
    None
}

#[test]
fn eight_answers_of_sixty_four_above_the_ceiling_trip_it() {
    let (answers, reason) = slowed([21; 100].into_iter()).unwrap();
    assert_eq!(answers, 8);
    assert_eq!(
        reason,
        "a trigger fired: 8 of the canary's last 64 answers took longer than 20ms, the ceiling of its \
         p99 latency"
    );
    // At the ceiling is not above it.
    assert_eq!(slowed([20; 1000].into_iter()), None);
    let every = |n: u32| (0..1000).map(move |at| if at % n == 0 { 500 } else { 1 });
    assert_eq!(slowed(every(9)).map(|(answers, _)| answers), Some(64));
    assert_eq!(slowed(every(10)), None, "seven of any sixty-four");
    assert_eq!(slowed(every(100)), None, "one of a hundred, as a p99 at the ceiling allows");
}

#[test]
fn a_p99_at_the_ceiling_trips_hardly_any_window() {
    // The chance of 8 or more of 64 if each is above with a chance of 1 %.
    let chance = |above: u32| {
        let ways: f64 = (0..above).map(|k| f64::from(WINDOW - k) / f64::from(k + 1)).product();
        ways * 0.01_f64.powi(above as i32) * 0.99_f64.powi((WINDOW - above) as i32)
    };
    let all: f64 = (MAX_ABOVE_CEILING..=WINDOW).map(chance).sum();
    assert!((2.6e-7..2.8e-7).contains(&all), "{all:e}");
}
