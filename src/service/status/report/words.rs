//! Times, durations and numbers as people write them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A time zone and the present, in which times are written.
#[derive(Clone, Debug)]
pub struct Times {
    /// The zone.
    pub zone: TimeZone,
    /// The present: times of the same day are written without a date.
    pub now: Timestamp,
}

impl Times {
    /// In UTC, as in the API.
    pub fn utc(now: Timestamp) -> Times {
        Times { zone: TimeZone::UTC, now }
    }

    /// `14:07:12`, or `2026-11-25 14:07:12` on another day; UTC is marked.
    pub fn time(&self, at: Timestamp) -> String {
        let (at, now) = (at.to_zoned(self.zone.clone()), self.now.to_zoned(self.zone.clone()));
        let format = if at.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
        let mark = if self.zone == TimeZone::UTC { " UTC" } else { "" };
        format!("{}{mark}", at.strftime(format))
    }

    /// `14:07`, or `25 Nov 14:07` on another day: for the axis of a picture.
    pub fn short(&self, at: Timestamp) -> String {
        let (at, now) = (at.to_zoned(self.zone.clone()), self.now.to_zoned(self.zone.clone()));
        let format = if at.date() == now.date() { "%H:%M" } else { "%-d %b %H:%M" };
        at.strftime(format).to_string()
    }
}

/// `48 s`, `6 min`, `2 h 10 min` or `3 days`.
pub fn duration(seconds: f64) -> String {
    if seconds < 90.0 {
        return format!("{} s", seconds.max(0.0).ceil());
    }
    let minutes = (seconds / 60.0).round() as u64;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours @ 48.., _) => format!("{} days", (hours + 12) / 24),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// A longer text is shown as its first clause, and the rest only to those who ask for it.
const LONG: usize = 140;

/// A text in two parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// What to read first: the whole text, or its first clause.
    pub first: String,
    /// What follows; `None` if `first` is all.
    pub rest: Option<String>,
}

impl Brief {
    /// This text, divided after its first clause if it is long.
    pub fn of(text: &str) -> Brief {
        let whole = || Brief { first: text.to_owned(), rest: None };
        if text.chars().count() <= LONG {
            return whole();
        }
        let Some((first, rest)) = text.split_once("; ") else { return whole() };
        let end = if text.ends_with('.') { "." } else { "" };
        Brief { first: format!("{first}{end}"), rest: Some(capitalized(rest)) }
    }
}

/// The text with a capital at its start, unless it starts with a name such as `log_loss`.
pub(super) fn capitalized(text: &str) -> String {
    let first = text.split([' ', ':', ';', ',']).next().unwrap_or_default();
    if !first.chars().all(char::is_alphabetic) {
        return text.to_owned();
    }
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_divided_after_its_first_clause() {
        let short = "rollout 1 is rolled back (seen enough); judgement: no harm";
        assert_eq!(Brief::of(short), Brief { first: short.to_owned(), rest: None });
        let numbers = "latency: no harmful difference: canary 6.95 ms, stable 5.12 ms, difference 1.83 ms (interval \
                       -2.10 ms to 5.76 ms, tolerated 10 ms); failures: none";
        let long = format!("rollout 2 is promoted: no harm found in latency; {numbers}");
        let brief = Brief::of(&long);
        assert_eq!(brief.first, "rollout 2 is promoted: no harm found in latency");
        assert_eq!(brief.rest.unwrap(), numbers.replacen("latency", "Latency", 1));
        assert_eq!(Brief::of(&format!("{long}.")).first, format!("{}.", brief.first));
        let one_clause = "x".repeat(200);
        assert_eq!(Brief::of(&one_clause).rest, None);
    }
}
