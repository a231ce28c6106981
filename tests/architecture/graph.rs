//! The import graph of `src`: which file imports which, its circles, and the order of the rooms.
//!
//! A node is a file; a folder's `mod.rs` is a file like any other. An import of a re-exported name is an
//! import of the file that defines it, and a re-export by itself is not an import. Tests are left out.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::paths::PathUse;
use super::paths::Target;
use super::paths::paths;
use super::rules::may_import;
use super::source::Source;
use super::tokens::tokens;

/// Files in a folder, `mod.rs` and tests aside: with more, a folder no longer fits on one page.
const MAX_FILES: usize = 14;

type Module = Vec<String>;

/// An import between two files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    pub from: String,
    pub line: usize,
    pub to: String,
    /// What is imported, from the crate's root: `stats::welch::WelchT`.
    pub name: String,
}

pub struct Graph {
    /// One import for each pair of files, the first in the importing file.
    pub imports: Vec<Import>,
    files: Vec<String>,
}

impl Graph {
    pub fn new(sources: &[Source]) -> Graph {
        let sources: Vec<&Source> = sources.iter().filter(|source| !source.is_test()).collect();
        let modules: BTreeMap<Module, &str> =
            sources.iter().map(|source| (source.module(), source.path.as_str())).collect();
        let uses: Vec<(&Source, Vec<PathUse>)> =
            sources.iter().map(|source| (*source, named(source, &modules))).collect();
        let reexports: BTreeMap<Module, Module> = uses
            .iter()
            .flat_map(|(source, paths)| paths.iter().filter_map(|path| reexport(source, path)))
            .collect();

        let mut imports = BTreeMap::new();
        for (source, paths) in &uses {
            for path in paths.iter().filter(|path| !path.in_test && !path.is_reexport) {
                let Target::Ours(target) = &path.target else { continue };
                let target = defined(target, &modules, &reexports);
                let Some(to) = file_of(&target, &modules) else { continue };
                if to != source.path {
                    let pair = (source.path.clone(), to.to_owned());
                    imports.entry(pair).or_insert_with(|| Import {
                        from: source.path.clone(),
                        line: path.line,
                        to: to.to_owned(),
                        name: target.join("::"),
                    });
                }
            }
        }
        let files = sources.iter().map(|source| source.path.clone()).collect();
        Graph { imports: imports.into_values().collect(), files }
    }

    /// The sets of files that import each other in a circle, each with the imports within it.
    pub fn circles(&self) -> Vec<Vec<&Import>> {
        let reach: BTreeMap<&str, BTreeSet<&str>> =
            self.files.iter().map(|file| (file.as_str(), self.reached_from(file))).collect();
        let tied = |a: &str, b: &str| reach[a].contains(b) && reach[b].contains(a);
        let mut circles: Vec<Vec<&Import>> = Vec::new();
        for import in self.imports.iter().filter(|import| tied(&import.from, &import.to)) {
            match circles.iter_mut().find(|circle| tied(&circle[0].from, &import.from)) {
                Some(circle) => circle.push(import),
                None => circles.push(vec![import]),
            }
        }
        circles
    }

    /// Imports against the order of the rooms of a layer.
    pub fn against_the_rooms(&self) -> Vec<String> {
        let against = |import: &&Import| !may_import(&import.from, &import.to);
        self.imports
            .iter()
            .filter(against)
            .map(|import| {
                format!(
                    "{}:{}: imports {} ({}) against the order of the rooms",
                    import.from, import.line, import.to, import.name
                )
            })
            .collect()
    }

    /// Folders with more than [`MAX_FILES`] files.
    pub fn crowded_folders(&self) -> Vec<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for file in self.files.iter().filter(|file| !file.ends_with("/mod.rs")) {
            let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
            *counts.entry(folder).or_default() += 1;
        }
        counts
            .into_iter()
            .filter(|(_, count)| *count > MAX_FILES)
            .map(|(folder, count)| format!("{folder}: {count} files, at most {MAX_FILES}"))
            .collect()
    }

    fn reached_from(&self, file: &str) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![file];
        while let Some(from) = waiting.pop() {
            for import in self.imports.iter().filter(|import| import.from == from) {
                if reached.insert(import.to.as_str()) {
                    waiting.push(&import.to);
                }
            }
        }
        reached
    }
}

/// What a file names, with paths that start at a child module (`use clock::Clock;`) read as ours.
fn named(source: &Source, modules: &BTreeMap<Module, &str>) -> Vec<PathUse> {
    let mut paths = paths(&tokens(&source.text), source.module());
    for path in &mut paths {
        let Target::Foreign(segments) = &path.target else { continue };
        let mut child = source.module();
        child.extend(segments.iter().take(1).cloned());
        if modules.keys().any(|module| module.starts_with(&child)) {
            child.extend(segments.iter().skip(1).cloned());
            path.target = Target::Ours(child);
        }
    }
    paths
}

/// The public name that a `pub use` makes, and what it stands for.
fn reexport(source: &Source, path: &PathUse) -> Option<(Module, Module)> {
    let Target::Ours(target) = &path.target else { return None };
    let mut name = source.module();
    name.push(target.last()?.clone());
    (path.is_reexport && name != *target).then(|| (name, target.clone()))
}

/// Follows re-exports to the module that defines the name.
fn defined(
    target: &Module,
    modules: &BTreeMap<Module, &str>,
    reexports: &BTreeMap<Module, Module>,
) -> Module {
    let mut target = target.clone();
    // A chain of re-exports is short; the bound ends one that leads back to itself.
    for _ in 0..8 {
        let face = (1..=target.len()).rev().find(|length| {
            reexports.contains_key(&target[..*length]) && !modules.contains_key(&target[..*length])
        });
        let Some(length) = face else { break };
        let mut behind = reexports[&target[..length]].clone();
        behind.extend(target[length..].iter().cloned());
        target = behind;
    }
    target
}

/// The file of the innermost module on the path.
fn file_of<'a>(target: &Module, modules: &BTreeMap<Module, &'a str>) -> Option<&'a str> {
    (1..=target.len()).rev().find_map(|length| modules.get(&target[..length]).copied())
}
