//! What became of a prediction? A label comes with its prediction's id, which says all that is needed,
//! so no prediction is kept: only which labels came, and what they say of each track.
//!
//! One rollout at a time takes labels: the one under way, or the promoted one that is still watched. A
//! label counts once. What is remembered for that, 8 bytes a label, is saved with the checkpoint in one
//! transaction with what was counted, so a crash forgets the labels of its last second whole: they may be
//! sent again, and no label ever counts twice.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use thiserror::Error;

use crate::canary::FeedbackPolicy;
use crate::canary::Labels;
use crate::canary::PredictionId;
use crate::canary::Rollout;
use crate::canary::Track;
use crate::canary::observed::labels::LossIncrement;
use crate::canary::traffic::prediction_id::Attribution;
use crate::canary::traffic::prediction_id::IdError;
use crate::canary::traffic::prediction_id::IdKey;
use crate::model::Output;
use crate::service::serving::predict::Prediction;
use crate::store::Store;
use crate::store::StoreError;
use crate::text::durations::words;

/// The most labels of one rollout: 19 MB to know them again, and more than any comparison needs.
pub const MAX_LABELS: usize = 1_000_000;

/// The name that the key of ids is kept by.
const KEY: &str = "prediction_id_key";

/// Why a label is not taken.
#[derive(Debug, Error, PartialEq)]
pub enum FeedbackError {
    /// Nobody listens.
    #[error(
        "feedback is off on this server; to turn it on, set enabled = true under [feedback] in its \
         configuration"
    )]
    Disabled,
    /// The id is none.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The prediction is too old.
    #[error(
        "the prediction was made {}, and a label is taken for {} only; send labels sooner, or set \
         expires under [feedback]",
        .made, words(*.expires)
    )]
    Expired {
        /// When it was made.
        made: Timestamp,
        /// How long labels are taken.
        expires: Duration,
    },
    /// Its rollout is over.
    #[error(
        "rollout {rollout}, which the prediction was made in, is over, and nobody waits for its labels"
    )]
    Gone {
        /// Which.
        rollout: u64,
    },
    /// It has a label already.
    #[error("this prediction has its label already; the first one counts, and none is changed")]
    Repeated,
    /// There are too many.
    #[error(
        "rollout {rollout} has {MAX_LABELS} labels, as many as are kept; further ones are not needed: \
         promote the canary or roll it back"
    )]
    Full {
        /// Which.
        rollout: u64,
    },
}

/// Why a label that is taken counts for no track.
pub const NOT_COUNTED: &str = "no track was drawn for this prediction: it was made outside of a rollout, \
                               or stable answered in the canary's place, or too late";

/// Whoever takes labels.
pub struct Feedback {
    /// `None` if nobody does.
    key: Option<IdKey>,
    expires: Duration,
    /// Written by whoever sends labels, and by the tick that takes them; no prediction waits for it. Taken
    /// after the watch.
    known: Mutex<Known>,
}

/// What is known of the rollout that takes labels.
#[derive(Default)]
struct Known {
    /// Which; 0 for none.
    rollout: u64,
    /// Whether its policy judges losses.
    is_judged: bool,
    /// Predictions made before this second enter no judgement.
    judged_from: u64,
    labels: Labels,
    /// The fingerprints of the predictions that have a label. Chosen by nobody without the key, so two are
    /// alike with probability 2^-64.
    seen: HashSet<u64>,
    /// Those of them that the store does not have.
    unsaved: Vec<u64>,
}

/// What is to be saved of the labels.
pub(crate) struct LabelsToSave {
    /// `None` if there are none.
    pub(crate) labels: Option<Labels>,
    pub(crate) new: Vec<u64>,
}

/// The ids of one answer.
pub struct Ids<'a> {
    key: &'a IdKey,
    /// But for the number and the score.
    first: PredictionId,
    outputs: &'a [Output],
}

impl Feedback {
    /// As the policy says, with the store's key, which is made when there is none.
    pub(crate) fn new(policy: FeedbackPolicy, store: &dyn Store) -> Result<Feedback, StoreError> {
        let key = if policy.is_enabled { Some(kept_key(store)?) } else { None };
        Ok(Feedback { key, expires: policy.expires, known: Mutex::default() })
    }

    /// From now on labels of this rollout are taken, and of no other.
    pub(crate) fn follow(&self, rollout: Option<&Rollout>) {
        let mut known = self.known.lock();
        let Some(rollout) = rollout else {
            *known = Known::default();
            return;
        };
        if known.rollout != rollout.id {
            *known = Known { rollout: rollout.id, ..Known::default() };
        }
        known.is_judged = rollout.judges_labels();
        // The second that it falls into may be of both times, and is left out.
        let judged_from = rollout.warm_until().as_second().saturating_add(1);
        known.judged_from = match rollout.warm_until() > rollout.started_at {
            true => u64::try_from(judged_from).unwrap_or(0),
            false => 0,
        };
    }

