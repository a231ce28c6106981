//! Joint schema: what a request may contain while two versions answer, so that it is accepted or refused whichever
//! version answers it.
//!
//! A row has stable's features in their order, and then those that only the other version takes, up to the last one
//! that was sent: thousands of added features cost nothing in requests without them. A [`Selection`] takes a version's
//! own row from it. Values by position are those of stable.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::Feature;
use super::FeatureKind;
use super::Schema;
use super::error::SchemaConflict;
use super::features::Features;
use super::features::Known;
use super::features::Value;
use super::missing::Missing;
use super::row::Row;
use super::row::RowError;
use super::row::settle;
use super::row::wrong_count;
use crate::text::lists::listed;
use crate::text::lists::quoted;

/// What requests may contain.
#[derive(Clone, Debug)]
pub struct Joint {
    /// Stable's features, and those that only the other version takes.
    schema: Schema,
    /// How many are stable's.
    own: usize,
    /// The other version's markers of missing values, for the rest.
    missing: Missing,
    /// The places of features that a request may lack, ascending.
    optional: Vec<usize>,
    /// Further names that a request may have.
    ignored: BTreeSet<String>,
    /// Words that only one version knows.
    words: Vec<Words>,
}

/// The words of a feature that only one of two versions knows, sorted.
#[derive(Clone, Debug)]
struct Words {
    place: usize,
    only_stable: Vec<String>,
    only_other: Vec<String>,
}

/// Something that is counted in requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap<'s> {
    /// A request lacks this feature, or has no value of its kind.
    Absent(&'s str),
    /// A request has a word of this feature that stable does not know, and the other version does.
    UnknownToStable(&'s str),
    /// A request has a word of this feature that the other version does not know, and stable does.
    UnknownToOther(&'s str),
}

/// What was found in the rows of a request.
#[derive(Debug, Default)]
pub struct Seen {
    /// Whether a row has its values by position.
    pub by_position: bool,
    /// By gap, in the order of [`Joint::gaps`]; empty if there is none.
    pub gaps: Vec<bool>,
}

/// Maximum size of the names that only one of two versions takes: they are part of the journal.
const MAX_NAME_BYTES: usize = 1 << 20;

impl Joint {
    /// What requests may contain while stable answers alone, or with another version. They may lack the features of
    /// stable that are named as optional, and have those that are named as ignored.
    pub fn new(
        stable: &Schema,
        other: Option<&Schema>,
        optional: &BTreeSet<String>,
        ignored: &BTreeSet<String>,
    ) -> Joint {
        let more = other.into_iter().flat_map(|other| other.not_in(stable).cloned());
        let schema = stable.followed_by(more);
        let own = stable.features().len();
        let is_optional =
            |place: &usize| *place >= own || optional.contains(&schema.features()[*place].name);
        Joint {
            own,
            missing: other.map_or_else(Missing::default, |other| other.missing().clone()),
            optional: (0..schema.features().len()).filter(is_optional).collect(),
            ignored: ignored.clone(),
            words: other.map_or_else(Vec::new, |other| words(stable, other)),
            schema,
        }
    }

    /// The features that a row has, in order.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Whether a request may have this feature.
    pub fn accepts(&self, name: &str) -> bool {
        self.schema.feature(name).is_some() || self.ignored.contains(name)
    }

    /// The features that a row may have, for reading it.
    pub(crate) fn known(&self) -> Known<'_> {
        Known { schema: &self.schema, optional: &self.optional, ignored: &self.ignored }
    }

    /// Everything that is counted.
    pub fn gaps(&self) -> impl Iterator<Item = Gap<'_>> {
        let name = |place: usize| self.schema.features()[place].name.as_str();
        let absent = self.optional.iter().map(move |place| Gap::Absent(name(*place)));
        let words = self.words.iter().flat_map(move |words| {
            let name = name(words.place);
            [Gap::UnknownToOther(name), Gap::UnknownToStable(name)]
        });
        absent.chain(words)
    }

    fn count(&self) -> usize {
        self.optional.len() + 2 * self.words.len()
    }

    /// Checks a client's values and puts them into the order of the joint schema.
    ///
    /// # Errors
    ///
    /// As [`Schema::row`].
    pub fn row<'a>(&self, features: Features<'a>, seen: &mut Seen) -> Result<Row<'a>, RowError> {
        let mut values = match features {
            Features::Ordered(values) if values.len() == self.own => {
                seen.by_position = true;
                let others = self.optional.partition_point(|place| *place < self.own);
                (others..self.optional.len()).for_each(|gap| self.mark(seen, gap));
                values
            }
            Features::Ordered(values) => {
                let own = self.schema.features().get(..self.own).unwrap_or_default();
                return Err(wrong_count(values.len(), own));
            }
            Features::Named(pairs) => self.by_name(pairs, seen)?,
        };
        for (place, (feature, value)) in self.schema.features().iter().zip(&mut values).enumerate()
        {
            let missing = if place < self.own { self.schema.missing() } else { &self.missing };
            if let Err(refusal) = settle(feature, missing, value) {
                // A request must not become an error because of a feature that it need not have.
                let gap = self.optional.binary_search(&place).map_err(|_| refusal)?;
                *value = Value::Missing;
                self.mark(seen, gap);
            }
        }
        for (number, words) in self.words.iter().enumerate() {
            let Value::Text(word) = &values[words.place] else { continue };
            let is_among =
                |words: &[String]| words.binary_search_by(|one| one.as_str().cmp(word)).is_ok();
            let first = self.optional.len() + 2 * number;
            if is_among(&words.only_stable) {
                self.mark(seen, first);
            } else if is_among(&words.only_other) {
                self.mark(seen, first + 1);
            }
        }
        Ok(Row { values })
    }

    fn by_name<'a>(
        &self,
        pairs: Vec<(Cow<'a, str>, Value<'a>)>,
        seen: &mut Seen,
    ) -> Result<Vec<Value<'a>>, RowError> {
        let mut slots = Vec::with_capacity(self.own);
        slots.resize(self.own, None);
        let may_lack = |place: usize| self.optional.binary_search(&place).is_ok();
        self.schema.fill(&mut slots, pairs, |name| self.ignored.contains(name), may_lack)?;
        for (gap, place) in self.optional.iter().enumerate() {
            match slots.get_mut(*place) {
                Some(Some(_)) => continue,
                Some(slot) => *slot = Some(Value::Missing),
                None => {}
            }
            self.mark(seen, gap);
        }
        if slots.iter().any(Option::is_none) {
            return Err(self.schema.absent(&slots));
        }
        // Each has a value, so that this needs no other memory.
        Ok(slots.into_iter().map(|slot| slot.unwrap_or(Value::Missing)).collect())
    }

    #[cold]
    fn mark(&self, seen: &mut Seen, gap: usize) {
        seen.gaps.resize(self.count(), false);
        seen.gaps[gap] = true;
    }
}

