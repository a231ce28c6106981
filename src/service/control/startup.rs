//! Startup: replay the journal, load the models, restore the evidence.

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use thiserror::Error;

use super::Control;
use super::error::CommandError;
use super::ledger::Ledger;
use super::ledger::Position;
use super::ledger::Salts;
use super::registry::Registry;
use super::registry::RegistryError;
use super::sequential_judge::SequentialJudge;
use crate::canary::Event;
use crate::canary::Monitors;
use crate::canary::Rollout;
use crate::canary::State;
use crate::canary::Version;
use crate::canary::judge::monitors::ALGORITHM;
use crate::canary::judge::tick_log;
use crate::canary::judge::tick_log::Unsaved;
use crate::canary::policy::Mode;
use crate::canary::policy::fault::Injection;
use crate::canary::rollout::cause::Cause;
use crate::canary::rollout::journal::ReplayError;
use crate::canary::rollout::journal::follow;
use crate::canary::rollout::state::Clients;
use crate::model::ArtifactError;
use crate::model::PredictError;
use crate::model::artifact::comparison::not_compared;
use crate::model::schema::joint::Difference;
use crate::service::clock::Clock;
use crate::service::notify::Notifications;
use crate::service::reported::Reported;
use crate::service::reported::feedback::Feedback;
use crate::service::serving::Serving;
use crate::service::serving::circuit_breaker::CircuitBreaker;
use crate::service::serving::intake::Intake;
use crate::service::serving::live::CanarySlot;
use crate::service::serving::live::Live;
use crate::service::serving::live::Loaded;
use crate::service::serving::recorder::Observed;
use crate::service::serving::recorder::Recorder;
use crate::service::serving::seen_keys::RolloutKeys;
use crate::service::serving::shadow::queue::RedactError;
use crate::service::serving::shadow::queue::Shadow;
use crate::service::settings::Settings;
use crate::service::wakeup::Wakeup;
use crate::store::Checkpoint;
use crate::store::KeyedSamples;
use crate::store::ReplicaId;
use crate::store::Store;
use crate::store::StoreError;

/// Why a service cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal is not a possible history.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The first stable model cannot be loaded.
    #[error("no stable model")]
    Registry(#[from] RegistryError),
    /// The stable model of the journal is neither in the store nor in the folder.
    #[error(
        "the stable model {name} ({digest}) is neither in the store nor, unchanged, at {file} in \
         the models folder; put the file back, or start with another --store"
    )]
    StableLost {
        /// Its name.
        name: String,
        /// Its file.
        file: String,
        /// Its digest.
        digest: String,
    },
    /// The stable model needs a library that is not here.
    #[error("the model {name} of the store cannot run: {cause}")]
    CannotRun {
        /// Its name.
        name: String,
        /// Why.
        cause: PredictError,
    },
    /// A feature to redact is unknown.
    #[error(transparent)]
    Redact(#[from] RedactError),
    /// An event of the start, such as the rollback of a lost canary, could not be committed.
    #[error("{0}")]
    Command(String),
}

