//! Requests for two versions with other features, orders, words and kinds.

use super::*;
use crate::model::schema::Feature;

fn numeric(name: &str) -> Feature {
    Feature { name: name.into(), kind: FeatureKind::Number }
}

fn categorical(name: &str, levels: &[&str]) -> Feature {
    let levels = levels.iter().map(|level| (*level).to_owned()).collect();
    Feature { name: name.into(), kind: FeatureKind::Categorical { levels } }
}

fn schema(features: &[Feature]) -> Schema {
    Schema::new(features.to_vec()).unwrap()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn stable() -> Schema {
    schema(&[numeric("tenure"), categorical("contract", &["monthly", "yearly"]), numeric("age")])
}

/// Without `age`, with `visits`, in another order, and with other words.
fn canary() -> Schema {
    schema(&[numeric("visits"), categorical("contract", &["weekly", "yearly"]), numeric("tenure")])
        .with_missing(Missing::default().and(&["never".to_owned()]))
}

fn joint() -> Joint {
    Joint::new(&stable(), Some(&canary()), &BTreeSet::new(), &names(&["height"]))
}

fn row<'a>(joint: &Joint, json: &'a str) -> Result<(Row<'a>, Vec<String>, bool), String> {
    let mut seen = Seen::default();
    let features = serde_json::from_str(json).unwrap();
    let row = joint.row(features, &mut seen).map_err(|error| error.to_string())?;
    let gaps = joint.gaps().zip(&seen.gaps).filter(|(_, is_seen)| **is_seen);
    Ok((row, gaps.map(|(gap, _)| format!("{gap:?}")).collect(), seen.by_position))
}

