//! Registry: the artifacts in the models folder, and nothing outside it.
//!
//! - [`listed`]: a file in the list of all. [`latest`]: the newest files in brief; `newest`: how they are found.
//! - `unchanged`: whether a file is still the same.

pub mod latest;
pub mod listed;
mod newest;
mod unchanged;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;

use parking_lot::Mutex;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::openat;
use thiserror::Error;

use self::latest::Latest;
use self::listed::Listed;
use self::unchanged::Unchanged;
use crate::canary::Version;
use crate::model::Artifact;
use crate::model::ArtifactError;
use crate::model::Card;
use crate::model::Model;
use crate::service::serving::inference::Inference;
use crate::service::serving::live::Loaded;
use crate::text::lists::is_one_line;

/// The models folder.
pub struct Registry {
    folder: PathBuf,
    decode: Box<Decode>,
    /// The files of the latest list. Held while the folder is listed.
    listing: Mutex<BTreeMap<PathBuf, (Option<Unchanged>, Listed)>>,
    /// The latest list of the newest files. Held while these are looked for.
    newest: Mutex<Latest>,
}

/// Turns the bytes of an artifact into a model.
pub type Decode = dyn Fn(&[u8]) -> Result<Decoded, ArtifactError> + Send + Sync;

/// What an artifact holds.
pub struct Decoded {
    /// The artifact's digest, in hexadecimal.
    pub digest: String,
    /// The model.
    pub model: Arc<dyn Model>,
    /// Its description, if it has one.
    pub card: Option<Card>,
}

/// An artifact that was found, read and verified.
pub struct Candidate {
    /// Its name, file and digest.
    pub version: Version,
    /// The bytes it was read from.
    pub bytes: Vec<u8>,
    /// Its model, ready to run.
    pub loaded: Arc<Loaded>,
}

/// Why a model cannot be found or loaded.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// The path is not one inside the models folder.
    #[error(
        "{path:?} is not a path inside the models folder ({why}); give a file name like \
             \"model_v2.bin\""
    )]
    Outside {
        /// The requested path.
        path: String,
        /// Why it is refused.
        why: &'static str,
    },
    /// No such file.
    #[error("there is no {path:?} in the models folder; {known}")]
    NotFound {
        /// The requested path.
        path: String,
        /// The files in the folder.
        known: String,
    },
    /// The stored artifact of a version has another digest.
    #[error("the artifact kept for {version} has the digest {found}, not {expected}")]
    OtherDigest {
        /// The version.
        version: String,
        /// Its digest.
        expected: String,
        /// The digest of what was found.
        found: String,
    },
    /// The file is not a model, or is damaged.
    #[error("{path:?} cannot be deployed: {cause}")]
    NotAModel {
        /// The requested path.
        path: String,
        /// What is wrong with it.
        cause: ArtifactError,
    },
}

