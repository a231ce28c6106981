//! Model folder of MLflow: its `MLmodel` names the model file and the inputs.
//!
//! - `scalars`: the part of YAML that MLflow writes.
//! - `saving`: lines of Python that save a model in a way that is read.
//!
//! Flavors whose file is data are read. Pickles are programs and are refused with the lines that save the model in
//! another way. No path leaves the folder.

mod saving;
mod scalars;

use std::fs;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use thiserror::Error;

use self::saving::Saving;
use self::scalars::MAX_BYTES;
use self::scalars::Scalars;
use super::names::Column;
use super::names::ColumnKind;
use crate::model::Artifact;
use crate::model::artifact::ArtifactError;
use crate::text::lists::list;
use crate::text::lists::quoted;

/// Flavors that are read, with the key of their file. The first that a folder has is taken.
const FLAVORS: [(&str, &str); 4] =
    [("sklearn", "pickled_model"), ("xgboost", "data"), ("lightgbm", "data"), ("onnx", "data")];

/// A folder that was read.
#[derive(Debug)]
pub struct Folder {
    /// The model file.
    pub file: Vec<u8>,
    /// The inputs of the signature, in order; `None` without a signature of named columns.
    pub columns: Option<Vec<Column>>,
}

/// Reads a folder.
///
/// # Errors
///
/// [`MlflowError`] names the key of the `MLmodel`, and the lines of Python that help.
pub fn read(folder: &Path) -> Result<Folder, MlflowError> {
    let text = description(folder)?;
    let scalars = Scalars::read(&text).map_err(|problem| MlflowError::Description { problem })?;
    let (flavor, name) = flavor(folder, &scalars)?;
    check_is_data(folder, &scalars, flavor, name)?;
    let place = format!("flavors.{flavor}");
    let path = inside(folder, name)
        .ok_or_else(|| MlflowError::Outside { place: place.clone(), name: quoted(name) })?;
    let file = Artifact::read_bytes(&path).map_err(|cause| MlflowError::File {
        place,
        name: quoted(name),
        cause: Box::new(cause),
    })?;
    if flavor == "onnx" && has_more_files(folder, &file) {
        let lines = Saving::OnnxInOneFile.lines(folder);
        return Err(MlflowError::MoreFiles { name: quoted(name), lines });
    }
    let columns = match scalars.text(&["signature", "inputs"]) {
        Some(inputs) => columns(inputs)?,
        None => None,
    };
    Ok(Folder { file, columns })
}

/// The text of the `MLmodel`.
fn description(folder: &Path) -> Result<String, MlflowError> {
    let refusal = |problem: String| MlflowError::Description { problem };
    let path = folder.join("MLmodel");
    let size = fs::metadata(&path).ok().filter(fs::Metadata::is_file).map(|about| about.len());
    let size = size.ok_or(MlflowError::NoDescription)?;
    if size > MAX_BYTES as u64 {
        return Err(refusal(format!("{size} bytes, at most {MAX_BYTES} are read")));
    }
    fs::read_to_string(path).map_err(|cause| refusal(cause.to_string()))
}

/// The flavor to read, and the name of its file.
fn flavor<'s>(folder: &Path, scalars: &'s Scalars) -> Result<(&'static str, &'s str), MlflowError> {
    for (flavor, key) in FLAVORS {
        if let Some(name) = scalars.text(&["flavors", flavor, key]) {
            return Ok((flavor, name));
        }
    }
    let found = scalars.keys("flavors");
    if found.contains(&"catboost") {
        return Err(MlflowError::CatBoost { lines: Saving::CatBoostAsOnnx.lines(folder) });
    }
    let others: Vec<String> =
        found.iter().filter(|name| **name != "python_function").map(|name| quoted(name)).collect();
    if !others.is_empty() {
        return Err(MlflowError::Flavor { flavors: list(&others) });
    }
    Err(match found.is_empty() {
        true => MlflowError::Description { problem: "it has no flavors".to_owned() },
        false => MlflowError::Program,
    })
}

/// Refuses a file that is a program.
fn check_is_data(
    folder: &Path,
    scalars: &Scalars,
    flavor: &str,
    name: &str,
) -> Result<(), MlflowError> {
    let format = scalars.text(&["flavors", flavor, "serialization_format"]);
    let is_pickle = name.ends_with(".pkl") || name.ends_with(".pickle");
    // LightGBM's `serialization_format` is that of the wrapper, also where the file is the booster's text.
    let says_so = flavor == "sklearn" && format.is_some_and(|format| format != "skops");
    if !is_pickle && !says_so {
        return Ok(());
    }
    let saving = match flavor {
        "sklearn" => Saving::SklearnAsSkops,
        "lightgbm" => Saving::LightgbmAsText,
        "xgboost" => Saving::XgboostAsUbj,
        _ => Saving::OnnxInOneFile,
    };
    Err(MlflowError::Pickle {
        flavor: flavor.to_owned(),
        name: quoted(name),
        lines: saving.lines(folder),
    })
}

