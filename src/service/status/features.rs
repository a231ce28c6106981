//! What the latest requests lack for a version.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::Track;
use crate::service::serving::intake::Counted;
use crate::service::serving::intake::Latest;
use crate::service::serving::live::Live;
use crate::text::lists::listed;
use crate::text::numbers;
use crate::text::numbers::count;

/// What the latest requests lack for a version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FeaturesStatus {
    /// Number of the latest requests.
    pub requests: u64,
    /// How many of them have values by position, although positions mean something else once the canary is stable.
    pub by_position: u64,
    /// What they lack, the most frequent first.
    pub lacking: Vec<Lacking>,
    /// All of it in sentences.
    pub messages: Vec<String>,
}

/// Something that requests lack for a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Lacking {
    /// The version.
    pub track: Track,
    /// The feature.
    pub feature: String,
    /// What is lacking.
    pub what: Lack,
    /// In how many of the requests.
    pub requests: u64,
    /// Whether the canary has no answer without it, so that these requests fail on the canary.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fails_on_canary: bool,
}

/// What a request lacks of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// The value.
    Value,
    /// A word that this version knows; the other version knows it.
    KnownWord,
}

/// At most this many of what is lacking.
const MAX_LACKING: usize = 100;

/// At most this many sentences.
const MAX_MESSAGES: usize = 4;

impl FeaturesStatus {
    /// What the latest requests lack for the versions that answer; `None` if nothing.
    pub(crate) fn of(live: &Live) -> Option<FeaturesStatus> {
        let canary = live.canary.as_ref().map(|canary_slot| &canary_slot.loaded);
        let fails_without = canary.and_then(|canary| canary.fails_without());
        FeaturesStatus::new(live.intake.latest(), fails_without)
    }

    /// What was counted, where the canary has no answer without some features; `None` if nothing is lacking.
    pub(crate) fn new(
        latest: Latest,
        fails_without: Option<&BTreeSet<String>>,
    ) -> Option<FeaturesStatus> {
        let Latest { requests, by_position, lacking } = latest;
        if by_position == 0 && lacking.is_empty() {
            return None;
        }
        let lacking = lacking.into_iter().map(|(track, what, requests)| {
            let (what, feature) = match what {
                Counted::Feature(name) => (Lack::Value, name),
                Counted::Word(name) => (Lack::KnownWord, name),
            };
            let fails = |names: &BTreeSet<String>| what == Lack::Value && names.contains(&feature);
            let fails_on_canary = fails_without.is_some_and(fails);
            Lacking { track, feature, what, requests, fails_on_canary }
        });
        let mut lacking: Vec<Lacking> = lacking.collect();
        lacking.sort_by_key(|one| {
            (Reverse(one.requests), one.what == Lack::KnownWord, one.track == Track::Stable)
        });
        let mut status = FeaturesStatus { requests, by_position, lacking, messages: Vec::new() };
        status.messages = status.sentences();
        status.lacking.truncate(MAX_LACKING);
        Some(status)
    }

    fn sentences(&self) -> Vec<String> {
        let alike = |a: &Lacking, b: &Lacking| {
            (a.track, a.what, a.requests) == (b.track, b.what, b.requests)
        };
        let rest = self.lacking.chunk_by(alike).skip(MAX_MESSAGES).flatten().count();
        let rest = (rest > 0)
            .then(|| format!("And {rest} more: lacking in features of /admin/status lists them."));
        let groups = self.lacking.chunk_by(alike).take(MAX_MESSAGES);
        let of_groups = groups.filter_map(|group| {
            let first = group.first()?;
            let names = listed(group.iter().map(|one| one.feature.as_str()));
            let share = self.share(first.requests);
            let who = match first.track {
                Track::Canary => "The canary",
                Track::Stable => "Stable",
            };
            Some(match first.what {
                Lack::Value => format!("{who} misses {names} in {share}."),
                Lack::KnownWord => format!(
                    "{who} does not know the word sent as {names} in {share}; the other version does."
                ),
            })
        });
        self.fails().into_iter().chain(of_groups).chain(rest).chain(self.positions()).collect()
    }

