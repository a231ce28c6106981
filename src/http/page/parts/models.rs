//! The models: what serves, what else could, and a form to deploy it.

use askama::Template;

use super::acts::Act;
use super::acts::Deploy;
use super::acts::deployment;
use crate::canary::Version;
use crate::canary::policy::Mode;
use crate::service::Service;
use crate::service::control::registry::latest::Brief;
use crate::service::control::registry::latest::BriefCard;
use crate::service::control::registry::latest::Content;
use crate::service::control::registry::latest::Newest;
use crate::service::serving::live::Loaded;
use crate::service::status::overview::RolloutState;
use crate::service::status::overview::Status;
use crate::text::lists::list;

/// Characters of a digest: enough to find it in the journal.
const DIGEST: usize = 8;

/// The models that serve, and the newest files of the models folder.
#[derive(Debug, Template)]
#[template(path = "models.html")]
pub(super) struct Models {
    rows: Vec<Row>,
    /// Further files of the folder.
    others: usize,
    /// Whether the plan sets the shares of a deployment that is offered.
    is_by_plan: bool,
}

/// A version that serves, and its card.
#[derive(Clone, Copy, Debug)]
struct Serving<'a> {
    version: &'a Version,
    card: Option<&'a BriefCard>,
}

#[derive(Debug)]
struct Row {
    version: String,
    role: Role,
    /// Why it is quarantined, or no model.
    why: Option<String>,
    kind: String,
    auc: Option<String>,
    digest: Option<String>,
    /// Its deployment, if it may be deployed.
    deploy: Option<Act>,
}

/// What a model is to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Stable,
    Canary,
    Previous,
    Quarantined,
    /// Nothing special.
    None,
}

impl Models {
    pub(super) fn of(service: &Service, status: &Status) -> Models {
        let live = service.serving.live.load();
        let brief = |loaded: &Loaded| loaded.card.as_ref().map(BriefCard::from);
        let of_stable = brief(&live.stable);
        let of_canary = live.canary.as_ref().and_then(|slot| brief(&slot.loaded));
        let serving = |version, card| Serving { version, card };
        let stable = serving(&status.stable.version, of_stable.as_ref());
        let canary = status.canary.as_ref().map(|version| serving(version, of_canary.as_ref()));
        let default = &service.control.settings.policy;
        let deploy = match default.mode {
            Mode::Manual => Deploy::ByHand { percent: default.weight.percent() },
            Mode::Automatic => {
                let steps = default.plan.steps.iter().map(|step| step.weight.to_string());
                Deploy::ByPlan { steps: list(&steps.collect::<Vec<_>>()) }
            }
        };
        let newest = service.control.newest_models();
        Models::new(status, (stable, canary), &newest, &deploy)
    }

    /// Of the versions that serve and of these files, which can be deployed like this while there is no canary.
    fn new(
        status: &Status,
        (stable, canary): (Serving<'_>, Option<Serving<'_>>),
        newest: &Newest,
        deploy: &Deploy,
    ) -> Models {
        let roles = [(canary, Role::Canary), (Some(stable), Role::Stable)];
        let roles = roles.into_iter().filter_map(|(one, role)| Some((one?, role)));
        let roles: Vec<(Serving<'_>, Role)> = roles.collect();
        let previous = status.post_promotion.as_ref().map(|it| it.previous.as_str());
        let is_serving = |file: &Brief| {
            let digest = file.digest();
            roles.iter().any(|(one, _)| {
                one.version.file == file.file && digest.is_none_or(|it| it == one.version.digest)
            })
        };
        let files = newest.files.iter().filter(|file| !is_serving(file));
        let mut rows: Vec<Row> =
            roles.iter().map(|(one, role)| Row::serving(*one, *role)).collect();
        rows.extend(files.map(|file| Row::new(file, previous, status, deploy)));
        let is_shown = |file: &&String| roles.iter().any(|(one, _)| one.version.file == **file);
        let others = newest.others.iter().filter(|file| !is_shown(file)).count();
        let is_by_plan = matches!(deploy, Deploy::ByPlan { .. });
        let is_by_plan = is_by_plan && rows.iter().any(|row| row.deploy.is_some());
        Models { rows, others, is_by_plan }
    }

    /// The panels of the deployments.
    fn panels(&self) -> Vec<&Act> {
        self.rows.iter().filter_map(|row| row.deploy.as_ref()).collect()
    }
}

impl Brief {
    fn digest(&self) -> Option<&str> {
        match &self.content {
            Content::Model(card) => Some(&card.digest),
            Content::Other(_) | Content::Unread => None,
        }
    }
}

impl Row {
    fn serving(one: Serving<'_>, role: Role) -> Row {
        let (kind, auc) = one.card.map_or(("", None), |card| (card.kind, card.auc));
        Row {
            version: one.version.name.clone(),
            role,
            why: None,
            kind: in_words(kind),
            auc: auc.map(|auc| format!("{auc:.3}")),
            digest: Some(short(&one.version.digest)),
            deploy: None,
        }
    }

    fn new(file: &Brief, previous: Option<&str>, status: &Status, deploy: &Deploy) -> Row {
        let mut row = Row {
            version: file.version.clone(),
            role: if previous == Some(file.version.as_str()) { Role::Previous } else { Role::None },
            why: None,
            kind: String::new(),
            auc: None,
            digest: None,
            deploy: None,
        };
        match &file.content {
            Content::Model(card) => {
                row.kind = in_words(card.kind);
                row.auc = card.auc.map(|auc| format!("{auc:.3}"));
                row.digest = Some(short(&card.digest));
                match status.quarantine.get(&card.digest) {
                    Some(quarantined) => {
                        row.role = Role::Quarantined;
                        row.why = Some(quarantined.reason.clone());
                    }
                    None if status.state == RolloutState::Idle => {
                        let named = (file.file.as_str(), file.version.as_str());
                        row.deploy = Some(deployment(status, named, deploy));
                    }
                    None => {}
                }
            }
            Content::Other(why) => {
                row.kind = "not a model".to_owned();
                row.why = Some(why.clone());
            }
            Content::Unread => row.kind = "being read".to_owned(),
        }
        row
    }
}

impl Role {
    /// The class of its color and the word.
    fn word(self) -> (&'static str, &'static str) {
        match self {
            Role::Stable => ("s", "stable"),
            Role::Canary => ("c", "canary"),
            Role::Previous => ("", "previous"),
            Role::Quarantined => ("fails", "quarantined"),
            Role::None => ("", ""),
        }
    }
}

fn in_words(kind: &str) -> String {
    kind.replace('_', " ")
}

fn short(digest: &str) -> String {
    digest.get(..DIGEST).unwrap_or(digest).to_owned()
}

#[cfg(test)]
#[path = "models_tests.rs"]
mod tests;
