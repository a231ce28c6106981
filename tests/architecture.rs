//! The architecture: layers, rooms, and the rules that the compiler cannot see.
//!
//! The checker reads `src/**/*.rs` as text: comments and strings removed, paths expanded (groups,
//! `self`, `super`), so that `use crate::{stats::Welch, store}` counts as two imports. It does not
//! expand macros. Most tests here plant a violation and expect it to be found.

use std::path::Path;

use graph::Graph;
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

/// A path and its code.
type PlantedFile = (&'static str, &'static str);

/// (what is planted, the files, the circles and wrong-way imports that must be found)
const PLANTED_GRAPHS: &[(&str, &[PlantedFile], usize, usize)] = &[
    (
        "two files that import each other",
        &[("stats/a.rs", "use super::b::B;"), ("stats/b.rs", "use crate::stats::a::A;")],
        1,
        0,
    ),
    (
        "a circle of three through paths in passing",
        &[
            ("stats/a.rs", "fn f() { super::b::f() }"),
            ("stats/b.rs", "fn f() { crate::stats::c::f() }"),
            ("stats/c.rs", "use super::a::A;"),
        ],
        1,
        0,
    ),
    (
        "a circle through a re-export",
        &[
            ("stats/mod.rs", "mod a; mod b; pub use a::A;"),
            ("stats/a.rs", "use super::b::B;"),
            ("stats/b.rs", "use super::A;"),
        ],
        1,
        0,
    ),
    (
        "a module and its child",
        &[("service/mod.rs", "use a::A; pub struct S;"), ("service/a.rs", "use super::S;")],
        1,
        0,
    ),
    (
        "two circles",
        &[
            ("stats/a.rs", "use super::b::B;"),
            ("stats/b.rs", "use super::a::A;"),
            ("model/a.rs", "use super::b::B;"),
            ("model/b.rs", "use super::a::A;"),
        ],
        2,
        0,
    ),
    (
        "a room that imports a later one",
        &[("canary/traffic/a.rs", "use crate::canary::judge::b::B;"), ("canary/judge/b.rs", "")],
        0,
        1,
    ),
    (
        "a later room through the layer's face",
        &[
            ("canary/mod.rs", "pub use rollout::state::State;"),
            ("canary/policy/mod.rs", "use crate::canary::State;"),
            ("canary/rollout/state.rs", ""),
        ],
        0,
        1,
    ),
    (
        "status that commands",
        &[
            ("service/status/a.rs", "use crate::service::control::b::f;"),
            ("service/control/b.rs", ""),
        ],
        0,
        1,
    ),
    (
        "one way, tests aside",
        &[
            ("canary/judge/a.rs", "use crate::canary::traffic::b::B; use super::c::C;"),
            ("canary/judge/c.rs", "#[cfg(test)] mod tests { use super::super::a::A; }"),
            ("canary/judge/c_tests.rs", "use crate::canary::rollout::d::D;"),
            ("canary/traffic/b.rs", "//! See [`crate::canary::judge::a`]."),
            ("canary/rollout/d.rs", "use crate::canary::judge::c::C;"),
            ("canary/mod.rs", "pub mod judge; pub use judge::a::A;"),
        ],
        0,
        0,
    ),
];

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

