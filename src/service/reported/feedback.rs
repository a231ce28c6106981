//! Feedback: labels of predictions.
//!
//! A prediction id carries all that its label needs, so no prediction is kept. One rollout at a time accepts
//! labels: the running one, or the promoted one that is still monitored. A label counts once: its fingerprint
//! (8 bytes) is saved with the counts in one transaction, so that a crash forgets the labels of its last second
//! entirely. They may be sent again, and no label counts twice.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;

use crate::canary::FeedbackPolicy;
use crate::canary::Labels;
use crate::canary::PredictionId;
use crate::canary::Rollout;
use crate::canary::Track;
use crate::canary::observed::labels::LossIncrement;
use crate::canary::observed::labels::Outcome;
use crate::canary::observed::outputs::ErrorIncrement;
use crate::canary::policy::source::Outputs;
use crate::canary::traffic::prediction_id::Attribution;
use crate::canary::traffic::prediction_id::IdError;
use crate::canary::traffic::prediction_id::IdKey;
use crate::canary::traffic::prediction_id::Predicted;
use crate::model::Output;
use crate::model::OutputKind;
use crate::service::serving::predict::Prediction;
use crate::store::Role;
use crate::store::Store;
use crate::store::StoreError;
use crate::text::durations::words;
use crate::text::lists::listed;
use crate::text::lists::quoted;

/// Maximum number of labels of one rollout: their fingerprints take 19 MB, and no comparison needs more.
pub const MAX_LABELS: usize = 1_000_000;

/// The name of the id key in the store.
const KEY: &str = "prediction_id_key";

/// Why a label is refused.
#[derive(Debug, Error, PartialEq)]
pub enum FeedbackError {
    /// Feedback is off.
    #[error(
        "feedback is off on this server; to turn it on, set enabled = true under [feedback] in its \
         configuration"
    )]
    Disabled,
    /// The id is invalid.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The prediction is too old.
    #[error(
        "the prediction was made {}, and labels are accepted for {}; send labels sooner, or increase \
         expires under [feedback]",
        .made, words(*.expires)
    )]
    Expired {
        /// When it was made.
        made: Timestamp,
        /// How long labels are accepted.
        expires: Duration,
    },
    /// Its rollout is over.
    #[error(
        "the prediction belongs to rollout {rollout}, which is over; its labels no longer count"
    )]
    Gone {
        /// The rollout.
        rollout: u64,
    },
    /// The outcome is not one of the prediction.
    #[error("outcome: {given} is not an outcome of this prediction; use {allowed}")]
    Outcome {
        /// The outcome as it was given.
        given: String,
        /// What is allowed.
        allowed: String,
    },
    /// The prediction has a label already.
    #[error("this prediction already has a label; the first label counts and cannot be changed")]
    Repeated,
    /// The rollout has too many labels.
    #[error(
        "rollout {rollout} has {MAX_LABELS} labels, the maximum; promote the canary or roll it back"
    )]
    Full {
        /// The rollout.
        rollout: u64,
    },
}

/// A label as it was given: the prediction's id and the outcome.
pub(crate) type GivenLabel = (String, GivenOutcome);

/// An outcome as clients write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum GivenOutcome {
    /// Whether the positive class occurred.
    Bool(bool),
    /// A number: 0 or 1, the name of a class, or the value that was predicted.
    Number(f64),
    /// The name of a class.
    Text(String),
}

impl From<bool> for GivenOutcome {
    fn from(outcome: bool) -> GivenOutcome {
        GivenOutcome::Bool(outcome)
    }
}

impl fmt::Display for GivenOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GivenOutcome::Bool(outcome) => write!(f, "{outcome}"),
            GivenOutcome::Number(number) => write!(f, "{number}"),
            GivenOutcome::Text(text) => f.write_str(&quoted(text)),
        }
    }
}

