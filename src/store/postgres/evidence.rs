//! Tables of the tick log.

use jiff::Timestamp;
use tokio_postgres::types::Type;

use super::PostgresStore;
use super::connection::Failure;
use super::connection::Session;
use crate::canary::Chunk;
use crate::canary::LogRecord;
use crate::canary::LoggedTick;
use crate::canary::Monitors;
use crate::store::error::StoreError;
use crate::store::evidence::EvidenceLog;
use crate::store::replica::ReplicaId;
use crate::store::rows::from_json;
use crate::store::rows::to_json;

/// Ticks that are sent in one statement.
const TOGETHER: usize = 1000;

impl EvidenceLog for PostgresStore {
    fn chunks(&self, replica: ReplicaId) -> Result<Vec<Chunk>, StoreError> {
        let replica = replica.0.cast_signed();
        self.read(move |session| {
            let select = "SELECT rollout, start FROM evidence_snapshot
                          WHERE replica = $1 ORDER BY rollout, start";
            let rows = session.query(select, &[(&replica, Type::INT8)])?;
            let number =
                |row: &tokio_postgres::Row, column| row.get::<usize, i64>(column).cast_unsigned();
            let chunk = |row| Chunk { rollout: number(row, 0), start: number(row, 1) };
            Ok(rows.iter().map(chunk).collect())
        })
    }

    fn snapshot(&self, replica: ReplicaId, chunk: Chunk) -> Result<Option<Monitors>, StoreError> {
        let key = key(replica, chunk);
        let text: Option<String> = self.read(move |session| {
            let select = "SELECT monitors FROM evidence_snapshot
                          WHERE replica = $1 AND rollout = $2 AND start = $3";
            let row = session.row(select, &key.each_ref().map(|it| (it as _, Type::INT8)))?;
            Ok(row.map(|row| row.get(0)))
        })?;
        let what = format!("a snapshot of the tick log of rollout {}", chunk.rollout);
        text.map(|text| from_json(&what, &text)).transpose()
    }

    fn ticks(&self, replica: ReplicaId, chunk: Chunk) -> Result<Vec<LoggedTick>, StoreError> {
        let key = key(replica, chunk);
        let rows = self.read(move |session| {
            let select = "SELECT number, step, at_ms, increment FROM evidence_tick
                          WHERE replica = $1 AND rollout = $2 AND start = $3 ORDER BY number";
            session.query(select, &key.each_ref().map(|it| (it as _, Type::INT8)))
        })?;
        let tick = |row: &tokio_postgres::Row| {
            let (number, step) = (row.get::<_, i64>(0).cast_unsigned(), row.get::<_, i64>(1));
            let what = || format!("tick {number} of the tick log of rollout {}", chunk.rollout);
            let damaged = |cause: String| StoreError::Damaged { what: what(), cause };
            Ok(LoggedTick {
                number,
                step: u32::try_from(step).map_err(|cause| damaged(cause.to_string()))?,
                at: Timestamp::from_millisecond(row.get(2))
                    .map_err(|cause| damaged(cause.to_string()))?,
                increment: row.get(3),
            })
        };
        rows.iter().map(tick).collect()
    }

    fn forget_chunks(&self, replica: ReplicaId, chunks: &[Chunk]) -> Result<(), StoreError> {
        let keys: Vec<[i64; 3]> = chunks.iter().map(|chunk| key(replica, *chunk)).collect();
        self.lead(move |session| {
            for key in &keys {
                for table in ["evidence_snapshot", "evidence_tick"] {
                    let delete = format!(
                        "DELETE FROM {table} WHERE replica = $1 AND rollout = $2 AND start = $3"
                    );
                    session.execute(&delete, &key.each_ref().map(|it| (it as _, Type::INT8)))?;
                }
            }
            Ok(())
        })
    }
}

fn key(replica: ReplicaId, chunk: Chunk) -> [i64; 3] {
    [replica.0, chunk.rollout, chunk.start].map(u64::cast_signed)
}

/// What a log grows by, as rows.
pub(super) struct Grown(Vec<Part>);

