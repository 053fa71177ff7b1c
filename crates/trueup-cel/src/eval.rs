//! Evaluation: down the tree, with a meter running.
//!
//! Errors are values of `&&`, `||` and comprehensions: `false && error` is false. Only what ends the evaluation as a whole (the
//! limit of its cost) is not.

use std::sync::Arc;

use trueup_object::value::Text;

use crate::ast::{Comprehension, Entry, Expr, Field, Literal, Node};
use crate::cost::{self, Meter};
use crate::declare::{JSON_PATCH, is_patch_object};
use crate::library;
use crate::library::rights::{Decision, Question};
use crate::value::{Key, Map, Object, Val, find};

/// What an expression is evaluated with.
pub trait Activation {
    /// The value of a variable.
    fn variable(&self, name: &str) -> Option<Val>;

    /// A field of a variable whose fields are made when they are asked for.
    fn lazy_field(&self, variable: &str, field: &str) -> Option<Result<Val, String>> {
        let _ = (variable, field);
        None
    }

    /// Decides whether somebody may do something.
    fn decide(&self, question: &Question) -> Decision {
        let _ = question;
        Decision::unknown()
    }
}

/// Why an evaluation has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvalError {
    /// In the words of the reference implementation.
    Failed(String),
    /// The expression costs more than one may.
    TooExpensive,
}

impl std::fmt::Display for EvalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(words) => f.write_str(words),
            Self::TooExpensive => f.write_str("operation cancelled: actual cost limit exceeded"),
        }
    }
}

impl std::error::Error for EvalError {}

pub(crate) type Evaluated = Result<Val, EvalError>;

pub(crate) fn failed<T>(words: impl Into<String>) -> Result<T, EvalError> {
    Err(EvalError::Failed(words.into()))
}