    /// How many of the requests fail on the canary.
    pub(crate) fn fails(&self) -> Option<String> {
        let failing = self.lacking.iter().filter(|one| one.fails_on_canary);
        let most = failing.clone().map(|one| one.requests).max()?;
        let names = listed(failing.clone().map(|one| one.feature.as_str()));
        let share = self.share(most);
        // Requests that lack one feature need not be those that lack another.
        let share = match failing.count() > 1 && most < self.requests {
            true => format!("at least {share}"),
            false => share,
        };
        let share = capitalized(&share);
        Some(format!("{share} would fail on the canary: it has no answer without {names}."))
    }

    /// What a person has to know about positions before a promotion.
    pub(crate) fn positions(&self) -> Option<String> {
        (self.by_position > 0).then(|| {
            format!(
                "Values come by position in {}: once the canary is stable, they are read in its order; send names before \
                 the promotion.",
                self.share(self.by_position)
            )
        })
    }

    /// What a promotion means for the clients that sent these requests.
    pub(crate) fn of_promotion(&self) -> Option<String> {
        let misses = |one: &&Lacking| one.track == Track::Canary && one.what == Lack::Value;
        let missed: Vec<&Lacking> = self.lacking.iter().filter(misses).collect();
        let lacking = missed.first().map(|most| {
            let names = listed(missed.iter().map(|one| one.feature.as_str()));
            let share = self.share(most.requests);
            format!(
                "the new stable version missed {names} in {share}; it fails there if it has no answer for a missing value"
            )
        });
        let positions = (self.by_position > 0).then(|| {
            let share = self.share(self.by_position);
            format!("values came by position in {share}; they are read in its order now")
        });
        let all: Vec<String> = lacking.into_iter().chain(positions).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// `12.5 % of the last 812 requests`.
    fn share(&self, requests: u64) -> String {
        let share = numbers::share(requests as f64 / self.requests.max(1) as f64);
        let share = share.replace(".0 %", " %");
        match self.requests {
            1 => "the last request".to_owned(),
            all => format!("{share} of the last {}", count(all, "request")),
        }
    }
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_named_with_its_share() {
        let of = |name: &str| Counted::Feature(name.to_owned());
        let latest = Latest {
            requests: 812,
            by_position: 203,
            lacking: vec![
                (Track::Canary, Counted::Word("contract".to_owned()), 203),
                (Track::Canary, of("visits"), 812),
                (Track::Canary, of("ticks"), 812),
                (Track::Stable, of("age"), 1),
            ],
        };
        let status = FeaturesStatus::new(latest, None).unwrap();
        assert_eq!(
            status.messages,
            [
                "The canary misses `visits`, `ticks` in 100 % of the last 812 requests.",
                "The canary does not know the word sent as `contract` in 25 % of the last 812 requests; the other \
                 version does.",
                "Stable misses `age` in 0.1 % of the last 812 requests.",
                "Values come by position in 25 % of the last 812 requests: once the canary is stable, they are read in \
                 its order; send names before the promotion.",
            ]
        );
        assert_eq!(
            status.of_promotion().unwrap(),
            "the new stable version missed `visits`, `ticks` in 100 % of the last 812 requests; it fails \
             there if it has no answer for a missing value; values came by position in 25 % of the last 812 requests; they are read in its order now"
        );
        assert_eq!(FeaturesStatus::new(Latest { requests: 9, ..Latest::default() }, None), None);
    }

    #[test]
    fn tracks_are_not_mixed_and_what_is_not_said_is_counted() {
        let of = |name: &str| Counted::Feature(name.to_owned());
        let (canary, stable) = (Track::Canary, Track::Stable);
        let lacking = vec![
            (stable, of("a"), 9),
            (canary, of("b"), 9),
            (stable, of("c"), 9),
            (canary, of("d"), 9),
            (canary, of("e"), 8),
            (canary, of("f"), 7),
            (canary, of("g"), 6),
            (canary, of("h"), 6),
        ];
        let latest = Latest { requests: 10, by_position: 0, lacking };
        let messages = FeaturesStatus::new(latest, None).unwrap().messages;
        assert_eq!(
            messages,
            [
                "The canary misses `b`, `d` in 90 % of the last 10 requests.",
                "Stable misses `a`, `c` in 90 % of the last 10 requests.",
                "The canary misses `e` in 80 % of the last 10 requests.",
                "The canary misses `f` in 70 % of the last 10 requests.",
                "And 2 more: lacking in features of /admin/status lists them.",
            ]
        );
    }
}