enum Part {
    Snapshot { start: i64, monitors: String },
    Ticks(Ticks),
}

/// The columns of ticks that follow each other.
#[derive(Default)]
struct Ticks {
    numbers: Vec<i64>,
    steps: Vec<i64>,
    at_ms: Vec<i64>,
    increments: Vec<Vec<u8>>,
}

impl Grown {
    /// The rows of these records.
    pub(super) fn new(records: &[LogRecord]) -> Result<Grown, StoreError> {
        let mut parts = Vec::new();
        for record in records {
            match record {
                LogRecord::Snapshot(monitors) => parts.push(Part::Snapshot {
                    start: monitors.ticks().cast_signed(),
                    monitors: to_json("monitors", monitors)?,
                }),
                LogRecord::Tick(tick) => {
                    if !matches!(parts.last(), Some(Part::Ticks(it)) if it.numbers.len() < TOGETHER)
                    {
                        parts.push(Part::Ticks(Ticks::default()));
                    }
                    if let Some(Part::Ticks(ticks)) = parts.last_mut() {
                        ticks.numbers.push(tick.number.cast_signed());
                        ticks.steps.push(i64::from(tick.step));
                        ticks.at_ms.push(tick.at.as_millisecond());
                        ticks.increments.push(tick.increment.clone());
                    }
                }
            }
        }
        Ok(Grown(parts))
    }

    /// Appends to the log of a rollout. A snapshot replaces everything that the log has from its tick on.
    pub(super) fn append(
        &self,
        session: &mut Session,
        replica: i64,
        rollout: i64,
    ) -> Result<(), Failure> {
        for part in &self.0 {
            match part {
                Part::Snapshot { start, monitors } => {
                    let key = [replica, rollout, *start];
                    for later in [
                        "evidence_snapshot WHERE start >= $3",
                        "evidence_tick WHERE start >= $3",
                        "evidence_tick WHERE number > $3",
                    ] {
                        let delete =
                            format!("DELETE FROM {later} AND replica = $1 AND rollout = $2");
                        session
                            .execute(&delete, &key.each_ref().map(|it| (it as _, Type::INT8)))?;
                    }
                    session.execute(
                        "INSERT INTO evidence_snapshot VALUES ($1, $2, $3, $4)",
                        &[
                            (&replica, Type::INT8),
                            (&rollout, Type::INT8),
                            (start, Type::INT8),
                            (monitors, Type::TEXT),
                        ],
                    )?;
                }
                Part::Ticks(ticks) => ticks.append(session, replica, rollout)?,
            }
        }
        Ok(())
    }
}

impl Ticks {
    fn append(&self, session: &mut Session, replica: i64, rollout: i64) -> Result<(), Failure> {
        let newest = "SELECT max(start) FROM evidence_snapshot WHERE replica = $1 AND rollout = $2";
        let key = [(&replica as _, Type::INT8), (&rollout as _, Type::INT8)];
        let start: Option<i64> = session.row(newest, &key)?.and_then(|row| row.get(0));
        let start = start.ok_or_else(|| StoreError::Damaged {
            what: "a tick log".to_owned(),
            cause: "a tick without a snapshot".to_owned(),
        })?;
        // A save whose success was not reported is tried again.
        session.execute(
            "INSERT INTO evidence_tick (replica, rollout, start, number, step, at_ms, increment)
             SELECT $1, $2, $3, t.* FROM unnest($4, $5, $6, $7) AS t
             ON CONFLICT (replica, rollout, start, number) DO UPDATE SET
                step = excluded.step, at_ms = excluded.at_ms, increment = excluded.increment",
            &[
                (&replica, Type::INT8),
                (&rollout, Type::INT8),
                (&start, Type::INT8),
                (&self.numbers, Type::INT8_ARRAY),
                (&self.steps, Type::INT8_ARRAY),
                (&self.at_ms, Type::INT8_ARRAY),
                (&self.increments, Type::BYTEA_ARRAY),
            ],
        )
    }
}
