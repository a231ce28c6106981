//! A report as Markdown: the summary of a pipeline, as for `$GITHUB_STEP_SUMMARY`.

use super::page::COLUMNS;
use super::page::cells_of;
use crate::cli::show;
use crate::service::status::report::Report;

/// Headline, reason, a row per metric, and what happens next.
pub(super) fn page(word: &str, report: &Report) -> String {
    let mut text = format!("### {word}: {}\n", escaped(&report.headline));
    for paragraph in report.why.iter() {
        text += &format!("\n{}\n", escaped(paragraph));
    }
    if !report.metrics.is_empty() {
        text += &format!("\n| {} |\n|{}\n", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()));
        for row in &report.metrics {
            let cells: Vec<String> =
                cells_of(row, &COLUMNS).iter().map(|cell| escaped(&unstyled(cell))).collect();
            text += &format!("| {} |\n", cells.join(" | "));
        }
    }
    for paragraph in report.missing.iter().chain(&report.notes).chain([&report.next]) {
        text += &format!("\n{}\n", escaped(paragraph));
    }
    text
}

fn unstyled(cell: &str) -> String {
    anstream::adapter::strip_str(cell).to_string()
}

/// The text without characters that Markdown takes for marks.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in show::plain(text).chars() {
        if matches!(letter, '|' | '*' | '_' | '`' | '<' | '>' | '[' | ']' | '\\' | '#') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_change_the_layout() {
        assert_eq!(escaped("a|b <img> *x*"), r"a\|b \<img\> \*x\*");
        assert_eq!(escaped("plan: 10 % -> 50 %"), r"plan: 10 % -\> 50 %");
        assert!(!escaped("two\nlines").contains('\n'));
    }
}
