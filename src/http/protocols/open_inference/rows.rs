//! From tensors to rows: one matrix of all features, or a tensor for each.

use super::request::Tensor;
use crate::http::problem::Problem;
use crate::http::protocols::cells::rows_of;
use crate::model::Features;
use crate::model::Schema;
use crate::model::schema::features::Unknown;
use crate::service::serving::live::Live;
use crate::text::lists::quoted;

/// The rows of these tensors, whose shapes are checked. `version` is the schema of the version that is asked for by name.
///
/// # Errors
/// Names the tensor that does not fit.
pub(super) fn rows<'a>(
    mut tensors: Vec<Tensor<'a>>,
    live: &Live,
    version: Option<&Schema>,
    unknown: Unknown,
) -> Result<Vec<Features<'a>>, Problem> {
    let is_feature = |tensor: &Tensor<'_>| live.intake.accepts(&tensor.name.0);
    let is_column = |tensor: &Tensor<'_>| matches!(tensor.shape.as_slice(), [_] | [_, 1]);
    let is_matrix =
        |tensor: &Tensor<'_>| tensor.shape.len() == 2 && !(is_feature(tensor) && is_column(tensor));
    if let [one] = tensors.as_slice()
        && is_matrix(one)
        && let Some(matrix) = tensors.pop()
    {
        return by_position(matrix, live, version);
    }
    let first = tensors.first().map_or(0, |tensor| tensor.shape[0]);
    let mut columns = Vec::with_capacity(tensors.len());
    for (place, tensor) in tensors.into_iter().enumerate() {
        if unknown == Unknown::Skipped && !is_feature(&tensor) {
            continue;
        }
        let shape = &tensor.shape;
        let wrong = |what| {
            let name = quoted(&tensor.name.0);
            Err(Problem::field(format_args!("inputs[{place}], {name}: shape {shape:?}: {what}")))
        };
        if !is_column(&tensor) {
            return wrong("use [rows] or [rows, 1] for one of several tensors".to_owned());
        }
        if shape[0] != first {
            return wrong(format!("the first tensor has {first} rows; send as many"));
        }
        columns.push((tensor.name.0, tensor.cells));
    }
    Ok(rows_of(columns, first, live))
}

/// The rows of a matrix, whose columns are stable's features in their order.
fn by_position<'a>(
    matrix: Tensor<'a>,
    live: &Live,
    version: Option<&Schema>,
) -> Result<Vec<Features<'a>>, Problem> {
    let schema = live.stable.inference.model().schema();
    if version.is_some_and(|version| !version.has_order_of(schema)) {
        return Err(Problem::field(
            "inputs: this version takes other features than stable, or in another order; send a tensor for each feature, \
             by name",
        ));
    }
    let width = matrix.shape[1];
    let mut cells = matrix.cells.into_iter();
    let row = |_| {
        let cells = cells.by_ref().take(width).enumerate();
        Features::Ordered(
            cells.map(|(place, cell)| cell.value_of(|| schema.features().get(place))).collect(),
        )
    };
    Ok((0..matrix.shape[0]).map(row).collect())
}
