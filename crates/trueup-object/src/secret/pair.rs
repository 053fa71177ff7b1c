//! Sensitive values in a text that stand beside their names: JSON, YAML, INI and properties in a ConfigMap, XML, command
//! lines, connection strings, headers, SQL.
//!
//! No format is parsed, since the text may be a template of one or have several in it. A name is what stands before a
//! separator, and its value what stands behind it, as far as the quotes or the end of the line; the names are those of
//! [`is_sensitive_name`], without those that only tell of a value. What stands for a value (`$PASSWORD`, `{{ .token }}`)
//! is none.

use std::ops::Range;

use super::name::{is_sensitive_name, refers, tells_nothing};

/// No name is longer.
const NAME_MAX: usize = 100;

/// The end of a quoted value or of a list is looked for within this, so that no text takes more than its length in steps.
const VALUE_MAX: usize = 64 << 10;

mod entry;
mod worded;

pub use worded::password_in_argument;

/// Where a text holds values of sensitive names, in order, without overlaps.
pub fn pairs(text: &str) -> Vec<Range<usize>> {
    let mut scan = Scan { text, bytes: text.as_bytes(), found: Vec::new(), position: 0, line: 0 };
    // No pair is shorter: `pwd=x`.
    if text.len() >= 5 {
        scan.run();
    }
    scan.found
}

/// Whether a text is a flag whose value is the next argument: `--password`.
pub(super) fn is_password_flag(argument: &str) -> bool {
    let name = argument.trim_start_matches('-');
    argument.starts_with('-') && name.bytes().all(is_name) && is_value_name(name)
}

fn is_value_name(name: &str) -> bool {
    is_sensitive_name(name) && !refers(name)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Whether a text stands for a value that is elsewhere, or was taken out already.
fn is_placeholder(value: &str) -> bool {
    let mut chars = value.chars();
    match (chars.next(), chars.next()) {
        (None, _) => true,
        (Some('$'), Some(next)) => next.is_alphabetic() || matches!(next, '(' | '{' | '_' | '$'),
        (Some('%'), Some('(' | '{')) | (Some('{'), Some('{' | '%')) => true,
        (Some('<'), _) => value.ends_with('>'),
        (Some(first @ ('*' | '+' | '.')), _) => value.chars().all(|char| char == first),
        (Some(_), _) => false,
    }
}

/// How a name is separated from its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    Colon,
    Equals,
}

/// What stands before a separator.
struct Name<'t> {
    name: &'t str,
    /// It is in quotes of its own: JSON.
    quoted: bool,
    /// What stands before it on its line; nothing at the line's start.
    before: Option<u8>,
    /// Blanks stand between it and the separator.
    spaced: bool,
    /// A shell sets it: what follows behind a blank is something else.
    exported: bool,
}

struct Scan<'t> {
    text: &'t str,
    bytes: &'t [u8],
    found: Vec<Range<usize>>,
    position: usize,
    /// Where the line of the position starts.
    line: usize,
}

impl<'t> Scan<'t> {
    fn run(&mut self) {
        while let Some(byte) = self.bytes.get(self.position).copied() {
            let before = self.position;
            match byte {
                b':' => self.after(Separator::Colon),
                b'=' => self.after(Separator::Equals),
                b'>' => self.element(),
                b'-' => self.flag(),
                b'r' | b'm' | b'p' | b'b' | b'P' => self.directive(),
                b'i' | b'I' => self.identified(),
                b's' => self.set_header(),
                _ => {}
            }
            self.position = self.position.max(before + 1);
            // What was gone over is gone over once: a text takes its length in steps, however it is made.
            let passed = self.bytes.get(before..self.position).unwrap_or_default();
            if let Some(newline) = passed.iter().rposition(|byte| *byte == b'\n') {
                self.line = before + newline + 1;
            }
        }
    }

    fn at(&self, position: usize) -> Option<u8> {
        self.bytes.get(position).copied()
    }

