//! Scalars of an `MLmodel` file by their path: the part of YAML that MLflow writes.
//!
//! Read are mappings in lines, and plain and quoted texts, also over several lines. Lists, aliases, tags, flow
//! mappings and escapes are skipped: a key that has one has no text. Nothing is expanded, so that a file takes a few
//! times its size in memory.

use std::collections::BTreeMap;

/// Bytes of a file; MLflow writes some 1,500.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Mappings in one another.
const MAX_DEPTH: usize = 32;

/// The scalars by path.
#[derive(Debug)]
pub(super) struct Scalars {
    /// The keys of a path are separated by a line break, which no key contains. `None`: a value that is not read.
    by_path: BTreeMap<String, Option<String>>,
}

impl Scalars {
    /// Reads the lines.
    ///
    /// # Errors
    ///
    /// The number of the line that is not read, and why.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut by_path = BTreeMap::new();
        let mut lines = Lines { lines: text.lines().collect(), next: 0 };
        let mut parents: Vec<(usize, String)> = Vec::new();
        while let Some((indent, content)) = lines.take() {
            let number = lines.next;
            let refusal = |problem: &str| format!("line {number}: {problem}");
            if content.starts_with('\t') {
                return Err(refusal("it begins with a tab"));
            }
            if content == "-" || content.starts_with("- ") {
                lines.skip_deeper_than(indent);
                continue;
            }
            while parents.last().is_some_and(|(of_parent, _)| *of_parent >= indent) {
                parents.pop();
            }
            let (key, rest) = key(content).ok_or_else(|| refusal("it is not `key: value`"))?;
            let mut path: String =
                parents.iter().flat_map(|(_, key)| [key.as_str(), "\n"]).collect();
            path.push_str(key);
            let value = match rest.chars().next() {
                None => {
                    parents.push((indent, key.to_owned()));
                    if parents.len() > MAX_DEPTH {
                        return Err(refusal("too many mappings in one another"));
                    }
                    None
                }
                Some(quote @ ('\'' | '"')) => lines
                    .quoted(quote, &rest[1..])
                    .ok_or_else(|| refusal("the quote is not closed"))?,
                Some('&' | '*' | '!' | '|' | '>' | '%' | '@' | '`' | '{' | '[') => {
                    lines.skip_deeper_than(indent);
                    None
                }
                Some(_) => Some(lines.plain(indent, rest)),
            };
            if by_path.insert(path, value).is_some() {
                return Err(refusal("the key occurs twice"));
            }
        }
        Ok(Self { by_path })
    }

    /// The text at a path.
    pub(super) fn text(&self, path: &[&str]) -> Option<&str> {
        self.by_path.get(&path.join("\n"))?.as_deref()
    }

    /// The keys of a mapping.
    pub(super) fn keys(&self, of: &str) -> Vec<&str> {
        let inner =
            self.by_path.keys().filter_map(|path| path.strip_prefix(of)?.strip_prefix('\n'));
        inner.filter(|path| !path.contains('\n')).collect()
    }
}

/// The lines that are not yet read.
struct Lines<'a> {
    lines: Vec<&'a str>,
    next: usize,
}

impl<'a> Lines<'a> {
    /// The next line with content, and its indent.
    fn take(&mut self) -> Option<(usize, &'a str)> {
        loop {
            let line = self.lines.get(self.next)?;
            self.next += 1;
            let content = line.trim_start_matches(' ').trim_end();
            if !content.is_empty() && !content.starts_with('#') && content != "---" {
                return Some((line.len() - line.trim_start_matches(' ').len(), content));
            }
        }
    }

