//! From parser events to values, with the rules of go-yaml 2's decoder.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::DEPTH_MAX;
use super::read::{DuplicateKey, YamlDocument, YamlError};
use super::scalar::{self, Scalar};
use crate::value::{Map, Text, Value};

/// Reads all documents of a text that the stream's other documents do not depend on.
pub(super) fn read(text: &str, lines_before: usize, documents: &mut Vec<Result<YamlDocument, YamlError>>) {
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let step = match event {
            Ok((event, span)) => builder.step(event, span),
            Err(error) => Err(scan_error(&error)),
        };
        match step {
            Ok(None) => {}
            Ok(Some(mut document)) => {
                document.line += lines_before;
                document.item_lines.iter_mut().for_each(|line| *line += lines_before);
                document.duplicate_keys.iter_mut().for_each(|key| key.line += lines_before);
                documents.push(Ok(document));
            }
            Err(error) => {
                documents.push(Err(YamlError { line: error.line + lines_before, message: error.message }));
                return;
            }
        }
    }
}

fn scan_error(error: &ScanError) -> YamlError {
    YamlError { line: error.marker().line().max(1), message: error.info() }
}

/// A complete node.
#[derive(Debug, Clone)]
struct Node {
    content: Content,
    role: Role,
    size: Size,
}

#[derive(Debug, Clone)]
enum Content {
    Scalar(Scalar),
    Tree(Value),
}

/// What go-yaml's merge asks of a node besides its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Plain,
    /// `<<`: as a key it merges.
    MergeKey,
    Alias,
}

/// How much decoding a node costs, and how deep it is.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    depth: usize,
}

#[derive(Debug)]
enum Frame {
    List { items: Vec<Value>, size: Size, anchor: usize },
    Map { entries: Vec<Entry>, key: Option<Key>, size: Size, anchor: usize },
}

/// A key of a map under construction.
#[derive(Debug)]
struct Entry {
    key: Text,
    value: Value,
    /// Where it was written; `None` where a merge brought it: writing such a key again is no duplicate.
    line: Option<usize>,
}

#[derive(Debug)]
enum Key {
    /// With its line.
    Named(Text, usize),
    Merge,
}

#[derive(Debug, Default)]
struct Builder {
    stack: Vec<Frame>,
    /// Finished anchored nodes of this document. One that is still open is absent.
    anchors: BTreeMap<usize, Node>,
    root: Option<Value>,
    line: Option<usize>,
    item_lines: Vec<usize>,
    duplicate_keys: Vec<DuplicateKey>,
    aliasing: Aliasing,
}

/// go-yaml's guard against aliases that expand without bound.
#[derive(Debug, Default)]
struct Aliasing {
    decoded: usize,
    by_alias: usize,
}

impl Aliasing {
    /// go-yaml's limits: 99 % of the nodes may come from aliases up to 400,000 nodes, 10 % from 4,000,000 on.
    fn is_excessive(&self) -> bool {
        const LOW: f64 = 400_000.0;
        const HIGH: f64 = 4_000_000.0;
        let decoded = self.decoded as f64;
        let allowed = 0.99 - 0.89 * ((decoded - LOW) / (HIGH - LOW)).clamp(0.0, 1.0);
        self.by_alias > 100 && self.decoded > 1000 && self.by_alias as f64 / decoded > allowed
    }
}

