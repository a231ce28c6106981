//! Comparison of a canary's card with that of stable, before any traffic.

use super::card::Card;
use super::card::Origin;
use super::card::Trained;
use super::card::TrainedClasses;
use super::card::TrainingDescription;
use super::class_report::ClassesReport;
use super::report::HoldoutReport;
use crate::text::lists::quoted;
use crate::text::numbers::share;

/// What the cards say against the canary, or about the comparison itself; empty if nothing.
///
/// - The same artifact as stable: an A/A test.
/// - A log-loss above that of the base rate: the model predicts worse than a constant.
/// - A lower AUC than stable's, of many classes a lower accuracy, by more than chance explains at 95 % confidence.
/// - An AUC below one half: the model ranks worse than chance.
/// - Another target than stable's.
/// - Other numbers than stable's that mean a missing value.
/// - Figures measured on other rows than stable's, which do not compare directly.
/// - An imported model whose answers were never compared with the original's.
pub fn warnings(canary: &Card, stable: &Card) -> Vec<String> {
    if canary.digest == stable.digest {
        return vec!["The canary is the same artifact as stable: this is an A/A test.".to_owned()];
    }
    let mut warnings = Vec::new();
    match &canary.origin {
        Origin::Trained(canary) => warnings.extend(below_chance(canary)),
        Origin::TrainedClasses(canary) => warnings.extend(below_shares(canary)),
        Origin::Imported { .. } => warnings.extend(not_compared(canary, "The canary")),
    }
    if let Some((ours, theirs)) = canary.target().zip(stable.target())
        && ours != theirs
    {
        warnings.push(format!(
            "The canary predicts {} = {}, and stable {} = {}: their answers do not mean the same.",
            quoted(&ours.column),
            quoted(&ours.positive),
            quoted(&theirs.column),
            quoted(&theirs.positive),
        ));
    }
    let trained_classes = canary.trained_classes().zip(stable.trained_classes());
    if let Some((ours, theirs)) = trained_classes {
        let [one, other] = [ours, theirs].map(|it| &it.training.target);
        if one != other {
            warnings.push(format!(
                "The canary predicts {}, and stable {}: their answers do not mean the same.",
                quoted(one),
                quoted(other),
            ));
        }
        warnings.extend(lower_accuracy(&ours.holdout, &theirs.holdout));
    }
    let trained = canary.trained().zip(stable.trained());
    if let Some((ours, theirs)) = trained {
        warnings.extend(lower_auc(&ours.holdout, &theirs.holdout));
    }
    let markers = [canary, stable].map(|card| card.missing_values.numbers());
    let only = |one: &[f64], other: &[f64]| {
        let only = one.iter().filter(|number| !other.contains(number)).map(f64::to_string);
        only.collect::<Vec<String>>().join(", ")
    };
    for (one, other, version) in [(0, 1, "the canary"), (1, 0, "stable")] {
        let only = only(markers[one], markers[other]);
        if !only.is_empty() {
            warnings.push(format!(
                "Only {version} reads {only} as a missing value; the other version reads a number."
            ));
        }
    }
    let refused = stable.missing_values.texts_not_in(&canary.missing_values);
    if !refused.is_empty() {
        warnings.push(format!(
            "Only stable reads {refused} as missing values; once the canary is stable, requests with them are refused \
             in columns of numbers."
        ));
    }
    if let Some((ours, theirs)) = trained
        && !have_same_holdout(ours, theirs)
    {
        warnings.push(format!(
            "The holdouts of canary and stable are different data ({} and {}), so AUC {:.4} and {:.4} do \
             not compare directly.",
            ours.training.source, theirs.training.source, ours.holdout.auc, theirs.holdout.auc,
        ));
    }
    if let Some((ours, theirs)) = trained_classes
        && !have_same_classes_holdout(ours, theirs)
    {
        warnings.push(format!(
            "The holdouts of canary and stable are different data ({} and {}), so their accuracies, {} and {}, do not \
             compare directly.",
            ours.training.source,
            theirs.training.source,
            share(ours.holdout.accuracy),
            share(theirs.holdout.accuracy),
        ));
    }
    warnings
}

/// The warning about an imported model whose answers were never compared with the original's.
pub fn not_compared(card: &Card, who: &str) -> Option<String> {
    card.imported().filter(|import| import.parity.is_none()).map(|_| {
        format!(
            "{who}'s answers were not compared with those of the original model; serin import --expect does."
        )
    })
}

