//! Models that pass their warm-up and then panic, hang, fail, return wrong numbers or take their time.
//!
//! The warm-up sends a row without values. These models misbehave on rows with values, which come from users. Their artifacts are the text `misbehaves: HOW`; further lines make them
//! other versions.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serin::model::Artifact;
use serin::model::Execution;
use serin::model::Explains;
use serin::model::Explanation;
use serin::model::Model;
use serin::model::Output;
use serin::model::OutputKind;
use serin::model::PredictError;
use serin::model::Row;
use serin::model::Schema;
use serin::model::Value;
use serin::service::control::registry::Decode;
use serin::service::control::registry::Decoded;

use crate::harness::default_models;

/// How a model misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehavior {
    /// It panics on the request's own thread.
    Panic,
    /// It panics on an inference thread.
    PanicPooled,
    /// It answers NaN.
    NotANumber,
    /// It answers 1.5.
    TooLarge,
    /// It returns an error.
    Error,
    /// It answers fewer rows than the request has.
    TooFew,
    /// It does not answer while the test runs.
    Hang,
    /// Like [`Hang`](Misbehavior::Hang), on the request's own thread.
    HangInline,
    /// It fails in its warm-up.
    Cold,
    /// It returns an error for rows whose first value is negative.
    ErrorBelowZero,
    /// Its scores are those of the first default model, plus half of their standard deviation over
    /// [`varied`](crate::shadow::varied) customers.
    Shifted,
    /// It answers at once, on inference threads, and takes [`EXPLAINING`] to explain a row; where the first value is
    /// negative it panics then.
    ExplainsSlowly,
    /// It answers right, on the request's own thread, after [`time_for`] the row.
    TakesTime,
    /// It takes a fifth longer.
    TakesLonger,
}

/// How long a slow explanation takes.
pub const EXPLAINING: Duration = Duration::from_millis(150);

/// The shift of a shifted model's scores.
pub const SHIFT: f64 = 0.087;

/// All of them.
const ALL: [Misbehavior; 14] = [
    Misbehavior::Panic,
    Misbehavior::PanicPooled,
    Misbehavior::NotANumber,
    Misbehavior::TooLarge,
    Misbehavior::Error,
    Misbehavior::TooFew,
    Misbehavior::Hang,
    Misbehavior::HangInline,
    Misbehavior::Cold,
    Misbehavior::ErrorBelowZero,
    Misbehavior::Shifted,
    Misbehavior::ExplainsSlowly,
    Misbehavior::TakesTime,
    Misbehavior::TakesLonger,
];

/// How long a [slow](Misbehavior::TakesTime) model takes: 10 ms times two features, for
/// [`varied`](crate::shadow::varied) customers 10.5 ms on average with a standard deviation of 0.32 in logarithms.
fn time_for(row: &Row<'_>) -> Duration {
    let number = |place: usize| match row.values().get(place) {
        Some(Value::Number(number)) => *number,
        Some(_) | None => 1.0,
    };
    Duration::from_secs_f64(0.010 * number(1) * number(2))
}

impl Misbehavior {
    /// The artifact of a model that misbehaves like this.
    pub fn artifact(self) -> String {
        format!("misbehaves: {self:?}")
    }
}

/// What hanging models wait for, so that their threads end with the test.
#[derive(Default)]
pub struct Hold {
    released: AtomicBool,
    /// How many predictions wait.
    waiting: AtomicUsize,
}

impl Hold {
    /// Releases them.
    pub fn release(&self) {
        self.released.store(true, Ordering::SeqCst);
    }

    /// How many predictions wait for it.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    fn wait(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        while !self.released.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Reads artifacts as the server does, and those of misbehaving models.
pub fn decoder(hold: Arc<Hold>) -> Box<Decode> {
    Box::new(move |bytes| {
        let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or(bytes);
        let how = ALL.into_iter().find(|how| how.artifact().as_bytes() == first);
        let Some(how) = how else {
            let artifact = Artifact::from_bytes(bytes)?;
            let digest = artifact.digest().to_string();
            let card = Some(artifact.card().clone());
            return Ok(Decoded { digest, model: artifact.model(), card });
        };
        let which = if how == Misbehavior::Shifted { 0 } else { 1 };
        let good = Artifact::from_bytes(default_models()[which])?.model();
        let digest = blake3::hash(bytes).to_hex().to_string();
        Ok(Decoded {
            digest,
            model: Arc::new(Misbehaving { how, good, hold: hold.clone() }),
            card: None,
        })
    })
}

struct Misbehaving {
    how: Misbehavior,
    good: Arc<dyn Model>,
    hold: Arc<Hold>,
}

impl Model for Misbehaving {
    fn schema(&self) -> &Schema {
        self.good.schema()
    }

