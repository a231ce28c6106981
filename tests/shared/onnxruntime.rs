//! The library that runs ONNX models: `SERIN_ONNXRUNTIME`, or that of the Python environment of `make test`.

use std::env;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Its path. Without one the test fails: nothing is skipped.
pub fn library() -> PathBuf {
    let given = env::var_os("SERIN_ONNXRUNTIME").map(PathBuf::from);
    given.or_else(|| in_environment(Path::new(env!("CARGO_MANIFEST_DIR")))).unwrap_or_else(|| {
        panic!("this test needs ONNX Runtime: run make .venv/ready, or set SERIN_ONNXRUNTIME to libonnxruntime.so")
    })
}

fn in_environment(root: &Path) -> Option<PathBuf> {
    let pythons = fs::read_dir(root.join(".venv/lib")).ok()?.flatten();
    let folders = pythons.map(|python| python.path().join("site-packages/onnxruntime/capi"));
    let files = folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    files.map(|file| file.path()).find(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libonnxruntime.so"))
    })
}
