//! Sequential judge of the running rollout: takes in one tick of samples at a time.
//!
//! Only writers close a tick: the ticker once a second, the controller at each look, a command that is
//! judged, and a change of step. Each tick is logged and saved with the next checkpoint. Questions (status,
//! health check) read the newest evidence and write nothing.
//!
//! `histories`: how the interval of each metric has narrowed. `plan_warnings`: what the traffic before a plan says of it.
//! `shares`: what followers hand to the leader. `in_fleet`: leading and following.

pub(crate) mod histories;
mod in_fleet;
mod plan_warnings;
pub(crate) mod shares;

use std::collections::BTreeMap;

use jiff::SignedDuration;
use jiff::Timestamp;

use super::rate::Arrivals;
use super::rate::Rate;
use crate::canary::Forecast;
use crate::canary::Increment;
use crate::canary::JudgePolicy;
use crate::canary::LogRecord;
use crate::canary::LoggedTick;
use crate::canary::Monitors;
use crate::canary::Pairs;
use crate::canary::Rollout;
use crate::canary::Samples;
use crate::canary::State;
use crate::canary::judge::evidence::SequentialEvidence;
use crate::canary::judge::forecast::Traffic;
use crate::canary::judge::forecast::forecast;
use crate::canary::judge::sequential::metric_history::MetricHistories;
use crate::canary::judge::tick_log::Bounds;
use crate::canary::judge::tick_log::Unsaved;
use crate::canary::observed::groups::GroupsIncrement;
use crate::canary::observed::outputs::OutputsIncrement;
use crate::canary::policy::segments::SegmentName;
use crate::service::reported::Reported;
use crate::service::serving::live::Live;
use crate::service::serving::recorder::Observed;
use crate::service::serving::recorder::Taken;
use crate::service::status::metrics::EvidenceBytes;
use crate::store::ReplicaId;
use crate::store::Role;
use shares::OfStep;
use shares::Shares;

/// The sequential judge of the running rollout, and up to which samples it has seen.
pub(crate) struct SequentialJudge {
    judged: Option<Judged>,
    /// Requests and users who come while no rollout is running.
    arrivals: Arrivals,
    /// How much of the tick log is kept.
    pub(crate) bounds: Bounds,
    /// The part of this process in its fleet. Changed by the ticker.
    role: Role,
    /// The number of the newest share that this process has handed over.
    handed: u64,
}

struct Judged {
    rollout: u64,
    step: u32,
    digest: String,
    /// Whether it was promoted: then only labels of earlier predictions still come.
    is_promoted: bool,
    policy: JudgePolicy,
    /// Samples from before are not judged.
    warm_until: Timestamp,
    /// Whether the last tick belonged to the warm-up.
    is_warm: bool,
    /// The samples of the step up to the last tick.
    seen: Samples,
    /// The pairs of the step up to the last tick.
    seen_pairs: Option<Pairs>,
    monitors: Monitors,
    /// The history of each metric since the rollout began, or since the start.
    histories: MetricHistories,
    /// The ticks before these, of which the tick log has the history, until it is asked for; 0 if there are none.
    earlier_ticks: u64,
    /// Ticks that are not in the store yet.
    unsaved: Unsaved,
    rate: Rate,
    /// The rate of requests of keys that were seen before.
    repeated: Rate,
    /// How many of them there were in this step up to the last tick.
    seen_repeated: u64,
    /// Everything recorded before this moment is in the evidence or was left out deliberately.
    as_of: Timestamp,
    /// When the last tick with observations closed; `None` before the first since the start.
    taken_at: Option<Timestamp>,
    /// When the visits of keys were taken in.
    visits_at: Timestamp,
    /// When the inputs were taken in.
    inputs_at: Timestamp,
    shares: Shares,
    /// Whether the monitors are those of the store. Those that a follower begins with know only its own samples of
    /// stable.
    is_of_store: bool,
}

/// Visits of keys are taken in at least so often, so that a crash loses few of them. Between two looks at them nothing
/// else depends on it, and they take up to 10 kB of the tick log.
const VISITS_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// Inputs wait no longer than this, so that a crash loses few of them.
const INPUTS_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// The newest evidence.
pub(crate) struct Newest {
    pub(crate) evidence: SequentialEvidence,
    /// When its last tick closed.
    pub(crate) as_of: Timestamp,
}

