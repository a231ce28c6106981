//! Open-loop load: 200 evenly spaced requests per second, independent of the server.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;
use ureq::Agent;

use super::Fallible;

const REQUESTS_PER_SECOND: u32 = 200;
/// Connections that take turns, so that none waits for its previous answer.
const CONNECTIONS: u32 = 8;

/// What the users of one server have seen.
#[derive(Default)]
pub struct Users {
    /// Set to stop the load.
    pub enough: AtomicBool,
    /// Set when the rollout has ended.
    pub is_over: AtomicBool,
    pub answers: AtomicU64,
    /// Answers that were not predictions, and requests without an answer.
    pub failed: AtomicU64,
    /// Requests that began after the rollout had ended and were answered by its canary.
    pub stray: AtomicU64,
    /// Answers from the canary.
    pub by_canary: AtomicU64,
    /// The bodies to send in turn; empty: the same one every time.
    pub bodies: Vec<String>,
}

impl Users {
    /// Sends requests until stopped.
    pub fn come(&self, address: SocketAddr, start: Instant) {
        thread::scope(|scope| {
            for connection in 0..CONNECTIONS {
                scope.spawn(move || self.come_by(connection, address, start));
            }
        });
    }

    fn come_by(&self, connection: u32, address: SocketAddr, start: Instant) {
        let (agent, url) = (agent(), format!("http://{address}/predict"));
        let usual = json!({ "features": [0.5, 1.2, 0.8, 0.3, 1.1] }).to_string();
        for turn in 0.. {
            let due =
                (turn * CONNECTIONS + connection) * Duration::from_secs(1) / REQUESTS_PER_SECOND;
            thread::sleep(due.saturating_sub(start.elapsed()));
            if self.enough.load(Ordering::Relaxed) {
                return;
            }
            let is_over = self.is_over.load(Ordering::Relaxed);
            let number = (turn * CONNECTIONS + connection) as usize;
            let body = self.bodies.get(number % self.bodies.len().max(1)).unwrap_or(&usual);
            let answer =
                ask(agent.post(&url).header("content-type", "application/json").send(body));
            self.answers.fetch_add(1, Ordering::Relaxed);
            match answer {
                Ok((200, answer)) if answer["probability"].is_f64() => {
                    let by_canary = answer["model_used"] == "canary";
                    self.by_canary.fetch_add(u64::from(by_canary), Ordering::Relaxed);
                    let stray = is_over && by_canary;
                    self.stray.fetch_add(u64::from(stray), Ordering::Relaxed);
                }
                Ok(_) | Err(_) => {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .new_agent()
}

fn ask(outcome: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Fallible<(u16, Value)> {
    let mut response = outcome?;
    let body = serde_json::from_str(&response.body_mut().read_to_string()?)?;
    Ok((response.status().as_u16(), body))
}

/// Sends a command that must succeed.
pub fn command(address: SocketAddr, route: &str, body: &Value) -> Fallible<()> {
    let request = agent().post(format!("http://{address}/admin/{route}"));
    let sent = request.header("content-type", "application/json").send(body.to_string());
    match ask(sent)? {
        (200, _) => Ok(()),
        (status, answer) => Err(format!("{route}: status {status}: {answer}").into()),
    }
}
