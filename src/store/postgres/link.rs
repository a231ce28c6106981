//! Link: the session of one thread, made anew when it breaks.

use std::time::Duration;

use rand::RngExt as _;

use super::connection::Failure;
use super::connection::PostgresUrl;
use super::connection::Purpose;
use super::connection::Session;
use super::schema;
use super::thread::Owned;
use crate::store::Steady;
use crate::store::error::StoreError;

/// The first and the longest pause between two attempts to connect.
pub(super) const PAUSES: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(5));

/// The longest pause of what connects only when someone asks.
const ON_REQUEST: Duration = Duration::from_secs(1);

/// A connection that comes back.
pub(super) struct Link {
    pub(super) url: PostgresUrl,
    steady: Steady,
    purpose: Purpose,
    name: String,
    pub(super) session: Option<Session>,
    outage: Option<Outage>,
}

/// A time without the database.
struct Outage {
    cause: String,
    pause: Duration,
    next_attempt: Duration,
}

impl Link {
    /// A link that has not connected yet.
    pub(super) fn new(url: PostgresUrl, steady: Steady, purpose: Purpose, name: String) -> Link {
        Link { url, steady, purpose, name, session: None, outage: None }
    }

    /// A link that only reads.
    pub(super) fn reading(
        url: PostgresUrl,
        steady: Steady,
        purpose: Purpose,
        name: String,
    ) -> Result<Link, StoreError> {
        let mut link = Link::new(url, steady, purpose, name);
        let mut session = link.opened()?;
        if purpose == Purpose::Visitor {
            // One moment for all reads, that of the first: evidence could be deleted between two of them.
            let begin = session.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
            begin.map_err(|failure| link.error(failure))?;
        }
        schema::check(&mut session, &link.url)?;
        link.session = Some(session);
        Ok(link)
    }

    /// The first session. Without it the store does not open.
    pub(super) fn opened(&self) -> Result<Session, StoreError> {
        Session::open(&self.url, self.purpose, &self.name)
            .map_err(|cause| StoreError::Database { store: self.url.to_string(), cause })
    }

    /// Reads, and once more on a new connection if the old one broke. `begin` is called first on a new one.
    pub(super) fn read<T>(
        &mut self,
        begin: impl Fn(&mut Session) -> Result<(), Failure>,
        job: impl Fn(&mut Session) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.ready(&begin)?;
        if let Some(session) = &mut self.session {
            match job(session) {
                Err(Failure::Lost(cause)) => {
                    self.lose(cause);
                    self.connect(&begin)?;
                }
                done => return done.map_err(|failure| self.failed(failure)),
            }
        }
        let Some(session) = &mut self.session else { return Err(self.unreachable()) };
        job(session).map_err(|failure| self.failed(failure))
    }

    /// Sees to it that there is a session.
    pub(super) fn ready(
        &mut self,
        begin: impl FnOnce(&mut Session) -> Result<(), Failure>,
    ) -> Result<(), StoreError> {
        if self.session.as_mut().is_some_and(|session| !session.is_broken()) {
            return Ok(());
        }
        match &self.outage {
            Some(outage) if !outage.until_next(self.now()).is_zero() => Err(self.unreachable()),
            _ => self.connect(begin),
        }
    }

    /// Connects now, whenever the last attempt was. A session that has not begun as it should is not kept.
    pub(super) fn connect(
        &mut self,
        begin: impl FnOnce(&mut Session) -> Result<(), Failure>,
    ) -> Result<(), StoreError> {
        self.session = None;
        if self.purpose == Purpose::Visitor {
            // It would be another moment.
            self.lose("the connection broke".to_owned());
            return Err(self.unreachable());
        }
        let mut session = match Session::open(&self.url, self.purpose, &self.name) {
            Ok(session) => session,
            Err(cause) => {
                self.lose(cause);
                return Err(self.unreachable());
            }
        };
        schema::check(&mut session, &self.url).inspect_err(|cause| self.lose(cause.to_string()))?;
        if let Err(failure) = begin(&mut session) {
            self.lose(failure.cause());
            return Err(self.unreachable());
        }
        self.session = Some(session);
        if self.outage.take().is_some() && self.purpose == Purpose::Writer {
            tracing::info!(store = %self.url, "the database of the store answers again");
        }
        Ok(())
    }

    /// How long until the next attempt to connect; `None` while the database answers.
    pub(super) fn until_attempt(&self) -> Option<Duration> {
        self.outage.as_ref().map(|outage| outage.until_next(self.now()))
    }

    /// Notes a failure, and what it means for the caller.
    pub(super) fn failed(&mut self, failure: Failure) -> StoreError {
        match failure {
            Failure::Lost(cause) => {
                self.lose(cause);
                self.unreachable()
            }
            other => self.error(other),
        }
    }

    /// Drops a connection that broke, and waits longer for each attempt that fails.
    pub(super) fn lose(&mut self, cause: String) {
        self.session = None;
        let pause = match &self.outage {
            None => {
                if self.purpose == Purpose::Writer {
                    let store = &self.url;
                    tracing::warn!(%store, %cause, "the database of the store is lost; connecting again");
                }
                PAUSES.0
            }
            Some(outage) if self.purpose == Purpose::Writer => (outage.pause * 2).min(PAUSES.1),
            Some(outage) => (outage.pause * 2).min(ON_REQUEST),
        };
        // Not all clients of a database come back at the same moment.
        let waited = pause.mul_f64(rand::rng().random_range(0.5..1.0));
        self.outage = Some(Outage { cause, pause, next_attempt: self.now() + waited });
    }

    /// The steady time.
    pub(super) fn now(&self) -> Duration {
        (self.steady)()
    }

    /// The error while the connection is broken.
    pub(super) fn unreachable(&self) -> StoreError {
        let cause = self.outage.as_ref().map(|outage| outage.cause.clone()).unwrap_or_default();
        StoreError::Unreachable { store: self.url.to_string(), cause }
    }

    /// A failure in words.
    pub(super) fn error(&self, failure: Failure) -> StoreError {
        match failure {
            Failure::Store(cause) => cause,
            other => StoreError::Database { store: self.url.to_string(), cause: other.cause() },
        }
    }
}

impl Owned for Link {}

impl Outage {
    fn until_next(&self, now: Duration) -> Duration {
        self.next_attempt.saturating_sub(now)
    }
}
