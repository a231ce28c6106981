//! The models: what serves, what else could, and a form to deploy it.

use std::collections::BTreeMap;

use askama::Template;

use crate::canary::Version;
use crate::canary::rollout::state::Quarantined;
use crate::service::Service;
use crate::service::control::registry::latest::Brief;
use crate::service::control::registry::latest::BriefCard;
use crate::service::control::registry::latest::Content;
use crate::service::control::registry::latest::Newest;
use crate::service::serving::live::Loaded;
use crate::service::status::overview::RolloutState;
use crate::service::status::overview::Status;

/// Characters of a digest: enough to find it in the journal.
const DIGEST: usize = 8;

/// The models that serve, and the newest files of the models folder.
#[derive(Debug, Template)]
#[template(path = "models.html")]
pub(super) struct Models {
    rows: Vec<Row>,
    /// Further files of the folder.
    others: usize,
    /// What a deployment takes; `None` while there is a canary.
    deploy: Option<Deploy>,
}

/// What a deployment from the page takes.
#[derive(Debug, PartialEq)]
struct Deploy {
    /// The share that is offered, in percent; `None` where the plan sets it.
    percent: Option<f64>,
}

/// A version that serves, and its card.
#[derive(Clone, Copy, Debug)]
struct Serving<'a> {
    version: &'a Version,
    card: Option<&'a BriefCard>,
}

#[derive(Debug, PartialEq)]
struct Row {
    version: String,
    role: Role,
    /// Why it is quarantined, or no model.
    why: Option<String>,
    kind: String,
    auc: Option<String>,
    digest: Option<String>,
    /// The file, if it may be deployed.
    file: Option<String>,
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
        let percent = default.mode.is_manual().then(|| default.weight.percent());
        let newest = service.control.newest_models();
        Models::new(status, (stable, canary), &newest, Deploy { percent })
    }

    /// Of the versions that serve and of these files, with a form if `deploy` is given and there is no canary.
    fn new(
        status: &Status,
        (stable, canary): (Serving<'_>, Option<Serving<'_>>),
        newest: &Newest,
        deploy: Deploy,
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
        rows.extend(files.map(|file| Row::new(file, previous, &status.quarantine)));
        let is_shown = |file: &&String| roles.iter().any(|(one, _)| one.version.file == **file);
        let others = newest.others.iter().filter(|file| !is_shown(file)).count();
        let deploy = (status.state == RolloutState::Idle).then_some(deploy);
        Models { rows, others, deploy }
    }

    fn has_form(&self) -> bool {
        self.deploy.is_some() && self.rows.iter().any(|row| row.file.is_some())
    }

    fn is_by_plan(&self) -> bool {
        self.has_form() && self.deploy.as_ref().is_some_and(|deploy| deploy.percent.is_none())
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
            file: None,
        }
    }

    fn new(
        file: &Brief,
        previous: Option<&str>,
        quarantine: &BTreeMap<String, Quarantined>,
    ) -> Row {
        let mut row = Row {
            version: file.version.clone(),
            role: if previous == Some(file.version.as_str()) { Role::Previous } else { Role::None },
            why: None,
            kind: String::new(),
            auc: None,
            digest: None,
            file: None,
        };
        match &file.content {
            Content::Model(card) => {
                row.kind = in_words(card.kind);
                row.auc = card.auc.map(|auc| format!("{auc:.3}"));
                row.digest = Some(short(&card.digest));
                match quarantine.get(&card.digest) {
                    Some(quarantined) => {
                        row.role = Role::Quarantined;
                        row.why = Some(quarantined.reason.clone());
                    }
                    None => row.file = Some(file.file.clone()),
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
