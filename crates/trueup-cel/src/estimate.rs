//! What an expression may cost at most, told before it is evaluated (`checker/cost.go` of the reference implementation and
//! `k8s.io/apiserver/pkg/cel/library/cost.go`): an API server refuses rules by it.
//!
//! Every size has a least and a greatest value; sums and products stop at the greatest number there is.

mod calls;
mod library;

use std::collections::BTreeMap;

use trueup_object::value::Text;

use crate::ast::{Comprehension, Entry, Expr, Literal, Node};
use crate::check::Facts;
use crate::cost::{LIST, MAP, STRUCT};
use crate::kind::Type;

/// A number that is somewhere between two others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl Range {
    pub(crate) const UNKNOWN: Self = Self { min: 0, max: u64::MAX };

    pub(crate) const fn fixed(number: u64) -> Self {
        Self { min: number, max: number }
    }

    pub(crate) fn add(self, other: Self) -> Self {
        Self { min: self.min.saturating_add(other.min), max: self.max.saturating_add(other.max) }
    }

    pub(crate) fn times(self, other: Self) -> Self {
        Self { min: self.min.saturating_mul(other.min), max: self.max.saturating_mul(other.max) }
    }

    /// Rounded up.
    pub(crate) fn scaled(self, factor: f64) -> Self {
        let scale = |number: u64| (number as f64 * factor).ceil() as u64;
        Self { min: scale(self.min), max: scale(self.max) }
    }

    /// What holds both.
    pub(crate) fn union(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

/// How large values may become, as a schema has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The most elements of a list or map, or characters of a text. Nothing is counted of other values.
    pub n_elements_max: u64,
    /// The fewest bytes of its JSON.
    pub n_bytes_min: u64,
    /// Of a map's keys.
    pub key: Option<Box<Bounds>>,
    /// Of a list's items or a map's values.
    pub element: Option<Box<Bounds>>,
    /// Of an object's fields, by the names that expressions say.
    pub fields: BTreeMap<Text, Bounds>,
}

impl Bounds {
    fn at(&self, path: &[Text]) -> Option<&Self> {
        path.iter().try_fold(self, |found, step| match step.as_str() {
            "@items" | "@values" => found.element.as_deref(),
            "@keys" => found.key.as_deref(),
            field => found.fields.get(field),
        })
    }
}

/// The sizes of a list's or map's entries.
#[derive(Debug, Clone, Copy)]
struct EntrySize {
    is_list: bool,
    key: Range,
    value: Range,
}

/// A variable of a comprehension or of a binding.
#[derive(Debug, Clone)]
struct Local {
    name: Text,
    path: Vec<Text>,
    size: Option<Range>,
    entry: Option<EntrySize>,
}

/// An argument of a call, as far as its cost depends on it.
#[derive(Debug, Clone)]
pub(crate) struct Argument<'e> {
    pub(crate) path: Vec<Text>,
    pub(crate) its: Type,
    pub(crate) expr: &'e Expr,
    pub(crate) size: Option<Range>,
}

pub(crate) struct Estimator<'a> {
    facts: &'a Facts,
    /// Of the one variable that all paths begin with.
    root: &'a Bounds,
    paths: BTreeMap<u32, Vec<Text>>,
    locals: Vec<Local>,
    sizes: BTreeMap<u32, Range>,
    entries: BTreeMap<u32, EntrySize>,
}

/// The most that an expression costs.
pub(crate) fn cost_max(expr: &Expr, facts: &Facts, root: &Bounds) -> u64 {
    let mut estimator = Estimator {
        facts,
        root,
        paths: BTreeMap::new(),
        locals: Vec::new(),
        sizes: BTreeMap::new(),
        entries: BTreeMap::new(),
    };
    estimator.cost(expr).max
}

const ZERO: Range = Range::fixed(0);
const ONE: Range = Range::fixed(1);

/// The accumulator of the language's own macros.
const RESULT: [&str; 2] = ["@result", "__result__"];

