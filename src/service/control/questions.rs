//! Questions to the service: status, health check, history. They read and write nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Control;
use super::ledger::Position;
use super::registry::latest::Newest;
use crate::canary::Entry;
use crate::canary::Refusal;
use crate::canary::Rollout;
use crate::canary::rollout::state::Ended;
use crate::service::status::Status;
use crate::service::status::features::FeaturesStatus;
use crate::service::status::health::Health;
use crate::service::status::inputs::InputsStatus;
use crate::service::status::metrics::Snapshot;
use crate::service::status::metrics::Storage;
use crate::service::status::metrics::summary::Summaries;
use crate::service::status::overview::RolloutState;
use crate::service::status::overview::RolloutStatus;
use crate::service::status::overview::StableStatus;
use crate::service::status::post_promotion::PostPromotionStatus;
use crate::service::status::quality::QualityStatus;
use crate::service::status::report::distributions::Distributions;
use crate::service::status::shadow::ShadowStatus;
use crate::service::status::tracks::Tracks;
use crate::store::StoreError;
use crate::text::exposition::Format;

impl Control {
    /// The status of everything.
    pub fn status(&self) -> Status {
        self.status_of(&self.position.load())
    }

    /// The health check of the canary.
    ///
    /// # Errors
    /// When there is no canary.
    pub fn health(&self) -> Result<Health, Refusal> {
        let position = self.position.load();
        let (rollout, live) = (position.state.running()?, &position.live);
        let observed = live.recorder.observed();
        let newest = self.newest_evidence(live);
        let as_of = newest.as_ref().map(|it| it.as_of);
        let judgement = self.judged(rollout, &observed, newest.map(|it| it.evidence));
        let forecast = self.judge.lock().forecast(rollout, self.clock.wall());
        let health =
            Health::new(&judgement, &observed.all(), forecast, as_of, &position.state.earlier);
        let (features, inputs) = (FeaturesStatus::of(live), InputsStatus::of(live));
        Ok(Health { features, inputs, queries: self.reported.queries.all(), ..health })
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
        self.store.newest_entries(limit)
    }

    /// The metrics as text.
    pub fn metrics(&self, format: Format) -> String {
        self.snapshot(&self.position.load()).written(format)
    }

    /// Both tracks side by side.
    pub fn summaries(&self) -> Summaries {
        self.snapshot(&self.position.load()).summaries()
    }

    /// The distributions of both tracks at this step.
    pub fn distributions(&self) -> Distributions {
        let position = self.position.load();
        let live = &position.live;
        let kind = live.stable.inference.model().output();
        Distributions::new(&live.recorder.observed().all(), kind)
    }

    /// The newest files of the models folder, as they were at most two seconds ago.
    pub fn newest_models(&self) -> Arc<Newest> {
        self.registry.newest(self.clock.steady())
    }

    /// What metrics are made of. Waits for no command and no disk.
    fn snapshot<'a>(&'a self, position: &'a Position) -> Snapshot<'a> {
        let Position { state, revision, live } = position;
        let observed = live.recorder.observed();
        let newest = self.newest_evidence(live);
        let as_of = newest.as_ref().map(|it| it.as_of);
        let evidence = newest.map(|it| it.evidence);
        let judgement = match (&state.rollout, state.post_promotion.as_deref()) {
            (Some(rollout), _) => Some(self.judged(rollout, &observed, evidence)),
            (None, Some(promotion)) => Some(self.judged_after(promotion, evidence)),
            (None, None) => None,
        };
        Snapshot {
            state,
            revision: *revision,
            live,
            totals: self.serving.totals(),
            exemplars: &self.serving.exemplars,
            observed,
            judgement,
            as_of,
            shadow_waiting: self.serving.shadow.waiting(),
            queries: self.reported.queries.all(),
            storage: Storage {
                is_up: self.store_health.is_up(),
                failures: self.store_health.failures(),
                durations: self.store_health.durations.counted(),
                leads: self.is_shared().then(|| self.decides()),
                is_rollback_pending: self.store_health.is_rollback_pending.load(Ordering::Relaxed),
                bytes: self.store.bytes(),
                evidence: self.judge.lock().bytes(),
            },
        }
    }

