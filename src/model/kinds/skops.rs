//! Reader of skops files: estimators and pipelines of scikit-learn, without Python.
//!
//! Source: the files that skops 0.16 writes with `skops.io.dump`, protocol 2. A file is a zip archive of
//! `schema.json`, a tree of Python objects, and arrays of NumPy.
//!
//! - `archive`, `npy`, `schema`, `node`: from bytes to Python objects.
//! - `columns`: transformers become steps of [`Columns`](crate::model::kinds::columns::Columns).
//! - `estimator`: which class is read by which file.
//! - `trees`, `boosting`, `histogram`, `linear`: estimators.
//!
//! The list of classes is closed: another one is refused with its name and place. No class is imported and
//! no code of the file runs.

pub(crate) mod archive;
pub(crate) mod npy;
pub(crate) mod schema;

pub(crate) mod node;

pub(crate) mod columns;

pub(crate) mod fitted;

pub(crate) mod boosting;
pub(crate) mod histogram;
pub(crate) mod linear;
pub(crate) mod trees;

pub(crate) mod estimator;

use self::archive::Archive;
use self::node::Node;
use self::schema::Json;
use crate::model::kinds::parsed::Parsed;
use crate::model::kinds::refusal::Reading;

/// Whether a file looks like a zip archive, as skops files do.
pub fn is_skops(bytes: &[u8]) -> bool {
    archive::is_archive(bytes)
}

/// Reads a model.
///
/// # Errors
///
/// [`Refusal`](crate::model::kinds::refusal::Refusal) names the place in the archive or in the tree of objects.
pub fn read(bytes: &[u8]) -> Reading<Parsed> {
    let archive = Archive::read(bytes)?;
    let json = Json::read(archive.entry("schema.json")?)?;
    estimator::read(&Node::root(&json, &archive))
}

#[cfg(test)]
#[path = "skops/skops_tests.rs"]
mod tests;