pub(crate) struct Evaluator<'a> {
    pub(crate) activation: &'a dyn Activation,
    pub(crate) meter: Meter,
    /// Variables of comprehensions, innermost last.
    scopes: Vec<(Text, Val)>,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(activation: &'a dyn Activation, limit: u64) -> Self {
        Self { activation, meter: Meter::new(limit), scopes: Vec::new() }
    }

    fn spend(&mut self, cost: u64) -> Result<(), EvalError> {
        if self.meter.spend(cost) { Ok(()) } else { Err(EvalError::TooExpensive) }
    }

    pub(crate) fn eval(&mut self, expr: &Expr) -> Evaluated {
        match &expr.node {
            Node::Literal(literal) => Ok(value_of_literal(literal)),
            Node::Ident(name) => self.ident(name),
            Node::Select { operand, field, is_test } => self.select(operand, field, *is_test),
            Node::Call { function, target, args } => self.call(function, target.as_deref(), args),
            Node::List { items, optional } => self.list(items, optional),
            Node::Map(entries) => self.map(entries),
            Node::Struct { name, fields } => self.made(name, fields),
            Node::Comprehension(it) => self.comprehension(it),
        }
    }

    fn ident(&mut self, name: &str) -> Evaluated {
        self.spend(1)?;
        if let Some((_, value)) = self.scopes.iter().rev().find(|(local, _)| local == name) {
            return Ok(value.clone());
        }
        if let Some(value) = self.activation.variable(name) {
            return Ok(value);
        }
        match crate::kind::Type::named(name) {
            Some(its) => Ok(Val::Type(its)),
            None => failed(format!("no such attribute(s): {name}")),
        }
    }

    fn select(&mut self, operand: &Expr, field: &str, is_test: bool) -> Evaluated {
        if let Node::Ident(name) = &operand.node
            && let Some(found) = self.activation.lazy_field(name, field)
        {
            self.spend(if is_test { 1 } else { 2 })?;
            return match found {
                Ok(_) if is_test => Ok(Val::Bool(true)),
                Ok(value) => Ok(value),
                Err(words) => failed(words),
            };
        }
        let value = self.eval(operand)?;
        if is_test {
            return has_field(&value, field).map(Val::Bool);
        }
        self.spend(1)?;
        select_field(&value, field)
    }

    fn call(&mut self, function: &str, target: Option<&Expr>, args: &[Expr]) -> Evaluated {
        match (function, args) {
            ("_&&_", [left, right]) => return self.logical(left, right, false),
            ("_||_", [left, right]) => return self.logical(left, right, true),
            ("_?_:_", [condition, yes, no]) => {
                return match self.eval(condition)? {
                    Val::Bool(true) => self.eval(yes),
                    Val::Bool(false) => self.eval(no),
                    _ => failed("no such overload"),
                };
            }
            ("@not_strictly_false", [arg]) => {
                return match self.eval(arg) {
                    Err(EvalError::TooExpensive) => Err(EvalError::TooExpensive),
                    value => Ok(Val::Bool(!matches!(value, Ok(Val::Bool(false))))),
                };
            }
            ("_?._", [operand, field]) => {
                let operand = self.eval(operand)?;
                let Node::Literal(Literal::String(field)) = &field.node else {
                    return failed("no such overload");
                };
                self.spend(1)?;
                return optional_field(&operand, field);
            }
            _ => {}
        }
        if let (Some(target), "or" | "orValue") = (target, function) {
            return self.or(target, args, function);
        }
        let mut values = Vec::with_capacity(args.len() + 1);
        if let Some(target) = target {
            values.push(self.eval(target)?);
        }
        for arg in args {
            values.push(self.eval(arg)?);
        }
        let result = library::call(function, &values, self.activation);
        let shown = result.as_ref().unwrap_or(&Val::Null);
        let cost = match function {
            "_[_]" | "_[?_]" => 1,
            _ => cost::of_call(function, &values, shown),
        };
        self.spend(cost)?;
        result
    }

    fn logical(&mut self, left: &Expr, right: &Expr, decisive: bool) -> Evaluated {
        let left = match self.eval(left) {
            Ok(Val::Bool(value)) if value == decisive => return Ok(Val::Bool(decisive)),
            Err(EvalError::TooExpensive) => return Err(EvalError::TooExpensive),
            other => other,
        };
        let right = match self.eval(right) {
            Ok(Val::Bool(value)) if value == decisive => return Ok(Val::Bool(decisive)),
            Err(EvalError::TooExpensive) => return Err(EvalError::TooExpensive),
            other => other,
        };
        match (left, right) {
            (Ok(Val::Bool(_)), Ok(Val::Bool(value))) => Ok(Val::Bool(value)),
            (Err(error), _) | (Ok(_), Err(error)) => Err(error),
            (Ok(_), Ok(_)) => failed("no such overload"),
        }
    }

    /// The other side is evaluated only where the first has no value.
    fn or(&mut self, target: &Expr, args: &[Expr], function: &str) -> Evaluated {
        let Val::Optional(value) = self.eval(target)? else { return failed("no such overload") };
        let [other] = args else { return failed("no such overload") };
        self.spend(1)?;
        match value {
            Some(value) if function == "orValue" => Ok(value.as_ref().clone()),
            Some(value) => Ok(Val::Optional(Some(value))),
            None => self.eval(other),
        }
    }

    fn list(&mut self, items: &[Expr], optional: &[usize]) -> Evaluated {
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let value = self.eval(item)?;
            if !optional.contains(&index) {
                values.push(value);
                continue;
            }
            match value {
                Val::Optional(Some(value)) => values.push(value.as_ref().clone()),
                Val::Optional(None) => {}
                other => {
                    return failed(format!(
                        "cannot initialize optional list element from non-optional value {}",
                        other.type_name()
                    ));
                }
            }
        }
        self.spend(cost::LIST)?;
        Ok(Val::list(values))
    }

    fn map(&mut self, entries: &[Entry]) -> Evaluated {
        let mut map = Map::new();
        for entry in entries {
            let key = self.eval(&entry.key)?;
            let value = self.eval(&entry.value)?;
            let Some(key) = Key::of(&key) else {
                return failed(format!("unsupported key type: {}", key.type_name()));
            };
            match value {
                Val::Optional(value) if entry.is_optional => {
                    if let Some(value) = value {
                        map.insert(key, value.as_ref().clone());
                    }
                }
                value => {
                    map.insert(key, value);
                }
            }
        }
        self.spend(cost::MAP)?;
        Ok(Val::Map(Arc::new(map)))
    }

    fn made(&mut self, name: &str, fields: &[Field]) -> Evaluated {
        let mut object = Object { name: Text::from(name), fields: std::collections::BTreeMap::new() };
        for field in fields {
            let value = match self.eval(&field.value)? {
                Val::Optional(None) if field.is_optional => continue,
                Val::Optional(Some(value)) if field.is_optional => value.as_ref().clone(),
                value => value,
            };
            object.fields.insert(field.name.clone(), value);
        }
        self.spend(cost::STRUCT)?;
        if name != JSON_PATCH && !is_patch_object(name) {
            return failed(format!("unknown type: '{name}'"));
        }
        Ok(Val::Object(Arc::new(object)))
    }

    fn comprehension(&mut self, it: &Comprehension) -> Evaluated {
        let range = self.eval(&it.range)?;
        let start = self.eval(&it.start)?;
        let pairs = pairs_of(&range, it.second_variable.is_some())?;
        let base = self.scopes.len();
        self.scopes.push((it.accumulator.clone(), start));
        let outcome = self.fold(it, pairs, base);
        let result = match outcome {
            Ok(()) => self.eval(&it.result),
            Err(error) => Err(error),
        };
        self.scopes.truncate(base);
        result
    }

    /// Runs the loop. An accumulator that failed is kept aside: a later round of `all` or `exists` may still decide.
    fn fold(&mut self, it: &Comprehension, pairs: Vec<(Val, Val)>, base: usize) -> Result<(), EvalError> {
        let mut pending: Option<EvalError> = None;
        for (first, second) in pairs {
            // An error is not strictly false, so that the loop goes on after one.
            if pending.is_none() {
                match self.eval(&it.condition) {
                    Ok(Val::Bool(false)) => break,
                    Ok(_) => {}
                    Err(error) => return Err(error),
                }
            }
            self.spend(1)?;
            self.scopes.push((it.variable.clone(), first));
            if let Some(name) = &it.second_variable {
                self.scopes.push((name.clone(), second));
            }
            let step = self.step(it, base, pending.take());
            self.scopes.truncate(base + 1);
            match step {
                Ok(value) => {
                    if let Some(slot) = self.scopes.get_mut(base) {
                        slot.1 = value;
                    }
                }
                Err(EvalError::TooExpensive) => return Err(EvalError::TooExpensive),
                Err(error) if is_quantifier(it) => pending = Some(error),
                Err(error) => return Err(error),
            }
            if pending.is_none() && is_quantifier(it) && self.is_decided(it, base) {
                break;
            }
        }
        pending.map_or(Ok(()), Err)
    }

    /// Whether `all` has met false, or `exists` true.
    fn is_decided(&self, it: &Comprehension, base: usize) -> bool {
        let decisive = is_call(&it.step, "_||_");
        self.scopes.get(base).is_some_and(|(_, value)| value.as_bool() == Some(decisive))
    }

    fn step(&mut self, it: &Comprehension, base: usize, pending: Option<EvalError>) -> Evaluated {
        if let Some(error) = pending {
            // The accumulator is the error; only a decisive value of this round is stronger.
            let Node::Call { args, .. } = &it.step.node else { return Err(error) };
            let Some(predicate) = args.last() else { return Err(error) };
            let decisive = is_call(&it.step, "_||_");
            return match self.eval(predicate) {
                Ok(Val::Bool(value)) if value == decisive => Ok(Val::Bool(value)),
                Err(EvalError::TooExpensive) => Err(EvalError::TooExpensive),
                _ => Err(error),
            };
        }
        self.grow(&it.step, &it.accumulator, base)
    }

    /// A step that adds to the accumulator adds in place: copying it every time would make long lists take forever.
    fn grow(&mut self, step: &Expr, accumulator: &str, base: usize) -> Evaluated {
        let Node::Call { function, target: None, args } = &step.node else { return self.eval(step) };
        match (function.as_str(), args.as_slice()) {
            ("_?_:_", [condition, yes, no]) => match self.eval(condition)? {
                Val::Bool(true) => self.grow(yes, accumulator, base),
                Val::Bool(false) => self.eval(no),
                _ => failed("no such overload"),
            },
            ("_+_", [left, Expr { node: Node::List { items, optional }, .. }])
                if is_ident(left, accumulator) && optional.is_empty() =>
            {
                let mut added = Vec::with_capacity(items.len());
                for item in items {
                    added.push(self.eval(item)?);
                }
                self.spend(2 + cost::LIST)?;
                match self.taken(base) {
                    Val::List(mut list) => {
                        Arc::make_mut(&mut list).items.extend(added);
                        Ok(Val::List(list))
                    }
                    _ => failed("no such overload"),
                }
            }
            ("cel.@mapInsert", [left, rest @ ..]) if is_ident(left, accumulator) => {
                let mut values = Vec::with_capacity(rest.len());
                for value in rest {
                    values.push(self.eval(value)?);
                }
                self.spend(2)?;
                library::insert(self.taken(base), &values)
            }
            _ => self.eval(step),
        }
    }

    fn taken(&mut self, base: usize) -> Val {
        self.scopes.get_mut(base).map_or(Val::Null, |slot| std::mem::replace(&mut slot.1, Val::Null))
    }
}

