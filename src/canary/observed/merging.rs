//! Merging of increments: what several replicas have observed in one step becomes one tick.
//!
//! Values are the middles of buckets with counts, so nothing is rounded and the order makes no difference. The sums of
//! the visits of keys are of 32 bits, so replicas are merged in the order of their ids.

use super::groups::Group;
use super::groups::GroupIncrement;
use super::groups::GroupsIncrement;
use super::increment::Increment;
use super::increment::TrackIncrement;
use super::inputs::InputsIncrement;
use super::labels::LossIncrement;
use super::outputs::ClassDifferences;
use super::outputs::ClassValues;
use super::outputs::ErrorIncrement;
use super::outputs::OutputsIncrement;
use super::pairs::PairsIncrement;
use crate::canary::traffic::weight::Weight;

/// Values with their counts, ascending.
type Values = Vec<(f64, u64)>;

impl Increment {
    /// Adds what another replica has observed at the same step. The weight and the length stay.
    pub fn merge(&mut self, other: Increment) {
        let groups = merged_groups(self, &other);
        add_track(&mut self.stable, &other.stable);
        add_track(&mut self.canary, &other.canary);
        self.groups = GroupsIncrement::of(groups, &self.stable.latency, &self.canary.latency);
        for (name, recorded) in other.recorded {
            let ours = self.recorded.entry(name).or_default();
            add(&mut ours.stable, &recorded.stable);
            add(&mut ours.canary, &recorded.canary);
        }
        for (name, segment) in other.segments {
            let ours = self.segments.entry(name).or_default();
            add_track(&mut ours.stable, &segment.stable);
            add_track(&mut ours.canary, &segment.canary);
        }
        add_losses(&mut self.losses, other.losses);
        add_pairs(&mut self.pairs, &other.pairs);
        add_outputs(&mut self.outputs, other.outputs);
        self.visits.merge(&other.visits);
        add_inputs(&mut self.inputs, other.inputs);
        self.queried.extend(other.queried);
    }
}

/// Adds the counts of ascending values.
fn add(into: &mut Values, other: &[(f64, u64)]) {
    if other.is_empty() {
        return;
    }
    let ours = std::mem::take(into);
    let (mut ours, mut theirs) = (ours.into_iter().peekable(), other.iter().copied().peekable());
    loop {
        let next = match (ours.peek(), theirs.peek()) {
            (Some(one), Some(two)) if one.0 == two.0 => {
                let (value, count) = *one;
                let sum = (value, count.saturating_add(two.1));
                ours.next();
                theirs.next();
                Some(sum)
            }
            (Some(one), Some(two)) if one.0 < two.0 => ours.next(),
            (Some(_), None) => ours.next(),
            (_, Some(_)) => theirs.next(),
            (None, None) => return,
        };
        into.extend(next);
    }
}

fn add_track(into: &mut TrackIncrement, other: &TrackIncrement) {
    into.requests = into.requests.saturating_add(other.requests);
    into.failures = into.failures.saturating_add(other.failures);
    add(&mut into.latency, &other.latency);
    add(&mut into.score, &other.score);
}

fn add_pairs(into: &mut PairsIncrement, other: &PairsIncrement) {
    into.failures = into.failures.saturating_add(other.failures);
    add(&mut into.differences, &other.differences);
    add(&mut into.flips, &other.flips);
    add(&mut into.stable_latency, &other.stable_latency);
    add(&mut into.canary_latency, &other.canary_latency);
}

fn add_outputs(into: &mut OutputsIncrement, other: OutputsIncrement) {
    for (ours, theirs) in [(&mut into.stable, &other.stable), (&mut into.canary, &other.canary)] {
        add(&mut ours.score, &theirs.score);
        let classes = ours.classes.len().max(theirs.classes.len());
        ours.classes.resize_with(classes, ClassValues::default);
        for (ours, theirs) in ours.classes.iter_mut().zip(&theirs.classes) {
            add(&mut ours.0, &theirs.0);
        }
    }
    let (ours, theirs) = (&mut into.pairs, &other.pairs);
    add(&mut ours.score, &theirs.score);
    let classes = ours.classes.len().max(theirs.classes.len());
    ours.classes.resize_with(classes, ClassDifferences::default);
    for (ours, theirs) in ours.classes.iter_mut().zip(&theirs.classes) {
        add(&mut ours.0, &theirs.0);
    }
    for error in other.errors {
        let ours = at_weight(
            &mut into.errors,
            error.weight,
            |it| it.weight,
            |weight| ErrorIncrement { weight, ..ErrorIncrement::default() },
        );
        if let Some(ours) = ours {
            add(&mut ours.stable, &error.stable);
            add(&mut ours.canary, &error.canary);
        }
    }
}

fn add_losses(into: &mut Vec<LossIncrement>, other: Vec<LossIncrement>) {
    for loss in other {
        let ours = at_weight(
            into,
            loss.weight,
            |it| it.weight,
            |weight| LossIncrement { weight, ..LossIncrement::default() },
        );
        let Some(ours) = ours else { continue };
        for (ours, theirs) in [(&mut ours.stable, &loss.stable), (&mut ours.canary, &loss.canary)] {
            add(&mut ours.log_loss, &theirs.log_loss);
            add(&mut ours.brier, &theirs.brier);
        }
    }
}

/// The one of this weight in a list that ascends by weight.
fn at_weight<T>(
    list: &mut Vec<T>,
    weight: Weight,
    of: impl Fn(&T) -> Weight,
    begin: impl FnOnce(Weight) -> T,
) -> Option<&mut T> {
    let place = list.partition_point(|one| of(one) < weight);
    if list.get(place).is_none_or(|one| of(one) != weight) {
        list.insert(place, begin(weight));
    }
    list.get_mut(place)
}

/// The groups of both but the default one, which is what they leave.
fn merged_groups(one: &Increment, other: &Increment) -> Vec<GroupIncrement> {
    if one.groups.is_empty() && other.groups.is_empty() {
        return Vec::new();
    }
    let mut merged: Vec<GroupIncrement> = Vec::new();
    for increment in [one, other] {
        let Increment { stable, canary, groups, .. } = increment;
        for values in groups.values(&stable.latency, &canary.latency) {
            let group = Group::numbered(values.group);
            if group == Group::default() {
                continue;
            }
            let place = merged.partition_point(|it| it.group < group);
            if merged.get(place).is_none_or(|it| it.group != group) {
                merged.insert(place, GroupIncrement { group, ..GroupIncrement::default() });
            }
            if let Some(ours) = merged.get_mut(place) {
                add(&mut ours.stable, &values.stable);
                add(&mut ours.canary, &values.canary);
            }
        }
    }
    merged
}

/// Both versions are the same on all replicas, so their bins are. Rows in other bins are left out.
fn add_inputs(into: &mut InputsIncrement, other: InputsIncrement) {
    if into.is_empty() {
        *into = other;
        return;
    }
    let is_same = match (&into.table, &other.table) {
        (Some(ours), Some(theirs)) => ours == theirs,
        _ => true,
    };
    if is_same && into.counts.len() == other.counts.len() {
        into.table = into.table.take().or(other.table);
        for (ours, theirs) in into.counts.iter_mut().zip(&other.counts) {
            for (ours, theirs) in ours.iter_mut().zip(theirs) {
                *ours = ours.saturating_add(*theirs);
            }
        }
    }
}

#[cfg(test)]
#[path = "merging_tests.rs"]
mod tests;
