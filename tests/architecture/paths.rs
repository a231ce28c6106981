//! The paths that a source file names, from the crate's root.
//!
//! Groups, `self`, `super` and inline modules are expanded; macros are not.

use super::tokens::Token;
use super::tokens::is_name;
use super::tokens::text_before;

/// A path that the source names, in a `use` or in passing.
pub struct PathUse {
    pub target: Target,
    pub line: usize,
    pub in_test: bool,
    /// Everything below it is imported (`*`), or it gets another name (`as`).
    pub whole: bool,
    /// It is in a `pub use`.
    pub is_reexport: bool,
}

pub enum Target {
    /// From the crate's root: `["stats", "welch"]`.
    Ours(Vec<String>),
    /// As written: `["std", "fs", "read"]`.
    Foreign(Vec<String>),
}

pub fn paths(tokens: &[Token], file_module: Vec<String>) -> Vec<PathUse> {
    let mut found = Vec::new();
    let mut depth = 0;
    // The inline modules around this token, each with the depth at which it ends.
    let mut inline: Vec<(String, usize)> = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        let text = tokens[index].text.as_str();
        let next = tokens.get(index + 1).map_or("", |token| token.text.as_str());
        let before = text_before(tokens, index);
        if text == "mod" && tokens.get(index + 2).is_some_and(|third| third.text == "{") {
            inline.push((next.to_owned(), depth));
            index += 2;
            continue;
        }
        if text == "{" {
            depth += 1;
        } else if text == "}" {
            depth = depth.saturating_sub(1);
            inline.pop_if(|(_, end)| *end == depth);
        }
        let starts = text == "use" || (is_name(text) && next == "::" && before != "::");
        // `::std::fs` starts at its first name; in `<T as Trait>::NAME` nothing starts.
        let starts_at_root = text == "::" && !is_name(before) && ![">", "]"].contains(&before);
        if !starts && !starts_at_root {
            index += 1;
            continue;
        }
        let mut module = file_module.clone();
        module.extend(inline.iter().map(|(name, _)| name.clone()));
        let is_reexport = text == "use" && ["pub", ")"].contains(&before);
        let first = index + usize::from(text == "use" || text == "::");
        let known = found.len();
        index = expand(tokens, first, Vec::new(), &module, &mut found).max(index + 1);
        found[known..].iter_mut().for_each(|path| path.is_reexport = is_reexport);
    }
    found
}

/// Follows one path, through its groups, and returns the index behind it.
fn expand(
    tokens: &[Token],
    mut index: usize,
    mut segments: Vec<String>,
    module: &[String],
    found: &mut Vec<PathUse>,
) -> usize {
    while let Some(token) = tokens.get(index) {
        let next = tokens.get(index + 1).map_or("", |next| next.text.as_str());
        if token.text == "::" {
            index += 1;
        } else if token.text == "{" {
            index += 1;
            while tokens.get(index).is_some_and(|inner| inner.text != "}") {
                let after = expand(tokens, index, segments.clone(), module, found);
                index = after.max(index + 1);
            }
            return index + 1;
        } else if token.text == "*" || is_name(&token.text) {
            let glob = token.text == "*";
            if !glob {
                segments.push(token.text.clone());
            }
            index += 1;
            if glob || next != "::" {
                let (line, in_test) = (token.line, token.in_test);
                let whole = glob || next == "as";
                found.push(PathUse {
                    target: resolve(&segments, module),
                    line,
                    in_test,
                    whole,
                    is_reexport: false,
                });
                return if next == "as" { index + 2 } else { index };
            }
        } else {
            // `Vec::<T>`: the path ends here, and what is in the brackets is read on its own.
            if let Some(last) = tokens.get(index.saturating_sub(2)).filter(|_| !segments.is_empty())
            {
                let (line, in_test) = (last.line, last.in_test);
                let target = resolve(&segments, module);
                found.push(PathUse { target, line, in_test, whole: false, is_reexport: false });
            }
            return index;
        }
    }
    index
}

fn resolve(segments: &[String], module: &[String]) -> Target {
    let mut target = match segments.first().map(String::as_str) {
        Some("crate" | "serin") => Vec::new(),
        Some("self" | "super") => module.to_vec(),
        _ => return Target::Foreign(segments.to_vec()),
    };
    for segment in segments {
        match segment.as_str() {
            "crate" | "serin" | "self" => {}
            "super" => drop(target.pop()),
            name => target.push(name.to_owned()),
        }
    }
    Target::Ours(target)
}
