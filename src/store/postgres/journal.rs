//! Journal table.

use jiff::Timestamp;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::PostgresStore;
use super::connection::Failure;
use super::connection::Session;
use super::lease::HELD;
use super::lease::Lease;
use super::writer::Writer;
use super::writer::newest;
use crate::canary::Entry;
use crate::canary::Event;
use crate::canary::State;
use crate::store::error::StoreError;
use crate::store::fleet::Fleet as _;
use crate::store::fleet::Role;
use crate::store::journal::Journal;
use crate::store::rows::Row;
use crate::store::rows::STATE;
use crate::store::rows::checksum;
use crate::store::rows::to_json;

impl Journal for PostgresStore {
    fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        // No journal is so long that the sign makes a difference.
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.read(move |session| {
            session.query(
                "SELECT sequence, at, event, checksum FROM journal
                 WHERE sequence > $1 ORDER BY sequence LIMIT $2",
                &[(&after, Type::INT8), (&limit, Type::INT8)],
            )
        })?;
        let read: Result<Vec<Entry>, StoreError> =
            rows.iter().map(|row| row_of(row).entry()).collect();
        read.inspect(|entries| self.newest().add(entries))
    }

    fn newest_sequence(&self) -> Result<u64, StoreError> {
        self.read(newest).inspect(|sequence| self.newest().hear_of(*sequence))
    }

    fn newest_entries(&self, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let read = self
            .newest_sequence()
            .and_then(|newest| self.entries(newest.saturating_sub(limit as u64), limit));
        match read {
            Err(StoreError::Unreachable { store, cause }) => {
                let known = self.newest().last(limit);
                known.ok_or(StoreError::Unreachable { store, cause })
            }
            read => read,
        }
    }

    fn state(&self) -> Result<Option<(u64, State)>, StoreError> {
        let found = self.read(|session| {
            let row =
                session.row("SELECT revision, body, checksum FROM state WHERE id = 1", &[])?;
            Ok(row.map(|row| {
                (row.get::<_, i64>(0).cast_unsigned(), row.get(1), row.get::<_, Vec<u8>>(2))
            }))
        })?;
        let found = found.filter(|(revision, body, sum): &(u64, String, Vec<u8>)| {
            *sum == checksum(*revision, STATE, body)
        });
        Ok(found
            .and_then(|(revision, body, _)| Some((revision, serde_json::from_str(&body).ok()?))))
    }

    fn save_state(&self, revision: u64, state: &State) -> Result<(), StoreError> {
        let body = to_json("a state", state)?;
        let checksum = checksum(revision, STATE, &body).to_vec();
        let revision = revision.cast_signed();
        self.lead(move |session| {
            session.execute(
                "INSERT INTO state (id, revision, body, checksum) VALUES (1, $1, $2, $3)
                 ON CONFLICT (id) DO UPDATE SET revision = excluded.revision,
                    body = excluded.body, checksum = excluded.checksum",
                &[(&revision, Type::INT8), (&body, Type::TEXT), (&checksum, Type::BYTEA)],
            )
        })
    }

    fn append(&self, expected: u64, at: Timestamp, event: &Event) -> Result<Entry, StoreError> {
        let row = Row::new(expected + 1, at, event)?;
        let channel = self.channel();
        let is_leader = self.role() == Role::Leader;
        let appended = self
            .writer()?
            .call(move |writer| Append { expected, row, channel, is_leader }.by(writer));
        if let Err(StoreError::Conflict { actual, .. }) = &appended {
            self.newest().hear_of(*actual);
        }
        appended?;
        let entry = Entry { sequence: expected + 1, at, event: event.clone() };
        self.newest().add(std::slice::from_ref(&entry));
        Ok(entry)
    }

    fn settle(&self) -> Result<(), StoreError> {
        PostgresStore::settle(self)
    }

    fn bytes(&self) -> Option<u64> {
        Some(PostgresStore::bytes(self))
    }

    fn release(&self) {
        PostgresStore::release(self);
    }
}

/// An entry on its way into the journal.
struct Append {
    expected: u64,
    row: Row,
    channel: String,
    /// Whether this process was the leader when it decided. If it no longer is, another one decides.
    is_leader: bool,
}

/// How an attempt to append has ended.
enum Attempt {
    Appended,
    Conflict(u64),
}

