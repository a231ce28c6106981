//! Lease: which process may write to the store. Only the database's clock decides when it ends.
//!
//! The epoch grows whenever the lease changes hands, ends, or moves to another connection; every write names it. So a
//! statement of a process that was paused, or one that was lost on its way, changes nothing when it arrives.

use std::fmt;
use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::session::Failure;
use super::session::Parameter;
use super::session::Session;

/// How long the lease is valid after it was taken or renewed.
pub(super) const TTL: Duration = Duration::from_secs(10);

/// How often it is renewed.
const RENEWAL: Duration = Duration::from_millis(3_333);

/// How much sooner its holder stops to trust it. Clocks of different machines differ by far less in ten seconds.
const MARGIN: Duration = Duration::from_secs(1);

/// The row of a lease that is held: `$1` is the holder and `$2` the epoch. It is locked until the end of the
/// transaction.
pub(super) const HELD: &str = "SELECT 1 FROM lease WHERE id = 1 AND holder = $1 AND epoch = $2
     AND expires_at > clock_timestamp() FOR SHARE";

/// A lease that this process holds.
pub(super) struct Lease {
    /// Random, so that each process has another.
    holder: String,
    epoch: i64,
    /// When it was asked for, by the steady clock. That is before the moment from which the database counts.
    asked: Duration,
}

/// The process that holds the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    id: String,
    host: String,
    pid: i64,
    /// UTC, RFC 3339.
    since: String,
    /// On the database's clock, in microseconds.
    expires_at: i64,
    pub(super) left: Duration,
}

impl Lease {
    /// Takes the lease, if no other process holds it.
    pub(super) fn take(session: &mut Session, now: Duration) -> Result<Option<Lease>, Failure> {
        let (holder, asked) = (format!("{:032x}", rand::random::<u128>()), now);
        let statement = format!(
            "INSERT INTO lease AS l (id, holder, epoch, expires_at, host, pid, since)
             VALUES (1, $1, 1, {END}, $2, $3, clock_timestamp())
             ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, epoch = l.epoch + 1,
                expires_at = excluded.expires_at, host = excluded.host, pid = excluded.pid,
                since = excluded.since
             WHERE l.expires_at <= clock_timestamp()
             RETURNING epoch",
            END = end()
        );
        let (host, pid) = (host(), i64::from(std::process::id()));
        let parameters =
            [(&holder as _, Type::TEXT), (&host as _, Type::TEXT), (&pid as _, Type::INT8)];
        match session.row(&statement, &parameters) {
            Ok(row) => Ok(row.map(|row| Lease { epoch: row.get(0), holder, asked })),
            // Its holder is writing.
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
    ) -> Result<(), Failure> {
        let statement = format!(
            "UPDATE lease SET expires_at = {},
                epoch = epoch + CASE WHEN $2 OR expires_at <= clock_timestamp() THEN 1 ELSE 0 END
             WHERE id = 1 AND holder = $1 RETURNING epoch",
            end()
        );
        let parameters = [(&self.holder as _, Type::TEXT), (&is_new as _, Type::BOOL)];
        let row = session.row(&statement, &parameters)?.ok_or(Failure::NotHeld)?;
        (self.epoch, self.asked) = (row.get(0), now);
        Ok(())
    }

    /// Lets another process take it at once. The row stays, so that the epoch keeps growing.
    pub(super) fn resign(&self, session: &mut Session) -> Result<(), Failure> {
        let statement = "UPDATE lease SET expires_at = clock_timestamp()
                         WHERE id = 1 AND holder = $1 AND epoch = $2";
        session.execute(statement, &self.fence())
    }

    /// Whether it is still valid, as far as this process can know.
    pub(super) fn is_trusted(&self, now: Duration) -> bool {
        now.saturating_sub(self.asked) < TTL - MARGIN
    }

    /// How long until it is to be renewed.
    pub(super) fn until_renewal(&self, now: Duration) -> Duration {
        RENEWAL.saturating_sub(now.saturating_sub(self.asked))
    }

    /// What [`HELD`] compares.
    pub(super) fn fence(&self) -> [Parameter<'_>; 2] {
        [(&self.holder, Type::TEXT), (&self.epoch, Type::INT8)]
    }
}

impl Holder {
    /// Who holds the lease or has held it last, and whether it has not ended.
    pub(super) fn find(session: &mut Session) -> Result<Option<Holder>, Failure> {
        let statement = "SELECT holder, host, pid,
                to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                (extract(epoch FROM expires_at) * 1000000)::bigint,
                (extract(epoch FROM expires_at - clock_timestamp()) * 1000)::bigint
             FROM lease WHERE id = 1";
        Ok(session.row(statement, &[])?.map(|row| Holder {
            id: row.get(0),
            host: row.get(1),
            pid: row.get(2),
            since: row.get(3),
            expires_at: row.get(4),
            left: Duration::from_millis(u64::try_from(row.get::<_, i64>(5)).unwrap_or(0)),
        }))
    }

    /// Whether the lease was renewed or taken in between.
    pub(super) fn has_acted_since(&self, before: &Holder) -> bool {
        (&self.id, self.expires_at) != (&before.id, before.expires_at)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on host {:?}, since {}", self.pid, self.host, self.since)
    }
}

/// When a lease ends that is taken now, in SQL.
fn end() -> String {
    format!("clock_timestamp() + interval '{} seconds'", TTL.as_secs())
}

/// The name of this machine.
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
