//! Lease: which process is the leader. Only the database's clock decides when it ends.
//!
//! The epoch grows whenever the lease changes hands, ends, or moves to another connection; what only the leader writes
//! names it. So a statement of a process that was paused, or one that was lost on its way, changes nothing when it
//! arrives.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::connection::Failure;
use super::connection::Parameter;
use super::connection::Session;
use crate::store::replica::ReplicaId;

/// How long the lease is valid after it was taken or renewed.
const TTL: Duration = Duration::from_secs(10);

/// How often it is renewed.
const RENEWAL: Duration = Duration::from_millis(3_333);

/// How much sooner its holder stops to trust it. Clocks of different machines differ by far less in ten seconds.
const MARGIN: Duration = Duration::from_secs(1);

/// The row of a lease that is held: `$1` is the holder and `$2` the epoch. It is locked until the end of the
/// transaction.
pub(super) const HELD: &str = "SELECT 1 FROM lease WHERE id = 1 AND holder = $1 AND epoch = $2
     AND expires_at > clock_timestamp() FOR SHARE";

/// Until when this process may take itself for the leader, by the steady clock. A process that wakes from a pause has an
/// answer before it has asked the database.
#[derive(Default)]
pub(super) struct Trust {
    /// In microseconds of the steady clock.
    until: AtomicU64,
    /// Whether it has lost the lease, and its judge does not know yet.
    has_lost: AtomicBool,
}

impl Trust {
    /// Whether the lease is still valid, as far as this process can know.
    pub(super) fn holds(&self, now: Duration) -> bool {
        now.as_micros() < u128::from(self.until.load(Ordering::SeqCst))
    }

    /// Trusts a lease that was asked for at this moment, which is before the one from which the database counts.
    fn begin(&self, asked: Duration) {
        let until = (asked + (TTL - MARGIN)).as_micros();
        self.until.store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Trusts none.
    pub(super) fn end(&self) {
        self.has_lost.store(true, Ordering::SeqCst);
        self.until.store(0, Ordering::SeqCst);
    }

    /// Whether this process may take the lease.
    pub(super) fn may_begin(&self) -> bool {
        !self.has_lost.load(Ordering::SeqCst)
    }

    /// The judge of this process knows that it follows.
    pub(super) fn is_known_to_have_ended(&self) {
        self.has_lost.store(false, Ordering::SeqCst);
    }
}

/// A lease that this process holds.
pub(super) struct Lease {
    holder: i64,
    epoch: i64,
    /// When it was asked for, by the steady clock.
    asked: Duration,
}

/// The process that holds the lease.
pub(super) struct Holder {
    name: String,
    pid: i64,
    /// UTC, RFC 3339.
    since: String,
}

impl Lease {
    /// Takes the lease, if no other process holds it.
    pub(super) fn take(
        session: &mut Session,
        replica: ReplicaId,
        name: &str,
        now: Duration,
        trust: &Trust,
    ) -> Result<Option<Lease>, Failure> {
        let (holder, pid) = (replica.0.cast_signed(), i64::from(std::process::id()));
        let statement = format!(
            "INSERT INTO lease AS l (id, holder, epoch, expires_at, name, pid, since)
             VALUES (1, $1, 1, {END}, $2, $3, clock_timestamp())
             ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, epoch = l.epoch + 1,
                expires_at = excluded.expires_at, name = excluded.name, pid = excluded.pid,
                since = excluded.since
             WHERE l.expires_at <= clock_timestamp()
             RETURNING epoch",
            END = end()
        );
        let parameters =
            [(&holder as _, Type::INT8), (&name as _, Type::TEXT), (&pid as _, Type::INT8)];
        match session.row(&statement, &parameters) {
            Ok(row) => Ok(row.map(|row| {
                trust.begin(now);
                Lease { epoch: row.get(0), holder, asked: now }
            })),
            // Its holder is writing, or another process takes it.
            Err(Failure::Refused { code, .. }) if code == SqlState::LOCK_NOT_AVAILABLE => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Renews it, even after it has ended, unless another process has taken it since. On a new connection the epoch
    /// grows in any case.
    ///
    /// # Errors
    /// [`Failure::NotHeld`] when another process has taken it.
    pub(super) fn renew(
        &mut self,
        session: &mut Session,
        is_new: bool,
        now: Duration,
        trust: &Trust,
    ) -> Result<(), Failure> {
        let statement = format!(
            "UPDATE lease SET expires_at = {},
                epoch = epoch + CASE WHEN $2 OR expires_at <= clock_timestamp() THEN 1 ELSE 0 END
             WHERE id = 1 AND holder = $1 RETURNING epoch",
            end()
        );
        let parameters = [(&self.holder as _, Type::INT8), (&is_new as _, Type::BOOL)];
        let row = session.row(&statement, &parameters)?.ok_or(Failure::NotHeld)?;
        (self.epoch, self.asked) = (row.get(0), now);
        trust.begin(now);
        Ok(())
    }

    /// Lets another process take it at once. The row stays, so that the epoch keeps growing.
    pub(super) fn resign(&self, session: &mut Session) -> Result<(), Failure> {
        let statement = "UPDATE lease SET expires_at = clock_timestamp()
                         WHERE id = 1 AND holder = $1 AND epoch = $2";
        session.execute(statement, &self.fence())
    }

    /// How long until it is to be renewed.
    pub(super) fn until_renewal(&self, now: Duration) -> Duration {
        RENEWAL.saturating_sub(now.saturating_sub(self.asked))
    }

    /// What [`HELD`] compares.
    pub(super) fn fence(&self) -> [Parameter<'_>; 2] {
        [(&self.holder, Type::INT8), (&self.epoch, Type::INT8)]
    }
}

impl Holder {
    /// Who holds the lease; `None` if it has ended. Locks nothing.
    pub(super) fn find(session: &mut Session) -> Result<Option<Holder>, Failure> {
        let statement = "SELECT name, pid,
                to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
             FROM lease WHERE id = 1 AND expires_at > clock_timestamp()";
        Ok(session.row(statement, &[])?.map(|row| Holder {
            name: row.get(0),
            pid: row.get(1),
            since: row.get(2),
        }))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, process {}, since {}", self.name, self.pid, self.since)
    }
}

/// When a lease ends that is taken now, in SQL.
fn end() -> String {
    format!("clock_timestamp() + interval '{} seconds'", TTL.as_secs())
}
