//! Pages of models of many classes that serin trained.

use crate::cli::show;
use crate::model::Card;
use crate::model::artifact::card::TrainedClasses;
use crate::model::artifact::class_report::ClassFigures;
use crate::model::artifact::class_report::ClassesReport;
use crate::text::lists::quoted;
use crate::text::numbers::share;

/// Terms printed for each class; `--json` has them all.
const TERMS: usize = 4;

/// Classes whose names and terms are printed.
const NAMED_CLASSES: usize = 20;

/// Classes up to which the page counts what was predicted for each of them.
const COUNTED_CLASSES: usize = 8;

/// Characters of a class name in the head of a column of counts.
const HEAD_CHARACTERS: usize = 8;

/// The facts of a card: kind, origin, quality of the whole.
pub(super) fn of_training(card: &Card, trained: &TrainedClasses) -> Vec<(&'static str, String)> {
    let (training, holdout) = (&trained.training, &trained.holdout);
    let learned = format!(
        "{}, {}; multinomial, from {} of {} rows",
        training.target,
        counted(card.output.classes()),
        training.training_rows,
        training.rows
    );
    let split = format!(
        "{} rows ({}), seed {}, l2 {}",
        holdout.rows, training.holdout, training.seed, training.l2
    );
    let mut facts = vec![
        ("model", format!("multinomial logistic regression, {} bytes", card.size_bytes)),
        ("digest", card.digest.to_string()),
        ("data", training.source.clone()),
        ("target", learned),
        ("holdout", split),
    ];
    facts.extend(
        quality(holdout).map(|(name, value, baseline)| (name, format!("{value}  ({baseline})"))),
    );
    facts
}

/// `3 classes: basic, silver, gold`.
fn counted(classes: &[String]) -> String {
    let names: Vec<&str> = classes.iter().take(NAMED_CLASSES).map(String::as_str).collect();
    let rest = classes.len().saturating_sub(NAMED_CLASSES);
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{} classes: {}{rest}", classes.len(), names.join(", "))
}

/// Each measure of the whole with its value, and that of a model without features.
fn quality(report: &ClassesReport) -> [(&'static str, String, String); 3] {
    let frequent = quoted(report.most_frequent().unwrap_or_default());
    let shares = |value: f64| format!("the shares of the classes alone: {value:.4}");
    [
        ("log-loss", format!("{:.4}", report.log_loss), shares(report.baseline_log_loss)),
        ("Brier", format!("{:.4}", report.brier), shares(report.baseline_brier)),
        (
            "accuracy",
            share(report.accuracy),
            format!("always {frequent}: {}", share(report.baseline_accuracy)),
        ),
    ]
}

/// Tables: the figures of each class, and what was predicted for it if there are few. Each is a list of lines.
pub(super) fn figures(report: &ClassesReport) -> Vec<Vec<String>> {
    let or_dash = |number: Option<f64>, shown: fn(f64) -> String| {
        number.map_or_else(|| "-".to_owned(), shown)
    };
    let row = |it: &ClassFigures| {
        [
            show::plain(&it.class).into_owned(),
            it.rows.to_string(),
            or_dash(it.recall, share),
            or_dash(it.precision, share),
            or_dash(it.auc, |auc| format!("{auc:.4}")),
        ]
    };
    let header = ["class", "rows", "recall", "precision", "AUC against the rest"];
    let of_classes = show::aligned(header, report.classes.iter().map(row));
    let confusion = report.confusion.iter().filter(|it| it.len() <= COUNTED_CLASSES);
    std::iter::once(of_classes).chain(confusion.map(|it| counts(report, it))).collect()
}

/// Rows by what occurred and what was predicted.
fn counts(report: &ClassesReport, confusion: &[Vec<u64>]) -> Vec<String> {
    let heads: Vec<String> = report.classes.iter().map(|it| head(&it.class)).collect();
    let header = std::iter::once("occurred, by predicted").chain(heads.iter().map(String::as_str));
    let row = |(it, counts): (&ClassFigures, &Vec<u64>)| {
        let name = show::plain(&it.class).into_owned();
        std::iter::once(name).chain(counts.iter().map(u64::to_string)).collect::<Vec<String>>()
    };
    show::aligned(header, report.classes.iter().zip(confusion).map(row))
}

/// The beginning of a name, so that eight columns fit.
fn head(class: &str) -> String {
    let class = show::plain(class);
    match class.chars().nth(HEAD_CHARACTERS) {
        Some(_) => class.chars().take(HEAD_CHARACTERS - 1).chain(['\u{2026}']).collect(),
        None => class.into_owned(),
    }
}

/// What a log-loss above that of the shares means, after the name of a model.
pub(super) fn worse_than_shares(report: &ClassesReport) -> Option<String> {
    (report.log_loss > report.baseline_log_loss).then(|| {
        "predicts worse than the shares of the classes alone: perhaps the columns say nothing about the target; try a \
         larger --l2"
            .to_owned()
    })
}

/// The largest terms of each class.
pub(super) fn terms(trained: &TrainedClasses) -> Vec<String> {
    let mut lines = Vec::new();
    for class in trained.terms.iter().take(NAMED_CLASSES) {
        let terms = class.coefficients.iter().take(TERMS);
        let terms = terms.map(|term| format!("{} {:+.4}", term.name(), term.weight));
        let all: Vec<String> =
            std::iter::once(format!("(intercept) {:+.4}", class.intercept)).chain(terms).collect();
        let text = show::plain(&format!("{}: {}", class.class, all.join(", "))).into_owned();
        lines.push(show::hanging("    ", &text).trim_start().to_owned());
    }
    lines.push("--json has all terms of all classes".to_owned());
    lines
}
