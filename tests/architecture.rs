//! The architecture: layers, rooms, and the rules that the compiler cannot see.
//!
//! The checker reads `src/**/*.rs` as text: comments and strings removed, paths expanded (groups,
//! `self`, `super`), so that `use crate::{stats::Welch, store}` counts as two imports. It does not
//! expand macros. Most tests here plant a violation and expect it to be found.

use std::path::Path;

use graph::Graph;
use planted::ALLOWED;
use planted::PLANTED;
use planted::PLANTED_GRAPHS;
use rules::LAYERS;
use rules::PROBLEM_FILE;
use rules::ROLLOUT_FILE;
use rules::ROOMS;
use rules::questionable_length;
use rules::violations;
use source::Source;
use source::read_sources;

#[path = "architecture/rules.rs"]
mod rules;

#[path = "architecture/graph.rs"]
mod graph;

#[path = "architecture/source.rs"]
mod source;

#[path = "architecture/paths.rs"]
mod paths;

#[path = "architecture/tokens.rs"]
mod tokens;

#[path = "architecture/planted.rs"]
mod planted;

#[test]
fn the_source_keeps_to_the_architecture() {
    let sources = read_sources(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let long: Vec<String> = sources.iter().filter_map(questionable_length).collect();
    let found: Vec<String> = sources.iter().flat_map(violations).collect();
    println!("{}", long.join("\n"));
    assert!(found.is_empty(), "\n{}\n{}\n", found.join("\n"), long.join("\n"));
}

/// Run with `--nocapture` to see every import between two files.
#[test]
fn no_files_import_each_other_in_a_circle() {
    let graph = Graph::new(&read_sources(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap());
    for import in &graph.imports {
        println!("{} -> {}", import.from, import.to);
    }
    let circles: Vec<String> = graph.circles().into_iter().map(|circle| shown(&circle)).collect();
    println!("{} imports, {} circles", graph.imports.len(), circles.len());
    assert!(circles.is_empty(), "{} circles:\n{}\n", circles.len(), circles.join("\n\n"));
}

#[test]
fn the_rooms_of_a_layer_import_one_way() {
    let graph = Graph::new(&read_sources(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap());
    let found = graph.against_the_rooms();
    assert!(found.is_empty(), "{} imports:\n{}\n", found.len(), found.join("\n"));
}

#[test]
fn no_folder_is_crowded() {
    let graph = Graph::new(&read_sources(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap());
    let found = graph.crowded_folders();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn planted_circles_and_wrong_ways_are_found() {
    for (what, files, circles, wrong_ways) in PLANTED_GRAPHS {
        let sources: Vec<Source> = files.iter().map(|(path, code)| file(path, code)).collect();
        let graph = Graph::new(&sources);
        assert_eq!(graph.circles().len(), *circles, "{what}: {:?}", graph.imports);
        assert_eq!(graph.against_the_rooms().len(), *wrong_ways, "{what}: {:?}", graph.imports);
    }
}

#[test]
fn a_crowded_folder_is_found() {
    let files = |count: usize| -> Vec<Source> {
        let named = |n: usize| file(&format!("stats/a{n}.rs"), "");
        (0..count)
            .map(named)
            .chain([file("stats/mod.rs", ""), file("stats/a_tests.rs", "")])
            .collect()
    };
    assert!(Graph::new(&files(14)).crowded_folders().is_empty());
    assert_eq!(Graph::new(&files(15)).crowded_folders(), ["src/stats: 15 files, at most 14"]);
}

fn shown(circle: &[&graph::Import]) -> String {
    let lines: Vec<String> = circle
        .iter()
        .map(|import| format!("{}:{} -> {} ({})", import.from, import.line, import.to, import.name))
        .collect();
    lines.join("\n")
}

/// Otherwise a renamed folder would silently turn its rule off.
#[test]
fn every_rule_applies_to_some_file() {
    let sources = read_sources(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    for (layer, _) in LAYERS {
        assert!(sources.iter().any(|source| source.layer() == Some(layer)), "src/{layer} is empty");
    }
    for (layer, rooms) in ROOMS {
        for (room, _) in rooms {
            let folder = format!("src/{layer}/{room}/");
            assert!(
                sources.iter().any(|source| source.path.starts_with(&folder)),
                "{folder} is empty"
            );
        }
    }
    for path in [PROBLEM_FILE, ROLLOUT_FILE] {
        assert!(sources.iter().any(|source| source.path == path), "{path} is gone");
    }
}

#[test]
fn every_planted_violation_is_found() {
    for (what, path, code, expected) in PLANTED {
        let found = violations(&file(path, code));
        let hit = matches!(found.as_slice(), [only] if only.contains(expected));
        assert!(hit, "{what} in {path}: expected one report of `{expected}`, found {found:?}");
        assert!(found[0].starts_with(&format!("src/{path}:")), "{what}: no place in {found:?}");
    }
}

#[test]
fn what_is_allowed_is_not_reported() {
    for (what, path, code) in ALLOWED {
        let found = violations(&file(path, code));
        assert!(found.is_empty(), "{what} in {path}: {found:?}");
    }
}

#[test]
fn a_file_without_a_head_is_reported() {
    let found = violations(&Source::new("src/stats/a.rs", "use std::fmt;\n//! Late.\n"));
    assert!(matches!(found.as_slice(), [only] if only.contains("`//!`")), "{found:?}");
}

#[test]
fn long_files_get_a_warning_and_longer_ones_are_refused() {
    let lines = |count: usize| Source::new("src/stats/a.rs", &"//! Head.\n".repeat(count));
    for (count, questioned, refused) in [(400, 0, 0), (401, 1, 0), (500, 1, 0), (501, 1, 1)] {
        assert_eq!(questionable_length(&lines(count)).iter().count(), questioned, "{count} lines");
        assert_eq!(violations(&lines(count)).len(), refused, "{count} lines");
    }
}

/// No content of a real file hides the rest of it from the checker.
#[test]
fn a_violation_at_the_end_of_any_real_file_is_found() {
    for mut source in read_sources(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap() {
        let planted = match source.layer() {
            None => continue,
            Some("cli") => "fn planted() { std::time::Instant::now(); }\n",
            Some("http") => "use crate::cli::Planted;\n",
            Some(_) => "use crate::http::Planted;\n",
        };
        source.text.push_str(planted);
        let place = format!("{}:{}:", source.path, source.text.lines().count());
        let found = violations(&source);
        let hit = found.iter().any(|one| one.starts_with(&place) && !one.contains("lines, at"));
        assert!(hit, "{}: the planted line was not found, {found:?}", source.path);
    }
}

fn file(path: &str, code: &str) -> Source {
    Source::new(&format!("src/{path}"), &format!("//! Planted.\n{code}\n"))
}
