//! Access to `/admin`, to the routes that report outcomes, to metrics, and to the verdict for gates.
//!
//! On a loopback address every process on this machine has access, but no client behind a proxy; elsewhere only
//! clients with the token. Web pages of other sites never have access. With a token, reports need it as well,
//! because they decide what the judge sees. Metrics are open, as of other servers, because a scraper should not hold the
//! token that promotes; a token of their own closes them. It also opens the verdict, which is in the metrics, too.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::http::header::HeaderMap;
use actix_web::http::header::HeaderName;

use super::problem::Kind;
use super::problem::Problem;
use crate::service::log_limit::LogLimit;

/// Who may use `/admin`.
#[derive(Clone, Debug)]
pub enum Access {
    /// Open: the server listens on a loopback address.
    Open,
    /// For requests that carry the token with this hash.
    Token(blake3::Hash),
    /// Closed: the server listens to the network and has no token.
    Closed,
}

impl Access {
    /// The access of a server that listens on this address.
    pub fn new(listen: IpAddr, token: Option<&str>) -> Access {
        match token {
            Some(token) => Access::Token(blake3::hash(token.as_bytes())),
            None if listen.is_loopback() => Access::Open,
            None => Access::Closed,
        }
    }

    /// Checks a request to `/admin`.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        same_site(headers)?;
        match self {
            Access::Open => {
                check_host(headers)?;
                check_forwarded(headers)
            }
            Access::Closed => Err(Problem::new(
                Kind::Forbidden,
                "this server listens to the network without a token, so /admin is closed; start it \
                 with --admin-token, or with --listen on a loopback address",
            )),
            Access::Token(expected) => check_token(headers, expected),
        }
    }

    /// Checks a request to `/record`, `/feedback` or `/reset`.
    pub(crate) fn check_report(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match self {
            // Sent by a page, which may have reached this machine under a name of its own.
            Access::Open if headers.contains_key(header::ORIGIN) => check_host(headers),
            Access::Open | Access::Closed => Ok(()),
            Access::Token(expected) => check_token(headers, expected),
        }
    }

    /// Checks a request to `/metrics`, which the token with this hash closes. The token of `/admin` opens it, too.
    pub(crate) fn check_metrics(
        &self,
        headers: &HeaderMap,
        own: Option<&blake3::Hash>,
    ) -> Result<(), Problem> {
        same_site(headers)?;
        self.check_read(headers, own)
    }

    /// Checks a request for the page. It is open and closed as the metrics are, although it also shows the journal: people
    /// who follow a rollout do not need the token that promotes. A link on another site may lead to it.
    pub(crate) fn check_page(
        &self,
        headers: &HeaderMap,
        own: Option<&blake3::Hash>,
    ) -> Result<(), Problem> {
        let is = |name, value: &str| headers.get(name).is_some_and(|it| it == value);
        // Not as a frame of that site, whose visitors would not see what they cause.
        if !(is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document")) {
            same_site(headers)?;
        }
        self.check_read(headers, own)
    }

    fn check_read(&self, headers: &HeaderMap, own: Option<&blake3::Hash>) -> Result<(), Problem> {
        match (own, self) {
            (Some(own), Access::Token(admin)) if check_token(headers, own).is_err() => {
                check_token(headers, admin)
            }
            (Some(own), _) => check_token(headers, own),
            (None, Access::Open) => check_host(headers),
            (None, Access::Token(_) | Access::Closed) => Ok(()),
        }
    }

    /// Checks a request for the verdict, which the token of `/admin` opens and that of `/metrics`. Clients that cannot
    /// set a header send it in the body.
    pub(crate) fn check_gate(
        &self,
        headers: &HeaderMap,
        in_body: Option<&str>,
        of_metrics: Option<&blake3::Hash>,
    ) -> Result<(), Problem> {
        same_site(headers)?;
        let admin = match self {
            Access::Token(admin) => Some(admin),
            Access::Open | Access::Closed => None,
        };
        let known = [admin, of_metrics];
        let mut known = known.iter().flatten();
        let given = [in_body, bearer(headers)?];
        if known.any(|expected| given.iter().flatten().any(|token| is(token, expected))) {
            return Ok(());
        }
        match self {
            // Without the token of `/admin`, that of metrics closes the verdict as it closes them.
            Access::Open | Access::Closed if of_metrics.is_some() => Err(token_required()),
            Access::Open | Access::Closed | Access::Token(_) => self.check(headers),
        }
    }
}