impl GivenOutcome {
    /// The outcome of a prediction, where `classes` are the names of many classes.
    fn of(&self, predicted: &Predicted, classes: &[String]) -> Result<Outcome, FeedbackError> {
        let outcome = match (predicted, self) {
            (Predicted::Probability(_), GivenOutcome::Bool(outcome)) => {
                Some(Outcome::Positive(*outcome))
            }
            (Predicted::Probability(_), GivenOutcome::Number(0.0)) => {
                Some(Outcome::Positive(false))
            }
            (Predicted::Probability(_), GivenOutcome::Number(1.0)) => Some(Outcome::Positive(true)),
            (Predicted::Score(_), GivenOutcome::Number(value)) if value.is_finite() => {
                Some(Outcome::Value(*value))
            }
            (Predicted::Classes(_), GivenOutcome::Text(name)) => class(classes, name),
            // A class `1` may be written `1.0`, as its library writes it, and `true` as Python writes it.
            (Predicted::Classes(_), GivenOutcome::Number(number)) => {
                class(classes, &number.to_string())
                    .or_else(|| class(classes, &format!("{number:?}")))
            }
            (Predicted::Classes(_), GivenOutcome::Bool(is_true)) => {
                class(classes, if *is_true { "true" } else { "false" })
                    .or_else(|| class(classes, if *is_true { "True" } else { "False" }))
            }
            (
                Predicted::Probability(_) | Predicted::Score(_),
                GivenOutcome::Bool(_) | GivenOutcome::Number(_) | GivenOutcome::Text(_),
            ) => None,
        };
        outcome.ok_or_else(|| FeedbackError::Outcome {
            given: self.to_string(),
            allowed: match predicted {
                Predicted::Probability(_) => {
                    "0, 1, true or false (whether the positive class occurred)".to_owned()
                }
                Predicted::Score(_) => "a number: what the score predicted".to_owned(),
                Predicted::Classes(_) => {
                    format!(
                        "the class that occurred: {}",
                        listed(classes.iter().map(String::as_str))
                    )
                }
            },
        })
    }
}

fn class(classes: &[String], name: &str) -> Option<Outcome> {
    classes.iter().position(|class| class == name).map(Outcome::Class)
}

/// Why an accepted label counts for neither track.
pub const NOT_COUNTED: &str = "no track was drawn for this prediction: it was made outside of a rollout, \
                               or stable answered in the canary's place, or too late";

/// Receives labels.
pub struct Feedback {
    /// `None` if feedback is off.
    key: Option<IdKey>,
    expires: Duration,
    /// Written by each label and by the tick that takes them; no prediction waits for it. Taken after the
    /// sequential judge.
    known: Mutex<Known>,
    /// The part of this process in its fleet. A follower hands labels to the leader, which counts them.
    role: Mutex<Role>,
}

/// The labels of the current rollout.
#[derive(Default)]
struct Known {
    /// The rollout; 0: none.
    rollout: u64,
    /// Whether the policy judges losses.
    is_judged: bool,
    /// What its versions answer.
    outputs: Outputs,
    /// Predictions from before this second are not judged.
    judged_from: u64,
    labels: Labels,
    /// Fingerprints of labeled predictions. Without the key they cannot be chosen, so two collide with
    /// probability 2^-64.
    seen: HashSet<u64>,
    /// Fingerprints that are not in the store yet.
    unsaved: Vec<u64>,
    /// The labels of a fleet that are not in the store yet, in their order.
    given: Vec<GivenLabel>,
}

/// What a checkpoint saves of the labels.
pub(crate) struct LabelsToSave {
    /// `None` if there are none.
    pub(crate) labels: Option<Labels>,
    pub(crate) new: Vec<u64>,
}

/// The ids of one answer.
pub struct Ids<'a> {
    key: &'a IdKey,
    /// The id of the first row, without its number and what was predicted.
    first: PredictionId,
    kind: &'a OutputKind,
    outputs: &'a [Output],
}

impl Feedback {
    /// Uses the key in the store, or creates one.
    pub(crate) fn new(policy: FeedbackPolicy, store: &dyn Store) -> Result<Feedback, StoreError> {
        let key = if policy.is_enabled { Some(kept_key(store)?) } else { None };
        let (known, role) = (Mutex::default(), Mutex::new(Role::Alone));
        Ok(Feedback { key, expires: policy.expires, known, role })
    }

