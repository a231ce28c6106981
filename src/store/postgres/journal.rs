//! Journal table.

use jiff::Timestamp;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::PostgresStore;
use super::lease::HELD;
use super::link::Link;
use super::link::Writing;
use super::link::newest;
use super::session::Failure;
use super::session::Session;
use crate::canary::Entry;
use crate::canary::Event;
use crate::canary::State;
use crate::store::error::StoreError;
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
        rows.iter().map(|row| row_of(row).entry()).collect()
    }

    fn newest_sequence(&self) -> Result<u64, StoreError> {
        self.read(newest)
    }

    fn newest_entries(&self, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let read = self
            .newest_sequence()
            .and_then(|newest| self.entries(newest.saturating_sub(limit as u64), limit));
        match read {
            Err(StoreError::Unreachable { store, cause }) => {
                let known = self.newest.lock().last(limit);
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
        self.write(move |session| {
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
        self.writer()?.call(move |link| append(link, expected, &row))?;
        let entry = Entry { sequence: expected + 1, at, event: event.clone() };
        self.newest.lock().append(entry.clone());
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

/// How an attempt to append has ended.
enum Attempt {
    Appended,
    Conflict(u64),
    /// The lease has ended in between, and no row was touched.
    NotHeld,
}

fn append(link: &mut Link, expected: u64, row: &Row) -> Result<(), StoreError> {
    let mut is_unsure = false;
    // Again after a renewed lease, or on a new connection where the row is certain not to be there.
    for _ in 0..3 {
        let attempt = link.attempt(|session, writing| {
            if is_unsure && let Some(found) = entry_at(session, row.sequence)? {
                return Ok(match found == *row {
                    true => Attempt::Appended,
                    false => Attempt::Conflict(newest(session)?),
                });
            }
            attempt(session, writing, expected, row)
        });
        match attempt {
            Ok(Attempt::Appended) => {
                link.has_appended(row.sequence);
                return Ok(());
            }
            Ok(Attempt::Conflict(actual)) => return Err(StoreError::Conflict { expected, actual }),
            Ok(Attempt::NotHeld) => link.renew()?,
            Err(Failure::Lost(cause)) => {
                link.lose(cause);
                link.connect().map_err(unsure)?;
                is_unsure = true;
            }
            Err(other) => return Err(link.failed(other)),
        }
    }
    Err(unsure(link.failed(Failure::Lost("the connection broke three times".to_owned()))))
}

/// The error of a new connection, after one that broke while an entry was written.
fn unsure(error: StoreError) -> StoreError {
    match error {
        StoreError::Unreachable { store, cause } => StoreError::Unsure { store, cause },
        other => other,
    }
}

fn attempt(
    session: &mut Session,
    writing: &Writing,
    expected: u64,
    row: &Row,
) -> Result<Attempt, Failure> {
    let [holder, epoch] = writing.lease.fence();
    let inserted = session.row(
        &format!(
            "WITH held AS ({HELD})
             INSERT INTO journal (sequence, at, epoch, event, checksum)
             SELECT $3, $4, $2, $5, $6 FROM held
             WHERE (SELECT coalesce(max(sequence), 0) FROM journal) = $3 - 1
             RETURNING sequence"
        ),
        &[
            holder,
            epoch,
            (&row.sequence.cast_signed(), Type::INT8),
            (&row.at, Type::TEXT),
            (&row.event, Type::TEXT),
            (&row.checksum, Type::BYTEA),
        ],
    );
    match inserted {
        Ok(Some(_)) => Ok(Attempt::Appended),
        Ok(None) => {
            let is_held = session.row(HELD, &writing.lease.fence())?.is_some();
            match newest(session)? {
                actual if is_held && actual != expected => Ok(Attempt::Conflict(actual)),
                _ => Ok(Attempt::NotHeld),
            }
        }
        Err(Failure::Refused { code, .. }) if code == SqlState::UNIQUE_VIOLATION => {
            Ok(Attempt::Conflict(newest(session)?))
        }
        Err(other) => Err(other),
    }
}

fn entry_at(session: &mut Session, sequence: u64) -> Result<Option<Row>, Failure> {
    let select = "SELECT sequence, at, event, checksum FROM journal WHERE sequence = $1";
    let row = session.row(select, &[(&sequence.cast_signed(), Type::INT8)])?;
    Ok(row.as_ref().map(row_of))
}

fn row_of(row: &tokio_postgres::Row) -> Row {
    Row {
        sequence: row.get::<_, i64>(0).cast_unsigned(),
        at: row.get(1),
        event: row.get(2),
        checksum: row.get(3),
    }
}
