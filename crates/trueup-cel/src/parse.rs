//! From source text to a tree.

use std::cell::Cell;
use std::sync::LazyLock;

use cel::common::ast::{EntryExpr, Expr as Parsed, IdedExpr, LiteralValue, SourceInfo};
use trueup_object::value::Text;

use crate::CompileError;
use crate::ast::{Comprehension, Entry, Expr, Field, Literal, Node};
use crate::declare::Declarations;
use crate::macros::language;
use crate::nesting::{N_CHARACTERS_MAX, N_LEVELS_MAX, depth};
use crate::report::{Problem, Source};

static LANGUAGE: LazyLock<cel::Env> = LazyLock::new(language);

/// Parses an expression.
pub(crate) fn parse(source: &Source, declared: &Declarations) -> Result<Expr, CompileError> {
    let refuse = |words: String| Err(source.refuse(vec![Problem { line: -1, column: -1, words }]));
    let n_characters = source.text().chars().count();
    if n_characters > N_CHARACTERS_MAX {
        return refuse(format!(
            "expression code point size exceeds limit: size: {n_characters}, limit {N_CHARACTERS_MAX}"
        ));
    }
    if depth(source.text()) > N_LEVELS_MAX {
        return refuse(format!("expression recursion limit exceeded: {N_LEVELS_MAX}"));
    }
    let parser = LANGUAGE.parser().max_recursion_depth(N_PARSER_LEVELS_MAX);
    match parser.parse_with_source_info(source.text()) {
        Ok((expr, info)) => Ok(Reader { info: &info, declared, n_read: Cell::new(0) }.expr(expr)),
        Err(errors) if errors.errors.iter().any(|error| error.msg.starts_with("Recursion limit")) => {
            refuse(format!("expression recursion limit exceeded: {N_LEVELS_MAX}"))
        }
        Err(errors) => {
            let problems = errors.errors.into_iter().map(|error| Problem {
                line: i64::try_from(error.pos.0).unwrap_or_default(),
                column: i64::try_from(error.pos.1).unwrap_or_default(),
                words: error.msg,
            });
            Err(source.refuse(problems.collect()))
        }
    }
}

/// The parser's own bound of nested expressions. Each takes it through all levels of precedence, and so much of the stack that
/// the bound of the reference implementation cannot be had; nobody writes a quarter of this.
const N_PARSER_LEVELS_MAX: u16 = 64;

struct Reader<'a> {
    info: &'a SourceInfo,
    declared: &'a Declarations,
    /// How many nodes were read, which numbers them.
    n_read: Cell<u32>,
}

impl Reader<'_> {
    fn at(&self, id: u64) -> u32 {
        self.info.offset_for(id).map_or(0, |(start, _)| start)
    }

    fn all(&self, exprs: Vec<IdedExpr>) -> Vec<Expr> {
        exprs.into_iter().map(|expr| self.expr(expr)).collect()
    }

    fn boxed(&self, expr: IdedExpr) -> Box<Expr> {
        Box::new(self.expr(expr))
    }

    fn expr(&self, parsed: IdedExpr) -> Expr {
        let at = self.at(parsed.id);
        let id = self.n_read.get();
        self.n_read.set(id.saturating_add(1));
        let node = match parsed.expr {
            Parsed::Unspecified => Node::Literal(Literal::Null),
            Parsed::Ident(name) => Node::Ident(Text::from(name.strip_prefix('.').unwrap_or(&name))),
            Parsed::Literal(literal) => Node::Literal(read_literal(literal)),
            Parsed::Select(select) => Node::Select {
                operand: self.boxed(*select.operand),
                field: Text::from(select.field),
                is_test: select.test,
            },
            Parsed::Call(call) => {
                let target = call.target.map(|target| self.expr(*target));
                self.called(call.func_name, target, self.all(call.args))
            }
            Parsed::List(list) => {
                Node::List { items: self.all(list.elements), optional: list.optional_indices }
            }
            Parsed::Map(map) => Node::Map(
                map.entries
                    .into_iter()
                    .filter_map(|entry| match entry.expr {
                        EntryExpr::MapEntry(entry) => Some(Entry {
                            key: self.expr(entry.key),
                            value: self.expr(entry.value),
                            is_optional: entry.optional,
                        }),
                        EntryExpr::StructField(_) => None,
                    })
                    .collect(),
            ),
            Parsed::Struct(made) => Node::Struct {
                name: Text::from(made.type_name.strip_prefix('.').unwrap_or(&made.type_name)),
                fields: made.entries.into_iter().filter_map(|entry| self.field(entry)).collect(),
            },
            Parsed::Comprehension(it) => Node::Comprehension(Box::new(Comprehension {
                range: self.expr(it.iter_range),
                variable: Text::from(it.iter_var),
                second_variable: it.iter_var2.map(Text::from),
                accumulator: Text::from(it.accu_var),
                start: self.expr(it.accu_init),
                condition: self.expr(it.loop_cond),
                step: self.expr(it.loop_step),
                result: self.expr(it.result),
            })),
        };
        Expr { id, at, node }
    }

    /// A call; that of a function whose name has dots is parsed as one on a target.
    fn called(&self, function: String, target: Option<Expr>, args: Vec<Expr>) -> Node {
        if let Some(qualifier) = target.as_ref().and_then(Expr::qualified_name) {
            let whole = format!("{qualifier}.{function}");
            if self.declared.overloads(&whole).is_some() {
                return Node::Call { function: Text::from(whole), target: None, args };
            }
        }
        Node::Call { function: Text::from(function), target: target.map(Box::new), args }
    }

    fn field(&self, entry: cel::common::ast::IdedEntryExpr) -> Option<Field> {
        let at = self.at(entry.id);
        match entry.expr {
            EntryExpr::StructField(field) => Some(Field {
                at,
                name: Text::from(field.field),
                value: self.expr(field.value),
                is_optional: field.optional,
            }),
            EntryExpr::MapEntry(_) => None,
        }
    }
}

fn read_literal(literal: LiteralValue) -> Literal {
    match literal {
        LiteralValue::Null => Literal::Null,
        LiteralValue::Boolean(value) => Literal::Bool(*value.inner()),
        LiteralValue::Int(value) => Literal::Int(*value.inner()),
        LiteralValue::UInt(value) => Literal::Uint(*value.inner()),
        LiteralValue::Double(value) => Literal::Double(*value.inner()),
        LiteralValue::String(value) => Literal::String(Text::from(value.inner())),
        LiteralValue::Bytes(value) => Literal::Bytes(value.inner().to_vec()),
    }
}
