//! Protocols whose requests are rows in JSON and whose answers are those of `/predict`: KServe v1, Vertex AI and MLflow.

use super::forms::Body;
use super::forms::BodySeed;
use super::predict;
use crate::http::predicting::Asked;
use crate::http::predicting::Done;
use crate::http::predicting::Sent;
use crate::http::predicting::Written;
use crate::http::problem::Problem;
use crate::http::reading::lenient;
use crate::http::reading::prediction::leniently;
use crate::http::shared::Shared;
use crate::model::schema::features::RowSeed;

/// The members of a protocol's body.
pub(super) struct Members {
    pub(super) forms: &'static [&'static str],
    pub(super) parameters: &'static str,
    pub(super) ignored: Option<&'static str>,
    pub(super) example: &'static str,
}

/// Reads a body of these members.
///
/// # Errors
/// When it is not one.
pub(super) fn read<'a>(
    members: &Members,
    sent: Sent<'a>,
    shared: &Shared,
) -> Result<Asked<'a>, Problem> {
    let live = shared.service.serving.live.load();
    let (known, unknown) = (live.intake.known(), shared.settings.unknown_fields.into());
    let Members { forms, parameters, ignored, example } = *members;
    let body = leniently(known, |optional| {
        let row = RowSeed::of(known, unknown, optional).with_booleans(known);
        let seed = BodySeed { forms, parameters, ignored, row, unknown };
        lenient::parse_with(seed, sent.body, example, sent.repaired)
    });
    let Body { rows, parameters } = body?;
    let mut asked = parameters.attributes.checked(sent.headers, shared)?;
    let Some((member, rows)) = rows else { return Err(Problem::missing(forms[0], example)) };
    asked.inputs.rows = rows.rows(member, &live, unknown)?;
    Ok(asked)
}

/// The answer of `/predict` to many rows: `predictions`, and what it says besides.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(done: &Done, shared: &Shared) -> Result<Written, Problem> {
    let form = predict::Form { is_single: false, id: None };
    predict::answer_body(done, &form, shared).map(Written::json)
}
