//! From bytes to documents: encoding, cutting at document markers, and one result per document.

use std::borrow::Cow;

use super::build;
use crate::value::{Text, Value};

/// One document of a YAML stream.
#[derive(Debug, Clone, PartialEq)]
pub struct YamlDocument {
    /// Null where the document is empty.
    pub value: Value,
    /// The line of its first node, from 1.
    pub line: usize,
    /// The lines on which the items of the top-level key `items` start, where that is a list.
    pub item_lines: Vec<usize>,
    /// Keys that are written more than once in one map: the last one won.
    pub duplicate_keys: Vec<DuplicateKey>,
}

/// A key that occurs again in the same map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateKey {
    pub key: Text,
    /// The line of the later one, from 1.
    pub line: usize,
}

/// A document that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct YamlError {
    /// From 1, within the whole stream.
    pub line: usize,
    pub message: String,
}

/// Reads a stream of documents. What comes after a syntax error is lost up to the next `---` only.
pub fn read_documents(bytes: &[u8]) -> Vec<Result<YamlDocument, YamlError>> {
    let text = match decode(bytes) {
        Ok(text) => text,
        Err(error) => return vec![Err(error)],
    };
    let mut documents = Vec::new();
    for chunk in split(&text) {
        read_chunk(chunk, &mut documents);
    }
    documents
}

impl Value {
    /// Reads one YAML document; a stream of several is an error.
    pub fn from_yaml(bytes: &[u8]) -> Result<Self, YamlError> {
        let mut documents = read_documents(bytes).into_iter();
        let first = documents.next().transpose()?;
        match documents.next() {
            None => Ok(first.map(|document| document.value).unwrap_or_default()),
            Some(Err(error)) => Err(error),
            Some(Ok(second)) => Err(YamlError {
                line: second.line,
                message: "a second document where one is expected".to_owned(),
            }),
        }
    }
}

fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, YamlError> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16(&units)
            .map(Cow::Owned)
            .map_err(|_| YamlError { line: 1, message: "invalid UTF-16".to_owned() })
    };
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, YamlError> {
    std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        YamlError { line: 1 + count_lines(before), message: "invalid UTF-8".to_owned() }
    })
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// A part of a stream that starts at a document marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chunk<'a> {
    text: &'a str,
    /// How many lines come before it.
    lines_before: usize,
}

/// Cuts a stream before every `---`; directives and comments that precede one stay with it. YAML forbids the markers
/// at the start of a line inside any scalar, so this needs no parsing.
fn split(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut lines_before = 0;
    let mut lines = 0;
    let mut offset = 0;
    // Where directives and comments started that belong to the next document.
    let mut prologue = Some((0, 0));
    for line in text.split_inclusive('\n') {
        if is_marker(line, "---") {
            let (cut, cut_lines) = prologue.unwrap_or((offset, lines));
            if cut > start {
                chunks.push(Chunk { text: text.get(start..cut).unwrap_or_default(), lines_before });
            }
            (start, lines_before) = (cut, cut_lines);
            prologue = None;
        }
        offset += line.len();
        lines += 1;
        if is_marker(line, "...") {
            prologue = Some((offset, lines));
        } else if !matches!(line.trim_start().bytes().next(), None | Some(b'#')) && !line.starts_with('%') {
            prologue = None;
        }
    }
    if offset > start {
        chunks.push(Chunk { text: text.get(start..).unwrap_or_default(), lines_before });
    }
    chunks
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn read_chunk(chunk: Chunk<'_>, documents: &mut Vec<Result<YamlDocument, YamlError>>) {
    if let Some(found) = read_json(chunk) {
        documents.extend(found.into_iter().map(Ok));
        return;
    }
    if let Some(error) = find_control(chunk) {
        documents.push(Err(error));
        return;
    }
    build::read(chunk.text, chunk.lines_before, documents);
}

/// One or more JSON objects in a row, as `kubectl` accepts them. `None` where it is not JSON: YAML's flow style looks
/// alike.
fn read_json(chunk: Chunk<'_>) -> Option<Vec<YamlDocument>> {
    let body = match chunk.text.strip_prefix("---") {
        Some(rest) => rest,
        None => chunk.text,
    };
    if !body.trim_start().starts_with('{') {
        return None;
    }
    let skipped = chunk.text.len() - body.len();
    let mut documents = Vec::new();
    for (offset, value) in crate::json::read_stream(body.as_bytes()) {
        let value = value.ok()?;
        let before = chunk.text.as_bytes().get(..skipped + offset).unwrap_or_default();
        let line = chunk.lines_before + count_lines(before) + 1;
        documents.push(YamlDocument { value, line, item_lines: Vec::new(), duplicate_keys: Vec::new() });
    }
    Some(documents)
}

/// Characters that YAML forbids; the parser lets some of them pass.
fn find_control(chunk: Chunk<'_>) -> Option<YamlError> {
    let forbidden = |char: char| match char {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        '\0'..='\u{1F}' | '\u{7F}'..='\u{9F}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}' => true,
        _ => false,
    };
    let (position, char) = chunk.text.char_indices().find(|(_, char)| forbidden(*char))?;
    let before = chunk.text.as_bytes().get(..position).unwrap_or_default();
    Some(YamlError {
        line: chunk.lines_before + count_lines(before) + 1,
        message: format!("control characters are not allowed (U+{:04X})", char as u32),
    })
}
