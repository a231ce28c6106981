//! Settings of a service.

use std::time::Duration;

use super::notify::target::Target;
use super::reported::prometheus::server::Server;
use super::serving::shadow::queue::Retention;
use crate::canary::FeedbackPolicy;
use crate::canary::Policy;

/// What the operator configures, without HTTP and store.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How rollouts run unless a deployment overrides it.
    pub policy: Policy,
    /// Threads that answer predictions.
    pub workers: usize,
    /// Makes every salt, and with it every split, repeatable. `None`: from the operating system.
    pub seed: Option<u64>,
    /// How long stable may take for a prediction.
    pub stable_deadline: Duration,
    /// How long the canary gets traffic while nothing can be saved; zero: without end.
    pub canary_off_after: Duration,
    /// The model that is stable at the very first start.
    pub stable: String,
    /// Notification targets.
    pub notify: Vec<Target>,
    /// The Prometheus that the queries of metrics are sent to.
    pub prometheus: Option<Server>,
    /// Whether faults may be injected into a canary.
    pub allow_injection: bool,
    /// Whether labels are accepted, and for how long.
    pub feedback: FeedbackPolicy,
    /// What is kept of requests.
    pub retention: Retention,
    /// Whether the load balancer in front of several replicas sends each key to one of them.
    pub sticky_balancer: bool,
}
