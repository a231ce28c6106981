//! Faults injected into a canary on purpose, to see how serin finds them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::MAX_DELAY_MS;
use crate::canary::traffic::weight::Weight;
use crate::text::fields::FieldError;
use crate::text::lists::list;

/// The segments of one request: names with their values.
pub type Segments<'a> = &'a [(Cow<'a, str>, Cow<'a, str>)];

/// A fault injected into a canary. Every value is within its range.
///
/// ```
/// use serin::canary::policy::fault::{InjectionFields, Injection};
/// let fields = InjectionFields { error_rate: Some(0.2), ..InjectionFields::default() };
/// assert_eq!(Injection::try_from(fields)?.error_rate().percent(), 20.0);
/// # Ok::<(), serin::text::fields::FieldError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "InjectionFields", into = "InjectionFields")]
pub struct Injection {
    #[schema(value_type = Option<u32>)]
    delay_ms: u32,
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1)]
    error_rate: Weight,
    #[schema(value_type = Option<f64>, minimum = -1, maximum = 1)]
    score_shift: f64,
    #[schema(required = false)]
    segment: BTreeMap<String, String>,
}

/// The fields of an injection; absent fields inject nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InjectionFields {
    /// Delay of the canary's predictions, in milliseconds.
    pub delay_ms: Option<u32>,
    /// Share of the canary's requests that fail, 0 to 1, with at most four decimals.
    pub error_rate: Option<f64>,
    /// Added to the canary's probabilities, -1 to 1; the sum stays within 0 and 1.
    pub score_shift: Option<f64>,
    /// Only requests in all of these segments are affected; without segments, all requests are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub segment: BTreeMap<String, String>,
}

impl Injection {
    /// Whether nothing is injected.
    pub fn is_none(&self) -> bool {
        self.delay_ms == 0 && self.error_rate == Weight::ZERO && self.score_shift == 0.0
    }

    /// Delay of the canary's predictions, in milliseconds.
    pub fn delay_ms(&self) -> u32 {
        self.delay_ms
    }

    /// Share of the canary's requests that fail.
    pub fn error_rate(&self) -> Weight {
        self.error_rate
    }

    /// Added to the canary's probabilities.
    pub fn score_shift(&self) -> f64 {
        self.score_shift
    }

    /// The affected segments; empty for all requests.
    pub fn segment(&self) -> &BTreeMap<String, String> {
        &self.segment
    }

    /// Whether a request with these segments is affected.
    pub fn is_meant(&self, segments: Segments<'_>) -> bool {
        let is_in =
            |name: &str, value: &str| segments.iter().any(|it| it.0 == name && it.1 == value);
        self.segment.iter().all(|(name, value)| is_in(name, value))
    }

    /// The fault in words; empty if there is none.
    pub fn in_words(&self) -> String {
        let mut harms = Vec::new();
        if self.delay_ms > 0 {
            harms.push(format!("{} ms of delay", self.delay_ms));
        }
        if self.error_rate > Weight::ZERO {
            harms.push(format!("errors in {} of its requests", self.error_rate));
        }
        if self.score_shift != 0.0 {
            harms.push(format!("scores shifted by {}", self.score_shift));
        }
        let segments: Vec<String> =
            self.segment.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let only = if segments.is_empty() { "" } else { ", only for " };
        format!("{}{only}{}", harms.join(", "), segments.join(" and "))
    }
}

/// The faults of a canary as the end of a sentence: `, with an injected delay of 100 ms`; empty without any.
pub fn with_faults(delay_ms: Option<u32>, injection: Option<&Injection>) -> String {
    let delay = delay_ms.map(|delay_ms| format!("an injected delay of {delay_ms} ms"));
    let injection = injection.filter(|it| !it.is_none());
    let fault = injection.map(|it| format!("an injected fault ({})", it.in_words()));
    let faults: Vec<String> = delay.into_iter().chain(fault).collect();
    if faults.is_empty() { String::new() } else { format!(", with {}", list(&faults)) }
}

impl TryFrom<InjectionFields> for Injection {
    type Error = FieldError;

