//! Keys seen before: each key is judged once, because it stays on its track.

use serde::Deserialize;
use serde::Serialize;

/// Number of slots; 32 kB.
const SLOTS: u64 = 1 << 18;

/// Which keys were observed, in constant memory.
///
/// A sticky key is randomized once, and all its later requests go to the same track. Betting on each
/// of them would count one user many times and raise false alarms (`make calibrate` shows how many).
/// So only the *first* request of a key is bet on; the others are recorded and reported. A set that is half full
/// gives way to an empty one, so a key that stays away for long is bet on once more.
///
/// A key is known by a slot of a hash that the split does not use. Two keys in one slot count as
/// one, which costs observations once there are a hundred thousand keys, and never validity: which
/// key comes first does not depend on its track.
///
/// ```
/// use serin::stats::sequential::SeenKeys;
///
/// let mut seen = SeenKeys::default();
/// assert!(seen.is_first(0x1234_5678_9abc_def0));
/// assert!(!seen.is_first(0x1234_5678_9abc_def0));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u64>", into = "Vec<u64>")]
pub struct SeenKeys(Vec<u64>);

impl SeenKeys {
    /// A set with this many seen slots gives way to an empty one, because every second new key already counts as
    /// seen. About 180,000 keys.
    pub const LIMIT: u64 = SLOTS / 2;

    /// Marks the slot of this hash as seen and returns whether it was new.
    pub fn is_first(&mut self, hash: u64) -> bool {
        let (word, mask) = SeenKeys::place(hash);
        let Some(word) = self.0.get_mut(word) else { return false };
        let first = *word & mask == 0;
        *word |= mask;
        first
    }

    /// The word and bit of a hash.
    pub fn place(hash: u64) -> (usize, u64) {
        let slot = hash % SLOTS;
        ((slot / 64) as usize, 1 << (slot % 64))
    }

    /// How many slots were seen: about the number of keys while they are few.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

impl Default for SeenKeys {
    fn default() -> Self {
        Self(vec![0; (SLOTS / 64) as usize])
    }
}

impl From<SeenKeys> for Vec<u64> {
    fn from(seen: SeenKeys) -> Self {
        seen.0
    }
}

/// A wrong number of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words} words of seen keys: expected {}; send them as they were serialized", SLOTS / 64)]
pub struct WordsMismatch {
    words: usize,
}

impl TryFrom<Vec<u64>> for SeenKeys {
    type Error = WordsMismatch;

    fn try_from(words: Vec<u64>) -> Result<Self, WordsMismatch> {
        if words.len() as u64 == SLOTS / 64 {
            Ok(Self(words))
        } else {
            Err(WordsMismatch { words: words.len() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_is_new_once_and_a_round_trip_remembers() {
        let mut seen = SeenKeys::default();
        let first = (0..3 * SLOTS).filter(|hash| seen.is_first(*hash)).count() as u64;
        assert_eq!((first, seen.count()), (SLOTS, SLOTS));
        let text = serde_json::to_string(&seen).unwrap();
        assert_eq!(serde_json::from_str::<SeenKeys>(&text).unwrap(), seen);
        assert!(
            serde_json::from_str::<SeenKeys>("[1,2]").unwrap_err().to_string().contains("4096")
        );
    }
}