/// Whether an ONNX file keeps constants in other files of the folder, as MLflow writes large ones by default.
fn has_more_files(folder: &Path, file: &[u8]) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().map(|entry| entry.file_name()).any(|name| {
        let name = name.as_encoded_bytes();
        name.ends_with(b".data") && file.windows(name.len()).any(|part| part == name)
    })
}

/// The path of a file in the folder; `None` if it is elsewhere.
fn inside(folder: &Path, name: &str) -> Option<PathBuf> {
    let relative = Path::new(name);
    if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let path = folder.join(relative);
    match (folder.canonicalize(), path.canonicalize()) {
        (Ok(folder), Ok(path)) => path.starts_with(folder).then_some(path),
        // It does not exist, which reading it says.
        _ => Some(path),
    }
}

/// A column of a signature. A tensor has no name.
#[derive(Deserialize)]
struct Input {
    name: Option<String>,
    #[serde(rename = "type")]
    kind: serde_json::Value,
}

/// The columns of a signature, if they have names.
fn columns(inputs: &str) -> Result<Option<Vec<Column>>, MlflowError> {
    let inputs: Vec<Input> = serde_json::from_str(inputs).map_err(|cause| {
        MlflowError::Description { problem: format!("signature.inputs: {cause}") }
    })?;
    let column = |input: Input| -> Result<Option<Column>, MlflowError> {
        let kind = match input.kind.as_str() {
            Some("tensor") => return Ok(None),
            Some("integer" | "long" | "float" | "double") => ColumnKind::Number,
            Some("boolean") => ColumnKind::Flag,
            Some("string") => ColumnKind::Word,
            _ => {
                let kind = quoted(input.kind.as_str().unwrap_or("array"));
                let name =
                    input.name.map_or_else(String::new, |name| format!("{}: ", quoted(&name)));
                let problem = format!(
                    "signature.inputs: {name}the type {kind} is not an input that serin takes; use numbers, booleans \
                     and strings"
                );
                return Err(MlflowError::Description { problem });
            }
        };
        Ok(input.name.map(|name| Column { name, kind: Some(kind) }))
    };
    inputs.into_iter().map(column).collect()
}

/// Why a folder is not imported.
#[derive(Debug, Error)]
pub enum MlflowError {
    /// There is no description.
    #[error(
        "this folder has no file MLmodel; give a model file, or the folder of a model that MLflow saved"
    )]
    NoDescription,
    /// The description cannot be read.
    #[error("MLmodel: {problem}")]
    Description {
        /// Where, and why.
        problem: String,
    },
    /// No flavor of the folder is read.
    #[error(
        "MLmodel: flavors: {flavors}: its file is not read. Read are sklearn (skops), xgboost, lightgbm and onnx: save a \
         network with mlflow.onnx, and write a linear or logistic regression as coefficients (docs/models.md)"
    )]
    Flavor {
        /// The flavors it has.
        flavors: String,
    },
    /// A Python program of the user.
    #[error(
        "MLmodel: flavors: `python_function`: a Python program is not run; export the model inside it, in Python: \
         serin.export(model, X, \"churn.bin\")"
    )]
    Program,
    /// A model of CatBoost in its own format.
    #[error(
        "MLmodel: flavors.catboost: its file is not read; save the model as ONNX, which CatBoost writes for models of \
         numbers only, in Python:\n{lines}"
    )]
    CatBoost {
        /// The lines of Python.
        lines: String,
    },
    /// The file is a program.
    #[error(
        "MLmodel: flavors.{flavor}: {name} is a pickle, which is a program and never read; save the model again in \
         Python:\n{lines}"
    )]
    Pickle {
        /// The flavor.
        flavor: String,
        /// The file.
        name: String,
        /// The lines of Python.
        lines: String,
    },
    /// The constants of an ONNX file are elsewhere.
    #[error(
        "MLmodel: flavors.onnx: {name} keeps its constants in other files, which are not read; save the model again in \
         Python:\n{lines}"
    )]
    MoreFiles {
        /// The file.
        name: String,
        /// The lines of Python.
        lines: String,
    },
    /// The file is elsewhere.
    #[error("MLmodel: {place}: {name} is not in the folder; its file must be")]
    Outside {
        /// The flavor.
        place: String,
        /// The name.
        name: String,
    },
    /// The file cannot be read.
    #[error("MLmodel: {place}: {name}: {cause}")]
    File {
        /// The flavor.
        place: String,
        /// The name.
        name: String,
        /// Why.
        cause: Box<ArtifactError>,
    },
}

#[cfg(test)]
#[path = "mlflow/mlflow_tests.rs"]
mod tests;
