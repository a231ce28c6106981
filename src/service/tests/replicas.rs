//! Several services on one store in memory, with a lease that the test hands over.

use std::sync::Arc;

use parking_lot::Mutex;

use super::bench::Bench;
use super::bench::Disk;
use super::*;
use crate::canary::Chunk;
use crate::canary::Event;
use crate::canary::LogRecord;
use crate::canary::LoggedTick;
use crate::canary::Monitors;
use crate::service::clock::ManualClock;
use crate::store::Artifacts;
use crate::store::Checkpoint;
use crate::store::EvidenceLog;
use crate::store::Fleet;
use crate::store::Journal;
use crate::store::Progress;
use crate::store::Replica;
use crate::store::ReplicaId;
use crate::store::Role;
use crate::store::Share;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// What the processes share besides the store.
#[derive(Default)]
struct Table {
    leader: u64,
    reports: BTreeMap<u64, String>,
    silent: BTreeMap<u64, Duration>,
    shares: Vec<Share>,
    /// Who does not reach the store.
    cut: Option<u64>,
}

/// The store as one process sees it.
pub(in crate::service) struct Member {
    id: u64,
    disk: Arc<Disk>,
    table: Arc<Mutex<Table>>,
    /// The clock of the database.
    clock: Arc<ManualClock>,
}

/// The processes of a fleet.
pub(in crate::service) struct Members {
    pub(in crate::service) bench: Bench,
    table: Arc<Mutex<Table>>,
}

impl Members {
    pub(in crate::service) fn new() -> Members {
        let table = Arc::new(Mutex::new(Table { leader: 1, ..Table::default() }));
        Members { bench: Bench::new(), table }
    }

    /// Starts the process of this id.
    pub(in crate::service) fn start(&self, id: u64) -> Service {
        self.start_at(id, self.bench.clock.clone())
    }

    /// Starts the process of this id on a machine with another clock.
    pub(in crate::service) fn start_at(&self, id: u64, clock: Arc<ManualClock>) -> Service {
        self.bench.start_on(self.member(id), clock)
    }

    /// The store as the process of this id sees it.
    pub(in crate::service) fn member(&self, id: u64) -> Arc<Member> {
        let (disk, table) = (self.bench.store.clone(), self.table.clone());
        Arc::new(Member { id, disk, table, clock: self.bench.clock.clone() })
    }

    /// Gives the lease to the process of this id; 0: to none.
    pub(in crate::service) fn give_lease(&self, id: u64) {
        self.table.lock().leader = id;
    }

    /// Cuts the process of this id off from the store; `None`: no process.
    pub(in crate::service) fn cut(&self, id: Option<u64>) {
        self.table.lock().cut = id;
    }

    /// Lets a process be silent.
    pub(in crate::service) fn silence(&self, id: u64) {
        self.table.lock().silent.insert(id, Duration::from_secs(60));
    }

    /// Shares in the store.
    pub(in crate::service) fn waiting(&self) -> usize {
        self.table.lock().shares.len()
    }
}

/// A second of all processes, in this order.
pub(in crate::service) fn second(services: &[&Service]) {
    for service in services {
        service.control.take_part().unwrap();
        service.control.follow_date();
        service.control.follow_journal().unwrap();
        service.save_checkpoint().unwrap();
    }
}

impl Member {
    fn reach(&self) -> Result<(), StoreError> {
        match self.table.lock().cut == Some(self.id) {
            false => Ok(()),
            true => Err(StoreError::Unreachable {
                store: "db".to_owned(),
                cause: "connection closed".to_owned(),
            }),
        }
    }

    fn fence(&self) -> Result<(), StoreError> {
        match self.table.lock().leader == self.id {
            true => Ok(()),
            false => Err(StoreError::Unreachable {
                store: "db".to_owned(),
                cause: "another serin decides".to_owned(),
            }),
        }
    }
}

