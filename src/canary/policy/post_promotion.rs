//! Settings of post-promotion monitoring.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::judge_policy::JudgePolicy;
use crate::text::durations::exactly;
use crate::text::fields::Changes;
use crate::text::fields::FieldError;
use crate::text::fields::overlay;
use crate::text::ranges::DurationWithin;
use crate::text::ranges::MONTH;

/// How long a promotion is monitored by late labels, and what happens if they show harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PostPromotionPolicy {
    /// How long the previous version is kept ready while labels arrive. Default 0: no monitoring.
    #[serde(with = "DurationWithin::<0, MONTH>")]
    #[schema(value_type = String, examples("90s"))]
    pub monitor: Duration,
    /// What happens if they show harm. Default: it is reported.
    pub action: HarmAction,
}

/// What happens when late labels show that a promoted version does harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HarmAction {
    /// The journal, the status and the log say so, once.
    #[default]
    Report,
    /// The previous version becomes stable again.
    Revert,
}

impl PostPromotionPolicy {
    pub(super) fn is_default(&self) -> bool {
        *self == PostPromotionPolicy::default()
    }

    /// This policy with the changes of a deployment.
    ///
    /// # Errors
    /// Names the field that does not fit; see also [`checked`](Self::checked).
    pub fn changed(
        self,
        changes: &Changes,
        judge: &JudgePolicy,
    ) -> Result<PostPromotionPolicy, FieldError> {
        let mut policy = overlay(&self, changes).map_err(|error| error.within(SECTION))?;
        if policy.monitor.is_zero() && changes.contains_key("monitor") {
            policy.action = HarmAction::Report;
        }
        policy.checked(judge)
    }

    /// This policy, if the metrics can show harm after a promotion.
    ///
    /// # Errors
    /// When labels have no time to arrive, or no metric acts on them.
    pub fn checked(self, judge: &JudgePolicy) -> Result<PostPromotionPolicy, FieldError> {
        let wrong =
            |field: &str, message: String| Err(FieldError::new(field, message).within(SECTION));
        let monitor = exactly(self.monitor);
        if self.monitor.is_zero() {
            return match self.action {
                HarmAction::Report => Ok(self),
                HarmAction::Revert => wrong(
                    "action",
                    "\"revert\" needs time in which labels may arrive; set post_promotion.monitor, for example \
                     \"24h\""
                        .to_owned(),
                ),
            };
        }
        if !judge.metrics.iter().any(|it| it.source.is_of_labels() && it.role.acts()) {
            return wrong(
                "monitor",
                format!(
                    "\"{monitor}\" has nothing to judge by; give one of the metrics log_loss and brier the role \
                     guardrail or signal, or set monitor = \"0s\""
                ),
            );
        }
        if self.monitor < Duration::from_secs(1) {
            let message =
                format!("\"{monitor}\" leaves no time for a label; use 1s or more, or 0s for none");
            return wrong("monitor", message);
        }
        Ok(self)
    }
}

const SECTION: &str = "post_promotion";
