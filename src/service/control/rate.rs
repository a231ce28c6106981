//! Request rate over the last 30 to 60 seconds, so that a forecast follows the traffic without jumping.

use jiff::Timestamp;

use crate::service::serving::live::Live;
use crate::service::serving::recorder::Observed;

/// The shortest window; the longest is twice as long.
const WINDOW_SECONDS: f64 = 30.0;

/// Requests counted since two moments.
pub(crate) struct Rate {
    earlier: Since,
    later: Since,
}

#[derive(Clone, Copy)]
struct Since {
    at: Timestamp,
    requests: u64,
}

impl Rate {
    /// No requests yet.
    pub(crate) fn new(now: Timestamp) -> Rate {
        let since = Since { at: now, requests: 0 };
        Rate { earlier: since, later: since }
    }

    /// Counts requests that came since the last count.
    pub(crate) fn count(&mut self, requests: u64, now: Timestamp) {
        for since in [&mut self.earlier, &mut self.later] {
            since.requests = since.requests.saturating_add(requests);
        }
        if self.later.seconds(now) >= WINDOW_SECONDS {
            self.earlier = self.later;
            self.later = Since { at: now, requests: 0 };
        }
    }

    /// Requests per second in the window; 0 before any time has passed.
    pub(crate) fn per_second(&self, now: Timestamp) -> f64 {
        match self.earlier.seconds(now) {
            0.0 => 0.0,
            seconds => self.earlier.requests as f64 / seconds,
        }
    }
}

/// How many users come while no rollout is running: first requests of a key, and requests without one.
#[derive(Default)]
pub(crate) struct Arrivals {
    /// `None` before the first count.
    rate: Option<Rate>,
    /// How many of the recorder's requests are counted.
    seen: u64,
    last: Timestamp,
}

/// After a longer time without a count, as during a rollout, the rate begins anew; over a shorter one it says little.
const MIN_SECONDS: f64 = 5.0;

impl Arrivals {
    /// Counts those that came since the last count.
    pub(crate) fn count(&mut self, live: &Live, observed: &Observed, now: Timestamp) {
        let came = observed.requests().saturating_sub(live.recorder.visits().repeated);
        let is_late = now.duration_since(self.last).as_secs_f64() > MIN_SECONDS;
        match self.rate.as_mut().filter(|_| !is_late) {
            Some(rate) => rate.count(came.saturating_sub(self.seen), now),
            None => self.rate = Some(Rate::new(now)),
        }
        (self.seen, self.last) = (came, now);
    }

    /// Users a second; `None` before some seconds have passed.
    pub(crate) fn per_second(&self, now: Timestamp) -> Option<f64> {
        let rate = self.rate.as_ref().filter(|rate| rate.earlier.seconds(now) >= MIN_SECONDS)?;
        Some(rate.per_second(now))
    }
}

impl Since {
    fn seconds(&self, now: Timestamp) -> f64 {
        now.duration_since(self.at).as_secs_f64().max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_minute() {
        let at = |second: i64| Timestamp::from_second(1_700_000_000 + second).unwrap();
        let mut rate = Rate::new(at(0));
        (1..=10).for_each(|second| rate.count(100, at(second)));
        assert_eq!(rate.per_second(at(10)), 100.0);
        (11..=600).for_each(|second| rate.count(7, at(second)));
        assert_eq!(rate.per_second(at(600)), 7.0);
        (601..=660).for_each(|second| rate.count(0, at(second)));
        assert_eq!(rate.per_second(at(660)), 0.0);
        assert_eq!(Rate::new(at(5)).per_second(at(1)), 0.0, "a clock that was set back");
    }
}
