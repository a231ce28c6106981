//! The running server without HTTP.
//!
//! - [`clock`], [`log_limit`], [`wakeup`], [`settings`]: what every room uses.
//! - [`serving`]: the hot path. [`reported`]: labels and measurements. [`notify`]: notifications.
//! - [`status`]: what people and programs see. [`control`]: the one writer.
//! - [`background`]: the threads.

pub mod clock;
pub mod log_limit;
pub mod wakeup;

pub mod serving;

pub mod reported;

pub mod notify;

pub mod settings;

pub mod status;

pub mod control;

pub mod background;

use std::sync::Arc;

use crate::canary::Entry;
use crate::canary::Refusal;
use crate::canary::Track;
use crate::canary::rollout::next_action::Action;
use crate::store::Store;
use crate::store::StoreError;
use crate::text::exposition::Format;
use clock::Clock;
use control::Control;
use control::audit::Limit;
use control::audit::Question;
use control::registry::Registry;
use notify::Notifications;
use reported::Reported;
use reported::feedback::FeedbackError;
use reported::feedback::GivenOutcome;
use reported::feedback::Ids;
use reported::recordings::Recordings;
use serving::Serving;
use serving::predict::PredictError;
use serving::predict::Prediction;
use serving::predict::Request;
use status::Status;
use status::health::Health;
use status::past::PastRollout;
use status::past::Rollouts;

pub use control::audit::ReplayError;
pub use control::command::Command;
pub use control::command::CommandError;
pub use control::command::Deployment;
pub use control::startup::StartError;
pub use settings::Settings;

/// A serin without its HTTP server: its rooms, and the calls that most callers need.
pub struct Service {
    /// The hot path.
    pub serving: Arc<Serving>,
    /// Labels and measurements.
    pub reported: Arc<Reported>,
    /// The one writer.
    pub control: Arc<Control>,
    pub(crate) notifications: Arc<Notifications>,
}

impl Service {
    /// Starts from the state in the store, or from the stable model of the settings if it is empty.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(
        settings: Settings,
        store: Arc<dyn Store>,
        registry: Registry,
        clock: Arc<dyn Clock>,
    ) -> Result<Service, StartError> {
        let control = Arc::new(Control::start(settings, store, registry, clock)?);
        let (serving, reported) = (control.serving.clone(), control.reported.clone());
        let notifications = control.notifications.clone();
        Ok(Service { serving, reported, control, notifications })
    }

    /// See [`Serving::predict`].
    pub fn predict<'a>(
        &'a self,
        request: Request<'a>,
    ) -> impl Future<Output = Result<Prediction, PredictError>> + 'a {
        self.serving.predict(request)
    }

    /// See [`Serving::predict_on`].
    pub async fn predict_on(
        &self,
        track: Track,
        request: Request<'_>,
    ) -> Result<Prediction, PredictError> {
        self.serving.predict_on(track, request).await
    }

    /// See [`Reported::ids`].
    pub fn ids<'a>(&'a self, prediction: &'a Prediction) -> Option<Ids<'a>> {
        self.reported.ids(prediction)
    }

    /// See [`Reported::label`].
    pub fn label(
        &self,
        id: &str,
        outcome: impl Into<GivenOutcome>,
    ) -> Result<Option<Track>, FeedbackError> {
        self.reported.label(id, &outcome.into())
    }

    /// Measured values, of the running rollout or of none.
    pub fn recordings(&self) -> &Recordings {
        &self.reported.recordings
    }

    /// See [`Control::deploy`].
    pub fn deploy(
        &self,
        deployment: Deployment,
        if_revision: Option<u64>,
    ) -> Result<Status, CommandError> {
        self.control.deploy(deployment, if_revision)
    }

    /// See [`Control::command`].
    pub fn command(
        &self,
        command: Command,
        if_revision: Option<u64>,
    ) -> Result<Status, CommandError> {
        self.control.command(command, if_revision)
    }

    /// See [`Control::look`].
    pub fn look(&self) -> Result<Option<Action>, CommandError> {
        self.control.look()
    }

    /// See [`Control::tick`].
    pub fn tick(&self) {
        self.control.tick();
    }

    /// See [`Control::save_checkpoint`].
    pub fn save_checkpoint(&self) -> Result<(), StoreError> {
        self.control.save_checkpoint()
    }

    /// See [`Control::status`].
    pub fn status(&self) -> Status {
        self.control.status()
    }

    /// See [`Control::metrics`].
    pub fn metrics(&self, format: Format) -> String {
        self.control.metrics(format)
    }

    /// See [`Control::health`].
    pub fn health(&self) -> Result<Health, Refusal> {
        self.control.health()
    }

    /// See [`Control::history`].
    pub fn history(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.control.history(after, limit)
    }

    /// See [`Control::newest_history`].
    pub fn newest_history(&self, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.control.newest_history(limit)
    }

    /// See [`Control::rollouts`].
    pub fn rollouts(&self, before: Option<u64>, limit: usize) -> Result<Rollouts, StoreError> {
        self.control.rollouts(before, limit)
    }

    /// See [`Control::past_rollout`].
    pub fn past_rollout(
        &self,
        question: &Question,
        limit: &Limit,
    ) -> Result<PastRollout, ReplayError> {
        self.control.past_rollout(question, limit)
    }
}

#[cfg(test)]
mod tests;
