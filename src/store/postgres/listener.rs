//! Listener: the connection that waits for entries of the journal.
//!
//! A notification that is sent while it is not connected never comes. So a new session first listens, then reads how long
//! the journal is, and then waits. A pooler that gives each transaction another connection lets none through: then it
//! reads again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::types::Type;

use super::connection::Failure;
use super::connection::PostgresUrl;
use super::connection::Purpose;
use super::connection::Session;
use super::link::Link;
use super::newest::Newest;
use super::thread::Owned;
use super::writer::newest;
use crate::store::Steady;
use crate::store::error::StoreError;

/// How long the notification that it sends to itself may take.
const PROOF: Duration = Duration::from_secs(1);

/// How often it reads where no notification comes through.
const POLL: Duration = Duration::from_millis(100);

/// How long a caller waits for the error of a database that does not answer, so that it does not ask all the time.
const PAUSE: Duration = Duration::from_millis(250);

/// What waits.
pub(super) struct Listener {
    link: Link,
    newest: Arc<Newest>,
    /// `None` until it was tried out.
    is_notified: Option<bool>,
}

impl Listener {
    /// One that connects when it is asked for the first time.
    pub(super) fn new(
        url: PostgresUrl,
        steady: Steady,
        name: String,
        newest: Arc<Newest>,
    ) -> Listener {
        let link = Link::new(url, steady, Purpose::Listener, name);
        Listener { link, newest, is_notified: None }
    }

    /// Waits until the journal is longer than `known`, or for this time; returns its length.
    pub(super) fn wait(&mut self, known: u64, patience: Duration) -> Result<u64, StoreError> {
        self.waited(known, patience).inspect_err(|_| std::thread::sleep(PAUSE.min(patience)))
    }

    fn waited(&mut self, known: u64, patience: Duration) -> Result<u64, StoreError> {
        self.prove()?;
        let end = self.link.now() + patience;
        loop {
            let length = self.length()?;
            let left = end.saturating_sub(self.link.now());
            if length > known || left.is_zero() {
                return Ok(length);
            }
            if self.is_notified == Some(false) {
                std::thread::sleep(POLL.min(left));
                continue;
            }
            let waited = self.link.session.as_mut().map(|session| session.is_notified(left));
            match waited {
                Some(Ok(true)) | None => {}
                Some(Ok(false)) => return self.length(),
                // It connects at once, and reads what was appended meanwhile.
                Some(Err(Failure::Lost(_))) => self.link.session = None,
                Some(Err(failure)) => return Err(self.link.failed(failure)),
            }
        }
    }

    /// Tries once whether notifications come through.
    fn prove(&mut self) -> Result<(), StoreError> {
        if self.is_notified.is_some() {
            return Ok(());
        }
        let channel = channel(&self.link.url);
        let is_notified = self.link.read(
            |session| listen(session, &channel),
            |session| {
                session.execute("SELECT pg_notify($1, '')", &[(&channel, Type::TEXT)])?;
                session.is_notified(PROOF)
            },
        )?;
        if !is_notified {
            tracing::warn!(
                store = %self.link.url,
                "no notification of the database comes through, as behind a pooler for transactions; the journal is \
                 read every {} ms instead",
                POLL.as_millis()
            );
        }
        self.is_notified = Some(is_notified);
        Ok(())
    }

    /// How long the journal is.
    fn length(&mut self) -> Result<u64, StoreError> {
        let channel = channel(&self.link.url);
        let length = self.link.read(|session| listen(session, &channel), newest)?;
        self.newest.hear_of(length);
        Ok(length)
    }
}

impl Owned for Listener {}

fn listen(session: &mut Session, channel: &str) -> Result<(), Failure> {
    session.batch(&format!("LISTEN \"{channel}\""))
}

/// The channel of a schema. Of two schemas whose long names begin alike each wakes the other, which costs a read.
pub(super) fn channel(url: &PostgresUrl) -> String {
    const LONGEST: usize = 63;
    let mut name = format!("serin:{}", url.schema);
    name.truncate(LONGEST);
    name
}
