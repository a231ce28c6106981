//! Default models of a new server: a stable model and its successor.

use std::io;
use std::path::Path;
use std::path::PathBuf;

use thiserror::Error;

use super::TrainingOptions;
use super::error::TrainingError;
use super::synthetic;
use super::synthetic::Churn;
use super::train;
use crate::model::artifact::Artifact;
use crate::model::artifact::error::ArtifactError;
use crate::model::dataset::error::DatasetError;

/// File names of the default models: the stable one and its successor.
pub const DEFAULT_MODELS: [&str; 2] = ["model_v1.bin", "model_v2.bin"];

/// Trains and writes the default models that a folder lacks; existing files stay unchanged. Returns the
/// paths written.
///
/// # Errors
///
/// [`DefaultsError`], when the folder or a file cannot be written.
pub fn ensure_default_models(folder: &Path) -> Result<Vec<PathBuf>, DefaultsError> {
    let missing: Vec<&str> =
        DEFAULT_MODELS.into_iter().filter(|name| !folder.join(name).exists()).collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let models = train_default_models(&TrainingOptions::default())?;
    let missing = models.into_iter().filter(|(name, _)| missing.contains(name));
    write_models(folder, missing)
}

/// Trains both, each on its own data; the second uses the next seed.
///
/// # Errors
///
/// [`DefaultsError`], when an option is out of its range.
pub fn train_default_models(
    options: &TrainingOptions,
) -> Result<[(&'static str, Artifact); 2], DefaultsError> {
    let [first, second] = DEFAULT_MODELS;
    let next = TrainingOptions { seed: options.seed.wrapping_add(1), ..*options };
    Ok([
        (first, train(&synthetic::churn(&Churn::v1(options.seed))?, options)?),
        (second, train(&synthetic::churn(&Churn::v2(next.seed))?, &next)?),
    ])
}

/// Writes models into a folder, creating it if necessary. Returns the paths.
///
/// # Errors
///
/// [`DefaultsError`], when the folder or a file cannot be written.
pub fn write_models(
    folder: &Path,
    models: impl IntoIterator<Item = (&'static str, Artifact)>,
) -> Result<Vec<PathBuf>, DefaultsError> {
    std::fs::create_dir_all(folder)
        .map_err(|cause| DefaultsError::Folder { path: folder.display().to_string(), cause })?;
    let write = |(name, artifact): (&str, Artifact)| {
        let path = folder.join(name);
        artifact.write(&path).map_err(|cause| DefaultsError::File {
            path: path.display().to_string(),
            cause: Box::new(cause),
        })?;
        Ok(path)
    };
    models.into_iter().map(write).collect()
}

/// Why the default models cannot be made.
#[derive(Debug, Error)]
pub enum DefaultsError {
    /// The folder cannot be created.
    #[error("{path}: cannot create the folder ({cause}); choose another with --models")]
    Folder {
        /// The folder.
        path: String,
        /// The system's reason.
        cause: io::Error,
    },
    /// A file cannot be written.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: String,
        /// The reason.
        cause: Box<ArtifactError>,
    },
    /// The data cannot be generated.
    #[error(transparent)]
    Data(#[from] DatasetError),
    /// The models cannot be trained.
    #[error(transparent)]
    Training(#[from] TrainingError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::features::Features;
    use crate::model::schema::features::Value;

    #[test]
    fn missing_models_are_written_and_existing_ones_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("models");
        let paths = DEFAULT_MODELS.map(|name| folder.join(name));
        assert_eq!(ensure_default_models(&folder).unwrap(), paths);
        assert!(ensure_default_models(&folder).unwrap().is_empty());

        std::fs::write(&paths[0], "mine").unwrap();
        std::fs::remove_file(&paths[1]).unwrap();
        assert_eq!(ensure_default_models(&folder).unwrap(), paths[1..]);
        assert_eq!(std::fs::read(&paths[0]).unwrap(), b"mine");
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let bytes = |seed| {
            let options = TrainingOptions { seed, ..TrainingOptions::default() };
            train_default_models(&options).unwrap().map(|(_, model)| model.to_bytes().to_vec())
        };
        let [first, second] = bytes(7);
        assert_eq!(bytes(7), [first.clone(), second.clone()]);
        assert_eq!(std::thread::spawn(move || bytes(7)).join().unwrap(), [first, second]);
        assert_ne!(bytes(7), bytes(8));
    }

    #[test]
    fn both_are_plausible_and_differ_slightly_on_an_ordinary_customer() {
        let answers =
            train_default_models(&TrainingOptions::default()).unwrap().map(|(_, model)| {
                let auc = model.card().trained().unwrap().holdout.auc;
                assert!((0.75..0.88).contains(&auc), "{auc}");
                let values = [0.5, 1.2, 0.8, 0.3, 1.1].map(Value::Number).to_vec();
                let model = model.model();
                let row = model.schema().row(Features::Ordered(values)).unwrap();
                model.predict(&row).unwrap().score()
            });
        let difference = (answers[0] - answers[1]).abs();
        assert!(difference > 0.001 && difference < 0.1, "{answers:?}");
        assert!(answers.iter().all(|answer| (0.3..0.9).contains(answer)), "{answers:?}");
    }
}
