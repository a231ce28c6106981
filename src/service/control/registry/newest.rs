//! The newest files of the models folder, for pages that look twice a second while they are open.
//!
//! A folder may have hundreds of files on a slow disk, some of a hundred megabytes. So only the newest are read, one
//! after the other, and a list is used for two seconds.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Listed;
use super::Registry;
use super::Unchanged;
use super::version_name;
use crate::model::Card;

/// How many files are described.
pub const MAX_FILES: usize = 10;

/// How long a list is used.
const FOR: Duration = Duration::from_secs(2);

/// Files are read for a list until they have this many bytes together; further ones for the next list.
const MAX_BYTES: u64 = 16 << 20;

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
    at: Option<Duration>,
    list: Arc<Newest>,
    /// The state of each of its files when it was read.
    states: Vec<Option<Unchanged>>,
}

impl Registry {
    /// The newest files of the folder, as they were at most two seconds before this time on the steady clock.
    pub fn newest(&self, now: Duration) -> Arc<Newest> {
        let mut latest = self.newest.lock();
        if latest.at.is_some_and(|at| now.saturating_sub(at) < FOR) {
            return latest.list.clone();
        }
        let state = |path: &PathBuf| std::fs::metadata(self.folder.join(path));
        let mut files: Vec<(PathBuf, Option<(i64, i64)>, Option<Unchanged>)> = self
            .files()
            .into_iter()
            .map(|path| {
                let found = state(&path).ok();
                let written = found.as_ref().map(|file| (file.mtime(), file.mtime_nsec()));
                (path, written, found.map(Unchanged::from))
            })
            .collect();
        // Of files of the same time, the one with the larger name: model_v2 before model_v1.
        files.sort_by(|one, other| (&other.1, &other.0).cmp(&(&one.1, &one.0)));
        let others = files.split_off(files.len().min(MAX_FILES));
        let (mut bytes, mut briefs, mut states) = (0, Vec::new(), Vec::new());
        for (path, _, state) in files {
            let file = path.display().to_string();
            let before = latest.list.files.iter().zip(&latest.states);
            let mut before = before.filter(|(brief, before)| {
                brief.file == file && **before == state && brief.content != Content::Unread
            });
            let size = state.map_or(0, |state| state.bytes);
            let brief = match before.next().filter(|_| state.is_some()) {
                Some((brief, _)) => brief.clone(),
                None if bytes > 0 && bytes + size > MAX_BYTES => {
                    Brief { version: version_name(&path), file, content: Content::Unread }
                }
                None => {
                    bytes += size.max(1);
                    Brief::from(self.listed(&path))
                }
            };
            briefs.push(brief);
            states.push(state);
        }
        let is_whole = briefs.iter().all(|brief| brief.content != Content::Unread);
        let others = others.iter().map(|(path, ..)| path.display().to_string()).collect();
        let list = Arc::new(Newest { files: briefs, others });
        *latest = Latest { at: is_whole.then_some(now), list: list.clone(), states };
        list
    }
}

#[cfg(test)]
#[path = "newest_tests.rs"]
mod tests;
