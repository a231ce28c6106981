//! The store itself: its two threads, and the ways to read and to write through them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::lease::HELD;
use super::link::Link;
use super::session::Failure;
use super::session::Role;
use super::session::Session;
use super::thread::LinkThread;
use super::url::PostgresUrl;
use crate::canary::Entry;
use crate::store::Steady;
use crate::store::error::StoreError;
use crate::store::journal::Journal as _;

/// A store in a schema of a database.
pub struct PostgresStore {
    /// `None` if it was opened to be read.
    writer: Option<LinkThread>,
    reader: LinkThread,
    /// The size of the tables when it was measured.
    bytes: Arc<AtomicU64>,
    /// How often it was checked, once a second.
    settled: AtomicU64,
    /// What the page shows while the database does not answer.
    pub(super) newest: Mutex<Newest>,
}

/// The newest entries of the journal, in order. No other process appends while this one has the lease.
#[derive(Default)]
pub(super) struct Newest(VecDeque<Entry>);

/// How many of them are kept in memory: more than twice as many as the page shows.
const KEPT: usize = 50;

impl Newest {
    /// Adds one. Entries before a gap are dropped.
    pub(super) fn append(&mut self, entry: Entry) {
        if self.0.back().is_some_and(|newest| newest.sequence + 1 != entry.sequence) {
            self.0.clear();
        }
        self.0.push_back(entry);
        if self.0.len() > KEPT {
            self.0.pop_front();
        }
    }

    /// The last ones; `None` if there were more of them.
    pub(super) fn last(&self, limit: usize) -> Option<Vec<Entry>> {
        let is_all = self.0.front()?.sequence == 1 || self.0.len() >= limit;
        let skipped = self.0.len().saturating_sub(limit);
        is_all.then(|| self.0.iter().skip(skipped).cloned().collect())
    }
}

/// How often the size of the tables is measured, in seconds.
const MEASURE: u64 = 60;

impl PostgresStore {
    /// Opens a store, and creates its tables. Waits for the lease of a process that was killed.
    ///
    /// # Errors
    /// When another serin writes to it, or the database refuses.
    pub fn open(url: &PostgresUrl, steady: Steady) -> Result<PostgresStore, StoreError> {
        let (address, clock) = (url.clone(), steady.clone());
        let writer = LinkThread::start("writer", move || Link::writing(address, clock))?;
        let reader = reader(url, steady, Role::Reader)?;
        let store = PostgresStore::new(Some(writer), reader);
        let kept = store.newest_entries(KEPT)?;
        kept.into_iter().for_each(|entry| store.newest.lock().append(entry));
        Ok(store)
    }

    /// Opens a store to read its contents at this moment, even while a serin writes to it.
    ///
    /// # Errors
    /// When the database refuses, or has no tables of this version.
    pub fn open_to_read(url: &PostgresUrl, steady: Steady) -> Result<PostgresStore, StoreError> {
        Ok(PostgresStore::new(None, reader(url, steady, Role::Visitor)?))
    }

    fn new(writer: Option<LinkThread>, reader: LinkThread) -> PostgresStore {
        PostgresStore {
            writer,
            reader,
            bytes: Arc::default(),
            settled: AtomicU64::default(),
            newest: Mutex::default(),
        }
    }

    /// The thread that writes.
    pub(super) fn writer(&self) -> Result<&LinkThread, StoreError> {
        self.writer.as_ref().ok_or_else(|| StoreError::Unreachable {
            store: "a store".to_owned(),
            cause: "it was opened to be read".to_owned(),
        })
    }

    /// Reads. The job may be called twice.
    pub(super) fn read<T: Send + 'static>(
        &self,
        job: impl Fn(&mut Session) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.reader.call(move |link| link.read(job))
    }

    /// Writes in one transaction, under the lease.
    pub(super) fn write(
        &self,
        job: impl Fn(&mut Session) -> Result<(), Failure> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.writer()?.call(move |link| {
            link.write(|session, writing| {
                let fence = writing.lease.fence();
                session.transaction(|session| {
                    session.row(HELD, &fence)?.ok_or(Failure::NotHeld)?;
                    job(session)
                })
            })
        })
    }

    /// Checks that the database answers and that this process may write.
    pub(super) fn settle(&self) -> Result<(), StoreError> {
        let Some(writer) = &self.writer else { return Ok(()) };
        let is_due = self.settled.load(Ordering::Relaxed).is_multiple_of(MEASURE);
        let bytes = self.bytes.clone();
        writer.call(move |link| {
            link.write(|session, writing| {
                session.row(HELD, &writing.lease.fence())?.ok_or(Failure::NotHeld)?;
                if !is_due {
                    return Ok(());
                }
                let size =
                    "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
                            WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'";
                if let Some(row) = session.row(size, &[])? {
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

    /// Gives up the lease, so that another process can start at once. Nothing is written after it.
    pub(super) fn release(&self) {
        if let Some(writer) = &self.writer {
            // A thread that has ended holds no lease.
            let _ = writer.call(|link| {
                link.release();
                Ok(())
            });
        }
    }
}

fn reader(url: &PostgresUrl, steady: Steady, role: Role) -> Result<LinkThread, StoreError> {
    let url = url.clone();
    LinkThread::start("reader", move || Link::reading(url, steady, role))
}
