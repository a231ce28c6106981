//! Estimated run time of a simulation, and its limit.

use anyhow::bail;

use crate::simulation::Look;
use crate::simulation::Routing;
use crate::simulation::Scenario;

/// One core's work on one request and on one look, in nanoseconds: an hour of 100 requests a second took
/// 105 ms with a look a second and 441 ms with ten. They need not be right to more than a factor.
const REQUEST_NS: f64 = 190.0;
const LOOK_NS: f64 = 10_400.0;

/// The same for drawing a user, or putting one on a track: an hour with 5,000 of them took 22 ms in all,
/// so this is too much rather than too little.
const USER_NS: f64 = 2000.0;

/// The most work for one command, on one core: a day. A typing error shows at once.
const MAX_SECONDS: f64 = 24.0 * 3600.0;

/// A thread keeps the requests between two looks in memory, about a hundred bytes each.
const MAX_REQUESTS_A_LOOK: f64 = 1e6;

/// Nothing, if so many hours of each of the runs can be waited for.
///
/// # Errors
/// Names the estimate, and what to do.
pub fn affordable(scenario: &Scenario, replications: u32, runs: u64) -> anyhow::Result<()> {
    let per_second = f64::from(scenario.requests_per_second);
    let seconds = f64::from(scenario.seconds);
    let (looks, a_look) = match scenario.look {
        Look::TimesPerSecond(times) => (seconds * f64::from(times), per_second / f64::from(times)),
        Look::EverySeconds(every) => (seconds / f64::from(every), per_second * f64::from(every)),
    };
    if a_look > MAX_REQUESTS_A_LOOK {
        bail!(
            "{a_look:.0} requests between two looks are too many to keep; look more often \
             (--look-every), or give fewer --requests-per-second"
        );
    }
    let users = match scenario.routing {
        Routing::Strata | Routing::Alternating => 0.0,
        Routing::Sticky { users, .. } => users as f64 * (scenario.weights.len() + 1) as f64,
    };
    let hour_ns = REQUEST_NS * per_second * seconds + LOOK_NS * looks + USER_NS * users;
    let hours = f64::from(replications) * runs as f64;
    let total = 1e-9 * hour_ns * hours;
    if total > MAX_SECONDS {
        let affordable = (f64::from(replications) * MAX_SECONDS / total).floor();
        let fewer = if affordable >= 1.0 {
            format!("--replications {affordable} or less")
        } else {
            "a shorter --duration or fewer --requests-per-second".to_owned()
        };
        bail!(
            "--replications: {replications} would take about {:.0} hours on one core, and 24 are \
             allowed; use {fewer}",
            total / 3600.0
        );
    }
    Ok(())
}
