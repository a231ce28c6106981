//! Simulation of the judge: false-alarm rate and detection time on synthetic traffic.
//!
//! An hour is simulated request by request: serin's own split routes it, latencies, scores and
//! failures come from a seeded generator, and the judge evaluates every tick as in the server. Time is
//! simulated, so an hour takes about a tenth of a second. The same scenario and seed
//! give the same hour on any machine and any number of threads.
//!
//! Uses only `stats` and `canary`. Tests in `service` verify that the server feeds its judge in the same
//! way.
//!
//! Reading order: [`shape`] (distributions), [`scenario`] (the settings of an hour), [`judge`],
//! [`outcome`] (events and their times), [`hour`] (one hour), [`study`] (thousands of them).

pub mod shape;

pub mod scenario;

pub mod judge;

pub mod outcome;

pub mod hour;

pub mod study;

pub use hour::simulate;
pub use judge::Judge;
pub use judge::strict_policy;
pub use outcome::Moment;
pub use outcome::Outcome;
pub use scenario::Behavior;
pub use scenario::Load;
pub use scenario::Look;
pub use scenario::OwnNoise;
pub use scenario::Routing;
pub use scenario::Scenario;
pub use scenario::Until;
pub use scenario::Visits;
pub use shape::Shape;
