//! How long would a simulation take, and is that still reasonable?

use anyhow::bail;

use crate::simulation::Look;
use crate::simulation::Routing;
use crate::simulation::Scenario;

/// One core's work on one request, one look, and one user of one hour, in nanoseconds; measured, and
/// rounded up. They need not be right to more than a factor.
const REQUEST_NS: f64 = 200.0;
const LOOK_NS: f64 = 10_000.0;
const USER_NS: f64 = 300.0;

/// The most work for one command, on one core: a day. A typing error shows at once.
const MOST_SECONDS: f64 = 24.0 * 3600.0;

/// A thread keeps the requests between two looks in memory, about a hundred bytes each.
const MOST_REQUESTS_A_LOOK: f64 = 1e6;

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
    if a_look > MOST_REQUESTS_A_LOOK {
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
    if total > MOST_SECONDS {
        let affordable = (f64::from(replications) * MOST_SECONDS / total).floor();
        let fewer = if affordable >= 1.0 {
            format!("--replications {affordable} or less")
        } else {
            "a shorter --duration or fewer --requests-per-second".to_owned()
        };
        bail!(
            "--replications = {replications} would take about {:.0} hours on one core, and 24 are \
             allowed; give {fewer}",
            total / 3600.0
        );
    }
    Ok(())
}
