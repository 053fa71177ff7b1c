//! Names and numbers that the server makes up, all from the fresh uid of the request: the same seed gives the same world.

use sha2::{Digest, Sha256};

/// The letters of generated names: no vowels, so that no words appear.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Generated names are at most this long before the suffix, as the server cuts them.
const PREFIX_LENGTH_MAX: usize = 58;

/// Random-looking letters that depend on the text alone.
pub fn suffix(seed: &str, length: usize) -> String {
    let digest = Sha256::digest(seed.as_bytes());
    digest.iter().take(length).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}

/// `metadata.name` from `metadata.generateName`.
pub fn generated_name(prefix: &str, uid: &str) -> String {
    let cut = prefix.char_indices().nth(PREFIX_LENGTH_MAX).map_or(prefix, |(at, _)| &prefix[..at]);
    format!("{cut}{}", suffix(uid, 5))
}

/// Another uid, which a kind takes for its name where nobody gives one.
pub fn other_uid(uid: &str) -> String {
    let digits: String =
        Sha256::digest(uid.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

/// A number below `limit` that depends on the text alone.
pub fn number(seed: &str, limit: u32) -> u32 {
    let digest = Sha256::digest(seed.as_bytes());
    let wide = digest.iter().take(8).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    u32::try_from(wide % u64::from(limit.max(1))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_depend_on_the_seed_alone() {
        assert_eq!(suffix("a", 5), suffix("a", 5));
        assert_ne!(suffix("a", 5), suffix("b", 5));
        assert_eq!(suffix("a", 5).len(), 5);
        assert!(generated_name("job-", "uid").starts_with("job-"));
    }

    #[test]
    fn numbers_stay_below_the_limit() {
        assert!((0..100).all(|seed| number(&seed.to_string(), 7) < 7));
        assert_eq!(number("x", 0), 0);
    }
}
