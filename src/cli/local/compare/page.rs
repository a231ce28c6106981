//! A comparison as people read it.

use super::comparison::Comparison;
use super::comparison::DifferentRow;
use super::comparison::Flips;
use super::comparison::InSegment;
use super::comparison::Quality;
use super::comparison::SegmentVerdict;
use crate::canary::analysis::two_samples::Decision;
use crate::cli::show;
use crate::cli::show::outln;
use crate::stats::PairedDifference;
use crate::text::numbers::equation;
use crate::text::numbers::grouped;
use crate::text::numbers::share;

pub(super) fn print(comparison: &Comparison<'_>) {
    let style = match comparison.decision {
        Decision::Promote => show::GOOD,
        Decision::Rollback => show::BAD,
        Decision::Wait => show::WAIT,
    };
    outln!("{}", show::styled(style, comparison.decision.word()));
    outln!("{}\n", show::wrapped(&show::plain(&comparison.reason), "  "));
    for (name, model) in ["A  ", "B  "].into_iter().zip(&comparison.models) {
        outln!("{}", show::hanging(name, &show::plain(&model.path.display().to_string())));
    }
    outln!("{}\n", show::wrapped(&show::plain(&data(comparison)), ""));
    for (name, model) in ["A", "B"].into_iter().zip(&comparison.models) {
        if let Some(failures) = model.failed.in_words(name) {
            outln!("{}\n", show::wrapped(&show::plain(&failures), ""));
        }
    }
    if let [Some(a), Some(b)] = comparison.models.each_ref().map(|model| model.quality.as_ref()) {
        quality(comparison, [a, b]);
    }
    outln!("{}", show::wrapped(&flips(comparison), ""));
    outln!("{}", show::wrapped(&scores(comparison), ""));
    if !comparison.most_different.is_empty() {
        outln!("\n{}", heading("Rows that differ most"));
        let header = ["row", "A", "B", "B - A", "labels", "outcome"];
        show::aligned(header, comparison.most_different.iter().map(row))
            .iter()
            .for_each(|line| outln!("  {line}"));
    }
    if !comparison.segments.is_empty() {
        outln!("\n{}", heading("Segments"));
        let header = ["", "rows", "flips", "score B - A", "log-loss B - A", "B is"];
        show::aligned(header, comparison.segments.iter().map(segment))
            .iter()
            .for_each(|line| outln!("  {line}"));
    }
}

/// `rest.csv: 600 rows, 590 with an outcome, 43.2 % of them left = yes`.
fn data(comparison: &Comparison<'_>) -> String {
    let Comparison { data, rows, compared, target, models, .. } = comparison;
    let both = match compared == rows {
        true => String::new(),
        false => format!(", {} answered by both models", grouped(*compared as u64)),
    };
    let rows_found = format!("{data}: {} rows{both}", grouped(*rows as u64));
    let Some((target, quality)) = target.as_ref().zip(models[0].quality.as_ref()) else {
        return format!("{rows_found}, without outcomes");
    };
    let report = &quality.report;
    let labeled = match report.rows == *compared as u64 {
        true => String::new(),
        false => format!(", {} with an outcome", grouped(report.rows)),
    };
    let base_rate = share(report.base_rate);
    format!("{rows_found}{labeled}, base rate {base_rate} of {}", target.in_words())
}

