//! What are the settings in force? As `serin.toml` would say them, every default included.

use serde::Serialize;

use super::GivenRing;
use super::GivenShadow;
use super::Settings;
use crate::canary::Metric;
use crate::canary::policy::GivenBreaker;
use crate::canary::policy::Mode;
use crate::canary::policy::feedback_overrides::GivenFeedback;
use crate::canary::policy::plan_overrides::GivenPlan;
use crate::canary::policy::post_promotion_overrides::PostPromotionOverride;
use crate::canary::policy::segments::GivenSegments;
use crate::canary::policy::segments::SegmentHarm;
use crate::service::notify::target::GivenTarget;
use crate::text::durations::exactly;

/// The settings, in the words and the order of the file. Secrets are left out.
#[derive(Debug, Serialize)]
pub struct Shown {
    listen: String,
    models: String,
    stable: String,
    store: String,
    workers: usize,
    /// Left out if it is larger than the file could say.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    traffic_percent: f64,
    bake: String,
    mode: Mode,
    canary_deadline: String,
    stable_deadline: String,
    body_deadline: String,
    drain_deadline: String,
    body_limit: usize,
    connections: usize,
    alpha: f64,
    min_samples: u64,
    relative_margin: f64,
    absolute_margin_ms: f64,
    failure_margin: f64,
    promote_score: f64,
    rollback_score: f64,
    segment_harm: SegmentHarm,
    #[serde(skip_serializing_if = "Option::is_none")]
    sticky_header: Option<String>,
    allow_track_header: bool,
    allow_injection: bool,
    breaker: GivenBreaker,
    feedback: GivenFeedback,
    post_promotion: PostPromotionOverride,
    plan: GivenPlan,
    segments: GivenSegments,
    shadow: GivenShadow,
    ring: GivenRing,
    metrics: Vec<Metric>,
    notify: Vec<GivenTarget>,
}

impl Settings {
    /// The settings as the file would say them, and the names of those that are not shown, or not whole.
    pub fn shown(&self) -> (Shown, Vec<String>) {
        let (service, http) = (&self.service, &self.http);
        let (policy, health) = (&service.policy, &service.policy.health);
        let mut redacted = Vec::new();
        if self.admin_token.is_some() {
            redacted.push("admin_token".to_owned());
        }
        let mut notify = self.notify.clone();
        for (index, (one, target)) in notify.iter_mut().zip(&service.notify).enumerate() {
            // The path of a webhook is often its only secret.
            let before = service.notify.iter().take(index);
            let twin = before.filter(|it| it.origin() == target.origin()).count();
            // Several on one host stay different, so that what is shown can be read again.
            let number = if twin > 0 { (twin + 1).to_string() } else { String::new() };
            one.url = format!("{}/...{number}", target.origin());
            redacted.push(format!("notify[{index}].url"));
        }
        let shown = Shown {
            listen: self.listen.clone(),
            models: self.models.display().to_string(),
            stable: service.stable.clone(),
            store: self.store.to_string(),
            workers: service.workers,
            seed: service.seed.and_then(|seed| i64::try_from(seed).ok()),
            traffic_percent: policy.weight.percent(),
            bake: exactly(policy.bake),
            mode: policy.mode,
            canary_deadline: exactly(policy.canary_deadline),
            stable_deadline: exactly(service.stable_deadline),
            body_deadline: exactly(http.body_deadline),
            drain_deadline: exactly(http.drain_deadline),
            body_limit: http.body_limit,
            connections: http.connections,
            alpha: health.alpha,
            min_samples: health.min_samples,
            relative_margin: health.relative_margin,
            absolute_margin_ms: health.absolute_margin_seconds * 1e3,
            failure_margin: health.failure_margin,
            promote_score: policy.judge.promote_score,
            rollback_score: policy.judge.rollback_score,
            segment_harm: policy.judge.segments.harm,
            sticky_header: http.request_headers.sticky_header().map(str::to_owned),
            allow_track_header: http.request_headers.allows_track_header(),
            allow_injection: service.allow_injection,
            breaker: GivenBreaker {
                failures: Some(policy.breaker.failures),
                probe_every: Some(exactly(policy.breaker.probe_every)),
            },
            feedback: GivenFeedback {
                enabled: Some(service.feedback.is_enabled),
                expires: Some(exactly(service.feedback.expires)),
            },
            post_promotion: PostPromotionOverride {
                watch: Some(exactly(policy.post_promotion.watch)),
                action: Some(policy.post_promotion.action),
            },
            segments: policy.judge.segments.given(),
            shadow: GivenShadow { redact: service.kept.redact.clone() },
            ring: GivenRing { capacity: service.kept.ring },
            plan: GivenPlan::from(&policy.plan),
            metrics: policy.judge.metrics.clone(),
            notify,
        };
        (shown, redacted)
    }
}
