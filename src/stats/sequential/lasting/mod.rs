//! Evidence in units of time: harm has to last longer than the noise of one track.
//!
//! The bets of [`Bet`](super::Bet) count each request as a draw of its own. Where one track has noise of its own that
//! lasts (its own garbage collector, connection pool or stalls), ten requests that wait for the same stall count as
//! ten draws, and a healthy canary is taken for a slow one. Here all requests of a span of time count as one draw:
//!
//! - `noise`: how much the differences of successive spans vary
//! - `dependence`: whether they depend on each other
//! - `purse`: wealth on one outcome per span
//! - `span`: one span length, with its sums and its purse
//! - `series`: spans of several lengths over the same values
//! - `values`, `failures`: the series of a metric
//! - `averages`: the same for averages that another system has made

mod averages;
mod dependence;
mod failures;
mod noise;
mod purse;
mod series;
mod span;
mod values;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

pub use averages::AverageMonitor;
pub use failures::LastingFailures;
pub use values::LastingValues;

/// The shortest span of time in which all requests together count as one draw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum EvidenceUnit {
    /// Every request is a draw. Valid where the noise of a track does not last from one request to the next.
    #[default]
    #[serde(rename = "request")]
    Request,
    /// One second.
    #[serde(rename = "tick")]
    Tick,
    /// Ten seconds.
    #[serde(rename = "10s")]
    TenSeconds,
    /// One minute.
    #[serde(rename = "1m")]
    Minute,
    /// One second for large differences, ten for smaller ones, a minute for all. The shorter ones do not count while
    /// the differences of successive seconds depend on each other.
    #[serde(rename = "auto")]
    Auto,
}

impl EvidenceUnit {
    /// Whether every request is a draw.
    pub fn is_request(&self) -> bool {
        *self == EvidenceUnit::Request
    }
}

#[cfg(test)]
#[path = "lasting_tests.rs"]
mod tests;
