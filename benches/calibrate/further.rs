//! More simulated hours: under the default policy of the server, and with harm that begins late.

use serin::canary::JudgePolicy;
use serin::canary::Weight;
use serin::simulation::Look;
use serin::simulation::Routing;
use serin::simulation::Scenario;
use serin::simulation::Shape;
use serin::simulation::Until;
use serin::simulation::Visits;
use serin::simulation::shape::lognormal_sigma;

use super::cases::healthy;
use super::cases::regressions;

/// The same hours under the default policy of the server.
pub fn healthy_served() -> Vec<(String, Scenario)> {
    let served = |(name, scenario)| (name, Scenario { policy: JudgePolicy::default(), ..scenario });
    healthy().into_iter().map(served).collect()
}

/// Harm from the start, and after 30 minutes, in hours that end with the rollback.
pub fn threads() -> Vec<(String, Scenario)> {
    let lognormal = Shape::lognormal(0.050, lognormal_sigma(1.0));
    let (_, healthy) = super::cases::healthy().swap_remove(2);
    let base = Scenario { remembered: 1000, until: Until::Decided, ..healthy };
    let mut cases = Vec::new();
    for (when, harm_after) in [("", 0), (", after 30 minutes", 1800)] {
        let base = Scenario { harm_after, seconds: harm_after + 3600, ..base.clone() };
        for slower in [1.1, 1.2, 1.3, 1.5, 2.0] {
            let mut scenario = base.clone();
            scenario.canary.latency = lognormal.times(slower);
            cases.push((format!("x{slower:.2}, lognormal sd = mean{when}"), scenario));
        }
        for rate in [0.02, 0.05, 0.20] {
            let mut scenario = base.clone();
            scenario.canary.failure_rate = rate;
            cases.push((format!("errors 1 -> {:.0} %{when}", 100.0 * rate), scenario));
        }
    }
    cases
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

/// Half hours without a difference with users that come back by Zipf's law, under the default policy. (name, scenario)
pub fn keys() -> Vec<(String, Scenario)> {
    let (_, healthy) = healthy().swap_remove(2);
    let mut cases = Vec::new();
    for users in [300, 5000, 100_000] {
        for percent in [10.0, 50.0] {
            for rate in [0.001, 0.01] {
                let routing = Routing::Sticky { users, visits: Visits::ByKey };
                let policy = JudgePolicy::default();
                let weights = Weight::from_percent(percent).map(|weight| vec![weight]);
                let mut scenario = Scenario { routing, policy, seconds: 1800, ..healthy.clone() };
                scenario.weights = weights.unwrap_or(scenario.weights);
                (scenario.stable.failure_rate, scenario.canary.failure_rate) = (rate, rate);
                let name = format!("{users} users; errors {} %; {percent} %", 100.0 * rate);
                cases.push((name, scenario));
            }
        }
    }
    cases
}

/// Half hours without a difference with users that come back by Zipf's law and meet one of several replicas at random,
/// where a key is judged at its home. (name, scenario)
pub fn replicas() -> Vec<(String, Scenario)> {
    at_replicas(&[1, 3, 10], Visits::AtHome, "its home")
}

/// The same where each replica judges the keys that it meets, which counts them more than once.
pub fn each_replica() -> Vec<(String, Scenario)> {
    at_replicas(&[3, 10], Visits::AtEach, "each replica (wrong)")
}

fn at_replicas(counts: &[usize], visits: fn(usize) -> Visits, at: &str) -> Vec<(String, Scenario)> {
    let (_, healthy) = healthy().swap_remove(2);
    let mut cases = Vec::new();
    for users in [300, 5000] {
        for replicas in counts {
            let routing = Routing::Sticky { users, visits: visits(*replicas) };
            let policy = JudgePolicy::default();
            let scenario = Scenario { routing, policy, seconds: 1800, ..healthy.clone() };
            cases.push((format!("{users} users; {replicas} replicas; judged at {at}"), scenario));
        }
    }
    cases
}
