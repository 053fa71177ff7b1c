//! The tree of an expression, macros expanded.

use trueup_object::value::Text;

/// A node, with a number of its own and its place in the source in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expr {
    pub(crate) id: u32,
    pub(crate) at: u32,
    pub(crate) node: Node,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Literal(Literal),
    Ident(Text),
    Select { operand: Box<Expr>, field: Text, is_test: bool },
    Call { function: Text, target: Option<Box<Expr>>, args: Vec<Expr> },
    List { items: Vec<Expr>, optional: Vec<usize> },
    Map(Vec<Entry>),
    Struct { name: Text, fields: Vec<Field> },
    Comprehension(Box<Comprehension>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Text),
    Bytes(Vec<u8>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: Expr,
    pub(crate) value: Expr,
    pub(crate) is_optional: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) at: u32,
    pub(crate) name: Text,
    pub(crate) value: Expr,
    pub(crate) is_optional: bool,
}

/// A loop over a range that folds into an accumulator.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Comprehension {
    pub(crate) range: Expr,
    pub(crate) variable: Text,
    pub(crate) second_variable: Option<Text>,
    pub(crate) accumulator: Text,
    pub(crate) start: Expr,
    pub(crate) condition: Expr,
    pub(crate) step: Expr,
    pub(crate) result: Expr,
}

impl Expr {
    /// `a.b.c` as one name, where the expression is one.
    pub(crate) fn qualified_name(&self) -> Option<String> {
        match &self.node {
            Node::Ident(name) => Some(name.to_string()),
            Node::Select { operand, field, is_test: false } => {
                let mut name = operand.qualified_name()?;
                name.push('.');
                name.push_str(field);
                Some(name)
            }
            Node::Select { .. }
            | Node::Literal(_)
            | Node::Call { .. }
            | Node::List { .. }
            | Node::Map(_)
            | Node::Struct { .. }
            | Node::Comprehension(_) => None,
        }
    }
}