fn quality(comparison: &Comparison<'_>, both: [&Quality; 2]) {
    let difference = |found: Option<PairedDifference>| match found {
        None => ["-".to_owned(), "-".to_owned()],
        Some(PairedDifference { difference, interval: [low, high], .. }) => {
            [format!("{difference:+.5}"), format!("{low:+.5} to {high:+.5}")]
        }
    };
    let row = |name: &str, values: [String; 2], found: Option<PairedDifference>| {
        [name.to_owned()].into_iter().chain(values).chain(difference(found)).collect::<Vec<_>>()
    };
    let number = |value: fn(&Quality) -> f64| both.map(|one| format!("{:.5}", value(one)));
    let differences = comparison.differences.as_ref();
    let of = |value: fn(&super::comparison::Differences) -> Option<PairedDifference>| {
        differences.and_then(value)
    };
    let rows = [
        row("AUC", number(|it| it.report.auc), of(|it| it.auc)),
        row("log-loss", number(|it| it.report.log_loss), of(|it| it.log_loss)),
        row("Brier", number(|it| it.report.brier), of(|it| it.brier)),
        row("accuracy", number(|it| it.report.accuracy), of(|it| it.accuracy)),
        row("miscalibration", number(|it| it.miscalibration), of(|it| it.miscalibration)),
    ];
    let header = ["", "A", "B", "B - A", "95 % interval"];
    show::aligned(header, rows).iter().for_each(|line| outln!("{line}"));
    outln!();
    for (name, quality) in ["A", "B"].into_iter().zip(both) {
        if quality.report.auc < 0.5 {
            let hint = format!(
                "{name} ranks these rows worse than chance (AUC {:.5}): the labels of the file may be inverted against \
                 those of its training data.",
                quality.report.auc
            );
            outln!("{}\n", show::wrapped(&hint, ""));
        }
    }
}

fn flips(comparison: &Comparison<'_>) -> String {
    let Flips { rows, share: part, interval, to_positive, to_negative, outcomes } =
        &comparison.flips;
    let all = grouped(comparison.compared as u64);
    if *rows == 0 {
        return format!("Labels: the same in all {all} rows.");
    }
    let interval = interval.map_or_else(String::new, |(low, high)| {
        format!("; 95 % interval {} to {}", share(low), share(high))
    });
    let flips = format!(
        "Labels: {} of {all} rows flip ({}{interval}), {} to 1 and {} to 0.",
        grouped(*rows as u64),
        share(*part),
        grouped(*to_positive as u64),
        grouped(*to_negative as u64),
    );
    match outcomes {
        None => flips,
        Some(found) => format!(
            "{flips} B is right in {} of them, A in {} (McNemar {}).",
            grouped(found.to_right),
            grouped(found.to_wrong),
            equation("p", found.mcnemar_p_value)
        ),
    }
}

fn scores(comparison: &Comparison<'_>) -> String {
    let found = &comparison.scores;
    if found.largest == 0.0 {
        return "Scores: the same in all rows.".to_owned();
    }
    let mean = found.mean_difference.unwrap_or_default();
    format!(
        "Scores: B minus A is {mean:+.4} on average; half of the rows differ by at most {:.4}, 95 % by at most {:.4}, \
         none by more than {:.4}.",
        found.median, found.p95, found.largest
    )
}

fn row(found: &DifferentRow) -> Vec<String> {
    let [a, b] = found.scores;
    let labels = match found.labels {
        [ours, theirs] if ours == theirs => format!("{ours}"),
        [ours, theirs] => format!("{ours} -> {theirs}"),
    };
    let outcome = found.outcome.map_or_else(|| "-".to_owned(), |it| u8::from(it).to_string());
    let difference = format!("{:+.4}", found.difference);
    vec![found.row.to_string(), format!("{a:.4}"), format!("{b:.4}"), difference, labels, outcome]
}

fn segment(found: &InSegment) -> Vec<String> {
    let or_none =
        |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |it| format!("{it:+.4}"));
    let verdict = match found.verdict {
        SegmentVerdict::Better => "better",
        SegmentVerdict::Worse => "worse",
        SegmentVerdict::NotShown => "within noise",
        SegmentVerdict::TooFewRows => "-",
    };
    vec![
        show::plain(&found.name()).into_owned(),
        grouped(found.rows as u64),
        grouped(found.flips as u64),
        or_none(found.mean_score_difference),
        or_none(found.log_loss.map(|it| it.difference)),
        verdict.to_owned(),
    ]
}

fn heading(text: &str) -> String {
    show::styled(show::STRONG, text)
}
