//! More simulated hours: under the default policy of the server, and with harm that begins late.

use serin::canary::JudgePolicy;
use serin::simulation::Look;
use serin::simulation::Scenario;

use super::cases::healthy;
use super::cases::regressions;

/// The same hours under the default policy of the server.
pub fn healthy_served() -> Vec<(String, Scenario)> {
    let served = |(name, scenario)| (name, Scenario { policy: JudgePolicy::default(), ..scenario });
    healthy().into_iter().map(served).collect()
}

/// Harm that begins late: its kind, and the seconds after the deployment.
pub fn late() -> Vec<(String, Scenario)> {
    let harms = ["+10 %, normal", "x1.50, lognormal sd = mean", "errors 1 -> 5 %"];
    let mut cases = Vec::new();
    for regression in regressions().into_iter().filter(|one| harms.contains(&one.name)) {
        for (when, harm_after) in [("the start", 0), ("30 minutes", 1800), ("4 hours", 14_400)] {
            let scenario = Scenario {
                harm_after,
                seconds: harm_after + 3600,
                look: Look::TimesPerSecond(1),
                remembered: 1000,
                ..regression.scenario.clone()
            };
            cases.push((format!("{}; from {when} on", regression.name), scenario));
        }
    }
    cases
}
