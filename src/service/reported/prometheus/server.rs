//! Address of a Prometheus.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;
use ureq::http::Uri;

use crate::text::fields::FieldError;
use crate::text::hosts::is_loopback;

/// `[prometheus]` of the settings, not validated yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenServer {
    /// `http://` or `https://`, with the path under which `/api/v1` is, if there is one.
    pub url: String,
    /// The environment variable with the bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_env: Option<String>,
}

/// A valid address.
#[derive(Clone, PartialEq)]
pub struct Server {
    /// Without a slash at its end.
    pub(super) url: String,
    /// Scheme, host and port.
    pub(super) origin: String,
    /// Whether it is on this machine.
    pub(super) is_local: bool,
    pub(super) token: Option<String>,
}

/// The longest address in bytes.
const MAX_URL: usize = 2048;

impl Server {
    /// Validates an address; `secret` looks up environment variables.
    ///
    /// # Errors
    /// Names the field that does not fit: `url` or `token_env`.
    pub fn new(
        given: &GivenServer,
        secret: impl Fn(&str) -> Option<String>,
    ) -> Result<Server, FieldError> {
        const REMEDY: &str =
            "use http://HOST:PORT or https://HOST/PATH, for example http://127.0.0.1:9090";
        let out = |field: &str, problem: String, remedy: &str| {
            Err(FieldError::new(field, format!("{problem}; {remedy}")))
        };
        let url = given.url.trim_end_matches('/');
        if url.len() > MAX_URL {
            return out(
                "url",
                format!("{} bytes; at most {MAX_URL} are allowed", url.len()),
                REMEDY,
            );
        }
        let uri: Option<Uri> = url.parse().ok();
        let parts = uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.authority()?)));
        let Some((scheme, authority)) = parts else {
            return out("url", format!("{:?} is not a URL", given.url), REMEDY);
        };
        if authority.as_str().contains('@') {
            let remedy = "name the variable of a token with token_env";
            return out("url", "contains credentials".to_owned(), remedy);
        }
        let origin = format!("{scheme}://{authority}");
        if !matches!(scheme, "http" | "https") {
            return out("url", format!("{origin} is neither http nor https"), REMEDY);
        }
        if url.contains(['?', '#']) {
            return out("url", format!("{origin} is followed by a question"), REMEDY);
        }
        if url.ends_with("/api/v1") || url.contains("/api/v1/") {
            let remedy = "leave out /api/v1 and what follows; serin adds it";
            return out("url", format!("{url} names a route"), remedy);
        }
        let is_local = is_loopback(authority.host());
        let token = match &given.token_env {
            None => None,
            Some(_) if scheme == "http" && !is_local => {
                let problem = format!(
                    "{origin} is another machine, and http would send the token unencrypted"
                );
                return out("token_env", problem, "use https, or remove the token");
            }
            Some(name) => match secret(name) {
                Some(token)
                    if !token.is_empty() && token.bytes().all(|it| it.is_ascii_graphic()) =>
                {
                    Some(token)
                }
                Some(_) => {
                    let problem = format!("the variable {name} is empty or not visible ASCII");
                    return out("token_env", problem, "set it to the bearer token");
                }
                None => {
                    let problem = format!("the variable {name} is not set");
                    return out("token_env", problem, "set it, or remove the field");
                }
            },
        };
        Ok(Server { url: url.to_owned(), origin, is_local, token })
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Server").field("origin", &self.origin).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str, token_env: Option<&str>) -> Result<Server, String> {
        let secret = |name: &str| match name {
            "TOKEN" => Some("a-token".to_owned()),
            "BLANK" => Some("two words".to_owned()),
            _ => None,
        };
        let given = GivenServer { url: url.to_owned(), token_env: token_env.map(str::to_owned) };
        Server::new(&given, secret).map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_over_http_and_https_are_allowed() {
        for (url, origin) in [
            ("http://127.0.0.1:9090", "http://127.0.0.1:9090"),
            ("http://prometheus:9090/", "http://prometheus:9090"),
            ("https://metrics.example.org/prometheus/", "https://metrics.example.org"),
        ] {
            let server = server(url, None).unwrap();
            assert_eq!((server.url.as_str(), server.origin()), (url.trim_end_matches('/'), origin));
        }
        for url in ["https://prometheus:9090", "http://localhost:9090", "http://[::1]:9090"] {
            assert_eq!(server(url, Some("TOKEN")).unwrap().token.as_deref(), Some("a-token"));
        }
    }

    #[test]
    fn other_addresses_and_tokens_are_named_with_a_remedy() {
        for (url, token_env, said) in [
            ("", None, "url: \"\" is not a URL; use http://HOST:PORT"),
            ("127.0.0.1:9090", None, "url: "),
            ("prometheus", None, "is not a URL"),
            ("ftp://prometheus", None, "url: ftp://prometheus is neither http nor https"),
            (
                "https://user:secret@prometheus",
                None,
                "url: contains credentials; name the variable",
            ),
            ("http://prometheus?a=b", None, "is followed by a question"),
            ("http://prometheus:9090/api/v1/query", None, "leave out /api/v1"),
            (
                "http://prometheus:9090",
                Some("TOKEN"),
                "token_env: http://prometheus:9090 is another machine",
            ),
            ("https://prometheus", Some("NONE"), "token_env: the variable NONE is not set; set it"),
            (
                "https://prometheus",
                Some("BLANK"),
                "token_env: the variable BLANK is empty or not visible",
            ),
        ] {
            let error = server(url, token_env).unwrap_err();
            assert!(error.contains(said), "{url}: {error}");
            assert!(!error.contains("secret") && !error.contains("two words"), "{error}");
        }
        assert!(!format!("{:?}", server("https://a", Some("TOKEN"))).contains("a-token"));
    }
}