fn is_ident(expr: &Expr, name: &str) -> bool {
    matches!(&expr.node, Node::Ident(ident) if ident == name)
}

fn is_call(expr: &Expr, name: &str) -> bool {
    matches!(&expr.node, Node::Call { function, .. } if function == name)
}

/// Whether a comprehension is `all` or `exists`.
fn is_quantifier(it: &Comprehension) -> bool {
    is_call(&it.condition, "@not_strictly_false")
}

/// What a comprehension goes over: elements, keys, or with two variables indexes with elements and keys with values.
fn pairs_of(range: &Val, has_two: bool) -> Result<Vec<(Val, Val)>, EvalError> {
    Ok(match range {
        Val::List(list) if has_two => {
            let numbered = list.items.iter().enumerate();
            numbered
                .map(|(index, item)| (Val::Int(i64::try_from(index).unwrap_or(i64::MAX)), item.clone()))
                .collect()
        }
        Val::List(list) => list.items.iter().map(|item| (item.clone(), Val::Null)).collect(),
        Val::Map(map) => map.iter().map(|(key, value)| (key.value(), value.clone())).collect(),
        Val::Object(object) => {
            object.fields.iter().map(|(name, value)| (Val::String(name.clone()), value.clone())).collect()
        }
        other => return failed(format!("got '{}', expected iterable type", go_type(other))),
    })
}

