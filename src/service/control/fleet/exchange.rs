//! Exchange with the other replicas, once a second and before a command that rests on evidence.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::report::Report;
use super::report::step_of;
use crate::canary::State;
use crate::canary::judge::tick_log::Unsaved;
use crate::service::control::Control;
use crate::service::control::error::CommandError;
use crate::service::control::sequential_judge::shares::Handed;
use crate::service::control::startup::adopt_date;
use crate::service::control::startup::evidence::checkpoint_of;
use crate::service::control::startup::evidence::labels_of;
use crate::service::control::startup::evidence::rollout_keys;
use crate::service::control::startup::evidence::unsaved;
use crate::service::serving::live::Live;
use crate::service::serving::recorder::Observed;
use crate::service::status::overview::FleetStatus;
use crate::service::status::overview::ReplicaStatus;
use crate::store::Checkpoint;
use crate::store::Replica;
use crate::store::ReplicaId;
use crate::store::Role;
use crate::store::Share;
use crate::store::StoreError;

/// A replica that was silent for longer is not up: it serves nothing, or is cut off.
const UP: Duration = Duration::from_secs(5);

/// Shares that a leader reads in one turn, some kilobytes each. After an outage of the leader more may wait.
const AT_ONCE: usize = 1000;

/// A replica that was silent for longer is not shown any more.
const MISSED: Duration = Duration::from_secs(60);

/// A replica that was silent for longer, and of whose samples none are of the running rollout, is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(3600);

impl Control {
    /// Follows the store's word on who leads. Called by the ticker.
    ///
    /// # Errors
    /// When the evidence to lead from cannot be read: the process goes on as a follower.
    pub(crate) fn take_part(&self) -> Result<(), CommandError> {
        match self.store.role() {
            Role::Alone => Ok(()),
            Role::Leader if self.decides_for_others() => Ok(()),
            Role::Leader => self.lead(),
            Role::Follower => {
                let not_saving = self.saved.lock();
                let mut judge = self.judge.lock();
                if judge.role() == Role::Leader {
                    tracing::info!("this replica no longer decides");
                }
                if judge.role() != Role::Follower {
                    self.reported.feedback.take_part(Role::Follower);
                    judge.follow_leader();
                }
                drop((judge, not_saving));
                self.store.stand();
                Ok(())
            }
        }
    }

    fn decides_for_others(&self) -> bool {
        self.judge.lock().role() == Role::Leader
    }

    /// Judges for all from now on, from what is in the store.
    fn lead(&self) -> Result<(), CommandError> {
        self.follow_journal()?;
        // From here on the date is as steady as this machine's clock. It may have stood still.
        adopt_date(&*self.clock, &*self.store, Timestamp::MIN)?;
        if self.judge.lock().role() == Role::Follower {
            // What this process has observed is handed over like that of others, and what was merged while the store
            // failed after what was on its way then.
            self.save_checkpoint()?;
            if self.judge.lock().shares().is_some_and(|(_, _, shares)| shares.has_own()) {
                self.save_checkpoint()?;
            }
        }
        let ledger = self.ledger.lock();
        let mut saved_at = self.saved.lock();
        let rollout = ledger.state.judged();
        let saved = checkpoint_of(&ledger.state, &*self.store);
        let labels = rollout.map(|rollout| labels_of(rollout, saved.as_ref(), &*self.store));
        let labels = labels.transpose()?;
        let evidence = saved.as_ref().and_then(|saved| self.evidence_of(saved));
        let mut judge = self.judge.lock();
        // Labels that came since then.
        let given = self.reported.feedback.take_given();
        self.reported.feedback.take_part(Role::Leader);
        if let Some((labels, seen)) = labels {
            self.reported.feedback.restore(labels, seen);
        }
        judge.lead(evidence, self.clock.wall());
        for (id, outcome) in given {
            // One that is in the store already counts once.
            let _ = self.reported.label(&id, &outcome);
        }
        *saved_at = Default::default();
        tracing::info!("this replica decides from now on");
        Ok(())
    }

