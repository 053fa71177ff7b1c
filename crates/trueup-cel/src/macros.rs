//! The macros beyond the language's own: comprehensions with two variables, optional values, sorting by a key.

use cel::Env;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, Expr, IdedExpr, ListExpr, LiteralValue, MapExpr, operators,
};
use cel::parser::{Macro, MacroExprHelper, ParseError};

const RESULT: &str = "@result";
const UNUSED: &str = "#unused";
const SORTED: &str = "@__sortBy_input__";

type Expanded = Result<Option<IdedExpr>, ParseError>;

/// A language with all the macros of an API server.
pub(crate) fn language() -> Env {
    let mut env = Env::stdlib().with_optional_support(true);
    let macros = [
        Macro::receiver("all", 3, |helper, target, args| quantifier(helper, target, args, Quantifier::All)),
        Macro::receiver("exists", 3, |helper, target, args| {
            quantifier(helper, target, args, Quantifier::Exists)
        }),
        Macro::receiver("existsOne", 3, |helper, target, args| {
            quantifier(helper, target, args, Quantifier::ExistsOne)
        }),
        Macro::receiver("exists_one", 3, |helper, target, args| {
            quantifier(helper, target, args, Quantifier::ExistsOne)
        }),
        Macro::receiver("transformList", 3, |helper, target, args| {
            transform(helper, target, args, Transform::List)
        }),
        Macro::receiver("transformList", 4, |helper, target, args| {
            transform(helper, target, args, Transform::List)
        }),
        Macro::receiver("transformMap", 3, |helper, target, args| {
            transform(helper, target, args, Transform::Map)
        }),
        Macro::receiver("transformMap", 4, |helper, target, args| {
            transform(helper, target, args, Transform::Map)
        }),
        Macro::receiver("transformMapEntry", 3, |helper, target, args| {
            transform(helper, target, args, Transform::Entry)
        }),
        Macro::receiver("transformMapEntry", 4, |helper, target, args| {
            transform(helper, target, args, Transform::Entry)
        }),
        Macro::receiver("optMap", 2, |helper, target, args| optional(helper, target, args, "optMap")),
        Macro::receiver("optFlatMap", 2, |helper, target, args| optional(helper, target, args, "optFlatMap")),
        Macro::receiver("sortBy", 2, sort_by),
    ];
    for expanded in macros {
        // One that is known already stays as the language has it.
        let _ = env.add_macro(expanded);
    }
    env
}

#[derive(Clone, Copy)]
enum Quantifier {
    All,
    Exists,
    ExistsOne,
}

#[derive(Clone, Copy)]
enum Transform {
    List,
    Map,
    Entry,
}

fn ident(helper: &mut MacroExprHelper<'_>, name: &str) -> IdedExpr {
    helper.next_expr(Expr::Ident(name.to_owned()))
}

fn boolean(helper: &mut MacroExprHelper<'_>, value: bool) -> IdedExpr {
    helper.next_expr(Expr::Literal(LiteralValue::Boolean(value.into())))
}

fn integer(helper: &mut MacroExprHelper<'_>, value: i64) -> IdedExpr {
    helper.next_expr(Expr::Literal(LiteralValue::Int(value.into())))
}

fn call(
    helper: &mut MacroExprHelper<'_>,
    name: &str,
    target: Option<IdedExpr>,
    args: Vec<IdedExpr>,
) -> IdedExpr {
    helper.next_expr(Expr::Call(CallExpr { func_name: name.to_owned(), target: target.map(Box::new), args }))
}

fn simple_name(helper: &MacroExprHelper<'_>, expr: &IdedExpr, words: &str) -> Result<String, ParseError> {
    match &expr.expr {
        Expr::Ident(name) => Ok(name.clone()),
        _ => Err(helper.new_error(expr.id, words)),
    }
}

/// The two variables of a comprehension.
fn variables(helper: &MacroExprHelper<'_>, args: &[IdedExpr]) -> Result<(String, String), ParseError> {
    let [first, second, ..] = args else { return Err(helper.new_error(0, "two variables are needed")) };
    let words = "argument must be a simple name";
    let names = (simple_name(helper, first, words)?, simple_name(helper, second, words)?);
    if names.0 == names.1 {
        return Err(helper.new_error(second.id, format!("duplicate variable name: {}", names.0)));
    }
    for (name, expr) in [(&names.0, first), (&names.1, second)] {
        if name == RESULT || name == "__result__" {
            return Err(helper.new_error(expr.id, "iteration variable overwrites accumulator variable"));
        }
    }
    Ok(names)
}

struct Loop {
    variables: (String, String),
    start: IdedExpr,
    condition: IdedExpr,
    step: IdedExpr,
    result: IdedExpr,
}

fn comprehension(helper: &mut MacroExprHelper<'_>, target: &mut Option<IdedExpr>, it: Loop) -> Expanded {
    let range = target.take().unwrap_or_default();
    Ok(Some(helper.next_expr(Expr::Comprehension(Box::new(ComprehensionExpr {
        iter_range: range,
        iter_var: it.variables.0,
        iter_var2: Some(it.variables.1),
        accu_var: RESULT.to_owned(),
        accu_init: it.start,
        loop_cond: it.condition,
        loop_step: it.step,
        result: it.result,
    })))))
}

