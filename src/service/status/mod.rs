//! What is going on? The answers of /admin/status and of the health check, as plain values.

pub mod checklist;
pub mod diagnostics;
pub mod plan;
pub mod quality;
pub mod shadow;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::Ledger;
use super::Service;
use super::control::post_promotion::PostPromotionStatus;
use super::notify::TargetStatus;
use super::serving::breaker::BreakerStatus;
use super::status::checklist::ChecklistItem;
use super::status::checklist::checklist;
use super::status::diagnostics::Diagnostics;
use super::status::plan::PlanStatus;
use super::status::quality::QualityStatus;
use super::status::shadow::ShadowStatus;
use crate::canary::Entry;
use crate::canary::Forecast;
use crate::canary::Judgement;
use crate::canary::Refusal;
use crate::canary::Rollout;
use crate::canary::Samples;
use crate::canary::SequentialVerdict;
use crate::canary::Verdict;
use crate::canary::Version;
use crate::canary::observed::samples::Failures;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::policy::Mode;
use crate::canary::policy::fault::Injection;
use crate::canary::rollout::state::Ended;
use crate::canary::rollout::state::Phase;
use crate::store::StoreError;

/// Everything there is to know at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// How many journal entries led here; also the `ETag`.
    pub revision: u64,
    /// `idle`, `running`, `paused` or `awaiting_approval`.
    pub state: &'static str,
    /// Who is trusted.
    pub stable: StableStatus,
    /// Who is on trial.
    pub canary: Option<Version>,
    /// The canary's share of traffic, in percent; 0 without one.
    pub traffic_percent: f64,
    /// The rollout under way.
    pub rollout: Option<RolloutStatus>,
    /// Whether the canary is asked at all; `null` without one, or with the breaker turned off.
    pub breaker: Option<BreakerStatus>,
    /// What was observed at the current step.
    pub tracks: Tracks,
    /// What the canary says to stable's requests; `null` unless it is asked.
    pub shadow: Option<ShadowStatus>,
    /// What the health check says.
    pub health: Option<Health>,
    /// What would be done about it, and why.
    pub verdict: Option<VerdictStatus>,
    /// What a promotion takes, and what of it is there.
    pub checklist: Vec<ChecklistItem>,
    /// The watch over the newest promotion, while it lasts.
    pub post_promotion: Option<PostPromotionStatus>,
    /// What the command that this answers has brought about besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What came of predictions, as far as labels tell; `null` if none are taken.
    pub quality: Option<QualityStatus>,
    /// How the last rollout ended.
    pub last_rollout: Option<Ended>,
    /// Artifacts that may come back only by override, by digest, with the reason.
    pub quarantine: BTreeMap<String, String>,
    /// Whether the canary is slowed down on purpose.
    pub simulate_slowdown: bool,
    /// By how much.
    pub delay_ms: u32,
    /// Who is told of all this, and how far they are.
    pub notifications: Vec<TargetStatus>,
    /// What else is broken in the canary on purpose.
    pub injection: Option<Injection>,
    /// How long this process has been serving.
    pub uptime_seconds: f64,
}

/// The trusted version.
#[derive(Clone, Debug, Serialize)]
pub struct StableStatus {
    /// Its name.
    pub version: String,
    /// Its file in the models folder.
    pub file: String,
    /// Its identity.
    pub digest: String,
    /// Since when it is stable.
    pub since: Timestamp,
}

/// The rollout under way.
#[derive(Clone, Debug, Serialize)]
pub struct RolloutStatus {
    /// Counted from 1.
    pub id: u64,
    /// Counted from 1.
    pub step: u32,
    /// Who decides.
    pub mode: Mode,
    /// When the canary was deployed.
    pub started_at: Timestamp,
    /// When this step began.
    pub step_started_at: Timestamp,
    /// How long the step has lasted.
    pub elapsed_seconds: f64,
    /// How long it is to last at least; `null` until a person lets it go on.
    pub bake_seconds: Option<f64>,
    /// How much of that is left.
    pub remaining_bake_seconds: Option<f64>,
    /// What it does by itself; `null` if a person decides.
    pub plan: Option<PlanStatus>,
}

/// What was observed of both tracks.
#[derive(Clone, Debug, Serialize)]
pub struct Tracks {
    /// The trusted version.
    pub stable: TrackStatus,
    /// The version on trial.
    pub canary: TrackStatus,
}

/// What was observed of one track. Latencies are in milliseconds; `null` before there are any.
#[derive(Clone, Debug, Serialize)]
pub struct TrackStatus {
    /// Requests it was asked to answer.
    pub requests: u64,
    /// Latency samples: the requests it answered.
    pub samples: u64,
    /// Requests it did not answer.
    pub failures: u64,
    /// The same by kind.
    pub failures_by_kind: Failures,
    /// Failures by request.
    pub failure_rate: f64,
    /// Mean latency.
    pub mean_ms: Option<f64>,
    /// Standard deviation of latency.
    pub std_ms: Option<f64>,
    /// Median latency.
    pub p50_ms: Option<f64>,
    /// 95 % of latencies are below this.
    pub p95_ms: Option<f64>,
    /// 99 % of latencies are below this.
    pub p99_ms: Option<f64>,
    /// Mean predicted probability.
    pub mean_score: Option<f64>,
}