/// (what is planted, where, the code, what the report must say)
const PLANTED: &[(&str, &str, &str, &str)] = &[
    ("a use", "stats/a.rs", "use crate::store::Store;", "stats may not import store"),
    (
        "a path in passing",
        "stats/a.rs",
        "fn f() { crate::canary::f() }",
        "stats may not import canary",
    ),
    (
        "a type argument",
        "stats/a.rs",
        "fn f() { g::<crate::canary::T>() }",
        "stats may not import canary",
    ),
    (
        "a path with type arguments",
        "stats/a.rs",
        "fn f() { crate::model::f::<T>() }",
        "may not import model",
    ),
    ("a group", "canary/a.rs", "use crate::{stats::Welch, store};", "canary may not import store"),
    (
        "a nested group",
        "canary/a.rs",
        "use crate::{stats::{A, B}, service::{c::{D}}};",
        "import service (service::c::D)",
    ),
    (
        "a use in a group",
        "canary/a.rs",
        "use {crate::stats, crate::http};",
        "canary may not import http",
    ),
    ("super", "canary/a.rs", "use super::super::service::Live;", "canary may not import service"),
    (
        "super in a folder's root",
        "store/mod.rs",
        "use super::model::Model;",
        "store may not import model",
    ),
    (
        "super within a group",
        "model/a.rs",
        "use super::{super::store::Store};",
        "model may not import store",
    ),
    (
        "super of an inline module",
        "model/a.rs",
        "mod b { use super::super::super::stats::M; }",
        "model may not import stats",
    ),
    (
        "self and super",
        "model/a.rs",
        "use self::super::super::canary::M;",
        "model may not import canary",
    ),
    (
        "a test's import",
        "stats/a.rs",
        "#[cfg(test)] mod tests { use crate::model::M; }",
        "stats may not import model",
    ),
    (
        "a test file's import",
        "model/a_tests.rs",
        "use super::super::super::store::S;",
        "model may not import store",
    ),
    ("a re-export", "store/a.rs", "pub use crate::service::Live;", "store may not import service"),
    (
        "the crate by its name",
        "service/a.rs",
        "use serin::http::run;",
        "service may not import http",
    ),
    (
        "the crate by its absolute name",
        "service/a.rs",
        "use ::serin::http::run;",
        "service may not import http",
    ),
    ("the root as a glob", "service/a.rs", "use crate::*;", "the crate's root whole"),
    (
        "the root by another name",
        "service/a.rs",
        "use crate::{self as root};",
        "the crate's root whole",
    ),
    ("the root through super", "store/mod.rs", "use super::*;", "the crate's root whole"),
    ("a re-export of the root", "stats/a.rs", "use crate::Server;", "which stands in no layer"),
    ("an unknown folder", "utils/a.rs", "", "no layer is called utils"),
    ("an attribute path", "stats/a.rs", "#[path = \"../store/b.rs\"] mod b;", "no `#[path]`"),
    ("an include", "stats/a.rs", "include!(\"../store/b.rs\");", "no `include!`"),
    ("http in cli's way", "http/a.rs", "use crate::cli::Settings;", "http may not import cli"),
    ("a clock", "http/a.rs", "fn f() { Instant::now(); }", "Instant::now outside service"),
    (
        "a clock in full",
        "store/a.rs",
        "fn f() { std::time::SystemTime::now(); }",
        "SystemTime::now outside",
    ),
    ("a calendar", "canary/a.rs", "fn f() { jiff::Timestamp::now(); }", "Timestamp::now outside"),
    (
        "a clock as a function",
        "cli/a.rs",
        "fn f() { g(Instant::now) }",
        "Instant::now outside service",
    ),
    ("a file", "stats/a.rs", "use std::fs;", "stats may not use std::fs"),
    ("a grouped file", "canary/a.rs", "use std::{io, fs::File};", "canary may not use std::fs"),
    (
        "an absolute thread",
        "canary/a.rs",
        "fn f() { ::std::thread::spawn(g); }",
        "may not use std::thread",
    ),
    ("a socket", "stats/a.rs", "use std::net::TcpStream;", "stats may not use std::net"),
    ("a random number", "stats/a.rs", "fn f() { rand::random(); }", "stats may not use rand"),
    ("a runtime", "canary/a.rs", "use tokio::sync::Mutex;", "canary may not use tokio"),
    ("a status", "http/a.rs", "use actix_web::http::StatusCode;", "StatusCode outside"),
    ("a status below http", "service/a.rs", "fn f(s: StatusCode) {}", "StatusCode outside"),
    ("a status as a number", "http/a.rs", "fn f() { reply(404) }", "the number 404"),
    (
        "a wildcard arm",
        "canary/rollout/apply.rs",
        "fn f() { match s { A => 1, _ => 2 } }",
        "takes all the rest",
    ),
    (
        "a guarded wildcard arm",
        "canary/rollout/apply.rs",
        "fn f() { match s { A => {} _ if x => 2 } }",
        "takes all the rest",
    ),
    (
        "a wildcard pair",
        "canary/rollout/apply.rs",
        "fn f() { match s { (A, B) => 1, (_, _) => 2 } }",
        "takes all the rest",
    ),
    (
        "a binding arm",
        "canary/rollout/apply.rs",
        "fn f() { match s { A => 1, other => 2 } }",
        "takes all the rest",
    ),
    (
        "code behind strings and comments",
        "stats/a.rs",
        "/* \" */ const A: &str = \"\\\"//\"; const B: char = '\"'; use crate::cli; // \"",
        "may not import cli",
    ),
];

