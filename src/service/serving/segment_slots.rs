//! Segments of a request, found without a lock.
//!
//! A segment has a *place*, a small number, during a rollout: the values of a key in the order of their
//! declaration or appearance, then all others. A request finds its places by comparing a few words; only the
//! first request of a new value writes.

use std::borrow::Cow;
use std::sync::OnceLock;

use crate::canary::JudgePolicy;
use crate::canary::policy::metric::Source;
use crate::canary::policy::segments::Key;
use crate::canary::policy::segments::MAX_KEYS;
use crate::canary::policy::segments::SegmentName;
use crate::canary::policy::segments::Values;
use crate::canary::policy::segments::Word;

/// The segments that a request names: keys with values.
pub type Named<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The segments of one rollout. Shared by its steps.
#[derive(Debug, Default)]
pub struct Places {
    keys: Vec<KeyPlaces>,
    /// Whether scores are judged by segment, or only latency and failures.
    pub(crate) scores: bool,
}

#[derive(Debug)]
struct KeyPlaces {
    name: Word,
    /// The place of its first value; all others share the place after the last one.
    first: usize,
    /// Filled from the front. Read by every request that names the key, written once for each value.
    values: Box<[OnceLock<Word>]>,
}

/// The places of one request; at most one for each key.
#[derive(Clone, Copy, Debug, Default)]
pub struct InSegments {
    places: [u8; MAX_KEYS],
    count: u8,
}

impl Places {
    /// The places of a rollout that is judged by this policy.
    pub fn of(policy: &JudgePolicy) -> Places {
        let mut first = 0;
        let key = |key: &Key| {
            let places = KeyPlaces { name: key.name.clone(), first, values: values(key) };
            first += key.segments();
            places
        };
        let keys = policy.segments.keys.iter().map(key).collect();
        let scores = policy.by_segment().any(|metric| metric.source == Source::Score);
        Places { keys, scores }
    }

    /// The places of a request with these segments, without keys that the rollout does not know.
    pub fn find(&self, named: &Named<'_>) -> InSegments {
        let mut found = InSegments::default();
        for (name, value) in named {
            let key = self.keys.iter().find(|key| key.name.as_str() == name);
            if let Some(place) = key.map(|key| key.place(value)) {
                found.add(place);
            }
        }
        found
    }

    /// The segment at a place; `None` if there is none.
    pub fn name(&self, place: usize) -> Option<SegmentName> {
        let key = self.keys.iter().rev().find(|key| key.first <= place)?;
        let value = match key.values.get(place - key.first) {
            Some(value) => value.get()?.clone(),
            None => Word::other(),
        };
        Some(SegmentName { key: key.name.clone(), value })
    }

    /// Gives these segments their places, so that counts continue after a restart.
    pub fn learn<'a>(&self, names: impl IntoIterator<Item = &'a SegmentName>) {
        for SegmentName { key, value } in names {
            if let Some(key) = self.keys.iter().find(|one| one.name == *key) {
                key.place(value.as_str());
            }
        }
    }
}

impl KeyPlaces {
    fn place(&self, value: &str) -> usize {
        let others = self.first + self.values.len();
        if value == Word::other().as_str() {
            return others;
        }
        for (n, slot) in self.values.iter().enumerate() {
            let word = match slot.get() {
                Some(word) => word,
                None => match Word::new(value) {
                    // Of two concurrent writers, one waits for the other and reads its value.
                    Ok(word) => slot.get_or_init(|| word),
                    Err(_) => return others,
                },
            };
            if word.as_str() == value {
                return self.first + n;
            }
        }
        others
    }
}

fn values(key: &Key) -> Box<[OnceLock<Word>]> {
    match &key.values {
        Values::Listed(words) => words.iter().map(|word| OnceLock::from(word.clone())).collect(),
        Values::First(most) => (0..*most).map(|_| OnceLock::new()).collect(),
    }
}

impl InSegments {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The places.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.places.iter().take(usize::from(self.count)).map(|place| usize::from(*place))
    }

    fn add(&mut self, place: usize) {
        if let (Some(slot), Ok(place)) =
            (self.places.get_mut(usize::from(self.count)), u8::try_from(place))
        {
            (*slot, self.count) = (place, self.count + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::policy::segments::SegmentHarm;
    use crate::canary::policy::segments::Segments;

    fn places(toml: &str) -> Places {
        let segments = Segments::new(&toml::from_str(toml).unwrap(), SegmentHarm::Hold).unwrap();
        Places::of(&JudgePolicy { segments, ..JudgePolicy::default() })
    }

    fn found(places: &Places, named: &[(&str, &str)]) -> Vec<String> {
        let named = named.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let found = places.find(&named);
        found.iter().map(|place| places.name(place).unwrap().to_string()).collect()
    }

    #[test]
    fn declared_values_have_a_place_and_all_others_share_one() {
        let places = places("device = { max = 2 }\nregion = ['north', 'south']");
        for (named, expected) in [
            (&[][..], &[][..]),
            (&[("region", "south")], &["region=south"]),
            (&[("region", "moon")], &["region=other"]),
            (&[("device", "tv"), ("region", "north")], &["device=tv", "region=north"]),
            (&[("device", "phone")], &["device=phone"]),
            (&[("device", "car")], &["device=other"]),
            (&[("device", "other")], &["device=other"]),
            (&[("device", "tv")], &["device=tv"]),
            (&[("color", "red")], &[]),
        ] {
            assert_eq!(found(&places, named), expected, "{named:?}");
        }
    }

    #[test]
    fn places_survive_a_restart() {
        let before = places("device = { max = 2 }");
        found(&before, &[("device", "tv")]);
        found(&before, &[("device", "phone")]);
        let after = places("device = { max = 2 }");
        let names: Vec<SegmentName> = (0..3).filter_map(|place| before.name(place)).collect();
        after.learn(&names);
        assert_eq!(found(&after, &[("device", "car")]), ["device=other"]);
        assert_eq!(found(&after, &[("device", "tv")]), ["device=tv"]);
    }

    #[test]
    fn threads_that_add_values_concurrently_agree_on_the_places() {
        let places = places("device = { max = 4 }");
        std::thread::scope(|scope| {
            for thread in 0..8_usize {
                let places = &places;
                scope.spawn(move || {
                    for n in 0..1000 {
                        let value = format!("d{}", (n + thread) % 6);
                        let named = found(places, &[("device", &value)]);
                        let own = format!("device={value}");
                        assert!(named == ["device=other"] || named == [own], "{named:?}");
                    }
                });
            }
        });
        let names: Vec<SegmentName> = (0..9).filter_map(|place| places.name(place)).collect();
        let mut values: Vec<&str> = names.iter().take(4).map(|one| one.value.as_str()).collect();
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), 4);
    }
}
