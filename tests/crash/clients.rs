//! Clients of a server that may be killed while it answers.

use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::Value;
use ureq::Agent;

/// A client for which a broken connection is a valid outcome.
pub struct Caller {
    agent: Agent,
    url: String,
}

/// An answer to a command.
pub struct Answer {
    /// Whether the command succeeded.
    pub done: bool,
    /// The revision in the answer, if it succeeded.
    pub revision: Option<u64>,
    /// The body.
    pub body: Value,
}

impl Caller {
    /// A client of this server.
    pub fn new(address: SocketAddr) -> Caller {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .new_agent();
        Caller { agent, url: format!("http://{address}") }
    }

    /// The answer of `GET`; `None` if the server is gone.
    pub fn get(&self, path: &str) -> Option<Value> {
        let mut response = self.agent.get(format!("{}{path}", self.url)).call().ok()?;
        assert_eq!(response.status().as_u16(), 200, "{path}");
        response.body_mut().read_json().ok()
    }

    /// The answer to a command or prediction; `None` if the server is gone before the answer is complete.
    pub fn post(&self, path: &str, body: &str) -> Option<Answer> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("content-type", "application/json");
        let mut response = request.send(body).ok()?;
        let etag = response.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        let revision = etag.map(|tag| tag.trim_matches('"').parse().unwrap());
        let status = response.status().as_u16();
        let body = response.body_mut().read_json().ok()?;
        assert!(matches!(status, 200 | 409), "{path}: {status} {body}");
        Some(Answer { done: status == 200, revision, body })
    }
}

/// How a server is used before it is killed.
#[derive(Clone, Copy)]
pub struct Pace {
    /// How long it runs.
    pub lasts: Duration,
    /// Whether commands keep the step, so that evidence grows and is saved.
    pub calm: bool,
    /// The pause between two commands, in microseconds.
    pub rest: u64,
}

impl Pace {
    /// Mostly short and busy; one in twelve runs until its evidence was saved once or twice.
    pub fn random(random: &mut StdRng) -> Pace {
        if random.random_ratio(1, 12) {
            let lasts = Duration::from_millis(random.random_range(1000..2600));
            return Pace { lasts, calm: true, rest: 30_000 };
        }
        let lasts = Duration::from_micros(random.random_range(1000..220_000));
        Pace { lasts, calm: false, rest: 2_000 }
    }
}
