//! Customers of the scenarios.

use serde_json::Value;

use crate::model::training::synthetic::Churn;
use crate::model::training::synthetic::churn;

/// More than the decisions of a scenario need.
const CUSTOMERS: usize = 4000;

/// Feature rows of varied customers, at least one, so that both versions' answers differ from row to row.
///
/// # Errors
/// Never with these numbers.
pub fn customers() -> anyhow::Result<Vec<Vec<Value>>> {
    let data = churn(&Churn { rows: CUSTOMERS, ..Churn::v1(11) })?;
    let row = |row: usize| data.columns().iter().map(|it| it.value(row).into_json()).collect();
    Ok((0..CUSTOMERS).map(row).collect())
}
