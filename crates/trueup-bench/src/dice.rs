//! Random choices that are the same at every run.

/// SplitMix64: short, and good enough to choose with.
pub struct Dice {
    state: u64,
}

impl Dice {
    /// The dice of one object of a run: it does not depend on the objects before.
    pub fn of_object(seed: u64, index: usize) -> Self {
        let mut dice = Self { state: seed ^ (index as u64).wrapping_mul(0xd1b5_4a32_d192_ed03) };
        dice.roll();
        dice
    }

    pub fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % limit as u64).unwrap_or_default()
    }

    /// Words as configuration has them, of so many bytes or a few more.
    pub fn words(&mut self, bytes: usize) -> String {
        const WORDS: [&str; 16] = [
            "timeout", "server", "cache", "limit", "true", "upstream", "retry", "window", "shop", "pool",
            "false", "address", "queue", "region", "token", "batch",
        ];
        let mut text = String::new();
        while text.len() < bytes {
            text.push_str(WORDS[self.below(WORDS.len())]);
            text.push('=');
            text.push_str(&self.below(10_000).to_string());
            text.push(' ');
        }
        text
    }
}