/// What the canary's own holdout says against it.
fn below_chance(canary: &Trained) -> Vec<String> {
    let ours = &canary.holdout;
    let constant = entropy(ours.base_rate);
    let mut warnings = Vec::new();
    if ours.log_loss > constant {
        warnings.push(format!(
            "On its own holdout the canary predicts worse than a constant: log-loss {:.4} against {constant:.4}.",
            ours.log_loss,
        ));
    }
    if ours.auc < 0.5 {
        let hint = worse_than_chance(canary);
        warnings.push(format!("On its own holdout the canary {hint}"));
    }
    warnings
}

/// What the canary's own holdout says against a model of many classes.
fn below_shares(canary: &TrainedClasses) -> Option<String> {
    let ClassesReport { log_loss, baseline_log_loss, .. } = canary.holdout;
    (log_loss > baseline_log_loss).then(|| {
        format!(
            "On its own holdout the canary predicts worse than the shares of the classes: log-loss {log_loss:.4} \
             against {baseline_log_loss:.4}.",
        )
    })
}

/// Accuracies are shares of independent rows: the variance is `a (1 - a) / rows`.
fn lower_accuracy(ours: &ClassesReport, theirs: &ClassesReport) -> Option<String> {
    let variance = |it: &ClassesReport| it.accuracy * (1.0 - it.accuracy) / it.rows.max(1) as f64;
    let noise = (variance(ours) + variance(theirs)).sqrt();
    (ours.accuracy < theirs.accuracy - 1.96 * noise).then(|| {
        format!(
            "The canary's holdout is worse than stable's: accuracy {} against {}.",
            share(ours.accuracy),
            share(theirs.accuracy),
        )
    })
}

fn lower_auc(ours: &HoldoutReport, theirs: &HoldoutReport) -> Option<String> {
    let noise = (auc_variance(ours) + auc_variance(theirs)).sqrt();
    (ours.auc < theirs.auc - 1.96 * noise).then(|| {
        format!(
            "The canary's holdout is worse than stable's: AUC {:.4} against {:.4}.",
            ours.auc, theirs.auc,
        )
    })
}

/// What an AUC below one half means, after the name of a model.
pub fn worse_than_chance(trained: &Trained) -> String {
    let TrainingDescription { target, positive, .. } = &trained.training;
    format!(
        "ranks worse than chance (AUC {:.4}): perhaps the columns say nothing about the target, or labels are \
         inverted; check that {} is the value of {} to predict (--positive).",
        trained.holdout.auc,
        quoted(positive.as_deref().unwrap_or_default()),
        quoted(target),
    )
}

/// Whether both were measured on the same rows: the same data, target and split.
pub fn have_same_holdout(one: &Trained, other: &Trained) -> bool {
    let data = |trained: &Trained| {
        let (training, holdout) = (&trained.training, &trained.holdout);
        (same_data(training), training.positive.clone(), holdout.rows, holdout.positives)
    };
    data(one) == data(other)
}

/// The same for models of many classes.
pub fn have_same_classes_holdout(one: &TrainedClasses, other: &TrainedClasses) -> bool {
    let data = |trained: &TrainedClasses| {
        let classes = trained.holdout.classes.iter().map(|it| (it.class.clone(), it.rows));
        (same_data(&trained.training), classes.collect::<Vec<_>>())
    };
    data(one) == data(other)
}

/// What is equal for the same data, target and split.
fn same_data(training: &TrainingDescription) -> ([String; 3], u64, u64) {
    let names = [&training.source, &training.target, &training.holdout].map(String::clone);
    (names, training.rows, training.seed)
}

/// The log-loss of a model that always predicts the base rate `p`: -p ln p - (1 - p) ln(1 - p).
fn entropy(base_rate: f64) -> f64 {
    -[base_rate, 1.0 - base_rate].iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>()
}

