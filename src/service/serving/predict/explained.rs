//! Explanations of an answer, by the version that gave it.
//!
//! They are made after the answer was recorded, so they count neither as latency nor for the judge, and outside of the
//! inference threads, so that predictions never wait for one.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use super::Prediction;
use super::fit;
use crate::canary::Track;
use crate::model::Execution;
use crate::model::Explains;
use crate::model::Explanation;
use crate::model::Features;
use crate::model::Model;
use crate::model::Row;
use crate::service::serving::live::Loaded;

/// The explanations of the rows of a request.
pub struct Explained {
    /// How they were made.
    pub how: Explains,
    /// One for each row.
    pub rows: Vec<Explanation>,
}

impl Prediction {
    /// Explains the answers to these rows, which are those of the request.
    ///
    /// # Errors
    /// The reason, if the version that answered does not explain its answers, or no thread became free.
    pub async fn explained(&self, rows: Vec<Features<'_>>) -> Result<Explained, String> {
        let loaded = self.answered_by();
        let Some(how) = loaded.inference.model().explains() else { return Err(cannot(loaded)) };
        let rows = fit(&self.live, rows, false).map_err(|cause| cause.to_string())?;
        let rows = match self.track {
            Track::Stable => self.live.intake.of_stable(&rows),
            Track::Canary => self.live.intake.of_canary(&rows).ok_or("send fewer rows")?,
        };
        let model = loaded.inference.model();
        let made = match model.execution() {
            Execution::Inline => of_rows(model, &rows),
            Execution::Pooled => {
                let rows = rows.iter().map(|row| row.clone().into_owned()).collect();
                on_a_thread(loaded, rows).await
            }
        };
        Ok(Explained { how, rows: made? })
    }
}

/// Why a version explains nothing.
pub fn cannot(loaded: &Loaded) -> String {
    let kind = loaded.card.as_ref().map_or_else(String::new, |card| format!(" ({})", card.kind));
    format!(
        "version {}{kind} does not explain its answers, which linear models and most trees do; leave explain out",
        loaded.version.name
    )
}

async fn on_a_thread(loaded: &Loaded, rows: Vec<Row<'static>>) -> Result<Vec<Explanation>, String> {
    let busy = || "the server is busy with other explanations; try again".to_owned();
    let (model, permit) = loaded.inference.explainer().await.ok_or_else(busy)?;
    let work = move || {
        // Kept until the work is done, even if the request has ended by then.
        let _permit = permit;
        of_rows(&*model, &rows)
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| busy())?
}

fn of_rows(model: &dyn Model, rows: &[Row<'_>]) -> Result<Vec<Explanation>, String> {
    let explain = || {
        let each = rows.iter().map(|row| {
            let explanation = model.explain(row).map_err(|cause| cause.to_string())?;
            explanation.ok_or_else(|| "the model did not explain it".to_owned())
        });
        each.collect::<Result<Vec<Explanation>, String>>()
    };
    // Models are read-only while they explain, so a panic leaves no half-changed state.
    let failed = |_| Err("the explanation failed".to_owned());
    catch_unwind(AssertUnwindSafe(explain)).unwrap_or_else(failed)
}