impl<'a> Estimator<'a> {
    fn cost(&mut self, expr: &'a Expr) -> Range {
        match &expr.node {
            Node::Literal(_) => ZERO,
            Node::Ident(name) => {
                let path = match self.local(name) {
                    Some(local) => local.path.clone(),
                    None => vec![name.clone()],
                };
                self.paths.insert(expr.id, path);
                ONE
            }
            Node::Select { operand, is_test: true, .. } => self.cost(operand),
            Node::Select { operand, field, is_test: false } => {
                let mut cost = self.cost(operand);
                if matches!(self.its(operand), Type::Map(_) | Type::Object(_) | Type::Param(_)) {
                    cost = cost.add(ONE);
                }
                let mut path = self.path(operand);
                path.push(field.clone());
                self.paths.insert(expr.id, path);
                cost
            }
            Node::Call { function, target, args } => self.call(expr, function, target.as_deref(), args),
            Node::List { items, .. } => self.list(expr, items),
            Node::Map(entries) => self.map(expr, entries),
            Node::Struct { fields, .. } => {
                fields.iter().fold(ZERO, |sum, it| sum.add(self.cost(&it.value))).add(Range::fixed(STRUCT))
            }
            Node::Comprehension(it) if is_bind(it) => self.bind(expr, it),
            Node::Comprehension(it) => self.comprehension(expr, it),
        }
    }

    fn its(&self, expr: &Expr) -> Type {
        self.facts.types.get(&expr.id).cloned().unwrap_or(Type::Dyn)
    }

    fn local(&self, name: &str) -> Option<&Local> {
        self.locals.iter().rev().find(|local| local.name == name)
    }

    fn path(&self, expr: &Expr) -> Vec<Text> {
        if let Node::Ident(name) = &expr.node
            && let Some(local) = self.local(name)
        {
            return local.path.clone();
        }
        self.paths.get(&expr.id).cloned().unwrap_or_default()
    }

    /// The size that a schema gives: the first step of a path is the variable, whichever it is.
    fn bounded(&self, path: &[Text]) -> Option<Range> {
        let (_, below) = path.split_first()?;
        self.root.at(below).map(|bounds| Range { min: 0, max: bounds.n_elements_max })
    }