/// What a checkpoint saves of the judge, in one transaction.
pub(crate) struct ToSave {
    /// Its monitors.
    pub(crate) monitors: Monitors,
    /// The records since the last save.
    pub(crate) records: Vec<LogRecord>,
    /// The position of their end.
    pub(crate) position: u64,
    /// The newest share of each other replica in the ticks.
    pub(crate) taken: BTreeMap<ReplicaId, u64>,
    /// How many own increments are in the ticks, to be forgotten once they are saved.
    own: usize,
}

impl Default for SequentialJudge {
    fn default() -> SequentialJudge {
        let (arrivals, bounds) = (Arrivals::default(), Bounds::default());
        SequentialJudge { judged: None, arrivals, bounds, role: Role::Alone, handed: 0 }
    }
}

impl SequentialJudge {
    /// The judge of a rollout, with monitors that have seen these samples of its step.
    pub(crate) fn over(
        rollout: &Rollout,
        monitors: Monitors,
        unsaved: Unsaved,
        seen: Observed,
        at: Timestamp,
    ) -> SequentialJudge {
        SequentialJudge {
            judged: Some(Judged::over(rollout, monitors, unsaved, seen, at)),
            ..SequentialJudge::default()
        }
    }

    /// Continues after the promotion: only labels of earlier predictions still come.
    pub(crate) fn post_promotion(&mut self) {
        self.judged.iter_mut().for_each(|judged| judged.is_promoted = true);
    }

    /// Rollout, step and artifact of the monitored promotion.
    pub(crate) fn promoted(&self) -> Option<(u64, u32, String)> {
        let judged = self.judged.as_ref().filter(|judged| judged.is_promoted)?;
        Some((judged.rollout, judged.step, judged.digest.clone()))
    }

    /// Closes a tick with everything recorded before `at`; whether these samples are of the judged step.
    ///
    /// `taken` must have been read after `at`.
    pub(crate) fn tick(
        &mut self,
        live: &Live,
        taken: &Taken,
        reported: &Reported,
        at: Timestamp,
    ) -> bool {
        self.count_arrivals(live, at);
        if !self.is_of(live) {
            return false;
        }
        let Some(judged) = &mut self.judged else { return false };
        judged.as_of = judged.as_of.max(at);
        if judged.is_promoted {
            let (losses, errors) = reported.feedback.take_losses();
            if !losses.is_empty() || !errors.is_empty() {
                let outputs = OutputsIncrement { errors, ..OutputsIncrement::default() };
                let increment = Increment { losses, outputs, ..Increment::default() };
                judged.pass_on(increment, at, &self.bounds);
            }
            return true;
        }
        let Some(canary_slot) = &live.canary else { return false };
        let Taken { observed, groups } = taken;
        let Observed { first: samples, pairs, .. } = observed;
        // Of two concurrent ticks, the one that read first and closes last adds nothing.
        let increment = Increment::between(canary_slot.split.weight(), &judged.seen, samples)
            .and_then(|it| it.with_pairs(judged.seen_pairs.as_ref(), pairs.as_ref()));
        let Some(mut increment) = increment else { return true };
        let (stable, canary) = (&increment.stable.latency, &increment.canary.latency);
        increment.groups = GroupsIncrement::of(groups.clone(), stable, canary);
        // The tick in which the warm-up ends belongs to it.
        let is_warming = at < judged.warm_until || judged.is_warm;
        if increment.weight.is_certain() || is_warming {
            // Without randomization recorded values compare nothing, and in the warm-up nothing is judged.
            reported.recordings.drop_waiting();
        } else {
            increment.recorded = reported.recordings.increments();
            increment.queried = reported.recordings.observations();
        }
        increment.segments = live.recorder.take_segments(&canary_slot.segments);
        // A label carries its own share, so it does not wait for a change of share.
        (increment.losses, increment.outputs.errors) = reported.feedback.take_losses();
        let requests = increment.stable.requests + increment.canary.requests;
        judged.rate.count(requests + judged.shares.waiting_requests(), at);
        let repeated = observed.repeated.as_ref().map_or(0, Samples::requests);
        judged.repeated.count(repeated.saturating_sub(judged.seen_repeated), at);
        judged.seen_repeated = judged.seen_repeated.max(repeated);
        if is_warming {
            judged.is_warm = at < judged.warm_until;
            let rest = if judged.is_warm {
                (samples.clone(), pairs.clone())
            } else {
                // Keys seen so far were not judged and are judged once. Samples until the next read are left
                // out rather than counted twice.
                canary_slot.keys.forget();
                live.recorder.take_visits();
                let Observed { first, pairs, .. } = live.recorder.take().observed;
                (first, pairs)
            };
            live.inputs.drop_drawn();
            (judged.seen, judged.seen_pairs) = rest;
            return true;
        }
        let waiting = live.recorder.waiting_visits();
        let is_due = at.duration_since(judged.visits_at) >= VISITS_EVERY;
        if is_due || judged.monitors.wants_visits(waiting) {
            (increment.visits, judged.visits_at) = (live.recorder.take_visits(), at);
        }
        if increment.weight.is_certain() {
            live.inputs.drop_drawn();
        } else {
            let is_overdue = at.duration_since(judged.inputs_at) >= INPUTS_EVERY;
            let known = judged.monitors.input_table();
            increment.inputs = live.inputs.take_drawn(known, is_overdue);
            if !increment.inputs.is_empty() {
                judged.inputs_at = at;
            }
        }
        // A tick without new samples changes nothing.
        if !increment.is_empty() || judged.shares.is_waiting() {
            judged.pass_on(increment, at, &self.bounds);
            (judged.seen, judged.seen_pairs) = (samples.clone(), pairs.clone());
        }
        true
    }

