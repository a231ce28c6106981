//! Layers of the settings: defaults, those of a profile, the file, environment variables and flags.
//!
//! The file is `serin.toml` in the working folder, if there is one, or the one named with `--config`.
//! Unknown keys are errors. Every error names the origin of the value: a flag, a variable, or a line of the
//! file.

use std::ops::Range;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::anyhow;
use serde_json::Map;
use serde_json::Value;
use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use super::Settings;
use super::flags::Flags;
use super::profile::Profile;
use crate::canary::Plan;
use crate::text::fields::FieldError;
use crate::text::fields::read;

/// The settings file by default.
pub const DEFAULT_FILE: &str = "serin.toml";

/// Maximum number of mistakes in a report.
const MAX_MISTAKES: usize = 50;

/// Where each setting comes from.
#[derive(Debug, Default)]
pub struct Layers {
    /// The defaults of a platform.
    profile: Option<Profile>,
    file: Option<File>,
    flags: Flags,
}

/// A settings file as it was read.
#[derive(Debug)]
struct File {
    path: PathBuf,
    text: String,
}

impl Layers {
    /// These flags over this file, or over `serin.toml` if there is one.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn new(flags: Flags, file: Option<&Path>) -> anyhow::Result<Layers> {
        let default = Path::new(DEFAULT_FILE);
        let path = file.or_else(|| default.exists().then_some(default));
        let file = path.map(|path| {
            let text = std::fs::read_to_string(path).with_context(|| {
                format!(
                    "cannot read {}; check the path of the settings file (--config)",
                    path.display()
                )
            })?;
            anyhow::Ok(File { path: path.to_owned(), text })
        });
        Ok(Layers { profile: None, file: file.transpose()?, flags })
    }

    /// These layers over the defaults of a platform.
    #[must_use]
    pub fn with_profile(self, profile: Option<Profile>) -> Layers {
        Layers { profile, ..self }
    }

    /// The settings.
    ///
    /// # Errors
    /// Names the first invalid setting, its origin, and what is allowed.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        let merged = self.merged().map_err(|error| anyhow!(self.located(&error)))?;
        let settings = settings(merged).and_then(|it| it.policy().map(|_| it));
        settings.map_err(|error| anyhow!(self.located(&error)))
    }

    /// The mistakes in the settings, each with its place: all invalid fields, then the first contradiction
    /// between fields. Secrets in the environment are not read.
    pub fn mistakes(&self) -> Vec<String> {
        let mut merged = match self.merged() {
            Ok(merged) => merged,
            Err(error) => return vec![self.located(&error)],
        };
        let (mut mistakes, mut removed) = (Vec::new(), String::new());
        while mistakes.len() < MAX_MISTAKES {
            let checked = settings(merged.clone());
            let error = match checked.as_ref().map(|settings| settings.service_with(any_secret)) {
                Ok(Ok(_)) => break,
                Ok(Err(contradiction)) => {
                    mistakes.push(self.located(&contradiction));
                    break;
                }
                Err(error) => error,
            };
            // A field that was removed because it is invalid is not missing.
            if !(error.message.starts_with("missing field") && removed.starts_with(&error.path)) {
                mistakes.push(self.located(error));
            }
            removed.clone_from(&error.path);
            if !remove(&mut merged, &error.path) {
                break;
            }
        }
        mistakes
    }

    /// Where the value of a setting comes from: `--bake`, `SERIN_BAKE`, the path of the file, or `default`.
    pub fn origin(&self, path: &str) -> String {
        let top = path.split(['.', '[']).next().unwrap_or_default();
        if let Some(given) = self.flags.given().rfind(|given| given.key == top) {
            return given.origin.clone();
        }
        match &self.file {
            Some(file) if file.has(path) => file.path.display().to_string(),
            Some(_) | None => self.of_profile(top).unwrap_or_else(|| "default".to_owned()),
        }
    }

    /// The flag of the profile, if it has this setting.
    fn of_profile(&self, key: &str) -> Option<String> {
        self.profile.filter(|it| it.fields(variable).contains_key(key)).map(Profile::flag)
    }

    fn merged(&self) -> Result<Value, FieldError> {
        let mut merged = self.profile.map(|it| it.fields(variable)).unwrap_or_default();
        merged.extend(self.file.as_ref().map_or(Ok(Map::new()), File::fields)?);
        for given in self.flags.given() {
            merged.insert(given.key.to_owned(), given.value.clone());
        }
        Ok(Value::Object(merged))
    }

    /// A mistake with its place in front: `serin.toml, line 3, column 8: bake: ...`.
    pub fn located(&self, error: &FieldError) -> String {
        let top = error.path.split(['.', '[']).next().unwrap_or_default();
        if let Some(given) = self.flags.given().rfind(|given| given.key == top) {
            let inner = if error.path == top { error.message.clone() } else { error.to_string() };
            return format!("{}: {inner}", given.origin);
        }
        let place = self.file.as_ref().and_then(|file| file.place(&error.path));
        let in_file = self.file.as_ref().is_some_and(|file| file.has(top));
        let place = if in_file { place } else { self.of_profile(top).or(place) };
        place.map_or_else(|| error.to_string(), |place| format!("{place}: {error}"))
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// In place of the secrets in the environment, where settings are only checked or shown.
pub fn any_secret(_: &str) -> Option<String> {
    Some("a secret that is long enough".to_owned())
}

/// The settings of these fields. A plan may begin with a template.
fn settings(mut fields: Value) -> Result<Settings, FieldError> {
    if let Some(Value::Object(changes)) = fields.get("plan") {
        let plan = Plan::default().changed(changes).map_err(|error| error.within("plan"))?;
        fields["plan"] = serde_json::to_value(plan).unwrap_or_default();
    }
    read(fields)
}

impl File {
    fn fields(&self) -> Result<Map<String, Value>, FieldError> {
        let table: toml::Table = self.text.parse().map_err(|cause: toml::de::Error| {
            FieldError::new("", format!("not TOML: {}", cause.message()))
        })?;
        let infinite = not_finite(&toml::Value::Table(table.clone()), String::new());
        if let Some(path) = infinite {
            return Err(FieldError::new(path, "not a finite number; use a finite one"));
        }
        match serde_json::to_value(table) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) => Ok(Map::new()),
            Err(cause) => Err(FieldError::new("", cause.to_string())),
        }
    }

    /// The file with the line and column of a field, or of the nearest table around it.
    fn place(&self, path: &str) -> Option<String> {
        let span = match DeTable::parse(&self.text) {
            Ok(table) => find(table.get_ref(), path).map(|(span, _)| span),
            Err(cause) => cause.span(),
        };
        let name = self.path.display();
        let Some(before) = span.and_then(|span| self.text.get(..span.start)) else {
            return Some(name.to_string());
        };
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        Some(format!("{name}, line {line}, column {column}"))
    }

    fn has(&self, path: &str) -> bool {
        let table = DeTable::parse(&self.text);
        table.is_ok_and(|table| find(table.get_ref(), path).is_some_and(|(_, whole)| whole))
    }
}

