//! Which hours are simulated besides: under the policy that is served, and with harm that begins late.

use serin::canary::JudgePolicy;
use serin::simulation::Look;
use serin::simulation::Scenario;

use super::cases::healthy;
use super::cases::regressions;

/// The same hours under the policy that is served.
pub fn healthy_served() -> Vec<(String, Scenario)> {
    let served = |(name, scenario)| (name, Scenario { policy: JudgePolicy::default(), ..scenario });
    healthy().into_iter().map(served).collect()
}

/// Harm that begins late: what, and how many seconds after the canary came.
pub fn late() -> Vec<(String, Scenario)> {
    let harms = [("+10 %, normal", 2), ("x1.50, lognormal sd = mean", 5), ("errors 1 -> 5 %", 12)];
    let regressions = regressions();
    let mut cases = Vec::new();
    for (name, place) in harms {
        for (when, harm_after) in [("the start", 0), ("30 minutes", 1800), ("4 hours", 14_400)] {
            let scenario = Scenario {
                harm_after,
                seconds: harm_after + 3600,
                look: Look::TimesPerSecond(1),
                remembered: 1000,
                ..regressions[place].scenario.clone()
            };
            cases.push((format!("{name}; from {when} on"), scenario));
        }
    }
    cases
}