    fn argument(&mut self, expr: &'a Expr) -> Argument<'a> {
        let mut path = self.path(expr);
        if path.first().is_some_and(|first| RESULT.contains(&first.as_str())) {
            path.clear();
        }
        Argument { path, its: self.its(expr), expr, size: self.size(expr) }
    }

    fn size(&mut self, expr: &Expr) -> Option<Range> {
        if let Some(known) = self.sizes.get(&expr.id) {
            return Some(*known);
        }
        if let Some(size) = written_size(expr) {
            return Some(Range::fixed(size));
        }
        if let Some(size) = self.bounded(&self.path(expr)) {
            self.sizes.insert(expr.id, size);
            return Some(size);
        }
        if is_scalar(&self.its(expr)) {
            return Some(ONE);
        }
        match &expr.node {
            Node::Ident(name) => self.local(name).and_then(|local| local.size),
            _ => None,
        }
    }

    fn size_or_unknown(&mut self, expr: &Expr) -> Range {
        self.size(expr).unwrap_or(Range::UNKNOWN)
    }

    fn entry(&self, expr: &Expr) -> Option<EntrySize> {
        if let Some(known) = self.entries.get(&expr.id) {
            return Some(*known);
        }
        match &expr.node {
            Node::Ident(name) => self.local(name).and_then(|local| local.entry),
            _ => None,
        }
    }

    fn list(&mut self, expr: &Expr, items: &'a [Expr]) -> Range {
        let mut sum = ZERO;
        let mut size = nothing_yet(items.is_empty());
        for item in items {
            sum = sum.add(self.cost(item));
            size = size.union(self.size_or_unknown(item));
        }
        self.entries.insert(expr.id, EntrySize { is_list: true, key: ONE, value: size });
        sum.add(Range::fixed(LIST))
    }

    fn map(&mut self, expr: &Expr, entries: &'a [Entry]) -> Range {
        let mut sum = ZERO;
        let (mut key, mut value) = (nothing_yet(entries.is_empty()), nothing_yet(entries.is_empty()));
        for entry in entries {
            sum = sum.add(self.cost(&entry.key)).add(self.cost(&entry.value));
            key = key.union(self.size_or_unknown(&entry.key));
            value = value.union(self.size_or_unknown(&entry.value));
        }
        self.entries.insert(expr.id, EntrySize { is_list: false, key, value });
        sum.add(Range::fixed(MAP))
    }

    /// A value under a name, of which the result alone counts beside it.
    fn bind(&mut self, expr: &Expr, it: &'a Comprehension) -> Range {
        let mut sum = self.cost(&it.range).add(self.cost(&it.start));
        self.push(&it.accumulator, &it.start);
        sum = sum.add(self.cost(&it.result));
        let (size, entry) = (self.size(&it.result), self.entry(&it.result));
        self.locals.pop();
        self.sizes.extend(size.map(|size| (expr.id, size)));
        self.entries.extend(entry.map(|entry| (expr.id, entry)));
        sum
    }

    fn push(&mut self, name: &Text, value: &Expr) {
        let local = Local {
            name: name.clone(),
            path: self.path(value),
            size: self.size(value),
            entry: self.entry(value),
        };
        self.locals.push(local);
    }

    fn comprehension(&mut self, expr: &Expr, it: &'a Comprehension) -> Range {
        let mut sum = self.cost(&it.range).add(self.cost(&it.start));
        self.push(&it.accumulator, &it.start);
        let base = self.locals.len();
        self.push_variables(it);
        let each = self.cost(&it.condition).add(self.cost(&it.step));
        self.locals.truncate(base);
        sum = sum.add(self.cost(&it.result));
        self.locals.pop();
        let count = self.size_or_unknown(&it.range);
        sum = sum.add(count.times(each));
        match &it.start.node {
            Node::Literal(_) => {
                let size = self.size(&it.start);
                self.sizes.extend(size.map(|size| (expr.id, size)));
            }
            Node::List { .. } | Node::Map(_) => {
                self.sizes.insert(expr.id, count);
                let entry = self.entry(&it.step);
                self.entries.extend(entry.map(|entry| (expr.id, entry)));
            }
            _ => {}
        }
        sum
    }

    /// The variables of a loop: its one variable is an item of a list or a key of a map, of two the first is key or index.
    fn push_variables(&mut self, it: &Comprehension) {
        let entry = self.entry(&it.range);
        let is_list = entry.map_or_else(|| matches!(self.its(&it.range), Type::List(_)), |it| it.is_list);
        let path = self.path(&it.range);
        let mut push = |name: &Text, step: &str, size: Option<Range>| {
            let mut path = path.clone();
            path.push(Text::from(step));
            self.locals.push(Local { name: name.clone(), path, size, entry: None });
        };
        let (key, value) = (entry.map(|it| it.key), entry.map(|it| it.value));
        match &it.second_variable {
            Some(second) => {
                push(&it.variable, if is_list { "@indices" } else { "@keys" }, key);
                push(second, if is_list { "@items" } else { "@values" }, value);
            }
            None if is_list => push(&it.variable, "@items", value),
            None => push(&it.variable, "@keys", key),
        }
    }
}

/// Where the union of sizes begins.
fn nothing_yet(is_empty: bool) -> Range {
    Range { min: if is_empty { 0 } else { u64::MAX }, max: 0 }
}

/// A binding is written as a loop over nothing.
fn is_bind(it: &Comprehension) -> bool {
    matches!(&it.range.node, Node::List { items, .. } if items.is_empty())
        && matches!(it.condition.node, Node::Literal(Literal::Bool(false)))
        && it.accumulator != "__result__"
}

/// The size of what stands in the expression itself.
fn written_size(expr: &Expr) -> Option<u64> {
    let size = match &expr.node {
        Node::Literal(Literal::String(text)) => text.chars().count(),
        Node::Literal(Literal::Bytes(bytes)) => bytes.len(),
        Node::Literal(_) => 1,
        Node::List { items, .. } => items.len(),
        Node::Map(entries) => entries.len(),
        _ => return None,
    };
    u64::try_from(size).ok()
}

/// Whether all values of a type are of the same size.
fn is_scalar(its: &Type) -> bool {
    match its {
        Type::Bool | Type::Double | Type::Duration | Type::Int | Type::Timestamp | Type::Uint => true,
        Type::Optional(inner) => is_scalar(inner),
        _ => false,
    }
}
