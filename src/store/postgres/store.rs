//! The store itself: its threads, and the ways to read and to write through them.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use rand::RngExt as _;

use super::connection::Failure;
use super::connection::PostgresUrl;
use super::connection::Purpose;
use super::connection::Session;
use super::lease::HELD;
use super::link::Link;
use super::listener::Listener;
use super::listener::channel;
use super::newest::KEPT;
use super::newest::Newest;
use super::thread::OwnerThread;
use super::writer::Member;
use super::writer::Writer;
use crate::store::Steady;
use crate::store::error::StoreError;
use crate::store::journal::Journal as _;
use crate::store::replica::ReplicaId;
use crate::store::replica::host;

/// A store in a schema of a database.
pub struct PostgresStore {
    /// `None` if it was opened to be read.
    writer: Option<OwnerThread<Writer>>,
    /// `None` if it was opened to be read.
    listener: Option<OwnerThread<Listener>>,
    reader: OwnerThread<Link>,
    member: Member,
    steady: Steady,
    channel: String,
    /// The size of the tables when it was measured.
    bytes: Arc<AtomicU64>,
    /// How often it was checked, once a second.
    settled: AtomicU64,
}

/// How often the size of the tables is measured, in seconds.
const MEASURE: u64 = 60;

impl PostgresStore {
    /// Opens a store, and creates its tables. Becomes the leader if no other process is; waits for none.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn open(url: &PostgresUrl, steady: Steady) -> Result<PostgresStore, StoreError> {
        PostgresStore::open_as(host(), url, steady)
    }

    /// The same for a process with this name.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn open_as(
        name: String,
        url: &PostgresUrl,
        steady: Steady,
    ) -> Result<PostgresStore, StoreError> {
        let id = ReplicaId(rand::rng().random_range(1..=i64::MAX.cast_unsigned()));
        let member = Member { id, name, trust: Arc::default(), newest: Arc::default() };
        let (address, clock, this) = (url.clone(), steady.clone(), member.clone());
        let writer = OwnerThread::start("writer", move || Writer::open(address, clock, this))?;
        let (address, clock, this) = (url.clone(), steady.clone(), member.clone());
        let listener = OwnerThread::start("listener", move || {
            Ok(Listener::new(address, clock, this.name, this.newest))
        })?;
        let reader = reader(url, &steady, Purpose::Reader, &member)?;
        let store = PostgresStore {
            writer: Some(writer),
            listener: Some(listener),
            ..PostgresStore::new(url, steady, reader, member)
        };
        store.newest_entries(KEPT)?;
        Ok(store)
    }

    /// Opens a store to read its contents at this moment, even while serins write to it.
    ///
    /// # Errors
    /// When the database refuses, or has no tables of this version.
    pub fn open_to_read(url: &PostgresUrl, steady: Steady) -> Result<PostgresStore, StoreError> {
        let (trust, newest) = (Arc::default(), Arc::default());
        let member = Member { id: ReplicaId::ONLY, name: host(), trust, newest };
        let reader = reader(url, &steady, Purpose::Visitor, &member)?;
        Ok(PostgresStore::new(url, steady, reader, member))
    }

    fn new(
        url: &PostgresUrl,
        steady: Steady,
        reader: OwnerThread<Link>,
        member: Member,
    ) -> PostgresStore {
        PostgresStore {
            writer: None,
            listener: None,
            reader,
            member,
            steady,
            channel: channel(url),
            bytes: Arc::default(),
            settled: AtomicU64::default(),
        }
    }

    /// This process.
    pub(super) fn member(&self) -> &Member {
        &self.member
    }

    /// Whether this process may take itself for the leader.
    pub(super) fn is_trusted(&self) -> bool {
        self.member.trust.holds((self.steady)())
    }

    /// The end of the journal.
    pub(super) fn newest(&self) -> &Newest {
        &self.member.newest
    }

    /// Where an entry is announced.
    pub(super) fn channel(&self) -> String {
        self.channel.clone()
    }

    /// The thread that writes.
    pub(super) fn writer(&self) -> Result<&OwnerThread<Writer>, StoreError> {
        self.writer.as_ref().ok_or_else(only_read)
    }

    /// The thread that waits for entries.
    pub(super) fn listener(&self) -> Result<&OwnerThread<Listener>, StoreError> {
        self.listener.as_ref().ok_or_else(only_read)
    }

    /// Reads. The job may be called twice.
    pub(super) fn read<T: Send + 'static>(
        &self,
        job: impl Fn(&mut Session) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.reader.call(move |link| link.read(|_| Ok(()), job))
    }

    /// Writes in one transaction.
    pub(super) fn write(
        &self,
        job: impl FnOnce(&mut Session) -> Result<(), Failure> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.writer()?.call(move |writer| writer.write(|session| session.transaction(job)))
    }

    /// Writes in one transaction, as the leader. The job may be called twice.
    pub(super) fn lead(
        &self,
        job: impl Fn(&mut Session) -> Result<(), Failure> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.writer()?.call(move |writer| {
            writer.lead(|session, lease| {
                let fence = lease.fence();
                session.transaction(|session| {
                    session.row(HELD, &fence)?.ok_or(Failure::NotHeld)?;
                    job(session)
                })
            })
        })
    }

    /// Checks that the database answers.
    pub(super) fn settle(&self) -> Result<(), StoreError> {
        let Some(writer) = &self.writer else { return Ok(()) };
        let is_due = self.settled.load(Ordering::Relaxed).is_multiple_of(MEASURE);
        let bytes = self.bytes.clone();
        writer.call(move |writer| {
            writer.write(|session| {
                let size =
                    "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
                            WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'";
                let row = session.row(if is_due { size } else { "SELECT 0::bigint" }, &[])?;
                if let Some(row) = row.filter(|_| is_due) {
                    bytes.store(row.get::<_, i64>(0).cast_unsigned(), Ordering::Relaxed);
                }
                Ok(())
            })
        })?;
        self.settled.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The size of the tables, as it was at most a minute ago. 0 before it was measured.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Gives up the lease, so that another process decides at once. Nothing is written after it.
    pub(super) fn release(&self) {
        if let Some(writer) = &self.writer {
            // A thread that has ended holds no lease.
            let _ = writer.call(|writer| {
                writer.release();
                Ok(())
            });
        }
    }
}

fn only_read() -> StoreError {
    StoreError::Unreachable {
        store: "a store".to_owned(),
        cause: "it was opened to be read".to_owned(),
    }
}

fn reader(
    url: &PostgresUrl,
    steady: &Steady,
    purpose: Purpose,
    member: &Member,
) -> Result<OwnerThread<Link>, StoreError> {
    let (url, steady, name) = (url.clone(), steady.clone(), member.name.clone());
    OwnerThread::start("reader", move || Link::reading(url, steady, purpose, name))
}
