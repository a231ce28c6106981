//! Commands that run or prepare a server.
//!
//! - [`serve`]: the server; `signals`: what stops it.
//! - [`train`], [`import`], [`inspect`]: make a model file, take one of another library, and show what it contains;
//!   [`compare`]: two of them on the same rows; `reading`: flags for CSV files; `library`: what runs ONNX models.
//! - [`config`]: show the settings, or check a settings file.
//! - [`store`]: copy a store.
//! - [`completions`]: shell completions and man pages.

pub mod compare;
pub mod completions;
pub mod config;
pub mod import;
pub mod inspect;
mod library;
mod log;
mod reading;
pub mod serve;
pub mod signals;
pub mod store;
pub mod train;
