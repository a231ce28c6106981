//! The answer to a prediction, as far as commands that send some read it.

use serde::Deserialize;

use crate::canary::Track;

/// The answer to a prediction.
#[derive(Debug, Deserialize)]
pub struct Predicted {
    model_used: String,
    /// The version that answered.
    pub model_version: String,
    /// Whether stable answered in the canary's place.
    pub fallback: bool,
    /// For feedback; `None` if it is off.
    pub prediction_id: Option<String>,
}

impl Predicted {
    /// Whether the canary answered.
    pub fn is_by_canary(&self) -> bool {
        self.model_used == Track::Canary.name()
    }
}
