//! The part of a status that must survive a crash exactly.

use serde_json::Value;

/// The state of a server without its evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The journal's length.
    pub revision: u64,
    /// The stable version's name.
    pub stable: String,
    /// The rollout under way.
    pub rollout: Option<Rollout>,
    /// Whether the canary is slowed down.
    pub slow: bool,
    /// The injected delay.
    pub delay_ms: u64,
    /// The last rollout's number and how it ended.
    pub last: Option<(u64, String)>,
}

/// The rollout of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// Its number.
    pub id: u64,
    /// Its step.
    pub step: u64,
    /// The canary's name.
    pub canary: String,
    /// The canary's share.
    pub percent: f64,
    /// Whether it is paused.
    pub paused: bool,
    /// When it started, as the server writes it; `None` if unknown.
    pub started_at: Option<String>,
}

impl Picture {
    /// The picture of this status.
    pub fn of(status: &Value) -> Picture {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let rollout = status["rollout"].as_object().map(|rollout| Rollout {
            id: rollout["id"].as_u64().unwrap(),
            step: rollout["step"].as_u64().unwrap(),
            canary: text(&status["canary"]["version"]),
            percent: status["traffic_percent"].as_f64().unwrap(),
            paused: status["state"] == "paused",
            started_at: Some(text(&rollout["started_at"])),
        });
        let state = match &rollout {
            None => "idle",
            Some(Rollout { paused: true, .. }) => "paused",
            Some(Rollout { paused: false, .. }) => "running",
        };
        assert_eq!(status["state"], state, "{status}");
        assert_eq!(status["canary"].is_null(), rollout.is_none(), "{status}");
        let last = &status["last_rollout"];
        Picture {
            revision: status["revision"].as_u64().unwrap(),
            stable: text(&status["stable"]["version"]),
            rollout,
            slow: status["simulate_slowdown"].as_bool().unwrap(),
            delay_ms: status["delay_ms"].as_u64().unwrap(),
            last: last["rollout"].as_u64().map(|id| (id, text(&last["outcome"]))),
        }
    }

    /// The picture after a command: what its answer says, and for the rest what was foreseen.
    pub fn answered(effect: &Value, foreseen: &Picture) -> Picture {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut picture = foreseen.clone();
        picture.revision = effect["revision"].as_u64().unwrap();
        picture.stable = text(&effect["stable"]["version"]);
        let last = &effect["last_rollout"];
        if let Some(id) = last["rollout"].as_u64() {
            picture.last = Some((id, text(&last["outcome"])));
        }
        let id = picture.rollout.as_ref().map(|rollout| rollout.id);
        assert_eq!(effect["rollout_id"].as_u64(), id, "{effect}");
        if let Some(rollout) = &mut picture.rollout {
            rollout.canary = text(&effect["canary"]["version"]);
            rollout.percent = effect["traffic_percent"].as_f64().unwrap();
            rollout.paused = effect["state"] == "paused";
        }
        picture
    }

    /// Whether this expected picture matches the found one. An unknown time matches any time.
    pub fn foresees(&self, found: &Picture) -> bool {
        let mut foreseen = self.clone();
        if let (Some(rollout), Some(found)) = (&mut foreseen.rollout, &found.rollout)
            && rollout.started_at.is_none()
        {
            rollout.started_at.clone_from(&found.started_at);
        }
        foreseen == *found
    }

    /// The rollout and step that evidence belongs to.
    pub fn step(&self) -> Option<(u64, u64)> {
        self.rollout.as_ref().map(|rollout| (rollout.id, rollout.step))
    }
}
