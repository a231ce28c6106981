//! HTTP client of the commands that talk to a server.

use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::Agent;
use ureq::http::Uri;

use crate::cli::show;
use crate::http::problem::ProblemBody;
use crate::service::status::report::words::Times;
use crate::text::hosts::is_loopback;

/// Which server, and how to print its answer.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// Address of the server
    #[arg(long, visible_alias = "server", env = "SERIN_URL", value_name = "URL", default_value = DEFAULT_URL)]
    pub url: String,
    /// Admin token of the server
    #[arg(long, env = "SERIN_ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Print p-values, thresholds and other details
    #[arg(long, short)]
    pub verbose: bool,
    /// Print times in UTC instead of local time
    #[arg(long)]
    pub utc: bool,
}

/// The address of a server with the default settings.
const DEFAULT_URL: &str = "http://127.0.0.1:8000";

/// The longest answer that is read, in bytes: each of a thousand entries of the journal may be long.
const MAX_ANSWER: u64 = 256 << 20;

/// How refusals name the fields that override them, and the flags that set these fields.
const FLAGS: [(&str, &str); 2] = [
    ("\"force\": true and a \"reason\"", "--force --reason TEXT"),
    ("\"override_quarantine\": true and a \"reason\"", "--override-quarantine --reason TEXT"),
];

/// A connection to a server.
pub struct Client {
    agent: Agent,
    url: String,
    token: Option<String>,
}

/// What a request came to.
type Outcome = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

/// An answer.
pub struct Reply {
    /// Whether it is a success.
    pub ok: bool,
    /// The body.
    pub body: Value,
}

impl Client {
    /// A client of this server.
    pub fn new(url: &str, token: Option<&str>) -> Client {
        let scheme = if url.contains("://") { "" } else { "http://" };
        let url = format!("{scheme}{}", url.trim_end_matches('/'));
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)));
        // A proxy cannot reach this machine's loopback addresses, and it would see the token.
        let config = if is_local(&url) { config.proxy(None) } else { config };
        let agent = config.build().new_agent();
        Client { agent, url, token: token.map(str::to_owned) }
    }

    /// Whether the token travels unencrypted to another machine.
    fn exposes_token(&self) -> bool {
        self.token.is_some() && self.url.starts_with("http://") && !is_local(&self.url)
    }

    /// Sends a GET request.
    ///
    /// # Errors
    /// When the server cannot be reached, or its answer is not JSON.
    pub fn get(&self, path: &str) -> anyhow::Result<Reply> {
        self.reply(self.asked(path))
    }

    /// Sends a GET request for a text.
    ///
    /// # Errors
    /// When the server cannot be reached, or refuses.
    pub fn get_text(&self, path: &str) -> anyhow::Result<String> {
        let asked = self.asked(path);
        if asked.as_ref().is_ok_and(|response| response.status().is_success()) {
            return self.text(asked).map(|(_, text)| text);
        }
        bail!("{}", self.reply(asked)?.refusal());
    }

    fn asked(&self, path: &str) -> Outcome {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.call()
    }

    /// Sends a POST request.
    ///
    /// # Errors
    /// When the server cannot be reached, or its answer is not JSON.
    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Reply> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.reply(request.send(body.to_string()))
    }

    fn reply(&self, outcome: Outcome) -> anyhow::Result<Reply> {
        let (ok, text) = self.text(outcome)?;
        let body = serde_json::from_str(&text)
            .with_context(|| format!("{} does not answer like serin; check --url", self.url))?;
        Ok(Reply { ok, body })
    }

    /// Whether it is a success, and the body.
    fn text(&self, outcome: Outcome) -> anyhow::Result<(bool, String)> {
        let mut response = outcome.with_context(|| {
            format!("no answer from {}; start a server with serin serve, or pass --url", self.url)
        })?;
        let ok = response.status().is_success();
        let body = response.body_mut().with_config().limit(MAX_ANSWER);
        Ok((ok, body.read_to_string().with_context(|| self.url.clone())?))
    }
}

/// Whether a URL names this machine.
fn is_local(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| uri.host().is_some_and(is_loopback))
}

