//! Two cards in two columns, and what differs between them.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::show;
use crate::cli::show::outln;
use crate::model::Artifact;
use crate::model::Card;
use crate::model::HoldoutReport;
use crate::model::OutputKind;
use crate::model::Schema;
use crate::model::artifact::card::Target;
use crate::model::artifact::class_report::ClassesReport;
use crate::model::artifact::comparison::have_same_classes_holdout;
use crate::model::artifact::comparison::have_same_holdout;
use crate::model::artifact::comparison::worse_than_chance;
use crate::model::schema::Feature;
use crate::model::schema::FeatureKind;
use crate::text::lists::listed;
use crate::text::lists::quoted;
use crate::text::numbers::share;

/// Digits of a digest that tell two apart.
const DIGEST_DIGITS: usize = 12;

#[derive(Serialize)]
struct Pair<'c> {
    models: [&'c Card; 2],
    differences: Vec<String>,
}

/// Prints both cards, and what differs.
///
/// # Errors
/// When JSON cannot be written.
pub(super) fn print(models: [&(PathBuf, Artifact); 2], as_json: bool) -> anyhow::Result<()> {
    let names = models.map(|(path, _)| show::plain(&path.display().to_string()).into_owned());
    let cards = models.map(|(_, model)| model.card());
    let differences = differences(&names, cards);
    if as_json {
        return show::json(&Pair { models: cards, differences });
    }
    let header = ["", names[0].as_str(), names[1].as_str()];
    let trained = names.iter().zip(cards).filter_map(|(name, card)| Some((name, card.trained()?)));
    let hints = trained.filter(|(_, trained)| trained.holdout.auc < 0.5);
    let hints = hints.map(|(name, trained)| format!("{name} {}", worse_than_chance(trained)));
    show::aligned(header, facts(cards)).iter().for_each(|line| outln!("{line}"));
    outln!();
    for difference in differences.into_iter().chain(hints) {
        outln!("{}", show::wrapped(&show::plain(&difference), ""));
    }
    Ok(())
}

/// A fact of a card as text; `None` if the card does not have it.
type Fact = fn(&Card) -> Option<String>;

fn facts(cards: [&Card; 2]) -> Vec<Vec<String>> {
    let facts: [(&str, Fact); 18] = [
        ("kind", |card| Some(card.kind.to_owned())),
        ("digest", |card| Some(card.digest.to_string().chars().take(DIGEST_DIGITS).collect())),
        ("data", |card| Some(show::plain(&card.training()?.source).into_owned())),
        ("file", |card| Some(show::plain(card.imported()?.source.as_ref()?).into_owned())),
        ("target", |card| {
            let target = match card.target() {
                Some(Target { column, positive }) => format!("{column} = {positive}"),
                None => card.training()?.target.clone(),
            };
            Some(show::plain(&target).into_owned())
        }),
        ("rows", |card| Some(card.training()?.rows.to_string())),
        ("training rows", |card| Some(card.training()?.training_rows.to_string())),
        ("holdout rows", |card| Some(of_holdout(card, |it| it.rows, |it| it.rows)?.to_string())),
        ("features", |card| Some(card.features.features().len().to_string())),
        ("coefficients", |card| Some(card.trained()?.coefficients.len().to_string())),
        ("l2", |card| Some(card.training()?.l2.to_string())),
        ("answers", |card| {
            Some(match &card.output {
                OutputKind::Probability { .. } => "a probability".to_owned(),
                OutputKind::Probabilities { classes } => format!("{} classes", classes.len()),
                OutputKind::Score => "a score".to_owned(),
            })
        }),
        ("threshold", |card| Some(card.output.threshold()?.to_string())),
        ("AUC", |card| Some(format!("{:.4}", card.trained()?.holdout.auc))),
        ("log-loss", |card| {
            Some(format!("{:.4}", of_holdout(card, |it| it.log_loss, |it| it.log_loss)?))
        }),
        ("Brier", |card| Some(format!("{:.4}", of_holdout(card, |it| it.brier, |it| it.brier)?))),
        ("accuracy", |card| Some(share(card.trained_classes()?.holdout.accuracy))),
        ("base rate", |card| Some(share(card.trained()?.holdout.base_rate))),
    ];
    let row = |(name, value): (&str, Fact)| {
        let values = cards.map(value);
        let is_known = values.iter().any(Option::is_some);
        let shown = values.map(|value| value.unwrap_or_else(|| "-".to_owned()));
        is_known.then(|| std::iter::once(name.to_owned()).chain(shown).collect())
    };
    facts.into_iter().filter_map(row).collect()
}

/// A figure that the holdouts of both kinds of training have.
fn of_holdout<T>(
    card: &Card,
    two: fn(&HoldoutReport) -> T,
    many: fn(&ClassesReport) -> T,
) -> Option<T> {
    match (card.trained(), card.trained_classes()) {
        (Some(trained), _) => Some(two(&trained.holdout)),
        (None, Some(trained)) => Some(many(&trained.holdout)),
        (None, None) => None,
    }
}

