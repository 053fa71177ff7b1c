//! The checker: every name is declared, every type fits (`checker/checker.go` of the reference implementation).
//!
//! Names that stand for a declared variable with dots in it, and calls of functions with dots, are settled here, so that
//! evaluation does not ask again.

use std::collections::BTreeMap;

use trueup_object::value::Text;

use crate::ast::{Comprehension, Entry, Expr, Field, Literal, Node};
use crate::declare::{Declarations, Overload};
use crate::kind::Type;
use crate::report::{Problem, Source};
use crate::unify::{Mapping, instantiate, most_general};

/// What the checker knows of each node, by its number.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) types: BTreeMap<u32, Type>,
    /// The forms of a call's function that fit its arguments.
    pub(crate) forms: BTreeMap<u32, Vec<&'static Overload>>,
}

/// What the checker finds.
pub(crate) struct Checked {
    pub(crate) facts: Facts,
    pub(crate) its: Type,
    /// What makes the expression unusable.
    pub(crate) problems: Vec<Problem>,
    /// Lists and maps whose elements are of several types, which is refused where nothing else is.
    pub(crate) mixed: Vec<Problem>,
}

/// Checks an expression and says its type.
pub(crate) fn check(expr: &mut Expr, declared: &Declarations, source: &Source) -> Checked {
    let mut checker = Checker {
        declared,
        source,
        mapping: Mapping::default(),
        scopes: Vec::new(),
        problems: Vec::new(),
        mixed: Vec::new(),
        n_formats: 0,
        facts: Facts::default(),
    };
    let its = checker.check(expr);
    let its = checker.mapping.substitute(&its, true);
    let mut facts = checker.facts;
    for its in facts.types.values_mut() {
        *its = checker.mapping.substitute(its, true);
    }
    Checked { facts, its, problems: checker.problems, mixed: checker.mixed }
}

struct Checker<'a> {
    declared: &'a Declarations,
    source: &'a Source,
    mapping: Mapping,
    /// Variables of comprehensions, innermost last.
    scopes: Vec<(Text, Type)>,
    problems: Vec<Problem>,
    mixed: Vec<Problem>,
    facts: Facts,
    /// How many calls of `format` stand around what is being checked: their arguments may be mixed.
    n_formats: usize,
}

