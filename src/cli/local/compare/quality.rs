//! Quality of a model on rows whose outcomes are known, and the differences between two.

use anyhow::Context;
use anyhow::bail;
use serde::Serialize;
use serde::Serializer;

use super::outcomes::Outcome;
use super::scored::Scored;
use crate::model::HoldoutReport;
use crate::model::Label;
use crate::model::Output;
use crate::model::OutputKind;
use crate::model::artifact::report::log_loss;
use crate::model::artifact::report::report;
use crate::stats::Moments;
use crate::stats::PairedDifference;
use crate::stats::area_difference;
use crate::stats::brier;
use crate::stats::brier_of_classes;
use crate::stats::is_recordable;
use crate::stats::miscalibration_parts;
use crate::stats::paired_t;
use crate::stats::root_mean_square_difference;
use crate::text::numbers::number;

/// The quality of a model.
#[derive(Serialize)]
#[serde(untagged)]
pub(in crate::cli::local) enum Quality {
    /// Of probabilities of two classes.
    TwoClasses {
        #[serde(flatten)]
        report: HoldoutReport,
        /// The reliability term of the Brier score, corrected for bias; 0 is calibrated.
        miscalibration: f64,
    },
    /// Of probabilities of many classes, as shares of their sum.
    Classes {
        rows: u64,
        log_loss: f64,
        /// The sum of the squared differences of all classes, 0 to 2.
        brier: f64,
        accuracy: f64,
    },
    /// Of scores. An error is a score minus its outcome.
    Scores {
        rows: u64,
        mean_outcome: f64,
        rmse: f64,
        mae: f64,
        /// The mean error.
        bias: f64,
        /// 1 - (mean squared error) / (variance of the outcomes); `None` if these are all equal.
        r2: Option<f64>,
    },
}

/// A figure of the quality, as a table has it.
pub(in crate::cli::local) struct Figure {
    /// In JSON.
    pub(in crate::cli::local) key: &'static str,
    pub(in crate::cli::local) name: &'static str,
    pub(in crate::cli::local) value: String,
}

impl Quality {
    pub(in crate::cli::local) fn figures(&self) -> Vec<Figure> {
        let part = |key, name, value: f64| Figure { key, name, value: format!("{value:.5}") };
        let size = |key, name, value: f64| Figure { key, name, value: number(value) };
        match self {
            Self::TwoClasses { report, miscalibration } => vec![
                part("auc", "AUC", report.auc),
                part("log_loss", "log-loss", report.log_loss),
                part("brier", "Brier", report.brier),
                part("accuracy", "accuracy", report.accuracy),
                part("miscalibration", "miscalibration", *miscalibration),
            ],
            Self::Classes { log_loss, brier, accuracy, .. } => vec![
                part("log_loss", "log-loss", *log_loss),
                part("brier", "Brier", *brier),
                part("accuracy", "accuracy", *accuracy),
            ],
            Self::Scores { rmse, mae, bias, r2, .. } => {
                let r2 = r2.map_or_else(|| "-".to_owned(), number);
                vec![
                    size("rmse", "RMSE", *rmse),
                    size("mae", "MAE", *mae),
                    size("bias", "bias", *bias),
                    Figure { key: "r2", name: "R2", value: r2 },
                ]
            }
        }
    }

    /// Rows with an outcome.
    pub(in crate::cli::local) fn rows(&self) -> u64 {
        match self {
            Self::TwoClasses { report, .. } => report.rows,
            Self::Classes { rows, .. } | Self::Scores { rows, .. } => *rows,
        }
    }

    /// A hint if a model of two classes ranks worse than chance.
    pub(in crate::cli::local) fn hint(&self, name: &str) -> Option<String> {
        let Self::TwoClasses { report, .. } = self else { return None };
        (report.auc < 0.5).then(|| {
            format!(
                "{name} ranks these rows worse than chance (AUC {:.5}): the labels of the file may be inverted against \
                 those of its training data.",
                report.auc
            )
        })
    }
}

/// Answers of a model whose outcomes are known.
pub(in crate::cli::local) struct Known<'a> {
    kind: &'a OutputKind,
    rows: Vec<(&'a Output, Outcome)>,
}