impl Reply {
    /// The answer, read as the type that the server writes.
    ///
    /// # Errors
    /// When the server refused, with its reason.
    pub fn done<T: DeserializeOwned>(self) -> anyhow::Result<T> {
        if !self.ok {
            bail!("{}", self.refusal());
        }
        let answer = serde_json::from_value(self.body);
        answer.context("the server's answer is not understood; is it the same version of serin?")
    }

    /// Why the server refused, with flags in place of the JSON fields.
    pub fn refusal(&self) -> String {
        let detail = self.problem().detail;
        FLAGS.iter().fold(detail.into_owned(), |text, (fields, flags)| text.replace(fields, flags))
    }

    /// The problem in the answer.
    pub fn problem(&self) -> ProblemBody<'static> {
        ProblemBody::deserialize(&self.body).unwrap_or_default()
    }
}

impl ServerArgs {
    /// How times are printed.
    pub fn times(&self, now: Timestamp) -> Times {
        let zone = if self.utc { TimeZone::UTC } else { TimeZone::system() };
        Times { zone, now }
    }

    /// A client of this server. Warns if the token can be read on its way.
    pub fn client(&self) -> Client {
        let client = Client::new(&self.url, self.admin_token.as_deref());
        if client.exposes_token() {
            show::error(
                "warning: http does not encrypt the admin token; use an https URL, or a tunnel to the server",
            );
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufRead as _;
    use std::io::BufReader;
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;
    use crate::canary::Refusal;

    #[test]
    fn a_refusal_names_the_flags_that_override_it() {
        for (refusal, flags) in [
            (Refusal::IsPaused { rollout: 1 }, "pass --force --reason TEXT"),
            (
                Refusal::NotPassing { waiting_helps: false, why: "slow".to_owned() },
                "pass --force --reason TEXT",
            ),
            (
                Refusal::CoolingDown { left: Duration::from_secs(500) },
                "pass --override-quarantine --reason TEXT",
            ),
            (
                Refusal::PromotionMonitored {
                    version: "model_v2".to_owned(),
                    left: Duration::from_secs(500),
                },
                "pass --override-quarantine --reason TEXT",
            ),
            (
                Refusal::Quarantined {
                    version: "model_v2".to_owned(),
                    digest: "d1".to_owned(),
                    reason: "slow".to_owned(),
                },
                "pass --override-quarantine --reason TEXT",
            ),
        ] {
            let body = serde_json::json!({
                "type": "", "title": "", "status": 409, "detail": refusal.to_string(),
                "instance": "", "code": "",
            });
            let shown = Reply { ok: false, body }.refusal();
            assert!(shown.ends_with(flags), "{shown}");
        }
    }

    #[test]
    fn a_token_is_exposed_by_http_to_another_machine() {
        let exposes = |url, token| Client::new(url, token).exposes_token();
        assert!(exposes("http://10.0.0.1:8000", Some("secret")));
        assert!(exposes("serin.example", Some("secret")));
        assert!(!exposes("https://serin.example", Some("secret")));
        assert!(!exposes("http://127.0.0.1:8000", Some("secret")));
        assert!(!exposes("http://10.0.0.1:8000", None));
    }

    #[test]
    fn loopback_addresses_are_asked_without_a_proxy() {
        for url in [
            "http://127.0.0.1:8000",
            "http://127.9.9.9",
            "http://[::1]:8000",
            "http://LocalHost:1/",
        ] {
            assert!(is_local(url), "{url}");
        }
        for url in ["http://10.0.0.1:8000", "http://serin.example", "http://localhost.example"] {
            assert!(!is_local(url), "{url}");
        }
    }

    #[test]
    fn an_answer_of_twenty_million_bytes_is_read_whole() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = listener.local_addr().unwrap().to_string();
        let long = "x".repeat(20_000_000);
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(&stream).lines();
            assert!(lines.map_while(Result::ok).any(|line| line.is_empty()), "the head has an end");
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", long.len() + 2);
            (&stream).write_all(format!("{head}\"{long}\"").as_bytes()).unwrap();
        });
        let reply = Client::new(&url, None).get("/").unwrap();
        server.join().unwrap();
        assert!(reply.ok);
        assert_eq!(reply.body.as_str().map(str::len), Some(20_000_000));
    }
}
