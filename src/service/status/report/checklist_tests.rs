//! What the checklists of typical statuses say.

use serde_json::json;

use super::checklist::Check;
use super::checklist::CheckState;
use super::checklist::Checklist;
use super::tests::plan;
use super::tests::report;
use super::tests::rollout;
use super::tests::status;
use crate::service::status::Status;

/// The lists as text: `+` done, `-` open, `!` refused.
fn lists(status: &Status) -> Vec<String> {
    let item = |check: &Check| {
        let mark = match check.state {
            CheckState::Done => '+',
            CheckState::Open => '-',
            CheckState::Refused => '!',
        };
        let progress = check.progress.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
        format!("{mark}{}{progress}", check.text)
    };
    let list = |list: &Checklist| {
        let items: Vec<String> = list.items.iter().map(item).collect();
        format!("{}: {}", list.title, items.join("; "))
    };
    report(status).checklists.iter().map(list).collect()
}

#[test]
fn a_step_waits_for_requests_and_time_and_the_promotion_for_every_guardrail() {
    let holding = rollout("inconclusive", Some(0.0003), plan(json!({ "approval": true })));
    assert_eq!(
        lists(&holding),
        [
            "For the next step, 25 %: -Canary requests at this step (1,000 of 1,088); \
             -Stable requests at this step (1,000 of 1,088); -Time at this step (6 min of 10 min); \
             +No guardrail fails",
            "For the promotion: -latency passes; +failures and score pass; -The step 25 %; \
             -Your approval",
        ]
    );
    let last = plan(json!({ "position": 3, "lacks_compared_answers": true }));
    let mut at_last = rollout("pass", Some(0.0), last);
    at_last.traffic_percent = 25.0;
    assert_eq!(
        lists(&at_last),
        ["For the promotion: -Canary requests at this step (1,000 of 1,088); \
          -Stable requests at this step (1,000 of 1,088); -Time at this step (6 min of 10 min); \
          +latency, failures and score pass; -Your approval (no answers were compared)"]
    );
}

#[test]
fn by_hand_the_list_is_for_the_promotion() {
    let waiting =
        rollout("insufficient", None, json!({ "tracks": { "canary": { "requests": 8 } } }));
    assert_eq!(
        lists(&waiting),
        ["For a promotion: -Canary requests at this step (8 of 20); \
          +Stable requests at this step (1,000); -latency passes (8 of 20 samples); \
          +failures and score pass"]
    );
    let share = report(&waiting).checklists[0].items[0].share;
    assert_eq!(share, Some(0.4));
}

#[test]
fn there_is_none_without_a_rollout_or_with_harm() {
    assert!(lists(&status(json!({}))).is_empty());
    assert!(lists(&rollout("fail", Some(0.02), json!({}))).is_empty());
}
