//! Who may use `/admin`? On the loopback address everybody on this machine; elsewhere only who
//! has the token; and never a page of another site in somebody's browser.

use std::net::IpAddr;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::ServiceRequest;
use actix_web::dev::ServiceResponse;
use actix_web::http::header;
use actix_web::http::header::HeaderMap;
use actix_web::middleware::Next;
use actix_web::web::Data;

use super::Shared;
use super::problem::Problem;

/// Who may use `/admin`.
#[derive(Clone, Debug)]
pub enum Access {
    /// Everybody who can reach it: it listens on a loopback address.
    Everybody,
    /// Who has the token with this hash.
    Token(blake3::Hash),
    /// Nobody: it listens to the network, and there is no token.
    Nobody,
}

impl Access {
    /// The rule for a server that listens at this address.
    pub fn new(listen: IpAddr, token: Option<&str>) -> Access {
        match token {
            Some(token) => Access::Token(blake3::hash(token.as_bytes())),
            None if listen.is_loopback() => Access::Everybody,
            None => Access::Nobody,
        }
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        same_site(headers)?;
        match self {
            Access::Everybody if is_rebound(headers) => Err(Problem::forbidden(
                "without a token, /admin answers only under an address or as localhost, not under \
                 another name; use http://127.0.0.1, or start the server with --admin-token",
            )),
            Access::Everybody => Ok(()),
            Access::Nobody => Err(Problem::forbidden(
                "this server listens to the network without a token, so /admin is closed; start \
                 it with --admin-token, or with --listen on a loopback address",
            )),
            Access::Token(expected) => {
                let given = headers
                    .get(header::AUTHORIZATION)
                    .and_then(|value| value.to_str().ok()?.split_once(' '))
                    .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                    .map(|(_, token)| token);
                // Hashes compare in constant time, so the token cannot be guessed byte by byte.
                match given {
                    Some(given) if blake3::hash(given.as_bytes()) == *expected => Ok(()),
                    Some(_) | None => Err(Problem::unauthorized()),
                }
            }
        }
    }
}

/// Refuses what a page of another site sends from somebody's browser.
///
/// # Errors
/// When the browser says so.
pub fn same_site(headers: &HeaderMap) -> Result<(), Problem> {
    if is_cross_site(headers) {
        return Err(Problem::forbidden(
            "requests from pages of other sites are not taken; use curl or the serin command",
        ));
    }
    Ok(())
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

/// Whether the request is for a name that is neither an address nor `localhost`. Anybody can make a
/// name of their own lead to this machine ("DNS rebinding"), and a page under that name would be of
/// the same origin to its browser.
fn is_rebound(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return false };
    let host = host.to_str().unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(host, |h| h.0);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    !(name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok())
}

/// Lets a request through to `/admin`, or answers it.
///
/// # Errors
/// Those of the handlers behind it.
pub async fn guard<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let shared = request.app_data::<Data<Shared>>();
    let access = shared.map_or(&Access::Nobody, |shared| &shared.settings.access);
    match access.check(request.headers()) {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        Err(problem) => {
            let response = problem.response(request.path());
            Ok(request.into_response(response).map_into_right_body())
        }
    }
}
