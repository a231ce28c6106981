//! Study: the outcomes of many simulated hours.

use std::panic::resume_unwind;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;

use serde::Serialize;

use super::hour::simulate;
use super::outcome::Moment;
use super::outcome::Outcome;
use super::scenario::Scenario;

/// Hours of one scenario, each with its own seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Study {
    /// The number of hours. A smaller study is a prefix of a larger one.
    pub replications: u32,
    /// Hour i, counted from 0, draws from the seed `seed 2^32 + i`.
    pub seed: u32,
    /// The number of threads; the outcomes do not depend on it.
    #[serde(skip)]
    pub threads: usize,
}

impl Study {
    /// The outcomes in the order of their seeds. The thread that simulated an hour calls `after_each`.
    pub fn outcomes(&self, scenario: &Scenario, after_each: impl Fn() + Sync) -> Vec<Outcome> {
        let next = AtomicU64::new(0);
        let work = || {
            let mut done = Vec::new();
            loop {
                let hour = next.fetch_add(1, Ordering::Relaxed);
                if hour >= u64::from(self.replications) {
                    return done;
                }
                let seed = (u64::from(self.seed) << 32) | hour;
                done.push((hour, simulate(scenario, seed)));
                after_each();
            }
        };
        let threads = self.threads.clamp(1, self.replications.max(1) as usize);
        let mut outcomes: Vec<(u64, Outcome)> = thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let join = |worker: thread::ScopedJoinHandle<'_, _>| {
                worker.join().unwrap_or_else(|panic| resume_unwind(panic))
            };
            workers.into_iter().flat_map(join).collect()
        });
        outcomes.sort_unstable_by_key(|(hour, _)| *hour);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }
}

/// The number of hours in which an event happened.
pub fn count(outcomes: &[Outcome], what: impl Fn(&Outcome) -> Option<Moment>) -> usize {
    outcomes.iter().filter(|outcome| what(outcome).is_some()).count()
}

/// Median and p95 over all hours; `None` where it had not happened by the end of the hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// Half of the hours took no longer.
    pub median: Option<u64>,
    /// 95 of 100 hours took no longer.
    pub p95: Option<u64>,
}

/// The canary's requests until it happened.
pub fn canary_requests(
    outcomes: &[Outcome],
    what: impl Fn(&Outcome) -> Option<Moment>,
) -> Quantiles {
    quantiles(outcomes, |outcome| what(outcome).map(|moment| moment.canary_requests))
}

/// The seconds until it happened.
pub fn seconds(outcomes: &[Outcome], what: impl Fn(&Outcome) -> Option<Moment>) -> Quantiles {
    quantiles(outcomes, |outcome| what(outcome).map(|moment| u64::from(moment.second)))
}

fn quantiles(outcomes: &[Outcome], value: impl Fn(&Outcome) -> Option<u64>) -> Quantiles {
    let mut values: Vec<Option<u64>> = outcomes.iter().map(value).collect();
    values.sort_unstable_by_key(|value| value.unwrap_or(u64::MAX));
    let at = |q: f64| {
        let rank = (q * values.len() as f64).ceil().max(1.0) as usize;
        values.get(rank - 1).copied().flatten()
    };
    Quantiles { median: at(0.5), p95: at(0.95) }
}

/// Number of hours in which it had happened by a second, for each second in which it first happened in some
/// hour: (second, hours so far), ascending.
pub fn cumulative(
    outcomes: &[Outcome],
    what: impl Fn(&Outcome) -> Option<Moment>,
) -> Vec<(u32, usize)> {
    let mut seconds: Vec<u32> =
        outcomes.iter().filter_map(what).map(|moment| moment.second).collect();
    seconds.sort_unstable();
    let mut so_far = 0;
    seconds
        .chunk_by(|one, other| one == other)
        .map(|equal| {
            so_far += equal.len();
            (equal[0], so_far)
        })
        .collect()
}
