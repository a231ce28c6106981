//! The explanations in an answer.

use serde::Serialize;
use serde::Serializer;
use utoipa::ToSchema;

use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::http::shared::Shared;
use crate::model::Explains;
use crate::model::Explanation;
use crate::model::Model;
use crate::model::Schema;
use crate::service::serving::predict::explained::Explained;
use crate::service::serving::predict::explained::cannot;

/// Explained rows of a request.
const MAX_ROWS: usize = 100;

/// Contributions in an answer: 5 MB of JSON.
const MAX_CONTRIBUTIONS: usize = 100_000;

/// Refuses explanations that stable cannot give, and of more rows than an answer has room for.
///
/// # Errors
/// See above.
pub(super) fn check(rows: usize, shared: &Shared) -> Result<(), Problem> {
    let live = shared.service.serving.live.load();
    let model = live.stable.inference.model();
    if model.explains().is_none() {
        let reason = cannot(&live.stable);
        return Err(Problem::new(Kind::NotExplained, format_args!("explain: {reason}")));
    }
    let features = model.schema().features().len();
    let most = (MAX_CONTRIBUTIONS / features.max(1)).clamp(1, MAX_ROWS);
    if rows > most {
        return Err(Problem::field(format_args!(
            "explain: {rows} rows; send at most {most} at once, or leave explain out"
        )));
    }
    Ok(())
}

/// How the rows are explained, or why they are not.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = HowExplained)]
pub(super) enum About<'a> {
    /// How.
    How(Explains),
    /// Why not.
    Unavailable {
        /// The reason.
        unavailable: &'a str,
    },
}

impl<'a> About<'a> {
    pub(super) fn of(explained: &'a Result<Explained, String>) -> About<'a> {
        match explained {
            Ok(explained) => About::How(explained.how),
            Err(unavailable) => About::Unavailable { unavailable },
        }
    }
}

/// The explanation of a row.
#[derive(Serialize, ToSchema)]
#[schema(as = RowExplanation)]
pub(super) struct OfRow<'a> {
    /// The class that is explained, of many.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'a str>,
    baseline: f64,
    /// By feature.
    #[schema(value_type = BTreeMap<String, f64>)]
    contributions: ByFeature<'a>,
}

impl<'a> OfRow<'a> {
    pub(super) fn of(explanation: &'a Explanation, model: &'a dyn Model) -> OfRow<'a> {
        let Explanation { class, baseline, contributions } = explanation;
        let class = class.and_then(|place| model.output().classes().get(place));
        let contributions = ByFeature { schema: model.schema(), contributions };
        OfRow { class: class.map(String::as_str), baseline: *baseline, contributions }
    }
}

/// A contribution for each feature, by its name.
struct ByFeature<'a> {
    schema: &'a Schema,
    contributions: &'a [f64],
}

impl Serialize for ByFeature<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.schema.feature_names().zip(self.contributions))
    }
}