fn check_token(headers: &HeaderMap, expected: &blake3::Hash) -> Result<(), Problem> {
    match bearer(headers)? {
        Some(token) if is(token, expected) => Ok(()),
        Some(_) | None => Err(token_required()),
    }
}

fn token_required() -> Problem {
    Problem::new(
        Kind::Unauthorized,
        "this server requires a token; send Authorization: Bearer TOKEN",
    )
}

/// Whether this is the token with this hash. Hashes compare in constant time, so it cannot be guessed byte by byte.
fn is(token: &str, expected: &blake3::Hash) -> bool {
    blake3::hash(token.as_bytes()) == *expected
}

/// The token of the request, if it has one.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION);
    let value = given.next();
    if given.next().is_some() {
        return Err(Problem::new(
            Kind::Unauthorized,
            "Authorization: sent more than once; send it once",
        ));
    }
    Ok(value
        .and_then(|value| value.to_str().ok()?.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token))
}

/// A proxy on this machine makes every client look local.
fn check_forwarded(headers: &HeaderMap) -> Result<(), Problem> {
    let is_forwarded = |name: &&HeaderName| {
        let name = name.as_str();
        name.starts_with("x-forwarded-") || ["forwarded", "via", "x-real-ip"].contains(&name)
    };
    match headers.keys().find(is_forwarded) {
        None => Ok(()),
        Some(name) => Err(Problem::new(
            Kind::Forbidden,
            format_args!(
                "header {name}: a server without a token does not answer /admin through a proxy; send \
                 the request directly, or start the server with --admin-token"
            ),
        )),
    }
}

fn check_host(headers: &HeaderMap) -> Result<(), Problem> {
    if !is_rebound(headers) {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Forbidden,
        "Host: a server without a token answers this request only under an IP address or localhost; use \
         http://127.0.0.1, or start the server with --admin-token",
    ))
}

/// Refuses requests that a browser sends for a page of another site.
///
/// # Errors
/// When the headers say so.
pub fn same_site(headers: &HeaderMap) -> Result<(), Problem> {
    if is_cross_site(headers) {
        return Err(Problem::new(
            Kind::Forbidden,
            "requests from pages of other sites are not allowed; use curl or the serin command",
        ));
    }
    Ok(())
}

/// Wrong tokens are logged, but cannot fill the log.
static REFUSED: LogLimit = LogLimit::new();

/// Logs that a request was refused, at this time of the steady clock.
pub(super) fn log_refused(now: Duration, request: &HttpRequest, problem: &Problem) {
    if let Some(count) = REFUSED.due(now) {
        let peer = request.peer_addr().map(|peer| peer.to_string());
        let (path, peer) = (request.path(), peer.as_deref());
        tracing::warn!(count, path, peer, "refused: {problem}");
    }
}

/// Whether a browser says that the request comes from a page of another origin.
fn is_cross_site(headers: &HeaderMap) -> bool {
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return true;
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => false,
        (Some(origin), Some(host)) => {
            origin.strip_prefix("http://").or(origin.strip_prefix("https://")) != Some(host)
        }
        (Some(_), None) => true,
    }
}

/// Whether the request names a host that is neither an IP address nor `localhost`. Anyone can point
/// their own name at this machine (DNS rebinding), and a browser would treat a page under that name as
/// same-origin.
fn is_rebound(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return false };
    let host = host.to_str().unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(host, |h| h.0);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    !(name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok())
}
