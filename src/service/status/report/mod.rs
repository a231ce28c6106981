//! A status in words, for people: one value that the terminal and a web page render.
//!
//! - [`view`]: the report: headline, reason, next step, what is missing, notes.
//! - [`rows`]: one row per metric: role, difference, interval, margin, state.
//! - [`axis`]: the axis on which the rows are drawn; [`facts`]: figures about the traffic.
//! - [`checklist`]: what the next step and the promotion wait for, each with how far it is.
//! - [`distributions`]: curves of latency and scores.
//! - `effect`: the answer of a command.
//! - `past`: the report of a rollout that has ended.
//! - `condition`: which headline applies; `next`: what happens next, and what it waits for.
//! - [`vocabulary`]: the words for conditions and metric states.
//! - [`start`]: what to do where nothing happens; `silence`: that no request comes.
//! - [`words`]: times, durations and numbers as the report writes them.

pub mod axis;
pub mod checklist;
pub mod distributions;
pub mod facts;
pub mod rows;
pub mod start;
pub mod view;
pub mod vocabulary;
pub mod words;

mod condition;
mod effect;
mod next;
mod past;
mod silence;

#[cfg(test)]
mod agreement_tests;
#[cfg(test)]
mod checklist_tests;
#[cfg(test)]
pub(crate) mod tests;

pub use condition::Condition;
pub use effect::Effect;
pub(crate) use next::PROMOTE_ONCE_PASSING;
pub use view::Report;
pub use view::Reported;
pub use vocabulary::Tone;
