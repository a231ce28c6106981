//! Settings of feedback: whether labels are accepted, and for how long.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::text::ranges::DurationWithin;
use crate::text::ranges::MONTH;
use crate::text::ranges::SECOND;

/// Whether predictions can be labelled, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeedbackPolicy {
    /// Whether `/feedback` accepts labels. Default yes.
    #[serde(rename = "enabled")]
    pub is_enabled: bool,
    /// Maximum age of a prediction when its label arrives. Default 30 days.
    #[serde(with = "DurationWithin::<SECOND, MONTH>")]
    pub expires: Duration,
}

impl Default for FeedbackPolicy {
    fn default() -> FeedbackPolicy {
        FeedbackPolicy { is_enabled: true, expires: Duration::from_micros(MONTH) }
    }
}