    /// Goes on with what is known of the labels of the rollout that is followed.
    pub(crate) fn restore(&self, labels: Labels, seen: Vec<u64>) {
        let mut known = self.known.lock();
        if labels.is_sound() {
            known.labels = labels;
        } else {
            tracing::warn!("the labels of the running rollout cannot be counted any more");
        }
        known.seen = seen.into_iter().collect();
    }

    /// The ids of an answer; `None` if nobody takes labels.
    pub(crate) fn ids<'a>(&'a self, prediction: &'a Prediction, now: Timestamp) -> Option<Ids<'a>> {
        let (rollout, step, weight) = prediction.drawn_in();
        let second = u64::try_from(now.as_second()).unwrap_or(0);
        let (track, attribution) = (prediction.track, prediction.attribution);
        let (number, score) = (0, 0.0);
        let first =
            PredictionId { rollout, step, weight, track, attribution, second, number, score };
        Some(Ids { key: self.key.as_ref()?, first, outputs: &prediction.outputs })
    }

    /// Takes a label; whom it counts for, if for anybody.
    pub(crate) fn give(
        &self,
        id: &str,
        outcome: bool,
        now: Timestamp,
    ) -> Result<Option<Track>, FeedbackError> {
        let key = self.key.as_ref().ok_or(FeedbackError::Disabled)?;
        let (id, fingerprint) = PredictionId::read(id, key)?;
        let made = i64::try_from(id.second).ok().and_then(|it| Timestamp::from_second(it).ok());
        let made = made.ok_or(IdError::Malformed)?;
        // Whoever sets the clock back has young predictions, not old ones.
        let age = Duration::try_from(now.duration_since(made)).unwrap_or(Duration::ZERO);
        if age > self.expires {
            return Err(FeedbackError::Expired { made, expires: self.expires });
        }
        if id.rollout == 0 {
            return Ok(None);
        }
        let mut known = self.known.lock();
        if known.rollout != id.rollout {
            return Err(FeedbackError::Gone { rollout: id.rollout });
        }
        if known.seen.contains(&fingerprint) {
            return Err(FeedbackError::Repeated);
        }
        if known.seen.len() >= MAX_LABELS {
            return Err(FeedbackError::Full { rollout: id.rollout });
        }
        known.seen.insert(fingerprint);
        known.unsaved.push(fingerprint);
        let is_judged = known.is_judged && id.second >= known.judged_from;
        Ok(known.labels.record(&id, outcome, is_judged).then_some(id.track))
    }

    /// What the judge has not taken yet. Nothing waits afterward.
    pub(crate) fn take_losses(&self) -> Vec<LossIncrement> {
        std::mem::take(&mut self.known.lock().labels.waiting)
    }

    /// The labels so far of the rollout that takes them; `None` if none does.
    pub(crate) fn labels(&self) -> Option<(u64, Labels)> {
        self.key.as_ref()?;
        let known = self.known.lock();
        (known.rollout != 0).then(|| (known.rollout, known.labels.clone()))
    }

    /// What is to be saved of the labels of this rollout.
    pub(crate) fn to_save(&self, rollout: u64) -> LabelsToSave {
        let known = self.known.lock();
        if known.rollout != rollout || known.seen.is_empty() {
            return LabelsToSave { labels: None, new: Vec::new() };
        }
        LabelsToSave { labels: Some(known.labels.clone()), new: known.unsaved.clone() }
    }

    /// So many of the new labels are saved.
    pub(crate) fn saved(&self, rollout: u64, count: usize) {
        let mut known = self.known.lock();
        if known.rollout == rollout {
            let count = count.min(known.unsaved.len());
            known.unsaved.drain(..count);
        }
    }
}

impl Ids<'_> {
    /// The id of a row, counted from 0. Of the rows of a request the first one alone is judged: one coin
    /// was thrown for all of them.
    pub fn of_row(&self, row: usize) -> String {
        let attribution = match self.first.attribution {
            Attribution::Judged if row > 0 => Attribution::Reported,
            attribution @ (Attribution::Judged | Attribution::Reported | Attribution::Excluded) => {
                attribution
            }
        };
        let score = self.outputs.get(row).map_or(0.0, |output| output.score()) as f32;
        PredictionId { attribution, number: rand::random(), score, ..self.first }.written(self.key)
    }
}

fn kept_key(store: &dyn Store) -> Result<IdKey, StoreError> {
    let kept = store.secret(KEY)?.and_then(|bytes| <[u8; IdKey::BYTES]>::try_from(bytes).ok());
    let bytes = match kept {
        Some(bytes) => bytes,
        None => {
            let bytes: [u8; IdKey::BYTES] = rand::random();
            store.save_secret(KEY, &bytes)?;
            bytes
        }
    };
    Ok(IdKey::new(bytes))
}
