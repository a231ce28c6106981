//! The newest files of the models folder, in brief.

use std::sync::Arc;
use std::time::Duration;

use super::listed::Listed;
use super::unchanged::Unchanged;
use crate::model::Card;

/// How many files are described.
pub const MAX_FILES: usize = 10;

/// The newest files of the models folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Newest {
    /// The last changed first, at most [`MAX_FILES`].
    pub files: Vec<Brief>,
    /// The paths of all other files.
    pub others: Vec<String>,
}

/// A file of the models folder in brief.
#[derive(Clone, Debug, PartialEq)]
pub struct Brief {
    /// The path inside the folder.
    pub file: String,
    /// The version name it would be deployed under.
    pub version: String,
    /// What it holds.
    pub content: Content,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A model.
    Model(BriefCard),
    /// Something else; why.
    Other(String),
    /// Not read yet.
    Unread,
}

/// A card in brief.
#[derive(Clone, Debug, PartialEq)]
pub struct BriefCard {
    /// The kind of model.
    pub kind: &'static str,
    /// The digest of the artifact, in hexadecimal.
    pub digest: String,
    /// The area under the ROC curve on the holdout, of a model of two classes that serin trained.
    pub auc: Option<f64>,
}

impl From<&Card> for BriefCard {
    fn from(card: &Card) -> BriefCard {
        BriefCard {
            kind: card.kind,
            digest: card.digest.to_string(),
            auc: card.trained().map(|trained| trained.holdout.auc),
        }
    }
}

impl From<Listed> for Brief {
    fn from(listed: Listed) -> Brief {
        let Listed { file, version, card, error } = listed;
        let content = match card {
            Some(card) => Content::Model(BriefCard::from(&card)),
            None => Content::Other(error.unwrap_or_default()),
        };
        Brief { file, version, content }
    }
}

/// The latest list.
#[derive(Default)]
pub(super) struct Latest {
    /// When it was made, on the steady clock; `None` before the first, and if files were left unread.
    pub(super) at: Option<Duration>,
    pub(super) list: Arc<Newest>,
    /// The state of each of its files when it was read.
    pub(super) states: Vec<Option<Unchanged>>,
}