#[test]
fn every_planted_violation_is_found() {
    for (what, path, code, expected) in PLANTED {
        let found = violations(&file(path, code));
        let hit = matches!(found.as_slice(), [only] if only.contains(expected));
        assert!(hit, "{what} in {path}: expected one report of `{expected}`, found {found:?}");
        assert!(found[0].starts_with(&format!("src/{path}:")), "{what}: no place in {found:?}");
    }
}

/// (what is allowed, where, the code)
const ALLOWED: &[(&str, &str, &str)] = &[
    ("a layer above", "cli/a.rs", "use crate::{stats::A, http::{self, B}};"),
    ("statistics in the domain", "canary/a.rs", "use crate::stats::Welch;"),
    ("the domain in the store", "store/a.rs", "use crate::{canary, stats};"),
    ("its own layer", "stats/a.rs", "use super::moments::M; use crate::stats::summary::points::P;"),
    (
        "its own tests",
        "canary/a.rs",
        "#[cfg(test)] mod tests { use super::*; use super::super::b::C; }",
    ),
    (
        "a visibility",
        "stats/a.rs",
        "pub(crate) fn f() {} pub(super) fn g() {} pub(in crate::stats) fn h() {}",
    ),
    ("the map", "lib.rs", "pub mod stats; pub use http::Server; use crate::cli;"),
    ("the program", "main.rs", "fn main() { serin::cli::run(); }"),
    (
        "a comment",
        "stats/a.rs",
        "// use crate::store;\n/* crate::http::f /* nested */ Instant::now() */ fn f() {}",
    ),
    (
        "a doc comment",
        "stats/a.rs",
        "/// See [`crate::canary::judge::judgement`]; `std::fs` is not used.\nfn f() {}",
    ),
    ("a string", "stats/a.rs", "const A: &str = \"crate::store::B \\\" std::fs::read\";"),
    (
        "a raw string",
        "stats/a.rs",
        "const A: &str = r#\"\" crate::store::B\"#; const B: &[u8] = br\"rand::x\";",
    ),
    ("a lifetime", "stats/a.rs", "fn f<'a>(x: &'a str) -> char { '\\'' }"),
    ("the clock itself", "service/clock.rs", "fn f() { Instant::now(); Timestamp::now(); }"),
    ("a moment as data", "canary/a.rs", "use jiff::Timestamp; use std::time::Duration;"),
    ("a file in a test", "stats/a.rs", "#[cfg(test)] mod tests { use std::fs; }"),
    ("a file of tests", "canary/rollout_tests.rs", "use std::fs; use super::super::split::S;"),
    (
        "its declaration",
        "canary/rollout/apply.rs",
        "#[cfg(test)] #[path = \"rollout_tests.rs\"] mod tests;",
    ),
    ("files elsewhere", "store/a.rs", "use std::fs; use std::thread;"),
    (
        "the statuses' own file",
        "http/problem.rs",
        "use actix_web::http::StatusCode; const A: u16 = 404;",
    ),
    ("a status that cli reads", "cli/a.rs", "fn f(s: ureq::http::StatusCode) {}"),
    (
        "other numbers",
        "http/a.rs",
        "const A: f64 = 1.500; const B: Duration = Duration::from_millis(500); const C: u16 = 4040;",
    ),
    (
        "named arms",
        "canary/rollout/apply.rs",
        "fn f() { match s { A { b: _ } => 1, B(_) | C(_, D) => 2, E { f, .. } => 3, true => 4 } }",
    ),
    ("a wildcard elsewhere", "canary/judge.rs", "fn f() { match s { A => 1, _ => 2 } }"),
];

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
