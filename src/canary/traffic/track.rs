//! The two tracks of a rollout: stable and canary.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

/// The role of a model version at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Track {
    /// The version that serves users now.
    Stable,
    /// The version that is being tested.
    Canary,
}

impl Track {
    /// The other track.
    pub fn other(self) -> Track {
        match self {
            Track::Stable => Track::Canary,
            Track::Canary => Track::Stable,
        }
    }

    /// The word used in the API and in logs.
    pub fn name(self) -> &'static str {
        match self {
            Track::Stable => "stable",
            Track::Canary => "canary",
        }
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
