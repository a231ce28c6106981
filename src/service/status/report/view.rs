//! A status in words.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::checklist::Checklist;
use super::checklist::checklists;
use super::condition::Condition;
use super::condition::Headline;
use super::next;
use super::rows::Known;
use super::rows::MetricRow;
use super::start::Start;
use super::words::Times;
use crate::canary::Metric;
use crate::canary::SequentialVerdict;
use crate::canary::Verdict;
use crate::canary::policy::Mode;
use crate::service::reported::prometheus::status::QueryStatus;
use crate::service::status::health::Health;
use crate::service::status::overview::Status;

/// The state of a rollout for people.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Report {
    /// How it is doing.
    pub condition: Condition,
    /// Which version gets what.
    pub headline: String,
    /// Why, in one sentence.
    pub why: Option<String>,
    /// What happens next and when.
    pub next: String,
    /// The time that `next` names, if it names one.
    pub next_at: Option<Timestamp>,
    /// What it waits for.
    pub missing: Option<String>,
    /// The same as a list with how far each is: for the next step, and for the promotion.
    pub checklists: Vec<Checklist>,
    /// The one thing to do where nothing happens: without a canary, or without requests.
    pub start: Option<Start>,
    /// A row per metric.
    pub metrics: Vec<MetricRow>,
    /// What else to know: how the versions answer the rows of the model files, features that requests lack, injected faults, stalls of the machine, failing notifications.
    pub notes: Vec<String>,
}

/// A status with its report; times are in UTC.
#[derive(Serialize, ToSchema)]
pub struct Reported {
    /// The status.
    #[serde(flatten)]
    pub status: Status,
    /// The same in words.
    pub report: Report,
}

impl From<Status> for Reported {
    fn from(status: Status) -> Reported {
        Reported { report: Report::new(&status, &Times::utc(status.at)), status }
    }
}

impl Report {
    /// The report of a status, with times as given.
    pub fn new(status: &Status, times: &Times) -> Report {
        let metrics = rows(status);
        let Headline { condition, text, why } = Headline::new(status, &metrics, times);
        Report {
            condition,
            headline: text,
            why,
            next: next::next(status, condition, times),
            next_at: next::next_at(status, condition),
            missing: next::missing(status, condition, &metrics),
            start: Start::of(status, condition),
            checklists: checklists(status, condition, &metrics),
            metrics,
            notes: notes(status, condition),
        }
    }
}

fn rows(status: &Status) -> Vec<MetricRow> {
    let is_compared = status.traffic_percent > 0.0 && status.traffic_percent < 100.0;
    match (&status.rollout, &status.health, &status.post_promotion) {
        (Some(rollout), Some(health), _) => {
            judged(&rollout.metrics, rollout.mode, health, is_compared)
        }
        (None, _, Some(promotion)) => late(&promotion.metrics, promotion.sequential.as_ref()),
        (_, None, _) | (None, _, None) => Vec::new(),
    }
}

/// The metrics of a rollout under this health check.
pub(super) fn judged(
    metrics: &[Metric],
    mode: Mode,
    health: &Health,
    is_compared: bool,
) -> Vec<MetricRow> {
    let evidence = health.sequential.iter().flat_map(|it| &it.metrics);
    let mut forecasts = health.forecast.iter().flat_map(|it| &it.forecast.metrics);
    let row = |(metric, evidence): (&Metric, _)| {
        let mut harms = health.harm_at_one_look.iter();
        // By hand the health check decides on what it has seen of the requests.
        let is_looked_at = health.p_value.is_some() && metric.source.is_of_requests();
        let is_decided = is_looked_at || health.verdict == Verdict::Promote;
        let known = Known {
            forecast: forecasts.next(),
            reading: health.bayesian.iter().find(|it| it.metric == metric.name),
            is_compared,
            harm: harms.find(|harm| harm.source == metric.source),
            may_be_harm: health.possible_harm.contains(&metric.source),
            is_enough: mode.is_manual() && is_decided,
            shift_accepted: health.diagnostics.shift_accepted,
        };
        MetricRow::new(metric, evidence, known)
    };
    metrics.iter().zip(evidence).map(row).collect()
}

/// The metrics of labels, which alone are judged after a promotion.
pub(super) fn late(metrics: &[Metric], sequential: Option<&SequentialVerdict>) -> Vec<MetricRow> {
    let evidence = sequential.into_iter().flat_map(|it| &it.metrics);
    let late = metrics.iter().zip(evidence).filter(|(metric, _)| metric.source.is_of_labels());
    late.map(|(metric, it)| MetricRow::new(metric, it, Known::default())).collect()
}

fn notes(status: &Status, condition: Condition) -> Vec<String> {
    // Of a frozen rollout the headline has it.
    let lost = status.store_lost.as_ref().filter(|_| condition == Condition::Frozen);
    let note = status.note.iter().filter(|note| lost.is_none_or(|lost| lost.cause != **note));
    let mut notes: Vec<String> = note.chain(&status.warnings).cloned().collect();
    notes.extend(status.on_kept_rows.iter().map(|on_kept_rows| on_kept_rows.message.clone()));
    notes.extend(status.features.iter().flat_map(|features| features.messages.clone()));
    notes.extend(status.queries.iter().filter_map(QueryStatus::message));
    notes.extend(status.quality.iter().flat_map(|quality| quality.messages.clone()));
    let balance = status.inputs.as_ref().and_then(|inputs| inputs.between_tracks.as_ref());
    let diagnostics = status.health.as_ref().map(|health| &health.diagnostics);
    // Where the difference is judged, the headline has it.
    let is_judged =
        diagnostics.and_then(|it| it.input_balance.as_ref()).is_some_and(|it| it.mismatch);
    notes.extend(balance.filter(|_| !is_judged).and_then(|balance| balance.message.clone()));
    if status.simulate_slowdown {
        notes.push(format!("Injected on purpose: {} ms of delay.", status.delay_ms));
    }
    if let Some(injection) = &status.injection {
        notes.push(format!("Injected on purpose: {}.", injection.in_words()));
    }
    let machine = status.health.as_ref().and_then(|health| health.diagnostics.machine.as_ref());
    if let Some(message) = machine.and_then(|machine| machine.message.as_ref()) {
        notes.push(format!("Note: {message}."));
    }
    let failing = status.notifications.iter().filter(|target| target.failures > 0);
    notes.extend(failing.filter_map(|target| {
        let error = target.last_error.as_ref()?;
        Some(format!("Notifications to {} fail: {error}", target.target))
    }));
    notes
}
