//! What a request carries for logs and traces, and where it goes.
//!
//! - [`context`]: the trace that a request belongs to (`traceparent`), and its id (`x-request-id`).
//! - [`trace_state`]: what other systems say of the trace (`tracestate`).
//! - `evaluation`: which variant answered and why, in the words of the conventions for feature flags.
//! - `followed`: follows the requests that carry one of them, or all if the log is detailed or traces are exported.
//! - [`Tracer`]: exports spans by OTLP (cargo feature `otlp`).
//!
//! A request that nobody follows costs two lookups among its headers, and no allocation.

pub mod context;
pub(crate) mod evaluation;
pub(crate) mod followed;
mod outcome;
pub mod trace_state;

#[cfg(feature = "otlp")]
mod otlp;
#[cfg(not(feature = "otlp"))]
mod without_otlp;

#[cfg(feature = "otlp")]
pub(crate) use otlp::Exported;
#[cfg(feature = "otlp")]
pub use otlp::Tracer;
#[cfg(not(feature = "otlp"))]
pub(crate) use without_otlp::Exported;
#[cfg(not(feature = "otlp"))]
pub use without_otlp::Tracer;