/// The health check's answer.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// Whether someone should act.
    pub alert_triggered: bool,
    /// `ok`, `alert` or `insufficient_data`.
    pub status: &'static str,
    /// Why, in a sentence.
    pub message: String,
    /// What becomes of a promotion now, with all that is heard: `promote` passes.
    pub verdict: Verdict,
    /// Whether harm is shown, at this look or at any time, in anything that acts.
    pub harm_is_shown: bool,
    /// The test on latency.
    pub test: &'static str,
    /// Its statistic.
    pub t_statistic: Option<f64>,
    /// Its degrees of freedom.
    pub degrees_of_freedom: Option<f64>,
    /// Its two-sided p-value.
    pub p_value: Option<f64>,
    /// The significance level.
    pub alpha: f64,
    /// Samples each track needs.
    pub min_samples: u64,
    /// The slowdown that is allowed.
    pub margin_ms: Option<f64>,
    /// Canary mean minus stable mean.
    pub difference_ms: Option<f64>,
    /// Its interval.
    pub confidence_interval_ms: Option<[f64; 2]>,
    /// The one-sided p-value of Fisher's exact test on failures.
    pub failure_p_value: f64,
    /// What may be concluded however often one looks. Harm found here stops a promotion, too.
    pub sequential: Option<SequentialVerdict>,
    /// What was seen beside the metrics: segments, the ratio of the samples, stalls of the machine.
    #[serde(flatten)]
    pub beside: Option<Diagnostics>,
    /// When there will be a verdict, and what could be found by then.
    pub forecast: Option<Forecast>,
    /// The trusted version.
    pub stable: TrackStatus,
    /// The version on trial.
    pub canary: TrackStatus,
}

/// A verdict with its reasons.
#[derive(Clone, Debug, Serialize)]
pub struct VerdictStatus {
    /// `promote`, `rollback` or `hold`.
    pub decision: Verdict,
    /// Why.
    pub reasons: Vec<String>,
}

impl Service {
    /// What is going on.
    pub fn status(&self) -> Status {
        self.status_of(&self.ledger.lock())
    }

    /// The health check of the canary.
    ///
    /// # Errors
    /// When there is no canary.
    pub fn health(&self) -> Result<Health, Refusal> {
        let ledger = self.ledger.lock();
        let rollout = ledger.state.running()?;
        let live = self.live.load();
        let observed = live.recorder.observed();
        let judgement = self.judged(rollout, &live, &observed);
        let forecast = self.watch.lock().forecast(rollout, self.clock.wall());
        Ok(Health::new(&judgement, &observed.all(), forecast))
    }

    /// Journal entries after a revision, in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn history(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.store.entries(after, limit)
    }

    /// The newest journal entries, in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn newest_history(&self, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let after = self.store.newest_sequence()?.saturating_sub(limit as u64);
        self.store.entries(after, limit)
    }

    pub(super) fn status_of(&self, ledger: &Ledger) -> Status {
        let state = &ledger.state;
        let live = self.live.load();
        let observed = live.recorder.observed();
        let samples = observed.all();
        let now = self.clock.wall();
        let judgement =
            state.rollout.as_ref().map(|rollout| self.judged(rollout, &live, &observed));
        let watch = self.watch.lock();
        let forecast = state.rollout.as_ref().and_then(|rollout| watch.forecast(rollout, now));
        drop(watch);
        let uptime = self.clock.steady().saturating_sub(self.started);
        Status {
            revision: ledger.revision,
            state: match state.rollout.as_ref().map(|rollout| rollout.phase) {
                None => "idle",
                Some(Phase::Running) => "running",
                Some(Phase::Paused) => "paused",
                Some(Phase::AwaitingApproval) => "awaiting_approval",
            },
            stable: StableStatus {
                version: state.stable.name.clone(),
                file: state.stable.file.clone(),
                digest: state.stable.digest.clone(),
                since: state.stable_since,
            },
            canary: state.rollout.as_ref().map(|rollout| rollout.canary.clone()),
            traffic_percent: state.rollout.as_ref().map_or(0.0, |r| r.weight().percent()),
            rollout: state.rollout.as_ref().map(|rollout| {
                let plan = judgement.as_ref().and_then(|judgement| {
                    let action = self.next_action(rollout, &live, &observed, judgement);
                    PlanStatus::new(rollout, action)
                });
                RolloutStatus::new(rollout, now, plan)
            }),
            breaker: live.canary.as_ref().and_then(|it| it.breaker.as_ref()).map(|it| it.status()),
            tracks: Tracks {
                stable: TrackStatus::new(&samples.stable),
                canary: TrackStatus::new(&samples.canary),
            },
            shadow: state.rollout.as_ref().and_then(|it| self.shadow_status(it, &live, &observed)),
            health: judgement.as_ref().map(|judgement| Health::new(judgement, &samples, forecast)),
            verdict: judgement.as_ref().map(|judgement| VerdictStatus {
                decision: judgement.verdict,
                reasons: judgement.reasons.clone(),
            }),
            checklist: match (&state.rollout, &judgement) {
                (Some(rollout), Some(judgement)) => checklist(rollout, judgement),
                (None, _) | (_, None) => Vec::new(),
            },
            post_promotion: self.post_promotion_status(ledger),
            note: None,
            quality: QualityStatus::of(&self.feedback),
            last_rollout: state
                .last
                .as_ref()
                .map(|last| Ended { cool_down_until: state.cool_down_until(now), ..last.clone() }),
            quarantine: state.quarantine.clone(),
            simulate_slowdown: state.slowdown.enabled,
            delay_ms: state.slowdown.delay_ms,
            notifications: self.notifications.status(),
            injection: state.rollout.as_ref().and_then(Rollout::injected).cloned(),
            uptime_seconds: uptime.as_secs_f64(),
        }
    }
}

