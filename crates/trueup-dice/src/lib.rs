//! Random choices that are the same at every run: for generated data, tests, and the ids that the sandbox makes up.
//!
//! Recorded seeds, measured figures and budgets rely on the sequences, so they never change.

/// A seeded source of choices. SplitMix64: short, and good enough to choose with; nothing secret may come from it.
#[derive(Debug, Clone)]
pub struct Dice {
    state: u64,
}

impl Dice {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The dice of one case of a run: it does not depend on the cases before.
    #[must_use]
    pub fn of(seed: u64, index: usize) -> Self {
        let mut dice = Self::new(seed ^ (index as u64).wrapping_mul(0xd1b5_4a32_d192_ed03));
        // Without it neighbouring cases would begin alike.
        dice.roll();
        dice
    }

    /// The next number of the sequence.
    pub fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 below nothing.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % limit.max(1) as u64).unwrap_or_default()
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    /// One of these, of which there must be some.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// As many of the items as are wanted, in an order of its own.
    pub fn some<T>(&mut self, mut of: Vec<T>, wanted: usize) -> Vec<T> {
        let mut chosen = Vec::new();
        while chosen.len() < wanted && !of.is_empty() {
            let index = self.below(of.len());
            chosen.push(of.swap_remove(index));
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequences_are_those_of_splitmix64() {
        // The reference implementation's first numbers for this seed.
        let mut dice = Dice::new(1_234_567);
        let rolls = [0; 3].map(|_| dice.roll());
        assert_eq!(rolls, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn the_same_case_has_the_same_dice() {
        let rolls = |seed, case| {
            let mut dice = Dice::of(seed, case);
            (0..20).map(|_| dice.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(rolls(1, 2), rolls(1, 2));
        assert_ne!(rolls(1, 2), rolls(1, 3));
        assert_ne!(rolls(1, 2), rolls(2, 2));
    }

    #[test]
    fn choices_stay_within_what_there_is() {
        let mut dice = Dice::new(3);
        assert_eq!(dice.below(0), 0);
        assert!((0..100).all(|_| dice.below(7) < 7));
        assert!((0..100).all(|_| dice.percent(100) && !dice.percent(0)));
        assert!((0..100).all(|_| [1, 2, 3].contains(dice.one(&[1, 2, 3]))));
        let mut some = dice.some((0..50).collect(), 20);
        some.sort_unstable();
        some.dedup();
        assert_eq!(some.len(), 20);
        assert_eq!(dice.some(vec![1], 9), [1]);
    }
}
