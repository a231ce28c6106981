//! Settings of the circuit breaker for the canary.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::text::ranges::DurationWithin;
use crate::text::ranges::HOUR;
use crate::text::ranges::MILLISECOND;

/// When the breaker opens, and how often it lets a probe through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerPolicy {
    /// Consecutive failures that open the breaker; 0 turns it off. Default 5.
    pub failures: u32,
    /// Interval between probes while the breaker is open. Default one second.
    #[serde(with = "DurationWithin::<{ 10 * MILLISECOND }, HOUR>")]
    #[schema(value_type = String, examples("90s"))]
    pub probe_every: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> BreakerPolicy {
        BreakerPolicy { failures: 5, probe_every: Duration::from_secs(1) }
    }
}
