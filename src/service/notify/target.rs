//! Notification targets from the configuration.
//!
//! The URL of a webhook is often a secret itself, so messages show scheme, host and port only. Only the
//! configuration can name a target, never a request.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;
use ureq::http::Uri;
use utoipa::ToSchema;

use crate::canary::Event;
use crate::text::fields::FieldError;
use crate::text::hosts::is_loopback;

/// The most targets: each has a thread.
pub const MAX_TARGETS: usize = 16;

/// The shortest secret in bytes; a shorter one could be guessed.
pub const MIN_SECRET: usize = 16;

/// The longest URL in bytes.
const MAX_URL: usize = 2048;

/// A target in the configuration, not validated yet.
#[derive(Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GivenTarget {
    /// `https://HOST/PATH`, or `http://` on this machine.
    pub url: String,
    /// The format of the messages.
    #[serde(default)]
    pub format: Format,
    /// The events to send, by their journal names; all if empty.
    #[serde(default)]
    pub events: Vec<String>,
    /// The environment variable with the secret that signs the messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// How messages name this server: the `http://` or `https://` URL under which people reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// The format of a notification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = NotificationFormat)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// CloudEvents 1.0 in JSON, in structured mode.
    #[default]
    CloudEvents,
    /// `{"text": "..."}`, as Slack's incoming webhooks take it.
    Slack,
}

/// A valid target.
#[derive(Clone, PartialEq)]
pub struct Target {
    /// The whole URL, which must not be logged.
    pub(super) url: String,
    /// Scheme, host and port.
    pub(super) origin: String,
    /// Whether it is on this machine.
    pub(super) is_local: bool,
    /// The format of the messages.
    pub(super) format: Format,
    events: Vec<String>,
    /// The secret that signs the messages.
    pub(super) secret: Option<Vec<u8>>,
    /// How messages name this server.
    pub server: String,
}

impl Target {
    /// Scheme, host and port: all of the URL that may be shown.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Validates the configured targets; `secret` looks up environment variables. Messages name the server by
    /// `own_url` if a target does not say how.
    ///
    /// # Errors
    /// Names the first invalid field.
    pub fn all(
        given: &[GivenTarget],
        own_url: &str,
        secret: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<Target>, FieldError> {
        if given.len() > MAX_TARGETS {
            let message = format!("{} entries; use at most {MAX_TARGETS}", given.len());
            return Err(FieldError::new("notify", message));
        }
        for (index, one) in given.iter().enumerate() {
            let same = |other: &GivenTarget| (&other.url, other.format) == (&one.url, one.format);
            if let Some(other) = given[..index].iter().position(same) {
                let message = format!(
                    "the same as notify[{other}], in the same format; combine their events in one entry"
                );
                return Err(FieldError::new(format!("notify[{index}].url"), message));
            }
        }
        let valid = |(index, one)| Target::new(index, one, own_url, &secret);
        given.iter().enumerate().map(valid).collect()
    }

    fn new(
        index: usize,
        given: &GivenTarget,
        own_url: &str,
        secret: impl Fn(&str) -> Option<String>,
    ) -> Result<Target, FieldError> {
        let out = |field: &str, problem: String, remedy: &str| {
            Err(FieldError::new(format!("notify[{index}].{field}"), format!("{problem}; {remedy}")))
        };
        let remedy = "use https://HOST/PATH, or http:// with localhost, 127.0.0.1 or [::1]";
        if given.url.len() > MAX_URL {
            let problem = format!("{} bytes; at most {MAX_URL} are allowed", given.url.len());
            return out("url", problem, remedy);
        }
        let uri: Option<Uri> = given.url.parse().ok();
        let parts = uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.authority()?)));
        let Some((scheme, authority)) = parts else {
            return out("url", "not a URL".to_owned(), remedy);
        };
        if authority.as_str().contains('@') {
            return out("url", "contains credentials".to_owned(), "use secret_env to sign instead");
        }
        let origin = format!("{scheme}://{authority}");
        let is_local = is_loopback(authority.host());
        match scheme {
            "https" => {}
            "http" if is_local => {}
            "http" => {
                let problem = format!("{origin} is another machine, and http is not encrypted");
                return out("url", problem, remedy);
            }
            _ => return out("url", format!("{origin} is neither https nor http"), remedy),
        }
        for event in &given.events {
            if !Event::NAMES.contains(&event.as_str()) {
                let allowed = format!("use names from {}", Event::NAMES.join(", "));
                return out("events", format!("{event:?} is not an event"), &allowed);
            }
        }
        let secret = match &given.secret_env {
            None => None,
            Some(name) => match secret(name) {
                Some(secret) if secret.len() >= MIN_SECRET => Some(secret.into_bytes()),
                Some(secret) => {
                    let problem = format!("the variable {name} has {} bytes", secret.len());
                    let remedy = format!("set it to at least {MIN_SECRET} random bytes");
                    return out("secret_env", problem, &remedy);
                }
                None => {
                    let problem = format!("the variable {name} is not set");
                    return out("secret_env", problem, "set it, or remove the field");
                }
            },
        };
        if let Some(server) = &given.server {
            let uri: Option<Uri> = server.parse().ok();
            let scheme = uri.as_ref().and_then(Uri::scheme_str);
            if !matches!(scheme, Some("http" | "https")) {
                let problem = format!("{server:?} is not an http or https URL");
                let remedy = "use the URL under which people reach serin, for example https://serin.example.org";
                return out("server", problem, remedy);
            }
        }
        let (url, format, events) = (given.url.clone(), given.format, given.events.clone());
        let server = given.server.as_deref().unwrap_or(own_url).to_owned();
        Ok(Target { url, origin, is_local, format, events, secret, server })
    }

    /// Whether the target wants this event.
    pub(super) fn wants(&self, event: &Event) -> bool {
        self.events.is_empty() || self.events.iter().any(|name| name == event.name())
    }

    /// The target's key in the store: a digest, because the URL may be a secret. The same URL in another
    /// format is another target.
    pub(super) fn key(&self) -> String {
        let mut digest = blake3::Hasher::new();
        digest.update(format!("{:?}\n{}", self.format, self.url).as_bytes());
        digest.finalize().to_hex()[..32].to_owned()
    }
}