impl Control {
    /// Starts from the store, or with the stable model of the settings if the store is empty.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(
        settings: Settings,
        store: Arc<dyn Store>,
        registry: Registry,
        clock: Arc<dyn Clock>,
    ) -> Result<Control, StartError> {
        // Not the whole journal is read. It decides: a saved state that is newer is ignored.
        let (state, from) = store.state_up_to(store.newest_sequence()?);
        let Replayed { state, revision: known } = replayed(&*store, state, from)?;
        if let Some(newest) = store.entries(known.saturating_sub(1), 1)?.pop() {
            clock.follow(newest.at);
        }
        // Before the first event is written that a target may subscribe to.
        let notifications = Notifications::new(&settings.notify, &*store, known);
        let (state, revision) = match state {
            Some(state) => (state, known),
            None => first_state(&settings, &*store, &registry, &*clock)?,
        };
        let wakeup: Arc<Wakeup> = Arc::default();
        let saved = checkpoint_of(&state, &*store);
        let live = assemble(&state, saved.as_ref(), &*store, &registry, &settings, &wakeup)?;
        let stable = live.stable.inference.model().schema();
        let shadow = Shadow::new(&settings.retention, settings.workers, stable, |name| {
            live.intake.accepts(name) || registry.knows(name)
        })?;
        let judge = restored_judge(&state, saved.as_ref(), &live, &*store, clock.wall());
        let compared = live.stable.card.as_ref().and_then(|card| not_compared(card, "Stable"));
        compared.iter().for_each(|warning| tracing::warn!(stable = state.stable.name, "{warning}"));
        let canary_lost = state.rollout.is_some() && live.canary.is_none();
        let feedback = Feedback::new(settings.feedback, &*store)?;
        labelled(&state, saved.as_ref(), &*store, &feedback);
        let reported = Reported::new(feedback, clock.clone());
        if let Some(rollout) = &state.rollout {
            reported.recordings.judge(rollout.recorded_metrics(), rollout.salt);
        }
        let salts = Salts::new(settings.seed, state.rollouts);
        let serving = Serving::new(live, shadow, clock.clone(), settings.stable_deadline);
        let live = serving.live.load_full();
        let ledger = Ledger::new(Position { state, revision, live }, salts);
        let control = Control {
            position: ledger.published(),
            ledger: Mutex::new(ledger),
            judge: Mutex::new(judge),
            saved: Mutex::default(),
            store_trouble: Mutex::default(),
            state_saved_at: from.into(),
            store,
            registry,
            started: clock.steady(),
            clock,
            settings,
            wakeup,
            serving: Arc::new(serving),
            reported: Arc::new(reported),
            notifications: Arc::new(notifications),
        };
        if canary_lost {
            control.roll_back_lost_canary()?;
        }
        control.end_forbidden_injection()?;
        Ok(control)
    }

    /// Removes an injected fault if this server does not allow injection.
    fn end_forbidden_injection(&self) -> Result<(), StartError> {
        let mut ledger = self.ledger.lock();
        let injected = ledger.state.rollout.as_ref().filter(|it| it.injected().is_some());
        let Some(rollout) = injected.filter(|_| !self.settings.allow_injection) else {
            return Ok(());
        };
        let event = Event::Injected { rollout: rollout.id, injection: Injection::default() };
        self.commit(&mut ledger, &event, None).map_err(|e| StartError::Command(e.to_string()))
    }

    /// Follows a journal that another process has written to, from the state that it led to.
    pub(crate) fn catch_up(&self, ledger: &mut Ledger, from: &State) -> Result<(), CommandError> {
        let damaged = |cause: String| {
            CommandError::Store(StoreError::Damaged { what: "a journal".to_owned(), cause })
        };
        let Replayed { state, revision } =
            replayed(&*self.store, Some(from.clone()), ledger.revision)
                .map_err(|e| damaged(e.to_string()))?;
        if let Some(state) = state {
            let (store, saved) = (&*self.store, checkpoint_of(&state, &*self.store));
            let saved = saved.as_ref();
            let (registry, settings) = (&self.registry, &self.settings);
            let live = assemble(&state, saved, store, registry, settings, &self.wakeup)
                .map_err(|e| damaged(e.to_string()))?;
            // Not while a checkpoint of the old evidence is being saved.
            let _not_saving = self.saved.lock();
            *self.judge.lock() = restored_judge(&state, saved, &live, store, self.clock.wall());
            let live = self.serving.install(live);
            labelled(&state, saved, store, &self.reported.feedback);
            // Values recorded so far may belong to another rollout.
            self.reported.recordings.clear();
            match &state.rollout {
                Some(rollout) => {
                    self.reported.recordings.judge(rollout.recorded_metrics(), rollout.salt)
                }
                None => self.reported.recordings.judge([], 0),
            }
            ledger.move_to(state, revision, live);
            self.notifications.wake();
        }
        Ok(())
    }

    fn roll_back_lost_canary(&self) -> Result<(), StartError> {
        let mut ledger = self.ledger.lock();
        let Some(rollout) = &ledger.state.rollout else { return Ok(()) };
        let event = Event::RolledBack {
            rollout: rollout.id,
            cause: Cause::ArtifactLost,
            quarantine: false,
            judgement: None,
            by: Mode::Automatic,
        };
        self.commit(&mut ledger, &event, None).map_err(|e| StartError::Command(e.to_string()))
    }
}

