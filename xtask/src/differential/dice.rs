//! Random choices that are the same at every run.

/// SplitMix64: short, and good enough to choose with.
pub struct Dice {
    state: u64,
}

impl Dice {
    /// The dice of one case of a run: it does not depend on the cases before.
    pub fn of_case(seed: u64, case: usize) -> Self {
        let mut dice = Self { state: seed ^ (case as u64).wrapping_mul(0xd1b5_4a32_d192_ed03) };
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or_default()
    }

    pub fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    /// One of these, of which there must be some.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_case_has_the_same_dice() {
        let rolls = |seed, case| {
            let mut dice = Dice::of_case(seed, case);
            (0..20).map(|_| dice.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(rolls(1, 2), rolls(1, 2));
        assert_ne!(rolls(1, 2), rolls(1, 3));
        assert_ne!(rolls(1, 2), rolls(2, 2));
    }
}
