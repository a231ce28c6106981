//! Query: what Prometheus is asked for the values of a metric, and how often.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::traffic::track::Track;
use crate::text::durations::exactly;
use crate::text::durations::words;
use crate::text::fields::FieldError;
use crate::text::ranges::DurationWithin;
use crate::text::ranges::HOUR;
use crate::text::ranges::SECOND;

/// The place of the track's label value in a query.
pub const PLACEHOLDER: &str = "$track";

/// How often Prometheus is asked if the query has no range.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(15);

/// The longest query in bytes: it is sent in the address.
const MAX_QUERY: usize = 4096;

/// The longest label value in bytes.
const MAX_LABEL: usize = 128;

/// A query in PromQL. Every field is in its range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// With `$track` in place of the track.
    pub query: String,
    /// Time between two observations; at least the range of the query, so that they share no data.
    #[serde(with = "DurationWithin::<SECOND, HOUR>")]
    #[schema(value_type = String, examples("90s"))]
    pub interval: Duration,
    /// What the tracks are called in the query.
    #[serde(default, skip_serializing_if = "TrackNames::is_default")]
    pub tracks: TrackNames,
}

/// What a query calls the tracks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrackNames {
    /// Stable.
    #[serde(alias = "baseline")]
    pub stable: String,
    /// The canary.
    pub canary: String,
}

impl Default for TrackNames {
    fn default() -> TrackNames {
        let name = |track: Track| track.name().to_owned();
        TrackNames { stable: name(Track::Stable), canary: name(Track::Canary) }
    }
}

impl TrackNames {
    fn is_default(&self) -> bool {
        *self == TrackNames::default()
    }

    fn of(&self, track: Track) -> &str {
        match track {
            Track::Stable => &self.stable,
            Track::Canary => &self.canary,
        }
    }
}

impl Query {
    /// A query, asked once in `interval`; left out, once in its longest range, or once in 15 s if it has none.
    ///
    /// # Errors
    /// Names the first field that does not fit: `query`, `interval`, `tracks.stable` or `tracks.canary`.
    pub fn new(
        query: &str,
        interval: Option<Duration>,
        tracks: TrackNames,
    ) -> Result<Query, FieldError> {
        let wrong = |field: &str, message: String| Err(FieldError::new(field, message));
        let query = query.trim();
        if query.len() > MAX_QUERY {
            let message =
                format!("{} bytes; use at most {MAX_QUERY}, or a recording rule", query.len());
            return wrong("query", message);
        }
        if !query.contains(PLACEHOLDER) {
            let message = format!(
                "{query:?} does not say which track it asks for; put {PLACEHOLDER} where the label value of the \
                 track belongs, for example rate(errors_total{{track=\"{PLACEHOLDER}\"}}[1m])"
            );
            return wrong("query", message);
        }
        for (field, name) in [("tracks.stable", &tracks.stable), ("tracks.canary", &tracks.canary)]
        {
            let is_plain = |c: char| !c.is_control() && !"\"'`\\".contains(c);
            if !(1..=MAX_LABEL).contains(&name.len()) || !name.chars().all(is_plain) {
                let message = format!(
                    "{name:?} is not a label value; use 1 to {MAX_LABEL} characters without quotes and backslashes"
                );
                return wrong(field, message);
            }
        }
        if tracks.stable == tracks.canary {
            let message = format!(
                "{:?} is what stable is called as well; use the label values that tell the tracks apart",
                tracks.canary
            );
            return wrong("tracks.canary", message);
        }
        let window = match window(query) {
            Ok(window) => window,
            Err(message) => return wrong("query", message),
        };
        let [shortest, longest] = [SECOND, HOUR].map(Duration::from_micros);
        if window > longest {
            let message = format!(
                "its range of {} is longer than {}; use a shorter one, so that a rollout gets values in time",
                words(window),
                exactly(longest)
            );
            return wrong("query", message);
        }
        let interval = match interval {
            Some(interval) if interval < window => {
                let message = format!(
                    "{:?} is shorter than the range of the query, so that two values would share data and count \
                     it twice; use {:?} or more, or a shorter range",
                    exactly(interval),
                    exactly(window)
                );
                return wrong("interval", message);
            }
            Some(interval) => interval,
            None if window.is_zero() => DEFAULT_INTERVAL,
            None => window.max(shortest),
        };
        Ok(Query { query: query.to_owned(), interval, tracks })
    }

    /// The query for a track.
    pub fn of(&self, track: Track) -> String {
        self.query.replace(PLACEHOLDER, self.tracks.of(track))
    }
}

/// How far back a query looks: its longest range, and the sum of all with a subquery, which nests them.
///
/// # Errors
/// When a range is not a duration.
pub fn window(query: &str) -> Result<Duration, String> {
    let (mut longest, mut sum, mut has_subquery) = (Duration::ZERO, Duration::ZERO, false);
    for range in ranges(query) {
        let (range, resolution) =
            range.split_once(':').map_or((range, None), |(a, b)| (a, Some(b)));
        has_subquery |= resolution.is_some();
        let range = range.trim();
        let Some(parsed) = prometheus_duration(range) else {
            return Err(format!(
                "the range [{range}] is not a duration; use a fixed one such as [1m], because nothing replaces \
                 variables but {PLACEHOLDER}"
            ));
        };
        longest = longest.max(parsed);
        sum = sum.saturating_add(parsed);
    }
    Ok(if has_subquery { sum } else { longest })
}

/// What is in brackets, without texts and comments.
fn ranges(query: &str) -> Vec<&str> {
    let (mut found, mut begin) = (Vec::new(), None);
    let mut characters = query.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' | '\'' | '`' => {
                while let Some((_, inner)) = characters.next() {
                    // Backticks know no escapes.
                    if inner == '\\' && character != '`' {
                        characters.next();
                    } else if inner == character {
                        break;
                    }
                }
            }
            '#' => while characters.next().is_some_and(|(_, inner)| inner != '\n') {},
            '[' => begin = Some(place + 1),
            ']' => found.extend(begin.take().and_then(|begin| query.get(begin..place))),
            _ => {}
        }
    }
    found
}

/// A duration as PromQL writes it: `1h30m`, or a number of seconds.
fn prometheus_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 7] = [
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
        ("d", 86_400.0),
        ("w", 604_800.0),
        ("y", 31_536_000.0),
    ];
    let seconds = match text.parse::<f64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let (mut rest, mut seconds) = (text, 0.0);
            while !rest.is_empty() {
                let unit_at = rest.find(|c: char| !c.is_ascii_digit())?;
                let (number, after) = rest.split_at(unit_at);
                let (unit, factor) = UNITS.into_iter().find(|(unit, _)| {
                    after.strip_prefix(unit).is_some_and(|next| {
                        next.is_empty() || next.starts_with(|c: char| c.is_ascii_digit())
                    })
                })?;
                seconds += number.parse::<f64>().ok()? * factor;
                rest = &after[unit.len()..];
            }
            seconds
        }
    };
    Duration::try_from_secs_f64(seconds).ok().filter(|it| !it.is_zero())
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
