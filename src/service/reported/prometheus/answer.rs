//! Answers of Prometheus' HTTP API.
//!
//! ```text
//! {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {..}, "value": [1795.781, "0.25"]}]}}
//! {"status": "success", "data": {"resultType": "scalar", "result": [1795.781, "0.25"]}}
//! {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {..}, "values": [[1795, "1"], ..]}]}}
//! {"status": "error", "errorType": "bad_data", "error": "1:5: parse error: .."}
//! ```

use serde::Deserialize;
use serde_json::Value;

use super::error::QueryError;
use crate::text::lists::one_line;

#[derive(Deserialize)]
struct Envelope {
    status: String,
    data: Option<Data>,
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Value,
}

#[derive(Deserialize)]
struct Series {
    value: Option<(f64, String)>,
    values: Option<Vec<(f64, String)>>,
}

/// A moment in seconds since 1970, and a value.
pub(super) type Point = (f64, f64);

/// The longest part of a message of the server that is shown.
const MAX_SAID: usize = 200;

/// The one value of an instant query.
///
/// # Errors
/// When there is none, or more than one, or it is not a finite number.
pub(super) fn instant(body: &[u8]) -> Result<f64, QueryError> {
    let Data { kind, result } = data(body)?;
    let (_, text) = match kind.as_str() {
        "scalar" => serde_json::from_value::<(f64, String)>(result).map_err(not_an_answer)?,
        "vector" => {
            let one = only(serde_json::from_value(result).map_err(not_an_answer)?)?;
            one.value.ok_or(QueryError::Histogram)?
        }
        _ => return Err(QueryError::Kind(said(&kind))),
    };
    let value =
        number(&text).ok_or_else(|| QueryError::NotPrometheus(format!("value {}", said(&text))))?;
    if value.is_finite() { Ok(value) } else { Err(QueryError::NotFinite(said(&text))) }
}

/// The values of a range query in order of time, those that are not finite included.
///
/// # Errors
/// When there are none, or of more than one series.
pub(super) fn range(body: &[u8]) -> Result<Vec<Point>, QueryError> {
    let Data { kind, result } = data(body)?;
    if kind != "matrix" {
        return Err(QueryError::Kind(said(&kind)));
    }
    let one = only(serde_json::from_value(result).map_err(not_an_answer)?)?;
    let values = one.values.ok_or(QueryError::Histogram)?.into_iter();
    values
        .map(|(at, text)| Some((at, number(&text)?)))
        .collect::<Option<_>>()
        .ok_or_else(|| QueryError::NotPrometheus("a value that is not a number".to_owned()))
}

fn data(body: &[u8]) -> Result<Data, QueryError> {
    let Envelope { status, data, error_type, error } =
        serde_json::from_slice(body).map_err(not_an_answer)?;
    match (status.as_str(), data) {
        ("success", Some(data)) => Ok(data),
        ("error", _) => {
            let [kind, error] = [error_type, error].map(|text| said(&text.unwrap_or_default()));
            Err(QueryError::Refused(format!("{kind}: {error}")))
        }
        _ => Err(QueryError::NotPrometheus(format!("status {}", said(&status)))),
    }
}

fn only(mut series: Vec<Series>) -> Result<Series, QueryError> {
    match (series.len(), series.pop()) {
        (1, Some(one)) => Ok(one),
        (_, None) => Err(QueryError::NoSeries),
        (count, Some(_)) => Err(QueryError::SeveralSeries(count)),
    }
}

/// A value as Prometheus writes it: `NaN`, `+Inf` and `-Inf` included.
fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

fn not_an_answer(cause: serde_json::Error) -> QueryError {
    QueryError::NotPrometheus(said(&cause.to_string()))
}

/// A text of the server that fits on a line.
pub(super) fn said(text: &str) -> String {
    let mut shown = one_line(&text.chars().take(MAX_SAID).collect::<String>());
    if text.chars().nth(MAX_SAID).is_some() {
        shown.push('…');
    }
    shown
}