impl<'a> Known<'a> {
    /// Of these rows those with an answer and an outcome.
    pub(in crate::cli::local) fn new(
        scored: &'a Scored<'_>,
        outcomes: &[Option<Outcome>],
        rows: impl IntoIterator<Item = usize>,
    ) -> Self {
        let known = |row: usize| {
            Some((scored.answers.get(row)?.as_ref()?, (*outcomes.get(row)?).as_ref().copied()?))
        };
        Self { kind: scored.kind, rows: rows.into_iter().filter_map(known).collect() }
    }

    pub(in crate::cli::local) fn count(&self) -> usize {
        self.rows.len()
    }

    /// # Errors
    /// When there are no outcomes, of two classes of one alone, or an error is too large to square.
    pub(in crate::cli::local) fn quality(&self) -> anyhow::Result<Quality> {
        let rows = self.count() as u64;
        let mean = |values: Vec<f64>| values.into_iter().sum::<f64>() / rows as f64;
        if rows == 0 {
            bail!("no row with an answer has an outcome");
        }
        Ok(match self.kind {
            OutputKind::Probability { threshold } => {
                let (outcomes, scores) = (self.positives(), self.scores());
                let report = report(&outcomes, &scores, *threshold)
                    .context("the rows with answers do not contain both classes")?;
                let parts: Moments = miscalibration_parts(&scores, &outcomes).into_iter().collect();
                let miscalibration = parts.mean().unwrap_or_default();
                Quality::TwoClasses { report, miscalibration }
            }
            OutputKind::Probabilities { .. } => Quality::Classes {
                rows,
                log_loss: mean(self.log_losses()),
                brier: mean(self.briers()),
                accuracy: mean(self.right()),
            },
            OutputKind::Score => {
                let errors = self.errors();
                if let Some(error) = errors.iter().find(|error| !is_recordable(*error * *error)) {
                    bail!(
                        "a score is {error:e} away from its outcome, which is too large to square"
                    );
                }
                let squared = mean(errors.iter().map(|error| error * error).collect());
                Quality::Scores {
                    rows,
                    mean_outcome: self.outcomes().mean().unwrap_or_default(),
                    rmse: squared.sqrt(),
                    mae: mean(errors.iter().map(|error| error.abs()).collect()),
                    bias: mean(errors),
                    r2: self.spread().map(|spread| 1.0 - squared / spread),
                }
            }
        })
    }

    /// The mean squared deviation of the outcomes; `None` if they are all equal.
    fn spread(&self) -> Option<f64> {
        let outcomes = self.outcomes();
        let count = outcomes.count() as f64;
        outcomes.variance().map(|found| found * (count - 1.0) / count).filter(|found| *found > 0.0)
    }

    fn outcomes(&self) -> Moments {
        let number = |(_, outcome): &(&Output, Outcome)| match outcome {
            Outcome::Number(number) => Some(*number),
            Outcome::Two(_) | Outcome::Class(_) => None,
        };
        self.rows.iter().filter_map(number).collect()
    }

    fn positives(&self) -> Vec<bool> {
        self.rows.iter().map(|(_, outcome)| *outcome == Outcome::Two(true)).collect()
    }

    fn scores(&self) -> Vec<f64> {
        self.rows.iter().map(|(output, _)| output.score()).collect()
    }

    fn errors(&self) -> Vec<f64> {
        self.by_row(|output, outcome| match outcome {
            Outcome::Number(number) => output.score() - number,
            Outcome::Two(_) | Outcome::Class(_) => f64::NAN,
        })
    }

    fn log_losses(&self) -> Vec<f64> {
        self.by_row(|output, outcome| match outcome {
            Outcome::Two(positive) => log_loss(positive, output.score()),
            Outcome::Class(class) => {
                log_loss(true, shares(output).get(class).copied().unwrap_or_default())
            }
            Outcome::Number(_) => f64::NAN,
        })
    }

    fn briers(&self) -> Vec<f64> {
        self.by_row(|output, outcome| match outcome {
            Outcome::Two(positive) => brier(output.score(), positive),
            Outcome::Class(class) => brier_of_classes(&shares(output), class),
            Outcome::Number(_) => f64::NAN,
        })
    }

    fn right(&self) -> Vec<f64> {
        self.by_row(|output, outcome| f64::from(u8::from(is_right(self.kind, output, outcome))))
    }

    fn by_row(&self, of: impl Fn(&Output, Outcome) -> f64) -> Vec<f64> {
        self.rows.iter().map(|(output, outcome)| of(output, *outcome)).collect()
    }
}

