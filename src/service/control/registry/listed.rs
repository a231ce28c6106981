//! The models folder as a list.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::Card;
use crate::service::serving::live::Loaded;

/// A file of the models folder, as `/admin/models` lists it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Listed {
    /// The path inside the folder.
    pub file: String,
    /// The version name it would be deployed under.
    pub version: String,
    /// Its card, if it is a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<Card>,
    /// Why it is not a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl From<&Loaded> for Listed {
    fn from(loaded: &Loaded) -> Listed {
        let Loaded { version, card, .. } = loaded;
        let (file, name) = (version.file.clone(), version.name.clone());
        Listed { file, version: name, card: card.clone(), error: None }
    }
}
