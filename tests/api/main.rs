//! The HTTP contract. Each test talks to a real server on its own port and in its own folder.
//!
//! [`harness`] starts and stops servers, [`client`] has one function per call, [`raw`] sends bytes that no
//! client library would, [`misbehaving`] makes models that panic, hang and return wrong numbers.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![expect(clippy::panic, reason = "so it may, and its models have to")]
#![expect(clippy::disallowed_methods, reason = "tests measure what a user would wait")]

mod cli_commands;
mod cli_load;
mod client;
mod followed;
mod gates;
mod harness;
mod judge;
mod metrics;
mod misbehaving;
mod problem;
mod raw;
mod receiver;

mod predict;

mod analysis;

mod scenarios;

mod repeated_demos;

mod shield;

mod by_plan;

mod returning_users;

mod rows_protocols;

mod notify;
mod outputs;
mod overload;
mod page;
mod page_acts;
mod page_panels;
mod page_rows;
mod past;
mod trained_classes;

mod segments;

mod inject;

mod breaker;

mod tracks;

mod feedback;

mod inputs;

mod open_inference;
mod openapi;

mod post_promotion;

mod replay;

mod config;

mod shadow;

mod imported;

mod explain;

mod versions;

mod trial;

mod learning;
mod load;
mod long_replays;

mod bad_predictions;

mod bad_commands;

mod bad_paths;

mod bad_transport;

mod access;

mod commands;

mod conflicts;

mod restart;

mod process;

mod postgres;

#[path = "../shared/postgres.rs"]
mod cluster;

#[path = "../crash/binary.rs"]
mod binary;
