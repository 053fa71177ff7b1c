//! What can be said of constants without evaluating: texts that are to be durations, timestamps and patterns.

use regex::Regex;

use crate::ast::{Expr, Literal, Node};
use crate::eval::{EvalError, value_of_literal};
use crate::library::convert;
use crate::library::format::filled;
use crate::library::text::regex_problem;
use crate::library::time::{parse_duration, parse_timestamp};
use crate::report::{Problem, Source};

/// The constants that cannot be what they stand for.
pub(crate) fn check(root: &Expr, source: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    walk(root, &mut |expr| {
        let Node::Call { function, target, args } = &expr.node else { return };
        if let ("format", Some(template), [Expr { node: Node::List { items, .. }, .. }]) =
            (function.as_str(), target.as_deref(), args.as_slice())
            && let Node::Literal(Literal::String(template)) = &template.node
        {
            problems.extend(
                format_problem(expr.at, template, items).map(|(at, words)| source.problem(at, words)),
            );
            return;
        }
        let text = |expr: Option<&Expr>| match expr.map(|expr| (&expr.node, expr.at)) {
            Some((Node::Literal(Literal::String(text)), at)) => Some((text.clone(), at)),
            Some(_) | None => None,
        };
        let word = match function.as_str() {
            "duration" | "timestamp" if target.is_none() => text(args.first()),
            "matches" | "find" | "findAll" => text(if target.is_some() { args.first() } else { args.get(1) }),
            _ => None,
        };
        let Some((word, at)) = word else { return };
        let words = match function.as_str() {
            "duration" => parse_duration(&word).is_none().then(|| "invalid duration argument".to_owned()),
            "timestamp" => parse_timestamp(&word).is_none().then(|| "invalid timestamp argument".to_owned()),
            "matches" => Regex::new(&word).err().map(|_| "invalid matches argument".to_owned()),
            _ => Regex::new(&word).err().map(|error| {
                format!("Illegal regex: error parsing regexp: {}", regex_problem(&word, &error))
            }),
        };
        problems.extend(words.map(|words| source.problem(at, words)));
    });
    problems
}

/// What is wrong with a template and the list of what goes into it, and where.
fn format_problem(at: u32, template: &str, items: &[Expr]) -> Option<(u32, String)> {
    let (mut rest, mut n_used) = (template, 0);
    while let Some((_, clause)) = rest.split_once('%') {
        if let Some(after) = clause.strip_prefix('%') {
            rest = after;
            continue;
        }
        let Some(item) = items.get(n_used) else { return Some((at, format!("index {n_used} out of range"))) };
        if clause.is_empty() {
            return Some((at, "unexpected end of string".to_owned()));
        }
        n_used += 1;
        // Of what is no constant only the clause can be judged, with a value that fits any of them where one does.
        let literal = if let Node::Literal(literal) = &item.node { Some(literal) } else { None };
        let value = literal.map_or(crate::Val::Null, value_of_literal);
        match filled(clause, &value) {
            Ok((_, after)) => rest = after,
            Err(words) if words.starts_with("error during formatting") => {
                if literal.is_some() {
                    return Some((item.at, words));
                }
                rest = clause.trim_start_matches(|it: char| it == '.' || it.is_ascii_digit());
                rest = rest.get(1..).unwrap_or_default();
            }
            Err(words) => return Some((at, words)),
        }
    }
    (items.len() > n_used).then(|| {
        let n = items.len();
        (at, format!("too many arguments supplied to string.format (expected {n_used}, got {n})"))
    })
}

/// Why a program cannot be made of an expression: a conversion of a constant that has no value.
pub(crate) fn instantiate(root: &Expr) -> Option<String> {
    let mut problem = None;
    walk(root, &mut |expr| {
        let Node::Call { function, target: None, args } = &expr.node else { return };
        let [Expr { node: Node::Literal(literal), .. }] = args.as_slice() else { return };
        if let Some(Err(EvalError::Failed(words))) = convert::call(function, &[value_of_literal(literal)]) {
            problem.get_or_insert(words);
        }
    });
    problem
}

/// All names in an expression.
pub(crate) fn names(root: &Expr, names: &mut Vec<String>) {
    walk(root, &mut |expr| {
        if let Node::Ident(name) = &expr.node {
            names.push(name.to_string());
        }
    });
}

fn walk(expr: &Expr, visit: &mut dyn FnMut(&Expr)) {
    visit(expr);
    match &expr.node {
        Node::Literal(_) | Node::Ident(_) => {}
        Node::Select { operand, .. } => walk(operand, visit),
        Node::Call { target, args, .. } => {
            if let Some(target) = target {
                walk(target, visit);
            }
            args.iter().for_each(|arg| walk(arg, visit));
        }
        Node::List { items, .. } => items.iter().for_each(|item| walk(item, visit)),
        Node::Map(entries) => {
            for entry in entries {
                walk(&entry.key, visit);
                walk(&entry.value, visit);
            }
        }
        Node::Struct { fields, .. } => fields.iter().for_each(|field| walk(&field.value, visit)),
        Node::Comprehension(it) => {
            for part in [&it.range, &it.start, &it.condition, &it.step, &it.result] {
                walk(part, visit);
            }
        }
    }
}
