//! What the tests of the service run on: a store that can fail, a models folder, a manual clock.

use crate::canary::Chunk;
use crate::canary::Event;
use crate::canary::FeedbackPolicy;
use crate::canary::LogRecord;
use crate::canary::LoggedTick;
use crate::canary::MetricName;
use crate::canary::Monitors;
use crate::canary::Policy;
use crate::canary::SequentialVerdict;
use crate::canary::State;
use crate::canary::Track;
use crate::canary::Weight;
use crate::model::Features;
use crate::model::Value;
use crate::model::ensure_default_models;
use crate::service::clock::ManualClock;
use crate::service::notify::target::Target;
use crate::service::reported::prometheus::server::Server;
use crate::service::serving::shadow::queue::Retention;
use crate::service::*;
use crate::store::Artifacts;
use crate::store::Checkpoint;
use crate::store::EvidenceLog;
use crate::store::Fleet;
use crate::store::Journal;
use crate::store::Progress;
use crate::store::ReplicaId;
use crate::store::sqlite::SqliteStore;
use jiff::Timestamp;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A store that can fail: as a whole, for evidence only, or for checkpoints.
#[derive(Default)]
pub(in crate::service) struct Disk {
    pub(in crate::service) inner: SqliteStore,
    pub(in crate::service) full: AtomicBool,
    /// How many entries of the journal were read.
    pub(in crate::service) entries_read: AtomicUsize,
    /// While this is locked, the disk waits.
    pub(in crate::service) slow: Mutex<()>,
    pub(in crate::service) keeps_no_evidence: AtomicBool,
    /// Whether its journal is shorter than the writer expects, as after a backup was restored.
    pub(in crate::service) is_behind: AtomicBool,
    /// Whether the answer to the next append is lost.
    pub(in crate::service) loses_an_answer: AtomicBool,
    /// Whether the checkpoint is gone.
    pub(in crate::service) has_lost_its_checkpoint: AtomicBool,
    /// Whether the checkpoint cannot be read, as one with unknown buckets.
    pub(in crate::service) has_a_damaged_checkpoint: AtomicBool,
    /// What happens right after ticks were read, once.
    pub(in crate::service) after_ticks: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Disk {
    pub(in crate::service) fn full(&self, is_full: bool) {
        self.full.store(is_full, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), StoreError> {
        drop(self.slow.lock());
        Disk::check_that_not(&self.full)
    }

    fn check_that_not(full: &AtomicBool) -> Result<(), StoreError> {
        if full.load(Ordering::SeqCst) {
            let (path, cause) = ("serin.db".to_owned(), "database or disk is full".to_owned());
            return Err(StoreError::Open { path, cause });
        }
        Ok(())
    }
}

impl Journal for Disk {
    fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let entries = self.inner.entries(after, limit)?;
        self.entries_read.fetch_add(entries.len(), Ordering::SeqCst);
        Ok(entries)
    }
    fn newest_sequence(&self) -> Result<u64, StoreError> {
        self.inner.newest_sequence()
    }
    fn state(&self) -> Result<Option<(u64, State)>, StoreError> {
        self.inner.state()
    }
    fn save_state(&self, revision: u64, state: &State) -> Result<(), StoreError> {
        self.check()?;
        self.inner.save_state(revision, state)
    }
    fn append(&self, expected: u64, at: Timestamp, event: &Event) -> Result<Entry, StoreError> {
        self.check()?;
        if self.is_behind.load(Ordering::SeqCst) {
            return Err(StoreError::Conflict { expected, actual: expected - 1 });
        }
        let entry = self.inner.append(expected, at, event);
        if self.loses_an_answer.swap(false, Ordering::SeqCst) {
            let (store, cause) = ("db".to_owned(), "connection closed".to_owned());
            return Err(StoreError::Unsure { store, cause });
        }
        entry
    }
}

impl EvidenceLog for Disk {
    fn chunks(&self, replica: ReplicaId) -> Result<Vec<Chunk>, StoreError> {
        self.inner.chunks(replica)
    }
    fn snapshot(&self, replica: ReplicaId, chunk: Chunk) -> Result<Option<Monitors>, StoreError> {
        self.inner.snapshot(replica, chunk)
    }
    fn ticks(&self, replica: ReplicaId, chunk: Chunk) -> Result<Vec<LoggedTick>, StoreError> {
        let ticks = self.inner.ticks(replica, chunk);
        let then = self.after_ticks.lock().take();
        then.into_iter().for_each(|then| then());
        ticks
    }
    fn forget_chunks(&self, replica: ReplicaId, chunks: &[Chunk]) -> Result<(), StoreError> {
        self.inner.forget_chunks(replica, chunks)
    }
}

impl Artifacts for Disk {
    fn artifact(&self, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.artifact(digest)
    }
    fn save_artifact(&self, digest: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.inner.save_artifact(digest, bytes)
    }
    fn retain_artifacts(&self, digests: &[&str]) -> Result<(), StoreError> {
        self.inner.retain_artifacts(digests)
    }
}

impl Fleet for Disk {}

impl Progress for Disk {
    fn checkpoint(&self, replica: ReplicaId) -> Result<Option<Checkpoint>, StoreError> {
        if self.has_lost_its_checkpoint.load(Ordering::SeqCst) {
            return Ok(None);
        }
        if self.has_a_damaged_checkpoint.load(Ordering::SeqCst) {
            let (path, cause) = ("serin.db".to_owned(), "unknown buckets".to_owned());
            return Err(StoreError::Open { path, cause });
        }
        self.inner.checkpoint(replica)
    }
    fn save_checkpoint(
        &self,
        replica: ReplicaId,
        checkpoint: &Checkpoint,
        records: &[LogRecord],
    ) -> Result<(), StoreError> {
        self.check()?;
        Disk::check_that_not(&self.keeps_no_evidence)?;
        self.inner.save_checkpoint(replica, checkpoint, records)
    }
    fn labels(&self, replica: ReplicaId, rollout: u64) -> Result<Vec<u64>, StoreError> {
        self.inner.labels(replica, rollout)
    }
    fn delivered(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.inner.delivered()
    }
    fn save_delivered(&self, target: &str, up_to: u64) -> Result<(), StoreError> {
        self.check()?;
        self.inner.save_delivered(target, up_to)
    }
    fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.secret(name)
    }
    fn save_secret(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.inner.save_secret(name, bytes)
    }
}