    fn try_from(given: InjectionFields) -> Result<Injection, FieldError> {
        let out = |field: &str, value: String, allowed: &str| {
            Err(FieldError::out_of_range(field, value, allowed))
        };
        let InjectionFields { delay_ms, error_rate, score_shift, segment } = given;
        let (delay_ms, rate) = (delay_ms.unwrap_or(0), error_rate.unwrap_or(0.0));
        let score_shift = score_shift.unwrap_or(0.0);
        if delay_ms > MAX_DELAY_MS {
            return out("delay_ms", delay_ms.to_string(), &format!("0 to {MAX_DELAY_MS}"));
        }
        // 100 times a share like 0.07 is not quite a whole percent; finer shares are still refused.
        let percent = (rate * 1e8).round() / 1e6;
        let Ok(error_rate) = Weight::from_percent(percent) else {
            return out("error_rate", rate.to_string(), "0 to 1, with at most four decimals");
        };
        if !(-1.0..=1.0).contains(&score_shift) {
            return out("score_shift", score_shift.to_string(), "-1 to 1");
        }
        let injection = Injection { delay_ms, error_rate, score_shift, segment };
        if injection.is_none() && !injection.segment.is_empty() {
            let segment = format!("{:?}", injection.segment);
            return out("segment", segment, "delay_ms, error_rate or score_shift with it");
        }
        Ok(injection)
    }
}

impl From<Injection> for InjectionFields {
    fn from(injection: Injection) -> InjectionFields {
        InjectionFields {
            delay_ms: Some(injection.delay_ms),
            error_rate: Some(injection.error_rate.share()),
            score_shift: Some(injection.score_shift),
            segment: injection.segment,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> Result<Injection, String> {
        let given: InjectionFields = serde_json::from_str(text).map_err(|e| e.to_string())?;
        Injection::try_from(given).map_err(|e| e.to_string())
    }

    #[test]
    fn absent_fields_inject_nothing() {
        assert!(given("{}").unwrap().is_none());
        assert!(given(r#"{"delay_ms": 0, "error_rate": 0.0}"#).unwrap().is_none());
        let all = given(r#"{"delay_ms": 5, "error_rate": 0.07, "score_shift": -0.1}"#).unwrap();
        assert_eq!((all.delay_ms(), all.error_rate().basis_points()), (5, 700));
        assert_eq!(
            all.in_words(),
            "5 ms of delay, errors in 7 % of its requests, scores shifted by -0.1"
        );
    }

    #[test]
    fn errors_name_the_field() {
        for (text, named) in [
            (r#"{"delay_ms": 60001}"#, "delay_ms: 60001 is out of range; use 0 to 60000"),
            (r#"{"error_rate": 1.1}"#, "error_rate: 1.1 is out of range; use 0 to 1"),
            (r#"{"error_rate": -0.1}"#, "error_rate: -0.1"),
            (r#"{"error_rate": 0.00001}"#, "four decimals"),
            (r#"{"score_shift": 1.5}"#, "score_shift: 1.5 is out of range; use -1 to 1"),
            (r#"{"segment": {"region": "north"}}"#, "delay_ms, error_rate or score_shift"),
            (r#"{"eror_rate": 0.1}"#, "eror_rate"),
        ] {
            let error = given(text).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn every_rate_is_read_back_as_written() {
        for basis_points in 0..=Weight::WHOLE {
            let rate = f64::from(basis_points) / f64::from(Weight::WHOLE);
            let asked = InjectionFields { error_rate: Some(rate), ..InjectionFields::default() };
            let injection = Injection::try_from(asked).unwrap();
            assert_eq!(injection.error_rate().basis_points(), basis_points);
            let text = serde_json::to_string(&injection).unwrap();
            assert_eq!(serde_json::from_str::<Injection>(&text).unwrap(), injection);
        }
    }

    #[test]
    fn a_fault_of_segments_affects_only_requests_in_all_of_them() {
        let text = r#"{"delay_ms": 1, "segment": {"region": "north", "device": "phone"}}"#;
        let injection = given(text).unwrap();
        let (north, phone) = (("region".into(), "north".into()), ("device".into(), "phone".into()));
        assert!(injection.is_meant(&[north.clone(), phone]));
        assert!(!injection.is_meant(&[north]));
        assert!(!injection.is_meant(&[]));
        assert!(given(r#"{"delay_ms": 1}"#).unwrap().is_meant(&[]));
        assert_eq!(injection.in_words(), "1 ms of delay, only for device phone and region north");
    }
}