/// The words of each common feature that only one of both knows.
fn words(stable: &Schema, other: &Schema) -> Vec<Words> {
    let known = |kind: &FeatureKind| match kind {
        FeatureKind::Categorical { levels } => Some(levels.clone()),
        FeatureKind::Numeric { .. } | FeatureKind::Number => None,
    };
    let without = |ours: &[String], theirs: &[String]| -> Vec<String> {
        ours.iter().filter(|word| theirs.binary_search(word).is_err()).cloned().collect()
    };
    let of = |(place, feature): (usize, &Feature)| {
        let ours = known(&feature.kind)?;
        let theirs = known(&other.feature(&feature.name)?.kind)?;
        let only_stable = without(&ours, &theirs);
        let only_other = without(&theirs, &ours);
        let is_same = only_stable.is_empty() && only_other.is_empty();
        (!is_same).then_some(Words { place, only_stable, only_other })
    };
    stable.features().iter().enumerate().filter_map(of).collect()
}

/// The features in which another version differs from stable.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Those that only the other version takes.
    pub added: Vec<String>,
    /// Those that only stable takes.
    pub dropped: Vec<String>,
}

impl Difference {
    /// The features in which `other` differs from stable.
    ///
    /// # Errors
    ///
    /// When no request fits both, or the names are too large.
    pub fn between(stable: &Schema, other: &Schema) -> Result<Difference, SchemaConflict> {
        let conflicts = stable.features().iter().filter_map(|ours| {
            let theirs = other.feature(&ours.name)?;
            (ours.kind.is_numeric() != theirs.kind.is_numeric()).then_some((ours, theirs))
        });
        let conflicts: Vec<_> = conflicts.collect();
        if let [(ours, theirs), rest @ ..] = conflicts.as_slice() {
            let names = listed(rest.iter().map(|(ours, _)| ours.name.as_str()));
            return Err(SchemaConflict::Kind {
                name: quoted(&ours.name),
                ours: ours.kind.to_string(),
                theirs: theirs.kind.to_string(),
                more: if rest.is_empty() { names } else { format!(" (also {names})") },
            });
        }
        let names = |one: &Schema, other: &Schema| -> Vec<String> {
            one.not_in(other).map(|feature| feature.name.clone()).collect()
        };
        let (added, dropped) = (names(other, stable), names(stable, other));
        let bytes = added.iter().chain(&dropped).map(String::len).sum();
        match bytes > MAX_NAME_BYTES {
            true => Err(SchemaConflict::TooManyNames { bytes, most: MAX_NAME_BYTES }),
            false => Ok(Difference { added, dropped }),
        }
    }
}

/// Which values of a row a version takes, in its order.
#[derive(Clone, Debug)]
pub struct Selection {
    places: Vec<Option<usize>>,
    /// Whether these are the first values of the row.
    is_prefix: bool,
}

/// The most values that the rows of a request may lack, and that have to be made for a version: 96 MB.
pub const MAX_LACKING: usize = 4_000_000;

impl Selection {
    /// The selection of a version from rows of another schema. A feature of another kind is not taken.
    pub fn new(rows: &Schema, version: &Schema) -> Selection {
        let place = |(guess, feature): (usize, &Feature)| {
            let place = rows.position(&feature.name, guess)?;
            let is_same_kind =
                rows.features()[place].kind.is_numeric() == feature.kind.is_numeric();
            is_same_kind.then_some(place)
        };
        let places: Vec<_> = version.features().iter().enumerate().map(place).collect();
        let is_prefix = places.iter().enumerate().all(|(number, place)| *place == Some(number));
        Selection { places, is_prefix }
    }

    /// Whether the version takes these rows as they are.
    pub fn takes_whole(&self, rows: &[Row<'_>]) -> bool {
        self.is_prefix && rows.iter().all(|row| row.width() == self.places.len())
    }

    /// Whether the version takes more than these rows can be given.
    pub fn is_too_wide_for(&self, rows: &[Row<'_>]) -> bool {
        let lacking = rows.iter().map(|row| self.places.len().saturating_sub(row.width()));
        lacking.sum::<usize>() > MAX_LACKING
    }

    /// The row of the version. A feature that the row does not have is missing.
    pub fn of<'a>(&self, row: &Row<'a>) -> Row<'a> {
        let value = |place: &Option<usize>| {
            place.and_then(|place| row.values.get(place)).cloned().unwrap_or(Value::Missing)
        };
        Row { values: self.places.iter().map(value).collect() }
    }
}

#[cfg(test)]
#[path = "joint_tests.rs"]
mod tests;
