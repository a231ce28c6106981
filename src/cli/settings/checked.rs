//! What is wrong with a settings file? All of it, not only what is met first.
//!
//! The file is read as the server would. What is wrong is written down, the part that it comes from is left
//! out, and the rest is read again, until nothing is wrong. So whatever depends on something else is
//! judged beside it, and a mistake is told once.

use anyhow::Context;
use serde::Deserialize;
use toml::Table;
use toml::Value;

use super::Given;
use super::Settings;
use crate::http::reading::suggestion::explained;
use crate::http::reading::suggestion::unknown;

/// The most mistakes that are told: nobody mends more at once.
const MAX: usize = 50;

/// One step on the way to a part of the file.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Everything that is wrong with the text of a settings file, one sentence each.
pub fn problems(text: &str) -> Vec<String> {
    let mut table: Table = match text.parse() {
        Ok(table) => table,
        Err(cause) => return vec![one_line(&format!("no TOML: {cause}"))],
    };
    let mut problems = Vec::new();
    while problems.len() < MAX
        && let Err(problem) = read(&table)
    {
        let Some((path, rest)) = without_culprit(&table, &problem) else {
            problems.push(one_line(&problem));
            break;
        };
        problems.push(one_line(&format!("{}: {problem}", written(&path))));
        table = rest;
    }
    problems
}

/// The settings of this file alone. The secrets that it names are not asked for: they need not be where
/// it is checked.
fn read(table: &Table) -> Result<(), String> {
    let given = Given::deserialize(Value::Table(table.clone())).context("");
    let given = given.map_err(|cause| explained(&cause.root_cause().to_string()))?;
    let any_secret = |_: &str| Some("a secret that is long enough".to_owned());
    Settings::merged(&Given::default(), &given, any_secret)
        .map(drop)
        .map_err(|cause| format!("{cause:#}"))
}

/// The part without which this is not wrong any more, or something else is; and what is left then.
fn without_culprit(table: &Table, problem: &str) -> Option<(Vec<Step>, Table)> {
    let mut all = Vec::new();
    parts(&Value::Table(table.clone()), &mut Vec::new(), &mut all);
    all.retain(|path| !is_left_out(table, path));
    // Two entries that lack the same are told in the same words, so what lacks it is looked for.
    if let Some(path) = all.iter().find(|path| lacks(problem, table, path)) {
        let mut rest = Value::Table(table.clone());
        remove(&mut rest, path);
        return rest.as_table().map(|rest| (path.clone(), rest.clone()));
    }
    let word = unknown(problem);
    let is_named = |path: &Vec<Step>| match (path.last(), word) {
        (Some(Step::Key(key)), Some((word, _))) => key == word,
        (Some(_) | None, _) => false,
    };
    // An unknown key itself; else whatever lies deeper and is spoken of; else the settings, the fields of
    // sections, whole metrics and targets, where a part would leave another mistake behind.
    let is_section = |key: &str| matches!(table.get(key), Some(Value::Table(_) | Value::Array(_)));
    let is_whole = |path: &Vec<Step>| match path.as_slice() {
        [Step::Key(key)] => !is_section(key),
        [Step::Key(_), Step::Key(_)] | [Step::Key(_), Step::Index(_)] => true,
        _ => false,
    };
    let is_deep = |path: &Vec<Step>| path.len() > 2 && speaks_of(problem, table, path);
    let named = all.iter().filter(|path| is_named(path) || is_deep(path));
    let whole = all.iter().filter(|path| is_whole(path));
    let containers = all.iter().filter(|path| path.len() == 1);
    for paths in [named.chain(whole).collect::<Vec<_>>(), containers.collect()] {
        let mut other: Option<(Vec<Step>, Table)> = None;
        for path in paths {
            let mut rest = Value::Table(table.clone());
            remove(&mut rest, path);
            let Value::Table(rest) = rest else { continue };
            match read(&rest) {
                Ok(()) => return Some((path.clone(), rest)),
                Err(next) if is_needed(&next, path) => {}
                // Whatever goes may uncover another mistake; what the message speaks of is meant.
                Err(next) if next != problem && speaks_of(problem, table, path) => {
                    return Some((path.clone(), rest));
                }
                Err(next) if next != problem && other.is_none() => {
                    other = Some((path.clone(), rest));
                }
                Err(_) => {}
            }
        }
        if other.is_some() {
            return other;
        }
    }
    None
}