impl RolloutStatus {
    fn new(rollout: &Rollout, now: Timestamp, plan: Option<PlanStatus>) -> RolloutStatus {
        let (elapsed, bake) = (rollout.elapsed(now), rollout.bake());
        let seconds = |duration: Duration| (duration.as_secs_f64() * 1e3).round() / 1e3;
        RolloutStatus {
            id: rollout.id,
            step: rollout.step,
            mode: rollout.mode(),
            started_at: rollout.started_at,
            step_started_at: rollout.step_started_at,
            elapsed_seconds: seconds(elapsed),
            bake_seconds: bake.map(seconds),
            remaining_bake_seconds: bake.map(|bake| seconds(bake.saturating_sub(elapsed))),
            plan,
        }
    }
}

impl TrackStatus {
    fn new(samples: &TrackSamples) -> TrackStatus {
        let latency = &samples.latency;
        let failures = samples.failures.total();
        let rate = |requests: u64| failures as f64 / requests.max(1) as f64;
        TrackStatus {
            requests: samples.requests,
            samples: latency.count(),
            failures,
            failures_by_kind: samples.failures,
            failure_rate: rate(samples.requests),
            mean_ms: latency.mean().map(milliseconds),
            std_ms: latency.std_dev().map(milliseconds),
            p50_ms: latency.quantile(0.50).map(milliseconds),
            p95_ms: latency.quantile(0.95).map(milliseconds),
            p99_ms: latency.quantile(0.99).map(milliseconds),
            mean_score: samples.score.mean(),
        }
    }
}

impl Health {
    fn new(judgement: &Judgement, samples: &Samples, forecast: Option<Forecast>) -> Health {
        let latency = judgement.evidence.latency.as_ref();
        let (verdict, reasons) = judgement.health();
        let (status, alert_triggered) = match verdict {
            Verdict::Promote => ("ok", false),
            Verdict::Rollback => ("alert", true),
            Verdict::Hold => ("insufficient_data", false),
        };
        Health {
            alert_triggered,
            status,
            message: reasons.join("; "),
            verdict: judgement.verdict,
            harm_is_shown: judgement.harm_is_shown(),
            test: "welch_t",
            t_statistic: latency.and_then(|evidence| evidence.t_statistic),
            degrees_of_freedom: latency.and_then(|evidence| evidence.degrees_of_freedom),
            p_value: latency.map(|evidence| evidence.p_value),
            alpha: judgement.policy.alpha,
            min_samples: judgement.policy.min_samples,
            margin_ms: latency.map(|evidence| milliseconds(evidence.margin_seconds)),
            difference_ms: latency.map(|evidence| milliseconds(evidence.difference_seconds)),
            confidence_interval_ms: latency.map(|evidence| {
                let (low, high) = evidence.interval_seconds;
                [milliseconds(low), milliseconds(high)]
            }),
            failure_p_value: judgement.evidence.failures.p_value,
            sequential: judgement.watch.as_ref().map(|watch| watch.conclusion.clone()),
            beside: judgement.watch.as_ref().map(Diagnostics::new),
            forecast,
            stable: TrackStatus::new(&samples.stable),
            canary: TrackStatus::new(&samples.canary),
        }
    }
}

/// Seconds as milliseconds, to a tenth of a nanosecond: more digits would only be noise to read.
pub(super) fn milliseconds(seconds: f64) -> f64 {
    let rounded = (seconds * 1e10).round() / 1e7;
    if rounded.is_finite() { rounded } else { seconds * 1e3 }
}
