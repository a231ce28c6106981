//! The form of an error: that which the clients of a path read.

/// The form of an error body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Form {
    /// RFC 9457, serin's own.
    ProblemJson,
    /// `error`, of Open Inference Protocol v2 and KServe v1.
    Error,
    /// `error_code` and `message`, of MLflow.
    Mlflow,
    /// The detail alone, for Flagger, which prints the body as it is.
    Line,
}

impl Form {
    /// The form that clients of this path read.
    pub(in crate::http) fn of(path: &str) -> Form {
        let is_below = |root: &str| {
            path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if is_below("/v1") || is_below("/v2") {
            Form::Error
        } else if ["/invocations", "/ping", "/version", "/health"].contains(&path) {
            Form::Mlflow
        } else if is_below("/hooks/flagger") {
            Form::Line
        } else {
            Form::ProblemJson
        }
    }

    /// The media type, and the name of the schema; a line has none.
    pub(in crate::http) fn schema(self) -> (&'static str, Option<&'static str>) {
        match self {
            Form::ProblemJson => ("application/problem+json", Some("Problem")),
            Form::Error => ("application/json", Some("Error")),
            Form::Mlflow => ("application/json", Some("MlflowError")),
            Form::Line => ("text/plain", None),
        }
    }
}
