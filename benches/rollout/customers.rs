//! Varied customers as load, and the spread of stable's scores for them.

use serde_json::Value as Json;
use serde_json::json;
use serin::model::Artifact;
use serin::model::Features;
use serin::model::training::synthetic::Churn;
use serin::model::training::synthetic::churn;

use super::Fallible;

/// Enough for a long story; then they repeat.
const MANY: usize = 20_000;

pub struct Customers {
    /// One request body per customer.
    pub bodies: Vec<String>,
    /// Standard deviation of the first default model's scores for them.
    pub spread: f64,
}

impl Customers {
    /// Scores all customers with the artifact of the first default model.
    pub fn new(artifact: &[u8]) -> Fallible<Customers> {
        let data = churn(&Churn { rows: MANY, ..Churn::v1(11) })?;
        let row = |row: usize| data.columns().iter().map(|it| it.value(row).into_json()).collect();
        let rows: Vec<Json> = (0..MANY).map(row).collect();
        let model = Artifact::from_bytes(artifact)?.model();
        let answer = |row: &Json| -> Fallible<f64> {
            let text = row.to_string();
            let features: Features<'_> = serde_json::from_str(&text)?;
            Ok(model.predict(&model.schema().row(features)?)?.score())
        };
        let answers = rows.iter().map(answer).collect::<Fallible<Vec<f64>>>()?;
        let mean = answers.iter().sum::<f64>() / answers.len() as f64;
        let squares = answers.iter().map(|answer| (answer - mean).powi(2)).sum::<f64>();
        Ok(Customers {
            bodies: rows.iter().map(|row| json!({ "features": row }).to_string()).collect(),
            spread: (squares / answers.len() as f64).sqrt(),
        })
    }
}
