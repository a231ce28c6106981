//! Deployment of a canary: the model, its policy, and what clients must change.

use std::sync::Arc;

use super::CommandError;
use super::Deployment;
use super::check_shadow;
use super::checked_reason;
use crate::canary::Event;
use crate::canary::JudgePolicy;
use crate::canary::Metric;
use crate::canary::Policy;
use crate::canary::Weight;
use crate::canary::policy::Mode;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::policy::judge_policy::PairSource;
use crate::canary::policy::source::Outputs;
use crate::canary::rollout::state::FeatureChange;
use crate::model::OutputKind;
use crate::model::schema::joint::Difference;
use crate::service::control::Control;
use crate::service::control::registry::Candidate;
use crate::service::control::startup::limits;
use crate::service::status::Status;
use crate::service::status::features::FeaturesStatus;
use crate::text::fields::FieldError;

impl Control {
    /// Deploys a canary and returns the new status. Blocks until the event is in the journal.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn deploy(
        &self,
        deployment: Deployment,
        if_revision: Option<u64>,
    ) -> Result<Status, CommandError> {
        // Loading and warming up a model takes time, so it is done before the lock is taken.
        let candidate = self.prepare(&deployment.model_path)?;
        let mut policy = self.policy(&deployment)?;
        let reason = checked_reason(deployment.reason)?;
        let position = self.position.load();
        let (stable, may_lack) = (&position.live.stable, &position.state.clients.may_lack);
        let trial = candidate.loaded.tried(stable, may_lack, limits(&self.settings));
        let mut ledger = self.ledger_at(if_revision, false)?;
        // Under the lock, because a revert may have changed stable.
        let features = self.change(&deployment.model_path, &candidate)?;
        let live = self.serving.live.load_full();
        if Arc::ptr_eq(stable, &live.stable) {
            candidate.loaded.trial.get_or_init(|| trial);
        }
        let lacking = FeaturesStatus::new(live.intake.latest(), candidate.loaded.fails_without());
        let fails = lacking.and_then(|it| it.fails());
        let has_threads =
            live.stable.inference.has_threads() || candidate.loaded.inference.has_threads();
        policy.judge = policy.judge.of_threads(has_threads);
        let event = Event::CanaryDeployed {
            canary: candidate.version.clone(),
            policy: Box::new(policy),
            salt: ledger.salts.next(),
            reason,
            override_quarantine: deployment.override_quarantine,
            features,
            library: candidate.loaded.library(),
        };
        let note = Control::monitoring_note(&ledger);
        let name = candidate.version.name.clone();
        self.commit(&mut ledger, &event, Some(candidate))?;
        let mut status = self.status_of(&ledger).noting(note);
        status.warnings.extend(fails);
        let state = &ledger.position().state;
        if let (Some(rollout), Some(shown)) = (&state.rollout, &mut status.rollout)
            && let Some(plan) = &mut shown.plan
        {
            plan.time = self.judge.lock().time_of_plan(rollout, self.clock.wall());
        }
        drop(ledger);
        for warning in &status.warnings {
            tracing::warn!(canary = name, "{warning}");
        }
        Ok(status)
    }

    /// The policy of a rollout: the server's, with the overrides of the deployment.
    fn policy(&self, deployment: &Deployment) -> Result<Policy, CommandError> {
        let default = &self.settings.policy;
        let judge = default.judge.changed(&default.health, &deployment.judge)?;
        let post_promotion = default.post_promotion.changed(&deployment.post_promotion, &judge);
        let post_promotion = post_promotion.map_err(|mut error| {
            if deployment.post_promotion.is_empty() {
                error.message.push_str("; the value is from the server's settings");
            }
            error
        })?;
        self.check_labels(&judge)?;
        judge.check_queries(self.settings.prometheus.is_some())?;
        let implied = if !deployment.plan.is_empty() { Mode::Automatic } else { default.mode };
        let mode = deployment.mode.unwrap_or(implied);
        let plan = default.plan.changed(&deployment.plan).map_err(|error| error.within("plan"))?;
        let contradiction =
            |given, mode, instead| Err(CommandError::Contradiction { given, mode, instead });
        let (weight, shadow) = match mode {
            Mode::Manual if !deployment.plan.is_empty() => {
                let instead = "leave out the mode, or the plan";
                return contradiction("a plan", "automatic", instead);
            }
            Mode::Automatic if deployment.weight.is_some() => {
                let instead = "set the weights in the steps of the plan";
                return contradiction("traffic_percent", "manual", instead);
            }
            Mode::Automatic if deployment.shadow.is_some() => {
                let instead = "set the shadow shares in the steps of the plan";
                return contradiction("shadow_percent", "manual", instead);
            }
            Mode::Automatic if deployment.bake.is_some() => {
                let instead = "set the bake times in the steps of the plan";
                return contradiction("bake", "manual", instead);
            }
            Mode::Manual => {
                let shadow = deployment.shadow.unwrap_or_default();
                // A shadow without a share of traffic means a share of 0.
                let usual = if shadow.is_zero() { default.weight } else { Weight::ZERO };
                (deployment.weight.unwrap_or(usual), shadow)
            }
            Mode::Automatic => plan
                .steps
                .first()
                .map_or((default.weight, Weight::ZERO), |step| (step.weight, step.shadow)),
        };
        check_shadow(weight, shadow)?;
        let shadows = match mode {
            Mode::Manual => !shadow.is_zero(),
            Mode::Automatic => plan.steps.iter().any(|step| !step.shadow.is_zero()),
        };
        let pairs = match (shadows, self.settings.retention.recent) {
            (true, _) => {
                PairSource::InShadow { is_required: mode.is_manual() || !plan.may_skip_shadow() }
            }
            (false, 0) => PairSource::Never,
            (false, _) => PairSource::WhenAskedAgain,
        };
        let judge = judge.of_rollout(&default.health, &deployment.judge, pairs)?;
        let judge = match self.settings.feedback.is_enabled {
            true => judge,
            false => judge.without_optional_labels(),
        };
        let outputs = self.outputs();
        let judge = judge.of_outputs(outputs, &default.health, &deployment.judge)?;
        let health = HealthPolicy { gross_shift: judge.gross_shift(), ..default.health };
        let bake = deployment.bake.unwrap_or(default.bake);
        let default = default.clone();
        Ok(Policy { weight, shadow, bake, mode, plan, health, judge, post_promotion, ..default })
    }

    /// What stable answers, and so does every canary.
    pub(crate) fn outputs(&self) -> Outputs {
        match self.serving.live.load().stable.inference.model().output() {
            OutputKind::Probability { .. } => Outputs::Probability,
            OutputKind::Probabilities { classes } => {
                Outputs::Probabilities { classes: classes.clone() }
            }
            OutputKind::Score => Outputs::Score,
        }
    }

    /// Refuses metrics of labels that act on a server that accepts no labels.
    fn check_labels(&self, judge: &JudgePolicy) -> Result<(), CommandError> {
        let waits = |metric: &&Metric| {
            metric.source.is_of_labels() && metric.role.acts() && metric.required
        };
        match judge.metrics.iter().find(waits) {
            Some(metric) if !self.settings.feedback.is_enabled => {
                Err(CommandError::Field(FieldError::out_of_range(
                    "metrics",
                    metric.name.to_string(),
                    "metrics of labels only with labels: set enabled = true under [feedback], or make it advisory",
                )))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Finds, verifies and warms up a model that is to be deployed.
    fn prepare(&self, model_path: &str) -> Result<Candidate, CommandError> {
        let candidate = self.registry.candidate(model_path)?;
        self.change(model_path, &candidate)?;
        let live = self.serving.live.load();
        let (stable, canary) = (live.stable.inference.model(), candidate.loaded.inference.model());
        if !stable.output().is_same_as(canary.output()) {
            return Err(CommandError::Output {
                path: model_path.to_owned(),
                stable: live.stable.version.name.clone(),
                canary_output: canary.output().clone(),
                stable_output: stable.output().clone(),
            });
        }
        candidate
            .loaded
            .inference
            .warm_up(self.settings.policy.canary_deadline)
            .map_err(|cause| CommandError::WarmUp { path: model_path.to_owned(), cause })?;
        Ok(candidate)
    }

    /// The features in which a candidate differs from stable.
    fn change(
        &self,
        model_path: &str,
        candidate: &Candidate,
    ) -> Result<FeatureChange, CommandError> {
        let live = self.serving.live.load();
        let (name, file) = (&live.stable.version.name, &live.stable.version.file);
        if candidate.version.name == *name && candidate.version.file != *file {
            let (path, name, file) = (model_path.to_owned(), name.clone(), file.clone());
            return Err(CommandError::NameTaken { path, name, file });
        }
        let (stable, canary) = (live.stable.inference.model(), candidate.loaded.inference.model());
        let Difference { added, dropped } = Difference::between(stable.schema(), canary.schema())
            .map_err(|cause| CommandError::Features {
            path: model_path.to_owned(),
            stable: live.stable.version.name.clone(),
            cause: Box::new(cause),
        })?;
        Ok(FeatureChange { added, dropped })
    }
}
