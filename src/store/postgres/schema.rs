//! Tables of a PostgreSQL store, and the migrations that lead to them.
//!
//! Migrations go forward only, each in one transaction, and one process at a time makes them.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::connection::Failure;
use super::connection::PostgresUrl;
use super::connection::Session;
use crate::store::error::StoreError;

/// The first creates the tables of version 1, and so on. A released one is never changed.
const MIGRATIONS: [&str; 1] = [FIRST];

/// The version of the tables that this serin reads and writes.
const VERSION: i32 = MIGRATIONS.len() as i32;

/// The number of the lock that a migration holds ("srin"). Schemas of one database wait for each other.
const LOCK: i64 = 0x7372_696e;

/// How long a migration may take, with those of other processes before it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Numbers without a sign are stored as the signed numbers of the same bits. Checkpoints and replicas are replaced once a
/// second: half of each page is left for the next ones, and vacuuming starts after a thousand. Entries of the journal that
/// a follower has appended have no epoch.
const FIRST: &str = "
    CREATE TABLE lease (
        id         integer PRIMARY KEY CHECK (id = 1),
        holder     bigint NOT NULL,
        epoch      bigint NOT NULL,
        expires_at timestamptz NOT NULL,
        name       text NOT NULL,
        pid        bigint NOT NULL,
        since      timestamptz NOT NULL
    );
    CREATE TABLE journal (
        sequence bigint PRIMARY KEY,
        at       text NOT NULL,
        epoch    bigint,
        event    text NOT NULL,
        checksum bytea NOT NULL
    );
    CREATE TABLE state (
        id       integer PRIMARY KEY CHECK (id = 1),
        revision bigint NOT NULL,
        body     text NOT NULL,
        checksum bytea NOT NULL
    );
    CREATE TABLE artifact (
        digest   text PRIMARY KEY,
        bytes    bytea NOT NULL,
        saved_at timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    ALTER TABLE artifact ALTER COLUMN bytes SET STORAGE EXTERNAL;
    CREATE TABLE checkpoint (
        replica bigint PRIMARY KEY,
        body    text NOT NULL
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
    CREATE TABLE evidence_snapshot (
        replica  bigint NOT NULL,
        rollout  bigint NOT NULL,
        start    bigint NOT NULL,
        monitors text NOT NULL,
        PRIMARY KEY (replica, rollout, start)
    );
    CREATE TABLE evidence_tick (
        replica   bigint NOT NULL,
        rollout   bigint NOT NULL,
        start     bigint NOT NULL,
        number    bigint NOT NULL,
        step      bigint NOT NULL,
        at_ms     bigint NOT NULL,
        increment bytea NOT NULL,
        PRIMARY KEY (replica, rollout, start, number)
    );
    CREATE TABLE label (
        replica     bigint NOT NULL,
        rollout     bigint NOT NULL,
        fingerprint bigint NOT NULL,
        PRIMARY KEY (replica, rollout, fingerprint)
    );
    CREATE TABLE delivered (
        target text PRIMARY KEY,
        up_to  bigint NOT NULL
    );
    CREATE TABLE secret (
        name  text PRIMARY KEY,
        bytes bytea NOT NULL
    );
    CREATE TABLE replica (
        id         bigint PRIMARY KEY,
        name       text NOT NULL,
        started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        seen_at    timestamptz NOT NULL,
        has_ended  boolean NOT NULL,
        report     text NOT NULL
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
    CREATE TABLE share (
        replica bigint NOT NULL,
        number  bigint NOT NULL,
        rollout bigint NOT NULL,
        step    bigint NOT NULL,
        body    bytea NOT NULL,
        PRIMARY KEY (replica, number)
    ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
";

/// Creates the tables, or brings them to this version.
pub(super) fn prepare(session: &mut Session, url: &PostgresUrl) -> Result<(), StoreError> {
    let migrated = session.patiently(PATIENCE, |session| {
        session.transaction(|session| {
            let seconds = PATIENCE.as_secs();
            // Both end with the transaction.
            session.batch(&format!(
                "SET LOCAL statement_timeout = '{seconds}s'; SET LOCAL lock_timeout = '{seconds}s'"
            ))?;
            session.execute("SELECT pg_advisory_xact_lock($1)", &[(&LOCK, Type::INT8)])?;
            migrate(session, url)
        })
    });
    migrated.map_err(|failure| opening(failure, url))
}

/// Checks that the tables have this version.
pub(super) fn check(session: &mut Session, url: &PostgresUrl) -> Result<(), StoreError> {
    let found = found(session, url).map_err(|failure| opening(failure, url))?;
    match found {
        Some(VERSION) => Ok(()),
        Some(other) => Err(foreign(url, of_version(other))),
        None => Err(foreign(url, "it has no tables of serin".to_owned())),
    }
}

fn migrate(session: &mut Session, url: &PostgresUrl) -> Result<(), Failure> {
    let encoding = session.row("SELECT current_setting('server_encoding')", &[])?;
    let encoding: String = encoding.map_or_else(String::new, |row| row.get(0));
    if encoding != "UTF8" {
        let cause = format!("the database has the encoding {encoding}; create one with UTF8");
        return Err(foreign(url, cause).into());
    }
    let found = match found(session, url)? {
        Some(other) if !(0..=VERSION).contains(&other) => {
            return Err(foreign(url, of_version(other)).into());
        }
        Some(version) => version,
        None => {
            create_schema(session, url)?;
            session.batch("CREATE TABLE serin_schema (version integer NOT NULL)")?;
            session.batch("INSERT INTO serin_schema VALUES (0)")?;
            0
        }
    };
    let done = usize::try_from(found).unwrap_or_default();
    for migration in MIGRATIONS.iter().skip(done) {
        session.batch(migration)?;
    }
    if found < VERSION {
        session.execute("UPDATE serin_schema SET version = $1", &[(&VERSION, Type::INT4)])?;
    }
    Ok(())
}

/// Creates the schema, if an administrator has not.
fn create_schema(session: &mut Session, url: &PostgresUrl) -> Result<(), Failure> {
    let tables = "SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = found.oid)
                  FROM pg_namespace AS found WHERE nspname = $1";
    match session.row(tables, &[(&url.schema, Type::TEXT)])?.map(|row| row.get::<_, i64>(0)) {
        // A create that would change nothing asks for permissions all the same.
        Some(0) => Ok(()),
        Some(_) => Err(foreign(url, "it has tables of another program".to_owned()).into()),
        None => session.batch(&format!("CREATE SCHEMA \"{}\"", url.schema)),
    }
}

/// The version of the tables; `None` if there are none.
fn found(session: &mut Session, url: &PostgresUrl) -> Result<Option<i32>, Failure> {
    let table = format!("{}.serin_schema", url.schema);
    let exists = session.row("SELECT to_regclass($1) IS NOT NULL", &[(&table, Type::TEXT)])?;
    if !exists.is_some_and(|row| row.get(0)) {
        return Ok(None);
    }
    let version = session.row("SELECT max(version) FROM serin_schema", &[])?;
    Ok(version.and_then(|row| row.get(0)))
}

fn of_version(version: i32) -> String {
    let by = if version > VERSION { "a newer" } else { "an older" };
    format!("schema version {version}, written by {by} serin")
}

fn foreign(url: &PostgresUrl, cause: String) -> StoreError {
    StoreError::Foreign { path: format!("schema {:?} of {url}", url.schema), cause }
}

fn opening(failure: Failure, url: &PostgresUrl) -> StoreError {
    match failure {
        Failure::Store(cause) => cause,
        Failure::Refused { code, cause } if code == SqlState::INSUFFICIENT_PRIVILEGE => {
            let (schema, user) = (&url.schema, url.config.get_user().unwrap_or_default());
            let cause = format!(
                "{cause}; as an administrator: CREATE SCHEMA \"{schema}\" AUTHORIZATION \"{user}\""
            );
            StoreError::Database { store: url.to_string(), cause }
        }
        other => StoreError::Database { store: url.to_string(), cause: other.cause() },
    }
}
