//! SQLite store: one file (the default), or memory for tests and demos.
//!
//! A write-ahead log with `synchronous = FULL` makes an append durable before it is acknowledged. A lock
//! file next to the database prevents a second serin from opening it; the operating system releases it
//! however the first one ends. `file` locks the file, `connection` opens it and has the schema; each trait of the
//! store has a file.

mod artifacts;
mod connection;
mod evidence;
mod file;
mod journal;
mod progress;

pub use connection::SqliteStore;