impl Checker<'_> {
    fn problem(&mut self, at: u32, words: String) {
        self.problems.push(self.source.problem(at, words));
    }

    fn ident(&self, name: &str) -> Option<Type> {
        let local = self.scopes.iter().rev().find(|(local, _)| local == name);
        local.map(|(_, its)| its.clone()).or_else(|| self.declared.ident(name))
    }

    fn check(&mut self, expr: &mut Expr) -> Type {
        let its = self.typed(expr);
        self.facts.types.insert(expr.id, its.clone());
        its
    }

    fn typed(&mut self, expr: &mut Expr) -> Type {
        let (id, at) = (expr.id, expr.at);
        if matches!(expr.node, Node::Select { is_test: false, .. })
            && let Some(name) = expr.qualified_name()
            && let Some(its) = self.ident(&name)
        {
            expr.node = Node::Ident(Text::from(name));
            return its;
        }
        match &mut expr.node {
            Node::Literal(literal) => type_of_literal(literal),
            Node::Ident(name) => match self.ident(name) {
                Some(its) => its,
                None => self.undeclared(at, &name.clone()),
            },
            Node::Select { operand, field, is_test } => {
                let (field, is_test) = (field.clone(), *is_test);
                let its = self.select(at, operand, &field, false);
                if is_test { Type::Bool } else { self.mapping.substitute(&its, false) }
            }
            Node::Call { function, target, args } => {
                let function = function.clone();
                self.call((id, at), &function, target.as_deref_mut(), args)
            }
            Node::List { items, optional } => {
                let optional = std::mem::take(optional);
                let its = self.list(items, &optional);
                if let Node::List { optional: slot, .. } = &mut expr.node {
                    *slot = optional;
                }
                its
            }
            Node::Map(entries) => self.map(entries),
            Node::Struct { name, fields } => {
                let name = name.clone();
                self.made(at, &name, fields)
            }
            Node::Comprehension(it) => self.comprehension(it),
        }
    }

    fn undeclared(&mut self, at: u32, name: &str) -> Type {
        self.problem(at, format!("undeclared reference to '{name}' (in container '')"));
        Type::Error
    }

    fn select(&mut self, at: u32, operand: &mut Expr, field: &str, optional: bool) -> Type {
        let operand = self.check(operand);
        let operand = self.mapping.substitute(&operand, false);
        let (target, is_optional) = unwrap_optional(operand);
        let result = match &target {
            Type::Map(types) => types.1.clone(),
            Type::Object(name) => self.field(at, name, field),
            Type::Var(_) => {
                self.mapping.assignable(&Type::Dyn, &target);
                Type::Dyn
            }
            Type::Dyn | Type::Error => Type::Dyn,
            _ => {
                self.problem(at, format!("type '{target}' does not support field selection"));
                Type::Dyn
            }
        };
        if is_optional || optional { Type::optional(result) } else { result }
    }

    fn field(&mut self, at: u32, name: &str, field: &str) -> Type {
        match self.declared.field(name, field) {
            Some(Some(its)) => its,
            Some(None) => {
                self.problem(at, format!("undefined field '{field}'"));
                Type::Error
            }
            None => {
                self.problem(at, format!("unexpected failed resolution of '{name}'"));
                Type::Error
            }
        }
    }

    fn call(
        &mut self,
        (id, at): (u32, u32),
        function: &str,
        target: Option<&mut Expr>,
        args: &mut [Expr],
    ) -> Type {
        if function == "_?._" {
            return self.optional_select(at, args);
        }
        let is_format = function == "format";
        self.n_formats += usize::from(is_format);
        let mut types: Vec<Type> = args.iter_mut().map(|arg| self.check(arg)).collect();
        let is_member = target.is_some();
        if let Some(target) = target {
            types.insert(0, self.check(target));
        }
        self.n_formats -= usize::from(is_format);
        let Some(overloads) = self.declared.overloads(function) else {
            return self.undeclared(at, function);
        };
        self.resolve((id, at), function, overloads, &types, is_member, args)
    }

    fn optional_select(&mut self, at: u32, args: &mut [Expr]) -> Type {
        let [operand, field] = args else { return Type::Error };
        let Node::Literal(Literal::String(name)) = &field.node else {
            let at = field.at;
            self.problem(at, "unsupported optional field selection: not a text".to_owned());
            return Type::Error;
        };
        let name = name.clone();
        let its = self.select(at, operand, &name, true);
        self.mapping.substitute(&its, false)
    }

    fn resolve(
        &mut self,
        (id, at): (u32, u32),
        function: &str,
        overloads: &'static [Overload],
        types: &[Type],
        is_member: bool,
        args: &[Expr],
    ) -> Type {
        if matches!(function, "_&&_" | "_||_") {
            self.facts.forms.insert(id, overloads.iter().collect());
            return self.logical(types, args);
        }
        let mut result: Option<Type> = None;
        for overload in overloads.iter().filter(|overload| overload.is_member == is_member) {
            if overload.args.len() != types.len() {
                continue;
            }
            let variables: Vec<Type> = (0..overload.n_params).map(|_| self.mapping.fresh()).collect();
            let wanted: Vec<Type> = overload.args.iter().map(|it| instantiate(it, &variables)).collect();
            if !self.mapping.all_assignable(types, &wanted) {
                continue;
            }
            let found = self.mapping.substitute(&instantiate(&overload.result, &variables), false);
            self.facts.forms.entry(id).or_default().push(overload);
            result = Some(match result {
                None => found,
                Some(Type::Dyn) => Type::Dyn,
                Some(before) if before == found => before,
                Some(_) => Type::Dyn,
            });
        }
        if let Some(result) = result {
            return result;
        }
        let mut shown = types.iter().map(|it| self.mapping.substitute(it, true).to_string());
        let target =
            if is_member { shown.next().map(|it| it + ".").unwrap_or_default() } else { String::new() };
        let shown: Vec<String> = shown.collect();
        let signature = format!("{target}({})", shown.join(", "));
        self.problem(at, format!("found no matching overload for '{function}' applied to '{signature}'"));
        Type::Error
    }

    fn logical(&mut self, types: &[Type], args: &[Expr]) -> Type {
        let mut result = Type::Bool;
        for (its, arg) in types.iter().zip(args) {
            if !self.mapping.assignable(its, &Type::Bool) {
                self.mismatch(arg.at, &Type::Bool, its);
                result = Type::Error;
            }
        }
        result
    }

    fn mismatch(&mut self, at: u32, expected: &Type, found: &Type) {
        self.problem(at, format!("expected type '{expected}' but found '{found}'"));
    }

    /// The type inside an optional value, where one is written with a question mark.
    fn unwrapped(&mut self, at: u32, its: Type) -> Type {
        let (inner, is_optional) = unwrap_optional(its);
        if !is_optional && inner != Type::Dyn {
            self.mismatch(at, &Type::optional(inner.clone()), &inner);
        }
        inner
    }

    /// The type of elements, with one more. Elements of several types are of any; told is only that they are several.
    fn join(&mut self, at: u32, elements: &mut Option<Elements>, now: Type) {
        let Some(Elements { first, joined, is_mixed }) = elements else {
            *elements = Some(Elements { first: now.clone(), joined: now, is_mixed: false });
            return;
        };
        let fits = self.mapping.assignable(joined, &now);
        *joined = if fits { most_general(joined, &now).clone() } else { Type::Dyn };
        let (before, now) = (self.mapping.substitute(first, false), self.mapping.substitute(&now, false));
        if before != now && !is_open(&before) && !is_open(&now) && !*is_mixed && self.n_formats == 0 {
            *is_mixed = true;
            let words = format!("expected type '{before}' but found '{now}'");
            self.mixed.push(self.source.problem(at, words));
        }
    }

    fn list(&mut self, items: &mut [Expr], optional: &[usize]) -> Type {
        let mut element = None;
        for (index, item) in items.iter_mut().enumerate() {
            let mut its = self.check(item);
            if optional.contains(&index) {
                its = self.unwrapped(item.at, its);
            }
            self.join(item.at, &mut element, its);
        }
        Type::list(element.map_or_else(|| self.mapping.fresh(), |it| it.joined))
    }

    fn map(&mut self, entries: &mut [Entry]) -> Type {
        let (mut key, mut value) = (None, None);
        for entry in entries {
            let its = self.check(&mut entry.key);
            self.join(entry.key.at, &mut key, its);
            let mut its = self.check(&mut entry.value);
            if entry.is_optional {
                its = self.unwrapped(entry.value.at, its);
            }
            self.join(entry.value.at, &mut value, its);
        }
        let key = key.map_or_else(|| self.mapping.fresh(), |it| it.joined);
        Type::map(key, value.map_or_else(|| self.mapping.fresh(), |it| it.joined))
    }

    fn made(&mut self, at: u32, name: &str, fields: &mut [Field]) -> Type {
        let its = match self.ident(name) {
            None => return self.undeclared(at, name),
            Some(Type::Type(Some(inner))) => match inner.as_ref() {
                Type::Object(_) => inner.as_ref().clone(),
                other => {
                    let words = format!("'{}' is not a message type", other.name());
                    self.problem(at, words);
                    Type::Error
                }
            },
            Some(other) => {
                self.problem(at, format!("'{}' is not a type", other.name()));
                Type::Error
            }
        };
        for field in fields {
            let mut found = self.check(&mut field.value);
            let wanted = if its == Type::Error {
                Type::Error
            } else {
                self.field(field.at, name, &field.name.clone())
            };
            if field.is_optional {
                found = self.unwrapped(field.value.at, found);
            }
            if !self.mapping.assignable(&wanted, &found) {
                let words = format!(
                    "expected type of field '{}' is '{wanted}' but provided type is '{found}'",
                    field.name
                );
                self.problem(field.at, words);
            }
        }
        its
    }

    fn comprehension(&mut self, it: &mut Comprehension) -> Type {
        let range = self.check(&mut it.range);
        let accumulator = self.check(&mut it.start);
        let range = self.mapping.substitute(&range, false);
        let n_scopes = self.scopes.len();
        self.scopes.push((it.accumulator.clone(), accumulator.clone()));
        let has_two = it.second_variable.is_some();
        let (first, second) = match &range {
            Type::List(element) if has_two => (Type::Int, element.as_ref().clone()),
            Type::List(element) => (element.as_ref().clone(), Type::Error),
            Type::Map(types) => types.as_ref().clone(),
            Type::Dyn | Type::Error | Type::Var(_) => {
                self.mapping.assignable(&Type::Dyn, &range);
                (Type::Dyn, Type::Dyn)
            }
            _ => {
                let words = format!(
                    "expression of type '{range}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                self.problem(it.range.at, words);
                (Type::Error, Type::Error)
            }
        };
        self.scopes.push((it.variable.clone(), first));
        if let Some(name) = &it.second_variable {
            self.scopes.push((name.clone(), second));
        }
        let found = self.check(&mut it.condition);
        self.assert(it.condition.at, &Type::Bool, &found);
        let found = self.check(&mut it.step);
        self.assert(it.step.at, &accumulator, &found);
        self.scopes.truncate(n_scopes + 1);
        let result = self.check(&mut it.result);
        self.scopes.truncate(n_scopes);
        self.mapping.substitute(&result, false)
    }

    fn assert(&mut self, at: u32, wanted: &Type, found: &Type) {
        if !self.mapping.assignable(wanted, found) {
            self.mismatch(at, wanted, found);
        }
    }
}

/// The types of the elements of a list, or of the keys or values of a map.
struct Elements {
    first: Type,
    joined: Type,
    /// It was told already that they are several.
    is_mixed: bool,
}

/// Whether inference has still to find out a part of a type.
fn is_open(its: &Type) -> bool {
    match its {
        Type::Var(_) => true,
        Type::List(inner) | Type::Optional(inner) | Type::Type(Some(inner)) => is_open(inner),
        Type::Map(types) => is_open(&types.0) || is_open(&types.1),
        _ => false,
    }
}

fn unwrap_optional(its: Type) -> (Type, bool) {
    match its {
        Type::Optional(inner) => (inner.as_ref().clone(), true),
        other => (other, false),
    }
}

fn type_of_literal(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint(_) => Type::Uint,
        Literal::Double(_) => Type::Double,
        Literal::String(_) => Type::String,
        Literal::Bytes(_) => Type::Bytes,
    }
}