    /// The status at a position. Waits for no command and no disk.
    pub(crate) fn status_of(&self, position: &Position) -> Status {
        let Position { state, revision, live } = position;
        let rollout = state.rollout.as_ref();
        let observed = live.recorder.observed();
        let samples = observed.all();
        let now = self.clock.wall();
        let store_lost = self.store_lost.lock().clone();
        let is_off = store_lost.as_ref().is_some_and(|lost| lost.canary_is_off);
        let newest = self.newest_evidence(live);
        let as_of = newest.as_ref().map(|it| it.as_of);
        let evidence = newest.map(|it| it.evidence);
        let post_promotion = state.post_promotion.as_deref().map(|promotion| {
            let judgement = self.judged_after(promotion, evidence.clone());
            PostPromotionStatus::new(promotion, judgement, as_of)
        });
        let judged = rollout.map(|rollout| {
            let judgement = self.judged(rollout, &observed, evidence);
            let action = self.next_action(rollout, live, &observed, &judgement);
            (judgement, action)
        });
        let of_step = observed.pairs.as_ref().map_or(0, |pairs| pairs.answered());
        let sequential = judged.as_ref().and_then(|(judgement, _)| judgement.sequential.as_ref());
        let pairs = of_step.max(sequential.map_or(0, |it| it.pairs()));
        let health = rollout.zip(judged.as_ref()).map(|(rollout, (judgement, _))| {
            let forecast = self.judge.lock().forecast(rollout, now);
            Health::new(judgement, &samples, forecast, as_of, &state.earlier)
        });
        Status {
            revision: *revision,
            at: now,
            state: RolloutState::new(rollout.map(|rollout| rollout.phase)),
            stable: StableStatus {
                version: state.stable.clone(),
                since: state.stable_since,
                library: live.stable.library(),
            },
            canary: rollout.map(|rollout| rollout.canary.clone()),
            canary_library: live.canary.as_ref().and_then(|canary| canary.loaded.library()),
            traffic_percent: rollout.map_or(0.0, |rollout| rollout.weight().percent()),
            rollout: rollout.map(|rollout| {
                let last_request = self.judge.lock().last_request(rollout);
                RolloutStatus::new(rollout, now, judged.as_ref(), last_request)
            }),
            breaker: live.canary.as_ref().and_then(|it| it.breaker.as_ref()).map(|it| it.status()),
            tracks: Tracks::new(&samples),
            shadow: rollout.and_then(|rollout| {
                let waiting = self.serving.shadow.waiting();
                ShadowStatus::new(rollout, &observed, waiting, live.recorder.dropped())
            }),
            health,
            post_promotion,
            note: live.canary.as_ref().filter(|it| !it.lane.is_open() && !is_off).map(|_| {
                "a rollback is under way: the canary gets no requests, and the journal is about to be written"
                    .to_owned()
            })
            .or_else(|| store_lost.as_ref().map(|lost| lost.cause.clone())),
            store_lost,
            warnings: live.warnings().to_vec(),
            on_kept_rows: live.canary.as_ref().and_then(|canary_slot| {
                let trial = canary_slot.loaded.trial.get()?;
                trial.on_kept_rows.clone().filter(|it| pairs < it.rows.max(1))
            }),
            features: FeaturesStatus::of(live),
            inputs: InputsStatus::of(live),
            queries: self.reported.queries.all(),
            quality: QualityStatus::of(&self.reported.feedback),
            last_rollout: state
                .last
                .as_ref()
                .map(|last| Ended { cool_down_until: state.cool_down_until(now), ..last.clone() }),
            quarantine: state.quarantine.clone(),
            simulate_slowdown: state.slowdown.enabled,
            delay_ms: state.slowdown.delay_ms,
            notifications: self.notifications.status(),
            injection: rollout.and_then(Rollout::injected).cloned(),
            totals: self.serving.totals(),
            uptime_seconds: self.clock.steady().saturating_sub(self.started).as_secs_f64(),
            fleet: self.fleet_status(),
        }
    }
}
