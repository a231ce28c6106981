//! The room `judge`.

pub mod evidence;
pub mod forecast;
pub mod health_check;
pub mod judgement;
pub(crate) mod monitor;
pub mod monitors;
pub mod sample_ratio;
pub mod segment_monitors;
pub mod segment_scan;
pub mod sentences;
pub mod sequential;
pub mod stalls;
pub mod tick_log;
pub mod verdict;
pub mod what_if;
