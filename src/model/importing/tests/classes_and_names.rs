//! Classes, names and words of a file against what the user says and what the data have.

use super::*;
use crate::model::dataset::Dataset;

/// The target `plan` with this positive value, and what the import says.
fn with_positive(case: &str, positive: &str) -> Result<Artifact, String> {
    let case = json(case);
    let mut import = Import::of(&case);
    let target = Target { column: "plan".to_owned(), positive: positive.to_owned() };
    import.options.target = Some(target);
    import.compared(&expected(&case, |_, _| None)).map_err(|error| error.to_string())
}

#[test]
fn the_probability_is_of_the_second_class_and_another_positive_value_is_refused() {
    let labels = "sk_forest_labels.case.json";
    let artifact = with_positive(labels, "Yes").unwrap();
    assert_eq!(artifact.card().imported().unwrap().classes, ["No", "Yes"]);
    let first = with_positive(labels, "No").unwrap_err();
    for said in ["`No` is the first class", "use --positive `Yes`", "`No` as 1 and `Yes` as 0"] {
        assert!(first.contains(said), "{first}");
    }
    let neither = with_positive(labels, "yes").unwrap_err();
    assert!(
        neither.contains("`yes` is none of the classes of the file, `No` and `Yes`"),
        "{neither}"
    );
    // Classes that were encoded as 0 and 1 may have any words in the data.
    let encoded = "sk_forest.case.json";
    for positive in ["1", "1.0", "True", "Yes"] {
        assert!(with_positive(encoded, positive).is_ok(), "{positive}");
    }
    for positive in ["0", "0.0", "False"] {
        assert!(with_positive(encoded, positive).unwrap_err().contains("is the first class"));
    }
    assert!(with_positive(encoded, "2").unwrap_err().contains("none of the classes"));
    // A file without names of its classes.
    assert!(with_positive("lgb_missing.case.json", "No").is_ok());
}

#[test]
fn answers_for_the_other_class_are_refused_whatever_the_target_is() {
    let case = json("sk_forest_labels.case.json");
    let mut import = Import::of(&case);
    let target = Target { column: "plan".to_owned(), positive: "Yes".to_owned() };
    import.options.target = Some(target);
    let mut turned = case.clone();
    for answer in turned["answers"].as_array_mut().unwrap() {
        answer[0] = Json::from(1.0 - answer[0].as_f64().unwrap());
    }
    let message = import.compared(&expected(&turned, |_, _| None)).unwrap_err().to_string();
    assert!(message.contains("the probability of the other class"), "{message}");
}

/// The golden file with a text of it replaced.
fn changed(case: &Json, from: &str, to: &str) -> Import {
    let mut import = Import::of(case);
    let text = String::from_utf8(import.file).unwrap();
    assert!(text.contains(from), "{from}");
    import.file = text.replacen(from, to, 1).into_bytes();
    import
}

#[test]
fn blanks_around_names_are_removed_and_around_words_refused() {
    let case = json("xgb_missing.case.json");
    let import = changed(&case, "\"tenure\"", "\" tenure  \"");
    let artifact = import.compared(&expected(&case, |_, _| None)).unwrap();
    assert!(artifact.card().features.feature_names().any(|name| name == "tenure"));
    let case = json("lgb_categories.case.json");
    let import = changed(&case, "\"DSL\"", "\"DSL \"");
    let message = import.compared(&expected(&case, |_, _| None)).unwrap_err().to_string();
    assert!(message.contains("the category `DSL ` has blanks around it"), "{message}");
}

#[test]
fn names_whose_blanks_lightgbm_replaced_are_taken_from_the_data() {
    let case = json("lgb_missing.case.json");
    let import = changed(&case, "feature_names=tenure", "feature_names=full_tenure");
    let csv = expected(&case, |_, _| None).replacen("tenure", "full tenure", 1);
    let message = import.compared(&csv).unwrap_err().to_string();
    for said in ["feature `full_tenure`", "but `full tenure`, whose blanks", "--schema-from "] {
        assert!(message.contains(said), "{message}");
    }
    let path = import.folder.path().join("expected.csv");
    let names = Dataset::header(&path).unwrap().into_iter().filter(|name| name != "expected");
    let columns: Vec<Column> = names.map(|name| Column { name, kind: None }).collect();
    let artifact = super::super::import(import.file, Some(&columns), Some(&path), import.options);
    assert!(artifact.unwrap().card().features.feature_names().any(|name| name == "full tenure"));
}

#[test]
fn rows_with_the_same_answer_are_named_in_the_card() {
    let case = json("lgb_missing.case.json");
    let csv = expected(&case, |_, _| None);
    let lines: Vec<&str> = csv.lines().collect();
    let constant = |rows: &[&str]| {
        let artifact = Import::of(&case).compared(&rows.join("\n")).unwrap();
        artifact.card().imported().unwrap().constant
    };
    let answer = case["answers"][0][0].as_f64();
    assert_eq!(constant(&[lines[0], lines[1], lines[1], lines[1]]), answer);
    assert_eq!(constant(&lines), None);
    assert_eq!(constant(&lines[..2]), None, "a single row");
}
