//! Why Prometheus has no value, and what to do.

use thiserror::Error;

/// Why a question has no value as its answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum QueryError {
    /// There is no series.
    #[error("the query returns no series; check its labels, and that the track gets requests")]
    NoSeries,
    /// There are several series.
    #[error("the query returns {0} series; aggregate them to one, for example with sum(..)")]
    SeveralSeries(usize),
    /// The value cannot be compared.
    #[error(
        "the query returns {0}, as a ratio without requests does; nothing is compared until it is a number"
    )]
    NotFinite(String),
    /// The result is of another type.
    #[error("the query returns a {0}, not one value; use an expression for one moment")]
    Kind(String),
    /// The value is a native histogram.
    #[error(
        "the query returns a histogram, not a number; use histogram_quantile(..) or histogram_avg(..)"
    )]
    Histogram,
    /// Prometheus refuses the query.
    #[error("Prometheus refuses the query: {0}")]
    Refused(String),
    /// The server answers with an error of HTTP.
    #[error("it answers {0}; check [prometheus] in the settings, and its token")]
    Status(String),
    /// There is no answer.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// The answer is too large.
    #[error(
        "the answer is larger than {0} MiB; aggregate the series to one, for example with sum(..)"
    )]
    TooLarge(u64),
    /// The answer is not one of Prometheus.
    #[error("the answer is not one of Prometheus ({0}); check the url under [prometheus]")]
    NotPrometheus(String),
}

impl QueryError {
    /// Whether further questions would fail alike now.
    pub(super) fn is_of_server(&self) -> bool {
        matches!(self, QueryError::Unreachable(_) | QueryError::Status(_))
    }
}
