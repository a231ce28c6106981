//! What happens after a promotion, as a configuration or a deployment gives it, and what of that cannot be?

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;

use super::HarmAction;
use super::PostPromotionPolicy;
use super::judge_policy::JudgePolicy;
use crate::text::durations::DurationError;
use crate::text::durations::parsed_duration;

/// What is given; what is left out is as before.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostPromotionOverride {
    /// See [`PostPromotionPolicy::watch`].
    pub watch: Option<String>,
    /// See [`PostPromotionPolicy::action`].
    pub action: Option<HarmAction>,
}

/// What cannot be.
#[derive(Debug, Error, PartialEq)]
pub enum PostPromotionError {
    /// A duration is none.
    #[error("post_promotion.{0}")]
    Duration(#[from] DurationError),
    /// No label would come in time.
    #[error(
        "post_promotion.watch = {0:?} leaves no time for a label; give 1s or more, or 0s for none"
    )]
    TooShort(String),
    /// Nothing could ever be shown.
    #[error(
        "post_promotion.watch = {0:?} has nothing to judge by; give one of the metrics log_loss and brier the \
         role guardrail or signal, or watch = \"0s\""
    )]
    NothingToJudge(String),
    /// Nothing would ever be reverted.
    #[error(
        "post_promotion.action = \"revert\" needs a watch, in which labels may come; give \
         post_promotion.watch, like \"24h\""
    )]
    NoWatch,
}

impl PostPromotionOverride {
    /// This with what is given in its place, if it can be judged under this policy.
    ///
    /// # Errors
    /// Names the field that cannot be.
    pub fn over(
        &self,
        default: PostPromotionPolicy,
        judge: &JudgePolicy,
    ) -> Result<PostPromotionPolicy, PostPromotionError> {
        let text = self.watch.clone().unwrap_or_else(|| format!("{}s", default.watch.as_secs()));
        let watch = match &self.watch {
            Some(text) => parsed_duration("watch", text)?,
            None => default.watch,
        };
        let hears = judge.metrics.iter().any(|it| it.source.is_of_labels() && it.role.acts());
        if watch.is_zero() && self.watch.is_none() && self.action == Some(HarmAction::Revert) {
            return Err(PostPromotionError::NoWatch);
        }
        if watch.is_zero() || (hears && watch >= Duration::from_secs(1)) {
            return Ok(PostPromotionPolicy {
                watch,
                action: self.action.unwrap_or(default.action),
            });
        }
        Err(if hears {
            PostPromotionError::TooShort(text)
        } else {
            PostPromotionError::NothingToJudge(text)
        })
    }
}
