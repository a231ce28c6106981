//! What a server says about the model that it serves: features, their values in training, and what it answers.

use anyhow::Context;
use anyhow::bail;
use serde::Deserialize;

use crate::cli::remote::client::Client;
use crate::model::Schema;
use crate::model::artifact::card::Target;
use crate::model::inputs::Inputs;
use crate::model::schema::Feature;
use crate::model::schema::FeatureKind;
use crate::model::schema::Missing;

/// The stable version of a server.
pub(super) struct Served {
    /// Its name.
    pub(super) version: String,
    /// Its features.
    pub(super) schema: Schema,
    /// The inputs of training, if they are known.
    pub(super) inputs: Option<Inputs>,
    /// What it answers; `None` if the server does not tell.
    pub(super) answers: Option<Answers>,
}

/// What a model answers.
pub(super) enum Answers {
    /// The probability of a value of a column, if it is known which.
    Two(Option<Target>),
    /// One of these classes.
    Classes(Vec<String>),
    /// A number.
    Score,
}

/// The answer of `/admin/models`, as far as it is read here.
#[derive(Deserialize)]
struct Models {
    stable: Listed,
}

#[derive(Deserialize)]
struct Listed {
    version: String,
    card: Option<Card>,
}

#[derive(Deserialize)]
struct Card {
    features: Vec<Feature>,
    missing_values: Missing,
    output: String,
    #[serde(default)]
    classes: Vec<String>,
    #[serde(default)]
    inputs: Option<Inputs>,
    #[serde(default)]
    training: Option<Training>,
    #[serde(default)]
    import: Option<Import>,
}

#[derive(Deserialize)]
struct Training {
    target: String,
    positive: Option<String>,
}

#[derive(Deserialize)]
struct Import {
    target: Option<Target>,
}

/// The answer of `/v2/models`.
#[derive(Deserialize)]
struct Names {
    models: Vec<String>,
}

/// The answer of `/v2/models/NAME`, which needs no token.
#[derive(Deserialize)]
struct Metadata {
    versions: Vec<String>,
    inputs: Vec<Tensor>,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    datatype: String,
}

impl Served {
    /// Asks the server. Rows of a file need no more than names and kinds, which every client may ask for.
    ///
    /// # Errors
    /// When it cannot be reached, or does not tell without the token.
    pub(super) fn of(client: &Client, has_rows: bool) -> anyhow::Result<Served> {
        let reply = client.get("/admin/models")?;
        let is_closed = !reply.ok && [401, 403].contains(&reply.problem().status);
        if is_closed && has_rows {
            return Served::in_public(client);
        }
        if is_closed {
            bail!(
                "{}; only /admin has the values of the features in training: pass --admin-token, or \
                 rows with --data",
                reply.refusal()
            );
        }
        let Listed { version, card } = reply.done::<Models>()?.stable;
        let card = card.context("the server knows no features of its model")?;
        Ok(Served {
            version,
            answers: Some(card.answers()),
            inputs: card.inputs.filter(|inputs| inputs.rows > 0),
            schema: Schema::new(card.features)?.with_missing(card.missing_values),
        })
    }

    fn in_public(client: &Client) -> anyhow::Result<Served> {
        let names: Names = client.get("/v2/models")?.done()?;
        let name = names.models.first().context("the server names no model")?;
        let Metadata { versions, inputs } = client.get(&format!("/v2/models/{name}"))?.done()?;
        let feature = |tensor: Tensor| {
            // The levels are unknown, and a schema has at least one.
            let kind = match tensor.datatype.as_str() {
                "BYTES" => FeatureKind::Categorical { levels: vec!["(unknown)".to_owned()] },
                _ => FeatureKind::Number,
            };
            Feature { name: tensor.name, kind }
        };
        Ok(Served {
            version: versions.into_iter().next().unwrap_or_default(),
            schema: Schema::new(inputs.into_iter().map(feature).collect())?,
            inputs: None,
            answers: None,
        })
    }
}

impl Card {
    fn answers(&self) -> Answers {
        match self.output.as_str() {
            "probabilities" => Answers::Classes(self.classes.clone()),
            "score" => Answers::Score,
            _ => Answers::Two(self.target()),
        }
    }

    fn target(&self) -> Option<Target> {
        match (&self.training, &self.import) {
            (Some(Training { target, positive: Some(positive) }), _) => {
                Some(Target { column: target.clone(), positive: positive.clone() })
            }
            (_, Some(import)) => import.target.clone(),
            (_, None) => None,
        }
    }
}
