//! A comparison as people read it.

use serde_json::Value as Json;

use super::comparison::Comparison;
use super::comparison::DifferentRow;
use super::comparison::Directions;
use super::comparison::Flips;
use super::comparison::InSegment;
use super::comparison::SegmentVerdict;
use super::quality::Loss;
use super::quality::Quality;
use crate::canary::analysis::two_samples::Decision;
use crate::cli::show;
use crate::cli::show::outln;
use crate::text::numbers::equation;
use crate::text::numbers::grouped;
use crate::text::numbers::number;
use crate::text::numbers::share;

/// Pairs of classes between which labels flip, as many as are printed.
const CHANGES: usize = 10;

/// The longest name of a class in a table.
const CLASS_CHARACTERS: usize = 16;

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
    if let Some(found) = &comparison.flips {
        outln!("{}", show::wrapped(&show::plain(&flips(found, comparison.compared)), ""));
    }
    outln!("{}", show::wrapped(&scores(comparison), ""));
    if !comparison.most_different.is_empty() {
        outln!("\n{}", heading("Rows that differ most"));
        let rows = comparison.most_different.iter();
        print_table(rows.map(|found| row(found, comparison.loss)).collect());
    }
    if !comparison.segments.is_empty() {
        outln!("\n{}", heading("Segments"));
        let segments = comparison.segments.iter();
        print_table(segments.map(|found| segment(found, comparison.loss)).collect());
    }
}

/// A cell of a table under the heading of its column.
type Cell<'h> = (&'h str, String);

/// Prints rows that all have the same columns.
fn print_table(rows: Vec<Vec<Cell<'static>>>) {
    let header: Vec<&str> = rows.iter().take(1).flatten().map(|(name, _)| *name).collect();
    let values = rows.iter().map(|row| row.iter().map(|(_, value)| value.clone()));
    show::aligned(header, values.map(Iterator::collect::<Vec<String>>))
        .iter()
        .for_each(|line| outln!("  {line}"));
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
    let labeled = match quality.rows() == *compared as u64 {
        true => String::new(),
        false => format!(", {} with an outcome", grouped(quality.rows())),
    };
    let target = target.in_words();
    let outcomes = match quality {
        Quality::TwoClasses { report, .. } => {
            format!("base rate {} of {target}", share(report.base_rate))
        }
        Quality::Classes { .. } => format!("outcomes in {target}"),
        Quality::Scores { mean_outcome, .. } => {
            format!("outcomes in {target}, {} on average", number(*mean_outcome))
        }
    };
    format!("{rows_found}{labeled}, {outcomes}")
}

fn quality(comparison: &Comparison<'_>, both: [&Quality; 2]) {
    let [a, b] = both.map(Quality::figures);
    let loss = comparison.loss;
    let differences = comparison.differences.as_ref();
    let rows = a.into_iter().zip(b).map(|(a, b)| {
        let found = differences.and_then(|differences| differences.get(a.key));
        let [difference, interval] = match found {
            None => ["-".to_owned(), "-".to_owned()],
            Some(found) => {
                let [low, high] = found.interval.map(|end| loss.signed(end));
                [loss.signed(found.difference), format!("{low} to {high}")]
            }
        };
        [a.name.to_owned(), a.value, b.value, difference, interval]
    });
    let header = ["", "A", "B", "B - A", "95 % interval"];
    show::aligned(header, rows).iter().for_each(|line| outln!("{line}"));
    outln!();
    for (name, quality) in ["A", "B"].into_iter().zip(both) {
        if let Some(hint) = quality.hint(name) {
            outln!("{}\n", show::wrapped(&hint, ""));
        }
    }
}