impl Registry {
    /// The registry of this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Registry {
        Registry::with_decoder(folder, Box::new(decode))
    }

    /// A registry with its own decoder, for tests with models that misbehave.
    pub fn with_decoder(folder: impl Into<PathBuf>, decode: Box<Decode>) -> Registry {
        Registry {
            folder: folder.into(),
            decode,
            listing: Mutex::default(),
            newest: Mutex::default(),
        }
    }

    /// Finds, reads and verifies the artifact at a bare file name, at a path inside the folder, at such a path with
    /// the end of the folder's own path in front, or at an absolute path into the folder.
    ///
    /// # Errors
    /// When the path leaves the folder, does not exist, or is not a model.
    pub fn candidate(&self, requested: &str) -> Result<Candidate, RegistryError> {
        let (relative, path) = self.find(requested)?;
        let not_a_model = |cause| RegistryError::NotAModel { path: requested.to_owned(), cause };
        let bytes = self.read(&path).map_err(not_a_model)?;
        let decoded = (self.decode)(&bytes).map_err(not_a_model)?;
        let version = Version {
            name: version_name(&relative),
            file: relative.display().to_string(),
            digest: decoded.digest,
        };
        Ok(Candidate { loaded: load(version.clone(), decoded.model, decoded.card), version, bytes })
    }

    /// The model of a known version, from stored bytes.
    ///
    /// # Errors
    /// When the bytes are not that version's artifact.
    pub fn reload(&self, version: &Version, bytes: &[u8]) -> Result<Arc<Loaded>, RegistryError> {
        let decoded = (self.decode)(bytes)
            .map_err(|cause| RegistryError::NotAModel { path: version.file.clone(), cause })?;
        if decoded.digest != version.digest {
            return Err(RegistryError::OtherDigest {
                version: version.name.clone(),
                expected: version.digest.clone(),
                found: decoded.digest,
            });
        }
        Ok(load(version.clone(), decoded.model, decoded.card))
    }

    /// Every artifact of the folder and its subfolders, by name.
    pub fn list(&self) -> Vec<Listed> {
        // One list at a time, because cards can be large.
        let mut before = self.listing.lock();
        let mut now = BTreeMap::new();
        for relative in self.files() {
            let state = std::fs::metadata(self.folder.join(&relative)).ok().map(Unchanged::from);
            let kept = before.remove(&relative);
            let kept = kept.filter(|(unchanged, _)| state.is_some() && state == *unchanged);
            let listed = kept.map_or_else(|| self.listed(&relative), |(_, listed)| listed);
            now.insert(relative, (state, listed));
        }
        *before = now;
        before.values().map(|(_, listed)| listed.clone()).collect()
    }

    /// Whether a model of the folder takes this feature.
    pub(crate) fn knows(&self, feature: &str) -> bool {
        let takes = |card: Card| card.features.feature(feature).is_some();
        self.list().into_iter().filter_map(|listed| listed.card).any(takes)
    }

    fn listed(&self, relative: &Path) -> Listed {
        let (card, error) = match self.read_listed(relative) {
            // The rows are not listed, so they are not kept with the list.
            Ok(artifact) => {
                let card =
                    Card { kept_rows: Arc::default(), inputs: None, ..artifact.card().clone() };
                (Some(card), None)
            }
            Err(cause) => (None, Some(cause.to_string())),
        };
        let version = version_name(relative);
        Listed { file: relative.display().to_string(), version, card, error }
    }

    /// The requested path relative to the folder, and where it leads: first as given, then without the end of the
    /// folder's own path in front, the longest one first.
    fn find(&self, requested: &str) -> Result<(PathBuf, PathBuf), RegistryError> {
        // With its links followed, and as it was given.
        let folders = [self.folder.canonicalize(), std::path::absolute(&self.folder)];
        let within =
            folders.iter().flatten().find_map(|it| Path::new(requested).strip_prefix(it).ok());
        let within = within.and_then(Path::to_str);
        let literal = inside(requested, within.unwrap_or(requested))?;
        let not_found = match self.resolve(requested, &literal) {
            Err(error @ RegistryError::NotFound { .. }) => error,
            outcome => return outcome.map(|path| (literal, path)),
        };
        // As typed where the server was started with --models churn/models: "churn/models/model_v2.bin". And
        // "models/model_v2.bin", whatever the folder is called.
        let ends = folders.iter().flatten().flat_map(|folder| ends(folder));
        for end in ends.chain([PathBuf::from("models")]) {
            let Ok(rest) = literal.strip_prefix(&end) else { continue };
            if rest.as_os_str().is_empty() {
                continue;
            }
            match self.resolve(requested, rest) {
                Err(RegistryError::NotFound { .. }) => {}
                outcome => return outcome.map(|path| (rest.to_owned(), path)),
            }
        }
        Err(not_found)
    }

    /// The resolved path, links followed; never outside the folder.
    fn resolve(&self, requested: &str, relative: &Path) -> Result<PathBuf, RegistryError> {
        let not_found =
            || RegistryError::NotFound { path: requested.to_owned(), known: self.known() };
        let folder = self.folder.canonicalize().map_err(|_| not_found())?;
        let path = folder.join(relative);
        let path = path.canonicalize().map_err(|cause| match path.symlink_metadata() {
            Ok(_) => RegistryError::NotAModel {
                path: requested.to_owned(),
                cause: ArtifactError::Unreadable { cause },
            },
            Err(_) => not_found(),
        })?;
        if !path.starts_with(&folder) {
            let why = "it is a link that leads out of the folder";
            return Err(RegistryError::Outside { path: requested.to_owned(), why });
        }
        if path.is_dir() {
            return Err(not_found());
        }
        Ok(path)
    }

    /// The bytes of a resolved file. Its folders are opened one by one and no link is followed, so that a file that
    /// was replaced in the meantime cannot lead out of the models folder.
    fn read(&self, path: &Path) -> Result<Vec<u8>, ArtifactError> {
        let unreadable = |cause: io::Error| ArtifactError::Unreadable { cause };
        let folder = self.folder.canonicalize().map_err(unreadable)?;
        let relative = path.strip_prefix(&folder).map_err(|_| ArtifactError::NotAFile)?;
        let mut at = File::open(&folder).map_err(unreadable)?;
        for component in relative.components() {
            // Without NONBLOCK, a pipe would wait for a writer.
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let opened = openat(&at, component.as_os_str(), flags, Mode::empty());
            at = File::from(opened.map_err(|cause| unreadable(cause.into()))?);
        }
        Artifact::bytes_of(at)
    }

    fn read_listed(&self, relative: &Path) -> Result<Artifact, RegistryError> {
        let name = relative.display().to_string();
        let path = self.resolve(&name, relative)?;
        let artifact = self.read(&path).and_then(|bytes| Artifact::from_bytes(&bytes));
        artifact.map_err(|cause| RegistryError::NotAModel { path: name, cause })
    }

    fn known(&self) -> String {
        let files: Vec<String> =
            self.files().iter().map(|file| format!("{file:?}")).take(10).collect();
        if !self.folder.is_dir() {
            return format!(
                "the folder {} does not exist; make a model with serin train",
                self.folder.display()
            );
        }
        if files.is_empty() {
            return "it is empty: make a model with serin train".to_owned();
        }
        format!("there are: {}", files.join(", "))
    }

    /// The artifacts' paths relative to the folder, sorted. Links are listed, not followed.
    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                let (path, kind) = (entry.path(), entry.file_type());
                if kind.as_ref().is_ok_and(std::fs::FileType::is_dir) {
                    folders.push(path);
                } else if path
                    .extension()
                    .is_some_and(|ending| ENDINGS.iter().any(|one| ending == *one))
                {
                    found.extend(path.strip_prefix(&self.folder).map(Path::to_owned));
                }
            }
        }
        found.sort();
        found
    }
}

