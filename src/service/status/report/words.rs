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
