//! Commands that run or prepare a server.
//!
//! - [`serve`]: the server; `signals`: what stops it.
//! - [`train`], [`inspect`]: make a model file, and show what it contains; `reading`: their flags for CSV files.
//! - [`config`]: show the settings, or check a settings file.

pub mod config;
pub mod inspect;
mod log;
mod reading;
pub mod serve;
mod signals;
pub mod train;
