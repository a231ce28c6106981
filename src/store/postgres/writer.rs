//! Writer: the connection that writes, and the lease, if this process is the leader.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::types::Type;

use super::connection::Failure;
use super::connection::PostgresUrl;
use super::connection::Purpose;
use super::connection::Session;
use super::lease::Holder;
use super::lease::Lease;
use super::lease::Trust;
use super::link::Link;
use super::link::PAUSES;
use super::newest::Newest;
use super::schema;
use super::thread::Owned;
use crate::store::Steady;
use crate::store::error::StoreError;
use crate::store::replica::ReplicaId;

/// How often a follower looks whether the lease is free.
const LOOK: Duration = Duration::from_secs(1);

/// How long the end of a process waits for the database.
const LAST: Duration = Duration::from_secs(1);

/// This process, and what its threads share.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) id: ReplicaId,
    pub(super) name: String,
    pub(super) trust: Arc<Trust>,
    pub(super) newest: Arc<Newest>,
}

/// What writes.
pub(super) struct Writer {
    link: Link,
    member: Member,
    /// `None` while another process decides, or none.
    lease: Option<Lease>,
    /// When the lease was looked at.
    looked: Duration,
    /// The last [`turn`](Owned::turn).
    turned: Option<Duration>,
    /// Why nothing can be written any more, ever.
    ended: Option<Ended>,
}

enum Ended {
    /// Entries of the journal are gone.
    Shortened { newest: u64, known: u64 },
    /// This process has given up its part.
    Released,
}

impl Writer {
    /// Makes the tables, and takes the lease if it is free.
    pub(super) fn open(
        url: PostgresUrl,
        steady: Steady,
        member: Member,
    ) -> Result<Writer, StoreError> {
        let mut link = Link::new(url, steady, Purpose::Writer, member.name.clone());
        let mut session = link.opened()?;
        schema::prepare(&mut session, &link.url)?;
        let head = newest(&mut session).map_err(|failure| link.error(failure))?;
        member.newest.hear_of(head);
        link.session = Some(session);
        let looked = link.now();
        let mut writer = Writer { link, member, lease: None, looked, turned: None, ended: None };
        if let Some(holder) = writer.look()? {
            tracing::info!("another serin decides for this store ({holder}); this one follows it");
        }
        Ok(writer)
    }

    /// Takes the lease if it is free, and answers who else has it.
    fn look(&mut self) -> Result<Option<Holder>, StoreError> {
        self.looked = self.link.now();
        let Some(session) = &mut self.link.session else { return Err(self.link.unreachable()) };
        let Member { id, name, trust, .. } = &self.member;
        let looked = Holder::find(session).and_then(|holder| match holder {
            Some(holder) => Ok((Some(holder), None)),
            None if !trust.may_begin() => Ok((None, None)),
            None => {
                let lease = Lease::take(session, *id, name, self.looked, trust)?;
                // Another process may have been faster.
                let holder = if lease.is_some() { None } else { Holder::find(session)? };
                Ok((holder, lease))
            }
        });
        let (holder, lease) = looked.map_err(|failure| self.link.failed(failure))?;
        if lease.is_some() {
            self.lease = lease;
        }
        Ok(holder)
    }