    /// Counts requests and users who come while no rollout is running.
    pub(crate) fn count_arrivals(&mut self, live: &Live, at: Timestamp) {
        if live.canary.is_none() {
            self.arrivals.count(live, &live.recorder.observed(), at);
        }
    }

    /// Whether the judged step is being served, or was promoted.
    fn is_of(&self, live: &Live) -> bool {
        self.judged.as_ref().is_some_and(|judged| {
            let served = live.canary.as_ref().map(|slot| (slot.rollout, slot.step));
            judged.is_promoted || served == Some((judged.rollout, judged.step))
        })
    }

    /// The evidence of the newest tick; `None` if the served step is not judged.
    pub(crate) fn newest(&self, live: &Live) -> Option<Newest> {
        let judged = self.judged.as_ref().filter(|_| self.is_of(live))?;
        if !judged.shares.role.decides() && !judged.is_of_store {
            return None;
        }
        let evidence = SequentialEvidence::new(&judged.policy, &judged.monitors);
        Some(Newest { evidence, as_of: judged.as_of })
    }

    /// The forecast at the current request rate.
    pub(crate) fn forecast(&self, rollout: &Rollout, now: Timestamp) -> Option<Forecast> {
        let judged = self.judged.as_ref().filter(|judged| judged.rollout == rollout.id)?;
        let left = rollout.bake().unwrap_or_default().saturating_sub(rollout.elapsed(now));
        let evidence = SequentialEvidence::new(&judged.policy, &judged.monitors);
        // Who promotes by hand accepts a shift.
        let accepts = rollout.accepts_shift() || rollout.mode().is_manual();
        let traffic = Traffic {
            weight: rollout.weight(),
            judged_per_second: judged.rate.per_second(now),
            repeated_per_second: judged.repeated.per_second(now),
            remaining_bake: left,
        };
        Some(forecast(&evidence.accepting_shift(accepts), &traffic))
    }

    /// When the newest request was counted; `None` if none was since this process judges the rollout.
    pub(crate) fn last_request(&self, rollout: &Rollout) -> Option<Timestamp> {
        let judged = self.judged.as_ref().filter(|judged| judged.rollout == rollout.id)?;
        judged.rate.last().max(judged.repeated.last())
    }

