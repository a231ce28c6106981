//! ONNX Runtime: the library that runs ONNX files, opened once for the whole process.
//!
//! It is neither linked nor downloaded: `--onnxruntime` names the file. `ort` is never left to look for one, because
//! it panics where there is none. The library stays open until the process ends.

use std::fmt;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::logging::LogLevel;
use parking_lot::Mutex;
use thiserror::Error;

use crate::text::lists::listed;

/// What to do without a library.
pub const HOW_TO_INSTALL: &str = "pip install onnxruntime, and give --onnxruntime (or SERIN_ONNXRUNTIME) the file \
     onnxruntime/capi/libonnxruntime.so.<version> in its site-packages";

/// The open library.
struct Runtime {
    path: PathBuf,
    version: String,
    environment: Environment,
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// Held while the library is opened.
static OPENING: Mutex<()> = Mutex::new(());

/// Why ONNX Runtime is not available.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// No library was named.
    #[error("an ONNX model needs ONNX Runtime 1.23 or newer: {HOW_TO_INSTALL}")]
    NotGiven,
    /// The file cannot be found.
    #[error("{}: {cause}; {HOW_TO_INSTALL}", path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The path is a folder.
    #[error("{}: it is a folder, name the library itself{found}", path.display())]
    Folder {
        /// The path.
        path: PathBuf,
        /// ": it has ..", or nothing.
        found: String,
    },
    /// The file is not a library that can be used.
    #[error("{}: not a usable ONNX Runtime 1.23 or newer ({cause}); {HOW_TO_INSTALL}", path.display())]
    Unusable {
        /// The path.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Another library is already open.
    #[error("{}: this process already runs {}; restart it to change the library", path.display(), open.display())]
    AnotherIsOpen {
        /// The path.
        path: PathBuf,
        /// The library that is open.
        open: PathBuf,
    },
}

/// Opens the library. Opening the same one again does nothing.
///
/// # Errors
///
/// [`RuntimeError`] says what the file is instead.
pub fn open(path: &Path) -> Result<(), RuntimeError> {
    let _one_at_a_time = OPENING.lock();
    // Absolute, because ort looks for a relative path beside the executable first.
    let found = path.canonicalize();
    let found = found.map_err(|cause| RuntimeError::NotFound { path: path.to_owned(), cause })?;
    if found.is_dir() {
        return Err(RuntimeError::Folder { path: path.to_owned(), found: libraries(&found) });
    }
    if let Some(runtime) = RUNTIME.get() {
        return match runtime.path == found {
            true => Ok(()),
            false => {
                let open = runtime.path.clone();
                Err(RuntimeError::AnotherIsOpen { path: path.to_owned(), open })
            }
        };
    }
    let unusable = |cause: String| RuntimeError::Unusable { path: path.to_owned(), cause };
    let builder = ort::init_from(&found).map_err(|cause| unusable(cause.to_string()))?;
    let builder = builder.with_name("serin").with_telemetry(false).with_logger(Arc::new(log));
    let environment = builder.build().map_err(|cause| unusable(cause.to_string()))?;
    // Exporters write output shapes that the runtime warns of with every run.
    environment.set_log_level(LogLevel::Error);
    let version = version_of(&found, ort::info());
    tracing::debug!(%version, path = %found.display(), "opened ONNX Runtime");
    let _ = RUNTIME.set(Runtime { path: found, version, environment });
    Ok(())
}

/// The environment of the open library.
pub(super) fn environment() -> Result<&'static Environment, RuntimeError> {
    RUNTIME.get().map(|runtime| &runtime.environment).ok_or(RuntimeError::NotGiven)
}

/// The open library in words: `ONNX Runtime 1.32.0`.
pub fn version() -> Option<&'static str> {
    RUNTIME.get().map(|runtime| runtime.version.as_str())
}

/// Every message that the library would print.
fn log(_: LogLevel, _category: &str, _id: &str, location: &str, message: &str) {
    tracing::debug!(target: "onnxruntime", location, "{message}");
}

/// The version in the file's name, as all wheels and archives have it, or the commit that it was built from.
fn version_of(path: &Path, build: &str) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = |text: &str| {
        let text = text.trim_matches('.');
        let is_version = text.split('.').count() == 3
            && text
                .split('.')
                .all(|part| !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit()));
        is_version.then(|| text.to_owned())
    };
    let after = name.split_once(".so.").map(|(_, after)| after);
    let within =
        || name.strip_prefix("libonnxruntime.").and_then(|rest| rest.strip_suffix(".dylib"));
    let commit = || {
        let (_, after) = build.split_once("git-commit-id=")?;
        let commit: String = after.chars().take_while(char::is_ascii_alphanumeric).collect();
        Some(format!("of commit {commit}"))
    };
    let version = after.or_else(within).and_then(number).or_else(commit);
    format!("ONNX Runtime {}", version.unwrap_or_else(|| "1.23 or newer".to_owned()))
}

/// The libraries in a folder, or in the folder of a wheel.
fn libraries(folder: &Path) -> String {
    let entries = ["", "capi", "onnxruntime/capi"].map(|part| std::fs::read_dir(folder.join(part)));
    let paths = entries.into_iter().flatten().flatten().flatten().map(|entry| entry.path());
    let named = paths.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libonnxruntime.")
    });
    let mut found: Vec<String> = named.map(|path| path.display().to_string()).collect();
    found.sort();
    match found.is_empty() {
        true => format!("; {HOW_TO_INSTALL}"),
        false => format!(": {}", listed(found.iter().map(String::as_str))),
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_file_or_the_commit() {
        let build = "ORT Build Info: git-branch=HEAD, git-commit-id=fab30a4, build type=Release";
        for (name, expected) in [
            ("libonnxruntime.so.1.32.0", "ONNX Runtime 1.32.0"),
            ("libonnxruntime.1.24.1.dylib", "ONNX Runtime 1.24.1"),
            ("libonnxruntime.so", "ONNX Runtime of commit fab30a4"),
            ("libonnxruntime.so.1", "ONNX Runtime of commit fab30a4"),
        ] {
            assert_eq!(version_of(Path::new(name), build), expected);
        }
        assert_eq!(version_of(Path::new("x.so"), ""), "ONNX Runtime 1.23 or newer");
    }
}
