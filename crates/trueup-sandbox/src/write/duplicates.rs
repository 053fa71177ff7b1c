//! Keys that stand twice in one map of a JSON text: the last one counts, and strict validation tells of the others.

use trueup_object::Value;

/// A key that is already there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// `spec.ports[0].name`.
    pub path: String,
    pub key: String,
    /// Counted from one.
    pub line: usize,
}

/// Deeper maps are not looked into.
const DEPTH_MAX: usize = 200;

/// The keys that stand twice in a text, of which `read` was made. Nothing for what is no JSON.
pub fn duplicates(text: &[u8], read: &Value) -> Vec<Duplicate> {
    let starts = text.iter().find(|byte| !byte.is_ascii_whitespace());
    if !matches!(starts, Some(b'{' | b'[')) || n_colons(text) == n_entries(read) {
        return Vec::new();
    }
    let mut scanner = Scanner { text, at: 0, found: Vec::new() };
    // What is broken has no doubled keys to tell of.
    if scanner.value("", 0).is_none() { Vec::new() } else { scanner.found }
}

/// The colons outside of texts: one for every entry of a map.
fn n_colons(text: &[u8]) -> usize {
    let (mut inside, mut escaped, mut count) = (false, false, 0);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b':' if !inside => count += 1,
            _ => {}
        }
    }
    count
}

fn n_entries(value: &Value) -> usize {
    match value {
        Value::Map(map) => map.iter().map(|(_, inner)| 1 + n_entries(inner)).sum(),
        Value::List(items) => items.iter().map(n_entries).sum(),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => 0,
    }
}

struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    found: Vec<Duplicate>,
}

impl Scanner<'_> {
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at)?.is_ascii_whitespace() {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn value(&mut self, path: &str, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        match self.peek()? {
            b'{' => self.map(path, depth),
            b'[' => self.list(path, depth),
            b'"' => self.text().map(|_| ()),
            _ => {
                while self
                    .text
                    .get(self.at)
                    .is_some_and(|byte| !matches!(byte, b',' | b'}' | b']') && !byte.is_ascii_whitespace())
                {
                    self.at += 1;
                }
                Some(())
            }
        }
    }

    fn map(&mut self, path: &str, depth: usize) -> Option<()> {
        self.at += 1;
        let mut keys: Vec<String> = Vec::new();
        loop {
            match self.peek()? {
                b'}' => break,
                b',' => self.at += 1,
                b'"' => {
                    let start = self.at;
                    let key = self.text()?;
                    let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    if keys.contains(&key) {
                        let head = self.text.get(..start)?;
                        let line = head.iter().filter(|byte| **byte == b'\n').count() + 1;
                        self.found.push(Duplicate { path: below.clone(), key, line });
                    } else {
                        keys.push(key);
                    }
                    (self.peek()? == b':').then_some(())?;
                    self.at += 1;
                    self.value(&below, depth + 1)?;
                }
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    fn list(&mut self, path: &str, depth: usize) -> Option<()> {
        self.at += 1;
        let mut index = 0;
        loop {
            match self.peek()? {
                b']' => break,
                b',' => {
                    self.at += 1;
                    index += 1;
                }
                _ => self.value(&format!("{path}[{index}]"), depth + 1)?,
            }
        }
        self.at += 1;
        Some(())
    }

    fn text(&mut self) -> Option<String> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.text.get(self.at)? {
                b'\\' => self.at += 2,
                b'"' => break,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        let quoted = Value::from_json(self.text.get(start..self.at)?).ok()?;
        quoted.as_str().map(str::to_owned)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<(String, usize)> {
        let read = Value::from_json(text.as_bytes()).unwrap();
        duplicates(text.as_bytes(), &read).into_iter().map(|found| (found.path, found.line)).collect()
    }

    #[test]
    fn doubled_keys_are_found_with_their_paths() {
        assert_eq!(paths(r#"{"a":{"b:":1},"c":[{"d":"\":"}]}"#), []);
        assert_eq!(
            paths("{\"a\":[{},{\"b\":1,\n\"b\":2}],\"a\":3}"),
            [("a[1].b".to_owned(), 2), ("a".to_owned(), 2)]
        );
        assert_eq!(paths(r#"[{"op":1,"op":2}]"#), [("[0].op".to_owned(), 1)]);
    }
}