/// Where the entries of the journal lead.
struct Replayed {
    state: Option<State>,
    /// The newest entry.
    revision: u64,
}

/// The state after the entries that follow `revision`.
fn replayed(
    store: &dyn Store,
    state: Option<State>,
    revision: u64,
) -> Result<Replayed, StartError> {
    let mut replayed = Replayed { state, revision };
    for entry in store.entries_from(revision) {
        let entry = entry?;
        let state = Some(follow(replayed.state.take(), &entry)?);
        replayed = Replayed { state, revision: entry.sequence };
    }
    Ok(replayed)
}

fn first_state(
    settings: &Settings,
    store: &dyn Store,
    registry: &Registry,
    clock: &dyn Clock,
) -> Result<(State, u64), StartError> {
    let stable = registry.candidate(&settings.stable)?;
    store.save_artifact(&stable.version.digest, &stable.bytes)?;
    let event = Event::Initialized { stable: stable.version };
    let entry = store.append(0, clock.wall(), &event)?;
    Ok((follow(None, &entry)?, entry.sequence))
}

/// Loads the versions of the state and restores the samples of its step. A canary that cannot be loaded is
/// left out.
fn assemble(
    state: &State,
    saved: Option<&Checkpoint>,
    store: &dyn Store,
    registry: &Registry,
    settings: &Settings,
    wakeup: &Arc<Wakeup>,
) -> Result<Live, StartError> {
    let Version { name, file, digest } = state.stable.clone();
    let stable = match load(&state.stable, store, registry)? {
        Found::Loaded(stable) => stable,
        Found::CannotRun(cause) => return Err(StartError::CannotRun { name, cause }),
        Found::Lost => return Err(StartError::StableLost { name, file, digest }),
    };
    let canary = match &state.rollout {
        Some(rollout) => load(&rollout.canary, store, registry)?
            .or_warning()
            .filter(|canary| {
                let (stable, canary) = (stable.inference.model(), canary.inference.model());
                Difference::between(stable.schema(), canary.schema()).is_ok()
                    && stable.output().is_same_as(canary.output())
            })
            .map(|loaded| {
                let (keys, breaker) =
                    (rollout_keys(rollout, saved), CircuitBreaker::of(rollout, wakeup));
                CanarySlot::new(rollout, loaded, &stable, state.slowdown, keys, breaker, None)
            }),
        None => None,
    };
    let previous = match &state.post_promotion {
        Some(promotion) => load(&promotion.previous, store, registry)?.or_warning(),
        None => None,
    };
    if previous.is_none() && state.post_promotion.is_some() {
        tracing::error!(
            "the version before the newest promotion cannot be loaded; the promotion cannot be reverted"
        );
    }
    let recorder = Arc::new(restored(state, saved, settings.workers));
    let intake = intake_of(&stable, canary.as_ref(), &state.clients, settings);
    Ok(Live { stable, canary, previous, intake, recorder, visitors: Arc::default() })
}

/// What requests to these versions may contain.
pub(super) fn intake_of(
    stable: &Loaded,
    canary: Option<&CanarySlot>,
    clients: &Clients,
    settings: &Settings,
) -> Arc<Intake> {
    let canary = canary.map(|canary_slot| canary_slot.loaded.inference.model().schema());
    let (stable, redact) = (stable.inference.model().schema(), &settings.retention.redact);
    Arc::new(Intake::new(stable, canary, clients, redact, settings.workers))
}