#[test]
fn each_version_gets_its_own_features_in_its_own_order() {
    let joint = joint();
    let of = |version: &Schema| Selection::new(joint.schema(), version);
    let (found, gaps, by_position) =
        row(&joint, r#"{"visits": 7, "age": 40, "tenure": 3, "contract": "yearly"}"#).unwrap();
    assert_eq!((gaps, by_position), (vec![], false));
    let expected = [Value::Number(3.0), Value::Text("yearly".into()), Value::Number(40.0)];
    assert_eq!(of(&stable()).of(&found).values(), expected);
    let expected = [Value::Number(7.0), Value::Text("yearly".into()), Value::Number(3.0)];
    assert_eq!(of(&canary()).of(&found).values(), expected);
    let [whole] =
        [row(&Joint::new(&stable(), None, &names(&[]), &names(&[])), r#"[1, "x", 2]"#).unwrap().0];
    assert!(Selection::new(&stable(), &stable()).takes_whole(&[whole]));
}

#[test]
fn what_only_the_other_version_takes_may_be_absent_and_is_seen() {
    let joint = joint();
    let (found, gaps, _) =
        row(&joint, r#"{"age": 40, "tenure": 3, "contract": "yearly", "height": 1}"#).unwrap();
    assert_eq!(gaps, ["Absent(\"visits\")"]);
    assert_eq!(found.width(), 3, "nothing is stored for it");
    let taken = Selection::new(joint.schema(), &canary()).of(&found);
    assert_eq!(taken.values()[0], Value::Missing);
    // So does a value of another kind: the client may have sent it before there was a canary.
    let json = r#"{"age": 40, "tenure": 3, "contract": "yearly", "visits": "many"}"#;
    assert_eq!(row(&joint, json).unwrap().1, ["Absent(\"visits\")"]);
    // A value that is sent as unknown is not absent.
    let json = r#"{"age": 40, "tenure": 3, "contract": "yearly", "visits": null}"#;
    assert_eq!(row(&joint, json).unwrap().1, [""; 0]);
    let (found, gaps, by_position) = row(&joint, r#"[3, "yearly", 40]"#).unwrap();
    assert_eq!((gaps, by_position), (vec!["Absent(\"visits\")".to_owned()], true));
    let taken = Selection::new(joint.schema(), &canary()).of(&found);
    let expected = [Value::Missing, Value::Text("yearly".into()), Value::Number(3.0)];
    assert_eq!(taken.values(), expected);
}

/// A client may have done so before there was a canary, when it was skipped.
#[test]
fn a_feature_that_need_not_be_sent_and_is_sent_twice_is_lacking() {
    let json =
        r#"{"age": 4, "tenure": 3, "contract": null, "visits": 1, "visits": 2, "visits": 3}"#;
    let joint = joint();
    let (found, gaps, _) = row(&joint, json).unwrap();
    assert_eq!((&found.values()[3], gaps), (&Value::Missing, vec!["Absent(\"visits\")".into()]));
}

#[test]
fn added_features_cost_nothing_in_rows_without_them() {
    let more: Vec<Feature> = (0..2000).map(|number| numeric(&format!("x{number}"))).collect();
    let wide = schema(&[stable().features().to_vec(), more].concat());
    let joint = Joint::new(&stable(), Some(&wide), &BTreeSet::new(), &BTreeSet::new());
    let by_name = r#"{"age": 40, "tenure": 3, "contract": "yearly"}"#;
    let short = [r#"[3, "yearly", 40]"#, by_name].map(|json| row(&joint, json).unwrap().0);
    for found in &short {
        assert_eq!((found.width(), found.values.capacity() < 10), (3, true));
    }
    let own = Selection::new(joint.schema(), &stable());
    assert!(own.takes_whole(&short));
    let canary = Selection::new(joint.schema(), &wide);
    assert!(!canary.takes_whole(&short), "it needs its own row, although the order is the same");
    assert_eq!(canary.of(&short[0]).width(), 2003);
    assert!(!canary.is_too_wide_for(&vec![short[0].clone(); 2000]));
    assert!(canary.is_too_wide_for(&vec![short[0].clone(); 2001]));
    let with = by_name.replace('}', r#", "x1999": 1}"#);
    let (long, gaps, _) = row(&joint, &with).unwrap();
    assert_eq!((long.width(), gaps.len()), (2003, 1999));
    assert!(!own.takes_whole(std::slice::from_ref(&long)));
    assert_eq!(own.of(&long).values(), short[0].values());
}

/// Kept requests have the layout of an earlier version.
#[test]
fn a_value_of_another_kind_is_not_taken() {
    let words = schema(&[numeric("age"), categorical("tenure", &["long", "short"])]);
    let found = row(&joint(), r#"{"age": 40, "tenure": 3, "contract": "yearly"}"#).unwrap().0;
    let taken = Selection::new(joint().schema(), &words).of(&found);
    assert_eq!(taken.values(), [Value::Number(40.0), Value::Missing]);
    let swapped = schema(&[categorical("age", &["old"]), numeric("tenure")]);
    let rows = schema(&[numeric("age"), numeric("tenure")]);
    let selection = Selection::new(&rows, &swapped);
    let found = rows.row(serde_json::from_str("[40, 3]").unwrap()).unwrap();
    assert_eq!(selection.of(&found).values(), [Value::Missing, Value::Number(3.0)]);
}

#[test]
fn words_that_one_version_does_not_know_are_seen() {
    let gap = |word: &str| {
        let json = format!(r#"{{"age": 1, "tenure": 3, "contract": "{word}", "visits": 1}}"#);
        row(&joint(), &json).unwrap().1
    };
    assert_eq!(gap("monthly"), ["UnknownToOther(\"contract\")"]);
    assert_eq!(gap("weekly"), ["UnknownToStable(\"contract\")"]);
    assert_eq!(gap("yearly"), [""; 0]);
    assert_eq!(gap("daily"), [""; 0], "unknown to both");
}

#[test]
fn the_same_mistakes_are_refused_as_without_another_version() {
    let cases = [
        (r#"{"age": 1, "tenure": 3}"#, "`contract` missing; send every feature"),
        (r#"{"visits": 1}"#, "`tenure`, `contract`, `age` missing"),
        (r#"{"age": 1, "tenure": 3, "contract": null, "visit": 1}"#, "did you mean `visits`?"),
        (r#"{"age": "x", "tenure": 3, "contract": null, "visits": 1}"#, "`x` is text"),
        (r#"{"age": 1, "tenure": 1, "tenure": 2}"#, "`tenure`: sent twice"),
        (
            "[1, 2, 3, 4]",
            "4 values, the model takes 3, in this order: `tenure`, `contract`, `age`;",
        ),
    ];
    for (json, expected) in cases {
        let message = row(&joint(), json).unwrap_err();
        assert!(message.contains(expected), "{json}: {message} should contain {expected}");
    }
}

#[test]
fn each_version_has_its_own_markers_of_missing_values() {
    let joint = joint();
    let json = r#"{"age": 1, "tenure": 3, "contract": null, "visits": "never"}"#;
    let (found, gaps, _) = row(&joint, json).unwrap();
    assert_eq!((&found.values()[3], gaps), (&Value::Missing, vec![]));
    assert!(row(&joint, &json.replace("3", "\"never\"")).is_err());
}

#[test]
fn optional_features_of_stable_may_be_absent() {
    let joint = Joint::new(&stable(), None, &names(&["age", "gone"]), &BTreeSet::new());
    let (found, gaps, _) = row(&joint, r#"{"tenure": 3, "contract": "monthly"}"#).unwrap();
    assert_eq!(gaps, ["Absent(\"age\")"]);
    assert_eq!(found.values()[2], Value::Missing);
    assert_eq!(row(&joint, r#"[3, "monthly", 1]"#).unwrap().1, [""; 0]);
}

#[test]
fn a_kind_that_contradicts_is_named_with_both_kinds() {
    let other = schema(&[categorical("tenure", &["x"]), numeric("contract"), numeric("b")]);
    let message = Difference::between(&stable(), &other).unwrap_err().to_string();
    for expected in ["feature `tenure` is numeric for stable and categorical for it", "`contract`"]
    {
        assert!(message.contains(expected), "{message}");
    }
    let difference = Difference::between(&stable(), &canary()).unwrap();
    assert_eq!((difference.added, difference.dropped), (vec!["visits".into()], vec!["age".into()]));
    let many = schema(&[numeric(&"x".repeat(MAX_NAME_BYTES))]);
    let message = Difference::between(&stable(), &many).unwrap_err().to_string();
    assert!(message.contains("1048593 bytes, more than 1048576"), "{message}");
}
