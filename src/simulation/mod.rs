//! How often is the judge wrong, and how soon is it right? Hours of made-up traffic tell.
//!
//! An hour is simulated request by request: serin's own split routes it, latencies, scores and
//! failures are drawn from a seeded generator, and the judge looks at every tick as it does in the
//! server. Nothing waits, so an hour takes about a tenth of a second. The same scenario and seed
//! give the same hour on any machine and any number of threads.
//!
//! Of the server only `stats` and `canary` take part. That the server feeds its judge the same way is
//! for the tests of `service` to show, not for these figures.
//!
//! Reading order: [`shape`] (which latencies and scores), [`scenario`] (what happens in an hour),
//! [`judge`] (who decides), [`outcome`] (what was reached, and when), [`hour`] (one hour), [`study`]
//! (thousands of them).

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
pub use scenario::Routing;
pub use scenario::Scenario;
pub use scenario::Until;
pub use scenario::Visits;
pub use shape::Shape;
