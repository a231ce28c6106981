//! What a file may import and use, and how it must look.

use super::paths::PathUse;
use super::paths::Target;
use super::paths::paths;
use super::source::Source;
use super::tokens::Token;
use super::tokens::text_before;
use super::tokens::tokens;

/// Each layer with what it may import. A folder under `src` is a layer.
pub const LAYERS: [(&str, &[&str]); 9] = [
    ("text", &[]),
    ("stats", &["text"]),
    ("canary", &["text", "stats"]),
    ("simulation", &["text", "stats", "canary"]),
    ("model", &["text"]),
    ("store", &["text", "stats", "canary"]),
    ("service", &["text", "stats", "canary", "model", "store"]),
    ("http", &["text", "stats", "canary", "model", "store", "service"]),
    ("cli", &["text", "stats", "canary", "simulation", "model", "store", "service", "http"]),
];

/// A room, and the rooms of its layer that it may import.
type Room = (&'static str, &'static [&'static str]);

/// The rooms of a layer, each with the rooms of the layer that it may import. A file outside every
/// room (`service/clock.rs`, a layer's `mod.rs`) has no rule here, but must not be in a circle.
pub const ROOMS: [(&str, &[Room]); 4] = [
    (
        "stats",
        &[
            ("summary", &[]),
            ("distributions", &["summary"]),
            ("fixed_horizon", &["summary", "distributions"]),
            ("sequential", &["summary", "distributions", "fixed_horizon"]),
            ("planning", &["summary", "distributions", "fixed_horizon"]),
        ],
    ),
    (
        "canary",
        &[
            ("traffic", &[]),
            ("policy", &["traffic"]),
            ("analysis", &["policy"]),
            ("observed", &["traffic", "policy"]),
            ("judge", &["traffic", "policy", "observed"]),
            ("rollout", &["traffic", "policy", "observed", "judge"]),
        ],
    ),
    (
        "service",
        &[
            ("serving", &[]),
            ("reported", &["serving"]),
            ("notify", &["serving"]),
            ("status", &["serving", "reported", "notify"]),
            ("control", &["serving", "reported", "notify", "status"]),
        ],
    ),
    (
        "http",
        &[
            ("reading", &[]),
            ("openapi", &["reading"]),
            ("protocols", &["reading", "openapi"]),
            ("page", &[]),
            ("routes", &["reading", "openapi", "protocols", "page"]),
        ],
    ),
];

/// The layer and the room in it: `src/canary/judge/verdict.rs` is in `canary`, `judge`.
fn room(path: &str) -> Option<(&str, &str)> {
    let (layer, rest) = path.strip_prefix("src/")?.split_once('/')?;
    let (_, rooms) = ROOMS.iter().find(|(name, _)| *name == layer)?;
    // A room that is still one file (`sequential.rs`) counts with its folder.
    let name = rest.split(['/', '.']).next()?;
    rooms.iter().any(|(room, _)| *room == name).then_some((layer, name))
}

/// Whether the order of the rooms lets one file import another. Between layers, [`LAYERS`] decides.
pub fn may_import(from: &str, to: &str) -> bool {
    let (Some((layer, from)), Some((other, to))) = (room(from), room(to)) else { return true };
    let rooms = ROOMS.iter().find(|(name, _)| *name == layer).map(|(_, rooms)| *rooms);
    let allowed = rooms.and_then(|rooms| rooms.iter().find(|(name, _)| *name == from));
    layer != other || from == to || allowed.is_some_and(|(_, allowed)| allowed.contains(&to))
}

/// Time, seeds and data come into these as arguments, which is why they can be replayed.
const PURE_LAYERS: [&str; 2] = ["stats", "canary"];
const IMPURE_PATHS: [&[&str]; 8] = [
    &["std", "fs"],
    &["std", "net"],
    &["std", "thread"],
    &["std", "process"],
    &["std", "env"],
    &["tokio"],
    &["actix_web"],
    &["rand"],
];

const CLOCKS: [&str; 4] = ["Instant", "SystemTime", "Timestamp", "Zoned"];
pub const PROBLEM_FILE: &str = "src/http/problem.rs";
pub const ROLLOUT_FILE: &str = "src/canary/rollout/apply.rs";
/// The statuses a handler could be tempted to write as a bare number.
const STATUS_NUMBERS: [&str; 21] = [
    "400", "401", "403", "404", "405", "406", "408", "409", "410", "411", "412", "413", "415",
    "422", "423", "429", "500", "501", "502", "503", "504",
];

/// A file has one job; above the first number it probably has two.
const QUESTIONABLE_LINES: usize = 400;
const MAXIMAL_LINES: usize = 500;

pub fn questionable_length(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    (lines > QUESTIONABLE_LINES)
        .then(|| format!("{}: {lines} lines; does it answer more than one question?", source.path))
}

/// Everything that is wrong with one file, one sentence each.
pub fn violations(source: &Source) -> Vec<String> {
    let mut tokens = tokens(&source.text);
    if source.is_test() {
        tokens.iter_mut().for_each(|token| token.in_test = true);
    }
    let paths = paths(&tokens, source.module());
    let mut found = Vec::new();
    let mut report = |line: usize, what: String| {
        found.push(format!("{}:{line}: {what}", source.path));
    };

    let lines = source.text.lines().count();
    if lines > MAXIMAL_LINES {
        report(lines, format!("{lines} lines, at most {MAXIMAL_LINES}: split the file"));
    }
    if !source.text.starts_with("//!") {
        report(1, "the first line must be a `//!` that says what the file answers".into());
    }
    if source.layer().is_none() && !source.module().is_empty() {
        report(1, format!("no layer is called {}", source.module()[0]));
    }
    for path in &paths {
        if let Some(what) = layer_violation(source, path) {
            report(path.line, what);
        }
        if let Some(what) = purity_violation(source, path) {
            report(path.line, what);
        }
        if let Some(what) = clock_violation(source, path) {
            report(path.line, what);
        }
    }
    for (index, token) in tokens.iter().enumerate() {
        if let Some(what) = status_violation(source, &tokens, index) {
            report(token.line, what);
        }
        if let Some(what) = catch_all_violation(source, &tokens, index) {
            report(token.line, what);
        }
        let next = tokens.get(index + 1).map(|next| next.text.as_str());
        let is_path_attribute =
            token.text == "path" && next == Some("=") && text_before(&tokens, index) == "[";
        if (is_path_attribute && !token.in_test) || (token.text == "include" && next == Some("!")) {
            report(
                token.line,
                "a file is a module where it lies: no `#[path]`, no `include!`".into(),
            );
        }
    }
    found
}

fn layer_violation(source: &Source, path: &PathUse) -> Option<String> {
    let layer = source.layer()?;
    let Target::Ours(target) = &path.target else { return None };
    let Some(first) = target.first() else {
        return path
            .whole
            .then(|| "imports the crate's root whole, and with it every layer".into());
    };
    if first == layer {
        return None;
    }
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return Some(format!("no layer is called {layer}"));
    };
    if allowed.contains(&first.as_str()) {
        return None;
    }
    let name = target.join("::");
    if LAYERS.iter().any(|(other, _)| other == first) {
        let allowed =
            if allowed.is_empty() { "nothing of ours".into() } else { allowed.join(", ") };
        Some(format!("{layer} may not import {first} ({name}); it may import {allowed}"))
    } else {
        Some(format!("{layer} imports {name}, which stands in no layer"))
    }
}

fn purity_violation(source: &Source, path: &PathUse) -> Option<String> {
    let layer = source.layer().filter(|layer| PURE_LAYERS.contains(layer))?;
    let Target::Foreign(segments) = &path.target else { return None };
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let impure = IMPURE_PATHS.iter().find(|impure| segments.starts_with(impure))?;
    let what = impure.join("::");
    (!path.in_test).then(|| format!("{layer} may not use {what}: pass in what it would give"))
}

fn clock_violation(source: &Source, path: &PathUse) -> Option<String> {
    let Target::Foreign(segments) = &path.target else { return None };
    let [.., clock, now] = segments.as_slice() else { return None };
    (CLOCKS.contains(&clock.as_str()) && now == "now" && source.layer() != Some("service"))
        .then(|| format!("{clock}::now outside service: time comes from service::clock"))
}

fn status_violation(source: &Source, tokens: &[Token], index: usize) -> Option<String> {
    let token = &tokens[index];
    if source.path == PROBLEM_FILE || token.in_test {
        return None;
    }
    if token.text == "StatusCode" && source.layer() != Some("cli") {
        return Some(format!("StatusCode outside {PROBLEM_FILE}"));
    }
    // A decimal fraction is not a status, and neither is a duration.
    let is_number = STATUS_NUMBERS.contains(&token.text.as_str())
        && text_before(tokens, index) != "."
        && tokens.get(index + 1).is_none_or(|next| next.text != ".");
    let in_duration =
        tokens.iter().any(|other| other.line == token.line && other.text == "Duration");
    (source.layer() == Some("http") && is_number && !in_duration)
        .then(|| format!("the number {} reads like a status outside {PROBLEM_FILE}", token.text))
}

/// A catch-all arm would hide a new state or event from its author.
fn catch_all_violation(source: &Source, tokens: &[Token], index: usize) -> Option<String> {
    let is_rollout = source.path == ROLLOUT_FILE || source.path.starts_with("src/canary/rollout/");
    if !is_rollout || tokens[index].in_test || index < 2 {
        return None;
    }
    // The arm's pattern ends before `=>`, or before the `if` of its guard.
    let ends_pattern =
        tokens[index].text == "=>" || (tokens[index].text == "if" && tokens[index - 1].text == "_");
    if !ends_pattern {
        return None;
    }
    let last = &tokens[index - 1].text;
    let mut start = index - 1;
    let takes_all = if last == ")" {
        while start > 0 && tokens[start].text != "(" {
            start -= 1;
        }
        tokens[start + 1..index - 1].iter().all(|inner| ["_", ","].contains(&inner.text.as_str()))
    } else {
        let binds = last.starts_with(|first: char| first.is_lowercase() || first == '_');
        binds && last != "true" && last != "false"
    };
    let opens_arm = ["{", "}", ","].contains(&text_before(tokens, start));
    (takes_all && opens_arm).then(|| "an arm that takes all the rest: name every case".into())
}