/// Sentences about what differs.
fn differences(names: &[String; 2], cards: [&Card; 2]) -> Vec<String> {
    if cards[0].digest == cards[1].digest {
        return vec!["Both files hold the same model.".to_owned()];
    }
    let mut differences = Vec::new();
    let schemas = cards.map(|card| &card.features);
    for (here, there, name) in [(0, 1, &names[0]), (1, 0, &names[1])] {
        let more = only_in(schemas[here], schemas[there]);
        if !more.is_empty() {
            differences.push(format!("Features only in {name}: {}.", listed(more)));
        }
    }
    differences.extend(
        schemas[0]
            .features()
            .iter()
            .filter_map(|feature| kinds(names, feature, named(schemas[1], &feature.name)?)),
    );
    if differences.is_empty() && !schemas[0].has_order_of(schemas[1]) {
        differences.push("The features are the same in another order.".to_owned());
    }
    let [ours, theirs] = cards.map(|card| &card.output);
    let is_comparable = ours.is_same_as(theirs);
    if !is_comparable {
        differences.push(format!(
            "{} answers {ours} and {} {theirs}: their answers cannot be compared.",
            names[0], names[1]
        ));
    }
    if differences.is_empty() {
        differences.push("Both take the same features with the same levels.".to_owned());
    }
    let [ours, theirs] = cards.map(|card| &card.missing_values);
    for (here, there, name) in [(ours, theirs, &names[0]), (theirs, ours, &names[1])] {
        let more = here.more_than(there);
        if !more.is_empty() {
            differences.push(format!("Only {name} reads as missing: {more}."));
        }
    }
    if let Some(targets) = other_targets(cards) {
        let [ours, theirs] = targets.map(|target| target.in_words());
        differences.push(format!(
            "They predict different targets and cannot be compared: {} predicts {ours}, {} predicts {theirs}.",
            names[0], names[1]
        ));
        return differences;
    }
    if !is_comparable {
        return differences;
    }
    if let [Some(ours), Some(theirs)] = cards.map(Card::trained_classes) {
        differences.push(match have_same_classes_holdout(ours, theirs) {
            true => "Log-loss, Brier and accuracy were measured on holdouts that appear to be the same (file name, rows and split); serin compare compares them row by row."
                .to_owned(),
            false => "Log-loss, Brier and accuracy were measured on different data and do not compare directly; compare both models on the same rows with serin compare."
                .to_owned(),
        });
        return differences;
    }
    differences.push(match cards.map(Card::trained) {
        [Some(ours), Some(theirs)] if have_same_holdout(ours, theirs) => {
            "AUC, log-loss and Brier were measured on holdouts that appear to be the same (file name, rows and split); serin compare compares them row by row."
                .to_owned()
        }
        [Some(_), Some(_)] => {
            "AUC, log-loss and Brier were measured on different data and do not compare directly; compare both \
             models on the same rows with serin compare."
                .to_owned()
        }
        [_, None] | [None, _] => "Compare both models on the same rows with serin compare.".to_owned(),
    });
    differences
}

/// The targets of both, if they are known and not the same.
fn other_targets(cards: [&Card; 2]) -> Option<[Target; 2]> {
    match cards.map(Card::target) {
        [Some(ours), Some(theirs)] if ours != theirs => Some([ours, theirs]),
        _ => None,
    }
}

fn named<'s>(schema: &'s Schema, name: &str) -> Option<&'s Feature> {
    schema.features().iter().find(|feature| feature.name == name)
}

fn only_in<'s>(here: &'s Schema, there: &Schema) -> Vec<&'s str> {
    here.feature_names().filter(|name| named(there, name).is_none()).collect()
}

/// What differs between two features of one name, except means and deviations.
fn kinds(names: &[String; 2], one: &Feature, other: &Feature) -> Option<String> {
    let shown = quoted(&one.name);
    match (&one.kind, &other.kind) {
        (ours, theirs) if ours.is_numeric() && theirs.is_numeric() => None,
        (
            FeatureKind::Categorical { levels: ours },
            FeatureKind::Categorical { levels: theirs },
        ) => {
            let more = |here: &[String], there: &[String], name: &str| {
                let more = here.iter().filter(|level| !there.contains(level)).map(String::as_str);
                let more: Vec<&str> = more.collect();
                (!more.is_empty()).then(|| format!("{} only in {name}", listed(more)))
            };
            let parts = [more(ours, theirs, &names[0]), more(theirs, ours, &names[1])];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            (!parts.is_empty()).then(|| format!("Levels of {shown}: {}.", parts.join(", ")))
        }
        (ours, theirs) => {
            Some(format!("Feature {shown} is {ours} in {} and {theirs} in {}.", names[0], names[1]))
        }
    }
}
