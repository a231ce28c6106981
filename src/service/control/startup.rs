//! Startup: replay the journal and load the models; `evidence` restores what was measured.

pub(super) mod evidence;

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use thiserror::Error;

use super::Control;
use super::ledger::Ledger;
use super::ledger::Position;
use super::ledger::Salts;
use super::ledger::StoreHealth;
use super::registry::Registry;
use super::registry::RegistryError;
use crate::canary::Event;
use crate::canary::Rollout;
use crate::canary::State;
use crate::canary::Version;
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
use crate::service::serving::inputs::InputPlan;
use crate::service::serving::inputs::InputSampler;
use crate::service::serving::inputs::plan::Counted;
use crate::service::serving::intake::Intake;
use crate::service::serving::keys::homes::Homes;
use crate::service::serving::live::CanarySlot;
use crate::service::serving::live::Live;
use crate::service::serving::live::Loaded;
use crate::service::serving::recorder::Recorder;
use crate::service::serving::shadow::queue::RedactError;
use crate::service::serving::shadow::queue::Shadow;
use crate::service::serving::shadow::trial::Limits;
use crate::service::settings::Settings;
use crate::service::wakeup::Wakeup;
use crate::store::Checkpoint;
use crate::store::Role;
use crate::store::Store;
use crate::store::StoreError;
use crate::text::fields::FieldError;
use evidence::checkpoint_of;
use evidence::labelled;
use evidence::restored;
use evidence::restored_judge;
use evidence::rollout_keys;

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
    /// The settings do not fit what the stable model answers.
    #[error("{0}; the value is from the server's settings")]
    Policy(FieldError),
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
        let newest = store.entries(known.saturating_sub(1), 1)?.pop();
        adopt_date(&*clock, &*store, newest.map_or(Timestamp::MIN, |newest| newest.at))?;
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
            reported.recordings.judge(rollout.metrics_from_outside(), rollout.salt);
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
            store_lost: Mutex::default(),
            canary_off: Mutex::default(),
            outlines: Mutex::default(),
            reading_ticks: Mutex::default(),
            store_health: StoreHealth::default(),
            state_saved_at: from.into(),
            store,
            registry,
            replicas: Mutex::new(Arc::default()),
            started: clock.steady(),
            clock,
            settings,
            wakeup,
            serving: Arc::new(serving),
            reported: Arc::new(reported),
            notifications: Arc::new(notifications),
        };
        let judge = &control.settings.policy.judge;
        judge.check_margins(&control.outputs()).map_err(StartError::Policy)?;
        if control.is_shared() {
            control.take_part().map_err(|e| StartError::Command(e.to_string()))?;
            // The samples of the others, before the first question.
            control.save_checkpoint()?;
        }
        // A follower may lack what the others have.
        if control.decides() {
            if canary_lost {
                control.roll_back_lost_canary()?;
            }
            control.end_forbidden_injection()?;
        }
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

/// Adopts the date of the store's clock, or of the machine's where the store has none, or `at_least` if that is later: a
/// date before the newest journal entry would prolong what the entry began.
///
/// # Errors
/// When the store cannot be asked.
pub(super) fn adopt_date(
    clock: &dyn Clock,
    store: &dyn Store,
    at_least: Timestamp,
) -> Result<(), StoreError> {
    let date = store.date()?.unwrap_or_else(|| clock.machine());
    clock.set(date.max(at_least));
    Ok(())
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
    match store.append(0, clock.wall(), &event) {
        Ok(entry) => Ok((follow(None, &entry)?, entry.sequence)),
        // Another process of the fleet was faster.
        Err(conflict @ StoreError::Conflict { .. }) => {
            let Replayed { state, revision } = replayed(store, None, 0)?;
            Ok((state.ok_or(conflict)?, revision))
        }
        Err(other) => Err(other.into()),
    }
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
                let tried = loaded.tried(&stable, &state.clients.may_lack, limits(settings));
                loaded.trial.get_or_init(|| tried);
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
    let recorder = match store.role() {
        Role::Alone => restored(state, saved, settings.workers),
        // The samples of an earlier process stay in its report.
        Role::Leader | Role::Follower => Recorder::new(settings.workers),
    };
    let recorder = Arc::new(recorder);
    let intake = intake_of(&stable, canary.as_ref(), &state.clients, settings);
    let inputs = inputs_of(&intake, &stable, canary.as_ref(), state.rollout.as_ref(), settings);
    let homes = match store.role() {
        Role::Leader | Role::Follower if !settings.sticky_balancer => Homes::unknown(store.id().0),
        _ => Homes::default(),
    };
    let (visitors, homes) = (Arc::default(), Arc::new(homes));
    Ok(Live { stable, canary, previous, intake, inputs, recorder, visitors, homes })
}

/// What bounds the trial of a canary.
pub(super) fn limits(settings: &Settings) -> Limits<'_> {
    Limits { deadline: settings.policy.canary_deadline, redact: &settings.retention.redact }
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

/// The sampler of inputs of these versions, which are judged if the policy of the rollout asks for it.
pub(super) fn inputs_of(
    intake: &Intake,
    stable: &Loaded,
    canary: Option<&CanarySlot>,
    rollout: Option<&Rollout>,
    settings: &Settings,
) -> Arc<InputSampler> {
    fn counted(loaded: &Loaded) -> Counted<'_> {
        let inputs = loaded.card.as_ref().and_then(|card| card.inputs.as_ref());
        Counted { schema: loaded.inference.model().schema(), inputs }
    }
    let layout = intake.layout();
    let rows = layout.joint.schema();
    let canary = canary.map(|canary_slot| &*canary_slot.loaded);
    let plan = InputPlan::new(rows, &layout.redacted, counted(stable), canary.map(counted));
    let is_judged = rollout.is_some_and(|rollout| rollout.policy.judge.judge_inputs);
    Arc::new(InputSampler::new(Arc::new(plan), is_judged, settings.workers))
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

/// The version from the store or its file; `None`, with a warning, if it cannot be loaded.
pub(super) fn load_or_warn(
    version: &Version,
    store: &dyn Store,
    registry: &Registry,
) -> Result<Option<Arc<Loaded>>, StoreError> {
    match load(version, store, registry)? {
        Found::Lost => {
            let (name, digest) = (&version.name, &version.digest);
            tracing::warn!(
                name,
                digest,
                "a version is neither in the store nor in the models folder"
            );
            Ok(None)
        }
        found => Ok(found.or_warning()),
    }
}

/// The version from the store, or from its file if that still has the same digest.
fn load(version: &Version, store: &dyn Store, registry: &Registry) -> Result<Found, StoreError> {
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