/// What became of a version of the journal.
enum Found {
    Loaded(Arc<Loaded>),
    /// It is there, and needs a library that is not, or that refuses it: another start may run it.
    CannotRun(PredictError),
    /// Neither in the store nor, unchanged, in the models folder.
    Lost,
}

impl Found {
    /// The version, if the server can do without it.
    fn or_warning(self) -> Option<Arc<Loaded>> {
        match self {
            Found::Loaded(loaded) => Some(loaded),
            Found::CannotRun(cause) => {
                tracing::warn!(%cause, "a version cannot run; the server starts without it");
                None
            }
            Found::Lost => None,
        }
    }
}

/// The version from the store, or from its file if that still has the same digest.
fn load(version: &Version, store: &dyn Store, registry: &Registry) -> Result<Found, StartError> {
    if let Some(bytes) = store.artifact(&version.digest)? {
        match registry.reload(version, &bytes) {
            Ok(loaded) => return Ok(Found::Loaded(loaded)),
            Err(RegistryError::NotAModel { cause: ArtifactError::CannotRun { cause }, .. }) => {
                return Ok(Found::CannotRun(cause));
            }
            Err(cause) => tracing::warn!(%cause, "the store's copy of an artifact is damaged"),
        }
    }
    match registry.candidate(&version.file) {
        Ok(found) if found.version.digest == version.digest => Ok(Found::Loaded(found.loaded)),
        Ok(_) => Ok(Found::Lost),
        Err(RegistryError::NotAModel { cause: ArtifactError::CannotRun { cause }, .. }) => {
            Ok(Found::CannotRun(cause))
        }
        Err(cause) => {
            tracing::warn!(%cause, "an artifact is not in the models folder");
            Ok(Found::Lost)
        }
    }
}

/// The newest checkpoint, if it belongs to the rollout of this state. An unreadable one is lost evidence; the server
/// starts without it.
fn checkpoint_of(state: &State, store: &dyn Store) -> Option<Checkpoint> {
    let rollout = state.judged()?;
    let saved = store.checkpoint(ReplicaId::ONLY).unwrap_or_else(|cause| {
        tracing::warn!(%cause, "the newest checkpoint cannot be read");
        None
    });
    saved.filter(|it| (it.rollout, &it.digest) == (rollout.id, &rollout.canary.digest))
}

/// The keys seen before the restart, if any.
fn rollout_keys(rollout: &Rollout, saved: Option<&Checkpoint>) -> Option<Arc<RolloutKeys>> {
    let KeyedSamples { seen, shadowed, .. } = saved?.keys.clone()?;
    let shadowed = shadowed.unwrap_or_default();
    Some(Arc::new(RolloutKeys::restored(rollout.salt, seen, shadowed)))
}

