//! Link: the session of one thread, made anew when it breaks, and the lease that it writes under.

use std::time::Duration;

use rand::RngExt as _;

use super::lease::Holder;
use super::lease::Lease;
use super::lease::TTL;
use super::schema;
use super::session::Failure;
use super::session::Role;
use super::session::Session;
use super::url::PostgresUrl;
use crate::store::Steady;
use crate::store::error::StoreError;

/// The first and the longest pause between two attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The longest pause of a reader, which connects only when someone asks.
const READER: Duration = Duration::from_secs(1);

/// How often a start that waits for a lease looks.
const LOOK: Duration = Duration::from_millis(250);

/// The newest entry, in SQL.
const NEWEST: &str = "SELECT coalesce(max(sequence), 0) FROM journal";

/// A connection that comes back.
pub(super) struct Link {
    url: PostgresUrl,
    steady: Steady,
    role: Role,
    session: Option<Session>,
    /// `None` if nothing is written.
    writing: Option<Writing>,
    outage: Option<Outage>,
    /// The last [`turn`](Self::turn).
    turned: Option<Duration>,
    /// Why nothing can be written any more, ever.
    ended: Option<Ended>,
}

/// What writes need.
pub(super) struct Writing {
    pub(super) lease: Lease,
    /// The newest entry that this process knows to be in the journal.
    pub(super) newest: u64,
}

/// A time without the database.
struct Outage {
    cause: String,
    pause: Duration,
    next_attempt: Duration,
}

enum Ended {
    /// Another process has the lease, or had it.
    TakenOver(Option<Holder>),
    /// Entries of the journal are gone.
    Shortened { newest: u64, known: u64 },
    /// This process has given up the lease.
    Released,
}

impl Link {
    /// A link that only reads.
    pub(super) fn reading(
        url: PostgresUrl,
        steady: Steady,
        role: Role,
    ) -> Result<Link, StoreError> {
        let mut link = Link::new(url, steady, role);
        let mut session = link.opened()?;
        if role == Role::Visitor {
            // One moment for all reads, that of the first: evidence could be deleted between two of them.
            let begin = session.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
            begin.map_err(|failure| link.error(failure))?;
        }
        schema::check(&mut session, &link.url)?;
        link.session = Some(session);
        Ok(link)
    }

    /// A link that writes: makes the tables and takes the lease, after waiting for that of a process that was killed.
    ///
    /// # Errors
    /// [`StoreError::Held`] while another process renews its lease.
    pub(super) fn writing(url: PostgresUrl, steady: Steady) -> Result<Link, StoreError> {
        let mut link = Link::new(url, steady, Role::Writer);
        let mut session = link.opened()?;
        schema::prepare(&mut session, &link.url)?;
        let lease = link.taken(&mut session)?;
        let newest = newest(&mut session).map_err(|failure| link.error(failure))?;
        link.writing = Some(Writing { lease, newest });
        link.session = Some(session);
        Ok(link)
    }

    fn new(url: PostgresUrl, steady: Steady, role: Role) -> Link {
        Link {
            url,
            steady,
            role,
            session: None,
            writing: None,
            outage: None,
            turned: None,
            ended: None,
        }
    }

    fn opened(&self) -> Result<Session, StoreError> {
        Session::open(&self.url, self.role)
            .map_err(|cause| StoreError::Database { store: self.url.to_string(), cause })
    }