/// The sampling variance of an AUC `A` of `m` positive and `n` negative rows:
/// (A(1 - A) + (m - 1)(A/(2 - A) - A²) + (n - 1)(2A²/(1 + A) - A²)) / (mn).
///
/// Source: Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC)
/// curve", Radiology 143 (1982), <https://doi.org/10.1148/radiology.143.1.7063747>.
fn auc_variance(holdout: &HoldoutReport) -> f64 {
    let (a, m) = (holdout.auc, holdout.positives as f64);
    let n = holdout.rows.saturating_sub(holdout.positives) as f64;
    let of_positives = (m - 1.0) * (a / (2.0 - a) - a * a);
    let of_negatives = (n - 1.0) * (2.0 * a * a / (1.0 + a) - a * a);
    (a * (1.0 - a) + of_positives + of_negatives) / (m * n).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dataset::Dataset;
    use crate::model::dataset::DatasetOptions;
    use crate::model::schema::Missing;
    use crate::model::training::TrainingOptions;
    use crate::model::training::synthetic;
    use crate::model::training::synthetic::Churn;
    use crate::model::training::train;

    fn card(churn: &Churn) -> Card {
        let data = synthetic::churn(churn).unwrap();
        train(&data, &TrainingOptions::default()).unwrap().card().clone()
    }

    /// The same holdout with another AUC, as of a model with other features.
    fn with_auc(card: &Card, auc: f64) -> Card {
        let mut other = card.clone();
        other.digest = card_of_v2().digest;
        holdout_of(&mut other).auc = auc;
        other
    }

    fn holdout_of(card: &mut Card) -> &mut HoldoutReport {
        let Origin::Trained(trained) = &mut card.origin else { panic!("an imported model") };
        &mut trained.holdout
    }

    fn card_of_v2() -> Card {
        card(&Churn::v2(42))
    }

    #[test]
    fn the_same_artifact_is_an_a_a_test() {
        let stable = card(&Churn::v1(42));
        assert_eq!(
            warnings(&stable, &stable),
            ["The canary is the same artifact as stable: this is an A/A test."]
        );
    }

    #[test]
    fn a_clearly_lower_auc_is_a_warning_and_a_slightly_lower_one_is_not() {
        let stable = card(&Churn::v1(42));
        let auc = stable.trained().unwrap().holdout.auc;
        assert!(warnings(&with_auc(&stable, auc - 0.01), &stable).is_empty());
        assert!(warnings(&with_auc(&stable, auc + 0.1), &stable).is_empty());
        let [warning] = &warnings(&with_auc(&stable, 0.6), &stable)[..] else { panic!("one") };
        assert!(warning.starts_with("The canary's holdout is worse than stable's: AUC 0.6000"));
    }

    #[test]
    fn a_model_below_the_base_rate_is_a_warning() {
        let stable = card(&Churn::v1(42));
        let mut canary = with_auc(&stable, stable.trained().unwrap().holdout.auc);
        holdout_of(&mut canary).log_loss = 2.07;
        let [warning] = &warnings(&canary, &stable)[..] else { panic!("one") };
        assert!(warning.contains("worse than a constant: log-loss 2.0700"), "{warning}");
    }

    #[test]
    fn an_auc_below_one_half_is_a_warning_that_names_the_positive_value() {
        let stable = with_auc(&card(&Churn::v1(42)), 0.45);
        let mut canary = with_auc(&stable, 0.4999);
        canary.digest = card(&Churn::v1(42)).digest;
        let [warning] = &warnings(&canary, &stable)[..] else { panic!("one") };
        assert!(warning.contains("the canary ranks worse than chance (AUC 0.4999)"), "{warning}");
        assert!(warning.contains("labels are inverted"), "{warning}");
        holdout_of(&mut canary).auc = 0.5;
        assert!(warnings(&canary, &stable).is_empty());
    }

    #[test]
    fn numbers_that_only_one_of_both_reads_as_missing_are_named() {
        let stable = card(&Churn::v1(42));
        let mut canary = with_auc(&stable, stable.trained().unwrap().holdout.auc);
        canary.missing_values = Missing::default().and(&["-999".to_owned(), "unknown".to_owned()]);
        let [warning] = &warnings(&canary, &stable)[..] else { panic!("one") };
        assert!(warning.starts_with("Only the canary reads -999 as a missing value;"), "{warning}");
        let [warning, refused] = &warnings(&stable, &canary)[..] else { panic!("two") };
        assert!(warning.starts_with("Only stable reads -999 as a missing value;"), "{warning}");
        let texts = "Only stable reads the usual markers, `unknown` as missing values;";
        assert!(refused.starts_with(texts), "{refused}");
        let same = Card { digest: stable.digest, ..canary.clone() };
        assert!(warnings(&canary, &same).is_empty());
    }

    #[test]
    fn another_target_is_named() {
        let stable = card(&Churn::v1(42));
        let mut canary = with_auc(&stable, 0.78);
        let Origin::Trained(trained) = &mut canary.origin else { panic!("an imported model") };
        trained.training.positive = Some("0".to_owned());
        let [warning, _] = &warnings(&canary, &stable)[..] else { panic!("two") };
        assert!(
            warning
                .starts_with("The canary predicts `churned` = `0`, and stable `churned` = `yes`"),
            "{warning}"
        );
    }

    #[test]
    fn another_holdout_is_named() {
        let (stable, canary) = (card(&Churn::v1(42)), card_of_v2());
        let [warning] = &warnings(&canary, &stable)[..] else { panic!("one") };
        let [ours, theirs] =
            [&canary, &stable].map(|card| &card.trained().unwrap().training.source);
        assert!(warning.contains(&format!("different data ({ours} and {theirs})")), "{warning}");
    }

    /// Without any difference the AUC is a Mann-Whitney statistic, whose variance is (m + n + 1) / (12 m n).
    #[test]
    fn the_variance_of_an_auc_is_that_of_mann_whitney_at_one_half() {
        let mut holdout = holdout_of(&mut card_of_v2()).clone();
        (holdout.auc, holdout.positives, holdout.rows) = (0.5, 51, 109);
        let expected = 110.0 / (12.0 * 51.0 * 58.0);
        assert!((auc_variance(&holdout) - expected).abs() < 1e-15);
        // A = 0.893, worked out by hand.
        holdout.auc = 0.893;
        assert!((auc_variance(&holdout).sqrt() - 0.0325).abs() < 5e-5);
    }

    /// A model of three classes that a number tells apart, as far as `noise` allows.
    fn card_of_classes(source: &str, target: &str, noise: usize) -> Card {
        let row = |i: usize| {
            let place = (i % 30 + i * 7 % (noise + 1)) % 30 / 10;
            format!("{},{}\n", i % 30, ["basic", "silver", "gold"][place])
        };
        let content = (0..600).map(row).fold(format!("x,{target}\n"), |text, row| text + &row);
        let options = DatasetOptions { target: target.to_owned(), ..DatasetOptions::default() };
        let reader = std::io::Cursor::new(content);
        let data = Dataset::from_reader(reader, source.to_owned(), &options).unwrap();
        train(&data, &TrainingOptions::default()).unwrap().card().clone()
    }

    fn classes_of(card: &mut Card) -> &mut TrainedClasses {
        let Origin::TrainedClasses(trained) = &mut card.origin else { panic!("two classes") };
        trained
    }

    #[test]
    fn models_of_many_classes_are_compared_by_their_accuracy_and_with_the_shares() {
        let stable = card_of_classes("rows.csv", "tier", 4);
        let of = |change: fn(&mut TrainedClasses)| {
            let mut canary = stable.clone();
            canary.digest = card_of_v2().digest;
            change(classes_of(&mut canary));
            warnings(&canary, &stable).join("\n")
        };
        assert_eq!(of(|_| {}), "");
        assert_eq!(of(|it| it.holdout.accuracy -= 0.01), "");
        let said = of(|it| it.holdout.accuracy = 0.4);
        assert!(said.starts_with("The canary's holdout is worse than stable's: accuracy 40.0 % "));
        let said = of(|it| it.holdout.log_loss = 1.2);
        assert!(
            said.contains("worse than the shares of the classes: log-loss 1.2000 against 1.09")
        );
        let said = of(|it| it.training.target = "plan".to_owned());
        assert!(said.starts_with("The canary predicts `plan`, and stable `tier`: their"), "{said}");
        let said = of(|it| it.training.source = "next.csv".to_owned());
        assert!(said.starts_with("The holdouts of canary and stable are different data (next.csv"));
        assert!(!said.contains("AUC"), "{said}");
    }

    #[test]
    fn another_kind_of_model_gets_no_figures_of_the_other() {
        let (mut two, many) = (card(&Churn::v1(42)), card_of_classes("rows.csv", "tier", 4));
        // Made-up customers are not read from a text, so nothing in them means a missing value.
        two.missing_values = many.missing_values.clone();
        assert_eq!(warnings(&many, &two), Vec::<String>::new());
        assert_eq!(warnings(&two, &many), Vec::<String>::new());
    }
}