/// The place of the deepest existing part of a path, and whether that is the whole path.
fn find(table: &DeTable<'_>, path: &str) -> Option<(Range<usize>, bool)> {
    let mut steps = path.split(['.', '[']).map(|step| step.trim_end_matches(']'));
    let (key, mut value) = table.get_key_value(steps.next()?)?;
    let mut span = key.span();
    for step in steps {
        let next = match value.get_ref() {
            DeValue::Table(table) => {
                table.get_key_value(step).map(|(key, value)| (key.span(), value))
            }
            DeValue::Array(values) => {
                // Metrics are found by name, other entries by position.
                let is_named = |value: &&Spanned<DeValue<'_>>| {
                    value
                        .get_ref()
                        .get("name")
                        .is_some_and(|name| name.get_ref().as_str() == Some(step))
                };
                let counted = step.parse().ok().and_then(|index: usize| values.get(index));
                counted.or_else(|| values.iter().find(is_named)).map(|value| (value.span(), value))
            }
            _ => None,
        };
        let Some(next) = next else { return Some((span, false)) };
        (span, value) = next;
    }
    Some((span, true))
}

/// Removes the field at a path; for an entry in a list, the whole list. Returns whether it existed.
fn remove(fields: &mut Value, path: &str) -> bool {
    let list = path.ends_with(']').then(|| path.rfind('[')).flatten();
    let path = list.map_or(path, |end| &path[..end]);
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    let pointer: String = parent
        .split(['.', '['])
        .filter(|step| !step.is_empty())
        .map(|step| format!("/{}", step.trim_end_matches(']')))
        .collect();
    let parent = fields.pointer_mut(&pointer).and_then(Value::as_object_mut);
    parent.is_some_and(|fields| fields.remove(key).is_some())
}

/// The path of the first number that JSON cannot hold.
fn not_finite(value: &toml::Value, path: String) -> Option<String> {
    match value {
        toml::Value::Float(number) if !number.is_finite() => Some(path),
        toml::Value::Table(table) => table.iter().find_map(|(key, value)| {
            let dot = if path.is_empty() { "" } else { "." };
            not_finite(value, format!("{path}{dot}{key}"))
        }),
        toml::Value::Array(values) => values
            .iter()
            .enumerate()
            .find_map(|(n, value)| not_finite(value, format!("{path}[{n}]"))),
        _ => None,
    }
}