    /// Sees to it that there is a session, and that the lease, if there is one, is trusted.
    fn ready(&mut self) -> Result<(), StoreError> {
        self.check_end()?;
        let now = self.link.now();
        let Writer { link, lease, member, ended, .. } = self;
        link.ready(|session| begin(session, lease, member, ended, now))?;
        self.check_end()?;
        match &self.lease {
            Some(_) if !self.member.trust.holds(self.link.now()) => self.renew().map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Connects now, whenever the last attempt was.
    pub(super) fn connect(&mut self) -> Result<(), StoreError> {
        let now = self.link.now();
        let Writer { link, lease, member, ended, .. } = self;
        link.connect(|session| begin(session, lease, member, ended, now))?;
        self.check_end()
    }

    /// Renews the lease now, and answers whether this process has it. Where another one has taken it, this one follows
    /// from then on.
    pub(super) fn renew(&mut self) -> Result<bool, StoreError> {
        let now = self.link.now();
        let (Some(session), Some(lease)) = (&mut self.link.session, &mut self.lease) else {
            return Ok(false);
        };
        match lease.renew(session, false, now, &self.member.trust) {
            Ok(()) => Ok(true),
            Err(Failure::NotHeld) => {
                step_down(&mut self.lease, &self.member);
                Ok(false)
            }
            Err(failure) => Err(self.link.failed(failure)),
        }
    }

    /// Writes once, with the lease if there is one. The caller decides what a failure means.
    pub(super) fn attempt<T>(
        &mut self,
        job: impl FnOnce(&mut Session, Option<&Lease>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.ready()?;
        match &mut self.link.session {
            Some(session) => job(session, self.lease.as_ref()),
            None => Err(self.link.unreachable().into()),
        }
    }

    /// Writes what every process may write.
    pub(super) fn write<T>(
        &mut self,
        job: impl FnOnce(&mut Session) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.attempt(|session, _| job(session)).map_err(|failure| self.failed(failure))
    }

    /// Writes what only the leader may write, and once more if the lease has ended in between and is renewed.
    pub(super) fn lead<T>(
        &mut self,
        job: impl Fn(&mut Session, &Lease) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        for _ in 0..2 {
            let led = self.attempt(|session, lease| job(session, lease.ok_or(Failure::NotHeld)?));
            match led {
                Err(Failure::NotHeld) if self.renew()? => {}
                led => return led.map_err(|failure| self.failed(failure)),
            }
        }
        Err(self.not_leader())
    }

    /// The error of a process that is not the leader.
    pub(super) fn not_leader(&mut self) -> StoreError {
        let holder = self.link.session.as_mut().and_then(|session| Holder::find(session).ok()?);
        StoreError::NotLeader { holder: holder.map(|holder| holder.to_string()) }
    }

    /// Notes a failure, and what it means for the caller.
    pub(super) fn failed(&mut self, failure: Failure) -> StoreError {
        match failure {
            Failure::NotHeld => self.not_leader(),
            other => self.link.failed(other),
        }
    }

    /// Drops a connection that broke.
    pub(super) fn lose(&mut self, cause: String) {
        self.link.lose(cause);
    }

    /// Lets another process decide, and says that this one ends. Nothing is written after it.
    pub(super) fn release(&mut self) {
        self.member.trust.end();
        if let (Some(session), None) = (&mut self.link.session, &self.ended) {
            // Without it the lease ends by itself, and the others see that this process is silent.
            let _ = session.patiently(LAST, |session| {
                if let Some(lease) = &self.lease {
                    lease.resign(session)?;
                }
                note_end(session, self.member.id)
            });
        }
        self.lease = None;
        self.ended.get_or_insert(Ended::Released);
    }

    fn check_end(&self) -> Result<(), StoreError> {
        let store = || self.link.url.to_string();
        match &self.ended {
            None => Ok(()),
            Some(Ended::Shortened { newest, known }) => {
                Err(StoreError::Shortened { store: store(), newest: *newest, known: *known })
            }
            Some(Ended::Released) => {
                Err(StoreError::Unreachable { store: store(), cause: "it is closed".to_owned() })
            }
        }
    }
}

impl Owned for Writer {
    fn until_turn(&self) -> Duration {
        const IDLE: Duration = Duration::from_secs(60);
        let now = self.link.now();
        let due = match (&self.ended, self.link.until_attempt(), &self.lease) {
            (Some(_), _, _) => return IDLE,
            (None, Some(until), _) => until,
            (None, None, Some(lease)) => lease.until_renewal(now),
            (None, None, None) => (self.looked + LOOK).saturating_sub(now),
        };
        // A database that refuses is not asked without a pause.
        due.max(self.turned.map_or(Duration::ZERO, |at| (at + PAUSES.0).saturating_sub(now)))
    }

    /// Renews the lease, looks whether it is free, or connects again.
    fn turn(&mut self) {
        if !self.until_turn().is_zero() {
            return;
        }
        self.turned = Some(self.link.now());
        // What fails is logged once, and every call says it.
        if self.ready().is_ok() {
            let _ = match &self.lease {
                Some(_) => self.renew().map(|_| ()),
                None => self.look().map(|_| ()),
            };
        }
    }

    fn end(&mut self) {
        self.release();
    }
}

/// Begins a session. From then on nothing that an earlier one of the leader has sent takes effect.
fn begin(
    session: &mut Session,
    lease: &mut Option<Lease>,
    member: &Member,
    ended: &mut Option<Ended>,
    now: Duration,
) -> Result<(), Failure> {
    if let Some(held) = lease {
        match held.renew(session, true, now, &member.trust) {
            Err(Failure::NotHeld) => step_down(lease, member),
            renewed => renewed?,
        }
    }
    // Known before it is read: another process may append in between.
    let known = member.newest.known();
    let newest = newest(session)?;
    if newest < known {
        *ended = Some(Ended::Shortened { newest, known });
    }
    Ok(())
}

fn step_down(lease: &mut Option<Lease>, member: &Member) {
    member.trust.end();
    *lease = None;
    tracing::warn!("another serin has taken over the lease of the store; this one follows it");
}

/// Notes that a replica has ended.
fn note_end(session: &mut Session, replica: ReplicaId) -> Result<(), Failure> {
    let update = "UPDATE replica SET has_ended = true WHERE id = $1";
    session.execute(update, &[(&replica.0.cast_signed(), Type::INT8)])
}

/// The sequence of the newest entry.
pub(super) fn newest(session: &mut Session) -> Result<u64, Failure> {
    let row = session.row("SELECT coalesce(max(sequence), 0) FROM journal", &[])?;
    Ok(row.map_or(0, |row| row.get::<_, i64>(0).cast_unsigned()))
}
