//! Lua's patterns, matched in steps that are counted.
//!
//! Matching in the interpreter's own library is one step of it, however long it takes, and a pattern of five `.-` takes
//! longer than anybody waits. The matcher is that of the reference implementation, with a charge for each step.

use crate::state::Run;

/// Captures of one pattern.
const CAPTURES_MAX: usize = 32;

/// Parts of a pattern that are matched within each other.
const DEPTH_MAX: usize = 200;

/// Steps are charged in such portions.
const PORTION: i64 = 256;

/// What one capture holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Capture {
    /// Its end has not been met.
    Open(usize),
    /// Only where it is: from 0.
    Position(usize),
    /// From, and how long.
    Text(usize, usize),
}

/// One attempt after the other to match a pattern.
pub(crate) struct Matcher<'a> {
    subject: &'a [u8],
    pattern: &'a [u8],
    captures: Vec<Capture>,
    depth: usize,
    steps: i64,
    run: &'a Run,
}

fn wrong(message: &str) -> mlua::Error {
    mlua::Error::runtime(message)
}

impl<'a> Matcher<'a> {
    /// Without the anchor, which is the caller's.
    pub(crate) fn new(subject: &'a [u8], pattern: &'a [u8], run: &'a Run) -> Self {
        Self { subject, pattern, captures: Vec::new(), depth: 0, steps: 0, run }
    }

    /// Where a match that begins here ends.
    pub(crate) fn at(&mut self, start: usize) -> mlua::Result<Option<usize>> {
        self.captures.clear();
        self.depth = 0;
        self.matches(start, 0)
    }

    /// The captures of the last match; the whole match where the pattern has none.
    pub(crate) fn captured(&self, start: usize, end: usize) -> mlua::Result<Vec<Capture>> {
        if self.captures.is_empty() {
            return Ok(vec![Capture::Text(start, end - start)]);
        }
        if self.captures.iter().any(|capture| matches!(capture, Capture::Open(_))) {
            return Err(wrong("unfinished capture"));
        }
        Ok(self.captures.clone())
    }

    /// Whether the pattern has captures of its own.
    pub(crate) fn has_captures(&self) -> bool {
        !self.captures.is_empty()
    }

    fn step(&mut self) -> mlua::Result<()> {
        self.steps += 1;
        if self.steps >= PORTION {
            self.steps = 0;
            self.run.charge(PORTION)?;
        }
        Ok(())
    }

    fn matches(&mut self, s: usize, p: usize) -> mlua::Result<Option<usize>> {
        if self.depth >= DEPTH_MAX {
            return Err(wrong("pattern too complex"));
        }
        self.depth += 1;
        let end = self.sequence(s, p);
        self.depth -= 1;
        end
    }

    fn sequence(&mut self, mut s: usize, mut p: usize) -> mlua::Result<Option<usize>> {
        loop {
            self.step()?;
            match (self.pattern.get(p), self.pattern.get(p + 1)) {
                (None, _) => return Ok(Some(s)),
                (Some(b'('), Some(b')')) => return self.open(Capture::Position(s), s, p + 2),
                (Some(b'('), _) => return self.open(Capture::Open(s), s, p + 1),
                (Some(b')'), _) => return self.close(s, p + 1),
                (Some(b'$'), None) => return Ok((s == self.subject.len()).then_some(s)),
                (Some(b'%'), Some(b'b')) => match self.balanced(s, p + 2)? {
                    Some(end) => (s, p) = (end, p + 4),
                    None => return Ok(None),
                },
                (Some(b'%'), Some(b'f')) => match self.frontier(s, p + 2)? {
                    Some(next) => p = next,
                    None => return Ok(None),
                },
                (Some(b'%'), Some(digit)) if digit.is_ascii_digit() => match self.repeated(s, *digit)? {
                    Some(end) => (s, p) = (end, p + 2),
                    None => return Ok(None),
                },
                (Some(_), _) => {
                    let end = self.class_end(p)?;
                    let fits = self.single(s, p, end);
                    match self.pattern.get(end) {
                        Some(b'?') => {
                            if fits && let Some(end) = self.matches(s + 1, end + 1)? {
                                return Ok(Some(end));
                            }
                            p = end + 1;
                        }
                        Some(b'*') => return self.longest(s, p, end),
                        Some(b'+') => return if fits { self.longest(s + 1, p, end) } else { Ok(None) },
                        Some(b'-') => return self.shortest(s, p, end),
                        Some(_) | None if fits => (s, p) = (s + 1, end),
                        Some(_) | None => return Ok(None),
                    }
                }
            }
        }
    }

    fn longest(&mut self, s: usize, p: usize, end: usize) -> mlua::Result<Option<usize>> {
        let mut count = 0;
        while self.single(s + count, p, end) {
            self.step()?;
            count += 1;
        }
        loop {
            if let Some(found) = self.matches(s + count, end + 1)? {
                return Ok(Some(found));
            }
            if count == 0 {
                return Ok(None);
            }
            count -= 1;
        }
    }

