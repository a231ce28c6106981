//! PostgreSQL store: a database that several machines reach. One serin at a time writes to it.
//!
//! Two connections, each owned by one thread: a slow read delays no rollback. `session` is one connection, `link` makes
//! it anew and holds the lease, `thread` owns the link; each trait of the store has a file. Every write is fenced by
//! the lease: its statement names holder and epoch, and changes nothing once another process has the lease.

mod artifacts;
mod evidence;
mod journal;
mod lease;
mod link;
mod progress;
mod schema;
mod session;
mod store;
mod thread;
mod tls;
mod url;

pub use store::PostgresStore;
pub use url::PostgresUrl;
pub use url::UrlError;

pub(in crate::store) use url::without_password;
