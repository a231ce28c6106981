//! Circuit breaker of the canary: opens after consecutive failures, and trips for good when a trigger fires.
//!
//! ```text
//!            failures in a row
//!   closed ────────────────────▶ open ──┐ a probe fails; at most one per interval
//!     ▲                           │  ▲──┘
//!     └──── the canary answers ───┘
//!
//!   closed or open ── a trigger of the plan ──▶ tripped, until the rollout ends
//! ```
//!
//! # Trip conditions
//!
//! - *Open*, in both modes: `failures` of the policy in a row. Stable then answers at once. These requests count
//!   as failures of the canary for the judge, or a canary that gets no requests would look healthy.
//! - *Tripped*, only in a rollout by plan: consecutive failures, failures among the last 64 requests, or 8 of
//!   the last 64 answers above the ceiling of the p99 latency ([`Triggers`]). The canary gets no further
//!   request, and the controller wakes up to roll it back. Requests that an open breaker kept from the canary
//!   count as failures only while stable has none among its last 64: otherwise five failures in a row, by chance,
//!   would grow to ten.
//! - *Neither*, while stable has at least half as many failures (or slow answers), among its own last 64 or at the times
//!   of the canary's: the cause is then outside the canary, and a comparison is the judge's task. Failures do not trip it either while they
//!   are likely at stable's rate.
//!
//! # Recovery conditions
//!
//! - *Open*: one request per `probe_every` is sent to the canary; the first answer closes the breaker.
//! - *Tripped*: none. The rollout is rolled back.
//!
//! While both versions answer below the ceiling nothing is written here, so that workers do not contend for cache
//! lines. All accesses are relaxed: if a request is sent a moment too early or too late and the canary
//! fails, stable answers.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::Rollout;
use crate::canary::observed::samples::Failure;
use crate::canary::policy::Mode;
use crate::canary::policy::breaker::BreakerPolicy;
use crate::canary::policy::plan::MAX_ABOVE_CEILING;
use crate::canary::policy::plan::Triggers;
use crate::canary::policy::plan::WINDOW;
use crate::canary::rollout::cause::TripReason;
use crate::service::wakeup::Wakeup;

/// The circuit breaker of a rollout, shared by its steps.
pub struct CircuitBreaker {
    policy: BreakerPolicy,
    /// `None` in a rollout by hand.
    triggers: Option<Triggers>,
    /// Failures since the last answer. Written by each failure, and by the first answer after it.
    failures: AtomicU32,
    /// When the next probe may be sent, in nanoseconds of the steady clock; [`CLOSED`] while all requests may.
    probe_at: AtomicU64,
    /// How often it has opened.
    opened: AtomicU64,
    canary: Window,
    stable: Window,
    /// Stable's newest outcome at each of the canary's last 64 requests: the same time as the canary's window, while
    /// stable's own is over sooner or later.
    concurrent: Window,
    /// Set once.
    tripped: OnceLock<TripReason>,
    /// Wakes the controller.
    wakeup: Arc<Wakeup>,
}

/// The last 64 requests of a version, the newest in the lowest bits. A bit is written by each failure (slow
/// answer), and by the next 64 answers.
#[derive(Default)]
struct Window {
    /// 1 is a failure.
    failed: AtomicU64,
    /// 1 is an answer above the ceiling of the p99 latency. Stays 0 without a ceiling.
    slow: AtomicU64,
}

/// Larger than any time of the steady clock, which reaches it after 584 years.
const CLOSED: u64 = u64::MAX;

/// The state of a breaker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BreakerStatus {
    /// Which requests the canary gets.
    pub state: BreakerState,
    /// Failures of the canary since it last answered.
    pub consecutive_failures: u32,
    /// How often it has opened in this rollout, since the last restart.
    pub opened: u64,
    /// Why it has tripped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trip_reason: Option<TripReason>,
}

/// Which requests the canary gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Its share.
    Closed,
    /// Probes only.
    Open,
    /// None.
    Tripped,
}

impl CircuitBreaker {
    /// The breaker of a rollout; `None` if nothing can open or trip it.
    pub fn of(rollout: &Rollout, wakeup: &Arc<Wakeup>) -> Option<Arc<CircuitBreaker>> {
        let policy = rollout.policy.breaker;
        let triggers = match rollout.mode() {
            Mode::Manual => None,
            Mode::Automatic => Some(rollout.policy.plan.triggers),
        };
        let is_off = policy.failures == 0 && triggers.is_none();
        (!is_off).then(|| Arc::new(CircuitBreaker::new(policy, triggers, wakeup.clone())))
    }

