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
    /// When the newest requests were counted.
    last: Option<Timestamp>,
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
        Rate { earlier: since, later: since, last: None }
    }

    /// Counts requests that came since the last count.
    pub(crate) fn count(&mut self, requests: u64, now: Timestamp) {
        if requests > 0 {
            self.last = Some(now);
        }
        for since in [&mut self.earlier, &mut self.later] {
            since.requests = since.requests.saturating_add(requests);
        }
        if self.later.seconds(now) >= WINDOW_SECONDS {
            self.earlier = self.later;
            self.later = Since { at: now, requests: 0 };
        }
    }

    /// When the newest requests were counted; `None` if there were none.
    pub(crate) fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// Requests per second in the window; 0 before any time has passed.
    pub(crate) fn per_second(&self, now: Timestamp) -> f64 {
        match self.earlier.seconds(now) {
            0.0 => 0.0,
            seconds => self.earlier.requests as f64 / seconds,
        }
    }
}

/// How many requests and users come while no rollout is running.
#[derive(Default)]
pub(crate) struct Arrivals {
    /// Of all requests, and of users: first requests of a key, and requests without one. `None` before the first count.
    rates: Option<[Rate; 2]>,
    /// The rates before the newest gap.
    before: Option<[f64; 2]>,
    /// How many of the recorder's requests are counted, and how many of them were of keys that came again.
    seen: [u64; 2],
    last: Timestamp,
}

/// After a longer time without a count, as during a rollout, the rate begins anew; over a shorter one it says little,
/// and the one before is given.
const MIN_SECONDS: f64 = 5.0;

impl Arrivals {
    /// Counts those that came since the last count.
    pub(crate) fn count(&mut self, live: &Live, observed: &Observed, now: Timestamp) {
        let all = [observed.requests(), live.visitors.visits().repeated];
        let [requests, repeated] =
            [0, 1].map(|part| match all[part].checked_sub(self.seen[part]) {
                Some(new) => new,
                // The recorder is a new one.
                None => all[part],
            });
        let is_late = now.duration_since(self.last).as_secs_f64() > MIN_SECONDS;
        if is_late {
            self.before = self.per_second(self.last).or(self.before);
        }
        match self.rates.as_mut().filter(|_| !is_late) {
            Some([of_requests, of_users]) => {
                of_requests.count(requests, now);
                of_users.count(requests.saturating_sub(repeated), now);
            }
            None => self.rates = Some([Rate::new(now), Rate::new(now)]),
        }
        (self.seen, self.last) = (all, now);
    }

    /// Requests a second; `None` before some seconds have passed.
    pub(crate) fn requests_per_second(&self, now: Timestamp) -> Option<f64> {
        self.per_second(now).map(|[requests, _]| requests)
    }

    /// Users a second, likewise.
    pub(crate) fn users_per_second(&self, now: Timestamp) -> Option<f64> {
        self.per_second(now).map(|[_, users]| users)
    }

    fn per_second(&self, now: Timestamp) -> Option<[f64; 2]> {
        let is_known = |rates: &&[Rate; 2]| rates[0].earlier.seconds(now) >= MIN_SECONDS;
        let rates = self.rates.as_ref().filter(is_known);
        let now = rates.map(|[requests, users]| [requests.per_second(now), users.per_second(now)]);
        now.or(self.before)
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
        assert_eq!((rate.per_second(at(660)), rate.last()), (0.0, Some(at(600))));
        assert_eq!(Rate::new(at(5)).per_second(at(1)), 0.0, "a clock that was set back");
    }
}