    /// The monitors of a checkpoint and the end of their log.
    fn evidence_of(&self, saved: &Checkpoint) -> Option<Evidence> {
        let monitors = saved.monitors.clone()?;
        let log = unsaved(&*self.store, saved.rollout, &monitors).ok().flatten();
        let log = log.unwrap_or_else(|| Unsaved::beginning(&monitors));
        Some((monitors, log, saved.taken.clone()))
    }

    /// Reports to the other replicas, and takes in what they have reported. A store of one process has none.
    ///
    /// # Errors
    /// When the store fails. Everything stays in memory, and the next call tries again.
    pub(crate) fn exchange(&self) -> Result<(), StoreError> {
        let role = self.judge.lock().role();
        if role == Role::Alone {
            return Ok(());
        }
        let position = self.position.load();
        let live = &position.live;
        if role == Role::Follower {
            self.closed_tick(live);
        }
        let report = Report::new(live, position.revision).written();
        let (rollout, shares) = self.to_hand(live);
        self.store.report(&report, &shares)?;
        self.judge.lock().handed(rollout, shares.len());
        let replicas = self.store.replicas()?;
        self.hear(live, &replicas);
        if role == Role::Leader {
            self.receive(&position.state, live)?;
            self.forget_old(&position.state, &replicas);
        } else {
            self.show_evidence(&position.state, live);
        }
        Ok(())
    }

    /// What a follower hands over, with labels after observations.
    fn to_hand(&self, live: &Live) -> (u64, Vec<Share>) {
        let mut judge = self.judge.lock();
        if judge.role() == Role::Follower {
            let given = self.reported.feedback.take_given();
            let is_warming = judge.is_warming();
            if let Some((rollout, _, shares)) = judge.shares() {
                shares.keep_labels(given);
                if !is_warming
                    && let Some(slot) = live.canary.as_ref().filter(|slot| slot.rollout == rollout)
                {
                    shares.keep_keys(&slot.keys);
                }
            }
        }
        let Some((rollout, before, handed)) = judge.begin_handing() else { return (0, Vec::new()) };
        drop(judge);
        let replica = self.store.id();
        let share = |(number, handed): (u64, &Handed)| {
            let (step, body) = (handed.step(), handed.to_bytes());
            Share { replica, number, rollout, step, body }
        };
        (rollout, (before + 1..).zip(&handed).map(share).collect())
    }

    /// Takes in the samples of the other replicas, and who is up.
    fn hear(&self, live: &Live, replicas: &[Replica]) {
        let (own, step) = (self.store.id(), step_of(live));
        let mut elsewhere = Observed::default();
        let (mut shown, mut judging) = (Vec::new(), Vec::new());
        for replica in replicas {
            let report = Report::of(replica);
            let is_up = replica.id == own || (!replica.has_ended && replica.silent < UP);
            // Without a rollout, samples have no name, so those of a replica that is gone may be old.
            if replica.id != own && report.step == step && (is_up || step.is_some()) {
                elsewhere.merge(&report.samples);
            }
            if is_up {
                judging.push(replica.id.0);
            }
            if is_up || (!replica.has_ended && replica.silent < MISSED) {
                shown.push(ReplicaStatus {
                    name: replica.name.clone(),
                    id: format!("{:016x}", replica.id.0),
                    leads: replica.is_leader,
                    is_up,
                    silent_seconds: replica.silent.as_secs_f64(),
                    revision: report.revision,
                    canary: report.canary,
                });
            }
        }
        live.recorder.hear(elsewhere);
        if !self.settings.sticky_balancer {
            judging.sort_unstable();
            live.homes.follow(own.0, judging, self.clock.steady());
        }
        *self.replicas.lock() = shown.into();
    }

