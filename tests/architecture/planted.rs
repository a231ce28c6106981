//! Planted code: violations that must be found, and code that must not be reported.

/// A path and its code.
pub type PlantedFile = (&'static str, &'static str);

/// (what is planted, the files, the circles and wrong-way imports that must be found)
pub const PLANTED_GRAPHS: &[(&str, &[PlantedFile], usize, usize)] = &[
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

/// (what is planted, where, the code, what the report must say)
pub const PLANTED: &[(&str, &str, &str, &str)] = &[
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

/// (what is allowed, where, the code)
pub const ALLOWED: &[(&str, &str, &str)] = &[
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