    fn output(&self) -> &OutputKind {
        self.good.output()
    }

    fn execution(&self) -> Execution {
        match self.how {
            Misbehavior::Hang | Misbehavior::PanicPooled | Misbehavior::ExplainsSlowly => {
                Execution::Pooled
            }
            Misbehavior::Panic
            | Misbehavior::NotANumber
            | Misbehavior::TooLarge
            | Misbehavior::Error
            | Misbehavior::TooFew
            | Misbehavior::HangInline
            | Misbehavior::ErrorBelowZero
            | Misbehavior::Shifted
            | Misbehavior::TakesTime
            | Misbehavior::TakesLonger
            | Misbehavior::Cold => Execution::Inline,
        }
    }

    fn predict(&self, row: &Row<'_>) -> Result<Output, PredictError> {
        let warm_up = row.values().iter().all(|value| *value == Value::Missing);
        if warm_up && self.how != Misbehavior::Cold {
            return self.good.predict(row);
        }
        match self.how {
            Misbehavior::Panic | Misbehavior::PanicPooled | Misbehavior::Cold => {
                panic!("the model panicked on purpose")
            }
            Misbehavior::NotANumber => Ok(Output::of(f64::NAN)),
            Misbehavior::TooLarge => Ok(Output::of(1.5)),
            Misbehavior::Error => {
                Err(PredictError::ForeignRow { problem: "on purpose".to_owned() })
            }
            Misbehavior::ErrorBelowZero if matches!(row.values().first(), Some(Value::Number(first)) if *first < 0.0) => {
                Err(PredictError::ForeignRow { problem: "on purpose".to_owned() })
            }
            Misbehavior::TooFew | Misbehavior::ErrorBelowZero | Misbehavior::ExplainsSlowly => {
                self.good.predict(row)
            }
            Misbehavior::TakesTime | Misbehavior::TakesLonger => {
                let factor = if self.how == Misbehavior::TakesLonger { 1.2 } else { 1.0 };
                std::thread::sleep(time_for(row).mul_f64(factor));
                self.good.predict(row)
            }
            Misbehavior::Shifted => Ok(self.good.output().shifted(self.good.predict(row)?, SHIFT)),
            Misbehavior::Hang | Misbehavior::HangInline => {
                self.hold.wait();
                Ok(Output::of(0.5))
            }
        }
    }

    fn explains(&self) -> Option<Explains> {
        (self.how == Misbehavior::ExplainsSlowly).then(|| self.good.explains())?
    }

    fn explain(&self, row: &Row<'_>) -> Result<Option<Explanation>, PredictError> {
        if matches!(row.values().first(), Some(Value::Number(first)) if *first < 0.0) {
            panic!("the explanation panicked on purpose")
        }
        std::thread::sleep(EXPLAINING);
        self.good.explain(row)
    }

    fn predict_many(&self, rows: &[Row<'_>]) -> Result<Vec<Output>, PredictError> {
        let answered = match self.how {
            Misbehavior::TooFew => &rows[1..],
            Misbehavior::Panic
            | Misbehavior::PanicPooled
            | Misbehavior::NotANumber
            | Misbehavior::TooLarge
            | Misbehavior::Error
            | Misbehavior::ErrorBelowZero
            | Misbehavior::Hang
            | Misbehavior::HangInline
            | Misbehavior::Shifted
            | Misbehavior::ExplainsSlowly
            | Misbehavior::TakesTime
            | Misbehavior::TakesLonger
            | Misbehavior::Cold => rows,
        };
        answered.iter().map(|row| self.predict(row)).collect()
    }
}