    /// The segments seen.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &SegmentName> {
        self.judged.iter().flat_map(|judged| judged.monitors.segments())
    }

    /// The monitors and records to save.
    pub(crate) fn begin_saving(&mut self) -> Option<ToSave> {
        let Judged { monitors, unsaved, shares, .. } = self.judged.as_mut()?;
        let (records, position) = unsaved.records();
        let (taken, own) = (shares.taken(), shares.sealed().len());
        Some(ToSave { monitors: monitors.clone(), records, position, taken, own })
    }

    /// Bytes of the tick log.
    pub(crate) fn bytes(&self) -> EvidenceBytes {
        let (chunk, unsaved) = self.judged.as_ref().map_or((0, 0), |it| it.unsaved.bytes());
        EvidenceBytes { chunk, unsaved }
    }

    /// Forgets what is in the store.
    pub(crate) fn saved(&mut self, rollout: u64, saved: &ToSave) {
        if let Some(judged) = self.judged.as_mut().filter(|judged| judged.rollout == rollout) {
            judged.unsaved.saved(saved.position);
            judged.shares.saved(saved.own);
        }
    }

    /// Follows a change of state. The evidence of a rollout continues over its steps, because each tick knows
    /// its own share. A new rollout starts from stable's samples before it.
    pub(crate) fn follow(
        &mut self,
        state: &State,
        before: &Live,
        reported: &Reported,
        at: Timestamp,
    ) {
        let recordings = &reported.recordings;
        let last = before.recorder.take();
        self.tick(before, &last, reported, at);
        let Some(rollout) = &state.rollout else {
            let goes_on = state.post_promotion.as_ref().map(|promotion| promotion.rollout.id);
            self.judged = self.judged.take().filter(|it| Some(it.rollout) == goes_on);
            self.post_promotion();
            recordings.judge([], 0);
            return;
        };
        match &mut self.judged {
            Some(judged) if judged.rollout == rollout.id => {
                if judged.step != rollout.step {
                    (judged.step, judged.seen) = (rollout.step, Samples::default());
                    (judged.seen_pairs, judged.seen_repeated) = (None, 0);
                    recordings.drop_waiting();
                }
            }
            Some(_) | None => {
                // Values of the last canary say nothing about this one.
                recordings.clear();
                recordings.judge(rollout.metrics_from_outside(), rollout.salt);
                let monitors = Monitors::new(&rollout.policy.judge, &last.observed.first.stable);
                let unsaved = Unsaved::beginning(&monitors);
                let seen = Observed::default();
                let mut judged = Judged::over(rollout, monitors, unsaved, seen, at);
                judged.shares = Shares::new(self.role);
                if let Some(before) = self.judged.replace(judged) {
                    // Whether they are in the store is not known, so their numbers are not used again.
                    self.handed += before.shares.being_saved();
                }
            }
        }
    }
}

/// How long a tick lasts unless it is known.
const USUAL_MILLIS: u128 = 1000;

impl Judged {
    fn over(
        rollout: &Rollout,
        monitors: Monitors,
        unsaved: Unsaved,
        seen: Observed,
        at: Timestamp,
    ) -> Judged {
        Judged {
            rollout: rollout.id,
            step: rollout.step,
            digest: rollout.canary.digest.clone(),
            is_promoted: false,
            policy: rollout.policy.judge.clone(),
            warm_until: rollout.warm_until(),
            is_warm: false,
            seen: seen.first,
            seen_pairs: seen.pairs,
            earlier_ticks: monitors.ticks(),
            histories: MetricHistories::default(),
            monitors,
            unsaved,
            rate: Rate::new(at),
            repeated: Rate::new(at),
            seen_repeated: seen.repeated.as_ref().map_or(0, Samples::requests),
            as_of: at,
            taken_at: None,
            visits_at: at,
            inputs_at: at,
            shares: Shares::new(Role::Alone),
            is_of_store: false,
        }
    }

    /// Replaces the monitors by those after other ticks.
    fn show(&mut self, monitors: Monitors) {
        if monitors.ticks() != self.monitors.ticks() {
            // The history of the metrics is read from the log when it is asked for.
            (self.histories, self.earlier_ticks) = (MetricHistories::default(), monitors.ticks());
        }
        self.monitors = monitors;
        self.is_of_store = true;
    }

    /// Judges what this process and others have observed, or keeps it for the leader.
    fn pass_on(&mut self, mut increment: Increment, at: Timestamp, bounds: &Bounds) {
        if self.shares.role != Role::Alone {
            self.shares.keep(self.step, &increment);
        }
        if !self.shares.role.decides() {
            return;
        }
        for OfStep { step, increment: other } in self.shares.take() {
            if step == self.step && other.weight == increment.weight {
                increment.merge(other);
            } else {
                self.take_in(other, step, at, bounds);
            }
        }
        if !increment.is_empty() {
            self.take_in(increment, self.step, at, bounds);
        }
    }

    /// Updates the monitors with a tick of a step and logs it.
    fn take_in(&mut self, increment: Increment, step: u32, at: Timestamp, bounds: &Bounds) {
        // A clock that was set back tells nothing of the time that has passed.
        let elapsed = self.taken_at.map(|before| at.duration_since(before).as_millis());
        let elapsed = elapsed.and_then(|it| u128::try_from(it).ok());
        let increment = &increment.lasting(elapsed.unwrap_or(USUAL_MILLIS));
        self.taken_at = Some(at);
        self.monitors.tick(increment);
        let tick = LoggedTick::new(self.monitors.ticks(), step, at, increment);
        self.histories.take_in(&self.policy, &self.monitors, &tick, increment.weight);
        self.unsaved.push(tick, &self.monitors, bounds);
    }
}