/// Whether a message says that the part ought to be there.
fn is_needed(problem: &str, path: &[Step]) -> bool {
    match path.last() {
        Some(Step::Key(key)) => problem.contains(&format!("missing field `{key}`")),
        Some(Step::Index(_)) | None => false,
    }
}

/// Whether a message names the last key of a path, or quotes the value there.
fn speaks_of(problem: &str, table: &Table, path: &[Step]) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = problem.split(|c| !is_word(c));
    let is_named = match path.last() {
        Some(Step::Key(key)) => words.any(|word| word == key),
        Some(Step::Index(_)) | None => false,
    };
    is_named || leaf(table, path).is_some_and(|text| problem.contains(&text))
}

/// Whether a path leads to an entry that was left out already, or into it.
fn is_left_out(table: &Table, path: &[Step]) -> bool {
    let [Step::Key(key), Step::Index(index), ..] = path else { return false };
    let entry = table.get(key).and_then(|entries| entries.get(*index));
    entry.and_then(Value::as_table) == Some(&harmless(key, *index))
}

/// Whether this is an entry that lacks the field that a message misses.
fn lacks(problem: &str, table: &Table, path: &[Step]) -> bool {
    let field = problem.split_once("missing field `").and_then(|(_, rest)| rest.split_once('`'));
    let Some((field, rest)) = field else { return false };
    let keys = path.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Index(_) => None,
    });
    let place = format!("`{}`", keys.collect::<Vec<_>>().join("."));
    let entry = at(table, path).and_then(Value::as_table);
    matches!(path.last(), Some(Step::Index(_)))
        && rest.contains(&place)
        && entry.is_some_and(|entry| !entry.contains_key(field))
}

/// What stands at a path.
fn at<'a>(table: &'a Table, path: &[Step]) -> Option<&'a Value> {
    let (Step::Key(first), rest) = path.split_first()? else { return None };
    rest.iter().try_fold(table.get(first)?, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(*index),
    })
}

/// What stands at a path, if it is neither a table nor an array.
fn leaf(table: &Table, path: &[Step]) -> Option<String> {
    match at(table, path)? {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Table(_) | Value::Array(_) => None,
        value @ (Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_)) => {
            Some(value.to_string())
        }
    }
}

/// The ways to all parts.
fn parts(value: &Value, path: &mut Vec<Step>, all: &mut Vec<Vec<Step>>) {
    let inner: Vec<(Step, &Value)> = match value {
        Value::Table(table) => {
            table.iter().map(|(key, value)| (Step::Key(key.clone()), value)).collect()
        }
        Value::Array(values) => {
            values.iter().enumerate().map(|(index, value)| (Step::Index(index), value)).collect()
        }
        _ => Vec::new(),
    };
    for (step, value) in inner {
        path.push(step);
        all.push(path.clone());
        parts(value, path, all);
        path.pop();
    }
}

/// Takes a part out. An entry of an array leaves a place behind, so that the others keep their numbers.
fn remove(value: &mut Value, path: &[Step]) {
    match (value, path) {
        (Value::Table(table), [Step::Key(key)]) => {
            table.remove(key);
        }
        (Value::Table(table), [Step::Key(key), Step::Index(index)])
            if ["notify", "metrics"].contains(&key.as_str()) =>
        {
            if let Some(Value::Array(entries)) = table.get_mut(key)
                && let Some(entry) = entries.get_mut(*index)
            {
                *entry = Value::Table(harmless(key, *index));
            }
        }
        (Value::Array(values), [Step::Index(index)]) if *index < values.len() => {
            values.remove(*index);
        }
        (Value::Table(table), [Step::Key(key), rest @ ..]) => {
            if let Some(inner) = table.get_mut(key) {
                remove(inner, rest);
            }
        }
        (Value::Array(values), [Step::Index(index), rest @ ..]) => {
            if let Some(inner) = values.get_mut(*index) {
                remove(inner, rest);
            }
        }
        _ => {}
    }
}

/// An entry that stands for one that is left out.
fn harmless(key: &str, index: usize) -> Table {
    let fields = match key {
        "notify" => vec![("url", format!("https://left-out-{index}.invalid/"))],
        _ => vec![
            ("name", format!("left-out-{index}")),
            ("harm", "higher".to_owned()),
            ("role", "advisory".to_owned()),
        ],
    };
    fields.into_iter().map(|(field, text)| (field.to_owned(), Value::String(text))).collect()
}

