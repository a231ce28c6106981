//! Tables of replicas and their shares.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::types::Type;

use super::PostgresStore;
use super::connection::Failure;
use super::connection::Session;
use crate::store::error::StoreError;
use crate::store::fleet::Fleet;
use crate::store::fleet::Replica;
use crate::store::fleet::Role;
use crate::store::fleet::Share;
use crate::store::replica::ReplicaId;

/// How long a report may take. After an outage it has everything that was observed meanwhile.
const REPORT: Duration = Duration::from_secs(10);

impl Fleet for PostgresStore {
    fn id(&self) -> ReplicaId {
        self.member().id
    }

    fn role(&self) -> Role {
        match self.is_trusted() {
            true => Role::Leader,
            false => Role::Follower,
        }
    }

    fn date(&self) -> Result<Option<Timestamp>, StoreError> {
        let rows = self.read(|session| {
            session.query("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint", &[])
        })?;
        let milliseconds = rows.first().map(|row| row.get::<_, i64>(0));
        let date = milliseconds.map(Timestamp::from_millisecond).transpose();
        date.map_err(|cause| {
            let what = "the date of the database".to_owned();
            StoreError::Damaged { what, cause: cause.to_string() }
        })
    }

    fn stand(&self) {
        self.member().trust.is_known_to_have_ended();
    }

    fn report(&self, report: &str, shares: &[Share]) -> Result<(), StoreError> {
        let (id, name) = (self.id().0.cast_signed(), self.member().name.clone());
        let (report, shares) = (report.to_owned(), Columns::new(shares));
        self.write(move |session| {
            session.patiently(REPORT, |session| {
                // A crash of the database loses no more than one of serin.
                session.batch("SET LOCAL synchronous_commit = off")?;
                session.execute(
                    "INSERT INTO replica (id, name, seen_at, has_ended, report)
                     VALUES ($1, $2, clock_timestamp(), false, $3)
                     ON CONFLICT (id) DO UPDATE SET name = excluded.name, seen_at = excluded.seen_at,
                        has_ended = false, report = excluded.report",
                    &[(&id, Type::INT8), (&name, Type::TEXT), (&report, Type::TEXT)],
                )?;
                shares.insert(session)
            })
        })
    }

    fn replicas(&self) -> Result<Vec<Replica>, StoreError> {
        let rows = self.read(|session| {
            session.query(
                "SELECT r.id, r.name,
                    (extract(epoch FROM clock_timestamp() - r.seen_at) * 1000)::bigint,
                    r.has_ended, l.holder IS NOT NULL, r.report
                 FROM replica AS r
                 LEFT JOIN lease AS l ON l.holder = r.id AND l.expires_at > clock_timestamp()
                 ORDER BY r.id",
                &[],
            )
        })?;
        let replica = |row: &tokio_postgres::Row| Replica {
            id: ReplicaId(row.get::<_, i64>(0).cast_unsigned()),
            name: row.get(1),
            silent: Duration::from_millis(u64::try_from(row.get::<_, i64>(2)).unwrap_or(0)),
            has_ended: row.get(3),
            is_leader: row.get(4),
            report: row.get(5),
        };
        Ok(rows.iter().map(replica).collect())
    }

    fn shares(
        &self,
        above: &BTreeMap<ReplicaId, u64>,
        limit: usize,
    ) -> Result<Vec<Share>, StoreError> {
        let (replicas, numbers) = columns(above);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.read(move |session| {
            session.query(
                "SELECT s.replica, s.number, s.rollout, s.step, s.body FROM share AS s
                 LEFT JOIN unnest($1, $2) AS t (replica, number) ON t.replica = s.replica
                 WHERE s.number > coalesce(t.number, 0) ORDER BY s.replica, s.number LIMIT $3",
                &[
                    (&replicas, Type::INT8_ARRAY),
                    (&numbers, Type::INT8_ARRAY),
                    (&limit, Type::INT8),
                ],
            )
        })?;
        let share = |row: &tokio_postgres::Row| {
            let (replica, number) = (row.get::<_, i64>(0), row.get::<_, i64>(1));
            let step = u32::try_from(row.get::<_, i64>(3)).map_err(|cause| {
                let what = format!("share {number} of a replica");
                StoreError::Damaged { what, cause: cause.to_string() }
            })?;
            Ok(Share {
                replica: ReplicaId(replica.cast_unsigned()),
                number: number.cast_unsigned(),
                rollout: row.get::<_, i64>(2).cast_unsigned(),
                step,
                body: row.get(4),
            })
        };
        rows.iter().map(share).collect()
    }

    fn forget_replicas(&self, replicas: &[ReplicaId]) -> Result<(), StoreError> {
        let ids: Vec<i64> = replicas.iter().map(|id| id.0.cast_signed()).collect();
        self.lead(move |session| {
            let ids = [(&ids as _, Type::INT8_ARRAY)];
            session.execute("DELETE FROM share WHERE replica = ANY ($1)", &ids)?;
            session.execute("DELETE FROM replica WHERE id = ANY ($1)", &ids)
        })
    }

    fn wait_for_entry(&self, known: u64, patience: Duration) -> Result<u64, StoreError> {
        self.listener()?.call(move |listener| listener.wait(known, patience))
    }
}

/// Shares by column.
#[derive(Default)]
struct Columns {
    replicas: Vec<i64>,
    numbers: Vec<i64>,
    rollouts: Vec<i64>,
    steps: Vec<i64>,
    bodies: Vec<Vec<u8>>,
}

impl Columns {
    fn new(shares: &[Share]) -> Columns {
        let mut columns = Columns::default();
        for share in shares {
            columns.replicas.push(share.replica.0.cast_signed());
            columns.numbers.push(share.number.cast_signed());
            columns.rollouts.push(share.rollout.cast_signed());
            columns.steps.push(i64::from(share.step));
            columns.bodies.push(share.body.clone());
        }
        columns
    }

    fn insert(&self, session: &mut Session) -> Result<(), Failure> {
        if self.numbers.is_empty() {
            return Ok(());
        }
        session.execute(
            "INSERT INTO share (replica, number, rollout, step, body)
             SELECT * FROM unnest($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            &[
                (&self.replicas, Type::INT8_ARRAY),
                (&self.numbers, Type::INT8_ARRAY),
                (&self.rollouts, Type::INT8_ARRAY),
                (&self.steps, Type::INT8_ARRAY),
                (&self.bodies, Type::BYTEA_ARRAY),
            ],
        )
    }
}

/// Deletes the shares up to these.
pub(super) fn forget_shares(
    session: &mut Session,
    taken: &BTreeMap<ReplicaId, u64>,
) -> Result<(), Failure> {
    if taken.is_empty() {
        return Ok(());
    }
    let (replicas, numbers) = columns(taken);
    session.execute(
        "DELETE FROM share USING unnest($1, $2) AS t (replica, number)
         WHERE share.replica = t.replica AND share.number <= t.number",
        &[(&replicas, Type::INT8_ARRAY), (&numbers, Type::INT8_ARRAY)],
    )
}

fn columns(numbers: &BTreeMap<ReplicaId, u64>) -> (Vec<i64>, Vec<i64>) {
    numbers.iter().map(|(replica, number)| (replica.0.cast_signed(), number.cast_signed())).unzip()
}