    /// Accepts labels of this rollout only.
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
        known.outputs = rollout.policy.judge.outputs.clone();
        // The second in which the warm-up ends does not count.
        let judged_from = rollout.warm_until().as_second().saturating_add(1);
        known.judged_from = match rollout.warm_until() > rollout.started_at {
            true => u64::try_from(judged_from).unwrap_or(0),
            false => 0,
        };
    }

    /// Restores the labels of the current rollout.
    pub(crate) fn restore(&self, labels: Labels, seen: Vec<u64>) {
        let mut known = self.known.lock();
        if labels.is_sound() {
            known.labels = labels;
        } else {
            tracing::warn!("the labels of the running rollout cannot be counted any more");
        }
        known.seen = seen.into_iter().collect();
    }

    /// The ids of an answer; `None` if feedback is off.
    pub(crate) fn ids<'a>(&'a self, prediction: &'a Prediction, now: Timestamp) -> Option<Ids<'a>> {
        let (rollout, step, weight) = prediction.drawn_in();
        let second = u64::try_from(now.as_second()).unwrap_or(0);
        let (track, attribution) = (prediction.track, prediction.attribution);
        let (number, predicted) = (0, Predicted::Score(0.0));
        let first =
            PredictionId { rollout, step, weight, track, attribution, second, number, predicted };
        let kind = prediction.answered_by().inference.model().output();
        Some(Ids { key: self.key.as_ref()?, first, kind, outputs: &prediction.outputs })
    }

    /// Accepts a label. Returns the track that it counts for, if any.
    pub(crate) fn give(
        &self,
        text: &str,
        given: &GivenOutcome,
        now: Timestamp,
    ) -> Result<Option<Track>, FeedbackError> {
        let key = self.key.as_ref().ok_or(FeedbackError::Disabled)?;
        let (id, fingerprint) = PredictionId::read(text, key)?;
        let made = i64::try_from(id.second).ok().and_then(|it| Timestamp::from_second(it).ok());
        let made = made.ok_or(IdError::Malformed)?;
        // If the clock was set back, the prediction is from the future: its age is 0.
        let age = Duration::try_from(now.duration_since(made)).unwrap_or(Duration::ZERO);
        if age > self.expires {
            return Err(FeedbackError::Expired { made, expires: self.expires });
        }
        if id.rollout == 0 {
            // Which classes there were then is not known.
            if !matches!(id.predicted, Predicted::Classes(_)) {
                given.of(&id.predicted, &[])?;
            }
            return Ok(None);
        }
        let mut known = self.known.lock();
        if known.rollout != id.rollout {
            return Err(FeedbackError::Gone { rollout: id.rollout });
        }
        let outcome = given.of(&id.predicted, known.outputs.classes())?;
        if known.seen.contains(&fingerprint) {
            return Err(FeedbackError::Repeated);
        }
        if known.seen.len() >= MAX_LABELS {
            return Err(FeedbackError::Full { rollout: id.rollout });
        }
        let role = *self.role.lock();
        known.seen.insert(fingerprint);
        if role != Role::Alone {
            known.given.push((text.to_owned(), given.clone()));
        }
        if role == Role::Follower {
            let counts = Labels::default().record(&id, outcome, false);
            return Ok(counts.then_some(id.track));
        }
        known.unsaved.push(fingerprint);
        let is_judged = known.is_judged && id.second >= known.judged_from;
        Ok(known.labels.record(&id, outcome, is_judged).then_some(id.track))
    }

    /// Takes the part of this process. A follower hands over the labels that are not in the store yet.
    pub(crate) fn take_part(&self, role: Role) {
        let mut known = self.known.lock();
        *self.role.lock() = role;
        if role == Role::Follower {
            known.unsaved.clear();
        }
    }

    /// The labels to hand to the leader.
    pub(crate) fn take_given(&self) -> Vec<GivenLabel> {
        std::mem::take(&mut self.known.lock().given)
    }

    /// Shows what the leader has counted.
    pub(crate) fn show(&self, rollout: u64, labels: Labels) {
        let mut known = self.known.lock();
        if known.rollout == rollout && labels.is_sound() {
            known.labels = labels;
        }
    }

    /// Takes the losses and errors that wait for the judge.
    pub(crate) fn take_losses(&self) -> (Vec<LossIncrement>, Vec<ErrorIncrement>) {
        let labels = &mut self.known.lock().labels;
        (std::mem::take(&mut labels.waiting), std::mem::take(&mut labels.waiting_errors))
    }

    /// The labels of the current rollout; `None` without one.
    pub(crate) fn labels(&self) -> Option<(u64, Labels)> {
        self.key.as_ref()?;
        let known = self.known.lock();
        (known.rollout != 0).then(|| (known.rollout, known.labels.clone()))
    }

    /// What a checkpoint saves of the labels of this rollout.
    pub(crate) fn to_save(&self, rollout: u64) -> LabelsToSave {
        let known = self.known.lock();
        if known.rollout != rollout || known.seen.is_empty() {
            return LabelsToSave { labels: None, new: Vec::new() };
        }
        LabelsToSave { labels: Some(known.labels.clone()), new: known.unsaved.clone() }
    }

    /// Marks the first `count` new labels as saved.
    pub(crate) fn saved(&self, rollout: u64, count: usize) {
        let mut known = self.known.lock();
        if known.rollout == rollout {
            let count = count.min(known.unsaved.len());
            known.unsaved.drain(..count);
            // They have the same order.
            let given = count.min(known.given.len());
            known.given.drain(..given);
        }
    }
}