    /// A closed breaker.
    pub fn new(
        policy: BreakerPolicy,
        triggers: Option<Triggers>,
        wakeup: Arc<Wakeup>,
    ) -> CircuitBreaker {
        CircuitBreaker {
            policy,
            triggers,
            failures: AtomicU32::new(0),
            probe_at: AtomicU64::new(CLOSED),
            opened: AtomicU64::new(0),
            canary: Window::default(),
            stable: Window::default(),
            concurrent: Window::default(),
            tripped: OnceLock::new(),
            wakeup,
        }
    }

    /// Whether a request may be sent to the canary at this time of the steady clock. The clock is read only
    /// while the breaker is open.
    pub fn admits(&self, now: impl FnOnce() -> Duration) -> bool {
        let probe_at = self.probe_at.load(Ordering::Relaxed);
        if probe_at == CLOSED {
            return true;
        }
        let now = now();
        // Only one of several concurrent requests probes.
        let next = self.next_probe(now);
        let relaxed = Ordering::Relaxed;
        nanoseconds(now) >= probe_at
            && self.probe_at.compare_exchange(probe_at, next, relaxed, relaxed).is_ok()
    }

    /// Why it has tripped; `None` if it has not.
    pub fn trip_reason(&self) -> Option<TripReason> {
        self.tripped.get().copied()
    }

    /// Counts an answer of the canary, with its latency per row.
    pub fn answered(&self, latency_seconds: f64) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        if self.probe_at.load(Ordering::Relaxed) != CLOSED {
            self.probe_at.store(CLOSED, Ordering::Relaxed);
        }
        self.answered_in_shadow();
        let Some((slow, ceiling)) = self.count_slow(&self.canary, latency_seconds) else { return };
        let concurrent = push(&self.concurrent.slow, is_newest_bad(&self.stable.slow));
        if slow >= MAX_ABOVE_CEILING && !is_shared(slow, most_bad(&self.stable.slow, concurrent)) {
            self.trip(TripReason::SlowAnswers { slow, ceiling });
        }
    }

    /// Counts an answer in shadow; its latency does not count, because no user waited.
    pub fn answered_in_shadow(&self) {
        self.push_canary(false);
    }

    /// Counts an answer of stable, with its latency per row.
    pub fn stable_answered(&self, latency_seconds: f64) {
        push(&self.stable.failed, false);
        self.count_slow(&self.stable, latency_seconds);
    }

    /// Counts a failure of stable.
    pub fn stable_failed(&self) {
        push(&self.stable.failed, true);
    }

    /// Counts a failure at this time of the steady clock. A request that was not sent because the breaker is
    /// open counts for the triggers alone, and only while stable answers everything.
    pub fn failed(&self, failure: Failure, now: impl FnOnce() -> Duration) {
        let is_sent = failure != Failure::BreakerOpen;
        let stable_answers = |window: &Window| window.failed.load(Ordering::Relaxed) == 0;
        if is_sent || (stable_answers(&self.stable) && stable_answers(&self.concurrent)) {
            self.failed_in_shadow();
        }
        if is_sent && self.policy.failures > 0 {
            self.count_consecutive(now);
        }
    }

    /// Counts a failure in shadow: for the triggers alone, because no user waited.
    pub fn failed_in_shadow(&self) {
        let (recent, of_stable) = self.push_canary(true);
        let Some(triggers) = self.armed() else { return };
        let (failed, in_a_row) = (recent.count_ones(), recent.trailing_ones());
        let fires = |limit: u32, failures: u32, of: u32| {
            limit > 0 && failures >= limit && !is_likely(failures, of, of_stable)
        };
        let is_reached = fires(triggers.consecutive_failures, in_a_row, in_a_row)
            || fires(triggers.failures_in_window, failed, WINDOW);
        if is_reached && !is_shared(failed, of_stable) {
            self.trip(TripReason::Failures { failed, in_a_row });
        }
    }

    /// How often it has opened.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Its state.
    pub fn status(&self) -> BreakerStatus {
        let trip_reason = self.trip_reason();
        let is_closed = self.probe_at.load(Ordering::Relaxed) == CLOSED;
        BreakerStatus {
            state: match (trip_reason, is_closed) {
                (Some(_), _) => BreakerState::Tripped,
                (None, true) => BreakerState::Closed,
                (None, false) => BreakerState::Open,
            },
            consecutive_failures: self.failures.load(Ordering::Relaxed),
            opened: self.opened(),
            trip_reason,
        }
    }

    /// Adds an outcome of the canary, and stable's newest outcome at that time. Returns the canary's window, and how many
    /// of stable's requests failed: in its own window, or at the times of the canary's requests.
    fn push_canary(&self, is_bad: bool) -> (u64, u32) {
        let concurrent = push(&self.concurrent.failed, is_newest_bad(&self.stable.failed));
        let recent = push(&self.canary.failed, is_bad);
        (recent, most_bad(&self.stable.failed, concurrent))
    }

    /// The triggers, unless one has fired.
    fn armed(&self) -> Option<&Triggers> {
        self.triggers.as_ref().filter(|_| self.tripped.get().is_none())
    }

    /// Counts an answer among the slow ones or the others, if there is a ceiling. Returns how many of the last 64
    /// were slow, and the ceiling.
    fn count_slow(&self, window: &Window, latency_seconds: f64) -> Option<(u32, Duration)> {
        let ceiling = self.armed()?.p99_ceiling?;
        let slow = push(&window.slow, latency_seconds > ceiling.as_secs_f64());
        Some((slow.count_ones(), ceiling))
    }

    fn trip(&self, reason: TripReason) {
        // The first of several concurrent reasons counts.
        if self.tripped.set(reason).is_ok() {
            self.wakeup.wake();
        }
    }

    fn count_consecutive(&self, now: impl FnOnce() -> Duration) {
        let relaxed = Ordering::Relaxed;
        let one_more = |failures: u32| failures.checked_add(1);
        // It saturates at four billion.
        let before = self.failures.fetch_update(relaxed, relaxed, one_more);
        let failures = before.map_or(u32::MAX, |before| before.saturating_add(1));
        let failed = self.canary.failed.load(relaxed).count_ones();
        let of_stable = self.stable.failed.load(relaxed).count_ones();
        if failures < self.policy.failures || is_shared(failed, of_stable) {
            return;
        }
        let next = self.next_probe(now());
        // If the breaker is open already, this was a probe, or a request under way when it opened.
        if self.probe_at.compare_exchange(CLOSED, next, relaxed, relaxed).is_ok() {
            self.opened.fetch_add(1, relaxed);
        }
    }

    fn next_probe(&self, now: Duration) -> u64 {
        nanoseconds(now.saturating_add(self.policy.probe_every))
    }
}