fn written(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text = format!("{text}.{key}"),
            Step::Index(index) => text = format!("{text}[{index}]"),
        }
    }
    text
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_mistakes_has_none() {
        for text in [
            "",
            "workers = 2\nmode = \"automatic\"",
            // Only together: the deadline would be too short for the steps of the default plan.
            "[plan]\ndeadline = \"1m\"\nsteps = [{ weight = 10, bake = \"10s\" }]",
            "[[notify]]\nurl = \"https://a/\"\nsecret_env = \"NOT_SET_ANYWHERE\"",
        ] {
            assert_eq!(problems(text), Vec::<String>::new(), "{text}");
        }
    }

    /// That these mistakes are told, each with its place and this in its sentence, and no other.
    fn assert_told(text: &str, expected: &[(&str, &str)]) {
        let found = problems(text);
        for (place, named) in expected {
            let place = format!("{place}: ");
            let hit = found.iter().any(|one| one.starts_with(&place) && one.contains(named));
            assert!(hit, "{place}{named}\n{}", found.join("\n"));
        }
        assert_eq!(found.len(), expected.len(), "{}", found.join("\n"));
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let text = r#"
            wrokers = 2
            alpha = 7.0
            bake = "soon"
            connections = "many"
            mode = "automtic"
            [plan]
            mim_samples = 5
            look = "1ms"
            template = "carefull"
            triggers = { p99_cieling = "1s" }
            [[metrics]]
            name = "revenue"
            [[metrics]]
            name = "latency"
            marign = 1
            [[notify]]
            url = "http://example.org/hidden"
            [[notify]]
            url = "https://a/"
            events = ["exploded"]
        "#;
        let expected = [
            ("wrokers", "did you mean `workers`?"),
            ("alpha", "alpha = 7"),
            ("bake", "bake = \"soon\""),
            ("connections", "invalid type"),
            ("mode", "did you mean `automatic`?"),
            ("plan.mim_samples", "did you mean `min_samples`?"),
            ("plan.look", "look = 1ms"),
            ("plan.template", "did you mean `careful`?"),
            ("plan.triggers.p99_cieling", "did you mean `p99_ceiling`?"),
            ("metrics[0]", "metric revenue has no harm"),
            ("metrics[1].marign", "unknown field `marign`"),
            ("notify[0]", "notify[0].url"),
            ("notify[1].events", "notify[1].events"),
        ];
        assert_told(text, &expected);
    }

    #[test]
    fn an_entry_that_lacks_something_hides_no_other_mistake() {
        let text = r#"
            bake = 5
            [[metrics]]
            role = "advisory"
            [[metrics]]
            name = "latency"
            marign = 1
            [[notify]]
            format = "slack"
            [[notify]]
            events = []
        "#;
        let expected = [
            ("bake", "invalid type"),
            ("metrics[0]", "missing field `name`"),
            ("metrics[1].marign", "unknown field `marign`"),
            ("notify[0]", "missing field `url`"),
            ("notify[1]", "missing field `url`"),
        ];
        assert_told(text, &expected);
    }

    #[test]
    fn mistakes_in_one_section_are_told_apart() {
        let text = r#"
            bake = "soon"
            sticky_header = "x user"
            [feedback]
            enabled = "yes"
            expires = "0s"
            [breaker]
            failures = "many"
            probe_every = "1ms"
            [post_promotion]
            action = "revert"
            [ring]
            capacity = 100001
            [plan.triggers]
            p99_ceiling = "soon"
            consecutive_failures = -1
            failures_in_window = 65
            [[metrics]]
            name = "revenue"
            [[metrics]]
            name = "latency"
            role = "boss"
            min_samples = 1
            [[metrics]]
            name = "clicks"
        "#;
        let places = [
            "bake",
            "sticky_header",
            "feedback.enabled",
            "feedback.expires",
            "breaker.failures",
            "breaker.probe_every",
            "post_promotion.action",
            "ring.capacity",
            "plan.triggers.p99_ceiling",
            "plan.triggers.consecutive_failures",
            "plan.triggers.failures_in_window",
            "metrics[0]",
            "metrics[1].role",
            "metrics[1].min_samples",
            "metrics[2]",
        ];
        assert_told(text, &places.map(|place| (place, "")));
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        let found = problems("workers = 2\nalpha = = 3");
        assert!(found.len() == 1 && found[0].contains("line 2"), "{found:?}");
    }

    #[test]
    fn two_settings_that_contradict_each_other_are_told_once() {
        let found = problems("promote_score = 50.0\nrollback_score = 60.0");
        assert_eq!(found.len(), 1, "{found:?}");
        let found = problems("[plan]\ndeadline = \"1m\"");
        assert!(found.len() == 1 && found[0].starts_with("plan.deadline: "), "{found:?}");
    }
}