impl Ids<'_> {
    /// The id of a row, counted from 0. Only the first row of a request is judged, because the request was
    /// randomized as a whole.
    pub fn of_row(&self, row: usize) -> String {
        let attribution = match self.first.attribution {
            Attribution::Judged if row > 0 => Attribution::Reported,
            attribution @ (Attribution::Judged | Attribution::Reported | Attribution::Excluded) => {
                attribution
            }
        };
        let output = self.outputs.get(row);
        let first = output.map_or(0.0, Output::score);
        let predicted = match self.kind {
            OutputKind::Probability { .. } => Predicted::Probability(first as f32),
            OutputKind::Probabilities { .. } => {
                let numbers = output.map_or(&[][..], Output::numbers);
                Predicted::Classes(numbers.iter().map(|number| *number as f32).collect())
            }
            OutputKind::Score => Predicted::Score(first),
        };
        let (number, first) = (rand::random(), self.first.clone());
        PredictionId { attribution, number, predicted, ..first }.written(self.key)
    }
}

/// Copies the key of the ids, if there is one.
pub(crate) fn copy_key(from: &dyn Store, to: &dyn Store) -> Result<(), StoreError> {
    from.secret(KEY)?.map_or(Ok(()), |bytes| to.save_secret(KEY, &bytes))
}

fn kept_key(store: &dyn Store) -> Result<IdKey, StoreError> {
    let kept = match store.secret(KEY)? {
        Some(kept) => kept,
        None => {
            let new: [u8; IdKey::BYTES] = rand::random();
            store.save_secret(KEY, &new)?;
            // Another process may have been faster.
            store.secret(KEY)?.unwrap_or_default()
        }
    };
    let bytes = <[u8; IdKey::BYTES]>::try_from(kept).map_err(|kept| StoreError::Damaged {
        what: "the key of the prediction ids".to_owned(),
        cause: format!("it has {} bytes, not {}", kept.len(), IdKey::BYTES),
    })?;
    Ok(IdKey::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_found_as_its_library_writes_it() {
        let classes = ["1.0", "2", "True", "false"].map(str::to_owned);
        let predicted = Predicted::Classes(vec![0.25; 4]);
        let of = |given: GivenOutcome| given.of(&predicted, &classes).ok();
        for (given, class) in [
            (GivenOutcome::Number(1.0), 0),
            (GivenOutcome::Text("1.0".into()), 0),
            (GivenOutcome::Number(2.0), 1),
            (GivenOutcome::Bool(true), 2),
            (GivenOutcome::Bool(false), 3),
        ] {
            assert_eq!(of(given.clone()), Some(Outcome::Class(class)), "{given}");
        }
        assert_eq!(of(GivenOutcome::Number(3.0)), None);
        assert_eq!(of(GivenOutcome::Text("true".into())), None);
    }
}
