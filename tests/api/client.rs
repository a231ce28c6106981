//! One function for each call of the API, named after it.

use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;
use ureq::Agent;
use ureq::http::HeaderMap;

/// A sensible customer.
pub const CUSTOMER: [f64; 5] = [0.5, 1.2, 0.8, 0.3, 1.1];

/// A client that keeps its connections, like a browser or a load balancer.
pub struct Client {
    agent: Agent,
    url: String,
    token: Option<String>,
}

/// The server's answer.
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, if it is JSON; `null` otherwise.
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

impl Client {
    /// A client of this server.
    pub fn new(address: SocketAddr, token: Option<&str>) -> Client {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .new_agent();
        Client { agent, url: format!("http://{address}"), token: token.map(str::to_owned) }
    }

    /// `GET` on any path.
    pub fn get(&self, path: &str) -> Reply {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        Reply::new(request.call().unwrap())
    }

    /// `POST` to any path, with extra headers.
    pub fn post_with(&self, path: &str, body: &[u8], headers: &[(&str, &str)]) -> Reply {
        let mut request = self.agent.post(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::new(request.send(body).unwrap())
    }

    /// `POST` to any path, with any body sent as JSON.
    pub fn post_text(&self, path: &str, body: impl AsRef<[u8]>) -> Reply {
        self.post_with(path, body.as_ref(), &[("content-type", "application/json")])
    }

    /// `POST` to any path.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_text(path, body.to_string())
    }

    /// `POST /predict` with the features of a sensible customer.
    pub fn predict(&self) -> Reply {
        self.post("/predict", &json!({ "features": CUSTOMER }))
    }

    /// Sends predictions one after the other, each of which must succeed. Returns how many the canary answered.
    pub fn predict_times(&self, times: usize) -> usize {
        (0..times).filter(|_| self.predict().done()["model_used"] == "canary").count()
    }

    /// `POST /record`
    pub fn record(&self, version: &str, score: f64) -> Reply {
        self.post("/record", &json!({ "version": version, "score": score }))
    }

    /// `POST /analyze`
    pub fn analyze(&self, body: &Value) -> Reply {
        self.post("/analyze", body)
    }

    /// `GET /status`: how much was recorded.
    pub fn recorded(&self) -> Value {
        self.get("/status").done()
    }

    /// `POST /reset` without a body.
    pub fn reset(&self) -> Reply {
        self.post_with("/reset", b"", &[])
    }

    /// `POST /admin/deploy-canary` with the second default model and the default policy.
    pub fn deploy_canary(&self) -> Reply {
        self.deploy_canary_with(&json!({ "model_path": "models/model_v2.bin" }))
    }

    /// `POST /admin/deploy-canary`
    pub fn deploy_canary_with(&self, body: &Value) -> Reply {
        self.post("/admin/deploy-canary", body)
    }

    /// `POST /admin/set-traffic`
    pub fn set_traffic(&self, percent: impl Into<Value>) -> Reply {
        self.post("/admin/set-traffic", &json!({ "percent": percent.into() }))
    }

    /// `POST /admin/toggle-slowdown` without a body: flips it.
    pub fn toggle_slowdown(&self) -> Reply {
        self.post_with("/admin/toggle-slowdown", b"", &[])
    }

    /// `POST /admin/toggle-slowdown`
    pub fn toggle_slowdown_with(&self, body: &Value) -> Reply {
        self.post("/admin/toggle-slowdown", body)
    }

    /// `POST /admin/promote-canary` without a body.
    pub fn promote_canary(&self) -> Reply {
        self.post_with("/admin/promote-canary", b"", &[])
    }

    /// `POST /admin/promote-canary`
    pub fn promote_canary_with(&self, body: &Value) -> Reply {
        self.post("/admin/promote-canary", body)
    }

    /// `POST /admin/rollback-canary` without a body.
    pub fn rollback_canary(&self) -> Reply {
        self.post_with("/admin/rollback-canary", b"", &[])
    }

    /// `POST /admin/rollback-canary`
    pub fn rollback_canary_with(&self, body: &Value) -> Reply {
        self.post("/admin/rollback-canary", body)
    }

    /// `POST /admin/pause-canary`
    pub fn pause_canary(&self) -> Reply {
        self.post_with("/admin/pause-canary", b"", &[])
    }

    /// `POST /admin/resume-canary`
    pub fn resume_canary(&self) -> Reply {
        self.post_with("/admin/resume-canary", b"", &[])
    }

    /// `GET /admin/check-canary-health`
    pub fn check_canary_health(&self) -> Reply {
        self.get("/admin/check-canary-health")
    }

    /// The status, once a tick has taken in everything recorded before this call.
    pub fn settled_status(&self) -> Value {
        let (start, called) = (Instant::now(), Timestamp::now());
        loop {
            let status = self.status();
            let as_of = status["health"]["as_of"].as_str();
            let as_of = as_of.or(status["post_promotion"]["as_of"].as_str());
            // Without a rollout and without a watched promotion there is nothing to wait for.
            if as_of.is_none_or(|as_of| as_of.parse::<Timestamp>().unwrap() > called) {
                return status;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "no tick closes: {status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The health check, once a tick has taken in everything recorded before this call.
    pub fn settled_health(&self) -> Value {
        self.settled_status();
        self.check_canary_health().done()
    }

    /// `GET /admin/status`
    pub fn status(&self) -> Value {
        self.get("/admin/status").done()
    }

    /// The status without the fields that change with time. Two equal ones mean that nothing has happened,
    /// not even a prediction.
    pub fn standing(&self) -> Value {
        let mut status = self.settled_status();
        status["uptime_seconds"].take();
        status["totals"].take();
        status["at"].take();
        status["report"].take();
        status["inputs"].take();
        status["fleet"].take();
        if let Some(rollout) = status["rollout"].as_object_mut() {
            rollout.remove("elapsed_seconds");
            rollout.remove("remaining_bake_seconds");
            rollout.remove("last_request_at");
        }
        without_time(&mut status["health"]);
        without_time(&mut status["post_promotion"]);
        status
    }

    /// `GET /admin/history`: all of it, oldest first.
    pub fn history(&self) -> Vec<Value> {
        let page = self.get("/admin/history?after=0&limit=1000").done();
        page["entries"].as_array().unwrap().clone()
    }
}

impl Reply {
    fn new(mut response: ureq::http::Response<ureq::Body>) -> Reply {
        let text = response.body_mut().read_to_string().unwrap();
        let (parts, _) = response.into_parts();
        Reply::of(parts.status.as_u16(), parts.headers, text.as_bytes())
    }

    /// A reply of these parts.
    pub fn of(status: u16, headers: HeaderMap, body: &[u8]) -> Reply {
        let text = String::from_utf8_lossy(body).into_owned();
        Reply { status, headers, body: serde_json::from_slice(body).unwrap_or_default(), text }
    }

    /// The body of an answer that must be a success.
    #[track_caller]
    pub fn done(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    /// A header's text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Removes the fields that change with the clock.
pub fn without_time(health: &mut Value) {
    if let Some(health) = health.as_object_mut() {
        health.remove("forecast");
        health.remove("as_of");
        // A sample of this process.
        health.remove("inputs");
    }
}