    fn taken(&self, session: &mut Session) -> Result<Lease, StoreError> {
        let (began, mut first) = (self.now(), None::<Holder>);
        let failed = |failure| self.error(failure);
        loop {
            if let Some(lease) = Lease::take(session, self.now()).map_err(failed)? {
                return Ok(lease);
            }
            let found = Holder::find(session).map_err(failed)?;
            match (&first, found) {
                (Some(before), Some(now))
                    if now.has_acted_since(before) || self.now() > began + TTL * 2 =>
                {
                    return Err(StoreError::Held {
                        store: self.url.to_string(),
                        holder: now.to_string(),
                    });
                }
                (None, Some(now)) => {
                    let seconds = now.left.as_secs() + 1;
                    tracing::info!(
                        "the store is held by another serin ({now}); if that one is gone, this one starts within \
                         {seconds} s"
                    );
                    first = Some(now);
                }
                (_, _) => {}
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Whether it is time for [`turn`](Self::turn).
    pub(super) fn until_turn(&self) -> Duration {
        const IDLE: Duration = Duration::from_secs(60);
        let due = match (&self.ended, &self.outage, &self.writing) {
            (Some(_), _, _) | (None, _, None) => return IDLE,
            (None, Some(outage), Some(_)) => outage.until_next(self.now()),
            (None, None, Some(writing)) => writing.lease.until_renewal(self.now()),
        };
        // A database that refuses is not asked without a pause.
        due.max(self.turned.map_or(Duration::ZERO, |at| (at + PAUSES.0).saturating_sub(self.now())))
    }

    /// Renews the lease, or connects again.
    pub(super) fn turn(&mut self) {
        if !self.until_turn().is_zero() {
            return;
        }
        self.turned = Some(self.now());
        // What fails is logged once, and every call says it.
        if self.ready().is_ok() {
            let _ = self.renew();
        }
    }

    /// Writes once, under the lease. The caller decides what a failure means, and calls [`failed`](Self::failed).
    pub(super) fn attempt<T>(
        &mut self,
        job: impl FnOnce(&mut Session, &Writing) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.ready()?;
        match (&mut self.session, &self.writing) {
            (Some(session), Some(writing)) => job(session, writing),
            (_, _) => Err(self.unreachable().into()),
        }
    }

    /// Writes under the lease, and once more if it has ended in between.
    pub(super) fn write(
        &mut self,
        job: impl Fn(&mut Session, &Writing) -> Result<(), Failure>,
    ) -> Result<(), StoreError> {
        let written = match self.attempt(&job) {
            Err(Failure::NotHeld) => {
                self.renew()?;
                self.attempt(&job)
            }
            written => written,
        };
        written.map_err(|failure| self.failed(failure))
    }

    /// Notes how long the journal is.
    pub(super) fn has_appended(&mut self, sequence: u64) {
        if let Some(writing) = &mut self.writing {
            writing.newest = writing.newest.max(sequence);
        }
    }

    /// Reads, and once more on a new connection if the old one broke.
    pub(super) fn read<T>(
        &mut self,
        job: impl Fn(&mut Session) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.ready()?;
        if let Some(session) = &mut self.session {
            match job(session) {
                Err(Failure::Lost(cause)) => {
                    self.lose(cause);
                    self.connect()?;
                }
                done => return done.map_err(|failure| self.failed(failure)),
            }
        }
        let Some(session) = &mut self.session else { return Err(self.unreachable()) };
        job(session).map_err(|failure| self.failed(failure))
    }

    /// A session whose lease, if it writes, is trusted.
    pub(super) fn ready(&mut self) -> Result<(), StoreError> {
        if let Some(ended) = &self.ended {
            return Err(self.over(ended));
        }
        if self.session.as_mut().is_none_or(Session::is_broken) {
            match &self.outage {
                Some(outage) if !outage.until_next(self.now()).is_zero() => {
                    return Err(self.unreachable());
                }
                _ => self.connect()?,
            }
        }
        match &self.writing {
            Some(writing) if !writing.lease.is_trusted(self.now()) => self.renew(),
            _ => Ok(()),
        }
    }

    /// Renews the lease now.
    pub(super) fn renew(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        let (Some(session), Some(writing)) = (&mut self.session, &mut self.writing) else {
            return Ok(());
        };
        let renewed = writing.lease.renew(session, false, now);
        renewed.map_err(|failure| self.failed(failure))
    }

    /// Connects now, whenever the last attempt was.
    pub(super) fn connect(&mut self) -> Result<(), StoreError> {
        self.session = None;
        if self.role == Role::Visitor {
            // It would be another moment.
            self.lose("the connection broke".to_owned());
            return Err(self.unreachable());
        }
        let mut session = match Session::open(&self.url, self.role) {
            Ok(session) => session,
            Err(cause) => {
                self.lose(cause);
                return Err(self.unreachable());
            }
        };
        schema::check(&mut session, &self.url).inspect_err(|cause| self.lose(cause.to_string()))?;
        let now = self.now();
        let renewed = self.writing.as_mut().map_or(Ok(()), |writing| {
            // From now on nothing that an earlier connection has sent takes effect.
            writing.lease.renew(&mut session, true, now)?;
            let newest = newest(&mut session)?;
            if newest < writing.newest {
                self.ended = Some(Ended::Shortened { newest, known: writing.newest });
            }
            Ok(())
        });
        self.session = Some(session);
        renewed.map_err(|failure| self.failed(failure))?;
        if let Some(ended) = &self.ended {
            return Err(self.over(ended));
        }
        if self.outage.take().is_some() && self.role == Role::Writer {
            tracing::info!(store = %self.url, "the database of the store answers again");
        }
        Ok(())
    }

    /// Lets another process take the lease. Nothing is written after it.
    pub(super) fn release(&mut self) {
        let session = self.session.as_mut();
        if let (Some(session), Some(writing), None) = (session, &self.writing, &self.ended) {
            // Without it the lease ends by itself.
            let _ = session.patiently(LAST, |session| writing.lease.resign(session));
        }
        self.ended.get_or_insert(Ended::Released);
    }

    /// Notes a failure, and what it means for the caller.
    pub(super) fn failed(&mut self, failure: Failure) -> StoreError {
        match failure {
            Failure::Lost(cause) => {
                self.lose(cause);
                self.unreachable()
            }
            Failure::NotHeld if self.writing.is_some() => {
                let holder =
                    self.session.as_mut().and_then(|session| Holder::find(session).ok()?);
                let ended = self.ended.insert(Ended::TakenOver(holder));
                let error = over(&self.url, ended);
                tracing::error!("{error}");
                error
            }
            other => self.error(other),
        }
    }

    /// Drops a connection that broke, and waits longer for each attempt that fails.
    pub(super) fn lose(&mut self, cause: String) {
        self.session = None;
        let pause = match &self.outage {
            None => {
                if self.role == Role::Writer {
                    let store = &self.url;
                    tracing::warn!(%store, %cause, "the database of the store is lost; connecting again");
                }
                PAUSES.0
            }
            Some(outage) if self.role == Role::Writer => (outage.pause * 2).min(PAUSES.1),
            Some(outage) => (outage.pause * 2).min(READER),
        };
        // Not all clients of a database come back at the same moment.
        let waited = pause.mul_f64(rand::rng().random_range(0.5..1.0));
        self.outage = Some(Outage { cause, pause, next_attempt: self.now() + waited });
    }

    fn now(&self) -> Duration {
        (self.steady)()
    }

    fn unreachable(&self) -> StoreError {
        let cause = self.outage.as_ref().map(|outage| outage.cause.clone()).unwrap_or_default();
        StoreError::Unreachable { store: self.url.to_string(), cause }
    }

    fn error(&self, failure: Failure) -> StoreError {
        match failure {
            Failure::Store(cause) => cause,
            other => StoreError::Database { store: self.url.to_string(), cause: other.cause() },
        }
    }

    fn over(&self, ended: &Ended) -> StoreError {
        over(&self.url, ended)
    }
}

/// How long the end of a process waits for the database.
const LAST: Duration = Duration::from_secs(1);

impl Outage {
    fn until_next(&self, now: Duration) -> Duration {
        self.next_attempt.saturating_sub(now)
    }
}

fn over(url: &PostgresUrl, ended: &Ended) -> StoreError {
    let store = url.to_string();
    match ended {
        Ended::TakenOver(holder) => {
            let holder = holder.as_ref().map_or_else(|| "now gone".to_owned(), Holder::to_string);
            StoreError::TakenOver { store, holder }
        }
        Ended::Shortened { newest, known } => {
            StoreError::Shortened { store, newest: *newest, known: *known }
        }
        Ended::Released => StoreError::Unreachable { store, cause: "it is closed".to_owned() },
    }
}

/// The sequence of the newest entry.
pub(super) fn newest(session: &mut Session) -> Result<u64, Failure> {
    let row = session.row(NEWEST, &[])?;
    Ok(row.map_or(0, |row| row.get::<_, i64>(0).cast_unsigned()))
}
