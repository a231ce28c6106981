//! Bets against a null hypothesis, and the wealth they win.
//!
//! - `averages`: means of e-values, in logarithms
//! - `fixed_share`: how stakes redistribute wealth, so that late harm is found
//! - `wealth`: one unit of money on eight stakes
//! - `betting`: bounded values of two tracks
//! - `paired`: differences of two answers to one request
//! - `events`: rare events, such as failures

pub(crate) mod averages;
pub(crate) mod betting;
pub(crate) mod events;
pub(crate) mod fixed_share;
pub(crate) mod paired;
pub(crate) mod wealth;