    /// The next line if it is deeper than this indent, or blank.
    fn take_deeper_than(&mut self, indent: usize) -> Option<&'a str> {
        let line = self.lines.get(self.next)?;
        let content = line.trim();
        let is_deeper = line.len() - line.trim_start_matches(' ').len() > indent;
        if !content.is_empty() && !is_deeper {
            return None;
        }
        self.next += 1;
        Some(content)
    }

    fn skip_deeper_than(&mut self, indent: usize) {
        while self.take_deeper_than(indent).is_some() {}
    }

    /// A text without quotes.
    fn plain(&mut self, indent: usize, first: &str) -> String {
        let mut text = first.split(" #").next().unwrap_or_default().trim_end().to_owned();
        while let Some(line) = self.take_deeper_than(indent) {
            text.push(' ');
            text.push_str(line);
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// A quoted text from behind its quote; `Some(None)` for one with escapes, `None` if the quote is not closed.
    fn quoted(&mut self, quote: char, first: &'a str) -> Option<Option<String>> {
        let (mut text, mut has_escapes) = (String::new(), false);
        let mut line = first;
        loop {
            let mut letters = line.chars().peekable();
            while let Some(letter) = letters.next() {
                match letter {
                    '\\' if quote == '"' => {
                        has_escapes = true;
                        letters.next();
                    }
                    _ if letter != quote => text.push(letter),
                    '\'' if letters.peek() == Some(&'\'') => {
                        letters.next();
                        text.push('\'');
                    }
                    // What may follow is a comment.
                    _ => return Some((!has_escapes).then_some(text)),
                }
            }
            // A line break stands for a blank, and an empty line for a line break.
            let next = self.lines.get(self.next)?.trim();
            self.next += 1;
            text.truncate(text.trim_end_matches(' ').len());
            text.push(if next.is_empty() { '\n' } else { ' ' });
            line = next;
        }
    }
}

/// The key of a line, and what is behind its colon.
fn key(content: &str) -> Option<(&str, &str)> {
    let quote = content.chars().next().filter(|first| matches!(first, '\'' | '"'));
    if let Some(quote) = quote {
        let (key, rest) = content.get(1..)?.split_once(quote)?;
        return Some((key, rest.trim_start().strip_prefix(':')?.trim()));
    }
    match content.split_once(": ") {
        Some((key, rest)) => Some((key.trim_end(), rest.trim())),
        None => content.strip_suffix(':').map(|key| (key, "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_by_path_in_every_form_that_mlflow_writes() {
        let text = "# comment\nflavors:\n  sklearn:\n    code: null\n    types:\n    - a\n    - 'b\n\n      c'\n    \
            data: model.skops # here\n  empty:\n    x: {}\nsignature:\n  inputs: '[{\"name\": \"it''s\",\n    \
            \"type\": 1}]'\n  plain: one\n    two\n  \"double\": \"a b\"\n  escaped: \"a\\n\\\n    b\"\nlast: 1\n";
        let scalars = Scalars::read(text).unwrap();
        for (path, expected) in [
            (&["flavors", "sklearn", "data"][..], Some("model.skops")),
            (&["flavors", "sklearn", "code"], Some("null")),
            (&["flavors", "empty", "x"], None),
            (&["signature", "inputs"], Some("[{\"name\": \"it's\", \"type\": 1}]")),
            (&["signature", "plain"], Some("one two")),
            (&["signature", "double"], Some("a b")),
            (&["signature", "escaped"], None),
            (&["last"], Some("1")),
            (&["none"], None),
        ] {
            assert_eq!(scalars.text(path), expected, "{path:?}");
        }
        assert_eq!(scalars.keys("flavors"), ["empty", "sklearn"]);
    }

    #[test]
    fn what_is_not_read_is_refused_with_its_line() {
        let deep: String = (0..40).map(|depth| format!("{}k:\n", " ".repeat(depth))).collect();
        for (text, expected) in [
            ("a: 1\nb", "line 2: it is not `key: value`"),
            ("a: 1\na: 2", "line 2: the key occurs twice"),
            ("a: 'b\nc", "line 1: the quote is not closed"),
            ("\ta: 1", "line 1: it begins with a tab"),
            (&deep, "line 33: too many mappings in one another"),
        ] {
            assert_eq!(Scalars::read(text).unwrap_err(), expected);
        }
        // An alias bomb is a few keys without a text.
        let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: *b\n";
        assert_eq!(Scalars::read(bomb).unwrap().text(&["c"]), None);
    }
}
