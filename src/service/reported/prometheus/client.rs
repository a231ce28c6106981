//! Client of Prometheus: one question, with a timeout and a bound on the answer.

use std::time::Duration;

use jiff::Timestamp;
use ureq::Agent;

use super::answer;
use super::answer::Point;
use super::answer::said;
use super::error::QueryError;
use super::server::Server;

/// How long Prometheus may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The largest answer with one value; a query that matches thousands of series is refused by its size already.
const MAX_INSTANT_BYTES: u64 = 1 << 20;

/// The largest answer over a range: 11,000 values, Prometheus' own limit, take 400 kB.
const MAX_RANGE_BYTES: u64 = 16 << 20;

/// A Prometheus that is asked.
pub struct Client {
    agent: Agent,
    server: Server,
}

/// The moments of a range query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// The first one.
    pub from: Timestamp,
    /// None is after it.
    pub to: Timestamp,
    /// The time between two.
    pub step: Duration,
}

impl Client {
    /// A client of this server.
    pub fn new(server: Server) -> Client {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            // A redirect could lead to an address that the settings do not name.
            .max_redirects(0)
            .https_only(server.url.starts_with("https:"))
            .user_agent(concat!("serin/", env!("CARGO_PKG_VERSION")));
        // Requests to this machine never go through a proxy.
        let config = if server.is_local { config.proxy(None) } else { config };
        Client { agent: config.build().new_agent(), server }
    }

    /// Scheme, host and port of the server.
    pub fn origin(&self) -> &str {
        self.server.origin()
    }

    /// The value of a query at a moment.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn value_at(&self, query: &str, at: Timestamp) -> Result<f64, QueryError> {
        let parameters = [("query", query), ("time", &seconds(at))];
        answer::instant(&self.ask("query", &parameters, MAX_INSTANT_BYTES)?)
    }

    /// The values of a query over a range: seconds since 1970, and the value, which may be infinite or not a number.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn values_over(&self, query: &str, moments: Moments) -> Result<Vec<Point>, QueryError> {
        let Moments { from, to, step } = moments;
        let (first_ms, last_ms) = (from.as_millisecond(), to.as_millisecond());
        let (from, to, step) = (seconds(from), seconds(to), step.as_secs_f64().to_string());
        let parameters = [("query", query), ("start", &from), ("end", &to), ("step", &step)];
        let points = answer::range(&self.ask("query_range", &parameters, MAX_RANGE_BYTES)?)?;
        let is_in_order = points.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let ends = [first_ms, last_ms].map(|at| at as f64 / 1e3);
        let is_within = points.iter().all(|(at, _)| (ends[0]..=ends[1]).contains(at));
        if is_in_order && is_within {
            return Ok(points);
        }
        Err(QueryError::NotPrometheus("values at moments that were not asked for".to_owned()))
    }

    /// A body that does not repeat the token: a server that shows its requests would bring it into the log.
    fn without_token(&self, body: Vec<u8>) -> Vec<u8> {
        match &self.server.token {
            Some(token) if body.windows(token.len()).any(|part| part == token.as_bytes()) => {
                hidden(&body, token)
            }
            Some(_) | None => body,
        }
    }

    fn ask(
        &self,
        route: &str,
        parameters: &[(&str, &str)],
        at_most: u64,
    ) -> Result<Vec<u8>, QueryError> {
        let mut request = self.agent.get(format!("{}/api/v1/{route}", self.server.url));
        for (name, value) in parameters {
            request = request.query(name, value);
        }
        request = request.header("accept", "application/json");
        if let Some(token) = &self.server.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().map_err(|cause| unreachable(&cause))?;
        let body = response.body_mut().with_config().limit(at_most).read_to_vec();
        let body = body.map(|body| self.without_token(body));
        let body = body.map_err(|cause| match cause {
            ureq::Error::BodyExceedsLimit(_) => QueryError::TooLarge(at_most >> 20),
            cause => unreachable(&cause),
        });
        let status = response.status();
        if status.is_success() {
            return body;
        }
        // Prometheus refuses a query with 400, 422 or 503 and the usual body.
        match body.as_deref().map(answer::instant) {
            Ok(Err(refused @ QueryError::Refused(_))) => Err(refused),
            _ => Err(QueryError::Status(said(&status.to_string()))),
        }
    }
}

/// Puts asterisks in the place of a token.
fn hidden(body: &[u8], token: &str) -> Vec<u8> {
    String::from_utf8_lossy(body).replace(token, "***").into_bytes()
}

fn seconds(at: Timestamp) -> String {
    let milliseconds = at.as_millisecond();
    format!("{}.{:03}", milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000))
}

/// Describes a failure without the address, which may be internal.
fn unreachable(cause: &ureq::Error) -> QueryError {
    QueryError::Unreachable(match cause {
        ureq::Error::Timeout(_) => format!("not within {} s", TIMEOUT.as_secs()),
        ureq::Error::Io(cause) => format!("no connection ({})", cause.kind()),
        ureq::Error::HostNotFound => "host not found".to_owned(),
        ureq::Error::Tls(cause) => format!("no TLS connection ({cause})"),
        ureq::Error::Rustls(cause) => format!("no TLS connection ({cause})"),
        ureq::Error::ConnectProxyFailed(_) => "the proxy cannot connect".to_owned(),
        _ => "it does not speak HTTP".to_owned(),
    })
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
