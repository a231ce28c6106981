//! The predict path: which version answers, and what is recorded.
//!
//! - [`live`]: the one value that a prediction reads; [`predict`]: one prediction; [`inference`] and `timed`:
//!   running a model within its deadline.
//! - [`intake`]: what requests may contain, and what each version gets of them; `inputs`: which values they have.
//! - [`recorder`], `segment_counts`: samples of a step; [`totals`], `retired`: counts that never fall;
//!   [`keys`], [`segment_slots`]: the key and the segments of a request.
//! - [`circuit_breaker`]: when the canary gets no requests; [`faults`]: injected faults.
//! - [`shadow`]: requests that the canary answers in the background.

pub mod circuit_breaker;
pub mod faults;
pub mod inference;
pub(crate) mod inputs;
pub mod intake;
pub mod keys;
pub mod live;
pub mod predict;
pub mod recorder;
pub(crate) mod retired;
pub(crate) mod segment_counts;
pub mod segment_slots;
pub mod shadow;
pub(crate) mod timed;
pub mod totals;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::clock::Clock;
use crate::canary::Track;
use live::Closure;
use live::Live;
use predict::PredictError;
use predict::Prediction;
use predict::Request;
use retired::Replaced;
use retired::Retired;
use shadow::queue::Shadow;
use totals::Totals;
use totals::exemplars::Exemplars;

/// The state that predictions read. Workers share it and take no lock to read it.
pub struct Serving {
    /// What predictions read. Replaced whole by each commit, and by nothing else.
    pub(crate) live: ArcSwap<Live>,
    /// The shadow queue and its disagreements. Predictions hand requests over and never wait.
    pub shadow: Shadow,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stable_deadline: Duration,
    retired: Retired,
    /// Predictions that traces have recorded.
    pub(crate) exemplars: Exemplars,
    /// Set once, when the server stops accepting work.
    draining: AtomicBool,
}

impl Serving {
    pub(crate) fn new(
        live: Live,
        shadow: Shadow,
        clock: Arc<dyn Clock>,
        stable_deadline: Duration,
    ) -> Serving {
        let (live, draining) = (ArcSwap::from_pointee(live), false.into());
        let (retired, exemplars) = (Retired::default(), Exemplars::default());
        Serving { live, shadow, clock, stable_deadline, retired, exemplars, draining }
    }

    /// Answers a prediction request.
    ///
    /// # Errors
    /// See [`predict::predict`].
    pub fn predict<'a>(
        &'a self,
        request: Request<'a>,
    ) -> impl Future<Output = Result<Prediction, PredictError>> + 'a {
        let (live, deadline) = (self.live.load(), self.stable_deadline);
        predict::predict(live, &*self.clock, deadline, &self.shadow, request)
    }

    /// Answers a tester's request from this track, or from stable if there is no canary. Nothing is counted.
    ///
    /// # Errors
    /// See [`predict::predict_on`].
    pub async fn predict_on(
        &self,
        track: Track,
        request: Request<'_>,
    ) -> Result<Prediction, PredictError> {
        let (live, deadline) = (self.live.load(), self.stable_deadline);
        predict::predict_on(track, live, &*self.clock, deadline, request).await
    }

    /// Replaces what predictions read. Requests under way keep what they began with.
    pub(crate) fn install(&self, live: Live) -> Arc<Live> {
        let live = Arc::new(live);
        let breaker_of = |live: &Live| live.canary.as_ref().and_then(|it| it.breaker.clone());
        self.retired.retire(|| {
            let before = self.live.swap(live.clone());
            let (recorder, breaker) = (before.recorder.clone(), breaker_of(&before));
            let kept = breaker_of(&live);
            let is_kept = |it: &Arc<_>| kept.as_ref().is_some_and(|kept| Arc::ptr_eq(it, kept));
            Replaced {
                recorder: (!Arc::ptr_eq(&recorder, &live.recorder)).then_some(recorder),
                breaker: breaker.filter(|breaker| !is_kept(breaker)),
            }
        });
        live
    }

    /// Stops requests to the canary, if there is one, until the closure is dropped.
    pub(crate) fn close_lane(&self) -> Option<Closure> {
        self.live.load().canary.as_ref().map(|canary_slot| canary_slot.lane.close())
    }

    /// What was counted since the process started.
    pub fn totals(&self) -> Totals {
        self.retired.with(|| {
            let live = self.live.load();
            let breaker = live.canary.as_ref().and_then(|slot| slot.breaker.as_ref());
            let breaker_opened = breaker.map_or(0, |breaker| breaker.opened());
            Totals { breaker_opened, ..live.recorder.totals() }
        })
    }

    /// Turns readiness off, so that load balancers send no new requests.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Whether the server is ready for requests.
    pub fn is_ready(&self) -> bool {
        !self.draining.load(Ordering::SeqCst)
    }
}
