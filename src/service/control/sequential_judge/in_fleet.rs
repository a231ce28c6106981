//! The judge of one replica of a fleet: it leads, or it follows and hands over what it has observed.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::SequentialJudge;
use super::shares::Handed;
use super::shares::OfStep;
use super::shares::Shares;
use crate::canary::Monitors;
use crate::canary::judge::tick_log::Unsaved;
use crate::store::ReplicaId;
use crate::store::Role;

impl SequentialJudge {
    /// The part of this process.
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Hands observations to the leader from now on, also those in ticks that are not saved.
    pub(crate) fn follow_leader(&mut self) {
        self.role = Role::Follower;
        self.judged.iter_mut().for_each(|judged| judged.shares.role = Role::Follower);
    }

    /// Judges for all from now on: from these monitors of the newest checkpoint, if they are of the judged rollout.
    ///
    /// What this process has observed since it last handed over is judged first.
    pub(crate) fn lead(
        &mut self,
        saved: Option<(Monitors, Unsaved, BTreeMap<ReplicaId, u64>)>,
        at: Timestamp,
    ) {
        self.role = Role::Leader;
        let Some(judged) = &mut self.judged else { return };
        let (monitors, unsaved, taken) = saved.unwrap_or_else(|| {
            let unsaved = Unsaved::beginning(&judged.monitors);
            (judged.monitors.clone(), unsaved, BTreeMap::new())
        });
        judged.show(monitors);
        judged.unsaved = unsaved;
        judged.shares.lead(taken);
        for OfStep { step, increment } in judged.shares.observed() {
            judged.take_in(increment, step, at, &self.bounds);
        }
    }

    /// Shows the monitors that the leader has saved.
    pub(crate) fn show(&mut self, rollout: u64, monitors: Monitors, at: Timestamp) {
        let judged = self.judged.as_mut().filter(|judged| judged.rollout == rollout);
        if let Some(judged) = judged.filter(|judged| !judged.shares.role.decides()) {
            judged.show(monitors);
            judged.as_of = judged.as_of.max(at);
        }
    }

    /// What this process exchanges with others, and the judged rollout and step.
    pub(crate) fn shares(&mut self) -> Option<(u64, u32, &mut Shares)> {
        self.judged.as_mut().map(|judged| (judged.rollout, judged.step, &mut judged.shares))
    }

    /// Whether nothing is judged yet: keys that come now are judged when they come again.
    pub(crate) fn is_warming(&self) -> bool {
        self.judged.as_ref().is_some_and(|judged| judged.is_warm)
    }

    /// What a follower has to hand over: the rollout, the number before the first share, and the shares.
    pub(crate) fn begin_handing(&mut self) -> Option<(u64, u64, Vec<Handed>)> {
        let judged = self.judged.as_mut().filter(|judged| !judged.shares.role.decides())?;
        Some((judged.rollout, self.handed, judged.shares.handing().to_vec()))
    }

    /// Forgets what was handed over.
    pub(crate) fn handed(&mut self, rollout: u64, count: usize) {
        if let Some(judged) = self.judged.as_mut().filter(|judged| judged.rollout == rollout) {
            judged.shares.stored(count);
            self.handed += count as u64;
        }
    }
}
