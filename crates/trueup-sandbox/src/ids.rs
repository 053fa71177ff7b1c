//! Names and ids that the server makes up: uids and the suffixes of `generateName`, all from one seed.

use std::sync::Mutex;
use std::sync::PoisonError;

use trueup_dice::Dice;
use trueup_object::value::Text;

/// The letters of generated names: no vowels and no digits that look like letters, as in Kubernetes.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// How many letters a generated suffix has.
const SUFFIX_LETTERS: usize = 5;

/// A seeded source of ids. Two sources with the same seed give the same sequence.
#[derive(Debug)]
pub struct IdSource {
    dice: Mutex<Dice>,
}

impl IdSource {
    pub fn new(seed: u64) -> Self {
        Self { dice: Mutex::new(Dice::new(seed)) }
    }

    /// The next number of the sequence.
    pub fn next_u64(&self) -> u64 {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).roll()
    }

    /// A fresh uid, in the form of a random UUID.
    pub fn uid(&self) -> Text {
        let high = self.next_u64();
        let low = self.next_u64();
        let version = (high & 0xffff_ffff_ffff_0fff) | 0x4000;
        let variant = (low & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
        Text::from(format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            version >> 32,
            (version >> 16) & 0xffff,
            version & 0xffff,
            variant >> 48,
            variant & 0xffff_ffff_ffff
        ))
    }

    /// A suffix for `generateName`.
    pub fn suffix(&self) -> Text {
        let mut bits = self.next_u64();
        let n_letters = ALPHABET.len() as u64;
        (0..SUFFIX_LETTERS)
            .map(|_| {
                let index = usize::try_from(bits % n_letters).unwrap_or_default();
                bits /= n_letters;
                ALPHABET.get(index).copied().map_or('x', char::from)
            })
            .collect()
    }

    /// True with the given probability (0 to 1).
    pub fn chance(&self, share: f64) -> bool {
        // 53 bits are what a float holds exactly.
        let unit = (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        unit < share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let (left, right) = (IdSource::new(7), IdSource::new(7));
        assert_eq!((left.uid(), left.suffix()), (right.uid(), right.suffix()));
        assert_ne!(left.uid(), IdSource::new(8).uid());
    }

    #[test]
    fn uids_have_the_form_of_random_uuids() {
        let uid = IdSource::new(1).uid();
        let parts: Vec<&str> = uid.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(parts[2].starts_with('4'));
        assert!(parts[3].starts_with(['8', '9', 'a', 'b']));
    }

    #[test]
    fn chance_follows_its_share() {
        let ids = IdSource::new(3);
        assert!(!(0..100).any(|_| ids.chance(0.0)));
        assert!((0..100).all(|_| ids.chance(1.0)));
        let hits = (0..1000).filter(|_| ids.chance(0.5)).count();
        assert!((400..600).contains(&hits), "{hits}");
    }
}
