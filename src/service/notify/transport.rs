//! How does a notification reach its target? One POST, within ten seconds, following nobody elsewhere.

use std::time::Duration;

use ureq::Agent;

use super::target::Target;

/// How long a target may take to answer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// What is sent.
pub(crate) struct Message {
    /// What the body is.
    pub(crate) content_type: &'static str,
    /// The body.
    pub(crate) body: String,
    /// Who wrote it, if the target has a secret.
    pub(crate) signature: Option<String>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// It was taken.
    Taken,
    /// It may be taken later: why not now, and how long the target asks to be left alone.
    Later {
        /// Why.
        why: String,
        /// At least so long.
        after: Option<Duration>,
    },
    /// It will never be taken.
    Never(String),
}

/// Sends letters to a target.
pub(crate) trait Transport: Send {
    /// Sends one, and waits for the answer. What it says is free of the address and of the secret.
    fn send(&self, target: &Target, message: &Message) -> Answer;
}

/// Over HTTP.
pub(crate) struct HttpTransport(Agent);

impl HttpTransport {
    pub(crate) fn new(target: &Target) -> HttpTransport {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            // A redirect could lead to an address that the configuration would not be allowed to name.
            .max_redirects(0)
            .https_only(!target.is_local())
            // Notifications are rare: no connection is worth keeping.
            .max_idle_connections(0)
            .user_agent(concat!("serin/", env!("CARGO_PKG_VERSION")));
        // What stays on this machine goes through nobody else.
        let config = if target.is_local() { config.proxy(None) } else { config };
        HttpTransport(config.build().new_agent())
    }
}

impl Transport for HttpTransport {
    fn send(&self, target: &Target, message: &Message) -> Answer {
        let mut request = self.0.post(target.url()).header("content-type", message.content_type);
        if let Some(signature) = &message.signature {
            request = request.header("x-serin-signature", signature);
        }
        let response = match request.send(&message.body) {
            Ok(response) => response,
            Err(cause) => return Answer::Later { why: said(&cause), after: None },
        };
        let status = response.status();
        let why = format!("it answered {}", status.as_str());
        if status.is_success() {
            return Answer::Taken;
        }
        if status.is_redirection() {
            return Answer::Never(format!("{why}, and redirects are not followed"));
        }
        // Too slow and too many: what a moment later may well be taken.
        if status.is_client_error() && !["408", "429"].contains(&status.as_str()) {
            return Answer::Never(why);
        }
        let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let after = after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        Answer::Later { why, after }
    }
}

/// In our own words: the library's could hold the address.
fn said(cause: &ureq::Error) -> String {
    match cause {
        ureq::Error::Timeout(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
        ureq::Error::Io(cause) => format!("no connection: {}", cause.kind()),
        ureq::Error::HostNotFound => "its host is not found".to_owned(),
        ureq::Error::Tls(cause) => format!("no TLS connection: {cause}"),
        ureq::Error::Rustls(cause) => format!("no TLS connection: {cause}"),
        ureq::Error::ConnectProxyFailed(_) => "the proxy does not connect".to_owned(),
        _ => "it does not answer in HTTP".to_owned(),
    }
}
