//! Shares: what followers hand to the leader, and what the leader takes in.
//!
//! A follower keeps what it has observed until it is in the store. The leader merges what the followers have observed in
//! the judged step into its own tick, in the order of their ids. It keeps its own observations until the tick is saved: if
//! another process leads by then, it hands them over like a follower. So each observation is judged once, whatever ends.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use serde::Deserialize;
use serde::Serialize;

use crate::canary::Increment;
use crate::service::reported::feedback::GivenLabel;
use crate::service::serving::keys::seen_keys::RolloutKeys;
use crate::store::ReplicaId;
use crate::store::Role;

/// An increment and the step it was observed in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OfStep {
    pub(crate) step: u32,
    pub(crate) increment: Increment,
}

/// What a replica hands to the leader.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Handed {
    /// What it has observed.
    Observed(Box<OfStep>),
    /// Labels that it has accepted, in order.
    Labels(Vec<GivenLabel>),
    /// The slots of keys that it has met, of requests that were answered and of those in shadow.
    Keys([Vec<u32>; 2]),
}

/// The bytes of a share.
#[derive(Serialize, Deserialize)]
enum Body {
    Observed(Vec<u8>),
    Labels(Vec<GivenLabel>),
    Keys([Vec<u32>; 2]),
}

impl Handed {
    /// The step; labels and keys are of all steps.
    pub(crate) fn step(&self) -> u32 {
        match self {
            Handed::Observed(observed) => observed.step,
            Handed::Labels(_) | Handed::Keys(_) => 0,
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let body = match self {
            Handed::Observed(observed) => Body::Observed(observed.increment.to_bytes()),
            Handed::Labels(labels) => Body::Labels(labels.clone()),
            Handed::Keys(slots) => Body::Keys(slots.clone()),
        };
        // Fails only for sequences of unknown length.
        postcard::to_allocvec(&body).unwrap_or_default()
    }

    /// `None` if another version of serin has written it in another way.
    pub(crate) fn from_bytes(step: u32, bytes: &[u8]) -> Option<Handed> {
        Some(match postcard::from_bytes(bytes).ok()? {
            Body::Observed(bytes) => {
                let increment = Increment::from_bytes(&bytes).ok()?;
                Handed::Observed(Box::new(OfStep { step, increment }))
            }
            Body::Labels(labels) => Handed::Labels(labels),
            Body::Keys(slots) => Handed::Keys(slots),
        })
    }
}

/// What comes from other replicas and goes to them, for one rollout.
pub(crate) struct Shares {
    pub(crate) role: Role,
    /// What this process has observed and is not in the store. In the leader, it is in ticks that are not saved yet.
    own: Vec<Handed>,
    /// How many of them are being saved and stay as they are.
    sealed: usize,
    /// The slots of keys that were handed over, as the words of a set.
    noted: [Vec<u64>; 2],
    /// What others have observed, in the order of their ids.
    received: VecDeque<(ReplicaId, u64, OfStep)>,
    /// The newest share of each replica that is in a tick, or that no tick needs.
    taken: BTreeMap<ReplicaId, u64>,
}

impl Shares {
    pub(crate) fn new(role: Role) -> Shares {
        let (received, taken) = (VecDeque::new(), BTreeMap::new());
        let (own, noted) = (Vec::new(), Default::default());
        Shares { role, own, sealed: 0, noted, received, taken }
    }

    /// Whether a tick has something of other replicas to take in.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.received.is_empty()
    }

    /// Requests of other replicas that wait.
    pub(crate) fn waiting_requests(&self) -> u64 {
        let of = |share: &OfStep| share.increment.stable.requests + share.increment.canary.requests;
        self.received.iter().map(|(_, _, share)| of(share)).sum()
    }

    /// Keeps an own increment, merged with one that waits where nothing is lost.
    pub(crate) fn keep(&mut self, step: u32, increment: &Increment) {
        let newest = self.waiting().iter_mut().rev().find_map(|handed| match handed {
            Handed::Observed(observed) => Some(observed),
            Handed::Labels(_) | Handed::Keys(_) => None,
        });
        match newest {
            Some(newest) if newest.step == step && newest.increment.weight == increment.weight => {
                newest.increment.merge(increment.clone());
            }
            _ => self
                .own
                .push(Handed::Observed(Box::new(OfStep { step, increment: increment.clone() }))),
        }
    }

    /// What is kept and is not being saved, so that it can still grow.
    fn waiting(&mut self) -> &mut [Handed] {
        self.own.get_mut(self.sealed..).unwrap_or_default()
    }

