//! What do thousands of hours end in, together?

use std::thread;

use super::hour::Moment;
use super::hour::Outcome;
use super::hour::Scenario;
use super::hour::simulate;

/// The outcomes in the order of their seeds, whatever the number of threads.
pub fn replicate(scenario: &Scenario, replications: u32, case: u64) -> Vec<Outcome> {
    let threads = thread::available_parallelism().map_or(1, |n| n.get() as u32);
    let run = |thread: u32| {
        let mine = (thread..replications).step_by(threads as usize);
        mine.map(|i| (i, simulate(scenario, (case << 32) | u64::from(i)))).collect::<Vec<_>>()
    };
    let mut outcomes: Vec<(u32, Outcome)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        workers.into_iter().filter_map(|worker| worker.join().ok()).flatten().collect()
    });
    outcomes.sort_unstable_by_key(|(i, _)| *i);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// In how many of the hours it happened.
pub fn count(outcomes: &[Outcome], what: impl Fn(&Outcome) -> Moment) -> usize {
    outcomes.iter().filter(|outcome| what(outcome).is_some()).count()
}

/// The canary requests until it happened: median and p95 of all hours, `None` where it had not
/// happened by the end of the hour.
pub fn samples(
    outcomes: &[Outcome],
    what: impl Fn(&Outcome) -> Moment,
) -> (Option<u64>, Option<u64>) {
    quantiles(outcomes, |outcome| what(outcome).map(|(_, samples)| samples))
}

/// The seconds until it happened.
pub fn seconds(
    outcomes: &[Outcome],
    what: impl Fn(&Outcome) -> Moment,
) -> (Option<u64>, Option<u64>) {
    quantiles(outcomes, |outcome| what(outcome).map(|(seconds, _)| u64::from(seconds)))
}

fn quantiles(
    outcomes: &[Outcome],
    value: impl Fn(&Outcome) -> Option<u64>,
) -> (Option<u64>, Option<u64>) {
    let mut values: Vec<u64> =
        outcomes.iter().map(|outcome| value(outcome).unwrap_or(u64::MAX)).collect();
    values.sort_unstable();
    let at = |q: f64| {
        let rank = (q * values.len() as f64).ceil().max(1.0) as usize;
        values.get(rank - 1).copied().filter(|value| *value < u64::MAX)
    };
    (at(0.5), at(0.95))
}