impl Append {
    fn by(&self, writer: &mut Writer) -> Result<(), StoreError> {
        let mut is_unsure = false;
        // Again after a renewed lease, or on a new connection.
        for _ in 0..3 {
            let attempt = writer.attempt(|session, lease| match (self.is_leader, lease) {
                // Nothing of this process takes effect any more that has not yet.
                (true, None) if is_unsure && self.is_there(session)? => Ok(Attempt::Appended),
                (true, None) => Err(Failure::NotHeld),
                (true, lease) => self.attempt(session, lease, is_unsure),
                (false, _) => self.attempt(session, None, is_unsure),
            });
            match attempt {
                Ok(Attempt::Appended) => return Ok(()),
                Ok(Attempt::Conflict(actual)) => {
                    return Err(StoreError::Conflict { expected: self.expected, actual });
                }
                Err(Failure::NotHeld) => {
                    if !writer.renew()? {
                        return Err(writer.not_leader());
                    }
                }
                Err(Failure::Lost(cause)) => {
                    writer.lose(cause);
                    writer.connect().map_err(unsure)?;
                    is_unsure = true;
                }
                Err(other) if is_unsure => return Err(unsure(writer.failed(other))),
                Err(other) => return Err(writer.failed(other)),
            }
        }
        let cause = "the connection broke three times".to_owned();
        Err(unsure(writer.failed(Failure::Lost(cause))))
    }

    fn attempt(
        &self,
        session: &mut Session,
        lease: Option<&Lease>,
        is_unsure: bool,
    ) -> Result<Attempt, Failure> {
        if is_unsure && self.is_there(session)? {
            return Ok(Attempt::Appended);
        }
        match self.insert(session, lease) {
            Ok(true) => Ok(Attempt::Appended),
            Ok(false) => {
                if let Some(lease) = lease {
                    session.row(HELD, &lease.fence())?.ok_or(Failure::NotHeld)?;
                }
                self.conflict(session, is_unsure)
            }
            Err(Failure::Refused { code, .. }) if code == SqlState::UNIQUE_VIOLATION => {
                self.conflict(session, is_unsure)
            }
            Err(other) => Err(other),
        }
    }

    /// Inserts the row if the journal is as long as expected and the lease, if one is named, is held.
    fn insert(&self, session: &mut Session, lease: Option<&Lease>) -> Result<bool, Failure> {
        let (row, none) = (&self.row, None::<i64>);
        let (held, [holder, epoch]) = match lease {
            Some(lease) => (HELD, lease.fence()),
            None => ("SELECT 1", [(&none as _, Type::INT8), (&none as _, Type::INT8)]),
        };
        let inserted = session.row(
            &format!(
                "WITH held AS ({held}), appended AS (
                    INSERT INTO journal (sequence, at, epoch, event, checksum)
                    SELECT $3, $4, $2, $5, $6 FROM held
                    WHERE (SELECT coalesce(max(sequence), 0) FROM journal) = $3 - 1
                    RETURNING sequence
                 )
                 SELECT pg_notify($7, sequence::text) FROM appended"
            ),
            &[
                holder,
                epoch,
                (&row.sequence.cast_signed(), Type::INT8),
                (&row.at, Type::TEXT),
                (&row.event, Type::TEXT),
                (&row.checksum, Type::BYTEA),
                (&self.channel, Type::TEXT),
            ],
        );
        inserted.map(|row| row.is_some())
    }

    /// What it means that the sequence is taken: by this entry, if an earlier attempt has brought it there unnoticed.
    fn conflict(&self, session: &mut Session, is_unsure: bool) -> Result<Attempt, Failure> {
        match is_unsure && self.is_there(session)? {
            true => Ok(Attempt::Appended),
            false => Ok(Attempt::Conflict(newest(session)?)),
        }
    }

    /// Whether this very entry is in the journal.
    fn is_there(&self, session: &mut Session) -> Result<bool, Failure> {
        let select = "SELECT sequence, at, event, checksum FROM journal WHERE sequence = $1";
        let found = session.row(select, &[(&self.row.sequence.cast_signed(), Type::INT8)])?;
        Ok(found.is_some_and(|found| row_of(&found) == self.row))
    }
}

/// The error of a new connection, after one that broke while an entry was written.
fn unsure(error: StoreError) -> StoreError {
    match error {
        StoreError::Unreachable { store, cause } | StoreError::Database { store, cause } => {
            StoreError::Unsure { store, cause }
        }
        other => other,
    }
}

fn row_of(row: &tokio_postgres::Row) -> Row {
    Row {
        sequence: row.get::<_, i64>(0).cast_unsigned(),
        at: row.get(1),
        event: row.get(2),
        checksum: row.get(3),
    }
}
