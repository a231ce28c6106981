//! Transport of a notification: one POST with a timeout, redirects not followed.

use std::time::Duration;

use ureq::Agent;

use super::message::Message;
use super::target::Target;

/// How long a target may take to answer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// The result of a delivery attempt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// The target accepted the message.
    Accepted,
    /// The attempt failed and can be repeated.
    Retry {
        /// Why it failed.
        why: String,
        /// The shortest wait the target asks for.
        after: Option<Duration>,
    },
    /// The target rejected the message for good.
    Rejected(String),
}

/// Sends messages.
pub(crate) trait Transport: Send {
    /// Sends a message and waits for the reply, whose text never contains the address or the secret.
    fn send(&self, target: &Target, message: &Message) -> Reply;
}

/// Sends over HTTP.
pub(crate) struct HttpTransport(Agent);

impl HttpTransport {
    pub(crate) fn new(target: &Target) -> HttpTransport {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            // A redirect could lead to an address that the configuration may not name.
            .max_redirects(0)
            .https_only(!target.is_local)
            // Notifications are rare: keep no idle connections.
            .max_idle_connections(0)
            .user_agent(concat!("serin/", env!("CARGO_PKG_VERSION")));
        // Requests to this machine never go through a proxy.
        let config = if target.is_local { config.proxy(None) } else { config };
        HttpTransport(config.build().new_agent())
    }
}

impl Transport for HttpTransport {
    fn send(&self, target: &Target, message: &Message) -> Reply {
        let mut request = self.0.post(&target.url).header("content-type", message.content_type);
        if let Some(signature) = &message.signature {
            request = request.header("x-serin-signature", signature);
        }
        let response = match request.send(&message.body) {
            Ok(response) => response,
            Err(cause) => return Reply::Retry { why: describe(&cause), after: None },
        };
        let status = response.status();
        let why = format!("it answered {}", status.as_str());
        if status.is_success() {
            return Reply::Accepted;
        }
        if status.is_redirection() {
            return Reply::Rejected(format!("{why}, and serin does not follow redirects"));
        }
        // Timeout and rate limit are temporary.
        if status.is_client_error() && !["408", "429"].contains(&status.as_str()) {
            return Reply::Rejected(why);
        }
        let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let after = after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        Reply::Retry { why, after }
    }
}

/// Describes a failure without the address, which the library's messages may contain.
fn describe(cause: &ureq::Error) -> String {
    match cause {
        ureq::Error::Timeout(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
        ureq::Error::Io(cause) => format!("no connection: {}", cause.kind()),
        ureq::Error::HostNotFound => "host not found".to_owned(),
        ureq::Error::Tls(cause) => format!("no TLS connection: {cause}"),
        ureq::Error::Rustls(cause) => format!("no TLS connection: {cause}"),
        ureq::Error::ConnectProxyFailed(_) => "the proxy cannot connect".to_owned(),
        _ => "the reply is not HTTP".to_owned(),
    }
}
