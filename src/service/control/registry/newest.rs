//! The newest files of the models folder, for pages that look twice a second while they are open.
//!
//! A folder may have hundreds of files on a slow disk, some of a hundred megabytes. So only the newest are read, one
//! after the other, and a list is used for two seconds.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Registry;
use super::latest::Brief;
use super::latest::Content;
use super::latest::Latest;
use super::latest::MAX_FILES;
use super::latest::Newest;
use super::unchanged::Unchanged;
use super::version_name;

/// How long a list is used.
const FOR: Duration = Duration::from_secs(2);

/// Files are read for a list until they have this many bytes together; further ones for the next list.
const MAX_BYTES: u64 = 16 << 20;

impl Registry {
    /// The newest files of the folder, as they were at most two seconds before this time on the steady clock.
    pub fn newest(&self, now: Duration) -> Arc<Newest> {
        let mut latest = self.newest.lock();
        if latest.at.is_some_and(|at| now.saturating_sub(at) < FOR) {
            return latest.list.clone();
        }
        let state = |path: &PathBuf| std::fs::metadata(self.folder.join(path));
        let found = |path: PathBuf| {
            let found = state(&path).ok();
            let written = found.as_ref().map(|file| (file.mtime(), file.mtime_nsec()));
            (path, written, found.map(Unchanged::from))
        };
        let mut files: Vec<_> = self.files().into_iter().map(found).collect();
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
