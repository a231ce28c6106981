//! Triggers of a plan: how often they fire while both tracks fail alike, and how soon they stop a canary that fails.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serin::canary::observed::samples::Failure;
use serin::canary::policy::breaker::BreakerPolicy;
use serin::canary::policy::plan::Triggers;
use serin::service::serving::circuit_breaker::CircuitBreaker;
use serin::service::wakeup::Wakeup;

use super::program::tell;

/// Hours simulated for each replication of the other tables.
const HOURS: u32 = 5;
const REQUESTS_PER_SECOND: u32 = 100;
/// An outage that both tracks meet begins at this interval, and lasts this long.
const OUTAGE_EVERY: u32 = 600;
const OUTAGE: u32 = 20;
/// A false alarm in an hour has to be rarer than this, in percent.
const BOUND: f64 = 0.1;

struct Case {
    name: &'static str,
    /// The canary's share of the requests.
    share: f64,
    canary: f64,
    stable: f64,
    /// The failure rate of both tracks in an outage.
    outage: Option<f64>,
}

const fn alike(name: &'static str, rate: f64) -> Case {
    Case { name, share: 0.1, canary: rate, stable: rate, outage: None }
}

const ALIKE: [Case; 9] = [
    alike("1 % on both", 0.01),
    alike("5 % on both", 0.05),
    alike("10 % on both", 0.10),
    alike("20 % on both", 0.20),
    alike("50 % on both", 0.50),
    Case {
        name: "1 % on both, 50 % for 20 s every 10 min",
        share: 0.1,
        canary: 0.01,
        stable: 0.01,
        outage: Some(0.5),
    },
    Case {
        name: "1 % on both, 90 % for 20 s every 10 min",
        share: 0.1,
        canary: 0.01,
        stable: 0.01,
        outage: Some(0.9),
    },
    Case {
        name: "1 % on both, all for 20 s every 10 min",
        share: 0.1,
        canary: 0.01,
        stable: 0.01,
        outage: Some(1.0),
    },
    Case {
        name: "1 % on both, 90 % for 20 s every 10 min; the canary has 50 %",
        share: 0.5,
        canary: 0.01,
        stable: 0.01,
        outage: Some(0.9),
    },
];

const HARMFUL: [Case; 3] = [
    Case { name: "canary 50 %, stable 1 %", share: 0.1, canary: 0.5, stable: 0.01, outage: None },
    Case { name: "canary 90 %, stable 1 %", share: 0.1, canary: 0.9, stable: 0.01, outage: None },
    Case { name: "canary all, stable 10 %", share: 0.1, canary: 1.0, stable: 0.10, outage: None },
];

/// Prints how many hours have a false alarm, and the requests until a failing canary is stopped. Whether false alarms are
/// rarer than the bound.
pub fn tell_triggers(part: &str, replications: u32, first_seed: u32) -> bool {
    let hours = HOURS * replications;
    tell(&format!(
        "\n### Triggers of a plan, default limits: {hours} hours each, {REQUESTS_PER_SECOND} requests/s, 10 % of them \
         the canary's unless named\n\n| failures | hours in which a trigger fires | median, p95 canary requests until it fires |\n\
         |---|---|---|"
    ));
    let mut is_kept = true;
    for (case, seed) in ALIKE.iter().zip(u64::from(first_seed)..) {
        if !case.name.contains(part) {
            continue;
        }
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed << 32);
        let fired = (0..hours).filter(|_| hour(case, &mut random).is_some()).count();
        let percent = 100.0 * fired as f64 / f64::from(hours);
        tell(&format!("| {} | {fired} (**{percent:.2} %**) | |", case.name));
        is_kept &= percent < BOUND;
    }
    for (case, seed) in HARMFUL.iter().zip(u64::from(first_seed) + 50..) {
        if !case.name.contains(part) {
            continue;
        }
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed << 32);
        let mut until: Vec<u64> =
            (0..replications).filter_map(|_| hour(case, &mut random)).collect();
        let percent = 100.0 * until.len() as f64 / f64::from(replications);
        until.sort_unstable();
        let at = |share: f64| {
            let rank = (share * f64::from(replications)).ceil() as usize;
            super::or_never(until.get(rank.saturating_sub(1)).copied())
        };
        tell(&format!(
            "| {} | {percent:.1} % of {replications} | {}, {} |",
            case.name,
            at(0.5),
            at(0.95)
        ));
    }
    is_kept
}

/// The canary's requests until a trigger fires; `None` if none does within the hour.
fn hour(case: &Case, random: &mut Xoshiro256PlusPlus) -> Option<u64> {
    let breaker = CircuitBreaker::new(
        BreakerPolicy::default(),
        Some(Triggers::default()),
        Arc::new(Wakeup::default()),
    );
    let mut canary_requests = 0;
    for second in 0..3600 {
        let outage = case.outage.filter(|_| second % OUTAGE_EVERY < OUTAGE);
        let (canary, stable) = (outage.unwrap_or(case.canary), outage.unwrap_or(case.stable));
        for request in 0..REQUESTS_PER_SECOND {
            let now = || {
                Duration::from_secs(second.into())
                    + Duration::from_secs(1) * request / REQUESTS_PER_SECOND
            };
            if random.random::<f64>() >= case.share {
                match random.random::<f64>() < stable {
                    true => breaker.stable_failed(),
                    false => breaker.stable_answered(0.01),
                }
                continue;
            }
            canary_requests += 1;
            if !breaker.admits(now) {
                breaker.failed(Failure::BreakerOpen, now);
            } else if random.random::<f64>() < canary {
                breaker.failed(Failure::Error, now);
            } else {
                breaker.answered(0.01);
            }
            if breaker.trip_reason().is_some() {
                return Some(canary_requests);
            }
        }
    }
    None
}