    fn slice(&self, range: Range<usize>) -> &'t str {
        self.text.get(range).unwrap_or_default()
    }

    /// Takes a value, unless it is none, and goes on behind it.
    fn take(&mut self, name: &str, range: Range<usize>) {
        self.position = self.position.max(range.end);
        let value = self.slice(range.clone());
        if !is_placeholder(value) && !tells_nothing(name, value) {
            self.found.push(range);
        }
    }

    fn skip(&self, mut position: usize, skipped: impl Fn(u8) -> bool) -> usize {
        while self.at(position).is_some_and(&skipped) {
            position += 1;
        }
        position
    }

    fn line_end(&self, start: usize) -> usize {
        self.skip(start, |byte| byte != b'\n')
    }

    /// The name before a separator.
    fn name_before(&self, separator: usize) -> Option<Name<'t>> {
        let back = |mut end: usize, wanted: &dyn Fn(u8) -> bool| {
            let limit = end.saturating_sub(NAME_MAX);
            while end > limit && self.at(end - 1).is_some_and(wanted) {
                end -= 1;
            }
            end
        };
        // `:=` is one separator.
        let is_assigned =
            self.at(separator) == Some(b'=') && separator > 0 && self.at(separator - 1) == Some(b':');
        let separator = if is_assigned { separator - 1 } else { separator };
        let mut end = back(separator, &is_blank);
        let spaced = end < separator;
        let quote = end.checked_sub(1).and_then(|at| self.at(at)).filter(|it| matches!(it, b'"' | b'\''));
        if quote.is_some() {
            end = back(end - 1, &|byte| byte == b'\\');
        }
        let start = back(end, &is_name);
        let name = self.slice(start..end).trim_start_matches('-');
        if name.is_empty() {
            return None;
        }
        let before = start.checked_sub(1).and_then(|at| self.at(at));
        let quoted = quote.is_some() && before == quote;
        if quote.is_some() && !quoted {
            return None;
        }
        // A list's dash and blanks say nothing.
        let line = self.slice(self.line..start);
        let rest = line.trim_matches(|char| matches!(char, ' ' | '\t' | '-' | '\r'));
        let shell = rest.strip_suffix("export").or_else(|| rest.strip_suffix("ENV"));
        let before = shell.unwrap_or(rest).trim_end().bytes().last();
        Some(Name { name, quoted, before, spaced, exported: shell.is_some() })
    }

    fn after(&mut self, separator: Separator) {
        let at = self.position;
        let Some(name) = self.name_before(at) else { return };
        let mut start = at + 1;
        if separator == Separator::Equals {
            match self.at(start) {
                Some(b'>') if name.quoted => start += 1,
                Some(b'=' | b'>' | b'~') => return,
                _ => {}
            }
        }
        let is_header = ["authorization", "proxy-authorization"]
            .iter()
            .any(|header| header.eq_ignore_ascii_case(name.name));
        if is_header {
            self.header(&name, start);
        } else if is_value_name(name.name) {
            self.value(&name, separator, start);
        } else if name.name == "auth" && name.quoted {
            self.registry(start);
        } else if name.name == "value" && separator == Separator::Colon {
            if let Some(named) = self.name_beside(at) {
                self.value(&Name { name: named, ..name }, separator, start);
            }
        } else if name.name == "sig" && matches!(name.before, Some(b'?' | b'&')) {
            // The signature of an address that Azure shares.
            self.value(&name, separator, start);
        }
    }

    /// `Authorization: SCHEME CREDENTIALS`; a single word is a setting of the same name.
    fn header(&mut self, name: &Name<'t>, start: usize) {
        let start = self.skip(start, |byte| is_blank(byte) || matches!(byte, b'"' | b'\'' | b'\\'));
        let scheme = self.skip(start, is_name);
        let value = self.skip(scheme, is_blank);
        let ends = |byte: u8| matches!(byte, b'\n' | b'\r' | b'"' | b'\'' | b'\\');
        let end = self.skip(value, |byte| !ends(byte));
        if scheme > start && value > scheme {
            self.take(name.name, value..end);
        }
    }

    /// `"auth": "..."` of a registry: its user and password in base64.
    fn registry(&mut self, start: usize) {
        let quote = self.skip(start, |byte| is_blank(byte) || byte == b'\\');
        let value = quote + 1;
        let end = self.skip(value, |byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
        if self.at(quote) == Some(b'"') && super::shape::is_user_and_password(self.slice(value..end)) {
            self.take("auth", value..end);
        }
    }

    fn value(&mut self, name: &Name<'t>, separator: Separator, after: usize) {
        let start = self.skip(after, is_blank);
        let is_flow = matches!(name.before, Some(b'{' | b',' | b'['));
        let in_quotes = name.before.filter(|byte| !name.quoted && matches!(byte, b'"' | b'\'' | b'`'));
        let starts = name.before.is_none() || is_flow || in_quotes.is_some() || name.quoted;
        // `token: abc` in the middle of a sentence is prose, and `secret:1.2` the tag of an image.
        let is_pair = match separator {
            Separator::Colon => {
                let parted = start > after || self.at(start).is_none_or(|byte| b"\"'\\\n\r[".contains(&byte));
                starts && (parted || name.quoted)
            }
            // In code a text in quotes is assigned.
            Separator::Equals => starts || !name.spaced || matches!(self.at(start), Some(b'"' | b'\'')),
        };
        if !is_pair {
            return;
        }
        match self.at(start) {
            Some(b'"' | b'\'' | b'\\') => {
                self.quoted(name.name, start);
            }
            Some(b'[') => self.list(name.name, start),
            Some(b'|' | b'>') if separator == Separator::Colon => self.block(name.name, start),
            None | Some(b'\n' | b'\r') if separator == Separator::Colon => self.items(name.name, start),
            // What has names of its own, an anchor or a type.
            Some(b'{' | b'&' | b'!') if separator == Separator::Colon => {}
            _ => {
                let end = self.bare_end(name, separator, start, is_flow, in_quotes);
                self.take(name.name, start..end);
            }
        }
    }

    /// The end of a value without quotes.
    fn bare_end(
        &self,
        name: &Name<'t>,
        separator: Separator,
        start: usize,
        is_flow: bool,
        in_quotes: Option<u8>,
    ) -> usize {
        let at_line_start = name.before.is_none();
        let to_line_end = match separator {
            Separator::Colon => true,
            // In a file a line holds one pair; a command goes on behind a blank.
            Separator::Equals => {
                let is_file = self.text.trim_end().contains('\n') && !name.exported;
                at_line_start && (name.spaced || is_file)
            }
        };
        let ends = |byte: u8| match byte {
            b'\n' | b'\r' => true,
            byte if Some(byte) == in_quotes => true,
            b',' | b'}' | b']' if is_flow || name.quoted => true,
            byte if !to_line_end => byte.is_ascii_whitespace() || b"&;\"'`)|<>".contains(&byte),
            _ => false,
        };
        let end = self.skip(start, |byte| !ends(byte));
        let value = self.slice(start..end);
        // A comment, and what a list of pairs goes on with.
        let value = value.split(" #").next().unwrap_or(value).trim_end();
        let value = if to_line_end { value } else { before_next_pair(value) };
        start + value.len()
    }

    /// A value in quotes, which may be escaped as the text that it stands in is. Gives the place behind it.
    fn quoted(&mut self, name: &str, start: usize) -> usize {
        let quote_at = self.skip(start, |byte| byte == b'\\');
        let Some(quote @ (b'"' | b'\'')) = self.at(quote_at) else { return quote_at + 1 };
        let escapes = quote_at - start;
        let value = quote_at + 1;
        let limit = self.bytes.len().min(value + VALUE_MAX);
        let mut position = value;
        let mut run = 0;
        while position < limit {
            match self.at(position) {
                Some(b'\\') => run += 1,
                // YAML's `''` is a quote in a value.
                Some(b'\'') if quote == b'\'' && position > value && self.at(position + 1) == Some(b'\'') => {
                    position += 1;
                }
                Some(byte) if byte == quote && closes(run, escapes, quote) => break,
                _ => run = 0,
            }
            position += 1;
        }
        if position >= limit {
            let end = self.line_end(value);
            self.take(name, value..end);
            return end;
        }
        self.take(name, value..position - run.min(escapes));
        position + 1
    }

    /// Every scalar of `[a, "b"]`, over lines.
    fn list(&mut self, name: &str, start: usize) {
        let mut position = start + 1;
        let limit = self.bytes.len().min(start + VALUE_MAX);
        while position < limit {
            match self.at(position) {
                None | Some(b']' | b'{' | b'[') => return,
                Some(b'"' | b'\'' | b'\\') => position = self.quoted(name, position),
                Some(byte) if byte.is_ascii_whitespace() || byte == b',' => position += 1,
                Some(_) => {
                    let end = self.skip(position, |byte| !b",]\n\r".contains(&byte));
                    let value = self.slice(position..end).trim_end();
                    self.take(name, position..position + value.len());
                    position = end;
                }
            }
            self.position = self.position.max(position);
        }
    }

    /// The lines of `|` and `>`, which stand further in than their name.
    fn block(&mut self, name: &str, start: usize) {
        let head_end = self.line_end(start);
        let is_head =
            self.slice(start + 1..head_end).trim_end().bytes().all(|it| b"+-0123456789".contains(&it));
        if !is_head {
            let end = head_end;
            return self.take(name, start..start + self.slice(start..end).trim_end().len());
        }
        let indent = self.indent(self.line);
        let mut first = None;
        let mut end = head_end;
        let mut line = head_end + 1;
        while line < self.bytes.len() {
            let line_end = self.line_end(line);
            let text = self.slice(line..line_end);
            if !text.trim().is_empty() {
                if self.indent(line) <= indent {
                    break;
                }
                first = first.or(Some(line + self.indent(line)));
                end = line + text.trim_end().len();
            }
            line = line_end + 1;
        }
        if let Some(first) = first {
            self.take(name, first..end);
        }
    }

    /// The scalars of a YAML list below its name.
    fn items(&mut self, name: &str, start: usize) {
        let indent = self.indent(self.line);
        let mut line = self.line_end(start) + 1;
        while line < self.bytes.len() {
            let line_end = self.line_end(line);
            let dash = line + self.indent(line);
            let item = self.skip(dash + 1, is_blank);
            if dash < line + indent || self.at(dash) != Some(b'-') || item == dash + 1 {
                return;
            }
            let value = self.slice(item..line_end).trim_end();
            if value.contains(": ") || value.ends_with(':') || value.starts_with(['{', '[', '-']) {
                return;
            }
            if value.starts_with(['"', '\'']) {
                self.quoted(name, item);
            } else {
                self.take(name, item..item + value.len());
            }
            line = line_end + 1;
            self.position = self.position.max(line_end);
        }
    }

    fn indent(&self, line: usize) -> usize {
        self.skip(line, |byte| byte == b' ') - line
    }
}

/// Whether a quote after a run of backslashes ends a value whose own quotes have so many of them.
fn closes(run: usize, escapes: usize, quote: u8) -> bool {
    match (escapes, quote) {
        (0, b'\'') => true,
        // An even number are backslashes by themselves.
        (0, _) => run.is_multiple_of(2),
        (_, _) => run == escapes,
    }
}

/// `a=b,c=d`: a comma ends a value where another pair follows.
fn before_next_pair(value: &str) -> &str {
    let next = value.match_indices(',').find(|(at, _)| {
        let rest = value.get(at + 1..).unwrap_or_default();
        let name = rest.bytes().take_while(|byte| is_name(*byte)).count();
        name > 0 && rest.as_bytes().get(name) == Some(&b'=')
    });
    next.map_or(value, |(at, _)| value.get(..at).unwrap_or(value))
}

#[cfg(test)]
mod tests;