impl Fleet for Member {
    fn id(&self) -> ReplicaId {
        ReplicaId(self.id)
    }
    fn role(&self) -> Role {
        if self.table.lock().leader == self.id { Role::Leader } else { Role::Follower }
    }
    fn date(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(Some(self.clock.wall()))
    }
    fn report(&self, report: &str, shares: &[Share]) -> Result<(), StoreError> {
        self.reach()?;
        let mut table = self.table.lock();
        table.reports.insert(self.id, report.to_owned());
        for share in shares {
            let is_there = |it: &Share| (it.replica, it.number) == (share.replica, share.number);
            if !table.shares.iter().any(is_there) {
                table.shares.push(share.clone());
            }
        }
        table.shares.sort_by_key(|share| (share.replica, share.number));
        Ok(())
    }
    fn replicas(&self) -> Result<Vec<Replica>, StoreError> {
        let table = self.table.lock();
        let replica = |(id, report): (&u64, &String)| Replica {
            id: ReplicaId(*id),
            name: format!("replica-{id}"),
            silent: table.silent.get(id).copied().unwrap_or_default(),
            has_ended: false,
            is_leader: table.leader == *id,
            report: report.clone(),
        };
        Ok(table.reports.iter().map(replica).collect())
    }
    fn shares(
        &self,
        above: &BTreeMap<ReplicaId, u64>,
        limit: usize,
    ) -> Result<Vec<Share>, StoreError> {
        let is_new = |it: &&Share| above.get(&it.replica).is_none_or(|number| it.number > *number);
        Ok(self.table.lock().shares.iter().filter(is_new).take(limit).cloned().collect())
    }
    fn wait_for_entry(&self, _known: u64, _patience: Duration) -> Result<u64, StoreError> {
        self.newest_sequence()
    }
}

impl Journal for Member {
    fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.reach()?;
        self.disk.entries(after, limit)
    }
    fn newest_sequence(&self) -> Result<u64, StoreError> {
        self.disk.newest_sequence()
    }
    fn append(&self, expected: u64, at: Timestamp, event: &Event) -> Result<Entry, StoreError> {
        self.reach()?;
        self.disk.append(expected, at, event)
    }
}

impl EvidenceLog for Member {
    fn chunks(&self, replica: ReplicaId) -> Result<Vec<Chunk>, StoreError> {
        self.disk.chunks(replica)
    }
    fn snapshot(&self, replica: ReplicaId, chunk: Chunk) -> Result<Option<Monitors>, StoreError> {
        self.disk.snapshot(replica, chunk)
    }
    fn ticks(&self, replica: ReplicaId, chunk: Chunk) -> Result<Vec<LoggedTick>, StoreError> {
        self.disk.ticks(replica, chunk)
    }
    fn forget_chunks(&self, replica: ReplicaId, chunks: &[Chunk]) -> Result<(), StoreError> {
        self.fence()?;
        self.disk.forget_chunks(replica, chunks)
    }
}

impl Artifacts for Member {
    fn artifact(&self, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.disk.artifact(digest)
    }
    fn save_artifact(&self, digest: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.disk.save_artifact(digest, bytes)
    }
    fn retain_artifacts(&self, digests: &[&str]) -> Result<(), StoreError> {
        self.fence()?;
        self.disk.retain_artifacts(digests)
    }
}

impl Progress for Member {
    fn checkpoint(&self, replica: ReplicaId) -> Result<Option<Checkpoint>, StoreError> {
        self.disk.checkpoint(replica)
    }
    fn save_checkpoint(
        &self,
        replica: ReplicaId,
        checkpoint: &Checkpoint,
        records: &[LogRecord],
    ) -> Result<(), StoreError> {
        self.fence()?;
        self.disk.save_checkpoint(replica, checkpoint, records)?;
        let is_taken =
            |it: &Share| checkpoint.taken.get(&it.replica).is_some_and(|up_to| it.number <= *up_to);
        self.table.lock().shares.retain(|share| !is_taken(share));
        Ok(())
    }
    fn labels(&self, replica: ReplicaId, rollout: u64) -> Result<Vec<u64>, StoreError> {
        self.disk.labels(replica, rollout)
    }
    fn delivered(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.disk.delivered()
    }
    fn save_delivered(&self, target: &str, up_to: u64) -> Result<(), StoreError> {
        self.fence()?;
        self.disk.save_delivered(target, up_to)
    }
    fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.disk.secret(name)
    }
    fn save_secret(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.disk.save_secret(name, bytes)
    }
}
