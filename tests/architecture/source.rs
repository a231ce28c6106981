//! A source file and its module path.

use std::fs;
use std::io;
use std::path::Path;

use super::rules::LAYERS;

pub struct Source {
    /// With forward slashes, from the repository's root: `src/stats/fixed_horizon/welch.rs`.
    pub path: String,
    pub text: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    /// The module path of the file: `src/stats/fixed_horizon/welch.rs` is `stats::welch`, and
    /// `src/stats/welch_tests.rs` is `stats::welch::tests`.
    pub fn module(&self) -> Vec<String> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut module: Vec<String> = inner.split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
            module.pop();
        }
        if let Some(tested) = module.last_mut().filter(|last| last.ends_with("_tests")) {
            tested.truncate(tested.len() - "_tests".len());
            module.push("tests".to_owned());
        }
        module
    }

    /// Whether the whole file is tests: `tests.rs` or `.._tests.rs`, declared under `#[cfg(test)]`.
    pub fn is_test(&self) -> bool {
        self.module().last().is_some_and(|last| last == "tests")
    }

    /// `None` for `lib.rs` and `main.rs`, which may name every layer.
    pub fn layer(&self) -> Option<&'static str> {
        let module = self.module();
        let first = module.first()?;
        LAYERS.iter().map(|(layer, _)| *layer).find(|layer| layer == first)
    }
}

pub fn read_sources(root: &Path) -> io::Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(root).map_err(io::Error::other)?;
                let relative = relative.to_string_lossy().replace('\\', "/");
                sources.push(Source::new(&relative, &fs::read_to_string(&path)?));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}