    /// Keeps the keys that were met since the last call.
    pub(crate) fn keep_keys(&mut self, keys: &RolloutKeys) {
        let [answered, shadowed] = &mut self.noted;
        let slots = [keys.answered.since(answered), keys.shadowed.since(shadowed)];
        if slots.iter().all(Vec::is_empty) {
            return;
        }
        let waiting = self.waiting().iter_mut().find_map(|handed| match handed {
            Handed::Keys(waiting) => Some(waiting),
            Handed::Observed(_) | Handed::Labels(_) => None,
        });
        match waiting {
            Some(waiting) => waiting.iter_mut().zip(slots).for_each(|(to, slots)| to.extend(slots)),
            None => self.own.push(Handed::Keys(slots)),
        }
    }

    /// Takes note of keys that the leader knows, so that they are not handed over.
    pub(crate) fn leader_knows(&mut self, keys: &RolloutKeys) {
        let [answered, shadowed] = &mut self.noted;
        keys.answered.note(answered);
        keys.shadowed.note(shadowed);
    }

    /// Keeps labels, after the observations that they may be of.
    pub(crate) fn keep_labels(&mut self, labels: Vec<GivenLabel>) {
        if labels.is_empty() {
            return;
        }
        let newest = self.waiting().iter_mut().rev();
        let newest = newest.map_while(|handed| match handed {
            Handed::Observed(_) => None,
            Handed::Labels(waiting) => Some(Some(waiting)),
            Handed::Keys(_) => Some(None),
        });
        match newest.flatten().next() {
            Some(waiting) => waiting.extend(labels),
            None => self.own.push(Handed::Labels(labels)),
        }
    }

    /// The observations that are kept.
    pub(crate) fn observed(&self) -> Vec<OfStep> {
        let observed = |handed: &Handed| match handed {
            Handed::Observed(observed) => Some(OfStep::clone(observed)),
            Handed::Labels(_) | Handed::Keys(_) => None,
        };
        self.own.iter().filter_map(observed).collect()
    }

    /// All that is kept. It stays as it is until it is [`stored`](Self::stored).
    pub(crate) fn sealed(&mut self) -> &[Handed] {
        self.sealed = self.own.len();
        &self.own
    }

    /// What to hand over: all that is kept, or once more what is being saved. While the store fails, what is observed
    /// meanwhile is merged and waits for the next turn.
    pub(crate) fn handing(&mut self) -> &[Handed] {
        if self.sealed == 0 {
            self.sealed = self.own.len();
        }
        self.own.get(..self.sealed).unwrap_or_default()
    }

    /// Whether something is kept.
    pub(crate) fn has_own(&self) -> bool {
        !self.own.is_empty()
    }

    /// How many are being saved.
    pub(crate) fn being_saved(&self) -> u64 {
        self.sealed as u64
    }

    /// Forgets the first ones, which are in the store.
    pub(crate) fn stored(&mut self, count: usize) {
        let count = count.min(self.own.len());
        self.own.drain(..count);
        self.sealed = self.sealed.saturating_sub(count);
    }

    /// A tick with the first ones is saved: a leader forgets them.
    pub(crate) fn saved(&mut self, count: usize) {
        if self.role.decides() {
            self.stored(count);
        }
    }

    /// Takes in a share of another replica, in the order of their ids; `None` for one that no tick needs.
    pub(crate) fn receive(&mut self, replica: ReplicaId, number: u64, share: Option<OfStep>) {
        match share {
            Some(share) => self.received.push_back((replica, number, share)),
            None if self.received.iter().any(|(of, ..)| *of == replica) => {
                // An earlier share of it still waits.
                let nothing = OfStep { step: 0, increment: Increment::default() };
                self.received.push_back((replica, number, nothing));
            }
            None => drop(self.taken.insert(replica, number)),
        }
    }

    /// The newest share of each replica that need not be read again.
    pub(crate) fn known(&self) -> BTreeMap<ReplicaId, u64> {
        let mut known = self.taken.clone();
        known.extend(self.received.iter().map(|(replica, number, _)| (*replica, *number)));
        known
    }

    /// The newest share of each replica in the ticks so far.
    pub(crate) fn taken(&self) -> BTreeMap<ReplicaId, u64> {
        self.taken.clone()
    }

    /// Leads from a checkpoint with these shares.
    pub(crate) fn lead(&mut self, taken: BTreeMap<ReplicaId, u64>) {
        self.role = Role::Leader;
        self.received.clear();
        self.taken = taken;
    }

    /// What was received, merged by step and weight, in the order of the steps. It counts as taken in.
    pub(crate) fn take(&mut self) -> Vec<OfStep> {
        let mut merged: Vec<OfStep> = Vec::new();
        for (replica, number, share) in std::mem::take(&mut self.received) {
            self.taken.insert(replica, number);
            let same = merged
                .iter_mut()
                .find(|it| it.step == share.step && it.increment.weight == share.increment.weight);
            match same {
                Some(same) => same.increment.merge(share.increment),
                None if share.increment.is_empty() => {}
                None => merged.push(share),
            }
        }
        merged.sort_by_key(|it| it.step);
        merged
    }
}