pub(in crate::service) struct Bench {
    pub(in crate::service) models: tempfile::TempDir,
    pub(in crate::service) store: Arc<Disk>,
    pub(in crate::service) clock: Arc<ManualClock>,
}

impl Bench {
    pub(in crate::service) fn new() -> Bench {
        let models = tempfile::tempdir().unwrap();
        ensure_default_models(models.path()).unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap()));
        Bench { models, store: Arc::default(), clock }
    }

    pub(in crate::service) fn path(&self, file: &str) -> std::path::PathBuf {
        self.models.path().join(file)
    }

    pub(in crate::service) fn start(&self) -> Service {
        self.start_on(self.store.clone(), self.clock.clone())
    }

    pub(in crate::service) fn start_on(
        &self,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Service {
        self.start_with(Policy::default(), store, clock)
    }

    pub(in crate::service) fn start_with(
        &self,
        policy: Policy,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Service {
        let settings = Settings { policy, ..self.settings() };
        let registry = Registry::new(self.models.path());
        Service::start(settings, store, registry, clock).unwrap()
    }

    pub(in crate::service) fn start_notifying(&self, notify: Vec<Target>) -> Service {
        let settings = Settings { notify, ..self.settings() };
        let registry = Registry::new(self.models.path());
        Service::start(settings, self.store.clone(), registry, self.clock.clone()).unwrap()
    }

    /// With a Prometheus.
    pub(in crate::service) fn start_asking(&self, prometheus: Server) -> Service {
        let settings = Settings { prometheus: Some(prometheus), ..self.settings() };
        let registry = Registry::new(self.models.path());
        Service::start(settings, self.store.clone(), registry, self.clock.clone()).unwrap()
    }

    /// With retention of requests.
    pub(in crate::service) fn start_keeping(
        &self,
        retention: Retention,
    ) -> Result<Service, StartError> {
        let settings = Settings { retention, ..self.settings() };
        let registry = Registry::new(self.models.path());
        Service::start(settings, self.store.clone(), registry, self.clock.clone())
    }

    /// Starts a service whose canary gets no traffic once nothing could be saved for this long.
    pub(in crate::service) fn start_turning_off(&self, canary_off_after: Duration) -> Service {
        let settings = Settings { canary_off_after, ..self.settings() };
        let registry = Registry::new(self.models.path());
        Service::start(settings, self.store.clone(), registry, self.clock.clone()).unwrap()
    }

    /// Removes the artifact of the canary from the store and the models folder.
    pub(in crate::service) fn lose(&self, file: &str, service: &Service) {
        self.store.retain_artifacts(&[&service.status().stable.version.digest]).unwrap();
        std::fs::remove_file(self.path(file)).unwrap();
    }

    fn settings(&self) -> Settings {
        Settings {
            policy: Policy::default(),
            workers: 2,
            seed: Some(7),
            stable_deadline: Duration::from_secs(5),
            canary_off_after: Duration::ZERO,
            stable: "model_v1.bin".to_owned(),
            notify: Vec::new(),
            prometheus: None,
            allow_injection: false,
            feedback: FeedbackPolicy::default(),
            retention: Retention::default(),
            sticky_balancer: false,
        }
    }
}

pub(in crate::service) fn deploy(service: &Service, file: &str, percent: f64) -> status::Status {
    service.deploy(deployment(file, percent), None).unwrap()
}

pub(in crate::service) fn deployment(file: &str, percent: f64) -> Deployment {
    Deployment {
        model_path: file.to_owned(),
        weight: Some(Weight::from_percent(percent).unwrap()),
        ..Deployment::default()
    }
}

/// A rollout by plan at 50 % with a metric `cost` that shows harm after four ticks.
pub(in crate::service) fn deploy_harmful_by_plan(service: &Service) {
    let judge =
        "unit = \"request\"\n[[metrics]]\nname = \"cost\"\nharm = \"higher\"\nrole = \"guardrail\"";
    let plan = "warm_up = \"0s\"\ncool_down = \"1h\"\nsteps = [{ weight = 50, bake = \"1h\" }]";
    let (judge, plan) = (toml::from_str(judge).unwrap(), toml::from_str(plan).unwrap());
    let model_path = "model_v2.bin".to_owned();
    service.deploy(Deployment { model_path, plan, judge, ..Deployment::default() }, None).unwrap();
    let cost = MetricName::new("cost").unwrap();
    for n in 0..200 {
        let spread = f64::from(n % 10);
        answer(service);
        service.recordings().record(Track::Stable, cost.clone(), 10.0 + spread, None).unwrap();
        service.recordings().record(Track::Canary, cost.clone(), 40.0 + spread, None).unwrap();
        if n % 50 == 49 {
            service.tick();
        }
    }
}

pub(in crate::service) fn roll_back() -> Command {
    Command::RollBack { reason: None, quarantine: false }
}

/// The track and the version name that answer one request.
pub(in crate::service) fn answer(service: &Service) -> (&'static str, String) {
    answer_to(service, None)
}

pub(in crate::service) fn answer_to(
    service: &Service,
    key: Option<&str>,
) -> (&'static str, String) {
    let row = Features::Ordered([0.5, 1.2, 0.8, 0.3, 1.1].map(Value::Number).to_vec());
    let request = Request {
        rows: vec![row],
        key: key.map(Into::into),
        segments: Vec::new(),
        covariate: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let prediction = runtime.block_on(service.predict(request)).unwrap();
    (prediction.track.name(), prediction.answered_by().version.name.clone())
}

/// What the sequential judge says once a tick has taken in everything recorded so far.
pub(in crate::service) fn judged_now(service: &Service) -> SequentialVerdict {
    service.tick();
    service.health().unwrap().sequential.unwrap()
}

pub(in crate::service) fn answers(
    service: &Service,
    requests: usize,
) -> Vec<(&'static str, String)> {
    let mut seen: Vec<_> = (0..requests).map(|_| answer(service)).collect();
    seen.sort();
    seen.dedup();
    seen
}
