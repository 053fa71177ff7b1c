//! What can be said of constants without evaluating: texts that are to be durations, timestamps and patterns.

use regex::Regex;

use crate::ast::{Expr, Literal, Node};
use crate::library::text::regex_problem;
use crate::library::time::{parse_duration, parse_timestamp};
use crate::report::{Problem, Source};

/// The constants that cannot be what they stand for.
pub(crate) fn check(root: &Expr, source: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    walk(root, &mut |expr| {
        let Node::Call { function, target, args } = &expr.node else { return };
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