/// What the reference implementation calls the type of a value inside, which one of its messages shows.
fn go_type(value: &Val) -> &'static str {
    match value {
        Val::Null => "types.Null",
        Val::Bool(_) => "types.Bool",
        Val::Int(_) => "types.Int",
        Val::Uint(_) => "types.Uint",
        Val::Double(_) => "types.Double",
        Val::String(_) => "types.String",
        Val::Bytes(_) => "types.Bytes",
        Val::Timestamp(_) => "types.Timestamp",
        Val::Duration(_) => "types.Duration",
        Val::Optional(_) => "*types.Optional",
        _ => "*types.Type",
    }
}

/// Whether a field is there. Of what has no fields, such as null, it is not; to ask a list is an error.
fn has_field(value: &Val, field: &str) -> Result<bool, EvalError> {
    Ok(match value {
        Val::Map(map) => map.contains_key(&Key::String(Text::from(field))),
        Val::Object(object) => object.fields.contains_key(field),
        Val::Optional(None) => false,
        Val::Optional(Some(value)) => has_field(value, field)?,
        Val::List(_) => return failed(format!("no such key: {field}")),
        _ => false,
    })
}

pub(crate) fn select_field(value: &Val, field: &str) -> Evaluated {
    let found = match value {
        Val::Map(map) => map.get(&Key::String(Text::from(field))).cloned(),
        Val::Object(object) => object.fields.get(field).cloned(),
        Val::Optional(None) => return Ok(Val::Optional(None)),
        Val::Optional(Some(value)) => return optional_field(value, field),
        _ => None,
    };
    found.map_or_else(|| failed(format!("no such key: {field}")), Ok)
}

fn optional_field(value: &Val, field: &str) -> Evaluated {
    let found = match value {
        Val::Map(map) => map.get(&Key::String(Text::from(field))),
        Val::Object(object) => object.fields.get(field),
        Val::Optional(None) => None,
        Val::Optional(Some(value)) => return optional_field(value, field),
        _ => return failed(format!("no such key: {field}")),
    };
    Ok(Val::Optional(found.cloned().map(Arc::new)))
}

/// An element of a list or map.
pub(crate) fn index(value: &Val, index: &Val) -> Evaluated {
    match value {
        Val::List(list) => {
            let at = match index {
                Val::Int(at) => *at,
                Val::Uint(at) => i64::try_from(*at).unwrap_or(i64::MAX),
                Val::Double(at) if at.fract() == 0.0 => *at as i64,
                other => return failed(format!("unsupported index type '{}' in list", other.type_name())),
            };
            let found = usize::try_from(at).ok().and_then(|at| list.items.get(at)).cloned();
            found.map_or_else(|| failed(format!("index out of bounds: {at}")), Ok)
        }
        Val::Map(map) => match find(map, index) {
            Some(found) => Ok(found.clone()),
            None => failed(format!("no such key: {}", library::shown(index))),
        },
        Val::Object(object) => match index {
            Val::String(field) => select_field(&Val::Object(Arc::clone(object)), field),
            other => failed(format!("no such key: {}", library::shown(other))),
        },
        Val::Optional(None) => Ok(Val::Optional(None)),
        Val::Optional(Some(value)) => optional_index(value, index),
        _ => failed(format!("no such key: {}", library::shown(index))),
    }
}

pub(crate) fn optional_index(value: &Val, at: &Val) -> Evaluated {
    if let Val::Optional(inner) = value {
        return inner.as_ref().map_or(Ok(Val::Optional(None)), |inner| optional_index(inner, at));
    }
    match index(value, at) {
        Ok(found) => Ok(Val::some(found)),
        Err(EvalError::Failed(words))
            if words.starts_with("no such key") || words.starts_with("index out of bounds") =>
        {
            Ok(Val::Optional(None))
        }
        Err(error) => Err(error),
    }
}

pub(crate) fn value_of_literal(literal: &Literal) -> Val {
    match literal {
        Literal::Null => Val::Null,
        Literal::Bool(value) => Val::Bool(*value),
        Literal::Int(value) => Val::Int(*value),
        Literal::Uint(value) => Val::Uint(*value),
        Literal::Double(value) => Val::Double(*value),
        Literal::String(value) => Val::String(value.clone()),
        Literal::Bytes(value) => Val::Bytes(value.as_slice().into()),
    }
}