/// The sequential judge of the restored rollout. Continues from the checkpoint, even one of an earlier step,
/// or starts from stable's samples before the rollout.
fn restored_judge(
    state: &State,
    saved: Option<&Checkpoint>,
    live: &Live,
    store: &dyn Store,
    now: Timestamp,
) -> SequentialJudge {
    let Some(rollout) = state.judged() else { return SequentialJudge::default() };
    let seen = live.recorder.observed();
    // Samples that were not restored are lost, so nothing counts twice.
    let kept = saved.and_then(|saved| saved.monitors.clone());
    let monitors = kept.or_else(|| logged(store, rollout.id)).unwrap_or_else(|| {
        // Also the case after a crash in the first second of a rollout.
        tracing::info!(
            rollout = rollout.id,
            "no evidence of this rollout was saved; the sequential judge starts from the beginning"
        );
        Monitors::new(&rollout.policy.judge, &seen.first.stable)
    });
    // Evidence of another algorithm is a snapshot to continue from; this one could not recompute it.
    let is_of_this = monitors.algorithm() == ALGORITHM;
    let monitors = monitors.taken_over();
    let kept = if is_of_this { unsaved(store, rollout.id, &monitors) } else { Ok(None) };
    let begins = || Unsaved::beginning(&monitors);
    let unsaved = kept.map(|kept| kept.unwrap_or_else(begins)).unwrap_or_else(|cause| {
        tracing::warn!(%cause, "the tick log cannot be read; a new one starts");
        begins()
    });
    let is_new = monitors.ticks() == 0;
    let mut judge = SequentialJudge::over(rollout, monitors, unsaved, seen, now);
    if let Some(canary_slot) = &live.canary {
        canary_slot.segments.learn(judge.segments());
        if is_new {
            // All keys so far came in the warm-up.
            canary_slot.keys.forget();
        }
    }
    if state.rollout.is_none() {
        judge.post_promotion();
    }
    judge
}

/// Restores the labels of the checkpoint, if they belong to the current rollout.
fn labelled(state: &State, saved: Option<&Checkpoint>, store: &dyn Store, feedback: &Feedback) {
    let rollout = state.judged();
    feedback.follow(rollout);
    let Some(rollout) = rollout else { return };
    let labels = saved.and_then(|saved| saved.labels.clone());
    match store.labels(ReplicaId::ONLY, rollout.id) {
        Ok(seen) => feedback.restore(labels.unwrap_or_default(), seen),
        Err(cause) => tracing::warn!(%cause, "the labels of the running rollout are lost"),
    }
}

/// The monitors that the tick log of a rollout leads to: a failure is final even if the checkpoint is lost.
fn logged(store: &dyn Store, rollout: u64) -> Option<Monitors> {
    let chunks = store.chunks(ReplicaId::ONLY).ok()?;
    let newest = chunks.into_iter().rfind(|chunk| chunk.rollout == rollout)?;
    let (snapshot, ticks) = (
        store.snapshot(ReplicaId::ONLY, newest).ok()??,
        store.ticks(ReplicaId::ONLY, newest).ok()?,
    );
    let end = ticks.last().map_or(newest.start, |tick| tick.number);
    let monitors = tick_log::replay(snapshot, &ticks, end).ok()?;
    tracing::warn!(rollout, ticks = end, "the evidence is restored from the tick log");
    Some(monitors)
}

/// The end of the log, if it leads to these monitors.
fn unsaved(
    store: &dyn Store,
    rollout: u64,
    monitors: &Monitors,
) -> Result<Option<Unsaved>, StoreError> {
    let chunks = store.chunks(ReplicaId::ONLY)?;
    let newest = chunks.into_iter().rfind(|chunk| chunk.rollout == rollout);
    let Some(newest) = newest else { return Ok(None) };
    let ticks = store.ticks(ReplicaId::ONLY, newest)?;
    let end = ticks.last().map_or(newest.start, |tick| tick.number);
    let leads_here = end == monitors.ticks();
    Ok(leads_here.then(|| Unsaved::after(&ticks)))
}

/// The recorder of the current step, with the samples of its checkpoint.
fn restored(state: &State, saved: Option<&Checkpoint>, workers: usize) -> Recorder {
    let step = state.rollout.as_ref().map(|rollout| rollout.step);
    let Some(saved) = saved.filter(|saved| Some(saved.step) == step) else {
        return Recorder::new(workers);
    };
    let repeated = saved.keys.as_ref().and_then(|keys| keys.repeated.clone());
    let before = Observed { first: saved.samples.clone(), repeated, pairs: saved.pairs.clone() };
    Recorder::restored(workers, before, saved.routed).unwrap_or_else(|| {
        tracing::warn!("the samples of the current step do not add up; they are discarded");
        Recorder::new(workers)
    })
}
