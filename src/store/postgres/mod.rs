//! PostgreSQL store: a database that several machines reach, and any number of serins share.
//!
//! Three connections, each owned by one thread: a slow read delays no rollback, and waiting for an entry delays neither.
//! `connection` is one session, `link` makes it anew when it breaks. `writer`, `listener` and the link of the reads are
//! what the threads own; each trait of the store has a file. Of two processes that append at the same time one gets a
//! conflict. What only the leader writes names its lease: the statement changes nothing once another process has it.

mod artifacts;
mod connection;
mod evidence;
mod fleet;
mod journal;
mod lease;
mod link;
mod listener;
mod newest;
mod progress;
mod schema;
mod store;
mod thread;
mod writer;

pub use connection::PostgresUrl;
pub use connection::UrlError;
pub use store::PostgresStore;

pub(in crate::store) use connection::without_password;