fn flips(found: &Flips, compared: usize) -> String {
    let Flips { rows, share: part, interval, directions, outcomes } = found;
    let all = grouped(compared as u64);
    if *rows == 0 {
        return format!("Labels: the same in all {all} rows.");
    }
    let interval = interval.map_or_else(String::new, |(low, high)| {
        format!("; 95 % interval {} to {}", share(low), share(high))
    });
    let directions = match directions {
        Directions::Two { to_positive, to_negative } => format!(
            "{} to 1 and {} to 0",
            grouped(*to_positive as u64),
            grouped(*to_negative as u64)
        ),
        Directions::Classes { changes } => {
            let shown = changes.iter().take(CHANGES).map(|change| {
                format!("{} from {} to {}", grouped(change.rows as u64), change.from, change.to)
            });
            let rest: usize = changes.iter().skip(CHANGES).map(|change| change.rows).sum();
            let rest = (rest > 0).then(|| {
                format!("{} between other classes (--json has all)", grouped(rest as u64))
            });
            shown.chain(rest).collect::<Vec<String>>().join(", ")
        }
    };
    let flips = format!(
        "Labels: {} of {all} rows flip ({}{interval}), {directions}.",
        grouped(*rows as u64),
        share(*part),
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
    let Some(mean) = found.mean_difference else {
        return match found.largest {
            0.0 => "Probabilities: the same in all rows.".to_owned(),
            largest => format!(
                "Probabilities: in half of the rows no class differs by more than {:.4}, in 95 % by more than {:.4}, in \
                 none by more than {largest:.4}.",
                found.median, found.p95
            ),
        };
    };
    if found.largest == 0.0 {
        return "Scores: the same in all rows.".to_owned();
    }
    let size = |size| digits(comparison.loss, size);
    let sign = if mean < 0.0 { "-" } else { "+" };
    format!(
        "Scores: B minus A is {sign}{} on average; half of the rows differ by at most {}, 95 % by at most {}, none by \
         more than {}.",
        size(mean.abs()),
        size(found.median),
        size(found.p95),
        size(found.largest)
    )
}

/// A probability with four digits; a score with six significant ones.
fn digits(loss: Loss, value: f64) -> String {
    match loss {
        Loss::LogLoss => format!("{value:.4}"),
        Loss::Rmse => number(value),
    }
}

fn signed(loss: Loss, value: f64) -> String {
    let sign = if value < 0.0 { "-" } else { "+" };
    format!("{sign}{}", digits(loss, value.abs()))
}

fn row(found: &DifferentRow, loss: Loss) -> Vec<Cell<'static>> {
    let [a, b] = found.scores.map(|score| digits(loss, score));
    let class = found.class.as_ref().map(|class| ("class", short(class)));
    let labels = found.labels.as_ref().map(|labels| {
        let [ours, theirs] = labels.each_ref().map(text);
        ("labels", if ours == theirs { ours } else { format!("{ours} -> {theirs}") })
    });
    let mut cells = vec![("row", found.row.to_string())];
    cells.extend(class);
    cells.extend([("A", a), ("B", b), ("B - A", signed(loss, found.difference))]);
    cells.extend(labels);
    cells.push(("outcome", text(&found.outcome)));
    cells
}

/// A label or an outcome.
fn text(value: &Json) -> String {
    match value {
        Json::Null => "-".to_owned(),
        Json::Bool(positive) => u8::from(*positive).to_string(),
        Json::Number(found) => found.as_f64().map_or_else(|| found.to_string(), number),
        other => short(other.as_str().unwrap_or_default()),
    }
}

/// The name of a class, cut to a length that fits a table.
fn short(class: &str) -> String {
    let class = show::plain(class);
    match class.char_indices().nth(CLASS_CHARACTERS) {
        None => class.into_owned(),
        Some((end, _)) => format!("{}…", &class[..end]),
    }
}

fn segment(found: &InSegment, loss: Loss) -> Vec<Cell<'static>> {
    let verdict = match found.verdict {
        SegmentVerdict::Better => "better",
        SegmentVerdict::Worse => "worse",
        SegmentVerdict::NotShown => "within noise",
        SegmentVerdict::TooFewRows => "-",
    };
    let difference = found.difference().map(|it| signed(loss, it.difference));
    let of_loss = match loss {
        Loss::LogLoss => "log-loss B - A",
        Loss::Rmse => "RMSE B - A",
    };
    let mut cells =
        vec![("", show::plain(&found.name()).into_owned()), ("rows", grouped(found.rows as u64))];
    cells.extend(found.flips.map(|flips| ("flips", grouped(flips as u64))));
    cells.extend(found.mean_score_difference.map(|mean| ("score B - A", signed(loss, mean))));
    cells.push((of_loss, difference.unwrap_or_else(|| "-".to_owned())));
    cells.push(("B is", verdict.to_owned()));
    cells
}

fn heading(text: &str) -> String {
    show::styled(show::STRONG, text)
}
