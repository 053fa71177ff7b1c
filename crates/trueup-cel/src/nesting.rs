//! How deep an expression would be, found before it is parsed.
//!
//! Parsing, checking and evaluating go down the tree by calling themselves. The parser bounds nested expressions, but not
//! chains (`a.b.c.d`, `1+1+1`), each link of which is a level as well.

/// As in the reference implementation, where an expression that is deeper is refused in the same words.
pub(crate) const N_LEVELS_MAX: usize = 250;
/// In characters, as in the reference implementation.
pub(crate) const N_CHARACTERS_MAX: usize = 100_000;

/// What one pair of brackets holds, as far as it was read.
#[derive(Default)]
struct Level {
    /// Links of the chain that is being read.
    n_links: usize,
    /// Conditionals, each of which holds the next.
    n_conditionals: usize,
}

/// The deepest place of an expression, at most.
pub(crate) fn depth(source: &str) -> usize {
    let bytes = source.as_bytes();
    let mut levels = vec![Level::default()];
    let (mut deepest, mut total, mut at) = (0_usize, 0_usize, 0_usize);
    while let Some(byte) = bytes.get(at) {
        let next = bytes.get(at + 1).copied();
        let mut step = 1;
        let is_inside = levels.len() > 1;
        let Some(level) = levels.last_mut() else { break };
        match byte {
            b'"' | b'\'' => step = literal_end(bytes, at) - at,
            b'/' if next == Some(b'/') => {
                step = bytes[at..].iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len() - at);
            }
            b'(' | b'[' | b'{' => {
                level.n_links += 1;
                total += 2;
                levels.push(Level::default());
            }
            b')' | b']' | b'}' if is_inside => {
                let closed = levels.pop().unwrap_or_default();
                total = total.saturating_sub(closed.n_links + closed.n_conditionals + 1);
            }
            b',' => {
                total = total.saturating_sub(level.n_links + level.n_conditionals);
                *level = Level::default();
            }
            b'&' | b'|' | b':' => {
                total = total.saturating_sub(level.n_links);
                level.n_links = 0;
            }
            b'?' => {
                total = total.saturating_sub(level.n_links) + 1;
                level.n_links = 0;
                level.n_conditionals += 1;
            }
            b'.' | b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' | b'!' => {
                level.n_links += 1;
                total += 1;
                if next == Some(b'=') {
                    step = 2;
                }
            }
            b'i' if is_in(bytes, at) => {
                level.n_links += 1;
                total += 1;
                step = 2;
            }
            _ => {}
        }
        deepest = deepest.max(total);
        at += step;
    }
    deepest
}

/// Whether the operator `in` stands here.
fn is_in(bytes: &[u8], at: usize) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    bytes.get(at + 1) == Some(&b'n')
        && !is_word(bytes.get(at + 2))
        && (at == 0 || !is_word(bytes.get(at - 1)))
}

/// Where the text ends that begins here. One that does not end is read to the end, and refused by the parser.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let quote = bytes[at];
    let is_raw = at > 0
        && (matches!(bytes[at - 1], b'r' | b'R')
            || (at > 1 && matches!(bytes[at - 1], b'b' | b'B') && matches!(bytes[at - 2], b'r' | b'R')));
    let is_triple = bytes.get(at + 1) == Some(&quote) && bytes.get(at + 2) == Some(&quote);
    let mut end = at + if is_triple { 3 } else { 1 };
    while let Some(byte) = bytes.get(end) {
        if *byte == b'\\' && !is_raw {
            end += 2;
        } else if *byte == quote && !is_triple {
            return end + 1;
        } else if *byte == quote && bytes[end..].starts_with(&[quote; 3]) {
            return end + 3;
        } else if *byte == b'\n' && !is_triple {
            return end;
        } else {
            end += 1;
        }
    }
    bytes.len()
}