impl fmt::Debug for GivenTarget {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("GivenTarget").field("format", &self.format).finish_non_exhaustive()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Target").field("origin", &self.origin).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(url: &str) -> GivenTarget {
        GivenTarget { url: url.to_owned(), ..GivenTarget::default() }
    }

    fn targets(given: &[GivenTarget]) -> Result<Vec<Target>, String> {
        let secret = |name: &str| match name {
            "LONG" => Some("0123456789abcdef".to_owned()),
            "SHORT" => Some("1234".to_owned()),
            _ => None,
        };
        Target::all(given, "http://127.0.0.1:8000", secret).map_err(|cause| cause.to_string())
    }

    #[test]
    fn only_https_and_this_machine_are_allowed() {
        for url in [
            "https://hooks.slack.com/services/T0/B0/secret",
            "https://example.org:8443/a?b=c",
            "http://localhost:9000/hook",
            "http://127.0.0.1/",
            "http://127.8.8.8:1/",
            "http://[::1]:9000",
        ] {
            assert!(targets(&[given(url)]).is_ok(), "{url}");
        }
        for url in [
            "http://example.org/secret",
            "http://localhost.example.org/secret",
            "http://10.0.0.1/secret",
            "http://[::ffff:10.0.0.1]/secret",
            "http://0.0.0.0/secret",
            "http://127.1/secret",
            "ftp://example.org/secret",
            "file:///etc/secret",
            "https://user:secret@example.org/",
            "http://127.0.0.1@example.org/secret",
            "//example.org/secret",
            "example.org/secret",
            "https:///secret",
            "https://exa mple.org/secret",
            "secret",
            "",
        ] {
            let error = targets(&[given("https://a/"), given(url)]).unwrap_err();
            assert!(error.starts_with("notify[1].url: "), "{url}: {error}");
            assert!(!error.contains("secret") || error.contains("secret_env"), "{url}: {error}");
        }
    }

    #[test]
    fn an_invalid_target_is_named_with_a_remedy() {
        let with = |change: fn(&mut GivenTarget)| {
            let mut one = given("https://a/");
            change(&mut one);
            targets(&[one])
        };
        for (outcome, named) in [
            (
                with(|one| one.events = vec!["exploded".to_owned()]),
                "notify[0].events: \"exploded\" is not an event; use names from initialized",
            ),
            (
                with(|one| one.secret_env = Some("NONE".into())),
                "notify[0].secret_env: the variable NONE is not set",
            ),
            (with(|one| one.secret_env = Some("SHORT".into())), "at least 16 random bytes"),
            (
                targets(&[given("https://a/"), given("https://a/")]),
                "notify[1].url: the same as notify[0]",
            ),
            (targets(&vec![given("https://a/"); 17]), "notify: 17 entries; use at most 16"),
        ] {
            let error = outcome.unwrap_err();
            assert!(error.contains(named), "{named}: {error}");
            assert!(!error.contains("1234"), "a secret is shown: {error}");
        }
        assert!(with(|one| one.secret_env = Some("LONG".into())).is_ok());
    }

    #[test]
    fn nothing_that_is_logged_shows_the_address_or_the_secret() {
        let mut one = given("https://hooks.example.org/services/hidden");
        one.secret_env = Some("LONG".to_owned());
        let target = targets(std::slice::from_ref(&one)).unwrap().remove(0);
        let shown = format!("{one:?} {target:?} {} {}", target.origin, target.key());
        assert!(!shown.contains("hidden") && !shown.contains("0123456789"), "{shown}");
        assert_eq!(target.origin, "https://hooks.example.org");
    }
}