    fn shortest(&mut self, mut s: usize, p: usize, end: usize) -> mlua::Result<Option<usize>> {
        loop {
            if let Some(found) = self.matches(s, end + 1)? {
                return Ok(Some(found));
            }
            if !self.single(s, p, end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn open(&mut self, capture: Capture, s: usize, p: usize) -> mlua::Result<Option<usize>> {
        if self.captures.len() >= CAPTURES_MAX {
            return Err(wrong("too many captures"));
        }
        self.captures.push(capture);
        let found = self.matches(s, p)?;
        if found.is_none() {
            self.captures.pop();
        }
        Ok(found)
    }

    fn close(&mut self, s: usize, p: usize) -> mlua::Result<Option<usize>> {
        let last = self.captures.iter().rposition(|capture| matches!(capture, Capture::Open(_)));
        let Some((index, Capture::Open(from))) =
            last.and_then(|at| self.captures.get(at).map(|it| (at, *it)))
        else {
            return Err(wrong("invalid pattern capture"));
        };
        self.captures[index] = Capture::Text(from, s - from);
        let found = self.matches(s, p)?;
        if found.is_none() {
            self.captures[index] = Capture::Open(from);
        }
        Ok(found)
    }

    /// `%bxy`
    fn balanced(&mut self, s: usize, p: usize) -> mlua::Result<Option<usize>> {
        let (Some(open), Some(close)) = (self.pattern.get(p), self.pattern.get(p + 1)) else {
            return Err(wrong("unbalanced pattern"));
        };
        let (open, close) = (*open, *close);
        if self.subject.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut level = 1;
        for at in s + 1..self.subject.len() {
            self.step()?;
            let byte = self.subject[at];
            if byte == close {
                level -= 1;
                if level == 0 {
                    return Ok(Some(at + 1));
                }
            } else if byte == open {
                level += 1;
            }
        }
        Ok(None)
    }

    /// `%f[set]`: gives where the pattern goes on.
    fn frontier(&mut self, s: usize, p: usize) -> mlua::Result<Option<usize>> {
        if self.pattern.get(p) != Some(&b'[') {
            return Err(wrong("missing '[' after '%f' in pattern"));
        }
        let end = self.class_end(p)?;
        let before = s.checked_sub(1).and_then(|at| self.subject.get(at)).copied().unwrap_or_default();
        let here = self.subject.get(s).copied().unwrap_or_default();
        Ok((!self.in_set(before, p, end - 1) && self.in_set(here, p, end - 1)).then_some(end))
    }

    /// `%1`
    fn repeated(&mut self, s: usize, digit: u8) -> mlua::Result<Option<usize>> {
        let index = usize::from(digit).checked_sub(usize::from(b'1'));
        let Some(Capture::Text(from, length)) = index.and_then(|index| self.captures.get(index)).copied()
        else {
            return Err(wrong("invalid capture index"));
        };
        let end = s + length;
        Ok((self.subject.get(s..end) == self.subject.get(from..from + length)).then_some(end))
    }

    /// The end of the class that begins here.
    fn class_end(&self, p: usize) -> mlua::Result<usize> {
        match self.pattern.get(p) {
            Some(b'%') if p + 1 >= self.pattern.len() => Err(wrong("malformed pattern (ends with '%')")),
            Some(b'%') => Ok(p + 2),
            Some(b'[') => {
                let mut at = p + 1;
                if self.pattern.get(at) == Some(&b'^') {
                    at += 1;
                }
                loop {
                    match self.pattern.get(at) {
                        None => return Err(wrong("malformed pattern (missing ']')")),
                        Some(b'%') => at += 2,
                        Some(_) => at += 1,
                    }
                    if self.pattern.get(at) == Some(&b']') {
                        return Ok(at + 1);
                    }
                }
            }
            Some(_) | None => Ok(p + 1),
        }
    }

    /// Whether the byte here is of the class.
    fn single(&self, s: usize, p: usize, end: usize) -> bool {
        let Some(byte) = self.subject.get(s).copied() else { return false };
        match self.pattern.get(p) {
            Some(b'.') => true,
            Some(b'%') => self.pattern.get(p + 1).is_some_and(|class| in_class(byte, *class)),
            Some(b'[') => self.in_set(byte, p, end - 1),
            Some(literal) => *literal == byte,
            None => false,
        }
    }

    /// Whether a byte is in the set between its brackets.
    fn in_set(&self, byte: u8, p: usize, close: usize) -> bool {
        let mut inside = self.pattern.get(p + 1..close).unwrap_or_default();
        let is_negated = inside.first() == Some(&b'^');
        if is_negated {
            inside = &inside[1..];
        }
        let found = loop {
            inside = match inside {
                [] => break false,
                [b'%', class, ..] if in_class(byte, *class) => break true,
                [b'%', _, rest @ ..] => rest,
                [low, b'-', high, rest @ ..] => {
                    if (*low..=*high).contains(&byte) {
                        break true;
                    }
                    rest
                }
                [one, ..] if *one == byte => break true,
                [_, rest @ ..] => rest,
            };
        };
        found != is_negated
    }
}

/// Whether a byte is of a class by its letter; a capital letter turns it around.
fn in_class(byte: u8, class: u8) -> bool {
    let found = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => byte.is_ascii_whitespace() || byte == 0x0b,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    found != class.is_ascii_uppercase()
}