    /// Takes in the shares of the other replicas. Those of a step or rollout that this process has not heard of yet wait.
    fn receive(&self, state: &State, live: &Live) -> Result<(), StoreError> {
        let known = self.judge.lock().shares().map(|(_, _, shares)| shares.known());
        let Some(known) = known else { return Ok(()) };
        let received = self.store.shares(&known, AT_ONCE)?;
        let mut labels = Vec::new();
        let mut judge = self.judge.lock();
        let Some((rollout, step, shares)) = judge.shares() else { return Ok(()) };
        let mut waiting = None;
        for Share { replica, number, rollout: of, step: at, body } in received {
            let is_to_come = of > state.rollouts || (of == rollout && at > step);
            if is_to_come || waiting == Some(replica) {
                waiting = Some(replica);
                continue;
            }
            let handed = (of == rollout).then(|| Handed::from_bytes(at, &body));
            match handed {
                Some(Some(Handed::Observed(share))) => {
                    shares.receive(replica, number, Some(*share));
                }
                Some(Some(Handed::Labels(given))) => {
                    labels.extend(given);
                    shares.receive(replica, number, None);
                }
                Some(Some(Handed::Keys([answered, shadowed]))) => {
                    if let Some(slot) = live.canary.as_ref().filter(|slot| slot.rollout == rollout)
                    {
                        slot.keys.answered.mark_slots(&answered);
                        slot.keys.shadowed.mark_slots(&shadowed);
                    }
                    shares.receive(replica, number, None);
                }
                Some(None) => {
                    tracing::warn!(
                        number,
                        "what a replica has observed cannot be read; it is left out"
                    );
                    shares.receive(replica, number, None);
                }
                None => shares.receive(replica, number, None),
            }
        }
        // Under the lock, so that a label and the mark of its share are in the same checkpoint.
        for (id, outcome) in labels {
            // A label that two replicas have accepted counts once, and one of an ended rollout does not.
            let _ = self.reported.label(&id, &outcome);
        }
        Ok(())
    }

    /// Shows the evidence that the leader has saved, and learns which keys others have met.
    fn show_evidence(&self, state: &State, live: &Live) {
        let Some(saved) = checkpoint_of(state, &*self.store) else { return };
        if let (Some(slot), Some(rollout)) = (&live.canary, &state.rollout)
            && let Some(keys) = rollout_keys(rollout, Some(&saved))
            && slot.rollout == rollout.id
        {
            slot.keys.answered.add(&keys.answered);
            slot.keys.shadowed.add(&keys.shadowed);
            if let Some((of, _, shares)) = self.judge.lock().shares()
                && of == rollout.id
            {
                shares.leader_knows(&keys);
            }
        }
        if let Some(labels) = saved.labels {
            self.reported.feedback.show(saved.rollout, labels);
        }
        if let Some(monitors) = saved.monitors {
            self.judge.lock().show(saved.rollout, monitors, self.clock.wall());
        }
    }

    /// Forgets replicas that have ended. A failure costs only space.
    fn forget_old(&self, state: &State, replicas: &[Replica]) {
        let running = state.judged().map(|rollout| rollout.id);
        let is_old = |replica: &&Replica| {
            let is_of_this = Report::of(replica).step.map(|(rollout, _)| rollout) == running;
            let is_gone = replica.has_ended || replica.silent > FORGOTTEN;
            is_gone && (!is_of_this || running.is_none()) && replica.silent > UP
        };
        let old: Vec<ReplicaId> = replicas.iter().filter(is_old).map(|it| it.id).collect();
        if !old.is_empty()
            && let Err(cause) = self.store.forget_replicas(&old)
        {
            tracing::warn!(%cause, "replicas that have ended are still in the store");
        }
    }

    /// The fleet in the status; `None` where only one process can open the store.
    pub(crate) fn fleet_status(&self) -> Option<FleetStatus> {
        let role = self.judge.lock().role();
        if role == Role::Alone {
            return None;
        }
        let (id, replicas) = (format!("{:016x}", self.store.id().0), self.replicas.lock().clone());
        let own = replicas.iter().find(|it| it.id == id);
        Some(FleetStatus {
            replica: own.map_or(id.clone(), |own| own.name.clone()),
            leads: role == Role::Leader,
            replicas: replicas.to_vec(),
        })
    }

    /// The replicas that are up and have not loaded the running canary, by name.
    pub(crate) fn not_ready(&self, digest: &str) -> Vec<String> {
        let replicas: Arc<[ReplicaStatus]> = self.replicas.lock().clone();
        let is_behind = |it: &&ReplicaStatus| it.is_up && it.canary.as_deref() != Some(digest);
        replicas.iter().filter(is_behind).map(|it| it.name.clone()).collect()
    }
}

/// What a leader begins from: monitors, the end of their log, and the shares in them.
type Evidence = (crate::canary::Monitors, Unsaved, BTreeMap<ReplicaId, u64>);
