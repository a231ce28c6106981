//! Several replicas on one store: one leads and judges, the others serve, follow the journal and hand over what they have
//! observed.
//!
//! - `following`: what other replicas have appended to the journal takes effect here.
//! - `exchange`: once a second, observations for the leader, and what the leader has judged for the others.
//! - `copying`: from one machine to several, and back.
//! - `report`: what a replica says of itself.

pub mod copying;
pub(crate) mod exchange;
pub(crate) mod following;
mod report;
