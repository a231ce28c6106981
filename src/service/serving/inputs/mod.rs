//! Inputs of the requests: how often each feature has which values, in a sample of them.
//!
//! - [`plan`]: which features are counted, in which bins.
//! - [`judged`]: the bins of the sequential judge, where a policy asks for it.
//! - [`sample`]: the counts, by track.

pub(crate) mod judged;
pub(crate) mod plan;
pub(crate) mod sample;

pub(crate) use plan::InputColumn;
pub(crate) use plan::InputPlan;
pub(crate) use sample::InputSampler;
pub(crate) use sample::Sampled;
pub(crate) use sample::Tally;
