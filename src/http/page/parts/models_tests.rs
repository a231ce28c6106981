//! Which models the page lists, and which it offers.

use serde_json::json;

use super::*;
use crate::service::status::report::tests::rollout;
use crate::service::status::report::tests::status;

fn card(digest: &str) -> BriefCard {
    BriefCard { kind: "logistic_regression", digest: digest.to_owned(), auc: Some(0.8123) }
}

fn file(file: &str, content: Content) -> Brief {
    let version = file.trim_end_matches(".bin").to_owned();
    Brief { file: file.to_owned(), version, content }
}

fn folder() -> Newest {
    let model = |name: &str, digest: &str| file(name, Content::Model(card(digest)));
    Newest {
        files: vec![
            model("model_v3.bin", "d3"),
            model("models/model_v1.bin", "d0"),
            model("bad.bin", "d4"),
            file("notes.bin", Content::Other("<b>no magic</b>".to_owned())),
            file("large.bin", Content::Unread),
        ],
        others: vec!["old.bin".to_owned(), "models/model_v1.bin".to_owned()],
    }
}

fn by_hand() -> Deploy {
    Deploy::ByHand { percent: 10.0 }
}

fn parts(status: &Status, deploy: &Deploy) -> (Models, String) {
    let stable = card("d0");
    let stable = Serving { version: &status.stable.version, card: Some(&stable) };
    let canary = status.canary.as_ref().map(|version| Serving { version, card: None });
    let models = Models::new(status, (stable, canary), &folder(), deploy);
    let html = models.render().unwrap();
    (models, html)
}

#[test]
fn what_serves_comes_first_and_the_rest_can_be_deployed() {
    let status = status(json!({
        "quarantine": { "d4": { "version": "bad", "reason": "fails <often>" } },
    }));
    let (models, html) = parts(&status, &by_hand());
    let shown: Vec<_> =
        models.rows.iter().map(|row| (&*row.version, row.role, row.deploy.is_some())).collect();
    assert_eq!(
        shown,
        [
            ("model_v1", Role::Stable, false),
            ("model_v3", Role::None, true),
            ("bad", Role::Quarantined, false),
            ("notes", Role::None, false),
            ("large", Role::None, false),
        ]
    );
    // The file of stable is shown, although it is not among the newest.
    assert_eq!(models.others, 1);
    assert_eq!(models.rows[0].auc.as_deref(), Some("0.812"));
    for expected in [
        "action=\"admin/deploy-canary\" method=\"post\" data-act hidden",
        "Deploy model_v3 as canary?",
        "model_v3 gets this share of the traffic from the next request on; model_v1 answers the rest.",
        "changes nothing by itself",
        "name=\"model_path\" value=\"model_v3.bin\"",
        "name=\"traffic_percent\" value=\"10\"",
        "fails &#60;often&#62;",
        "&#60;b&#62;no magic&#60;/b&#62;",
        "not a model",
        "being read",
        "1 more: <code>serin models</code>",
    ] {
        assert!(html.contains(expected), "{expected} is not in {html}");
    }
    assert_eq!(html.matches("<form").count(), 1);
}

#[test]
fn the_plan_sets_the_share() {
    let steps = "1 %, 10 % and 50 %".to_owned();
    let (_, html) = parts(&status(json!({})), &Deploy::ByPlan { steps });
    assert!(html.contains("its shares by the plan (1 %, 10 % and 50 %)"), "{html}");
    assert!(
        !html.contains("traffic_percent") && html.contains("the plan sets the shares"),
        "{html}"
    );
}

#[test]
fn a_deployment_ends_the_monitoring_of_a_promotion_and_says_so() {
    let monitored = json!({ "post_promotion": {
        "rollout": 3, "previous": "model_v0", "until": "2026-11-26T14:05:00Z", "action": "revert",
        "metrics": [],
    } });
    let (_, html) = parts(&status(monitored), &by_hand());
    assert!(html.contains("no longer monitored, and cannot be reverted to model_v0."), "{html}");
}

#[test]
fn each_file_has_a_panel_of_its_own() {
    let (models, _) = parts(&status(json!({})), &by_hand());
    let [one, other] = ["a b.bin", "a\"b.bin"]
        .map(|file| deployment(&status(json!({})), (file, file), &by_hand()).id);
    assert_ne!(one, other);
    assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{one}");
    // Of model_v3 and bad, which is not in quarantine here.
    assert_eq!(models.panels().len(), 2);
}

#[test]
fn nothing_is_deployed_beside_a_canary() {
    let (models, html) = parts(&rollout("pass", Some(0.0), json!({})), &by_hand());
    let roles: Vec<Role> = models.rows.iter().map(|row| row.role).take(2).collect();
    assert_eq!(roles, [Role::Canary, Role::Stable]);
    assert!(!html.contains("<form"), "{html}");
}

#[test]
fn names_of_files_are_escaped() {
    let hostile = "\"><img src=x>.bin";
    let status = status(json!({}));
    let newest = Newest { files: vec![file(hostile, Content::Model(card("d9")))], others: vec![] };
    let stable = Serving { version: &status.stable.version, card: None };
    let models = Models::new(&status, (stable, None), &newest, &by_hand());
    let html = models.render().unwrap();
    assert!(!html.contains("<img") && html.contains("&#34;&#62;&#60;img src=x&#62;.bin"), "{html}");
}

#[test]
fn a_folder_without_another_model_says_how_to_make_one() {
    let status = status(json!({}));
    let stable = Serving { version: &status.stable.version, card: None };
    let deploy = &by_hand();
    let html = Models::new(&status, (stable, None), &Newest::default(), deploy).render().unwrap();
    assert!(html.contains("has no other model") && html.contains("model_v1"), "{html}");
}