/// Whether stable has at least half as many bad requests as the canary.
fn is_shared(bad: u32, of_stable: u32) -> bool {
    2 * of_stable >= bad
}

/// The bad requests of stable's own window, or at the times of the canary's requests if those are more.
fn most_bad(of_stable: &AtomicU64, concurrent: u64) -> u32 {
    of_stable.load(Ordering::Relaxed).count_ones().max(concurrent.count_ones())
}

fn is_newest_bad(window: &AtomicU64) -> bool {
    window.load(Ordering::Relaxed) & 1 == 1
}

/// Whether this number of failures in the canary's last `of` requests is likely at stable's failure rate:
/// more than once in 10^12 windows, by Chernoff's bound. Ten in a row are, as soon as stable has failed five of 64.
fn is_likely(failures: u32, of: u32, of_stable: u32) -> bool {
    let (share, rate) =
        (f64::from(failures) / f64::from(of), f64::from(of_stable) / f64::from(WINDOW));
    if rate <= 0.0 || share <= rate {
        return share <= rate;
    }
    let part = |p: f64, q: f64| if p > 0.0 { p * (p / q).ln() } else { 0.0 };
    let divergence = part(share, rate) + part(1.0 - share, 1.0 - rate);
    f64::from(of) * divergence < UNLIKELY
}

/// -ln 10^-12
const UNLIKELY: f64 = 27.63;

/// Adds a request to a window, and returns the new window.
fn push(window: &AtomicU64, is_bad: bool) -> u64 {
    let relaxed = Ordering::Relaxed;
    // Shifting a zero into zeros changes nothing.
    if !is_bad && window.load(relaxed) == 0 {
        return 0;
    }
    let shifted = |recent: u64| recent << 1 | u64::from(is_bad);
    let before = window.fetch_update(relaxed, relaxed, |recent| Some(shifted(recent)));
    shifted(before.unwrap_or_else(|unchanged| unchanged))
}

/// The time in nanoseconds, always below [`CLOSED`].
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(CLOSED).min(CLOSED - 1)
}

#[cfg(test)]
#[path = "circuit_breaker_tests.rs"]
mod tests;