fn quantifier(
    helper: &mut MacroExprHelper<'_>,
    target: &mut Option<IdedExpr>,
    args: &mut Vec<IdedExpr>,
    sort: Quantifier,
) -> Expanded {
    let variables = variables(helper, args)?;
    let predicate = args.pop().unwrap_or_default();
    let result = ident(helper, RESULT);
    let (start, condition, step, result) = match sort {
        Quantifier::All => {
            let condition = call(helper, operators::NOT_STRICTLY_FALSE, None, vec![result.clone()]);
            let step = call(helper, operators::LOGICAL_AND, None, vec![result.clone(), predicate]);
            (boolean(helper, true), condition, step, result)
        }
        Quantifier::Exists => {
            let not = call(helper, operators::LOGICAL_NOT, None, vec![result.clone()]);
            let condition = call(helper, operators::NOT_STRICTLY_FALSE, None, vec![not]);
            let step = call(helper, operators::LOGICAL_OR, None, vec![result.clone(), predicate]);
            (boolean(helper, false), condition, step, result)
        }
        Quantifier::ExistsOne => {
            let one = integer(helper, 1);
            let more = call(helper, operators::ADD, None, vec![result.clone(), one.clone()]);
            let step = call(helper, operators::CONDITIONAL, None, vec![predicate, more, result.clone()]);
            let result = call(helper, operators::EQUALS, None, vec![result, one]);
            (integer(helper, 0), boolean(helper, true), step, result)
        }
    };
    comprehension(helper, target, Loop { variables, start, condition, step, result })
}

fn transform(
    helper: &mut MacroExprHelper<'_>,
    target: &mut Option<IdedExpr>,
    args: &mut Vec<IdedExpr>,
    sort: Transform,
) -> Expanded {
    let variables = variables(helper, args)?;
    let value = args.pop().unwrap_or_default();
    let filter = if args.len() == 3 { args.pop() } else { None };
    let result = ident(helper, RESULT);
    let (start, step) = match sort {
        Transform::List => {
            let one = helper.next_expr(Expr::List(ListExpr::new(vec![value])));
            let step = call(helper, operators::ADD, None, vec![result.clone(), one]);
            (helper.next_expr(Expr::List(ListExpr::new(Vec::new()))), step)
        }
        Transform::Map => {
            let key = ident(helper, &variables.0);
            let step = call(helper, "cel.@mapInsert", None, vec![result.clone(), key, value]);
            (helper.next_expr(Expr::Map(MapExpr::default())), step)
        }
        Transform::Entry => {
            let step = call(helper, "cel.@mapInsert", None, vec![result.clone(), value]);
            (helper.next_expr(Expr::Map(MapExpr::default())), step)
        }
    };
    let step = match filter {
        Some(filter) => call(helper, operators::CONDITIONAL, None, vec![filter, step, result.clone()]),
        None => step,
    };
    let condition = boolean(helper, true);
    comprehension(helper, target, Loop { variables, start, condition, step, result })
}

/// A value under a name: a comprehension over nothing whose accumulator is the value.
fn bind(helper: &mut MacroExprHelper<'_>, name: &str, value: IdedExpr, result: IdedExpr) -> IdedExpr {
    let range = helper.next_expr(Expr::List(ListExpr::new(Vec::new())));
    let condition = boolean(helper, false);
    let step = ident(helper, name);
    helper.next_expr(Expr::Comprehension(Box::new(ComprehensionExpr {
        iter_range: range,
        iter_var: UNUSED.to_owned(),
        iter_var2: None,
        accu_var: name.to_owned(),
        accu_init: value,
        loop_cond: condition,
        loop_step: step,
        result,
    })))
}

fn optional(
    helper: &mut MacroExprHelper<'_>,
    target: &mut Option<IdedExpr>,
    args: &mut Vec<IdedExpr>,
    name: &str,
) -> Expanded {
    let [variable, _] = args.as_slice() else { return Ok(None) };
    let words = format!("{name}() variable name must be a simple identifier");
    let variable = simple_name(helper, variable, &words)?;
    let mapped = args.pop().unwrap_or_default();
    let target = target.take().unwrap_or_default();
    let value = call(helper, "value", Some(target.clone()), Vec::new());
    let bound = bind(helper, &variable, value, mapped);
    let there = if name == "optMap" {
        let namespace = ident(helper, "optional");
        call(helper, "of", Some(namespace), vec![bound])
    } else {
        bound
    };
    let namespace = ident(helper, "optional");
    let none = call(helper, "none", Some(namespace), Vec::new());
    let has_value = call(helper, "hasValue", Some(target), Vec::new());
    Ok(Some(call(helper, operators::CONDITIONAL, None, vec![has_value, there, none])))
}

fn sort_by(
    helper: &mut MacroExprHelper<'_>,
    target: &mut Option<IdedExpr>,
    args: &mut Vec<IdedExpr>,
) -> Expanded {
    let [variable, _] = args.as_slice() else { return Ok(None) };
    if let Some(target) = target.as_ref()
        && matches!(target.expr, Expr::Literal(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified)
    {
        let words =
            "sortBy can only be applied to a list, identifier, comprehension, call or select expression";
        return Err(helper.new_error(target.id, words));
    }
    let variable = simple_name(helper, variable, "argument is not an identifier")?;
    let key = args.pop().unwrap_or_default();
    let target = target.take().unwrap_or_default();
    let input = ident(helper, SORTED);
    let result = ident(helper, RESULT);
    let one = helper.next_expr(Expr::List(ListExpr::new(vec![key])));
    let step = call(helper, operators::ADD, None, vec![result.clone(), one]);
    let start = helper.next_expr(Expr::List(ListExpr::new(Vec::new())));
    let condition = boolean(helper, true);
    let keys = helper.next_expr(Expr::Comprehension(Box::new(ComprehensionExpr {
        iter_range: input.clone(),
        iter_var: variable,
        iter_var2: None,
        accu_var: RESULT.to_owned(),
        accu_init: start,
        loop_cond: condition,
        loop_step: step,
        result,
    })));
    let sorted = call(helper, "@sortByAssociatedKeys", Some(input), vec![keys]);
    Ok(Some(bind(helper, SORTED, target, sorted)))
}