impl Builder {
    fn step(&mut self, event: Event<'_>, span: Span) -> Result<Option<YamlDocument>, YamlError> {
        let line = span.start.line();
        let done = match event {
            Event::DocumentEnd => return Ok(Some(self.finish())),
            Event::Alias(id) => self.alias(id, line),
            Event::UnresolvedAlias(name) => Err(format!("unknown anchor '{name}' referenced")),
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()));
                self.scalar(&text, style, anchor, tag.as_deref(), line)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(Frame::List { items: Vec::new(), size: Size::default(), anchor }, line)
            }
            Event::MappingStart(_, anchor, _) => {
                self.open(Frame::Map { entries: Vec::new(), key: None, size: Size::default(), anchor }, line)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(line),
            // Starts, ends and presentation; the parser's enum may grow more of the latter.
            _ => Ok(()),
        };
        done.map(|()| None).map_err(|message| YamlError { line, message })
    }

    fn finish(&mut self) -> YamlDocument {
        let done = std::mem::take(self);
        YamlDocument {
            value: done.root.unwrap_or_default(),
            line: done.line.unwrap_or(1),
            item_lines: done.item_lines,
            duplicate_keys: done.duplicate_keys,
        }
    }

    /// Notes the line of a node that starts.
    fn mark(&mut self, line: usize) {
        self.line.get_or_insert(line);
        if let [Frame::Map { key: Some(Key::Named(name, _)), .. }, Frame::List { .. }] = self.stack.as_slice()
            && name == "items"
        {
            self.item_lines.push(line);
        }
    }

    fn open(&mut self, frame: Frame, line: usize) -> Result<(), String> {
        self.mark(line);
        self.aliasing.decoded += 1;
        if self.stack.len() >= DEPTH_MAX {
            return Err(too_deep());
        }
        self.stack.push(frame);
        Ok(())
    }

    fn close(&mut self, line: usize) -> Result<(), String> {
        let (value, size, anchor) = match self.stack.pop() {
            Some(Frame::List { items, size, anchor }) => (Value::List(items), size, anchor),
            Some(Frame::Map { entries, size, anchor, .. }) => {
                (Value::Map(self.finish_map(entries)), size, anchor)
            }
            None => return Ok(()),
        };
        let size = Size { nodes: size.nodes + 1, depth: size.depth + 1 };
        self.add(Node { content: Content::Tree(value), role: Role::Plain, size }, anchor, line)
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&str>,
        line: usize,
    ) -> Result<(), String> {
        self.mark(line);
        self.aliasing.decoded += 1;
        let plain = style == ScalarStyle::Plain;
        // The non-specific tag `!` makes any scalar a string.
        let (plain, tag) = if tag == Some("!") { (false, None) } else { (plain, tag) };
        let is_merge = text == "<<" && tag.map_or(plain, |tag| tag == "tag:yaml.org,2002:merge");
        let role = if is_merge { Role::MergeKey } else { Role::Plain };
        let content = Content::Scalar(scalar::resolve(text, plain, tag)?);
        self.add(Node { content, role, size: Size { nodes: 1, depth: 0 } }, anchor, line)
    }

    fn alias(&mut self, id: usize, line: usize) -> Result<(), String> {
        self.mark(line);
        let Some(size) = self.anchors.get(&id).map(|node| node.size) else {
            return Err("an anchor's value contains itself".to_owned());
        };
        self.aliasing.decoded += 1 + size.nodes;
        self.aliasing.by_alias += size.nodes;
        if self.aliasing.is_excessive() {
            return Err("document contains excessive aliasing".to_owned());
        }
        if self.stack.len() + size.depth > DEPTH_MAX {
            return Err(too_deep());
        }
        let Some(target) = self.anchors.get(&id) else { return Ok(()) };
        let size = Size { nodes: size.nodes + 1, depth: size.depth };
        let node = Node { content: target.content.clone(), role: Role::Alias, size };
        self.add(node, 0, line)
    }

    /// Puts a complete node where it belongs.
    fn add(&mut self, node: Node, anchor: usize, line: usize) -> Result<(), String> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node.content.into_value()?);
            return Ok(());
        };
        match frame {
            Frame::List { items, size, .. } => {
                size.include(node.size);
                // A list of merged maps needs no roles: go-yaml accepts aliases of maps and maps alike.
                items.push(node.content.into_value()?);
            }
            Frame::Map { entries, key, size, .. } => {
                size.include(node.size);
                match key.take() {
                    None => *key = Some(node.into_key(line)?),
                    Some(Key::Merge) => merge(entries, node)?,
                    Some(Key::Named(key, line)) => {
                        entries.push(Entry { key, value: node.content.into_value()?, line: Some(line) });
                    }
                }
            }
        }
        Ok(())
    }

    /// Of keys that were set more than once the last wins; those that were written more than once are reported.
    fn finish_map(&mut self, entries: Vec<Entry>) -> Map {
        let mut written: Vec<(&Text, usize)> =
            entries.iter().filter_map(|entry| entry.line.map(|line| (&entry.key, line))).collect();
        if !written.is_sorted_by(|left, right| left.0 < right.0) {
            written.sort_by(|left, right| left.0.cmp(right.0));
            let again = written.windows(2).filter_map(|pair| match pair {
                [(first, _), (second, line)] if first == second => Some((Text::clone(second), *line)),
                _ => None,
            });
            self.duplicate_keys.extend(again.map(|(key, line)| DuplicateKey { key, line }));
        }
        entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
    }
}

fn too_deep() -> String {
    format!("nested deeper than {DEPTH_MAX} levels")
}

/// Sets the keys of the merged maps, also over keys set before: go-yaml 2 goes by document order. Of a list the
/// earlier maps win.
fn merge(entries: &mut Vec<Entry>, node: Node) -> Result<(), String> {
    let refused = || "map merge requires map or sequence of maps as the value".to_owned();
    let sources = match (node.content, node.role) {
        (Content::Tree(Value::Map(source)), _) => vec![source],
        (Content::Tree(Value::List(items)), Role::Plain | Role::MergeKey) => {
            let maps = items.into_iter().rev().map(|item| match item {
                Value::Map(source) => Ok(source),
                _ => Err(refused()),
            });
            maps.collect::<Result<Vec<_>, _>>()?
        }
        (Content::Tree(_) | Content::Scalar(_), _) => return Err(refused()),
    };
    for source in sources {
        entries.extend(source.into_iter().map(|(key, value)| Entry { key, value, line: None }));
    }
    Ok(())
}

impl Size {
    fn include(&mut self, child: Self) {
        self.nodes += child.nodes;
        self.depth = self.depth.max(child.depth);
    }
}

impl Node {
    fn into_key(self, line: usize) -> Result<Key, String> {
        match (self.content, self.role) {
            (_, Role::MergeKey) => Ok(Key::Merge),
            (Content::Scalar(scalar), _) => scalar.into_key().map(|key| Key::Named(key, line)),
            (Content::Tree(value), _) => {
                Err(format!("{} as a key of a map: only scalars can be keys", article(&value)))
            }
        }
    }
}

fn article(value: &Value) -> String {
    match value.type_name() {
        name @ ("array" | "object" | "integer") => format!("an {name}"),
        name => format!("a {name}"),
    }
}

impl Content {
    fn into_value(self) -> Result<Value, String> {
        match self {
            Self::Scalar(scalar) => scalar.into_value(),
            Self::Tree(value) => Ok(value),
        }
    }
}
