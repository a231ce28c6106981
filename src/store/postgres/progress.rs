//! Tables of checkpoints, labels, deliveries and secrets.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::types::Type;

use super::PostgresStore;
use super::connection::Failure;
use super::connection::Session;
use super::evidence::Grown;
use super::fleet;
use crate::canary::LogRecord;
use crate::store::error::StoreError;
use crate::store::progress::Checkpoint;
use crate::store::progress::Progress;
use crate::store::replica::ReplicaId;
use crate::store::rows::read_checkpoint;
use crate::store::rows::to_json;

/// How long a save may take. After an outage it has everything that was observed meanwhile.
const SAVE: Duration = Duration::from_secs(10);

impl Progress for PostgresStore {
    fn checkpoint(&self, replica: ReplicaId) -> Result<Option<Checkpoint>, StoreError> {
        let replica = replica.0.cast_signed();
        let text: Option<String> = self.read(move |session| {
            let select = "SELECT body FROM checkpoint WHERE replica = $1";
            Ok(session.row(select, &[(&replica, Type::INT8)])?.map(|row| row.get(0)))
        })?;
        text.map(|text| read_checkpoint(&text)).transpose()
    }

    fn save_checkpoint(
        &self,
        replica: ReplicaId,
        checkpoint: &Checkpoint,
        records: &[LogRecord],
    ) -> Result<(), StoreError> {
        let text = to_json("a checkpoint", checkpoint)?;
        let grown = Grown::new(records)?;
        let (replica, rollout) = (replica.0.cast_signed(), checkpoint.rollout.cast_signed());
        let labels: Vec<i64> =
            checkpoint.new_labels.iter().map(|label| label.cast_signed()).collect();
        let taken = checkpoint.taken.clone();
        self.lead(move |session| {
            session.patiently(SAVE, |session| {
                // A crash of the database loses no more than one of serin.
                session.batch("SET LOCAL synchronous_commit = off")?;
                session.execute(
                    "INSERT INTO checkpoint (replica, body) VALUES ($1, $2)
                     ON CONFLICT (replica) DO UPDATE SET body = excluded.body",
                    &[(&replica, Type::INT8), (&text, Type::TEXT)],
                )?;
                grown.append(session, replica, rollout)?;
                add_labels(session, replica, rollout, &labels)?;
                fleet::forget_shares(session, &taken)
            })
        })
    }

    fn labels(&self, replica: ReplicaId, rollout: u64) -> Result<Vec<u64>, StoreError> {
        let key = [replica.0.cast_signed(), rollout.cast_signed()];
        self.read(move |session| {
            let select = "SELECT fingerprint FROM label WHERE replica = $1 AND rollout = $2";
            let rows = session.query(select, &key.each_ref().map(|it| (it as _, Type::INT8)))?;
            Ok(rows.iter().map(|row| row.get::<_, i64>(0).cast_unsigned()).collect())
        })
    }

    fn delivered(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.read(|session| {
            let rows = session.query("SELECT target, up_to FROM delivered", &[])?;
            let pair = |row: &tokio_postgres::Row| {
                (row.get::<_, String>(0), row.get::<_, i64>(1).cast_unsigned())
            };
            Ok(rows.iter().map(pair).collect())
        })
    }

    fn save_delivered(&self, target: &str, up_to: u64) -> Result<(), StoreError> {
        let (target, up_to) = (target.to_owned(), up_to.cast_signed());
        self.lead(move |session| {
            session.execute(
                "INSERT INTO delivered (target, up_to) VALUES ($1, $2)
                 ON CONFLICT (target) DO UPDATE SET up_to = excluded.up_to",
                &[(&target, Type::TEXT), (&up_to, Type::INT8)],
            )
        })
    }

    fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let name = name.to_owned();
        self.read(move |session| {
            let select = "SELECT bytes FROM secret WHERE name = $1";
            Ok(session.row(select, &[(&name, Type::TEXT)])?.map(|row| row.get(0)))
        })
    }

    fn save_secret(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let (name, bytes) = (name.to_owned(), bytes.to_owned());
        self.write(move |session| {
            session.execute(
                "INSERT INTO secret (name, bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                &[(&name, Type::TEXT), (&bytes, Type::BYTEA)],
            )
        })
    }
}

/// Adds labels to those of a rollout, and deletes those of all others.
fn add_labels(
    session: &mut Session,
    replica: i64,
    rollout: i64,
    labels: &Vec<i64>,
) -> Result<(), Failure> {
    let key = [(&replica as _, Type::INT8), (&rollout as _, Type::INT8)];
    session.execute("DELETE FROM label WHERE replica = $1 AND rollout <> $2", &key)?;
    if labels.is_empty() {
        return Ok(());
    }
    session.execute(
        "INSERT INTO label SELECT $1, $2, unnest($3) ON CONFLICT DO NOTHING",
        &[(&replica, Type::INT8), (&rollout, Type::INT8), (labels, Type::INT8_ARRAY)],
    )
}
