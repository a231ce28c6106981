//! Observations of each track, in constant memory.
//!
//! - [`samples`]: requests, failures, latencies and scores since the step began.
//! - [`pairs`]: answers of both versions in shadow. [`labels`]: outcomes that clients report later.
//! - [`outputs`]: outputs that are not one probability.
//! - [`visits`]: every request of a key, in cells of keys. [`groups`]: latencies by what was known before the coin.
//! - [`inputs`]: the values of the features of both tracks.
//! - [`increment`]: what a tick of the judge takes in, and [`increment_codec`]: its bytes in the tick log, with
//!   `gaps`: the format of values, and `merging`: one tick of several replicas.

pub(crate) mod gaps;
pub mod groups;
pub mod increment;
pub mod increment_codec;
pub mod inputs;
pub mod labels;
mod merging;
pub mod outputs;
pub mod pairs;
pub mod samples;
pub mod visits;