/// The requested path relative to the folder. `within` is what remains of it without the folder's absolute path.
fn inside(requested: &str, within: &str) -> Result<PathBuf, RegistryError> {
    let outside = |why| RegistryError::Outside { path: requested.to_owned(), why };
    if within.is_empty() {
        return Err(outside("it is empty"));
    }
    if requested.contains(['%', '\\']) || !is_one_line(requested) {
        return Err(outside(
            "paths are taken literally; %, \\ and control characters are not allowed",
        ));
    }
    let mut relative = PathBuf::new();
    for component in Path::new(within).components() {
        match component {
            Component::Normal(name) => relative.push(name),
            Component::CurDir => {}
            Component::ParentDir => return Err(outside("it has a \"..\"")),
            Component::RootDir | Component::Prefix(_) => return Err(outside("it leads elsewhere")),
        }
    }
    Ok(relative)
}

/// The ends of a path, the longest first: `a/b/c`, `b/c`, `c`.
fn ends(path: &Path) -> impl Iterator<Item = PathBuf> {
    let names = path.components().filter(|part| matches!(part, Component::Normal(_)));
    let names: Vec<Component<'_>> = names.collect();
    (0..names.len()).map(move |from| names[from..].iter().collect())
}

/// Endings of files that are listed as models. A LightGBM model in a .txt file and an XGBoost model in a .json file
/// are taken when they are named, because other texts have these endings, too.
const ENDINGS: [&str; 5] = ["bin", "lgb", "ubj", "skops", "onnx"];

fn version_name(relative: &Path) -> String {
    relative.with_extension("").display().to_string()
}

fn load(version: Version, model: Arc<dyn Model>, card: Option<Card>) -> Arc<Loaded> {
    Arc::new(Loaded { version, inference: Inference::new(model), card, trial: OnceLock::new() })
}

fn decode(bytes: &[u8]) -> Result<Decoded, ArtifactError> {
    let artifact = Artifact::from_bytes(bytes)?;
    artifact.prepare()?;
    let card = Some(artifact.card().clone());
    Ok(Decoded { digest: artifact.digest().to_string(), model: artifact.model(), card })
}