/// Whether the label of an answer is what happened.
pub(super) fn is_right(kind: &OutputKind, output: &Output, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Two(positive) => kind.label(output) == Some(Label::Binary(u8::from(positive))),
        Outcome::Class(class) => output.largest() == class,
        Outcome::Number(_) => false,
    }
}

/// The probabilities of many classes as shares of their sum: models that compare each class with all others answer some
/// that do not add up to 1, and larger ones are not better.
fn shares(output: &Output) -> Vec<f64> {
    let sum: f64 = output.numbers().iter().sum();
    output.numbers().iter().map(|p| if sum > 0.0 { p / sum } else { 0.0 }).collect()
}

/// Differences of the figures of a quality by their keys, B minus A.
pub(super) struct Differences(Vec<(&'static str, Option<PairedDifference>)>);

impl Differences {
    /// Of two models on the same rows.
    pub(super) fn of(a: &Known<'_>, b: &Known<'_>) -> Self {
        let by_row = |values: fn(&Known<'_>) -> Vec<f64>| {
            paired_t(&values(b).into_iter().zip(values(a)).map(|(b, a)| b - a).collect())
        };
        let loss = (Loss::of(a.kind).key(), Loss::of(a.kind).difference(a, b));
        Self(match a.kind {
            OutputKind::Probability { .. } => vec![
                ("auc", area_difference(&b.scores(), &a.scores(), &a.positives())),
                loss,
                ("brier", by_row(|known| known.briers())),
                ("accuracy", by_row(|known| known.right())),
                (
                    "miscalibration",
                    by_row(|known| miscalibration_parts(&known.scores(), &known.positives())),
                ),
            ],
            OutputKind::Probabilities { .. } => {
                vec![
                    loss,
                    ("brier", by_row(|known| known.briers())),
                    ("accuracy", by_row(|known| known.right())),
                ]
            }
            OutputKind::Score => {
                let of_errors = |value: fn(f64) -> f64| {
                    let pairs = b.errors().into_iter().zip(a.errors());
                    paired_t(&pairs.map(|(b, a)| value(b) - value(a)).collect())
                };
                // The outcomes are the same for both models, so their spread is a factor.
                let squared = of_errors(|error| error * error);
                let r2 = squared.zip(a.spread()).map(|(found, spread)| found.times(-1.0 / spread));
                vec![
                    loss,
                    ("mae", of_errors(f64::abs)),
                    ("bias", of_errors(|error| error)),
                    ("r2", r2),
                ]
            }
        })
    }

    pub(super) fn get(&self, key: &str) -> Option<PairedDifference> {
        self.0.iter().find(|(one, _)| *one == key).and_then(|(_, found)| *found)
    }
}

impl Serialize for Differences {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(key, found)| (key, found)))
    }
}

/// The figure that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Of probabilities: order and level of them enter.
    LogLoss,
    /// Of scores.
    Rmse,
}

impl Loss {
    pub(super) fn of(kind: &OutputKind) -> Self {
        match kind {
            OutputKind::Probability { .. } | OutputKind::Probabilities { .. } => Self::LogLoss,
            OutputKind::Score => Self::Rmse,
        }
    }

    pub(super) fn key(self) -> &'static str {
        match self {
            Self::LogLoss => "log_loss",
            Self::Rmse => "rmse",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LogLoss => "log-loss",
            Self::Rmse => "RMSE",
        }
    }

    /// Without outcomes there is none.
    pub(super) fn difference(self, a: &Known<'_>, b: &Known<'_>) -> Option<PairedDifference> {
        match self {
            Self::LogLoss => {
                let pairs = b.log_losses().into_iter().zip(a.log_losses());
                paired_t(&pairs.map(|(b, a)| b - a).collect())
            }
            Self::Rmse => root_mean_square_difference(&b.errors(), &a.errors()),
        }
    }

    /// A size of a difference with the digits that its figure has.
    pub(super) fn digits(self, value: f64) -> String {
        match self {
            Self::LogLoss => format!("{value:.5}"),
            Self::Rmse => number(value),
        }
    }

    /// A difference with its sign.
    pub(super) fn signed(self, value: f64) -> String {
        match self {
            Self::LogLoss => format!("{value:+.5}"),
            Self::Rmse if value < 0.0 => number(value),
            Self::Rmse => format!("+{}", number(value)),
        }
    }
}
