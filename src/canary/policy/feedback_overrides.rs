//! Whether labels are taken, as a configuration gives it, and what of that cannot be?

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;

use super::FeedbackPolicy;
use crate::text::durations::DurationError;
use crate::text::durations::parsed_duration;

/// What is given; what is left out has its default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GivenFeedback {
    /// See [`FeedbackPolicy::is_enabled`].
    pub enabled: Option<bool>,
    /// See [`FeedbackPolicy::expires`].
    pub expires: Option<String>,
}

/// What cannot be.
#[derive(Debug, Error, PartialEq)]
pub enum FeedbackPolicyError {
    /// A duration is none.
    #[error(transparent)]
    Duration(#[from] DurationError),
    /// No label would come in time.
    #[error("expires = {0:?} leaves no time for a label; give 1s or more")]
    TooShort(String),
}

impl GivenFeedback {
    /// This policy with what is given in its place.
    ///
    /// # Errors
    /// Names the field that cannot be.
    pub fn over(&self, default: FeedbackPolicy) -> Result<FeedbackPolicy, FeedbackPolicyError> {
        let expires = match &self.expires {
            None => default.expires,
            Some(text) => {
                let expires = parsed_duration("expires", text)?;
                if expires < Duration::from_secs(1) {
                    return Err(FeedbackPolicyError::TooShort(text.clone()));
                }
                expires
            }
        };
        Ok(FeedbackPolicy { is_enabled: self.enabled.unwrap_or(default.is_enabled), expires })
    }
}
