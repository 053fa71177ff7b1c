//! `name` and `value` as two fields of one entry, as environment variables and headers are written in YAML and JSON.

use std::ops::Range;

use super::super::name::{is_sensitive_entry, refers};
use super::{NAME_MAX, Scan, is_blank, is_name};

/// How far from a value its entry begins and ends at most.
const ENTRY_MAX: usize = 4 * NAME_MAX;

impl<'t> Scan<'t> {
    /// The sensitive name that the entry has of which the `value` before a separator is a field.
    pub(super) fn name_beside(&self, separator: usize) -> Option<&'t str> {
        let name = match self.braces(separator) {
            Some(entry) => self.named(entry)?,
            None => self.named_in_lines(separator)?,
        };
        (is_sensitive_entry(name) && !refers(name)).then_some(name)
    }

    /// The name in the line before or behind that of the value, where that is of the same entry.
    fn named_in_lines(&self, separator: usize) -> Option<&'t str> {
        let limit = self.bytes.len().min(self.line + ENTRY_MAX);
        let end = (separator..limit).find(|at| self.at(*at) == Some(b'\n'));
        // A longer line is none of a list of entries, and a text takes its length in steps, however it is made.
        if end.is_none() && limit < self.bytes.len() {
            return None;
        }
        let line = self.line..end.unwrap_or(limit);
        let column = self.column(line.clone());
        let others = [self.line_before(line.start), self.line_after(line.end)];
        let same = others.into_iter().flatten().filter(|other| self.column(other.clone()) == column);
        same.filter(|other| !self.is_parted(line.start.max(other.start))).find_map(|other| self.named(other))
    }

    /// Whether a line begins an item: what stands before it belongs to another entry.
    fn is_parted(&self, line: usize) -> bool {
        self.at(self.skip(line, is_blank)) == Some(b'-')
    }

    /// Where a line's first field begins, behind the dashes of a list.
    fn column(&self, line: Range<usize>) -> usize {
        self.skip(line.start, |byte| is_blank(byte) || byte == b'-') - line.start
    }

    fn line_before(&self, start: usize) -> Option<Range<usize>> {
        let end = start.checked_sub(1)?;
        let limit = end.saturating_sub(ENTRY_MAX);
        let mut first = end;
        while first > limit && self.at(first - 1) != Some(b'\n') {
            first -= 1;
        }
        Some(first..end)
    }

    fn line_after(&self, end: usize) -> Option<Range<usize>> {
        let start = end + 1;
        let limit = self.bytes.len().min(start + ENTRY_MAX);
        let mut last = start;
        while last < limit && self.at(last) != Some(b'\n') {
            last += 1;
        }
        (start < self.bytes.len()).then_some(start..last)
    }

    /// What stands between the braces around a place, as far as they are near.
    fn braces(&self, place: usize) -> Option<Range<usize>> {
        let first = place.saturating_sub(ENTRY_MAX);
        let before = self.bytes.get(first..place)?;
        let open = before.iter().rposition(|byte| matches!(byte, b'{' | b'}'))?;
        if before.get(open) == Some(&b'}') {
            return None;
        }
        let after = self.bytes.get(place..self.bytes.len().min(place + ENTRY_MAX))?;
        let close = after.iter().position(|byte| matches!(byte, b'{' | b'}')).unwrap_or(after.len());
        Some(first + open + 1..place + close)
    }

    /// The value of the field `name` or `key` in a part of the text.
    fn named(&self, part: Range<usize>) -> Option<&'t str> {
        let bytes = self.bytes.get(part.clone())?;
        let colons = bytes.iter().enumerate().filter(|(_, byte)| **byte == b':');
        for at in colons.map(|(offset, _)| part.start + offset) {
            let Some(field) = self.name_before(at) else { continue };
            if !matches!(field.name, "name" | "key") {
                continue;
            }
            let start = self.skip(at + 1, |byte| is_blank(byte) || matches!(byte, b'"' | b'\'' | b'\\'));
            let end = self.skip(start, is_name).min(part.end);
            return self.text.get(start..end).filter(|name| !name.is_empty() && name.len() <= NAME_MAX);
        }
        None
    }
}
