//! What clients report after a prediction: labels and measurements.
//!
//! - [`feedback`]: labels, by prediction id.
//! - [`recordings`]: measured values, by metric and track; `pending`: those that wait for the judge.
//! - [`prometheus`]: values of another service.
//! - [`analysis`]: two samples compared.

pub mod analysis;
pub mod feedback;
pub(crate) mod pending;
pub mod prometheus;
pub mod recordings;

use std::sync::Arc;

use feedback::Feedback;
use feedback::FeedbackError;
use feedback::GivenOutcome;
use feedback::Ids;
use prometheus::status::Queries;
use recordings::Recordings;

use super::clock::Clock;
use super::serving::predict::Prediction;
use crate::canary::Track;

/// Everything that clients report. Predictions never touch it.
pub struct Reported {
    /// Measured values. Written by each `/record` and each query, emptied by each deployment. Its locks are taken last.
    pub recordings: Recordings,
    /// How the queries of the rollout are doing.
    pub queries: Queries,
    /// Labels. Written by each `/feedback`, taken by each tick.
    pub(crate) feedback: Feedback,
    clock: Arc<dyn Clock>,
}

impl Reported {
    pub(crate) fn new(feedback: Feedback, clock: Arc<dyn Clock>) -> Reported {
        Reported { recordings: Recordings::default(), queries: Queries::default(), feedback, clock }
    }

    /// The ids that an answer's labels are sent with; `None` if this server takes no labels.
    pub fn ids<'a>(&'a self, prediction: &'a Prediction) -> Option<Ids<'a>> {
        self.feedback.ids(prediction, self.clock.wall())
    }

    /// Takes the outcome of a prediction. The track it counts for; `None` if
    /// for neither, see [`feedback::NOT_COUNTED`].
    ///
    /// # Errors
    /// See [`FeedbackError`].
    pub fn label(&self, id: &str, outcome: &GivenOutcome) -> Result<Option<Track>, FeedbackError> {
        self.feedback.give(id, outcome, self.clock.wall())
    }
}
