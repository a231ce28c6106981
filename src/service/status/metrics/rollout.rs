//! Metrics of the rollout and of its circuit breaker.

use super::Snapshot;
use super::seconds;
use crate::canary::Rollout;
use crate::canary::rollout::state::Outcome;
use crate::canary::rollout::state::Phase;
use crate::service::serving::circuit_breaker::BreakerState;
use crate::text::exposition::Exposition;
use crate::text::exposition::Kind;

impl Snapshot<'_> {
    pub(super) fn write_rollout(&self, out: &mut Exposition) {
        let rollout = self.state.rollout.as_ref();
        let gauge = Kind::Gauge;
        let phase = rollout.map(|rollout| rollout.phase);
        let states = [
            ("idle", None),
            ("running", Some(Phase::Running)),
            ("paused", Some(Phase::Paused)),
            ("awaiting_approval", Some(Phase::AwaitingApproval)),
        ];
        let help = "1 for the state of the rollout, 0 for the other states.";
        let named = states.map(|(name, state)| (name, state == phase));
        out.states(("serin_rollout_state", "state"), help, named);
        let help = "Whether the newest promotion is monitored and can be reverted.";
        out.one(gauge, "serin_promotion_monitored", help, self.state.post_promotion.is_some());
        out.one(Kind::Counter, "serin_rollouts", "Rollouts begun.", self.state.rollouts);
        let step = rollout.map_or(0, |rollout| u64::from(rollout.step));
        out.one(gauge, "serin_rollout_step", "Step of the rollout; 0 without one.", step);

        let weight = rollout.map_or(0.0, |rollout| rollout.weight().share());
        let help = "Share of the traffic that the canary is to get.";
        out.one(gauge, "serin_canary_weight_ratio", help, weight);
        let (stable, canary) = self.requests_of_step();
        if rollout.is_some() && stable + canary > 0 {
            let help = "Share of the requests that the canary got since the step began.";
            let share = canary as f64 / (stable + canary) as f64;
            out.one(gauge, "serin_canary_traffic_ratio", help, share);
        }
        let shadow = rollout.map_or(0.0, |rollout| rollout.shadow().share());
        let help = "Share of stable's requests that the canary is to answer in shadow.";
        out.one(gauge, "serin_shadow_weight_ratio", help, shadow);
        self.write_times(rollout, out);
        self.write_last(out);
    }

    fn write_times(&self, rollout: Option<&Rollout>, out: &mut Exposition) {
        let Some(rollout) = rollout else { return };
        let mut time = |name: &str, help: &str, at| out.one(Kind::Gauge, name, help, seconds(at));
        let help = "When the rollout began.";
        time("serin_rollout_started_timestamp_seconds", help, rollout.started_at);
        let help = "When its step began.";
        time("serin_rollout_step_started_timestamp_seconds", help, rollout.step_started_at);
        if let Some(deadline) = rollout.deadline_at {
            time("serin_rollout_deadline_timestamp_seconds", "When its plan gives up.", deadline);
        }
    }

    fn write_last(&self, out: &mut Exposition) {
        let last = self.state.last.as_ref();
        let outcomes = [
            ("promoted", Outcome::Promoted),
            ("rolled_back", Outcome::RolledBack),
            ("no_verdict", Outcome::NoVerdict),
            ("reverted", Outcome::Reverted),
        ];
        let is_last = |outcome| last.is_some_and(|last| last.outcome == outcome);
        let help = "1 for how the last rollout ended, 0 for the other outcomes.";
        let named = outcomes.map(|(name, outcome)| (name, is_last(outcome)));
        out.states(("serin_last_rollout_outcome", "outcome"), help, named);
        if let Some(last) = last {
            let help = "When the last rollout ended.";
            let name = "serin_last_rollout_ended_timestamp_seconds";
            out.one(Kind::Gauge, name, help, seconds(last.at));
        }
    }

    pub(super) fn write_breaker(&self, out: &mut Exposition) {
        let breaker = self.live.canary.as_ref().and_then(|slot| slot.breaker.as_ref());
        let status = breaker.map(|breaker| breaker.status());
        let state = status.as_ref().map(|status| status.state);
        let states = [
            ("off", None),
            ("closed", Some(BreakerState::Closed)),
            ("open", Some(BreakerState::Open)),
            ("tripped", Some(BreakerState::Tripped)),
        ];
        let help = "1 for the state of the canary's circuit breaker; off without a canary.";
        let named = states.map(|(name, one)| (name, one == state));
        out.states(("serin_breaker_state", "state"), help, named);
        let failures = status.map_or(0, |status| u64::from(status.consecutive_failures));
        let help = "Failures of the canary since it last answered.";
        out.one(Kind::Gauge, "serin_breaker_consecutive_failures", help, failures);
        let help = "How often circuit breakers have opened.";
        out.one(Kind::Counter, "serin_breaker_opened", help, self.totals.breaker_opened);
    }

    /// Requests of stable and of the canary since the step began.
    fn requests_of_step(&self) -> (u64, u64) {
        let parts = [Some(&self.observed.first), self.observed.repeated.as_ref()];
        let parts = parts.into_iter().flatten();
        parts.fold((0, 0), |(stable, canary), part| {
            (stable + part.stable.requests, canary + part.canary.requests)
        })
    }
}
