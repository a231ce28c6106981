//! Estimated run time of a simulation, and its limit.

use anyhow::bail;

use crate::simulation::Look;
use crate::simulation::Routing;
use crate::simulation::Scenario;

/// One core's time for one request and for one look, in nanoseconds: an hour of 100 requests per second
/// took 105 ms with one look per second and 441 ms with ten. A rough estimate is enough.
const REQUEST_NS: f64 = 190.0;
const LOOK_NS: f64 = 10_400.0;

/// The same for drawing a user or assigning one to a track: an hour with 5,000 of them took 22 ms in total,
/// so this is an upper estimate.
const USER_NS: f64 = 2000.0;

/// The limit for one command, on one core: a day, so that a typing error is reported at once.
const MAX_SECONDS: f64 = 24.0 * 3600.0;

/// Maximum number of requests between two looks: a thread keeps them in memory, about 100 bytes each.
const MAX_REQUESTS_A_LOOK: f64 = 1e6;

/// Checks that the simulation ends within a day.
///
/// # Errors
/// Names the estimate, and what to do.
pub fn affordable(scenario: &Scenario, replications: u32, runs: u64) -> anyhow::Result<()> {
    let per_second = f64::from(scenario.requests_per_second);
    let looks_per_second = match scenario.look {
        Look::TimesPerSecond(times) => f64::from(times),
        Look::EverySeconds(every) => 1.0 / f64::from(every),
    };
    let a_look = per_second / looks_per_second;
    if a_look > MAX_REQUESTS_A_LOOK {
        bail!(
            "{a_look:.0} requests between two looks do not fit into memory; look more often \
             (--look-every), or use fewer --requests-per-second"
        );
    }
    let users = match scenario.routing {
        Routing::Strata | Routing::Alternating { .. } => 0.0,
        Routing::Sticky { users, .. } => users as f64 * (scenario.weights.len() + 1) as f64,
    };
    let second_ns = REQUEST_NS * per_second + LOOK_NS * looks_per_second;
    let hour_ns = second_ns * f64::from(scenario.seconds) + USER_NS * users;
    let total = 1e-9 * hour_ns * f64::from(replications) * runs as f64;
    if total > MAX_SECONDS {
        bail!(
            "--replications: {replications} would take about {:.0} hours on one core, and 24 are \
             allowed; use fewer, a shorter --duration or fewer --requests-per-second",
            total / 3600.0
        );
    }
    Ok(())
}
